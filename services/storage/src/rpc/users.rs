//! `UserService`: who may come in, and as whom. Signing in lives beside this file, accounts here.

use tandem_chassis::idempotency as mark;
use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::user_service_server::UserService;
use tandem_proto::storage::v1::*;
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::credentials;
use crate::db::{Pool, organizations, sessions, sqlstate, tokens, users};
use crate::error::Error;
use crate::idempotency::{Attempt, Tx, respond};

mod sign_in;

const MAX_NAME_BYTES: usize = 64;
const MAX_FULL_NAME_BYTES: usize = 256;
const MAX_EMAIL_BYTES: usize = 254;
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
const DEFAULT_LIFETIME_SECONDS: i64 = 30 * 24 * 60 * 60;
const MAX_LIFETIME_SECONDS: i64 = 10 * 366 * 24 * 60 * 60;
const DEFAULT_USERS: i32 = 50;
const MAX_USERS: i32 = 1_000;
const MAX_CREDENTIALS: usize = 10_000;

/// Serves [`UserService`].
pub(crate) struct Users {
    pool: Pool,
}

impl Users {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn create(&self, attempt: Option<&Attempt>, request: CreateUserRequest) -> Result<CreateUserResponse, Error> {
        check_name(&request.username, "username")?;
        check_full_name(&request.name)?;
        if request.email.len() > MAX_EMAIL_BYTES {
            return Err(convert::one("email", "must have at most 254 bytes"));
        }
        let password_hash = match request.password.as_str() {
            "" => None,
            password => Some(hash(password).await?),
        };
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        let known = organizations::list(&mut tx, None).await?;
        let mut wanted = Vec::new();
        for id in &request.organization_ids {
            let id = convert::id(id, "organization_ids")?;
            if !known.iter().any(|organization| organization.id == id) {
                return Err(convert::one(
                    "organization_ids",
                    "names an organization that does not exist",
                ));
            }
            wanted.push(id);
        }
        if wanted.is_empty() {
            wanted = known
                .iter()
                .filter(|organization| organization.is_default)
                .map(|organization| organization.id)
                .collect();
        }
        let row = users::Row {
            id: Uuid::now_v7(),
            username: request.username,
            email: request.email,
            name: request.name,
            password_hash,
            is_admin: request.is_admin,
            status: "active".to_owned(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            last_seen_at: None,
            organization_ids: wanted,
        };
        users::insert(&mut tx, &row).await.map_err(user_taken)?;
        let stored = users::find(&mut tx, row.id).await?.ok_or_else(user_not_found)?;
        let answer = CreateUserResponse {
            user: Some(stored.to_wire()),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn update(&self, caller: Uuid, is_admin: bool, request: UpdateUserRequest) -> Result<User, Error> {
        let id = convert::id(&request.user_id, "user_id")?;
        let is_privileged = request.username.is_some() || request.status.is_some() || request.is_admin.is_some();
        if is_privileged && !is_admin {
            return Err(Fault::forbidden("ADMIN_ONLY", "Only administrators may change this.").into());
        }
        let mut tx = self.pool.begin().await?;
        let mut row = users::lock(&mut tx, id).await?.ok_or_else(user_not_found)?;
        let is_losing = request.is_admin == Some(false) || request.status == Some(UserStatus::Suspended.into());
        if id == caller && is_losing {
            return Err(convert::one(
                "user_id",
                "must not be yourself: another administrator has to do this",
            ));
        }
        if let Some(username) = &request.username {
            check_name(username, "username")?;
            row.username.clone_from(username);
        }
        if let Some(name) = &request.name {
            check_full_name(name)?;
            row.name.clone_from(name);
        }
        if request.status.is_some() {
            let is_suspended = request.status() == UserStatus::Suspended;
            if is_suspended { "suspended" } else { "active" }.clone_into(&mut row.status);
        }
        row.is_admin = request.is_admin.unwrap_or(row.is_admin);
        users::update(&mut tx, &row).await.map_err(user_taken)?;
        tx.commit().await?;
        Ok(row.to_wire())
    }

    async fn set_password(&self, caller: Uuid, is_admin: bool, request: SetPasswordRequest) -> Result<(), Error> {
        let id = convert::id(&request.user_id, "user_id")?;
        let row = users::find(&mut *self.pool.acquire().await?, id)
            .await?
            .ok_or_else(user_not_found)?;
        let needs_old = row.password_hash.is_some() && (id == caller || !is_admin);
        if needs_old && !credentials::verify_password(request.old_password, row.password_hash).await? {
            return Err(convert::one("old_password", "is not the present password"));
        }
        let hash = hash(&request.password).await?;
        let mut tx = self.pool.begin().await?;
        if !users::set_password(&mut tx, id, &hash).await? {
            return Err(user_not_found());
        }
        if id != caller {
            sessions::delete_all(&mut tx, id).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn create_token(
        &self,
        attempt: Option<&Attempt>,
        request: CreateApiTokenRequest,
    ) -> Result<CreateApiTokenResponse, Error> {
        let user = convert::id(&request.user_id, "user_id")?;
        let asked = request.lifetime.map_or(0, |lifetime| lifetime.seconds);
        let lifetime = if asked == 0 { DEFAULT_LIFETIME_SECONDS } else { asked };
        if !(1..=MAX_LIFETIME_SECONDS).contains(&lifetime) {
            return Err(convert::one("lifetime", "must be 1 s to 10 years"));
        }
        let id = credentials::token_id()?;
        let name = if request.name.is_empty() {
            format!("token-{id}")
        } else {
            request.name
        };
        if name.len() > MAX_NAME_BYTES {
            return Err(convert::one("token_name", "must have at most 64 bytes"));
        }
        let secret = format!("tdm_{id}_{}", credentials::secret()?);
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        users::find(&mut tx, user).await?.ok_or_else(user_not_found)?;
        let row = tokens::insert(&mut tx, &id, user, &name, &credentials::digest(&secret), lifetime).await;
        let row = row.map_err(|error| token_taken(error, &name))?;
        tx.commit().await?;
        Ok(CreateApiTokenResponse {
            token: Some(row.to_wire()),
            secret,
        })
    }
}

#[tonic::async_trait]
impl UserService for Users {
    async fn get_setup_state(
        &self,
        request: Request<GetSetupStateRequest>,
    ) -> Result<Response<GetSetupStateResponse>, Status> {
        gateway(&request)?;
        Ok(Response::new(GetSetupStateResponse {
            needs_setup: self.needs_setup().await?,
        }))
    }

    async fn bootstrap(&self, request: Request<BootstrapRequest>) -> Result<Response<BootstrapResponse>, Status> {
        gateway(&request)?;
        Ok(Response::new(self.bootstrap(request.into_inner()).await?))
    }

    async fn redeem_setup_code(
        &self,
        request: Request<RedeemSetupCodeRequest>,
    ) -> Result<Response<RedeemSetupCodeResponse>, Status> {
        gateway(&request)?;
        let mark = mark::Attempt::of(&request)?;
        let session = self.redeem(mark, &request.get_ref().code).await?;
        Ok(Response::new(RedeemSetupCodeResponse { session: Some(session) }))
    }

    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        gateway(&request)?;
        let mark = mark::Attempt::of(&request)?;
        let session = self.login(mark, request.into_inner()).await?;
        Ok(Response::new(LoginResponse { session: Some(session) }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        // The bridge's own listener asks as the gateway does.
        Caller::of(&request)?.require_service(&[ServiceName::Gateway, ServiceName::ProviderGateway])?;
        Ok(Response::new(self.authenticate(&request.get_ref().token).await?))
    }

    async fn check_credentials(
        &self,
        request: Request<CheckCredentialsRequest>,
    ) -> Result<Response<CheckCredentialsResponse>, Status> {
        gateway(&request)?;
        let asked = request.into_inner().credential_ids;
        if asked.len() > MAX_CREDENTIALS {
            return Err(convert::one("credential_ids", "must not hold more than 10,000").into());
        }
        // Sessions go by uuids, tokens by words of their own.
        let (sessions, tokens): (Vec<_>, Vec<_>) = asked.into_iter().partition(|id| Uuid::try_parse(id).is_ok());
        let sessions: Vec<Uuid> = sessions.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
        let check = async {
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(sessions::ended(&mut conn, &sessions, &tokens).await?)
        };
        Ok(Response::new(CheckCredentialsResponse {
            ended_ids: check.await?,
        }))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        let user = crate::authz::user(&request)?;
        let logout = async {
            let id = convert::id(&request.get_ref().credential_id, "credential_id")?;
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(sessions::delete(&mut conn, id, user).await?)
        };
        logout.await?;
        Ok(Response::new(LogoutResponse {}))
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let (caller, is_admin) = self_or_admin(&request, &request.get_ref().user_id)?;
        self.set_password(caller, is_admin, request.into_inner()).await?;
        Ok(Response::new(SetPasswordResponse {}))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let caller = Caller::of(&request)?.admin()?.id;
        let attempt = Attempt::of(&request, caller, "create_user")?;
        respond(self.create(attempt.as_ref(), request.into_inner()).await)
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let caller = Caller::of(&request)?.user()?.clone();
        let get = async {
            let wanted = &request.get_ref().user;
            let mut conn = self.pool.acquire().await?;
            let row = match Uuid::try_parse(wanted) {
                Ok(id) => users::find(&mut conn, id).await?,
                Err(_) => users::find_by_login(&mut conn, wanted)
                    .await?
                    .filter(|row| row.username.eq_ignore_ascii_case(wanted)),
            };
            row.filter(|row| caller.is_admin || row.id == caller.id)
                .ok_or_else(user_not_found)
        };
        Ok(Response::new(GetUserResponse {
            user: Some(get.await?.to_wire()),
        }))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        Caller::of(&request)?.admin()?;
        let message = request.into_inner();
        let list = async {
            let pattern = format!("%{}%", escape_like(&message.search));
            let limit = if message.limit == 0 {
                DEFAULT_USERS
            } else {
                message.limit.clamp(1, MAX_USERS)
            };
            let mut conn = self.pool.acquire().await?;
            let rows = users::list(&mut conn, &pattern, i64::from(limit), i64::from(message.offset.max(0))).await?;
            Ok::<_, Error>((rows, users::count(&mut conn, &pattern).await?))
        };
        let (rows, count) = list.await?;
        Ok(Response::new(ListUsersResponse {
            users: rows.iter().map(users::Row::to_wire).collect(),
            count,
        }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let (caller, is_admin) = self_or_admin(&request, &request.get_ref().user_id)?;
        let user = self.update(caller, is_admin, request.into_inner()).await?;
        Ok(Response::new(UpdateUserResponse { user: Some(user) }))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let caller = Caller::of(&request)?;
        caller.admin()?;
        let own = caller.user()?.id;
        let delete = async {
            let id = convert::id(&request.get_ref().user_id, "user_id")?;
            if id == own {
                return Err(convert::one("user_id", "must not be yourself"));
            }
            let mut tx = self.pool.begin().await?;
            users::find(&mut tx, id).await?.ok_or_else(user_not_found)?;
            users::delete(&mut tx, id).await?;
            tx.commit().await?;
            Ok(())
        };
        delete.await?;
        Ok(Response::new(DeleteUserResponse {}))
    }

    async fn list_organizations(
        &self,
        request: Request<ListOrganizationsRequest>,
    ) -> Result<Response<ListOrganizationsResponse>, Status> {
        let caller = Caller::of(&request)?.user()?.clone();
        let list = async {
            let asked = convert::optional_id(&request.get_ref().user_id, "user_id")?;
            let member = if caller.is_admin { asked } else { Some(caller.id) };
            Ok::<_, Error>(organizations::list(&mut *self.pool.acquire().await?, member).await?)
        };
        let organizations = list.await?.iter().map(organizations::Row::to_wire).collect();
        Ok(Response::new(ListOrganizationsResponse { organizations }))
    }

    async fn create_organization(
        &self,
        request: Request<CreateOrganizationRequest>,
    ) -> Result<Response<CreateOrganizationResponse>, Status> {
        let caller = Caller::of(&request)?;
        caller.admin()?;
        let user = caller.user()?.id;
        let attempt = Attempt::of(&request, user, "create_organization")?;
        let message = request.get_ref();
        let create = async {
            check_organization_name(&message.name)?;
            check_full_name(&message.display_name)?;
            let mut tx = Tx::begin(&self.pool, attempt.as_ref()).await?;
            let display_name = if message.display_name.is_empty() {
                &message.name
            } else {
                &message.display_name
            };
            let row = organizations::insert(&mut tx, Uuid::now_v7(), &message.name, display_name, false).await;
            let row = row.map_err(|error| organization_taken(error, &message.name))?;
            organizations::add_member(&mut tx, row.id, user).await?;
            let answer = CreateOrganizationResponse {
                organization: Some(row.to_wire()),
            };
            tx.answer(&answer).await?;
            Ok(answer)
        };
        respond(create.await)
    }

    async fn add_member(&self, request: Request<AddMemberRequest>) -> Result<Response<AddMemberResponse>, Status> {
        let caller = Caller::of(&request)?.admin()?.id;
        let attempt = Attempt::of(&request, caller, "add_member")?;
        let message = request.into_inner();
        let add = async {
            let organization = convert::id(&message.organization_id, "organization_id")?;
            let user = convert::id(&message.user_id, "user_id")?;
            let mut tx = Tx::begin(&self.pool, attempt.as_ref()).await?;
            users::find(&mut tx, user).await?.ok_or_else(user_not_found)?;
            let known = organizations::list(&mut tx, None).await?;
            if !known.iter().any(|known| known.id == organization) {
                return Err(Fault::not_found("ORGANIZATION_NOT_FOUND", "There is no such organization.").into());
            }
            organizations::add_member(&mut tx, organization, user).await?;
            let answer = AddMemberResponse {};
            tx.answer(&answer).await?;
            Ok(answer)
        };
        respond(add.await)
    }

    async fn create_api_token(
        &self,
        request: Request<CreateApiTokenRequest>,
    ) -> Result<Response<CreateApiTokenResponse>, Status> {
        let (caller, _) = self_or_admin(&request, &request.get_ref().user_id)?;
        let attempt = Attempt::of(&request, caller, "create_api_token")?;
        respond(self.create_token(attempt.as_ref(), request.into_inner()).await)
    }

    async fn list_api_tokens(
        &self,
        request: Request<ListApiTokensRequest>,
    ) -> Result<Response<ListApiTokensResponse>, Status> {
        self_or_admin(&request, &request.get_ref().user_id)?;
        let list = async {
            let user = convert::id(&request.get_ref().user_id, "user_id")?;
            Ok::<_, Error>(tokens::list(&mut *self.pool.acquire().await?, user).await?)
        };
        let tokens = list.await?.iter().map(tokens::Row::to_wire).collect();
        Ok(Response::new(ListApiTokensResponse { tokens }))
    }

    async fn delete_api_token(
        &self,
        request: Request<DeleteApiTokenRequest>,
    ) -> Result<Response<DeleteApiTokenResponse>, Status> {
        self_or_admin(&request, &request.get_ref().user_id)?;
        let message = request.into_inner();
        let delete = async {
            let user = convert::id(&message.user_id, "user_id")?;
            let was_there = tokens::delete(&mut *self.pool.acquire().await?, user, &message.token).await?;
            if was_there {
                Ok(())
            } else {
                Err(Fault::not_found("TOKEN_NOT_FOUND", "There is no such token.").into())
            }
        };
        delete.await.map_err(|error: Error| error)?;
        Ok(Response::new(DeleteApiTokenResponse {}))
    }
}

/// Only the gateway acts before a user is known.
fn gateway<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?.require_service(&[ServiceName::Gateway])
}

/// The caller, who must be the user concerned or an administrator.
fn self_or_admin<T>(request: &Request<T>, user: &str) -> Result<(Uuid, bool), Status> {
    let caller = Caller::of(request)?.user()?;
    if caller.is_admin || caller.id.to_string() == user {
        return Ok((caller.id, caller.is_admin));
    }
    Err(user_not_found().into())
}

async fn hash(password: &str) -> Result<String, Error> {
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Err(convert::one("password", "must have 8 to 256 bytes"));
    }
    credentials::hash_password(password.to_owned()).await
}

fn check_name(name: &str, field: &str) -> Result<(), Error> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !is_plain {
        return Err(convert::one(
            field,
            "must have 1 to 64 characters of a-z, A-Z, 0-9, _, . and -",
        ));
    }
    Ok(())
}

/// Organisations' names stand in addresses, so they are plainer than users'.
fn check_organization_name(name: &str) -> Result<(), Error> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !is_plain {
        return Err(convert::one("name", "must have 1 to 64 characters of a-z, 0-9 and -"));
    }
    Ok(())
}

fn check_full_name(name: &str) -> Result<(), Error> {
    if name.len() > MAX_FULL_NAME_BYTES {
        return Err(convert::one("name", "must have at most 256 bytes"));
    }
    Ok(())
}

/// Text that an `ILIKE` pattern finds as it is.
pub(super) fn escape_like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

fn user_not_found() -> Error {
    Fault::not_found("USER_NOT_FOUND", "There is no such user.").into()
}

fn user_taken(error: sqlx::Error) -> Error {
    if sqlstate::violates(&error, "users_live_username") {
        return Fault::exists("USERNAME_TAKEN", "This username is taken.")
            .violation("username", "is taken")
            .into();
    }
    if sqlstate::violates(&error, "users_live_email") {
        return Fault::exists("EMAIL_TAKEN", "This email address is taken.")
            .violation("email", "is taken")
            .into();
    }
    error.into()
}

fn organization_taken(error: sqlx::Error, name: &str) -> Error {
    if sqlstate::violates(&error, "organizations_name_key") {
        return Fault::exists(
            "ORGANIZATION_TAKEN",
            format!("An organization named {name:?} exists already."),
        )
        .into();
    }
    error.into()
}

fn token_taken(error: sqlx::Error, name: &str) -> Error {
    if sqlstate::violates(&error, "api_tokens_user_id_name_key") {
        return Fault::exists("TOKEN_NAME_TAKEN", format!("A token named {name:?} exists already.")).into();
    }
    error.into()
}
