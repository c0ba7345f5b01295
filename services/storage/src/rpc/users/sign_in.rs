//! Coming in: the first start, the setup code, passwords, and what a presented secret is.

use tandem_chassis::idempotency as mark;
use tandem_chassis::status::Fault;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{AuthenticateResponse, BootstrapRequest, BootstrapResponse, LoginRequest, Session};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{MAX_LIFETIME_SECONDS, PASSWORD_BYTES, Users, user_not_found};
use crate::credentials;
use crate::db::{organizations, sessions, tokens, users};
use crate::error::Error;
use crate::idempotency::{Attempt, Tx, shown_once};
use crate::rpc::convert;

/// The administrator every installation begins with.
const ADMIN: &str = "admin";
const ADMIN_EMAIL: &str = "admin@localhost";

/// The id and name of the token a first start can be given.
const BOOTSTRAP_TOKEN: &str = "bootstrap";

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// Serialises first starts of several gateways; any number no other lock uses.
const BOOTSTRAP_LOCK: i64 = 0x7461_6e64_656d;

impl Users {
    pub(super) async fn needs_setup(&self) -> Result<bool, Error> {
        Ok(!sessions::is_anybody_in(&mut *self.pool.acquire().await?).await?)
    }

    pub(super) async fn bootstrap(&self, request: BootstrapRequest) -> Result<BootstrapResponse, Error> {
        if !request.api_token.is_empty() && !TOKEN_BYTES.contains(&request.api_token.len()) {
            return Err(convert::one("TANDEM_BOOTSTRAP_TOKEN", "must have 16 to 512 bytes"));
        }
        if !request.setup_code_hash.is_empty() && request.setup_code_hash.len() != HASH_BYTES {
            return Err(convert::one("setup_code_hash", "must have 32 bytes"));
        }
        let mut tx = self.pool.begin().await?;
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", BOOTSTRAP_LOCK)
            .execute(&mut *tx)
            .await?;
        let is_created = users::count(&mut tx, "%").await? == 0;
        if is_created {
            let organization = organizations::insert(&mut tx, Uuid::now_v7(), "default", "Default", true).await?;
            let admin = users::Row {
                id: Uuid::now_v7(),
                username: ADMIN.to_owned(),
                email: ADMIN_EMAIL.to_owned(),
                name: "Administrator".to_owned(),
                password_hash: None,
                is_admin: true,
                status: "active".to_owned(),
                created_at: OffsetDateTime::UNIX_EPOCH,
                updated_at: OffsetDateTime::UNIX_EPOCH,
                last_seen_at: None,
                organization_ids: vec![organization.id],
            };
            users::insert(&mut tx, &admin).await?;
        }
        if !request.api_token.is_empty() {
            let admin = users::first_admin(&mut tx).await?.ok_or_else(user_not_found)?;
            let hash = credentials::digest(&request.api_token);
            tokens::insert(
                &mut tx,
                BOOTSTRAP_TOKEN,
                admin.id,
                BOOTSTRAP_TOKEN,
                &hash,
                MAX_LIFETIME_SECONDS,
            )
            .await?;
        }
        let is_setup_code_active = !request.setup_code_hash.is_empty() && !sessions::is_anybody_in(&mut tx).await?;
        if is_setup_code_active {
            sessions::set_setup_code(&mut tx, &request.setup_code_hash).await?;
        }
        tx.commit().await?;
        Ok(BootstrapResponse {
            is_created,
            is_setup_code_active,
        })
    }

    pub(super) async fn redeem(&self, mark: Option<mark::Attempt>, code: &str) -> Result<Session, Error> {
        let mut tx = Tx::from(self.pool.begin().await?);
        // Deleting locks the row: of several that come at once, one is first.
        let is_valid = sessions::redeem_setup_code(&mut tx, &credentials::digest(code)).await?;
        let admin = users::first_admin(&mut tx).await?.ok_or_else(user_not_found)?;
        let attempt = mark.map(|mark| Attempt::by(admin.id, "redeem_setup_code", mark));
        if !is_valid || sessions::is_anybody_in(&mut tx).await? {
            // Nobody has proved to be the administrator yet, so a key that is taken for something else is not told.
            if let Some(attempt) = &attempt
                && attempt.is_done(&mut tx).await?
            {
                return Err(shown_once().into());
            }
            let text = "This setup link is not valid any more. Start Tandem again for a new one, or sign in.";
            return Err(Fault::unauthenticated("BAD_SETUP_CODE", text).into());
        }
        if let Some(attempt) = attempt {
            tx.claim(attempt).await?;
        }
        let session = open(&mut tx, &admin).await?;
        tx.commit().await?;
        Ok(session)
    }

    pub(super) async fn login(&self, mark: Option<mark::Attempt>, request: LoginRequest) -> Result<Session, Error> {
        let bad = || Fault::unauthenticated("BAD_CREDENTIALS", "Incorrect username or password.");
        // Nobody has a password this long; hashing it would be work for nothing.
        if request.password.len() > *PASSWORD_BYTES.end() {
            return Err(bad().into());
        }
        let row = users::find_by_login(&mut *self.pool.acquire().await?, &request.login).await?;
        let row = row.filter(users::Row::is_active);
        let hash = row.as_ref().and_then(|row| row.password_hash.clone());
        let is_right = credentials::verify_password(request.password, hash).await?;
        let Some(row) = row.filter(|_| is_right) else {
            return Err(bad().into());
        };
        let attempt = mark.map(|mark| Attempt::by(row.id, "login", mark));
        let mut tx = Tx::begin(&self.pool, attempt.as_ref()).await?;
        let session = open(&mut tx, &row).await?;
        tx.commit().await?;
        Ok(session)
    }

    pub(super) async fn authenticate(&self, token: &str) -> Result<AuthenticateResponse, Error> {
        let bad = || Fault::unauthenticated("BAD_TOKEN", "The session or token is not valid. Sign in again.");
        let mut conn = self.pool.acquire().await?;
        let found = sessions::authenticate(&mut conn, &credentials::digest(token))
            .await?
            .ok_or_else(bad)?;
        if found.is_expired {
            return Err(
                Fault::unauthenticated("EXPIRED_TOKEN", "The session or token has expired. Sign in again.").into(),
            );
        }
        let user = users::find(&mut conn, found.user_id)
            .await?
            .filter(users::Row::is_active)
            .ok_or_else(bad)?;
        Ok(AuthenticateResponse {
            user: Some(user.to_wire()),
            credential_id: found.id,
            is_session: found.is_session,
        })
    }
}

async fn open(conn: &mut sqlx::PgConnection, user: &users::Row) -> Result<Session, Error> {
    let token = format!("tds_{}", credentials::secret()?);
    let expires_at = sessions::insert(conn, user.id, &credentials::digest(&token)).await?;
    Ok(Session {
        token,
        user: Some(user.to_wire()),
        expires_at: Some(time_to_wire(expires_at)),
    })
}
