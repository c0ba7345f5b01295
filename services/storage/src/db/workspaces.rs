//! The rows of `workspaces`.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{Workspace, WorkspaceStatus};
use time::OffsetDateTime;
use uuid::Uuid;

/// A workspace.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) template_name: String,
    pub(crate) status: String,
    pub(crate) status_message: String,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) last_used_at: OffsetDateTime,
}

macro_rules! workspaces {
    ($statement:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $statement + " id, owner_id, organization_id, name, template_name, status, status_message, created_at, last_used_at"
            $(, $argument)*
        )
    };
}

/// A workspace of this user; of anybody when no user asks.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid, user: Option<Uuid>) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, owner_id, organization_id, name, template_name, status, status_message, created_at, last_used_at
        FROM workspaces WHERE id = $1 AND ($2::uuid IS NULL OR owner_id = $2) AND status <> 'deleted'",
        id,
        user
    )
    .fetch_optional(conn)
    .await
}

/// A user's workspaces, newest first.
pub(crate) async fn list(conn: &mut PgConnection, user: Uuid, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, owner_id, organization_id, name, template_name, status, status_message, created_at, last_used_at
        FROM workspaces WHERE owner_id = $1 AND status <> 'deleted' ORDER BY created_at DESC, id DESC LIMIT $2",
        user,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Stores a new workspace.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Uuid,
    organization: Uuid,
    name: &str,
    template: &str,
) -> Result<Row, sqlx::Error> {
    workspaces!(
        "INSERT INTO workspaces (id, owner_id, organization_id, name, template_name) VALUES ($1, $2, $3, $4, $5) RETURNING",
        id,
        owner,
        organization,
        name,
        template,
    )
    .fetch_one(conn)
    .await
}

/// Binds a chat to a workspace. A binding is a cache that others repair, so it raises no version.
pub(crate) async fn bind(conn: &mut PgConnection, chat: Uuid, workspace: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE chats SET workspace_id = $2 WHERE id = $1", chat, workspace)
        .execute(conn)
        .await?;
    Ok(())
}

/// Records what became of a workspace, and that it was used.
pub(crate) async fn set_status(
    conn: &mut PgConnection,
    id: Uuid,
    status: &str,
    message: &str,
) -> Result<Option<Row>, sqlx::Error> {
    workspaces!(
        "UPDATE workspaces SET status = $2, status_message = $3, last_used_at = now() WHERE id = $1 RETURNING",
        id,
        status,
        message,
    )
    .fetch_optional(conn)
    .await
}

/// A status' stored name.
pub(crate) fn status_name(status: WorkspaceStatus) -> Option<&'static str> {
    match status {
        WorkspaceStatus::Stopped => Some("stopped"),
        WorkspaceStatus::Starting => Some("starting"),
        WorkspaceStatus::Running => Some("running"),
        WorkspaceStatus::Failed => Some("failed"),
        WorkspaceStatus::Deleted => Some("deleted"),
        WorkspaceStatus::Unspecified => None,
    }
}

impl Row {
    pub(crate) fn to_wire(&self) -> Workspace {
        let statuses = [
            WorkspaceStatus::Stopped,
            WorkspaceStatus::Starting,
            WorkspaceStatus::Running,
            WorkspaceStatus::Failed,
            WorkspaceStatus::Deleted,
        ];
        let status = statuses
            .into_iter()
            .find(|status| status_name(*status) == Some(&self.status));
        Workspace {
            id: self.id.to_string(),
            owner_id: self.owner_id.to_string(),
            organization_id: self.organization_id.to_string(),
            name: self.name.clone(),
            template_name: self.template_name.clone(),
            status: status.unwrap_or_default().into(),
            status_message: self.status_message.clone(),
            created_at: Some(time_to_wire(self.created_at)),
            last_used_at: Some(time_to_wire(self.last_used_at)),
        }
    }
}
