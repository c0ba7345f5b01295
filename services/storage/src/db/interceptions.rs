//! The rows of `interceptions` and of what was recorded of them: storing, linking, forgetting. Reading them is in [`lists`]
//! and [`details`].

use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::column;

pub(crate) mod details;
pub(crate) mod lists;

#[cfg(test)]
mod tests;

/// An interception as it began.
pub(crate) struct Start {
    pub(crate) id: Uuid,
    pub(crate) initiator_id: Uuid,
    pub(crate) credential_id: String,
    pub(crate) provider_id: Option<Uuid>,
    pub(crate) provider_type: String,
    pub(crate) provider_name: String,
    pub(crate) model: String,
    pub(crate) client: String,
    pub(crate) user_agent: String,
    /// Empty for none, as the next.
    pub(crate) client_session_id: String,
    pub(crate) correlating_tool_call_id: String,
    pub(crate) credential_kind: &'static str,
    pub(crate) credential_hint: String,
    pub(crate) started_at: OffsetDateTime,
    /// Where the end is known already.
    pub(crate) ended_at: Option<OffsetDateTime>,
    pub(crate) status: Option<i32>,
}

/// How one ended.
pub(crate) struct End {
    pub(crate) interception_id: Uuid,
    pub(crate) ended_at: OffsetDateTime,
    pub(crate) status: i32,
}

/// What one answer used.
pub(crate) struct Tokens {
    pub(crate) id: Uuid,
    pub(crate) interception_id: Uuid,
    pub(crate) message_id: String,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cache_read_tokens: i64,
    pub(crate) cache_write_tokens: i64,
    pub(crate) extra: std::collections::BTreeMap<String, i64>,
    pub(crate) created_at: OffsetDateTime,
}

/// What a person wrote.
pub(crate) struct Prompt {
    pub(crate) id: Uuid,
    pub(crate) interception_id: Uuid,
    pub(crate) message_id: String,
    pub(crate) prompt: String,
    pub(crate) created_at: OffsetDateTime,
}

/// A tool call in an answer.
pub(crate) struct Tool {
    pub(crate) id: Uuid,
    pub(crate) interception_id: Uuid,
    pub(crate) message_id: String,
    pub(crate) tool_name: String,
    pub(crate) tool_call_id: String,
    pub(crate) server_url: String,
    pub(crate) arguments_json: String,
    pub(crate) is_injected: bool,
    pub(crate) invocation_error: String,
    pub(crate) created_at: OffsetDateTime,
}

/// What a model let see of its reasoning.
pub(crate) struct Thought {
    pub(crate) id: Uuid,
    pub(crate) interception_id: Uuid,
    pub(crate) content: String,
    pub(crate) source: &'static str,
    pub(crate) created_at: OffsetDateTime,
}

/// Lets one transaction after the other link what these users do, and those whose interceptions these are: two that record a tool call
/// and its answer at once would not see each other. In one order for all, so that none waits for ever.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    initiators: &[Uuid],
    interceptions: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(wanted.key)
        FROM (
            SELECT DISTINCT hashtextextended('interceptions:' || known.id::text, 0) AS key
            FROM (
                SELECT unnest($1::uuid[]) AS id
                UNION ALL
                SELECT i.initiator_id FROM interceptions i WHERE i.id = ANY($2)) known
            ORDER BY key) wanted",
        initiators,
        interceptions
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Has every statement of this transaction look rows up by their ids. Statements are planned once, often while the tables are still
/// empty, when reading all of a table looks cheapest; it would be read for every batch from then on.
pub(crate) async fn look_up(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SETTINGS: &str =
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
    sqlx::raw_sql(SETTINGS).execute(conn).await?;
    Ok(())
}

/// Stores beginnings that are not there yet, each as a thread of its own; how many they were.
pub(crate) async fn insert(conn: &mut PgConnection, starts: &[Start]) -> Result<u64, sqlx::Error> {
    if starts.is_empty() {
        return Ok(0);
    }
    // Arrays, column by column, here and below: PostgreSQL would have to parse as many rows in JSON.
    let done = sqlx::query!(
        "INSERT INTO interceptions (id, initiator_id, credential_id, provider_id, provider_type, provider_name, model, client,
            user_agent, client_session_id, correlating_tool_call_id, credential_kind, credential_hint, session_id,
            thread_root_id, started_at, ended_at, status)
        SELECT r.id, r.initiator_id, r.credential_id, r.provider_id, r.provider_type, r.provider_name, r.model, r.client,
            r.user_agent, r.client_session_id, r.correlating_tool_call_id, r.credential_kind, r.credential_hint,
            coalesce(nullif(r.client_session_id, ''), r.id::text), r.id, r.started_at, r.ended_at, r.status
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[], $16::integer[])
            AS r (id, initiator_id, credential_id, provider_id, provider_type, provider_name, model, client, user_agent,
                client_session_id, correlating_tool_call_id, credential_kind, credential_hint, started_at, ended_at, status)
        -- One order for all, so that two that store the same wait for each other instead of for ever; as below.
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING",
        &column(starts, |start| start.id),
        &column(starts, |start| start.initiator_id),
        &column(starts, |start| start.credential_id.as_str()) as _,
        &column(starts, |start| start.provider_id) as _,
        &column(starts, |start| start.provider_type.as_str()) as _,
        &column(starts, |start| start.provider_name.as_str()) as _,
        &column(starts, |start| start.model.as_str()) as _,
        &column(starts, |start| start.client.as_str()) as _,
        &column(starts, |start| start.user_agent.as_str()) as _,
        &column(starts, |start| start.client_session_id.as_str()) as _,
        &column(starts, |start| start.correlating_tool_call_id.as_str()) as _,
        &column(starts, |start| start.credential_kind) as _,
        &column(starts, |start| start.credential_hint.as_str()) as _,
        &column(starts, |start| start.started_at),
        &column(starts, |start| start.ended_at) as _,
        &column(starts, |start| start.status) as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Stores the ends of those that have none.
