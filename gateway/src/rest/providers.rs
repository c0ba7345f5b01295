//! Providers of models, for administrators. Keys pass through to the room that seals them and are kept nowhere here.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use serde_json::{Map, Value};
use tandem_proto::{common::v1::KeyPolicy, provider::v1 as proto};

use super::{
    Path,
    wire::provider::{
        AIProvider, CreateAIProviderRequest, DetectedProvider, TestAIProviderRequest, TestAIProviderResponse,
        UpdateAIProviderRequest,
        health::{AIProviderHealth, AIProvidersHealth, RotatedKeys},
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, PROVIDER_TEST_DEADLINE, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// Time for sealing all keys anew; broken off, it goes on where it is asked again.
const ROTATION_DEADLINE: Duration = Duration::from_secs(120);

/// All providers.
#[utoipa::path(get, path = "/ai/providers", tag = "providers", responses((status = 200, body = Vec<AIProvider>)))]
pub async fn list(State(app): State<App>, who: Principal) -> Result<Reply<Vec<AIProvider>>, Problem> {
    who.require_admin()?;
    let request = app.clients.ask(who.user(), proto::ListProvidersRequest {});
    let listed = app.clients.providers.clone().list_providers(request).await.answer()?;
    Ok(Reply::ok(listed.providers.into_iter().map(AIProvider::from).collect()))
}

/// Adds a provider with its keys.
#[utoipa::path(post, path = "/ai/providers", tag = "providers", request_body = CreateAIProviderRequest,
    responses((status = 201, body = AIProvider)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateAIProviderRequest>,
) -> Result<Reply<AIProvider>, Problem> {
    who.require_admin()?;
    let message = proto::CreateProviderRequest {
        r#type: body.kind,
        name: body.name,
        display_name: body.display_name,
        is_enabled: body.enabled,
        base_url: body.base_url,
        api_keys: body.api_keys,
        settings_json: body.settings.map(settings).unwrap_or_default(),
        key_policy: Some(KeyPolicy {
            uses_central_keys: body.central_api_key_enabled.unwrap_or(true),
            allows_user_keys: body.allow_user_api_key.unwrap_or(false),
            allows_central_fallback: body.allow_central_api_key_fallback.unwrap_or(false),
        }),
        max_concurrent: body.max_concurrent.unwrap_or(0),
    };
    let request = app.clients.ask(who.user(), message);
    let created = app.clients.providers.clone().create_provider(request).await.answer()?;
    Ok(Reply::created(
        promised(created.provider, "CreateProviderResponse.provider")?.into(),
    ))
}

/// Asks a provider whether it answers, with a stored key or one that is tried out. A bad key is an answer, not an error.
#[utoipa::path(post, path = "/ai/providers/test", tag = "providers", request_body = TestAIProviderRequest,
    responses((status = 200, body = TestAIProviderResponse)))]
pub async fn test(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<TestAIProviderRequest>,
) -> Result<Reply<TestAIProviderResponse>, Problem> {
    who.require_admin()?;
    let message = proto::TestProviderRequest {
        provider_id: body.provider_id,
        r#type: body.kind,
        base_url: body.base_url,
        api_key: body.api_key,
    };
    let request = app.clients.ask_within(who.user(), PROVIDER_TEST_DEADLINE, message);
    let outcome = app.clients.providers.clone().test_provider(request).await.answer()?;
    Ok(Reply::ok(outcome.into()))
}

/// Model servers found on this machine.
#[utoipa::path(get, path = "/ai/providers/detect", tag = "providers",
    responses((status = 200, body = Vec<DetectedProvider>)))]
pub async fn detect(State(app): State<App>, who: Principal) -> Result<Reply<Vec<DetectedProvider>>, Problem> {
    who.require_admin()?;
    let request = app.clients.ask(who.user(), proto::DetectLocalProvidersRequest {});
    let found = app.clients.providers.clone().detect_local_providers(request).await;
    let found = found.answer()?.providers;
    Ok(Reply::ok(found.into_iter().map(DetectedProvider::from).collect()))
}

/// How all providers do: their keys, the breakers of their models, and how many completions run and wait. As the replica sees it that
/// answers.
#[utoipa::path(get, path = "/ai/providers/health", tag = "providers", responses((status = 200, body = AIProvidersHealth)))]
pub async fn health_of_all(State(app): State<App>, who: Principal) -> Result<Reply<AIProvidersHealth>, Problem> {
    who.require_admin()?;
    Ok(Reply::ok(ask_health(&app, &who).await?.into()))
}

/// How one provider does, by id or name.
#[utoipa::path(get, path = "/ai/providers/{provider}/health", tag = "providers", params(("provider" = String, Path)),
    responses((status = 200, body = AIProviderHealth)))]
pub async fn health(
    State(app): State<App>,
    who: Principal,
    Path(provider): Path<String>,
) -> Result<Reply<AIProviderHealth>, Problem> {
    who.require_admin()?;
    let message = proto::GetProviderRequest {
        id_or_name: id_or_name(provider)?,
    };
    let request = app.clients.ask(who.user(), message);
    let found = app.clients.providers.clone().get_provider(request).await.answer()?;
    let id = promised(found.provider, "GetProviderResponse.provider")?.id;
    let all = ask_health(&app, &who).await?;
    let health = all.providers.into_iter().find(|health| health.provider_id == id);
    // Deleted in between.
    Ok(Reply::ok(health.ok_or_else(Problem::not_found)?.into()))
}

