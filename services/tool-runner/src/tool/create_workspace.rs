//! `create_workspace`: makes a workspace of a template, starts it and binds the chat to it. A workspace the chat has already is kept as
//! long as it is of use, so that a call which comes again makes no second one.

use std::collections::HashMap;

use serde_json::{Value, json};
use tandem_proto::storage::v1::{CreateWorkspaceRequest, TemplateBackend, Workspace, WorkspaceStatus};
use tonic::Code;

use super::arguments::{Arguments, must_be};
use super::workspace_life::{
    Shown, add_readiness, build_failed, build_id, find, full_name, has_succeeded, is_building, mark, refused, settled,
    turn,
};
use super::{Outcome, Stop, read_template};
use crate::call::Context;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Makes a workspace of a template, starts it and binds this chat to it. Waits until it can be worked in. A chat has \
        one workspace: when it has one already, that is told instead. Look at the template with read_template first.";
    let schema = json!({
        "type": "object",
        "properties": {
            "template_id": { "type": "string", "description": "Id from list_templates." },
            "name": { "type": "string", "description": "Letters and digits joined by hyphens. Default: made from the template's name." },
            "parameters": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "Values of the template's parameters by name, all as text.",
            },
            "preset_id": { "type": "string", "description": "Id of one of the template's presets. Default: its default preset." },
        },
        "required": ["template_id"],
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let template_id = read_template::template_id(arguments)?;
    let preset_id = match arguments.optional_text("preset_id")?.map(str::trim) {
        None | Some("") => String::new(),
        Some(id) => match uuid::Uuid::try_parse(id) {
            Ok(id) => id.to_string(),
            Err(_) => return Err(must_be("preset_id", "a uuid from read_template")),
        },
    };
    let message = CreateWorkspaceRequest {
        template_id,
        name: arguments.optional_text("name")?.unwrap_or_default().to_owned(),
        parameters: texts(arguments, "parameters")?,
        preset_id,
        ttl_ms: None,
        chat_id: context.input().chat_id.clone(),
    };
    let _turn = turn(context).await?;
    if let Some(existing) = find(context).await?
        && let Some(outcome) = kept(context, existing).await?
    {
        return Ok(outcome);
    }
    let (made, is_existing) = match context
        .workspaces()
        .create(&context.input().user, message, mark(context, "create")?)
        .await
    {
        Ok(made) => made.into_inner(),
        Err(status) if status.code() == Code::NotFound => return Err(Stop::Failed(read_template::UNKNOWN.to_owned())),
        Err(status) => return Ok(refused(status)),
    };
    if is_existing && let Some(outcome) = kept(context, made.clone()).await? {
        return Ok(outcome);
    }
    let made = settled(context, &made).await?;
    if !has_succeeded(&made) {
        return Ok(build_failed(&made));
    }
    let mut shown = Shown::from_iter([
        ("created".to_owned(), true.into()),
        ("workspace_name".to_owned(), full_name(&made).into()),
        ("build_id".to_owned(), build_id(&made).into()),
    ]);
    add_readiness(context, &made, &mut shown).await;
    Ok(Outcome::Done(shown.into()))
}

/// What is told of the workspace the chat has; `None` when it is of no use any more.
async fn kept(context: &Context<'_>, existing: Workspace) -> Result<Option<Outcome>, Stop> {
    let was_building = is_building(&existing);
    let existing = match was_building {
        true => settled(context, &existing).await?,
        false => existing,
    };
    let name = full_name(&existing);
    match existing.status() {
        WorkspaceStatus::Running if was_building || is_reachable(context, &existing) => {
            let mut shown = Shown::from_iter([
                ("created".to_owned(), false.into()),
                ("workspace_name".to_owned(), name.into()),
                ("status".to_owned(), "already_exists".into()),
                (
                    "message".to_owned(),
                    "The chat has a workspace already; work in it.".into(),
                ),
                ("build_id".to_owned(), build_id(&existing).into()),
            ]);
            add_readiness(context, &existing, &mut shown).await;
            Ok(Some(Outcome::Done(shown.into())))
        }
        WorkspaceStatus::Stopped => Ok(Some(Outcome::Done(json!({
            "created": false,
            "workspace_name": name,
            "status": "stopped",
            "message": "The chat has a workspace, which is stopped. Use start_workspace to start it.",
        })))),
        _ => Ok(None),
    }
}

/// Agents of ours start when they are needed; others are there or not.
fn is_reachable(context: &Context<'_>, workspace: &Workspace) -> bool {
    let is_known = workspace.agent.as_ref().is_some_and(|agent| agent.is_connected);
    workspace.backend() == TemplateBackend::Local || is_known || context.workspaces().is_connected(&workspace.id)
}

/// An object of texts; numbers and truth values are taken as they are written.
pub(super) fn texts(arguments: &Arguments, name: &str) -> Result<HashMap<String, String>, Stop> {
    let fields = match arguments.get(name) {
        None => return Ok(HashMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(must_be(name, "an object of texts")),
    };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) | Value::Array(_) => Ok(value.to_string()),
        Value::Null | Value::Object(_) => Err(must_be(name, "an object of texts")),
    };
    fields
        .iter()
        .map(|(key, value)| Ok((key.clone(), text(value)?)))
        .collect()
}
