//! Providers of models, for administrators. Keys pass through to the room that seals them and are kept nowhere here.

use axum::{extract::State, http::StatusCode};
use serde_json::{Map, Value};
use tandem_proto::provider::v1 as proto;

use super::{
    Path,
    wire::provider::{
        AIProvider, CreateAIProviderRequest, DetectedProvider, TestAIProviderRequest, TestAIProviderResponse,
        UpdateAIProviderRequest,
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, PROVIDER_TEST_DEADLINE, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

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
        && body.settings.is_none();
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
fn id_or_name(text: String) -> Result<String, Problem> {
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
