//! The rows of `workspaces`.

use std::collections::BTreeMap;

use prost::Message as _;
use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{Workspace, WorkspaceAgentState, WorkspaceStatus};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{page::until_full, workspace_builds};
use crate::template_spec::backend_of;

/// A workspace, with the backend of its version, its owner's name and its latest build's id.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) owner_username: String,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    pub(crate) template_name: String,
    pub(crate) template_id: Option<Uuid>,
    pub(crate) template_version_id: Option<Uuid>,
    pub(crate) backend: Option<String>,
    pub(crate) parameters: Json<BTreeMap<String, String>>,
    pub(crate) ttl_ms: i64,
    pub(crate) status: String,
    pub(crate) status_message: String,
    pub(crate) latest_build_id: Option<Uuid>,
    pub(crate) agent_id: Option<Uuid>,
    pub(crate) has_token: bool,
    pub(crate) agent_is_connected: bool,
    pub(crate) agent_first_connected_at: Option<OffsetDateTime>,
    pub(crate) agent_last_connected_at: Option<OffsetDateTime>,
    pub(crate) agent_disconnected_at: Option<OffsetDateTime>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) last_used_at: OffsetDateTime,
    /// The database's clock.
    pub(crate) now: OffsetDateTime,
}

/// What a new workspace is.
pub(crate) struct New<'a> {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: &'a str,
    pub(crate) template_name: &'a str,
    pub(crate) template_id: Uuid,
    pub(crate) template_version_id: Uuid,
    pub(crate) parameters: &'a BTreeMap<String, String>,
    pub(crate) ttl_ms: i64,
}

/// Which workspaces are meant; empty texts: all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Of this owner; `None`: of everybody.
    pub(crate) owner: Option<Uuid>,
    pub(crate) owner_username: String,
    pub(crate) template: String,
    pub(crate) status: String,
    /// Part of the name.
    pub(crate) text: String,
}

macro_rules! select_workspaces {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT w.id, w.owner_id, u.username AS owner_username, w.organization_id, w.name, w.template_name, w.template_id,
                w.template_version_id, v.backend AS "backend?", w.parameters AS "parameters: Json<BTreeMap<String, String>>",
                w.ttl_ms, w.status, w.status_message, w.latest_build_id, w.agent_id,
                w.agent_token_hash IS NOT NULL AS "has_token!", w.agent_is_connected, w.agent_first_connected_at,
                w.agent_last_connected_at, w.agent_disconnected_at, w.created_at, w.last_used_at, now() AS "now!"
            FROM workspaces w JOIN users u ON u.id = w.owner_id
                LEFT JOIN template_versions v ON v.id = w.template_version_id "# + $rest
            $(, $argument)*
        )
    };
}

/// A workspace of this user; of anybody when no user asks.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid, user: Option<Uuid>) -> Result<Option<Row>, sqlx::Error> {
    select_workspaces!(
        "WHERE w.id = $1 AND ($2::uuid IS NULL OR w.owner_id = $2) AND w.deleted_at IS NULL",
        id,
        user
    )
    .fetch_optional(conn)
    .await
}

/// The same, kept from being changed by others until the transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid, user: Option<Uuid>) -> Result<Option<Row>, sqlx::Error> {
    // By itself first: after a wait for the lock, a statement's other tables are not read anew.
    sqlx::query!("SELECT id FROM workspaces WHERE id = $1 FOR UPDATE", id)
        .fetch_optional(&mut *conn)
        .await?;
    find(conn, id, user).await
}

/// Workspaces, newest first; as many as fit in one answer.
pub(crate) async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let rows = select_workspaces!(
        "WHERE w.deleted_at IS NULL AND ($1::uuid IS NULL OR w.owner_id = $1) AND ($2 = '' OR lower(u.username) = lower($2))
            AND ($3 = '' OR w.template_name = $3) AND ($4 = '' OR w.status = $4)
            AND ($5 = '' OR strpos(lower(w.name), lower($5)) > 0)
        ORDER BY w.created_at DESC, w.id DESC LIMIT $6 OFFSET $7",
        filter.owner,
        filter.owner_username,
        filter.template,
        filter.status,
        filter.text,
        limit,
        offset
    )
    .fetch(conn);
    until_full(rows, |row| row.to_wire(None).encoded_len()).await
}