async fn ask_health(app: &App, who: &Principal) -> Result<proto::GetProviderHealthResponse, Problem> {
    let request = app.clients.ask(who.user(), proto::GetProviderHealthRequest {});
    let answer = app.clients.providers.clone().get_provider_health(request).await;
    Ok(answer.answer()?)
}

/// Seals every stored key anew under the present key-encryption key, so that the one before can be retired. May be repeated.
#[utoipa::path(post, path = "/ai/providers/rotate-key", tag = "providers", responses((status = 200, body = RotatedKeys)))]
pub async fn rotate_key(State(app): State<App>, who: Principal) -> Result<Reply<RotatedKeys>, Problem> {
    who.require_admin()?;
    let request = app
        .clients
        .ask_within(who.user(), ROTATION_DEADLINE, proto::RotateSealingKeyRequest {});
    let rotated = app
        .clients
        .providers
        .clone()
        .rotate_sealing_key(request)
        .await
        .answer()?;
    Ok(Reply::ok(rotated.into()))
}

/// One provider, by id or name.
#[utoipa::path(get, path = "/ai/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    responses((status = 200, body = AIProvider)))]
pub async fn get(
    State(app): State<App>,
    who: Principal,
    Path(provider): Path<String>,
) -> Result<Reply<AIProvider>, Problem> {
    who.require_admin()?;
    let message = proto::GetProviderRequest {
        id_or_name: id_or_name(provider)?,
    };
    let request = app.clients.ask(who.user(), message);
    let found = app.clients.providers.clone().get_provider(request).await.answer()?;
    Ok(Reply::ok(
        promised(found.provider, "GetProviderResponse.provider")?.into(),
    ))
}

/// Changes the given fields.
#[utoipa::path(patch, path = "/ai/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    request_body = UpdateAIProviderRequest, responses((status = 200, body = AIProvider)))]
pub async fn update(
    State(app): State<App>,
    who: Principal,
    Path(provider): Path<String>,
    Body(body): Body<UpdateAIProviderRequest>,
) -> Result<Reply<AIProvider>, Problem> {
    who.require_admin()?;
    let is_empty = body.display_name.is_none()
        && body.enabled.is_none()
        && body.base_url.is_none()
        && body.api_keys.is_none()
        && body.settings.is_none()
        && body.central_api_key_enabled.is_none()
        && body.allow_user_api_key.is_none()
        && body.allow_central_api_key_fallback.is_none()
        && body.max_concurrent.is_none();
    if is_empty {
        return Err(Problem::invalid("NOTHING_TO_CHANGE", "The request changes nothing."));
    }
    let keys = body.api_keys.map(|keys| proto::KeyMutationSet {
        keys: keys
            .into_iter()
            .map(|key| proto::KeyMutation {
                id: key.id,
                api_key: key.api_key,
            })
            .collect(),
    });
    let message = proto::UpdateProviderRequest {
        id_or_name: id_or_name(provider)?,
        display_name: body.display_name,
        is_enabled: body.enabled,
        base_url: body.base_url,
        api_keys: keys,
        settings_json: body.settings.map(settings),
        uses_central_keys: body.central_api_key_enabled,
        allows_user_keys: body.allow_user_api_key,
        allows_central_fallback: body.allow_central_api_key_fallback,
        max_concurrent: body.max_concurrent,
    };
    let request = app.clients.ask(who.user(), message);
    let updated = app.clients.providers.clone().update_provider(request).await.answer();
    let updated = updated.map_err(|fault| Problem::from(fault).references_are_invalid(&["PROVIDER_NOT_FOUND"]))?;
    Ok(Reply::ok(
        promised(updated.provider, "UpdateProviderResponse.provider")?.into(),
    ))
}

/// Removes a provider; history stays readable.
#[utoipa::path(delete, path = "/ai/providers/{provider}", tag = "providers", params(("provider" = String, Path)),
    responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path(provider): Path<String>,
) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let message = proto::DeleteProviderRequest {
        id_or_name: id_or_name(provider)?,
    };
    let request = app.clients.ask(who.user(), message);
    app.clients.providers.clone().delete_provider(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}

fn settings(settings: Map<String, Value>) -> String {
    Value::Object(settings).to_string()
}

/// A uuid, or letters and digits joined by single hyphens.
pub(super) fn id_or_name(text: String) -> Result<String, Problem> {
    let is_name = text.split('-').all(|word| {
        !word.is_empty()
            && word
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    });
    let is_id = uuid::Uuid::parse_str(&text).is_ok();
    if is_name || is_id {
        Ok(text)
    } else {
        Err(Problem::field("provider", "must be a uuid or a name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_named_by_id_or_name() {
        for good in ["openai", "my-server-2", "5F3A1B6C-0000-4000-8000-000000000000"] {
            assert!(id_or_name(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "Open AI", "a--b", "-a", "a/b"] {
            assert!(id_or_name(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
