//! The rows of `user_provider_keys`, and envelopes of all keys as such. All ciphertext, which this room cannot open.

use sqlx::PgConnection;
use tandem_proto::storage::v1::{SealedKey, UserProviderKey};
use uuid::Uuid;

/// A user's key for a provider.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) provider_id: Uuid,
    pub(crate) masked: String,
    pub(crate) sealed: Vec<u8>,
}

/// An envelope and its row.
pub(crate) struct SealedRow {
    pub(crate) id: Uuid,
    pub(crate) provider_id: Uuid,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) sealed: Vec<u8>,
}

/// The keys of a user for live providers.
pub(crate) async fn list(conn: &mut PgConnection, user: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT k.id, k.user_id, k.provider_id, k.masked, k.sealed
        FROM user_provider_keys k JOIN providers p ON p.id = k.provider_id
        WHERE k.user_id = $1 AND p.deleted_at IS NULL ORDER BY p.name",
        user
    )
    .fetch_all(conn)
    .await
}

/// The key of a user for a provider.
pub(crate) async fn find(conn: &mut PgConnection, user: Uuid, provider: Uuid) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, user_id, provider_id, masked, sealed FROM user_provider_keys WHERE user_id = $1 AND provider_id = $2",
        user,
        provider
    )
    .fetch_optional(conn)
    .await
}

/// Stores a key in place of the one there.
pub(crate) async fn set(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO user_provider_keys (id, user_id, provider_id, masked, sealed) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (user_id, provider_id) DO UPDATE
            SET id = excluded.id, masked = excluded.masked, sealed = excluded.sealed, created_at = now()",
        row.id,
        row.user_id,
        row.provider_id,
        row.masked,
        row.sealed
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the key of a user for a provider, if there is one.
pub(crate) async fn delete(conn: &mut PgConnection, user: Uuid, provider: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM user_provider_keys WHERE user_id = $1 AND provider_id = $2",
        user,
        provider
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the keys of all users for a provider; how many there were.
pub(crate) async fn delete_all(conn: &mut PgConnection, provider: Uuid) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM user_provider_keys WHERE provider_id = $1", provider)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// Envelopes behind an id, of providers' and users' keys alike; by id.
pub(crate) async fn sealed(
    conn: &mut PgConnection,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<SealedRow>, sqlx::Error> {
    sqlx::query_as!(
        SealedRow,
        r#"SELECT id AS "id!", provider_id AS "provider_id!", user_id, sealed AS "sealed!" FROM (
            SELECT id, provider_id, NULL::uuid AS user_id, sealed FROM provider_keys
            UNION ALL SELECT id, provider_id, user_id, sealed FROM user_provider_keys
        ) keys WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2"#,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Replaces an envelope that is still as it was read; whether it was.
pub(crate) async fn replace(conn: &mut PgConnection, was: &SealedRow, sealed: &[u8]) -> Result<bool, sqlx::Error> {
    let done = match was.user_id {
        None => {
            sqlx::query!(
                "UPDATE provider_keys SET sealed = $3 WHERE id = $1 AND sealed = $2",
                was.id,
                was.sealed,
                sealed
            )
            .execute(conn)
            .await?
        }
        Some(_) => {
            sqlx::query!(
                "UPDATE user_provider_keys SET sealed = $3 WHERE id = $1 AND sealed = $2",
                was.id,
                was.sealed,
                sealed
            )
            .execute(conn)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

impl Row {
    pub(crate) fn to_wire(&self, with_sealed: bool) -> UserProviderKey {
        UserProviderKey {
            id: self.id.to_string(),
            user_id: self.user_id.to_string(),
            provider_id: self.provider_id.to_string(),
            masked: self.masked.clone(),
            sealed: if with_sealed { self.sealed.clone() } else { Vec::new() },
        }
    }
}

impl SealedRow {
    pub(crate) fn to_wire(&self) -> SealedKey {
        SealedKey {
            id: self.id.to_string(),
            provider_id: self.provider_id.to_string(),
            user_id: self.user_id.map(|id| id.to_string()).unwrap_or_default(),
            sealed: self.sealed.clone(),
        }
    }
}