/// How many there are.
pub(crate) async fn count(conn: &mut PgConnection, filter: &Filter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM workspaces w JOIN users u ON u.id = w.owner_id
        WHERE w.deleted_at IS NULL AND ($1::uuid IS NULL OR w.owner_id = $1) AND ($2 = '' OR lower(u.username) = lower($2))
            AND ($3 = '' OR w.template_name = $3) AND ($4 = '' OR w.status = $4)
            AND ($5 = '' OR strpos(lower(w.name), lower($5)) > 0)"#,
        filter.owner,
        filter.owner_username,
        filter.template,
        filter.status,
        filter.text
    )
    .fetch_one(conn)
    .await
}

/// Stores a new workspace, stopped.
pub(crate) async fn insert(conn: &mut PgConnection, new: &New<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO workspaces (id, owner_id, organization_id, name, template_name, template_id, template_version_id,
            parameters, ttl_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id,
        new.owner_id,
        new.organization_id,
        new.name,
        new.template_name,
        new.template_id,
        new.template_version_id,
        Json(new.parameters) as _,
        new.ttl_ms
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Binds a chat to a workspace. A binding is a cache that others repair, so it raises no version.
pub(crate) async fn bind(conn: &mut PgConnection, chat: Uuid, workspace: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE chats SET workspace_id = $2 WHERE id = $1", chat, workspace)
        .execute(conn)
        .await?;
    Ok(())
}

/// Changes what its owner may change.
pub(crate) async fn update(conn: &mut PgConnection, id: Uuid, name: &str, ttl_ms: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE workspaces SET name = $2, ttl_ms = $3 WHERE id = $1",
        id,
        name,
        ttl_ms
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the version of the template that a workspace starts with, and the values of its parameters.
pub(crate) async fn set_version(
    conn: &mut PgConnection,
    id: Uuid,
    version: Option<Uuid>,
    parameters: &BTreeMap<String, String>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE workspaces SET template_version_id = $2, parameters = $3 WHERE id = $1",
        id,
        version,
        Json(parameters) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a build makes of its workspace. Beginning and ending one counts as use; a workspace that is stopped or deleted has no agent, whether
/// or not somebody lived to tell that it went.
pub(crate) async fn set_status(
    conn: &mut PgConnection,
    id: Uuid,
    status: &str,
    message: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE workspaces SET status = $2, status_message = $3, last_used_at = now(),
            deleted_at = CASE WHEN $2 = 'deleted' THEN now() ELSE deleted_at END,
            agent_token_hash = CASE WHEN $2 = 'deleted' THEN NULL ELSE agent_token_hash END,
            agent_disconnected_at = CASE WHEN agent_is_connected AND $2 IN ('stopped', 'deleted') THEN now() ELSE agent_disconnected_at END,
            agent_is_connected = agent_is_connected AND $2 NOT IN ('stopped', 'deleted')
        WHERE id = $1",
        id,
        status,
        message
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records a use, and whether an agent came or went. Whether there is such a workspace. News of an agent that came to a workspace which is
/// stopped by now is late.
pub(crate) async fn touch(conn: &mut PgConnection, id: Uuid, is_connected: Option<bool>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE workspaces SET
            last_used_at = CASE WHEN $2 IS FALSE THEN last_used_at ELSE now() END,
            agent_id = CASE WHEN $2 AND agent_id IS NULL THEN $3 ELSE agent_id END,
            agent_is_connected = CASE WHEN status = 'stopped' THEN false ELSE coalesce($2, agent_is_connected) END,
            agent_first_connected_at = CASE WHEN $2 THEN coalesce(agent_first_connected_at, now()) ELSE agent_first_connected_at END,
            agent_last_connected_at = CASE WHEN $2 THEN now() ELSE agent_last_connected_at END,
            agent_disconnected_at = CASE WHEN $2 IS FALSE AND agent_is_connected THEN now() ELSE agent_disconnected_at END
        WHERE id = $1 AND deleted_at IS NULL",
        id,
        is_connected,
        Uuid::now_v7()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the hash of the agent's token: the next agent is another one, which has not been seen yet.
pub(crate) async fn set_token(conn: &mut PgConnection, id: Uuid, hash: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE workspaces SET agent_token_hash = $2, agent_id = NULL, agent_is_connected = false,
            agent_first_connected_at = NULL, agent_last_connected_at = NULL, agent_disconnected_at = NULL
        WHERE id = $1",
        id,
        hash
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The hash of the token of a workspace that may be worked in.
pub(crate) async fn token_hash(conn: &mut PgConnection, id: Uuid) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let hash = sqlx::query_scalar!(
        "SELECT agent_token_hash FROM workspaces
        WHERE id = $1 AND deleted_at IS NULL AND status IN ('starting', 'running')",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(hash.flatten())
}

/// How many of a user's workspaces besides this one run, or are about to. Others of the user are kept from starting until the transaction ends.
pub(crate) async fn lock_and_count_running(
    conn: &mut PgConnection,
    owner: Uuid,
    but: Uuid,
) -> Result<i64, sqlx::Error> {
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", owner)
        .fetch_optional(&mut *conn)
        .await?;
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM workspaces
        WHERE owner_id = $1 AND id <> $2 AND deleted_at IS NULL AND status IN ('starting', 'running')"#,
        owner,
        but
    )
    .fetch_one(conn)
    .await
}

/// Running workspaces that nobody used for as long as their time to live, locked; others' locks are passed over.
pub(crate) async fn lock_idle(conn: &mut PgConnection, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM workspaces
        WHERE status = 'running' AND ttl_ms > 0 AND deleted_at IS NULL
            AND last_used_at + make_interval(secs => ttl_ms / 1000.0) < now()
        ORDER BY last_used_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit
    )
    .fetch_all(conn)
    .await
}

/// A status' stored name.
pub(crate) fn status_name(status: WorkspaceStatus) -> Option<&'static str> {
    match status {
        WorkspaceStatus::Stopped => Some("stopped"),
        WorkspaceStatus::Starting => Some("starting"),
        WorkspaceStatus::Running => Some("running"),
        WorkspaceStatus::Stopping => Some("stopping"),
        WorkspaceStatus::Deleting => Some("deleting"),
        WorkspaceStatus::Failed => Some("failed"),
        WorkspaceStatus::Deleted => Some("deleted"),
        WorkspaceStatus::Unspecified => None,
    }
}

/// Every status a workspace can have.
pub(crate) const STATUSES: [WorkspaceStatus; 7] = [
    WorkspaceStatus::Stopped,
    WorkspaceStatus::Starting,
    WorkspaceStatus::Running,
    WorkspaceStatus::Stopping,
    WorkspaceStatus::Deleting,
    WorkspaceStatus::Failed,
    WorkspaceStatus::Deleted,
];

impl Row {
    /// The message of the contract, with the latest build if the caller has read it.
    pub(crate) fn to_wire(&self, latest_build: Option<&workspace_builds::Row>) -> Workspace {
        let status = STATUSES
            .into_iter()
            .find(|status| status_name(*status) == Some(&self.status));
        let gone_since = self.agent_disconnected_at.filter(|_| !self.agent_is_connected);
        let disconnected = gone_since.map(|since| (self.now - since).whole_milliseconds());
        let agent = WorkspaceAgentState {
            id: self.agent_id.map(|id| id.to_string()).unwrap_or_default(),
            is_connected: self.agent_is_connected,
            first_connected_at: self.agent_first_connected_at.map(time_to_wire),
            last_connected_at: self.agent_last_connected_at.map(time_to_wire),
            disconnected_at: gone_since.map(time_to_wire),
            disconnected_ms: disconnected.and_then(|ms| i64::try_from(ms).ok()).unwrap_or_default(),
            has_token: self.has_token,
        };
        Workspace {
            id: self.id.to_string(),
            owner_id: self.owner_id.to_string(),
            owner_username: self.owner_username.clone(),
            organization_id: self.organization_id.to_string(),
            name: self.name.clone(),
            template_name: self.template_name.clone(),
            template_id: self.template_id.map(|id| id.to_string()).unwrap_or_default(),
            template_version_id: self.template_version_id.map(|id| id.to_string()).unwrap_or_default(),
            backend: self.backend.as_deref().map(backend_of).unwrap_or_default().into(),
            parameters: self.parameters.0.clone().into_iter().collect(),
            ttl_ms: self.ttl_ms,
            status: status.unwrap_or_default().into(),
            status_message: self.status_message.clone(),
            latest_build: latest_build.map(workspace_builds::Row::to_wire),
            agent: Some(agent),
            created_at: Some(time_to_wire(self.created_at)),
            last_used_at: Some(time_to_wire(self.last_used_at)),
        }
    }
}
