//! What people have accepted of MCP servers, and what chats have found: `mcp_tool_pins`, `workspace_mcp_approvals`, `found_mcp_tools`.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{McpToolPin, WorkspaceMcpApproval};
use time::OffsetDateTime;
use uuid::Uuid;

/// The definition of a tool.
pub(crate) struct Pin {
    pub(crate) name: String,
    pub(crate) digest: Vec<u8>,
    pub(crate) description: String,
    pub(crate) input_schema: String,
    pub(crate) approved_by: Option<Uuid>,
}

/// A server a workspace may start.
pub(crate) struct Approval {
    pub(crate) digest: Vec<u8>,
    pub(crate) name: String,
    pub(crate) shown: String,
    pub(crate) created_at: OffsetDateTime,
}

/// A server's definitions by name.
pub(crate) async fn pins(conn: &mut PgConnection, server: Uuid, limit: i64) -> Result<Vec<Pin>, sqlx::Error> {
    sqlx::query_as!(
        Pin,
        "SELECT name, digest, description, input_schema, approved_by FROM mcp_tool_pins
        WHERE server_id = $1 ORDER BY name LIMIT $2",
        server,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Keeps a server's definitions from being recorded twice at once, and counts them.
pub(crate) async fn lock_and_count_pins(conn: &mut PgConnection, server: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query!("SELECT id FROM mcp_servers WHERE id = $1 FOR NO KEY UPDATE", server)
        .fetch_optional(&mut *conn)
        .await?;
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM mcp_tool_pins WHERE server_id = $1"#,
        server
    )
    .fetch_one(conn)
    .await
}

/// Records a definition; in place of what is recorded if somebody approves it.
pub(crate) async fn put_pin(conn: &mut PgConnection, server: Uuid, pin: &Pin) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO mcp_tool_pins (server_id, name, digest, description, input_schema, approved_by)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (server_id, name) DO UPDATE SET digest = $3, description = $4, input_schema = $5, approved_by = $6,
            updated_at = now()
        WHERE $6::uuid IS NOT NULL",
        server,
        pin.name,
        pin.digest,
        pin.description,
        pin.input_schema,
        pin.approved_by
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A workspace's approvals, newest first.
pub(crate) async fn approvals(
    conn: &mut PgConnection,
    workspace: Uuid,
    limit: i64,
) -> Result<Vec<Approval>, sqlx::Error> {
    sqlx::query_as!(
        Approval,
        "SELECT digest, name, shown, created_at FROM workspace_mcp_approvals
        WHERE workspace_id = $1 ORDER BY created_at DESC, digest LIMIT $2",
        workspace,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Stores an approval, and forgets the oldest beyond `keep`.
pub(crate) async fn put_approval(
    conn: &mut PgConnection,
    workspace: Uuid,
    user: Uuid,
    approval: &Approval,
    keep: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO workspace_mcp_approvals (workspace_id, digest, name, shown, approved_by) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (workspace_id, digest) DO UPDATE SET name = $3, shown = $4, approved_by = $5, created_at = now()",
        workspace,
        approval.digest,
        approval.name,
        approval.shown,
        user
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "DELETE FROM workspace_mcp_approvals WHERE workspace_id = $1 AND digest IN (
            SELECT digest FROM workspace_mcp_approvals WHERE workspace_id = $1
            ORDER BY created_at DESC, digest OFFSET $2)",
        workspace,
        keep
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes an approval back, if there is one.
pub(crate) async fn delete_approval(
    conn: &mut PgConnection,
    workspace: Uuid,
    digest: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM workspace_mcp_approvals WHERE workspace_id = $1 AND digest = $2",
        workspace,
        digest
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The tools a chat has found, by name.
pub(crate) async fn found(conn: &mut PgConnection, chat: Uuid, limit: i64) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT name FROM found_mcp_tools WHERE chat_id = $1 ORDER BY name LIMIT $2",
        chat,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Remembers what a chat has found, and forgets the oldest beyond `keep`.
pub(crate) async fn put_found(
    conn: &mut PgConnection,
    chat: Uuid,
    names: &[String],
    keep: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO found_mcp_tools (chat_id, name) SELECT DISTINCT $1::uuid, name FROM unnest($2::text[]) AS given (name)
        ON CONFLICT (chat_id, name) DO UPDATE SET found_at = now()",
        chat,
        names
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "DELETE FROM found_mcp_tools WHERE chat_id = $1 AND name IN (
            SELECT name FROM found_mcp_tools WHERE chat_id = $1 ORDER BY found_at DESC, name OFFSET $2)",
        chat,
        keep
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Pin {
    /// The row as a message of the contract.
    pub(crate) fn into_wire(self) -> McpToolPin {
        McpToolPin {
            name: self.name,
            digest: self.digest,
            description: self.description,
            input_schema_json: self.input_schema,
            approved_by: self.approved_by.map(|user| user.to_string()).unwrap_or_default(),
        }
    }
}

impl Approval {
    /// The row as a message of the contract.
    pub(crate) fn into_wire(self) -> WorkspaceMcpApproval {
        WorkspaceMcpApproval {
            digest: self.digest,
            name: self.name,
            shown: self.shown,
            created_at: Some(time_to_wire(self.created_at)),
        }
    }
}
