//! The rows of `usage_records`: one for each model call, what they add up to, and the end of those kept long enough.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::column;

/// Models, or chats, that a summary names.
const MAX_LISTED: i64 = 1_000;

/// What a completion has used, as it comes from those who made it.
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
    let mut settled = column(records, |record| record.completion_id);
    settled.extend(released);
    // Arrays, column by column: they cost PostgreSQL half of what as many rows in JSON do.
    sqlx::query!(
        "WITH over AS (DELETE FROM spend_reservations WHERE completion_id = ANY($1))
        INSERT INTO usage_records (completion_id, owner_id, organization_id, chat_id, root_chat_id, model_config_id,
            provider_type, model, purpose, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
            cost_micros, is_estimated, runtime_ms, started_at, ended_at)
        SELECT g.completion_id, g.owner_id, c.organization_id, g.chat_id, g.root_chat_id, g.model_config_id,
            g.provider_type, g.model, g.purpose, g.input_tokens, g.output_tokens, g.cache_read_tokens,
            g.cache_creation_tokens, g.cost_micros, g.is_estimated, g.runtime_ms,
            now() - make_interval(secs => (g.age_ms + g.runtime_ms) / 1000.0::float8),
            now() - make_interval(secs => g.age_ms / 1000.0::float8)
        FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
                $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::boolean[], $16::bigint[],
                $17::bigint[])
            AS g (completion_id, owner_id, chat_id, root_chat_id, model_config_id, provider_type, model, purpose,
                input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_micros, is_estimated,
                runtime_ms, age_ms)
            LEFT JOIN chats c ON c.id = g.chat_id
        -- One order for all, so that two that settle the same wait for each other instead of for ever.
        ORDER BY g.completion_id
        ON CONFLICT (completion_id) DO NOTHING",
        &settled,
        &settled[..records.len()],
        &column(records, |record| record.owner_id),
        &column(records, |record| record.chat_id) as _,
        &column(records, |record| record.root_chat_id) as _,
        &column(records, |record| record.model_config_id),
        &column(records, |record| record.provider_type.as_str()) as _,
        &column(records, |record| record.model.as_str()) as _,
        &column(records, |record| record.purpose.as_str()) as _,
        &column(records, |record| record.input_tokens),
        &column(records, |record| record.output_tokens),
        &column(records, |record| record.cache_read_tokens),
        &column(records, |record| record.cache_creation_tokens),
        &column(records, |record| record.cost_micros) as _,
        &column(records, |record| record.is_estimated),
        &column(records, |record| record.runtime_ms),
        &column(records, |record| record.age_ms)
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
