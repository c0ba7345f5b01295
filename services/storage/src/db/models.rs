//! The rows of `model_configs`.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::common::v1::ModelConfig;
use time::OffsetDateTime;
use uuid::Uuid;

/// A model with what it needs to know of its provider.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) provider_id: Uuid,
    pub(crate) provider_type: String,
    pub(crate) model: String,
    pub(crate) display_name: String,
    pub(crate) is_enabled: bool,
    pub(crate) is_default: bool,
    pub(crate) context_limit: i64,
    pub(crate) compression_threshold: i32,
    pub(crate) call_config: Option<serde_json::Value>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) is_deleted: bool,
    pub(crate) is_provider_enabled: bool,
}

macro_rules! select_models {
    ($filter:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT m.id, m.provider_id, p.type AS provider_type, m.model, m.display_name, m.is_enabled, m.is_default,
                m.context_limit, m.compression_threshold, m.call_config, m.created_at, m.updated_at,
                m.deleted_at IS NOT NULL AS "is_deleted!",
                (p.is_enabled AND p.deleted_at IS NULL) AS "is_provider_enabled!"
            FROM model_configs m JOIN providers p ON p.id = m.provider_id "# + $filter
            $(, $argument)*
        )
    };
}

/// One model, deleted ones too.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    select_models!("WHERE m.id = $1", id).fetch_optional(conn).await
}

/// The default model.
pub(crate) async fn find_default(conn: &mut PgConnection) -> Result<Option<Row>, sqlx::Error> {
    select_models!("WHERE m.is_default AND m.deleted_at IS NULL")
        .fetch_optional(conn)
        .await
}

/// Live models by provider, model, newest change.
pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    select_models!("WHERE m.deleted_at IS NULL ORDER BY p.type, m.model, m.updated_at DESC, m.id DESC")
        .fetch_all(conn)
        .await
}

/// Stores a model. Making it the default takes that from the present one.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    if row.is_default {
        clear_default(conn).await?;
    }
    sqlx::query!(
        "INSERT INTO model_configs (id, provider_id, model, display_name, is_enabled, is_default, context_limit,
            compression_threshold, call_config)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        row.id,
        row.provider_id,
        row.model,
        row.display_name,
        row.is_enabled,
        row.is_default,
        row.context_limit,
        row.compression_threshold,
        row.call_config
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what changed in a model.
pub(crate) async fn update(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    if row.is_default {
        clear_default(conn).await?;
    }
    sqlx::query!(
        "UPDATE model_configs SET provider_id = $2, model = $3, display_name = $4, is_enabled = $5, is_default = $6,
            context_limit = $7, compression_threshold = $8, call_config = $9, updated_at = now()
        WHERE id = $1",
        row.id,
        row.provider_id,
        row.model,
        row.display_name,
        row.is_enabled,
        row.is_default,
        row.context_limit,
        row.compression_threshold,
        row.call_config
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a model softly.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE model_configs SET deleted_at = now(), is_default = false WHERE id = $1",
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets one transaction after the other choose the default model. Readers and chats do not wait.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("LOCK TABLE model_configs IN SHARE ROW EXCLUSIVE MODE")
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives the default to the oldest usable model if nobody has it; to `last` only when there is no other.
pub(crate) async fn ensure_default(conn: &mut PgConnection, last: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE model_configs SET is_default = true WHERE id = (
            SELECT m.id FROM model_configs m JOIN providers p ON p.id = m.provider_id
            WHERE m.deleted_at IS NULL AND m.is_enabled AND p.is_enabled AND p.deleted_at IS NULL
            ORDER BY m.id = $1, m.created_at, m.id LIMIT 1)
        AND NOT EXISTS (SELECT 1 FROM model_configs WHERE is_default AND deleted_at IS NULL)",
        last
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn clear_default(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE model_configs SET is_default = false WHERE is_default")
        .execute(conn)
        .await?;
    Ok(())
}

impl Row {
    pub(crate) fn to_wire(&self) -> ModelConfig {
        ModelConfig {
            id: self.id.to_string(),
            provider_id: self.provider_id.to_string(),
            provider_type: self.provider_type.clone(),
            model: self.model.clone(),
            display_name: self.display_name.clone(),
            is_enabled: self.is_enabled,
            is_default: self.is_default,
            context_limit: self.context_limit,
            compression_threshold: self.compression_threshold,
            call_config_json: self.call_config.as_ref().map(ToString::to_string).unwrap_or_default(),
            created_at: Some(time_to_wire(self.created_at)),
            updated_at: Some(time_to_wire(self.updated_at)),
            is_deleted: self.is_deleted,
            is_provider_enabled: self.is_provider_enabled,
        }
    }
}
