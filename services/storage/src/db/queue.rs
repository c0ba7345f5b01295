//! The rows of `chat_queued_messages`. Only `position` orders them.

use sqlx::PgConnection;
use tandem_chat_core::part::Part;
use tandem_chat_core::stored;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::Error;

/// A queued message as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) chat_id: Uuid,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) model_config_id: Uuid,
    pub(crate) content: serde_json::Value,
    pub(crate) content_version: i16,
    pub(crate) created_at: OffsetDateTime,
}

/// The queue, head first.
pub(crate) async fn list(conn: &mut PgConnection, chat: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, chat_id, created_by, model_config_id, content, content_version, created_at
        FROM chat_queued_messages WHERE chat_id = $1 ORDER BY position, id",
        chat
    )
    .fetch_all(conn)
    .await
}

/// Adds a message at the end.
pub(crate) async fn append(
    conn: &mut PgConnection,
    chat: Uuid,
    created_by: Uuid,
    model: Uuid,
    parts: &[Part],
) -> Result<Row, Error> {
    let content = stored::encode(parts).map_err(|error| Error::damaged("chat_queued_messages", error))?;
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO chat_queued_messages (chat_id, position, created_by, model_config_id, content, content_version)
        SELECT $1, coalesce(max(position), 0) + 1, $2, $3, $4, $5 FROM chat_queued_messages WHERE chat_id = $1
        RETURNING id, chat_id, created_by, model_config_id, content, content_version, created_at",
        chat,
        created_by,
        model,
        content,
        stored::CONTENT_VERSION
    )
    .fetch_one(conn)
    .await?;
    Ok(row)
}

/// Takes a message out; the head when no id is given.
pub(crate) async fn take(conn: &mut PgConnection, chat: Uuid, id: Option<i64>) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "DELETE FROM chat_queued_messages WHERE chat_id = $1 AND id = coalesce($2,
            (SELECT id FROM chat_queued_messages WHERE chat_id = $1 ORDER BY position, id LIMIT 1))
        RETURNING id, chat_id, created_by, model_config_id, content, content_version, created_at",
        chat,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Empties the queue.
pub(crate) async fn clear(conn: &mut PgConnection, chat: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM chat_queued_messages WHERE chat_id = $1", chat)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts a message before all others.
pub(crate) async fn move_to_front(conn: &mut PgConnection, chat: Uuid, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_queued_messages SET position = (
            SELECT min(position) - 1 FROM chat_queued_messages WHERE chat_id = $1)
        WHERE chat_id = $1 AND id = $2",
        chat,
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the queue this order, head first.
pub(crate) async fn set_order(conn: &mut PgConnection, chat: Uuid, ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_queued_messages q SET position = wanted.position
        FROM unnest($2::bigint[]) WITH ORDINALITY AS wanted (id, position)
        WHERE q.chat_id = $1 AND q.id = wanted.id",
        chat,
        ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    /// The message's parts.
    pub(crate) fn parts(&self) -> Result<Vec<Part>, Error> {
        stored::decode(self.content.clone(), self.content_version)
            .map_err(|error| Error::damaged("chat_queued_messages", error))
    }
}
