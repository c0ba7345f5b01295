//! Users' own keys of providers. Keys pass through to the room that seals them and are kept nowhere here.

use axum::{extract::State, http::StatusCode};
use tandem_chassis::status::Code;
use tandem_proto::provider::v1 as proto;

use super::{
    Path, providers, users,
    wire::provider::own_key::{PutUserAIProviderKeyRequest, UserAIProviderKeyConfig},
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// For which providers the user has, or may bring, their own key.
#[utoipa::path(get, path = "/users/{user}/ai-provider-keys", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = Vec<UserAIProviderKeyConfig>)))]
pub async fn list(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<Vec<UserAIProviderKeyConfig>>, Problem> {
    let message = proto::ListUserProviderKeysRequest {
        user_id: own(&app, &who, &user).await?,
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app.clients.providers.clone().list_user_provider_keys(request).await;
    let keys = listed.answer()?.keys.into_iter();
    Ok(Reply::ok(keys.map(UserAIProviderKeyConfig::from).collect()))
}

/// Stores the user's own key, in place of the one there.
#[utoipa::path(put, path = "/users/{user}/ai-provider-keys/{provider}", tag = "users",
    params(("user" = String, Path), ("provider" = String, Path)), request_body = PutUserAIProviderKeyRequest,
    responses((status = 200, body = UserAIProviderKeyConfig), (status = 403, description = "Own keys are not allowed"),
        (status = 412, description = "The provider is disabled")))]
pub async fn put(
    State(app): State<App>,
    who: Principal,
    Path((user, provider)): Path<(String, String)>,
    Body(body): Body<PutUserAIProviderKeyRequest>,
) -> Result<Reply<UserAIProviderKeyConfig>, Problem> {
    let message = proto::SetUserProviderKeyRequest {
        user_id: own(&app, &who, &user).await?,
        provider_id_or_name: providers::id_or_name(provider)?,
        api_key: body.api_key,
    };
    let request = app.clients.ask(who.user(), message);
    let stored = app.clients.providers.clone().set_user_provider_key(request).await;
    let stored = stored
        .answer()
        .map_err(|fault| disabled_is_precondition(fault.into()))?;
    Ok(Reply::ok(
        promised(stored.key, "SetUserProviderKeyResponse.key")?.into(),
    ))
}

/// Removes the user's own key, if there is one.
#[utoipa::path(delete, path = "/users/{user}/ai-provider-keys/{provider}", tag = "users",
    params(("user" = String, Path), ("provider" = String, Path)), responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path((user, provider)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let message = proto::DeleteUserProviderKeyRequest {
        user_id: own(&app, &who, &user).await?,
        provider_id_or_name: providers::id_or_name(provider)?,
    };
    let request = app.clients.ask(who.user(), message);
    let deleted = app.clients.providers.clone().delete_user_provider_key(request).await;
    deleted.answer()?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of the user whose keys are meant: the caller, or for administrators anybody.
async fn own(app: &App, who: &Principal, user: &str) -> Result<String, Problem> {
    let user = users::resolve(app, who, user).await?;
    if user == who.user().id.to_string() || who.user().is_admin {
        Ok(user)
    } else {
        Err(Problem::not_found())
    }
}

fn disabled_is_precondition(problem: Problem) -> Problem {
    if problem.code() == Code::WrongState && problem.reason() == "PROVIDER_DISABLED" {
        problem.with_status(StatusCode::PRECONDITION_FAILED)
    } else {
        problem
    }
}
