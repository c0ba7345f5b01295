//! Builds: what starts, stops and deletes workspaces, run by whoever holds their lease.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use super::{Workspaces, not_found, read, user_filter};
use crate::db::workspace_builds::{self, End, Holder};
use crate::db::{settings, templates, workspaces};
use crate::error::{Error, violations};
use crate::idempotency::{Attempt, Tx};
use crate::rpc::{convert, templates as template_rules};
use crate::template_spec::Broken;

/// How long a build stays with a runner that does not renew, in milliseconds.
const LEASE_MS: i64 = 20_000;

/// Idle workspaces that one claim stops.
const MAX_IDLE: i64 = 20;

const MAX_LOG_BYTES: usize = 64 * 1024;
const MAX_ERROR_BYTES: usize = 4 * 1024;
const MAX_CODE_BYTES: usize = 64;
const DEFAULT_BUILDS: i32 = 20;
const MAX_BUILDS: i32 = 100;

/// Running workspaces a user may have; 0 or unset: any number.
const QUOTA: &str = "max_running_workspaces";

/// What a build says that a user's quota kept from starting.
pub(crate) const INSUFFICIENT_QUOTA: &str = "INSUFFICIENT_QUOTA";

/// Gives the parameters of a workspace that is about to start new values, and takes it to its template's active version where that is
/// required. Whether it has another version now. The workspace is locked by this transaction, and the row follows.
pub(super) async fn prepare(
    conn: &mut PgConnection,
    row: &mut workspaces::Row,
    given: &BTreeMap<String, String>,
) -> Result<bool, Error> {
    // Nobody makes another version the active one until this start is stored.
    let active = match row.template_id {
        Some(template) => templates::active(&mut *conn, template).await?,
        None => None,
    };
    let required = active
        .filter(|active| active.is_required)
        .map(|active| active.version_id);
    let newer = required.filter(|version| row.template_version_id != Some(*version));
    if newer.is_none() && given.is_empty() {
        return Ok(false);
    }
    let version = match newer.or(row.template_version_id) {
        Some(version) => templates::version(&mut *conn, version).await?,
        None => None,
    };
    let (_, spec) = version.ok_or_else(template_rules::not_found)?;
    let values = match newer {
        Some(_) => spec.renew(&row.parameters, given).map_err(outdated),
        None => {
            let changed = spec.change(&row.parameters, given);
            changed.map_err(|broken| template_rules::refused("", broken))
        }
    };
    row.parameters.0 = values?;
    row.template_version_id = newer.or(row.template_version_id);
    workspaces::set_version(conn, row.id, row.template_version_id, &row.parameters).await?;
    Ok(newer.is_some())
}

/// The workspace cannot start with the version it has, and not with the active one either.
fn outdated(broken: Vec<Broken>) -> Error {
    let wrong: Vec<String> = broken.iter().map(|(field, rule)| format!("{field} {rule}")).collect();
    let text = format!(
        "The workspace must start with its template's active version, which asks for other parameters: {}. Start it with values for them, \
        or ask the user to.",
        wrong.join("; ")
    );
    violations(&text, template_rules::named("", broken))
}

/// Makes a build of a workspace that this transaction has locked. Whoever starts one more than the quota allows is refused here, where
/// nobody else of the same user can get in between.
pub(super) async fn begin(
    conn: &mut PgConnection,
    row: &workspaces::Row,
    transition: WorkspaceTransition,
    reason: BuildReason,
    initiator: Option<Uuid>,
) -> Result<Uuid, Error> {
    let [transition_name, meanwhile, _] =
        workspace_builds::transition_names(transition).ok_or_else(|| convert::one("transition", "must be set"))?;
    let version = match row.template_version_id {
        Some(version) => version,
        None => templates::local(&mut *conn, row.organization_id).await?.1,
    };
    if transition == WorkspaceTransition::Start {
        let budget = settings::deployment(&mut *conn, QUOTA).await?;
        let budget = budget.and_then(|budget| budget.as_i64()).unwrap_or_default();
        if budget > 0 {
            let running = workspaces::lock_and_count_running(&mut *conn, row.owner_id, row.id).await?;
            if running >= budget {
                return Err(over_quota(running, budget));
            }
        }
    }
    workspaces::set_status(&mut *conn, row.id, meanwhile, "").await?;
    let reason = workspace_builds::reason_name(reason);
    Ok(workspace_builds::insert(conn, row.id, transition_name, reason, version, initiator).await?)
}

