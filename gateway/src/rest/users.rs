//! Signing in and out, and the accounts of people and programs.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::storage::v1 as proto;
use uuid::Uuid;

use super::{
    Path,
    query::Query,
    wire::user::{
        CreateUserRequest, LoginRequest, LoginResponse, Organization, SetPasswordRequest, UpdateProfileRequest,
        UpdateRolesRequest, User, UsersResponse,
    },
};
use crate::{
    auth::{Peer, Principal, cookie, limiter::Subject},
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// The role of administrators.
const OWNER: &str = "owner";

/// Users on one page, at most.
const MAX_PAGE: i32 = 1_000;

/// Signs in with a password.
#[utoipa::path(post, path = "/users/login", tag = "users", request_body = LoginRequest,
    responses((status = 201, body = LoginResponse)))]
pub async fn login(
    State(app): State<App>,
    Extension(Peer(peer)): Extension<Peer>,
    Body(body): Body<LoginRequest>,
) -> Result<Response, Problem> {
    let login = if body.email.is_empty() {
        body.username
    } else {
        body.email
    };
    if login.trim().is_empty() || body.password.is_empty() {
        return Err(Problem::field("email", "must be given together with a password"));
    }
    let subject = Subject::Address(peer);
    let too_many = |pause| {
        app.metrics.rate_limited.inc();
        Problem::from(Fault::rate_limited("RATE_LIMITED", "too many failed attempts to sign in").retry_after(pause))
    };
    app.failed_logins.look(&subject).map_err(too_many)?;
    let request = app.clients.ask_as_service(proto::LoginRequest {
        login: login.trim().to_owned(),
        password: body.password,
    });
    let answer = app.clients.users.clone().login(request).await.answer();
    let answer = answer.map_err(|fault| {
        if fault.code == Code::Unauthenticated && app.failed_logins.admit(&subject).is_err() {
            tracing::warn!("many failed attempts to sign in from one address");
        }
        Problem::from(fault)
    })?;
    signed_in(&app, promised(answer.session, "LoginResponse.session")?)
}

