//! `stop_workspace`: stops the chat's workspace with all that runs in it, unless it is stopped. Its files stay.

use serde_json::{Value, json};
use tandem_proto::storage::v1::{BuildReason, CreateWorkspaceBuildRequest, WorkspaceTransition};

use super::start_workspace::NO_WORKSPACE;
use super::workspace_life::{build_failed, build_id, find, full_name, has_succeeded, mark, refused, settled, turn};
use super::{Outcome, Stop};
use crate::call::Context;

pub(super) fn definition() -> (&'static str, Value) {
    let description =
        "Stops this chat's workspace with everything that runs in it. Its files stay; start_workspace starts it again.";
    (description, json!({ "type": "object", "properties": {} }))
}

pub(super) async fn run(context: &Context<'_>) -> Result<Outcome, Stop> {
    let _turn = turn(context).await?;
    let found = find(context)
        .await?
        .ok_or_else(|| Stop::Failed(NO_WORKSPACE.to_owned()))?;
    let found = settled(context, &found).await?;
    let message = CreateWorkspaceBuildRequest {
        workspace_id: found.id,
        transition: WorkspaceTransition::Stop.into(),
        reason: BuildReason::Chat.into(),
        ..CreateWorkspaceBuildRequest::default()
    };
    let (workspace, is_unchanged) = match context
        .workspaces()
        .build(&context.input().user, message, mark(context, "stop")?)
        .await
    {
        Ok(begun) => {
            let begun = begun.into_inner();
            (settled(context, &begun.workspace).await?, begun.is_unchanged)
        }
        Err(status) => return Ok(refused(status)),
    };
    let mut shown = json!({ "stopped": true, "workspace_name": full_name(&workspace) });
    if is_unchanged {
        shown["no_build"] = true.into();
        return Ok(Outcome::Done(shown));
    }
    if !has_succeeded(&workspace) {
        return Ok(build_failed(&workspace));
    }
    shown["build_id"] = build_id(&workspace).into();
    Ok(Outcome::Done(shown))
}
