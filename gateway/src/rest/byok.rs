//! Users' own provider keys. This deployment has none: the routes exist so that clients learn it instead of guessing.

use axum::{extract::State, http::StatusCode};
use tandem_chassis::status::Fault;

use super::{Path, users};
use crate::{auth::Principal, json::Reply, problem::Problem, service::App};

/// No provider takes users' own keys.
#[utoipa::path(get, path = "/users/{user}/ai-provider-keys", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = Vec<serde_json::Value>)))]
pub async fn list(State(app): State<App>, who: Principal, Path(user): Path<String>) -> Result<Reply<[(); 0]>, Problem> {
    own(&app, &who, &user).await?;
    Ok(Reply::ok([]))
}

/// Always refused.
#[utoipa::path(put, path = "/users/{user}/ai-provider-keys/{provider}", tag = "users",
    params(("user" = String, Path), ("provider" = String, Path)), responses((status = 403)))]
pub async fn put(
    State(app): State<App>,
    who: Principal,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    own(&app, &who, &path.0).await?;
    Err(Fault::forbidden("BYOK_DISABLED", "users cannot bring their own provider keys here").into())
}

/// There is nothing to remove.
#[utoipa::path(delete, path = "/users/{user}/ai-provider-keys/{provider}", tag = "users",
    params(("user" = String, Path), ("provider" = String, Path)), responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    own(&app, &who, &path.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn own(app: &App, who: &Principal, user: &str) -> Result<(), Problem> {
    let user = users::resolve(app, who, user).await?;
    if user == who.user().id.to_string() || who.user().is_admin {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}
