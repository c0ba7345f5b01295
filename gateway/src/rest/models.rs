//! Models people can choose, and the catalogue of those the caller can use.

use axum::{extract::State, http::StatusCode};
use tandem_chassis::status::Code;
use tandem_proto::{common::v1 as common, provider::v1 as provider, storage::v1 as proto};
use uuid::Uuid;

use super::{
    Path, id,
    wire::{
        id_text,
        model::{
            ChatModelConfig, ChatModelsResponse, CreateChatModelConfigRequest, UpdateChatModelConfigRequest,
            call_config,
        },
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

const DEFAULT_COMPRESSION_THRESHOLD: i32 = 70;

/// The models the caller can use, by provider, and why not.
#[utoipa::path(get, path = "/chats/models", tag = "models", responses((status = 200, body = ChatModelsResponse)))]
pub async fn catalog(State(app): State<App>, who: Principal) -> Result<Reply<ChatModelsResponse>, Problem> {
    let request = app.clients.ask(who.user(), provider::ListCatalogRequest {});
    let catalog = app.clients.providers.clone().list_catalog(request).await.answer()?;
    Ok(Reply::ok(catalog.into()))
}

/// Administrators see all models, others those they can choose.
#[utoipa::path(get, path = "/chats/model-configs", tag = "models",
    responses((status = 200, body = Vec<ChatModelConfig>)))]
pub async fn list(State(app): State<App>, who: Principal) -> Result<Reply<Vec<ChatModelConfig>>, Problem> {
    let request = app.clients.ask(who.user(), proto::ListModelConfigsRequest {});
    let listed = app
        .clients
        .settings
        .clone()
        .list_model_configs(request)
        .await
        .answer()?;
    Ok(Reply::ok(
        listed.model_configs.into_iter().map(ChatModelConfig::from).collect(),
    ))
}

/// Adds a model; administrators only. The first one becomes the default.
#[utoipa::path(post, path = "/chats/model-configs", tag = "models", request_body = CreateChatModelConfigRequest,
    responses((status = 201, body = ChatModelConfig), (status = 412, description = "The provider is missing or disabled")))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateChatModelConfigRequest>,
) -> Result<Reply<ChatModelConfig>, Problem> {
    who.require_admin()?;
    let message = create_request(body)?;
    let request = app.clients.ask(who.user(), message);
    let created = app.clients.settings.clone().create_model_config(request).await.answer();
    let created = created.map_err(|fault| provider_is_precondition(fault.into()))?;
    let config = promised(created.model_config, "CreateModelConfigResponse.model_config")?;
    Ok(Reply::created(config.into()))
}

fn create_request(body: CreateChatModelConfigRequest) -> Result<proto::CreateModelConfigRequest, Problem> {
    let provider = body
        .ai_provider_id
        .filter(|provider| !provider.is_nil())
        .ok_or_else(|| Problem::field("ai_provider_id", "must name a provider"))?;
    let model = body.model.trim();
    if model.is_empty() {
        return Err(Problem::field("model", "must not be empty"));
    }
    let context_limit =
        context_limit(body.context_limit)?.ok_or_else(|| Problem::field("context_limit", "must be given"))?;
    let compression_threshold =
        compression_threshold(body.compression_threshold)?.unwrap_or(DEFAULT_COMPRESSION_THRESHOLD);
    let config = common::ModelConfig {
        provider_id: provider.to_string(),
        model: model.to_owned(),
        display_name: body.display_name.trim().to_owned(),
        is_enabled: body.enabled.unwrap_or(true),
        is_default: body.is_default.unwrap_or(false),
        context_limit,
        compression_threshold,
        call_config_json: body.model_config.map(call_config).transpose()?.unwrap_or_default(),
        ..Default::default()
    };
    Ok(proto::CreateModelConfigRequest {
        model_config: Some(config),
    })
}

fn context_limit(limit: Option<i64>) -> Result<Option<i64>, Problem> {
    match limit {
        Some(limit) if limit <= 0 => Err(Problem::field("context_limit", "must be above 0")),
        limit => Ok(limit),
    }
}

fn compression_threshold(percent: Option<i32>) -> Result<Option<i32>, Problem> {
    match percent {
        Some(percent) if !(0..=100).contains(&percent) => {
            Err(Problem::field("compression_threshold", "must be from 0 to 100"))
        }
        percent => Ok(percent),
    }
}

/// A provider that is not there is no less a failed precondition than a disabled one.
fn provider_is_precondition(problem: Problem) -> Problem {
    let is_provider = problem.code() == Code::NotFound && problem.reason() == "PROVIDER_NOT_FOUND";
    if is_provider {
        problem.with_status(StatusCode::PRECONDITION_FAILED)
    } else {
        problem
    }
}

/// Changes the given fields; administrators only.
#[utoipa::path(patch, path = "/chats/model-configs/{model_config}", tag = "models",
    params(("model_config" = Uuid, Path)), request_body = UpdateChatModelConfigRequest,
    responses((status = 200, body = ChatModelConfig)))]
pub async fn update(
    State(app): State<App>,
    who: Principal,
    Path(config): Path<String>,
    Body(body): Body<UpdateChatModelConfigRequest>,
) -> Result<Reply<ChatModelConfig>, Problem> {
    who.require_admin()?;
    let config = id("model_config", &config)?;
    if !body.provider.trim().is_empty() && body.ai_provider_id.is_none() {
        check_provider(&app, &who, config, body.provider.trim()).await?;
    }
    // A blank text keeps what is stored.
    let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let message = proto::UpdateModelConfigRequest {
        id: config.to_string(),
        provider_id: body.ai_provider_id.map(|provider| id_text(Some(provider))),
        model: given(body.model),
        display_name: given(body.display_name),
        is_enabled: body.enabled,
        is_default: body.is_default,
        context_limit: context_limit(body.context_limit)?,
        compression_threshold: compression_threshold(body.compression_threshold)?,
        call_config_json: body.model_config.map(call_config).transpose()?,
    };
    let request = app.clients.ask(who.user(), message);
    let updated = app.clients.settings.clone().update_model_config(request).await.answer();
    let updated = updated.map_err(|fault| provider_is_precondition(fault.into()))?;
    let config = promised(updated.model_config, "UpdateModelConfigResponse.model_config")?;
    Ok(Reply::ok(config.into()))
}

async fn check_provider(app: &App, who: &Principal, config: Uuid, provider: &str) -> Result<(), Problem> {
    let message = proto::GetModelConfigRequest { id: config.to_string() };
    let request = app.clients.ask(who.user(), message);
    let found = app.clients.settings.clone().get_model_config(request).await.answer()?;
    let stored = promised(found.model_config, "GetModelConfigResponse.model_config")?;
    if stored.provider_type == provider {
        Ok(())
    } else {
        Err(Problem::field(
            "provider",
            "cannot be changed by itself; give ai_provider_id",
        ))
    }
}

/// Removes a model; administrators only. Another one becomes the default.
#[utoipa::path(delete, path = "/chats/model-configs/{model_config}", tag = "models",
    params(("model_config" = Uuid, Path)), responses((status = 204)))]
pub async fn delete(State(app): State<App>, who: Principal, Path(config): Path<String>) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let message = proto::DeleteModelConfigRequest {
        id: id("model_config", &config)?.to_string(),
    };
    let request = app.clients.ask(who.user(), message);
    app.clients
        .settings
        .clone()
        .delete_model_config(request)
        .await
        .answer()?;
    Ok(StatusCode::NO_CONTENT)
}
