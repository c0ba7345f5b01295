-- What each of these sessions ($1 keys, $2 whose) amounts to. Every lookup is by session, through indexes: the cost is that of the page.
SELECT p.session_id AS "id!", p.initiator_id AS "initiator_id!", coalesce(u.username, '') AS "initiator_username!",
    coalesce(u.name, '') AS "initiator_name!", n.client AS "client!", n.provider_names AS "provider_names!", n.models AS "models!",
    s.started_at AS "started_at!", s.ended_at AS "ended_at!", s.thread_count AS "thread_count!",
    t.input_tokens AS "input_tokens!", t.output_tokens AS "output_tokens!", t.cache_read_tokens AS "cache_read_tokens!",
    t.cache_write_tokens AS "cache_write_tokens!", coalesce(g.prompt, '') AS "last_prompt!"
FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS p (session_id, initiator_id, place)
    LEFT JOIN users u ON u.id = p.initiator_id
    CROSS JOIN LATERAL (
        SELECT min(i.started_at) AS started_at, max(i.ended_at) AS ended_at, count(DISTINCT i.thread_root_id) AS thread_count
        FROM interceptions i
        WHERE i.initiator_id = p.initiator_id AND i.session_id = p.session_id AND i.ended_at IS NOT NULL
        HAVING count(*) > 0) s
    -- Names come from programs, and a session may have any number of them: the first 16 of each are shown.
    CROSS JOIN LATERAL (
        SELECT ARRAY(
                SELECT DISTINCT i.provider_name FROM interceptions i
                WHERE i.initiator_id = p.initiator_id AND i.session_id = p.session_id AND i.ended_at IS NOT NULL
                ORDER BY i.provider_name LIMIT 16) AS provider_names,
            ARRAY(
                SELECT DISTINCT i.model FROM interceptions i
                WHERE i.initiator_id = p.initiator_id AND i.session_id = p.session_id AND i.ended_at IS NOT NULL
                ORDER BY i.model LIMIT 16) AS models,
            (
                SELECT i.client FROM interceptions i
                WHERE i.initiator_id = p.initiator_id AND i.session_id = p.session_id AND i.ended_at IS NOT NULL
                ORDER BY i.started_at, i.id LIMIT 1) AS client) n
    CROSS JOIN LATERAL (
        SELECT least(coalesce(sum(k.input_tokens), 0), 9223372036854775807)::bigint AS input_tokens,
            least(coalesce(sum(k.output_tokens), 0), 9223372036854775807)::bigint AS output_tokens,
            least(coalesce(sum(k.cache_read_tokens), 0), 9223372036854775807)::bigint AS cache_read_tokens,
            least(coalesce(sum(k.cache_write_tokens), 0), 9223372036854775807)::bigint AS cache_write_tokens
        FROM interceptions i JOIN token_usages k ON k.interception_id = i.id
        WHERE i.initiator_id = p.initiator_id AND i.session_id = p.session_id AND i.ended_at IS NOT NULL) t
    LEFT JOIN LATERAL (
        SELECT left(q.prompt, 1024) AS prompt
        FROM interceptions i JOIN user_prompts q ON q.interception_id = i.id
        WHERE i.initiator_id = p.initiator_id AND i.session_id = p.session_id AND i.ended_at IS NOT NULL
        ORDER BY q.created_at DESC, q.id DESC
        LIMIT 1) g ON true
ORDER BY p.place
