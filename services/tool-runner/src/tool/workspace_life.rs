//! What the tools that make, start and stop workspaces have in common: waiting for a build, saying whether the workspace can be worked in,
//! and telling failures so that the fields survive.

use serde_json::{Map, Value, json};
use tandem_chassis::idempotency::Attempt;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{BuildStatus, StartupOutcome, Workspace, WorkspaceBuild};
use tokio::sync::OwnedMutexGuard;
use tonic::Status;

use super::{Outcome, Stop};
use crate::call::Context;
use crate::workspace;
use crate::workspace::life::{Mark, is_open};

/// The word by which storage refuses a start beyond the user's quota.
const INSUFFICIENT_QUOTA: &str = "INSUFFICIENT_QUOTA";

/// A result as it grows.
pub(super) type Shown = Map<String, Value>;

/// One at a time of the tools that change a chat's workspace. One that was cancelled meanwhile does nothing.
pub(super) async fn turn(context: &Context<'_>) -> Result<OwnedMutexGuard<()>, Stop> {
    let turn = context.workspaces().one_at_a_time(&context.input().chat_id);
    tokio::select! {
        biased;
        () = context.call.cancelled.cancelled() => Err(Stop::Failed("interrupted; nothing was done".to_owned())),
        turn = turn.lock_owned() => Ok(turn),
    }
}

/// The call's own key: run again after a crash, it does not do again what it has done.
pub(super) fn mark(context: &Context<'_>, what: &str) -> Result<Mark, Stop> {
    let key = format!("tool-call-{}", context.process_id());
    let attempt = Attempt::new(&key, what).map_err(|error| Stop::Failed(error.to_string()))?;
    Ok(Some(attempt))
}

/// The chat's workspace, as it is.
pub(super) async fn find(context: &Context<'_>) -> Result<Option<Workspace>, Stop> {
    let input = context.input();
    let found = context.workspaces().find(&input.user, &input.chat_id).await;
    found.map_err(|status| Stop::Failed(Fault::from(status).message))
}

/// The workspace after the build it is in. Stops waiting when the call is cancelled; the build goes on.
pub(super) async fn settled(context: &Context<'_>, workspace: &Workspace) -> Result<Workspace, Stop> {
    tokio::select! {
        biased;
        () = context.call.cancelled.cancelled() => {
            Err(Stop::Failed("interrupted while the workspace was being built; the build goes on".to_owned()))
        }
        settled = context.workspaces().settled(workspace) => Ok(settled?),
    }
}

/// `owner/name`.
pub(super) fn full_name(workspace: &Workspace) -> String {
    format!("{}/{}", workspace.owner_username, workspace.name)
}

/// The id of the latest build.
pub(super) fn build_id(workspace: &Workspace) -> &str {
    workspace.latest_build.as_ref().map_or("", |build| build.id.as_str())
}

/// Whether the latest build has not ended.
pub(super) fn is_building(workspace: &Workspace) -> bool {
    workspace.latest_build.as_ref().is_some_and(is_open)
}

/// Whether the latest build did what it was for.
pub(super) fn has_succeeded(workspace: &Workspace) -> bool {
    let latest = workspace.latest_build.as_ref();
    latest.is_some_and(|build| build.status() == BuildStatus::Succeeded)
}

/// Adds whether the workspace can be worked in; nothing when all is well.
pub(super) async fn add_readiness(context: &Context<'_>, workspace: &Workspace, shown: &mut Shown) {
    let input = context.input();
    let is_ready = tokio::select! {
        is_ready = context.workspaces().is_ready(&input.user, &input.chat_id) => is_ready,
        () = context.call.cancelled.cancelled() => Err(workspace::Error::Interrupted),
    };
    if let Err(error) = is_ready {
        let status = match error {
            workspace::Error::NoAgent => "no_agent",
            _ => "not_ready",
        };
        shown.insert("agent_status".to_owned(), status.into());
        shown.insert("agent_error".to_owned(), error.to_string().into());
    }
    add_startup(workspace.latest_build.as_ref(), shown);
}

