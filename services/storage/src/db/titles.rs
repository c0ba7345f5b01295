//! What is made beside the turns: titles under way, what they and the labels of turns cost, and whether a chat has gone on meanwhile.

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::message::Usage;
use tandem_chat_core::stored;
use uuid::Uuid;

/// Begins a title for which somebody waits; `false` while another is being made. One that began longer than a minute ago has been given up.
pub(crate) async fn begin(conn: &mut PgConnection, chat: Uuid, job: Uuid) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query!(
        "INSERT INTO title_jobs (chat_id, job_id) VALUES ($1, $2)
        ON CONFLICT (chat_id) DO UPDATE SET job_id = excluded.job_id, started_at = excluded.started_at
            WHERE title_jobs.started_at < now() - interval '1 minute'",
        chat,
        job
    )
    .execute(conn)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Ends it, unless another has taken its place.
pub(crate) async fn end(conn: &mut PgConnection, chat: Uuid, job: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM title_jobs WHERE chat_id = $1 AND job_id = $2", chat, job)
        .execute(conn)
        .await?;
    Ok(())
}

/// What a model call beside the turns has cost.
pub(crate) struct Cost {
    pub(crate) model: Uuid,
    pub(crate) usage: Usage,
    pub(crate) cost_micros: Option<i64>,
    pub(crate) runtime_ms: Option<i64>,
}

/// Keeps what a model call has cost as an answer without words that is withdrawn already: it counts, and nobody sees it.
pub(crate) async fn add_cost(conn: &mut PgConnection, chat: Uuid, cost: &Cost) -> Result<(), sqlx::Error> {
    let usage = (!cost.usage.is_empty()).then_some(Json(cost.usage));
    sqlx::query!(
        "INSERT INTO chat_messages (chat_id, model_config_id, role, visibility, content, content_version, usage,
            cost_micros, runtime_ms, is_deleted)
        VALUES ($1, $2, 'assistant', 'model', '[]', $3, $4, $5, $6, true)",
        chat,
        cost.model,
        stored::CONTENT_VERSION,
        usage as Option<Json<Usage>>,
        cost.cost_micros,
        cost.runtime_ms
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the chat's status or history has changed behind a version; its title and the like do not count.
pub(crate) async fn has_gone_on(conn: &mut PgConnection, chat: Uuid, version: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM chat_changes WHERE chat_id = $1 AND version > $2
            AND (status <> previous_status OR first_message_id IS NOT NULL OR history_reset_from_id IS NOT NULL)) AS "is!""#,
        chat,
        version
    )
    .fetch_one(conn)
    .await
}
