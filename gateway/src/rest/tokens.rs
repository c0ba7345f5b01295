//! API tokens, with which programs sign in.

use axum::{extract::State, http::StatusCode};
use tandem_proto::storage::v1 as proto;

use super::{
    Path, users,
    wire::user::{ApiKey, CreateTokenRequest, GenerateApiKeyResponse},
};
use crate::{
    auth::Principal,
    clients::Answer,
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// A user's tokens, without secrets.
#[utoipa::path(get, path = "/users/{user}/keys/tokens", tag = "tokens", params(("user" = String, Path)),
    responses((status = 200, body = Vec<ApiKey>)))]
pub async fn list(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<Vec<ApiKey>>, Problem> {
    let user_id = users::resolve(&app, &who, &user).await?;
    let request = app.clients.ask(who.user(), proto::ListApiTokensRequest { user_id });
    let listed = app.clients.users.clone().list_api_tokens(request).await.answer()?;
    Ok(Reply::ok(listed.tokens.into_iter().map(ApiKey::from).collect()))
}

/// Creates a token. The answer is the only one that holds its secret.
#[utoipa::path(post, path = "/users/{user}/keys/tokens", tag = "tokens", params(("user" = String, Path)),
    request_body = CreateTokenRequest, responses((status = 201, body = GenerateApiKeyResponse)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    Body(body): Body<CreateTokenRequest>,
) -> Result<Reply<GenerateApiKeyResponse>, Problem> {
    if !matches!(body.scope.as_str(), "" | "all") {
        return Err(Problem::field("scope", "must be all"));
    }
    let lifetime = lifetime(body.lifetime)?;
    let message = proto::CreateApiTokenRequest {
        user_id: users::resolve(&app, &who, &user).await?,
        name: body.token_name,
        lifetime,
    };
    let request = app.clients.ask(who.user(), message);
    let created = app.clients.users.clone().create_api_token(request).await.answer()?;
    Ok(Reply::created(GenerateApiKeyResponse { key: created.secret }))
}

/// Nanoseconds as clients send them.
fn lifetime(nanoseconds: i64) -> Result<Option<prost_types::Duration>, Problem> {
    match nanoseconds {
        0 => Ok(None),
        _ if nanoseconds < NANOSECONDS_PER_SECOND => Err(Problem::field(
            "lifetime",
            "must be nanoseconds, and at least one second of them",
        )),
        _ => Ok(Some(prost_types::Duration {
            seconds: nanoseconds / NANOSECONDS_PER_SECOND,
            nanos: 0,
        })),
    }
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/users/{user}/keys/{key}", tag = "tokens",
    params(("user" = String, Path), ("key" = String, Path)), responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (user, key) = path;
    let message = proto::DeleteApiTokenRequest {
        user_id: users::resolve(&app, &who, &user).await?,
        token: key,
    };
    let request = app.clients.ask(who.user(), message);
    app.clients.users.clone().delete_api_token(request).await.answer()?;
    app.accounts.forget_all();
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_nanoseconds() {
        assert_eq!(lifetime(0).unwrap(), None);
        assert_eq!(lifetime(86_400_000_000_000).unwrap().unwrap().seconds, 86_400);
        assert!(lifetime(-1).is_err());
        assert!(lifetime(3600).is_err(), "seconds by mistake");
    }
}
