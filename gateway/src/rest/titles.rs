//! Titles that a model makes on request, and the model the operator chose for titles.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::{
    orchestrator::v1::{ProposeTitleRequest, RegenerateTitleRequest},
    storage::v1::{GetModelConfigRequest, GetSettingRequest, SetSettingRequest, SettingScope},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Path, id,
    wire::{chat::Chat, or_default},
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// Time a title has; the model gets most of it.
const TITLE_DEADLINE: Duration = Duration::from_secs(45);

/// What a model can be chosen for, and the setting that keeps the choice.
const CONTEXT: &str = "title_generation";
const SETTING: &str = "model_override:title_generation";

/// A title that nobody has taken over yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProposedTitle {
    /// Empty if the chat has no messages.
    pub title: String,
}

/// The model chosen for something, in place of the usual one.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatModelOverride {
    /// `title_generation`.
    pub context: String,
    /// Empty when none is chosen.
    pub model_config_id: String,
    /// What is stored names no model; no title is made until another choice is.
    pub is_malformed: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateChatModelOverride {
    /// Empty: none.
    #[serde(default, deserialize_with = "or_default")]
    pub model_config_id: String,
}

/// Has a model name the chat anew. A person who renames it meanwhile wins; asked again, it is named once more.
#[utoipa::path(
    post, path = "/chats/{chat}/title/regenerate", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses(
        (status = 200, body = Chat),
        (status = 409, description = "A title is being made already, or the spend limit is reached"),
        (status = 502, description = "No model gave a title"),
    ),
)]
pub async fn regenerate(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<Chat>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let message = RegenerateTitleRequest { chat_id };
    let request = app.clients.ask_within(caller.user(), TITLE_DEADLINE, message);
    let answer = app.clients.commands.clone().regenerate_title(request).await.answer();
    let answer = answer.map_err(not_made)?;
    Ok(Reply::ok(promised(answer.chat, "RegenerateTitleResponse.chat")?.into()))
}

/// What a model would name the chat now. Nothing is changed.
#[utoipa::path(
    post, path = "/chats/{chat}/title/propose", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses(
        (status = 200, body = ProposedTitle),
        (status = 409, description = "A title is being made already, or the spend limit is reached"),
        (status = 502, description = "No model gave a title"),
    ),
)]
pub async fn propose(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<ProposedTitle>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let message = ProposeTitleRequest { chat_id };
    let request = app.clients.ask_within(caller.user(), TITLE_DEADLINE, message);
    let answer = app.clients.commands.clone().propose_title(request).await.answer();
    let title = answer.map_err(not_made)?.title;
    Ok(Reply::ok(ProposedTitle { title }))
}

/// The model chosen for titles; administrators only, others do not see that there is one.
#[utoipa::path(get, path = "/chats/config/model-override/{context}", tag = "settings",
    params(("context" = String, Path, description = "title_generation")),
    responses((status = 200, body = ChatModelOverride)))]
pub async fn get_override(
    State(app): State<App>,
    caller: Principal,
    Path(context): Path<String>,
) -> Result<Reply<ChatModelOverride>, Problem> {
    if !caller.user().is_admin {
        return Err(Problem::not_found());
    }
    known(&context)?;
    let message = GetSettingRequest {
        scope: SettingScope::Deployment.into(),
        key: SETTING.to_owned(),
    };
    let request = app.clients.ask(caller.user(), message);
    let stored = app
        .clients
        .settings
        .clone()
        .get_setting(request)
        .await
        .answer()?
        .value_json;
    let chosen: Option<String> = serde_json::from_str(&stored).ok();
    let chosen = chosen.filter(|text| text.is_empty() || Uuid::parse_str(text).is_ok());
    Ok(Reply::ok(ChatModelOverride {
        context,
        is_malformed: chosen.is_none() && !stored.is_empty(),
        model_config_id: chosen.unwrap_or_default(),
    }))
}

/// Chooses the model for titles; administrators only. No other model is asked then, whatever happens.
#[utoipa::path(put, path = "/chats/config/model-override/{context}", tag = "settings",
    params(("context" = String, Path, description = "title_generation")),
    request_body = UpdateChatModelOverride, responses((status = 204)))]
pub async fn put_override(
    State(app): State<App>,
    caller: Principal,
    Path(context): Path<String>,
    Body(body): Body<UpdateChatModelOverride>,
) -> Result<StatusCode, Problem> {
    caller.require_admin()?;
    known(&context)?;
    let value_json = match body.model_config_id.as_str() {
        "" => String::new(),
        text => {
            let model = id("model_config_id", text)?;
            check(&app, &caller, model).await?;
            format!("\"{model}\"")
        }
    };
    let message = SetSettingRequest {
        scope: SettingScope::Deployment.into(),
        key: SETTING.to_owned(),
        value_json,
    };
    let request = app.clients.ask(caller.user(), message);
    app.clients.settings.clone().set_setting(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a model that is not there or cannot be used.
async fn check(app: &App, caller: &Principal, model: Uuid) -> Result<(), Problem> {
    let message = GetModelConfigRequest { id: model.to_string() };
    let request = app.clients.ask(caller.user(), message);
    let found = app.clients.settings.clone().get_model_config(request).await.answer();
    let found = found.map_err(|fault| Problem::from(fault).references_are_invalid(&[]))?;
    let found = promised(found.model_config, "GetModelConfigResponse.model_config")?;
    if found.is_enabled && found.is_provider_enabled && !found.is_deleted {
        return Ok(());
    }
    Err(Problem::invalid(
        "MODEL_DISABLED",
        "This model or its provider is disabled.",
    ))
}

fn known(context: &str) -> Result<(), Problem> {
    if context == CONTEXT {
        Ok(())
    } else {
        Err(Problem::field("context", "must be title_generation"))
    }
}

/// A model that failed is not Tandem being away.
fn not_made(fault: Fault) -> Problem {
    let is_model = fault.code == Code::Unavailable && fault.reason == "TITLE_FAILED";
    let problem = Problem::from(fault);
    if is_model {
        problem.with_status(StatusCode::BAD_GATEWAY)
    } else {
        problem
    }
}
