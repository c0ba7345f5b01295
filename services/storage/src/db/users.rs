//! The rows of `users` and their memberships.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{User, UserStatus};
use time::OffsetDateTime;
use uuid::Uuid;

/// A user.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) password_hash: Option<String>,
    pub(crate) is_admin: bool,
    pub(crate) status: String,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) last_seen_at: Option<OffsetDateTime>,
    pub(crate) organization_ids: Vec<Uuid>,
}

macro_rules! select_users {
    ($filter:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT u.id, u.username, u.email, u.name, u.password_hash, u.is_admin, u.status, u.created_at, u.updated_at,
                u.last_seen_at, ARRAY(SELECT m.organization_id FROM organization_members m WHERE m.user_id = u.id
                    ORDER BY m.created_at, m.organization_id) AS "organization_ids!"
            FROM users u "# + $filter
            $(, $argument)*
        )
    };
}

/// A live user by id.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    select_users!("WHERE u.deleted_at IS NULL AND u.id = $1", id)
        .fetch_optional(conn)
        .await
}

/// A live user by id, locked until the transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    select_users!("WHERE u.deleted_at IS NULL AND u.id = $1 FOR UPDATE OF u", id)
        .fetch_optional(conn)
        .await
}

/// The administrator who was here first.
pub(crate) async fn first_admin(conn: &mut PgConnection) -> Result<Option<Row>, sqlx::Error> {
    select_users!(
        "WHERE u.deleted_at IS NULL AND u.is_admin AND u.status = 'active' ORDER BY u.created_at, u.id LIMIT 1"
    )
    .fetch_optional(conn)
    .await
}

/// A live user by username or email, whatever the case.
pub(crate) async fn find_by_login(conn: &mut PgConnection, login: &str) -> Result<Option<Row>, sqlx::Error> {
    select_users!(
        "WHERE u.deleted_at IS NULL AND (lower(u.username) = lower($1) OR (u.email <> '' AND lower(u.email) = lower($1)))
        ORDER BY lower(u.username) = lower($1) DESC LIMIT 1",
        login
    )
    .fetch_optional(conn)
    .await
}

/// Live users by name; `pattern` is an `ILIKE` pattern.
pub(crate) async fn list(
    conn: &mut PgConnection,
    pattern: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    select_users!(
        "WHERE u.deleted_at IS NULL AND (u.username ILIKE $1 OR u.email ILIKE $1) ORDER BY lower(u.username) LIMIT $2 OFFSET $3",
        pattern,
        limit,
        offset
    )
    .fetch_all(conn)
    .await
}

/// How many live users there are.
pub(crate) async fn count(conn: &mut PgConnection, pattern: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM users
        WHERE deleted_at IS NULL AND (username ILIKE $1 OR email ILIKE $1)"#,
        pattern
    )
    .fetch_one(conn)
    .await
}

/// Stores a new user with memberships.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO users (id, username, email, name, password_hash, is_admin) VALUES ($1, $2, $3, $4, $5, $6)",
        row.id,
        row.username,
        row.email,
        row.name,
        row.password_hash,
        row.is_admin
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO organization_members (organization_id, user_id) SELECT unnest($1::uuid[]), $2",
        &row.organization_ids,
        row.id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what changed in a user.
pub(crate) async fn update(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE users SET username = $2, name = $3, status = $4, is_admin = $5, updated_at = now()
        WHERE id = $1",
        row.id,
        row.username,
        row.name,
        row.status,
        row.is_admin
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces a live user's password; says whether there was such a user.
pub(crate) async fn set_password(conn: &mut PgConnection, id: Uuid, hash: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1 AND deleted_at IS NULL",
        id,
        hash
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a user softly, and for good everything that lets them in and the keys they brought.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM sessions WHERE user_id = $1", id)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM api_tokens WHERE user_id = $1", id)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM user_provider_keys WHERE user_id = $1", id)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "UPDATE users SET deleted_at = now(), status = 'suspended', password_hash = NULL WHERE id = $1",
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    pub(crate) fn is_active(&self) -> bool {
        self.status == "active"
    }

    pub(crate) fn to_wire(&self) -> User {
        User {
            id: self.id.to_string(),
            username: self.username.clone(),
            email: self.email.clone(),
            name: self.name.clone(),
            is_admin: self.is_admin,
            status: if self.is_active() {
                UserStatus::Active
            } else {
                UserStatus::Suspended
            }
            .into(),
            created_at: Some(time_to_wire(self.created_at)),
            last_seen_at: self.last_seen_at.map(time_to_wire),
            organization_ids: self.organization_ids.iter().map(ToString::to_string).collect(),
            has_password: self.password_hash.is_some(),
            updated_at: Some(time_to_wire(self.updated_at)),
        }
    }
}
