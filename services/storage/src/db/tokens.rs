//! The rows of `api_tokens`.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::ApiToken;
use time::OffsetDateTime;
use uuid::Uuid;

/// A token without its secret.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    pub(crate) lifetime_seconds: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) last_used_at: Option<OffsetDateTime>,
    pub(crate) expires_at: OffsetDateTime,
}

/// Stores a token. Only the first start's, whose id is fixed, replaces the one there is.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: &str,
    user: Uuid,
    name: &str,
    hash: &[u8],
    lifetime_seconds: i64,
) -> Result<Row, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"INSERT INTO api_tokens (id, user_id, name, secret_hash, lifetime_seconds, expires_at)
        VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $5::bigint::float8))
        ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, secret_hash = excluded.secret_hash, 
            expires_at = excluded.expires_at, updated_at = now()
            WHERE api_tokens.id = 'bootstrap'
        RETURNING id, user_id, name, lifetime_seconds, created_at, updated_at, last_used_at, expires_at"#,
        id,
        user,
        name,
        hash,
        lifetime_seconds
    )
    .fetch_one(conn)
    .await
}

/// A user's tokens, newest first.
pub(crate) async fn list(conn: &mut PgConnection, user: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, user_id, name, lifetime_seconds, created_at, updated_at, last_used_at, expires_at FROM api_tokens
        WHERE user_id = $1 ORDER BY created_at DESC, id",
        user
    )
    .fetch_all(conn)
    .await
}

/// Revokes a user's token by id or name; says whether there was one.
pub(crate) async fn delete(conn: &mut PgConnection, user: Uuid, token: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM api_tokens WHERE user_id = $1 AND (id = $2 OR name = $2)",
        user,
        token
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

impl Row {
    pub(crate) fn to_wire(&self) -> ApiToken {
        ApiToken {
            id: self.id.clone(),
            user_id: self.user_id.to_string(),
            name: self.name.clone(),
            created_at: Some(time_to_wire(self.created_at)),
            expires_at: Some(time_to_wire(self.expires_at)),
            last_used_at: self.last_used_at.map(time_to_wire),
            lifetime: Some(prost_types::Duration {
                seconds: self.lifetime_seconds,
                nanos: 0,
            }),
            updated_at: Some(time_to_wire(self.updated_at)),
        }
    }
}
