//! The rows of `usage_records`: one for each model call, what they add up to, and the end of those kept long enough.

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// Models, or chats, that a summary names.
const MAX_LISTED: i64 = 1_000;

/// What a completion has used, as it comes from those who made it.
#[derive(Serialize)]
pub(crate) struct Record {
    pub(crate) completion_id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) chat_id: Option<Uuid>,
    pub(crate) root_chat_id: Option<Uuid>,
    pub(crate) model_config_id: Uuid,
    pub(crate) provider_type: String,
    pub(crate) model: String,
    pub(crate) purpose: String,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cache_read_tokens: i64,
    pub(crate) cache_creation_tokens: i64,
    pub(crate) cost_micros: Option<i64>,
    pub(crate) is_estimated: bool,
    pub(crate) runtime_ms: i64,
    /// Since its end.
    pub(crate) age_ms: i64,
}

/// Stores records that are not there yet, and ends the reservations of theirs and of `released`, in one statement.
pub(crate) async fn settle(conn: &mut PgConnection, records: &[Record], released: &[Uuid]) -> Result<(), sqlx::Error> {
    let settled: Vec<Uuid> = records
        .iter()
        .map(|record| record.completion_id)
        .chain(released.iter().copied())
        .collect();
    sqlx::query!(
        "WITH over AS (DELETE FROM spend_reservations WHERE completion_id = ANY($2))
        INSERT INTO usage_records (completion_id, owner_id, organization_id, chat_id, root_chat_id, model_config_id,
            provider_type, model, purpose, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
            cost_micros, is_estimated, runtime_ms, started_at, ended_at)
        SELECT g.completion_id, g.owner_id, c.organization_id, g.chat_id, g.root_chat_id, g.model_config_id,
            g.provider_type, g.model, g.purpose, g.input_tokens, g.output_tokens, g.cache_read_tokens,
            g.cache_creation_tokens, g.cost_micros, g.is_estimated, g.runtime_ms,
            now() - make_interval(secs => (g.age_ms + g.runtime_ms) / 1000.0::float8),
            now() - make_interval(secs => g.age_ms / 1000.0::float8)
        FROM jsonb_to_recordset($1) AS g (completion_id uuid, owner_id uuid, chat_id uuid, root_chat_id uuid,
                model_config_id uuid, provider_type text, model text, purpose text, input_tokens bigint,
                output_tokens bigint, cache_read_tokens bigint, cache_creation_tokens bigint, cost_micros bigint,
                is_estimated boolean, runtime_ms bigint, age_ms bigint)
            LEFT JOIN chats c ON c.id = g.chat_id
        -- One order for all, so that two that settle the same wait for each other instead of for ever.
        ORDER BY g.completion_id
        ON CONFLICT (completion_id) DO NOTHING",
        Json(records) as Json<&[Record]>,
        &settled
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What some calls have used together.
#[derive(Default)]
pub(crate) struct Costs {
    pub(crate) cost_micros: i64,
    pub(crate) call_count: i64,
    pub(crate) priced_call_count: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cache_read_tokens: i64,
    pub(crate) cache_creation_tokens: i64,
    pub(crate) runtime_ms: i64,
}

/// A stretch of time: from `start` on, before `end`.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) start: OffsetDateTime,
    pub(crate) end: OffsetDateTime,
}

/// A query whose rows are [`Costs`] with the given columns before them, as pairs of what they are and their costs.
macro_rules! costs {
    ($columns:literal, $filter:literal $(, $argument:expr)*; $row:ident => $what:expr) => {
        sqlx::query!(
            "SELECT " + $columns + r#"
                least(coalesce(sum(r.cost_micros), 0), 9223372036854775807)::bigint AS "cost_micros!",
                count(*) AS "call_count!", count(r.cost_micros) AS "priced_call_count!",
                least(coalesce(sum(r.input_tokens), 0), 9223372036854775807)::bigint AS "input_tokens!",
                least(coalesce(sum(r.output_tokens), 0), 9223372036854775807)::bigint AS "output_tokens!",
                least(coalesce(sum(r.cache_read_tokens), 0), 9223372036854775807)::bigint AS "cache_read_tokens!",
                least(coalesce(sum(r.cache_creation_tokens), 0), 9223372036854775807)::bigint AS "cache_creation_tokens!",
                least(coalesce(sum(r.runtime_ms), 0), 9223372036854775807)::bigint AS "runtime_ms!"
            FROM usage_records r "# + $filter
            $(, $argument)*
        )
        .map(|$row| {
            let costs = Costs {
                cost_micros: $row.cost_micros,
                call_count: $row.call_count,
                priced_call_count: $row.priced_call_count,
                input_tokens: $row.input_tokens,
                output_tokens: $row.output_tokens,
                cache_read_tokens: $row.cache_read_tokens,
                cache_creation_tokens: $row.cache_creation_tokens,
                runtime_ms: $row.runtime_ms,
            };
            ($what, costs)
        })
    };
}

/// All that a user has used.
pub(crate) async fn total(conn: &mut PgConnection, user: Uuid, range: Range) -> Result<Costs, sqlx::Error> {
    let found = costs!("", "WHERE r.owner_id = $1 AND r.ended_at >= $2 AND r.ended_at < $3", user, range.start, range.end; row => ())
        .fetch_one(conn)
        .await?;
    Ok(found.1)
}

/// A model as it was called.
pub(crate) struct Model {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) provider_type: String,
    pub(crate) model: String,
}