/// The answer that opens a session: its token, and the cookie for browsers.
///
/// # Errors
/// When storage's token is no cookie text.
pub fn signed_in(app: &App, session: proto::Session) -> Result<Response, Problem> {
    let lifetime = session
        .expires_at
        .as_ref()
        .map_or(0, |expires_at| expires_at.seconds - app.clock.now().unix_timestamp());
    let cookie = cookie::set(&session.token, lifetime, app.is_cookie_secure)
        .ok_or_else(|| Fault::internal("CONTRACT_BROKEN", "a session token is no cookie text"))?;
    let mut response = Reply::created(LoginResponse {
        session_token: session.token,
    })
    .into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Ends the session. An API token stays as it is.
#[utoipa::path(post, path = "/users/logout", tag = "users", responses((status = 200, body = super::queue::Done)))]
pub async fn logout(State(app): State<App>, who: Principal) -> Result<Response, Problem> {
    if who.is_session() {
        let message = proto::LogoutRequest {
            credential_id: who.credential_id().to_owned(),
        };
        let request = app.clients.ask(who.user(), message);
        app.clients.users.clone().logout(request).await.answer()?;
        app.accounts.forget_all();
    }
    let message = "You are signed out.";
    let mut response = Reply::ok(super::queue::Done { message }).into_response();
    let removed = cookie::set("", 0, app.is_cookie_secure);
    add_header(response.headers_mut(), removed);
    Ok(response)
}

fn add_header(headers: &mut HeaderMap, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

/// All users; administrators only.
#[utoipa::path(get, path = "/users", tag = "users", params(
    ("q" = Option<String>, Query, description = "Substring of name or e-mail address"),
    ("limit" = Option<i32>, Query), ("offset" = Option<i32>, Query),
), responses((status = 200, body = UsersResponse)))]
pub async fn list(State(app): State<App>, who: Principal, query: Query) -> Result<Reply<UsersResponse>, Problem> {
    let message = proto::ListUsersRequest {
        search: query.one("q")?.unwrap_or_default().to_owned(),
        limit: query.number("limit", 0)?.unwrap_or_default().min(MAX_PAGE),
        offset: query.number("offset", 0)?.unwrap_or_default(),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app.clients.users.clone().list_users(request).await.answer()?;
    Ok(Reply::ok(UsersResponse {
        users: listed.users.into_iter().map(User::from).collect(),
        count: listed.count,
    }))
}

/// Creates a user; administrators only.
#[utoipa::path(post, path = "/users", tag = "users", request_body = CreateUserRequest,
    responses((status = 201, body = User)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateUserRequest>,
) -> Result<Reply<User>, Problem> {
    who.require_admin()?;
    let message = proto::CreateUserRequest {
        is_admin: is_admin(&body.roles)?,
        username: body.username,
        email: body.email,
        name: body.name,
        password: body.password,
        organization_ids: body.organization_ids.iter().map(Uuid::to_string).collect(),
    };
    let request = app.clients.ask(who.user(), message);
    let created = app.clients.users.clone().create_user(request).await.answer();
    let created = created.map_err(|fault| Problem::from(fault).references_are_invalid(&[]))?;
    Ok(Reply::created(
        promised(created.user, "CreateUserResponse.user")?.into(),
    ))
}

fn is_admin(roles: &[String]) -> Result<bool, Problem> {
    match roles.iter().find(|role| *role != OWNER && *role != "member") {
        Some(_) => Err(Problem::field("roles", "can only hold owner")),
        None => Ok(roles.iter().any(|role| role == OWNER)),
    }
}

/// A user by id or name; `me` is the caller.
#[utoipa::path(get, path = "/users/{user}", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = User)))]
pub async fn get(State(app): State<App>, who: Principal, Path(user): Path<String>) -> Result<Reply<User>, Problem> {
    Ok(Reply::ok(find(&app, &who, &user).await?.into()))
}

async fn find(app: &App, who: &Principal, user: &str) -> Result<proto::User, Problem> {
    let user = match user {
        "me" => who.user().id.to_string(),
        user => user.to_owned(),
    };
    let request = app.clients.ask(who.user(), proto::GetUserRequest { user });
    let found = app.clients.users.clone().get_user(request).await.answer()?;
    Ok(promised(found.user, "GetUserResponse.user")?)
}

/// The id of a user named in a path. Asks storage only for a name.
///
/// # Errors
/// 404 for a name nobody has.
pub async fn resolve(app: &App, who: &Principal, user: &str) -> Result<String, Problem> {
    if user == "me" || user.eq_ignore_ascii_case(who.username()) {
        return Ok(who.user().id.to_string());
    }
    match Uuid::parse_str(user) {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Ok(find(app, who, user).await?.id),
    }
}

/// Refuses what another user's path names: nobody sees another's, administrators neither.
///
/// # Errors
/// 404.
pub async fn require_self(app: &App, who: &Principal, user: &str) -> Result<(), Problem> {
    match resolve(app, who, user).await? == who.user().id.to_string() {
        true => Ok(()),
        false => Err(Problem::not_found()),
    }
}

/// Deletes a user; administrators only. Their sessions and tokens end at once.
#[utoipa::path(delete, path = "/users/{user}", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = super::queue::Done)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<super::queue::Done>, Problem> {
    who.require_admin()?;
    let user_id = resolve(&app, &who, &user).await?;
    let request = app.clients.ask(who.user(), proto::DeleteUserRequest { user_id });
    let deleted = app.clients.users.clone().delete_user(request).await.answer();
    deleted.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    app.accounts.forget_all();
    let message = "The user was deleted.";
    Ok(Reply::ok(super::queue::Done { message }))
}

/// Sets a password: the caller's own, or as administrator anybody's.
#[utoipa::path(put, path = "/users/{user}/password", tag = "users", params(("user" = String, Path)),
    request_body = SetPasswordRequest, responses((status = 204)))]
