//! The rows of `workspace_builds`. A runner holds a build by its id and the attempt's number until the lease ends.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{BuildReason, BuildStatus, StartupOutcome, WorkspaceBuild, WorkspaceTransition};
use time::OffsetDateTime;
use uuid::Uuid;

/// A build; its log only where it is asked for.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) workspace_id: Uuid,
    pub(crate) number: i32,
    pub(crate) transition: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) template_version_id: Uuid,
    pub(crate) initiator_id: Option<Uuid>,
    pub(crate) error: String,
    pub(crate) error_code: String,
    pub(crate) startup: String,
    pub(crate) log: String,
    pub(crate) attempt: i32,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) started_at: Option<OffsetDateTime>,
    pub(crate) finished_at: Option<OffsetDateTime>,
}

/// Who runs a build.
pub(crate) struct Holder {
    pub(crate) build: Uuid,
    pub(crate) runner: Uuid,
    pub(crate) attempt: i32,
}

/// How a build ended.
pub(crate) struct End<'a> {
    pub(crate) status: &'a str,
    pub(crate) error: &'a str,
    pub(crate) error_code: &'a str,
    pub(crate) startup: &'a str,
    pub(crate) log: &'a str,
}

/// Makes the next build of a workspace and the latest one of it.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    workspace: Uuid,
    transition: &str,
    reason: &str,
    version: Uuid,
    initiator: Option<Uuid>,
) -> Result<Uuid, sqlx::Error> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO workspace_builds (id, workspace_id, number, transition, reason, template_version_id, initiator_id)
        VALUES ($1, $2, coalesce((SELECT max(number) FROM workspace_builds WHERE workspace_id = $2), 0) + 1, $3, $4, $5, $6)",
        id,
        workspace,
        transition,
        reason,
        version,
        initiator
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE workspaces SET latest_build_id = $2 WHERE id = $1",
        workspace,
        id
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// These builds, without their logs; any order.
pub(crate) async fn find(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, workspace_id, number, transition, status, reason, template_version_id, initiator_id, error, error_code,
            startup, '' AS "log!", attempt, created_at, started_at, finished_at
        FROM workspace_builds WHERE id = ANY($1)"#,
        ids
    )
    .fetch_all(conn)
    .await
}

/// A workspace's builds with their logs, newest first.
pub(crate) async fn list(conn: &mut PgConnection, workspace: Uuid, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, workspace_id, number, transition, status, reason, template_version_id, initiator_id, error, error_code,
            startup, log, attempt, created_at, started_at, finished_at
        FROM workspace_builds WHERE workspace_id = $1 ORDER BY number DESC LIMIT $2",
        workspace,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Takes a build over that nobody runs: the one asked for, or the oldest.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    runner: Uuid,
    build: Option<Uuid>,
    lease_ms: i64,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "UPDATE workspace_builds SET status = 'running', runner_id = $1, attempt = attempt + 1,
            lease_expires_at = now() + make_interval(secs => $3::bigint / 1000.0), started_at = coalesce(started_at, now())
        WHERE id = (
            SELECT id FROM workspace_builds
            WHERE ($2::uuid IS NULL OR id = $2)
                AND (status = 'pending' OR status = 'running' AND lease_expires_at < now())
            ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, workspace_id, number, transition, status, reason, template_version_id, initiator_id, error, error_code,
            startup, log, attempt, created_at, started_at, finished_at",
        runner,
        build,
        lease_ms
    )
    .fetch_optional(conn)
    .await
}

