//! The rows of `providers` and `provider_keys`. Keys are ciphertext that this room cannot open.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::common::v1::KeyPolicy;
use tandem_proto::storage::v1::{Provider, ProviderKey};
use time::OffsetDateTime;
use uuid::Uuid;

/// A provider.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) r#type: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) is_enabled: bool,
    pub(crate) base_url: String,
    pub(crate) settings: Option<serde_json::Value>,
    pub(crate) sealed_settings: Option<Vec<u8>>,
    pub(crate) uses_central_keys: bool,
    pub(crate) allows_user_keys: bool,
    pub(crate) allows_central_fallback: bool,
    /// 0: no limit.
    pub(crate) max_concurrent: i32,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

/// One of its keys.
pub(crate) struct KeyRow {
    pub(crate) id: Uuid,
    pub(crate) provider_id: Uuid,
    pub(crate) masked: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_at: OffsetDateTime,
}

impl Row {
    /// Whose keys it is called with.
    pub(crate) fn set_key_policy(&mut self, policy: KeyPolicy) {
        self.uses_central_keys = policy.uses_central_keys;
        self.allows_user_keys = policy.allows_user_keys;
        self.allows_central_fallback = policy.allows_central_fallback;
    }
}

/// Keeps others from changing the provider until the transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT id FROM providers WHERE id = $1 FOR UPDATE", id)
        .fetch_optional(conn)
        .await?;
    Ok(())
}

macro_rules! select_providers {
    ($filter:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, type, name, display_name, is_enabled, base_url, settings, sealed_settings, uses_central_keys, allows_user_keys,
                allows_central_fallback, max_concurrent, created_at, updated_at
            FROM providers " + $filter
            $(, $argument)*
        )
    };
}

/// A live provider by id or name; the id wins.
pub(crate) async fn find(conn: &mut PgConnection, id: Option<Uuid>, name: &str) -> Result<Option<Row>, sqlx::Error> {
    select_providers!(
        "WHERE deleted_at IS NULL AND (id = $1 OR name = $2) ORDER BY id = $1 DESC NULLS LAST LIMIT 1",
        id,
        name
    )
    .fetch_optional(conn)
    .await
}

/// All live providers, oldest first.
pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    select_providers!("WHERE deleted_at IS NULL ORDER BY created_at, id")
        .fetch_all(conn)
        .await
}

/// Keys of these providers, in the administrator's order.
pub(crate) async fn keys(conn: &mut PgConnection, providers: &[Uuid]) -> Result<Vec<KeyRow>, sqlx::Error> {
    sqlx::query_as!(
        KeyRow,
        "SELECT id, provider_id, masked, sealed, created_at FROM provider_keys WHERE provider_id = ANY($1)
        ORDER BY place, created_at, id",
        providers
    )
    .fetch_all(conn)
    .await
}

/// Stores a provider.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO providers (id, type, name, display_name, is_enabled, base_url, settings, sealed_settings, uses_central_keys,
            allows_user_keys, allows_central_fallback, max_concurrent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        row.id,
        row.r#type,
        row.name,
        row.display_name,
        row.is_enabled,
        row.base_url,
        row.settings,
        row.sealed_settings,
        row.uses_central_keys,
        row.allows_user_keys,
        row.allows_central_fallback,
        row.max_concurrent
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what changed in a provider.
pub(crate) async fn update(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE providers SET display_name = $2, is_enabled = $3, base_url = $4, settings = $5, sealed_settings = $6,
            uses_central_keys = $7, allows_user_keys = $8, allows_central_fallback = $9, max_concurrent = $10, updated_at = now()
        WHERE id = $1",
        row.id,
        row.display_name,
        row.is_enabled,
        row.base_url,
        row.settings,
        row.sealed_settings,
        row.uses_central_keys,
        row.allows_user_keys,
        row.allows_central_fallback,
        row.max_concurrent
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a key, as the last one until they are ordered anew.
pub(crate) async fn insert_key(
    conn: &mut PgConnection,
    provider: Uuid,
    id: Uuid,
    masked: &str,
    sealed: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO provider_keys (id, provider_id, masked, sealed, place)
        SELECT $1, $2, $3, $4, coalesce(max(place) + 1, 0) FROM provider_keys WHERE provider_id = $2",
        id,
        provider,
        masked,
        sealed
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes all keys but these.
pub(crate) async fn keep_keys(conn: &mut PgConnection, provider: Uuid, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM provider_keys WHERE provider_id = $1 AND NOT id = ANY($2)",
        provider,
        ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts the keys into this order.
pub(crate) async fn order_keys(conn: &mut PgConnection, provider: Uuid, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE provider_keys SET place = wanted.place::integer
        FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, place)
        WHERE provider_keys.id = wanted.id AND provider_id = $1",
        provider,
        ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a provider and its models softly, and all keys for it for good.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    keep_keys(conn, id, &[]).await?;
    sqlx::query!("DELETE FROM user_provider_keys WHERE provider_id = $1", id)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "UPDATE model_configs SET deleted_at = now(), is_default = false WHERE provider_id = $1 AND deleted_at IS NULL",
        id
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE providers SET deleted_at = now(), is_enabled = false WHERE id = $1",
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    /// The provider as the contract writes it; ciphertext only for those who can open it.
    pub(crate) fn to_wire(&self, keys: &[KeyRow], with_sealed: bool) -> Provider {
        let keys = keys
            .iter()
            .filter(|key| key.provider_id == self.id)
            .map(|key| ProviderKey {
                id: key.id.to_string(),
                masked: key.masked.clone(),
                sealed: if with_sealed { key.sealed.clone() } else { Vec::new() },
                created_at: Some(time_to_wire(key.created_at)),
            });
        Provider {
            id: self.id.to_string(),
            r#type: self.r#type.clone(),
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            is_enabled: self.is_enabled,
            base_url: self.base_url.clone(),
            keys: keys.collect(),
            settings_json: self.settings.as_ref().map(ToString::to_string).unwrap_or_default(),
            created_at: Some(time_to_wire(self.created_at)),
            updated_at: Some(time_to_wire(self.updated_at)),
            sealed_settings: self.sealed_settings.clone().filter(|_| with_sealed).unwrap_or_default(),
            key_policy: Some(KeyPolicy {
                uses_central_keys: self.uses_central_keys,
                allows_user_keys: self.allows_user_keys,
                allows_central_fallback: self.allows_central_fallback,
            }),
            max_concurrent: self.max_concurrent,
        }
    }
}
