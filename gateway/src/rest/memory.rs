//! What the model remembers: compaction on request, forgetting, thresholds; and the second try of a failed turn.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1::{
    self as proto, ClearChatContextRequest, CompactChatRequest, RetryChatRequest, SettingScope,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Path, id, wire::chat::Chat};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// What storage keeps a threshold under, before the model's id.
const THRESHOLD: &str = "compaction_threshold:";

/// The caller's own thresholds.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserCompactionThresholds {
    pub thresholds: Vec<UserCompactionThreshold>,
}

/// At how much of a model's window history is compacted.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserCompactionThreshold {
    pub model_config_id: Uuid,
    /// Percent, 0 to 100; 100 = never.
    pub threshold_percent: i32,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateUserCompactionThresholdRequest {
    /// Percent, 0 to 100; 100 = never.
    pub threshold_percent: i32,
}

/// Tries a failed turn again as it stands.
#[utoipa::path(
    post, path = "/chats/{chat}/retry", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses((status = 200, body = Chat), (status = 409, description = "The last turn has not failed")),
)]
pub async fn retry(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<Chat>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let request = app.clients.ask(caller.user(), RetryChatRequest { chat_id });
    let answer = app.clients.commands.clone().retry_chat(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(Reply::ok(promised(answer.chat, "RetryChatResponse.chat")?.into()))
}

/// Replaces, for the model, the history by its summary. People still see everything.
#[utoipa::path(
    post, path = "/chats/{chat}/compact", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses((status = 200, body = Chat), (status = 409, description = "A turn is under way")),
)]
pub async fn compact(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<Chat>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let request = app.clients.ask(caller.user(), CompactChatRequest { chat_id });
    let answer = app.clients.commands.clone().compact_chat(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(Reply::ok(promised(answer.chat, "CompactChatResponse.chat")?.into()))
}

/// Makes the model forget the history. People still see everything.
#[utoipa::path(
    post, path = "/chats/{chat}/clear", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses((status = 200, body = Chat), (status = 409, description = "A turn is under way")),
)]
pub async fn clear(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<Chat>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let request = app.clients.ask(caller.user(), ClearChatContextRequest { chat_id });
    let answer = app.clients.commands.clone().clear_chat_context(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(Reply::ok(
        promised(answer.chat, "ClearChatContextResponse.chat")?.into(),
    ))
}

/// The caller's own compaction thresholds.
#[utoipa::path(get, path = "/chats/config/user-compaction-thresholds", tag = "settings",
    responses((status = 200, body = UserCompactionThresholds)))]
pub async fn thresholds(State(app): State<App>, caller: Principal) -> Result<Reply<UserCompactionThresholds>, Problem> {
    let message = proto::ListSettingsRequest {
        scope: SettingScope::User.into(),
        key_prefix: THRESHOLD.to_owned(),
    };
    let request = app.clients.ask(caller.user(), message);
    let found = app.clients.settings.clone().list_settings(request).await.answer()?;
    // Rows that cannot be read are skipped.
    let thresholds = found.settings.iter().filter_map(|setting| {
        Some(UserCompactionThreshold {
            model_config_id: setting.key.strip_prefix(THRESHOLD)?.parse().ok()?,
            threshold_percent: setting.value_json.parse().ok()?,
        })
    });
    Ok(Reply::ok(UserCompactionThresholds {
        thresholds: thresholds.collect(),
    }))
}

/// Sets the caller's own compaction threshold for a model.
#[utoipa::path(put, path = "/chats/config/user-compaction-thresholds/{model_config}", tag = "settings",
    params(("model_config" = Uuid, Path)),
    request_body = UpdateUserCompactionThresholdRequest,
    responses((status = 200, body = UserCompactionThreshold), (status = 404, description = "No such model")))]
pub async fn put_threshold(
    State(app): State<App>,
    caller: Principal,
    Path(model): Path<String>,
    Body(body): Body<UpdateUserCompactionThresholdRequest>,
) -> Result<Reply<UserCompactionThreshold>, Problem> {
    let model_config_id = id("model_config", &model)?;
    let threshold_percent = body.threshold_percent;
    if !(0..=100).contains(&threshold_percent) {
        return Err(Problem::field("threshold_percent", "must be from 0 to 100"));
    }
    let message = proto::GetModelConfigRequest {
        id: model_config_id.to_string(),
    };
    let request = app.clients.ask(caller.user(), message);
    let found = app.clients.settings.clone().get_model_config(request).await.answer()?;
    if !promised(found.model_config, "GetModelConfigResponse.model_config")?.is_enabled {
        return Err(Problem::invalid("MODEL_DISABLED", "This model is disabled."));
    }
    store(&app, &caller, model_config_id, threshold_percent.to_string()).await?;
    Ok(Reply::ok(UserCompactionThreshold {
        model_config_id,
        threshold_percent,
    }))
}

/// Goes back to the model's own threshold.
#[utoipa::path(delete, path = "/chats/config/user-compaction-thresholds/{model_config}", tag = "settings",
    params(("model_config" = Uuid, Path)), responses((status = 204)))]
pub async fn delete_threshold(
    State(app): State<App>,
    caller: Principal,
    Path(model): Path<String>,
) -> Result<StatusCode, Problem> {
    store(&app, &caller, id("model_config", &model)?, String::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn store(app: &App, caller: &Principal, model: Uuid, value_json: String) -> Result<(), Problem> {
    let message = proto::SetSettingRequest {
        scope: SettingScope::User.into(),
        key: format!("{THRESHOLD}{model}"),
        value_json,
    };
    let request = app.clients.ask(caller.user(), message);
    app.clients.settings.clone().set_setting(request).await.answer()?;
    Ok(())
}