fn add_startup(build: Option<&WorkspaceBuild>, shown: &mut Shown) {
    let outcome = match build.map(WorkspaceBuild::startup).unwrap_or_default() {
        StartupOutcome::Unspecified | StartupOutcome::Succeeded => return,
        StartupOutcome::Failed => "startup_scripts_failed",
        StartupOutcome::Timeout => "startup_scripts_timeout",
        StartupOutcome::Unknown => "startup_scripts_unknown",
    };
    shown.insert("startup_scripts".to_owned(), outcome.into());
    if outcome == "startup_scripts_failed" {
        shown.insert("lifecycle_state".to_owned(), "start_error".into());
    }
}

/// A build that failed, as a result: as an error its fields would be lost.
pub(super) fn build_failed(workspace: &Workspace) -> Outcome {
    let build = workspace.latest_build.clone().unwrap_or_default();
    let error = if build.error.is_empty() {
        "The workspace could not be built.".to_owned()
    } else {
        build.error
    };
    if build.error_code == INSUFFICIENT_QUOTA {
        let mut shown = quota(&error);
        shown.insert("build_id".to_owned(), build.id.into());
        return Outcome::Done(shown.into());
    }
    Outcome::Done(json!({ "error": error, "build_id": build.id }))
}

/// What storage refused, as a result: as an error its fields would be lost.
pub(super) fn refused(status: Status) -> Outcome {
    let fault = Fault::from(status);
    let error = if fault.message.is_empty() {
        "request failed".to_owned()
    } else {
        fault.message
    };
    if fault.reason == INSUFFICIENT_QUOTA {
        let mut shown = quota(&error);
        let number = |key: &str| fault.metadata.get(key)?.parse::<i64>().ok();
        if let (Some(consumed), Some(budget)) = (number("credits_consumed"), number("budget")) {
            let numbers = json!({ "credits_consumed": consumed, "budget": budget });
            shown.insert("quota".to_owned(), numbers);
        }
        return Outcome::Done(shown.into());
    }
    let mut shown = json!({ "error": error });
    if !fault.violations.is_empty() {
        let validations = fault.violations.iter();
        shown["validations"] = validations
            .map(|violation| json!({ "field": violation.field, "detail": violation.description }))
            .collect();
    }
    if let Some(build_id) = fault.metadata.get("build_id") {
        shown["build_id"] = build_id.as_str().into();
    }
    Outcome::Done(shown)
}

fn quota(error: &str) -> Shown {
    let shown = json!({
        "error_code": INSUFFICIENT_QUOTA,
        "error": error,
        "title": "Workspace quota reached",
        "message": error,
        "next_steps": [
            "Stop a workspace that is not needed, or attach the chat to one that runs.",
            "If all of them are needed, ask the user to have an administrator raise the quota.",
        ],
    });
    match shown {
        Value::Object(shown) => shown,
        _ => Shown::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_told_with_its_numbers_and_what_to_do() {
        let fault = Fault::wrong_state("INSUFFICIENT_QUOTA", "2 run.")
            .with("credits_consumed", 2)
            .with("budget", 2);
        let Outcome::Done(shown) = refused(fault.into()) else {
            panic!("a result with fields");
        };
        assert_eq!(shown["error_code"], "INSUFFICIENT_QUOTA");
        assert_eq!(shown["title"], "Workspace quota reached");
        assert_eq!(shown["quota"], json!({ "credits_consumed": 2, "budget": 2 }));
        assert_eq!(shown["next_steps"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let fault =
            Fault::invalid("INVALID_REQUEST", "parameters.a is required").violation("parameters.a", "is required");
        let expected = json!({ "error": "parameters.a is required",
            "validations": [{ "field": "parameters.a", "detail": "is required" }] });
        assert_eq!(refused(fault.into()), Outcome::Done(expected));
    }

    #[test]
    fn a_script_that_failed_is_told_and_one_that_succeeded_is_not() {
        let shown_for = |startup: StartupOutcome| {
            let build = WorkspaceBuild {
                startup: startup.into(),
                ..WorkspaceBuild::default()
            };
            let mut shown = Shown::new();
            add_startup(Some(&build), &mut shown);
            Value::from(shown)
        };
        assert_eq!(shown_for(StartupOutcome::Succeeded), json!({}));
        let failed = json!({ "startup_scripts": "startup_scripts_failed", "lifecycle_state": "start_error" });
        assert_eq!(shown_for(StartupOutcome::Failed), failed);
        assert_eq!(
            shown_for(StartupOutcome::Timeout),
            json!({ "startup_scripts": "startup_scripts_timeout" })
        );
    }
}