/// Keeps a lease and shows the log so far. Whether the lease was still this holder's.
pub(crate) async fn renew(conn: &mut PgConnection, by: &Holder, lease_ms: i64, log: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE workspace_builds SET log = $5, lease_expires_at = now() + make_interval(secs => $4::bigint / 1000.0)
        WHERE id = $1 AND runner_id = $2 AND attempt = $3 AND status = 'running'",
        by.build,
        by.runner,
        by.attempt,
        lease_ms,
        log
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a build; its workspace, unless it is somebody else's now.
pub(crate) async fn finish(conn: &mut PgConnection, by: &Holder, end: &End<'_>) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "UPDATE workspace_builds SET status = $4, error = $5, error_code = $6, startup = $7, log = $8, finished_at = now(),
            lease_expires_at = NULL
        WHERE id = $1 AND runner_id = $2 AND attempt = $3 AND status = 'running'
        RETURNING id, workspace_id, number, transition, status, reason, template_version_id, initiator_id, error, error_code,
            startup, log, attempt, created_at, started_at, finished_at",
        by.build,
        by.runner,
        by.attempt,
        end.status,
        end.error,
        end.error_code,
        end.startup,
        end.log
    )
    .fetch_optional(conn)
    .await
}

/// A transition's stored name, what a workspace is called meanwhile, and what afterwards.
pub(crate) fn transition_names(transition: WorkspaceTransition) -> Option<[&'static str; 3]> {
    match transition {
        WorkspaceTransition::Start => Some(["start", "starting", "running"]),
        WorkspaceTransition::Stop => Some(["stop", "stopping", "stopped"]),
        WorkspaceTransition::Delete => Some(["delete", "deleting", "deleted"]),
        WorkspaceTransition::Unspecified => None,
    }
}

/// A reason's stored name.
pub(crate) fn reason_name(reason: BuildReason) -> &'static str {
    match reason {
        BuildReason::Chat => "chat",
        BuildReason::Idle => "idle",
        BuildReason::User | BuildReason::Unspecified => "user",
    }
}

/// The stored name of an outcome of a startup script.
pub(crate) fn startup_name(startup: StartupOutcome) -> &'static str {
    match startup {
        StartupOutcome::Unspecified => "none",
        StartupOutcome::Succeeded => "succeeded",
        StartupOutcome::Failed => "failed",
        StartupOutcome::Timeout => "timeout",
        StartupOutcome::Unknown => "unknown",
    }
}

impl Row {
    /// Which way it goes.
    pub(crate) fn transition(&self) -> WorkspaceTransition {
        match self.transition.as_str() {
            "start" => WorkspaceTransition::Start,
            "stop" => WorkspaceTransition::Stop,
            "delete" => WorkspaceTransition::Delete,
            _ => WorkspaceTransition::Unspecified,
        }
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "running")
    }

    pub(crate) fn to_wire(&self) -> WorkspaceBuild {
        let status = match self.status.as_str() {
            "pending" => BuildStatus::Pending,
            "running" => BuildStatus::Running,
            "succeeded" => BuildStatus::Succeeded,
            "failed" => BuildStatus::Failed,
            "canceled" => BuildStatus::Canceled,
            _ => BuildStatus::Unspecified,
        };
        let reason = match self.reason.as_str() {
            "user" => BuildReason::User,
            "chat" => BuildReason::Chat,
            "idle" => BuildReason::Idle,
            _ => BuildReason::Unspecified,
        };
        let startup = match self.startup.as_str() {
            "succeeded" => StartupOutcome::Succeeded,
            "failed" => StartupOutcome::Failed,
            "timeout" => StartupOutcome::Timeout,
            "unknown" => StartupOutcome::Unknown,
            _ => StartupOutcome::Unspecified,
        };
        WorkspaceBuild {
            id: self.id.to_string(),
            workspace_id: self.workspace_id.to_string(),
            number: self.number,
            transition: self.transition().into(),
            status: status.into(),
            reason: reason.into(),
            template_version_id: self.template_version_id.to_string(),
            initiator_id: self.initiator_id.map(|id| id.to_string()).unwrap_or_default(),
            error: self.error.clone(),
            error_code: self.error_code.clone(),
            startup: startup.into(),
            log: self.log.clone(),
            attempt: self.attempt,
            created_at: Some(time_to_wire(self.created_at)),
            started_at: self.started_at.map(time_to_wire),
            finished_at: self.finished_at.map(time_to_wire),
        }
    }
}
