//! `start_workspace`: starts the chat's workspace, unless it runs.

use serde_json::{Value, json};
use tandem_proto::storage::v1::{BuildReason, CreateWorkspaceBuildRequest, WorkspaceStatus, WorkspaceTransition};

use super::arguments::Arguments;
use super::create_workspace::texts;
use super::workspace_life::{
    Shown, add_readiness, build_failed, build_id, find, full_name, has_succeeded, mark, refused, settled, turn,
};
use super::{Outcome, Stop};
use crate::call::Context;

/// What is said to a chat that has nothing to start or stop.
pub(super) const NO_WORKSPACE: &str = "The chat has no workspace. Use create_workspace to make one.";

/// Why a start changed more than it was asked to, and what that means.
const UPDATE_REASON: &str = "template_requires_active_version";
const UPDATED: &str = "The workspace was started with its template's active version, which the template requires. Tools and settings may differ.";

pub(super) fn definition() -> (&'static str, Value) {
    let description =
        "Starts this chat's workspace if it is stopped or its last start failed, and waits until it can be worked in.";
    let schema = json!({
        "type": "object",
        "properties": {
            "parameters": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "New values of parameters that may be changed, by name, all as text. Default: as they are.",
            },
        },
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let parameters = texts(arguments, "parameters")?;
    let _turn = turn(context).await?;
    let found = find(context)
        .await?
        .ok_or_else(|| Stop::Failed(NO_WORKSPACE.to_owned()))?;
    let settled_now = settled(context, &found).await?;
    let is_up = settled_now.status() == WorkspaceStatus::Running;
    // A start that was under way when this call came is this call's start.
    let had_build = is_up && build_id(&found) == build_id(&settled_now) && found.status() != WorkspaceStatus::Running;
    let (workspace, is_unchanged, is_updated) = if had_build {
        (settled_now, false, false)
    } else {
        let message = CreateWorkspaceBuildRequest {
            workspace_id: settled_now.id,
            transition: WorkspaceTransition::Start.into(),
            parameters,
            reason: BuildReason::Chat.into(),
        };
        match context
            .workspaces()
            .build(&context.input().user, message, mark(context, "start")?)
            .await
        {
            Ok(begun) => {
                let begun = begun.into_inner();
                let workspace = settled(context, &begun.workspace).await?;
                (workspace, begun.is_unchanged, begun.is_updated)
            }
            Err(status) => return Ok(refused(status)),
        }
    };
    if !has_succeeded(&workspace) {
        return Ok(build_failed(&workspace));
    }
    let mut shown = Shown::from_iter([
        ("started".to_owned(), true.into()),
        ("workspace_name".to_owned(), full_name(&workspace).into()),
    ]);
    match is_unchanged {
        true => shown.insert("no_build".to_owned(), true.into()),
        false => shown.insert("build_id".to_owned(), build_id(&workspace).into()),
    };
    if is_updated {
        shown.insert("updated_to_active_version".to_owned(), true.into());
        shown.insert("update_reason".to_owned(), UPDATE_REASON.into());
        shown.insert("message".to_owned(), UPDATED.into());
    }
    add_readiness(context, &workspace, &mut shown).await;
    Ok(Outcome::Done(shown.into()))
}