pub(crate) async fn end(conn: &mut PgConnection, ends: &[End]) -> Result<(), sqlx::Error> {
    if ends.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE interceptions i SET ended_at = r.ended_at, status = r.status
        FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[]) AS r (interception_id, ended_at, status)
        WHERE i.id = r.interception_id AND i.ended_at IS NULL",
        &column(ends, |end| end.interception_id),
        &column(ends, |end| end.ended_at),
        &column(ends, |end| end.status)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what is not there yet, of interceptions that are.
pub(crate) async fn insert_tokens(conn: &mut PgConnection, records: &[Tokens]) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO token_usages (id, interception_id, message_id, input_tokens, output_tokens, cache_read_tokens,
            cache_write_tokens, extra, created_at)
        SELECT r.id, r.interception_id, r.message_id, r.input_tokens, r.output_tokens, r.cache_read_tokens,
            r.cache_write_tokens, r.extra, r.created_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::jsonb[],
                $9::timestamptz[])
            AS r (id, interception_id, message_id, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                extra, created_at)
            JOIN interceptions i ON i.id = r.interception_id
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING",
        &column(records, |record| record.id),
        &column(records, |record| record.interception_id),
        &column(records, |record| record.message_id.as_str()) as _,
        &column(records, |record| record.input_tokens),
        &column(records, |record| record.output_tokens),
        &column(records, |record| record.cache_read_tokens),
        &column(records, |record| record.cache_write_tokens),
        &column(records, |record| Json(&record.extra)) as _,
        &column(records, |record| record.created_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// As [`insert_tokens`].
pub(crate) async fn insert_prompts(conn: &mut PgConnection, records: &[Prompt]) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO user_prompts (id, interception_id, message_id, prompt, created_at)
        SELECT r.id, r.interception_id, r.message_id, r.prompt, r.created_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
            AS r (id, interception_id, message_id, prompt, created_at)
            JOIN interceptions i ON i.id = r.interception_id
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING",
        &column(records, |record| record.id),
        &column(records, |record| record.interception_id),
        &column(records, |record| record.message_id.as_str()) as _,
        &column(records, |record| record.prompt.as_str()) as _,
        &column(records, |record| record.created_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// As [`insert_tokens`].
pub(crate) async fn insert_tools(conn: &mut PgConnection, records: &[Tool]) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO tool_usages (id, interception_id, initiator_id, message_id, tool_name, tool_call_id, server_url,
            arguments_json, is_injected, invocation_error, created_at)
        SELECT r.id, r.interception_id, i.initiator_id, r.message_id, r.tool_name, r.tool_call_id, r.server_url,
            r.arguments_json, r.is_injected, r.invocation_error, r.created_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
                $9::text[], $10::timestamptz[])
            AS r (id, interception_id, message_id, tool_name, tool_call_id, server_url, arguments_json, is_injected,
                invocation_error, created_at)
            JOIN interceptions i ON i.id = r.interception_id
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING",
        &column(records, |record| record.id),
        &column(records, |record| record.interception_id),
        &column(records, |record| record.message_id.as_str()) as _,
        &column(records, |record| record.tool_name.as_str()) as _,
        &column(records, |record| record.tool_call_id.as_str()) as _,
        &column(records, |record| record.server_url.as_str()) as _,
        &column(records, |record| record.arguments_json.as_str()) as _,
        &column(records, |record| record.is_injected),
        &column(records, |record| record.invocation_error.as_str()) as _,
        &column(records, |record| record.created_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// As [`insert_tokens`].
pub(crate) async fn insert_thoughts(conn: &mut PgConnection, records: &[Thought]) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO model_thoughts (id, interception_id, content, source, created_at)
        SELECT r.id, r.interception_id, r.content, r.source, r.created_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
            AS r (id, interception_id, content, source, created_at)
            JOIN interceptions i ON i.id = r.interception_id
        ORDER BY r.id
        ON CONFLICT (id) DO NOTHING",
        &column(records, |record| record.id),
        &column(records, |record| record.interception_id),
        &column(records, |record| record.content.as_str()) as _,
        &column(records, |record| record.source) as _,
        &column(records, |record| record.created_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts interceptions behind those whose tool calls they answer: these new ones, and older ones that answer one of these new tool calls,
/// whose record came later than theirs. All that already hangs on one of them moves along.
///
/// * The parent is the latest interception of the same user with that call that began before, and in no other session the client named.
///   Since parents are older than their children, no circle can come about.
/// * Whoever names no session takes that of the thread.
pub(crate) async fn link(conn: &mut PgConnection, starts: &[Uuid], tools: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH RECURSIVE candidate AS (
            SELECT c.id FROM interceptions c
            WHERE c.id = ANY($1) AND c.thread_parent_id IS NULL AND c.correlating_tool_call_id <> ''
            UNION
            SELECT c.id
            FROM tool_usages t
                JOIN interceptions p ON p.id = t.interception_id
                JOIN interceptions c ON c.initiator_id = t.initiator_id AND c.correlating_tool_call_id = t.tool_call_id
                    AND c.started_at >= p.started_at
            WHERE t.id = ANY($2) AND c.thread_parent_id IS NULL AND c.correlating_tool_call_id <> ''),
        found AS (
            SELECT c.id, p.id AS parent_id, p.thread_root_id AS root_id, p.session_id
            FROM candidate d
                JOIN interceptions c ON c.id = d.id
                CROSS JOIN LATERAL (
                    SELECT p.id, p.thread_root_id, p.session_id
                    FROM tool_usages t JOIN interceptions p ON p.id = t.interception_id
                    WHERE t.initiator_id = c.initiator_id AND t.tool_call_id = c.correlating_tool_call_id
                        AND t.tool_call_id <> '' AND (p.started_at, p.id) < (c.started_at, c.id)
                        AND (c.client_session_id = '' OR p.client_session_id IN ('', c.client_session_id))
                    ORDER BY t.created_at DESC, t.id DESC
                    LIMIT 1) p),
        -- A root that itself gets a parent is none any more.
        climbed AS (
            SELECT id, parent_id, root_id, session_id FROM found
            UNION ALL
            SELECT l.id, l.parent_id, f.root_id, f.session_id FROM climbed l JOIN found f ON f.id = l.root_id),
        settled AS (
            SELECT l.id, l.parent_id, l.root_id, l.session_id FROM climbed l
            WHERE NOT EXISTS (SELECT 1 FROM found f WHERE f.id = l.root_id))
        UPDATE interceptions i
        SET thread_root_id = s.root_id,
            thread_parent_id = CASE WHEN i.id = s.id THEN s.parent_id ELSE i.thread_parent_id END,
            session_id = coalesce(nullif(i.client_session_id, ''), s.session_id)
        FROM settled s
        WHERE i.thread_root_id = s.id",
        starts,
        tools
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a pruning took away.
pub(crate) struct Pruned {
    pub(crate) interceptions: i64,
    /// With their records.
    pub(crate) rows: i64,
}

/// Deletes up to `limit` interceptions, the oldest first, that ended longer ago, or began so and never ended.
pub(crate) async fn prune(conn: &mut PgConnection, max_age_seconds: f64, limit: i64) -> Result<Pruned, sqlx::Error> {
    sqlx::query_as!(
        Pruned,
        r#"WITH old AS (
            SELECT i.id FROM interceptions i
            WHERE coalesce(i.ended_at, i.started_at) < now() - make_interval(secs => $1)
            ORDER BY coalesce(i.ended_at, i.started_at)
            LIMIT $2
            FOR UPDATE SKIP LOCKED),
        thoughts AS (DELETE FROM model_thoughts r USING old WHERE r.interception_id = old.id RETURNING 1),
        tools AS (DELETE FROM tool_usages r USING old WHERE r.interception_id = old.id RETURNING 1),
        tokens AS (DELETE FROM token_usages r USING old WHERE r.interception_id = old.id RETURNING 1),
        prompts AS (DELETE FROM user_prompts r USING old WHERE r.interception_id = old.id RETURNING 1),
        gone AS (DELETE FROM interceptions i USING old WHERE i.id = old.id RETURNING 1)
        SELECT (SELECT count(*) FROM gone) AS "interceptions!",
            (SELECT count(*) FROM gone) + (SELECT count(*) FROM thoughts) + (SELECT count(*) FROM tools)
                + (SELECT count(*) FROM tokens) + (SELECT count(*) FROM prompts) AS "rows!""#,
        max_age_seconds,
        limit
    )
    .fetch_one(conn)
    .await
}
