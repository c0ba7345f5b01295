//! Chats' diffs as forges tell them, and users' credentials for forges.

use axum::{extract::State, http::StatusCode};
use tandem_chassis::status::Fault;
use tandem_proto::tool::v1 as proto;

use super::{
    Path, id, users,
    wire::git::{ChatDiffContents, GitCredential, PutGitCredentialRequest},
};
use crate::{
    auth::Principal,
    clients::{Answer, FORGE_DEADLINE, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// The diff of a chat's pull request, or of its branch, as the forge tells it now. Without a repository, only `chat_id`; without a
/// credential of the caller's, without `diff`.
#[utoipa::path(get, path = "/chats/{chat}/diff", tag = "chats", params(("chat" = Uuid, Path)),
    responses((status = 200, body = ChatDiffContents), (status = 500, description = "The forge did not answer")))]
pub async fn diff(
    State(app): State<App>,
    who: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<ChatDiffContents>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let message = proto::GetDiffContentsRequest {
        chat_id: chat_id.clone(),
    };
    let request = app.clients.ask_within(who.user(), FORGE_DEADLINE, message);
    let contents = app.clients.git.clone().get_diff_contents(request).await.answer();
    let contents = contents.map_err(|fault| forge_failed(fault.into()))?;
    Ok(Reply::ok(ChatDiffContents::of(chat_id, contents)))
}

fn forge_failed(problem: Problem) -> Problem {
    if problem.reason() == "FORGE_FAILED" {
        problem.with_status(StatusCode::INTERNAL_SERVER_ERROR)
    } else {
        problem
    }
}

/// The hosts the caller has credentials for.
#[utoipa::path(get, path = "/users/{user}/git-credentials", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = Vec<GitCredential>)))]
pub async fn credentials(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<Vec<GitCredential>>, Problem> {
    users::require_self(&app, &who, &user).await?;
    Ok(Reply::ok(list(&app, &who).await?))
}

/// The caller's credential for a host.
#[utoipa::path(get, path = "/users/{user}/git-credentials/{host}", tag = "users",
    params(("user" = String, Path), ("host" = String, Path)), responses((status = 200, body = GitCredential)))]
pub async fn credential(
    State(app): State<App>,
    who: Principal,
    Path((user, host)): Path<(String, String)>,
) -> Result<Reply<GitCredential>, Problem> {
    users::require_self(&app, &who, &user).await?;
    let host = host.to_ascii_lowercase();
    let found = list(&app, &who).await?.into_iter().find(|known| known.host == host);
    let missing = || Fault::not_found("GIT_CREDENTIAL_NOT_FOUND", "there is no credential for this host");
    Ok(Reply::ok(found.ok_or_else(missing)?))
}

/// Stores the caller's credential for a host, in place of the one there. It is given to git in the caller's chats when it asks for that
/// host, and to the host's own interface; it is never shown.
#[utoipa::path(put, path = "/users/{user}/git-credentials/{host}", tag = "users",
    params(("user" = String, Path), ("host" = String, Path, description = "For example `github.com` or `git.example.com:8443`")),
    request_body = PutGitCredentialRequest, responses((status = 200, body = GitCredential)))]
pub async fn put_credential(
    State(app): State<App>,
    who: Principal,
    Path((user, host)): Path<(String, String)>,
    Body(body): Body<PutGitCredentialRequest>,
) -> Result<Reply<GitCredential>, Problem> {
    users::require_self(&app, &who, &user).await?;
    let message = proto::PutGitCredentialRequest {
        host,
        username: body.username,
        token: body.token,
    };
    let request = app.clients.ask(who.user(), message);
    let stored = app.clients.git.clone().put_git_credential(request).await.answer()?;
    let credential = promised(stored.credential, "PutGitCredentialResponse.credential")?;
    Ok(Reply::ok(credential.into()))
}

/// Forgets the caller's credential for a host, if there is one.
#[utoipa::path(delete, path = "/users/{user}/git-credentials/{host}", tag = "users",
    params(("user" = String, Path), ("host" = String, Path)), responses((status = 204)))]
pub async fn delete_credential(
    State(app): State<App>,
    who: Principal,
    Path((user, host)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    users::require_self(&app, &who, &user).await?;
    let request = app.clients.ask(who.user(), proto::DeleteGitCredentialRequest { host });
    app.clients.git.clone().delete_git_credential(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(app: &App, who: &Principal) -> Result<Vec<GitCredential>, Problem> {
    let request = app.clients.ask(who.user(), proto::ListGitCredentialsRequest {});
    let listed = app.clients.git.clone().list_git_credentials(request).await.answer()?;
    Ok(listed.credentials.into_iter().map(GitCredential::from).collect())
}