/// What a user has used by model, the dearest first.
pub(crate) async fn by_model(
    conn: &mut PgConnection,
    user: Uuid,
    range: Range,
) -> Result<Vec<(Model, Costs)>, sqlx::Error> {
    costs!(
        r#"r.model_config_id, coalesce(max(m.display_name), '') AS "display_name!", max(r.provider_type) AS "provider_type!",
            max(r.model) AS "model!","#,
        "LEFT JOIN model_configs m ON m.id = r.model_config_id
        WHERE r.owner_id = $1 AND r.ended_at >= $2 AND r.ended_at < $3
        GROUP BY r.model_config_id
        ORDER BY coalesce(sum(r.cost_micros), 0) DESC, r.model_config_id LIMIT $4",
        user, range.start, range.end, MAX_LISTED;
        row => Model {
            id: row.model_config_id,
            display_name: row.display_name,
            provider_type: row.provider_type,
            model: row.model,
        }
    )
    .fetch_all(conn)
    .await
}

/// A family of chats by its root; without one, what was called outside chats.
pub(crate) struct Family {
    pub(crate) root: Option<Uuid>,
    pub(crate) title: String,
}

/// What a user has used by family of chats, the dearest first.
pub(crate) async fn by_chat(
    conn: &mut PgConnection,
    user: Uuid,
    range: Range,
) -> Result<Vec<(Family, Costs)>, sqlx::Error> {
    costs!(
        r#"coalesce(r.root_chat_id, r.chat_id) AS root, coalesce(max(c.title), '') AS "title!","#,
        "LEFT JOIN chats c ON c.id = coalesce(r.root_chat_id, r.chat_id)
        WHERE r.owner_id = $1 AND r.ended_at >= $2 AND r.ended_at < $3
        GROUP BY coalesce(r.root_chat_id, r.chat_id)
        ORDER BY coalesce(sum(r.cost_micros), 0) DESC, coalesce(r.root_chat_id, r.chat_id) LIMIT $4",
        user, range.start, range.end, MAX_LISTED;
        row => Family { root: row.root, title: row.title }
    )
    .fetch_all(conn)
    .await
}

/// Somebody who has used something.
pub(crate) struct Spender {
    pub(crate) id: Uuid,
    pub(crate) username: String,
    pub(crate) name: String,
    pub(crate) chat_count: i64,
}

/// Those who have used something and match an `ILIKE` pattern, the dearest first, then by username.
pub(crate) async fn by_user(
    conn: &mut PgConnection,
    range: Range,
    pattern: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<(Spender, Costs)>, sqlx::Error> {
    costs!(
        r#"u.id, u.username, u.name, count(DISTINCT coalesce(r.root_chat_id, r.chat_id)) AS "chat_count!","#,
        "JOIN users u ON u.id = r.owner_id
        WHERE r.ended_at >= $1 AND r.ended_at < $2 AND (u.username ILIKE $3 OR u.name ILIKE $3)
        GROUP BY u.id
        ORDER BY coalesce(sum(r.cost_micros), 0) DESC, lower(u.username), u.id LIMIT $4 OFFSET $5",
        range.start, range.end, pattern, limit, offset;
        row => Spender { id: row.id, username: row.username, name: row.name, chat_count: row.chat_count }
    )
    .fetch_all(conn)
    .await
}

/// How many [`by_user`] would list in all.
pub(crate) async fn count_users(conn: &mut PgConnection, range: Range, pattern: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(DISTINCT u.id) AS "count!" FROM usage_records r JOIN users u ON u.id = r.owner_id
        WHERE r.ended_at >= $1 AND r.ended_at < $2 AND (u.username ILIKE $3 OR u.name ILIKE $3)"#,
        range.start,
        range.end,
        pattern
    )
    .fetch_one(conn)
    .await
}

/// Deletes the oldest records that ended more than `days` ago, at most `limit`; how many there were. What a limit of the present period
/// could count stays in any case: a week may begin up to six days before its month.
pub(crate) async fn prune(conn: &mut PgConnection, days: i32, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM usage_records WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM usage_records
            WHERE ended_at < least(now() - make_interval(days => $1),
                (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '7 days') AT TIME ZONE 'UTC')
            ORDER BY ended_at LIMIT $2))",
        days,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