fn over_quota(running: i64, budget: i64) -> Error {
    let text = format!("{running} of the user's workspaces run, and {budget} may run at once. Stop one of them first.");
    Fault::wrong_state(INSUFFICIENT_QUOTA, text)
        .with("credits_consumed", running)
        .with("budget", budget)
        .into()
}

impl Workspaces {
    pub(super) async fn build(
        &self,
        attempt: Option<&Attempt>,
        user: &User,
        request: CreateWorkspaceBuildRequest,
    ) -> Result<CreateWorkspaceBuildResponse, Error> {
        let id = convert::id(&request.workspace_id, "workspace_id")?;
        let transition = request.transition();
        let reason = match request.reason() {
            BuildReason::Chat => BuildReason::Chat,
            BuildReason::Unspecified | BuildReason::User | BuildReason::Idle => BuildReason::User,
        };
        let given: BTreeMap<String, String> = request.parameters.into_iter().collect();
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        let mut row = workspaces::lock(&mut tx, id, user_filter(user))
            .await?
            .ok_or_else(not_found)?;
        let latest: Vec<Uuid> = row.latest_build_id.into_iter().collect();
        let latest = workspace_builds::find(&mut tx, &latest).await?.pop();
        if let Some(open) = latest.as_ref().filter(|latest| latest.is_open()) {
            let text = "The workspace is being started, stopped or deleted. Wait for the end of that.";
            return Err(Fault::conflict("BUILD_IN_PROGRESS", text)
                .with("build_id", open.id)
                .into());
        }
        let is_so = match &latest {
            Some(latest) => latest.status == "succeeded" && latest.transition() == transition,
            // One of before there were builds may be running without any.
            None => transition == WorkspaceTransition::Stop && row.status == "stopped",
        };
        let mut is_updated = false;
        if transition == WorkspaceTransition::Start {
            if is_so && !given.is_empty() {
                let rule = "can be changed while the workspace is stopped";
                return Err(convert::one("parameters", rule));
            }
            if !is_so {
                is_updated = prepare(&mut tx, &mut row, &given).await?;
            }
        }
        if !is_so {
            begin(&mut tx, &row, transition, reason, Some(user.id)).await?;
        }
        let answer = CreateWorkspaceBuildResponse {
            workspace: Some(read(&mut tx, id).await?),
            is_unchanged: is_so,
            is_updated,
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    pub(super) async fn builds(
        &self,
        user: &User,
        request: ListWorkspaceBuildsRequest,
    ) -> Result<ListWorkspaceBuildsResponse, Error> {
        let id = convert::id(&request.workspace_id, "workspace_id")?;
        let limit = convert::limit(request.limit, DEFAULT_BUILDS, MAX_BUILDS)?;
        let mut conn = self.pool.acquire().await?;
        workspaces::find(&mut conn, id, user_filter(user))
            .await?
            .ok_or_else(not_found)?;
        let rows = workspace_builds::list(&mut conn, id, i64::from(limit)).await?;
        let builds = rows.iter().map(workspace_builds::Row::to_wire).collect();
        Ok(ListWorkspaceBuildsResponse { builds })
    }

    pub(super) async fn claim(
        &self,
        request: ClaimWorkspaceBuildRequest,
    ) -> Result<ClaimWorkspaceBuildResponse, Error> {
        let runner = convert::id(&request.runner_id, "runner_id")?;
        let build = convert::optional_id(&request.build_id, "build_id")?;
        let mut tx = self.pool.begin().await?;
        if build.is_none() {
            for id in workspaces::lock_idle(&mut tx, MAX_IDLE).await? {
                let row = workspaces::find(&mut tx, id, None).await?.ok_or_else(not_found)?;
                begin(&mut tx, &row, WorkspaceTransition::Stop, BuildReason::Idle, None).await?;
            }
        }
        let claimed = workspace_builds::claim(&mut tx, runner, build, LEASE_MS).await?;
        let answer = match claimed {
            None => ClaimWorkspaceBuildResponse::default(),
            Some(claimed) => {
                let version = templates::version(&mut tx, claimed.template_version_id).await?;
                let (backend, spec) = version.ok_or_else(template_rules::not_found)?;
                ClaimWorkspaceBuildResponse {
                    workspace: Some(read(&mut tx, claimed.workspace_id).await?),
                    spec: Some(spec.to_wire(&backend)),
                    build: Some(claimed.to_wire()),
                }
            }
        };
        tx.commit().await?;
        Ok(answer)
    }

    pub(super) async fn renew(&self, request: RenewWorkspaceBuildRequest) -> Result<(), Error> {
        let holder = holder(&request.build_id, &request.runner_id, request.attempt)?;
        check_log(&request.log)?;
        let mut conn = self.pool.acquire().await?;
        let is_held = workspace_builds::renew(&mut conn, &holder, LEASE_MS, &request.log).await?;
        if is_held { Ok(()) } else { Err(stale()) }
    }

    pub(super) async fn finish(&self, request: FinishWorkspaceBuildRequest) -> Result<Workspace, Error> {
        let holder = holder(&request.build_id, &request.runner_id, request.attempt)?;
        check_log(&request.log)?;
        if request.error.len() > MAX_ERROR_BYTES || request.error_code.len() > MAX_CODE_BYTES {
            return Err(convert::one("error", "must have at most 4 KiB"));
        }
        let status = match request.status() {
            BuildStatus::Succeeded => "succeeded",
            BuildStatus::Failed => "failed",
            BuildStatus::Canceled => "canceled",
            BuildStatus::Unspecified | BuildStatus::Pending | BuildStatus::Running | BuildStatus::Canceling => {
                return Err(convert::one("status", "must be an end"));
            }
        };
        let end = End {
            status,
            error: &request.error,
            error_code: &request.error_code,
            startup: workspace_builds::startup_name(request.startup()),
            log: &request.log,
        };
        let mut tx = self.pool.begin().await?;
        let ended = workspace_builds::finish(&mut tx, &holder, &end)
            .await?
            .ok_or_else(stale)?;
        let names = workspace_builds::transition_names(ended.transition());
        let [_, _, afterwards] = names.ok_or_else(|| Error::damaged("workspace_builds", "no transition"))?;
        let afterwards = if status == "succeeded" { afterwards } else { "failed" };
        workspaces::set_status(&mut tx, ended.workspace_id, afterwards, &request.error).await?;
        let workspace = if afterwards == "deleted" {
            // Nobody reads it any more.
            Workspace {
                id: ended.workspace_id.to_string(),
                status: WorkspaceStatus::Deleted.into(),
                ..Workspace::default()
            }
        } else {
            read(&mut tx, ended.workspace_id).await?
        };
        tx.commit().await?;
        Ok(workspace)
    }
}

fn holder(build: &str, runner: &str, attempt: i32) -> Result<Holder, Error> {
    Ok(Holder {
        build: convert::id(build, "build_id")?,
        runner: convert::id(runner, "runner_id")?,
        attempt,
    })
}

fn check_log(log: &str) -> Result<(), Error> {
    if log.len() > MAX_LOG_BYTES || log.contains('\0') {
        return Err(convert::one("log", "must have at most 64 KiB and no NUL characters"));
    }
    Ok(())
}

fn stale() -> Error {
    Fault::conflict("STALE_BUILD", "The build belongs to another runner now, or has ended.").into()
}