pub async fn set_password(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    Body(body): Body<SetPasswordRequest>,
) -> Result<StatusCode, Problem> {
    let message = proto::SetPasswordRequest {
        user_id: resolve(&app, &who, &user).await?,
        old_password: body.old_password,
        password: body.password,
    };
    let request = app.clients.ask(who.user(), message);
    let set = app.clients.users.clone().set_password(request).await.answer();
    set.map_err(|fault| match fault.code {
        // The caller is signed in; it is the old password in the body that is wrong.
        Code::Unauthenticated => Problem::field("old_password", "is not right"),
        _ => Problem::from(fault),
    })?;
    app.accounts.forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// Renames a user.
#[utoipa::path(put, path = "/users/{user}/profile", tag = "users", params(("user" = String, Path)),
    request_body = UpdateProfileRequest, responses((status = 200, body = User)))]
pub async fn update_profile(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    Body(body): Body<UpdateProfileRequest>,
) -> Result<Reply<User>, Problem> {
    let change = proto::UpdateUserRequest {
        user_id: resolve(&app, &who, &user).await?,
        username: Some(body.username).filter(|username| !username.is_empty()),
        name: Some(body.name),
        ..Default::default()
    };
    change_user(&app, &who, change).await
}

/// Makes a user administrator, or no longer; administrators only.
#[utoipa::path(put, path = "/users/{user}/roles", tag = "users", params(("user" = String, Path)),
    request_body = UpdateRolesRequest, responses((status = 200, body = User)))]
pub async fn update_roles(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
    Body(body): Body<UpdateRolesRequest>,
) -> Result<Reply<User>, Problem> {
    who.require_admin()?;
    let change = proto::UpdateUserRequest {
        user_id: resolve(&app, &who, &user).await?,
        is_admin: Some(is_admin(&body.roles)?),
        ..Default::default()
    };
    change_user(&app, &who, change).await
}

/// Lets a suspended user sign in again; administrators only.
#[utoipa::path(put, path = "/users/{user}/status/activate", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = User)))]
pub async fn activate(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<User>, Problem> {
    set_status(&app, &who, &user, proto::UserStatus::Active).await
}

/// Keeps a user out until reactivated; administrators only.
#[utoipa::path(put, path = "/users/{user}/status/suspend", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = User)))]
pub async fn suspend(State(app): State<App>, who: Principal, Path(user): Path<String>) -> Result<Reply<User>, Problem> {
    set_status(&app, &who, &user, proto::UserStatus::Suspended).await
}

async fn set_status(app: &App, who: &Principal, user: &str, status: proto::UserStatus) -> Result<Reply<User>, Problem> {
    who.require_admin()?;
    let user_id = resolve(app, who, user).await?;
    if status == proto::UserStatus::Suspended && user_id == who.user().id.to_string() {
        return Err(Problem::field("user", "must not be yourself"));
    }
    let change = proto::UpdateUserRequest {
        user_id,
        status: Some(status.into()),
        ..Default::default()
    };
    change_user(app, who, change).await
}

async fn change_user(app: &App, who: &Principal, change: proto::UpdateUserRequest) -> Result<Reply<User>, Problem> {
    let request = app.clients.ask(who.user(), change);
    let updated = app.clients.users.clone().update_user(request).await.answer();
    let updated = updated.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    app.accounts.forget_all();
    Ok(Reply::ok(promised(updated.user, "UpdateUserResponse.user")?.into()))
}

/// The organisations a user belongs to.
#[utoipa::path(get, path = "/users/{user}/organizations", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = Vec<Organization>)))]
pub async fn organizations(
    State(app): State<App>,
    who: Principal,
    Path(user): Path<String>,
) -> Result<Reply<Vec<Organization>>, Problem> {
    let message = proto::ListOrganizationsRequest {
        user_id: resolve(&app, &who, &user).await?,
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app.clients.users.clone().list_organizations(request).await.answer()?;
    Ok(Reply::ok(
        listed.organizations.into_iter().map(Organization::from).collect(),
    ))
}
