//! The rows of `git_credentials`. Secrets are ciphertext that this room cannot open.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::GitCredential;
use time::OffsetDateTime;
use uuid::Uuid;

/// A user's credential for a host.
pub(crate) struct Row {
    pub(crate) user_id: Uuid,
    pub(crate) host: String,
    pub(crate) username: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) updated_at: OffsetDateTime,
}

/// A user's credentials by host.
pub(crate) async fn list(conn: &mut PgConnection, user: Uuid, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT user_id, host, username, sealed, updated_at FROM git_credentials WHERE user_id = $1 ORDER BY host LIMIT $2",
        user,
        limit
    )
    .fetch_all(conn)
    .await
}

/// A user's credential for a host.
pub(crate) async fn find(conn: &mut PgConnection, user: Uuid, host: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT user_id, host, username, sealed, updated_at FROM git_credentials WHERE user_id = $1 AND host = $2",
        user,
        host
    )
    .fetch_optional(conn)
    .await
}

/// The credential of a chat's owner for a host; with a workspace, only if the chat works there and it is the owner's.
pub(crate) async fn find_for_chat(
    conn: &mut PgConnection,
    chat: Uuid,
    workspace: Option<Uuid>,
    host: &str,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT g.user_id, g.host, g.username, g.sealed, g.updated_at
        FROM git_credentials g JOIN chats c ON c.owner_id = g.user_id
        WHERE c.id = $1 AND g.host = $2
            AND ($3::uuid IS NULL OR EXISTS (SELECT 1 FROM workspaces w
                WHERE w.id = $3 AND w.id = c.workspace_id AND w.owner_id = c.owner_id))",
        chat,
        host,
        workspace
    )
    .fetch_optional(conn)
    .await
}

/// Stores a credential in place of the one for the same host, unless there are `most` others already.
pub(crate) async fn put(
    conn: &mut PgConnection,
    user: Uuid,
    host: &str,
    username: &str,
    sealed: &[u8],
    most: i64,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO git_credentials (user_id, host, username, sealed)
        SELECT $1, $2, $3, $4
        WHERE (SELECT count(*) FROM git_credentials WHERE user_id = $1 AND host <> $2) < $5
        ON CONFLICT (user_id, host) DO UPDATE SET username = $3, sealed = $4, updated_at = now()
        RETURNING user_id, host, username, sealed, updated_at",
        user,
        host,
        username,
        sealed,
        most
    )
    .fetch_optional(conn)
    .await
}

/// Forgets a credential, if there is one.
pub(crate) async fn delete(conn: &mut PgConnection, user: Uuid, host: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM git_credentials WHERE user_id = $1 AND host = $2",
        user,
        host
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    /// The row as a message of the contract.
    pub(crate) fn into_wire(self) -> GitCredential {
        GitCredential {
            host: self.host,
            username: self.username,
            sealed: self.sealed,
            user_id: self.user_id.to_string(),
            updated_at: Some(time_to_wire(self.updated_at)),
        }
    }
}
