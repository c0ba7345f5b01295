//! Messages that are context: which of them count, and which chats a workspace's processes may speak to.

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::message::Usage;
use uuid::Uuid;

use super::messages::Row;

/// The newest message found and the newest added, ascending.
pub(crate) async fn newest(conn: &mut PgConnection, chat: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, chat_id, created_by, model_config_id, role, visibility, content, content_version,
            usage AS "usage: Json<Usage>", provider_response_id, is_compressed, created_at
        FROM chat_messages
        WHERE id IN (SELECT max(id) FROM chat_messages
            WHERE chat_id = $1 AND context IS NOT NULL AND NOT is_deleted GROUP BY context)
        ORDER BY id"#,
        chat
    )
    .fetch_all(conn)
    .await
}

/// A chat that uses a workspace.
pub(crate) struct Candidate {
    pub(crate) id: Uuid,
    pub(crate) is_root: bool,
}

/// The chats at work or ready to work in the workspace, at most `limit`.
pub(crate) async fn active(
    conn: &mut PgConnection,
    workspace: Uuid,
    limit: i64,
) -> Result<Vec<Candidate>, sqlx::Error> {
    sqlx::query_as!(
        Candidate,
        r#"SELECT id, parent_chat_id IS NULL AS "is_root!" FROM chats
        WHERE workspace_id = $1 AND NOT is_archived AND status <> 'error' ORDER BY id LIMIT $2"#,
        workspace,
        limit
    )
    .fetch_all(conn)
    .await
}
