//! Which model a message is for: the one asked for, else the chat's, else the default. The same look finds out whether users have spend
//! limits, so that a message costs no statement for it where they have none.

use sqlx::PgConnection;
use tandem_chassis::status::Fault;
use uuid::Uuid;

use crate::error::Error;

struct Row {
    id: Uuid,
    is_live: bool,
    is_usable: bool,
    is_spend_limited: bool,
}

/// The model of a new message.
pub(crate) struct Choice {
    pub(crate) model: Uuid,
    /// Users have spend limits.
    pub(crate) is_spend_limited: bool,
}

impl From<Row> for Choice {
    fn from(row: Row) -> Self {
        Self {
            model: row.id,
            is_spend_limited: row.is_spend_limited,
        }
    }
}

/// The model of a new message.
///
/// # Errors
/// `MODEL_NOT_FOUND` and `MODEL_DISABLED` for the one asked for; `NO_DEFAULT_MODEL` when nothing is left to choose.
pub(crate) async fn resolve(
    conn: &mut PgConnection,
    wanted: Option<Uuid>,
    last: Option<Uuid>,
) -> Result<Choice, Error> {
    let invalid = |reason: &'static str, text: &str| Fault::invalid(reason, text).violation("model_config_id", text);
    if let Some(wanted) = wanted {
        let row = find(conn, wanted).await?.filter(|row| row.is_live);
        let row = row.ok_or_else(|| invalid("MODEL_NOT_FOUND", "There is no such model."))?;
        if !row.is_usable {
            return Err(invalid(
                "MODEL_DISABLED",
                "This model or its provider is disabled. Choose another one.",
            )
            .into());
        }
        return Ok(row.into());
    }
    if let Some(last) = last
        && let Some(row) = find(conn, last).await?.filter(|row| row.is_live)
    {
        if !row.is_usable {
            return Err(invalid(
                "MODEL_DISABLED",
                "The chat's model or its provider is disabled. Choose another one.",
            )
            .into());
        }
        return Ok(row.into());
    }
    let default = default(conn).await?;
    default.map(Choice::from).ok_or_else(|| {
        Fault::invalid(
            "NO_DEFAULT_MODEL",
            "No model is configured. Add a provider and a model first.",
        )
        .into()
    })
}

/// This model if it can be used, else the default, if there is one.
pub(crate) async fn usable_or_default(conn: &mut PgConnection, model: Uuid) -> Result<Option<Uuid>, Error> {
    if find(conn, model).await?.is_some_and(|row| row.is_live && row.is_usable) {
        return Ok(Some(model));
    }
    Ok(default(conn).await?.map(|row| row.id))
}

async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT m.id, m.deleted_at IS NULL AS "is_live!",
            (m.is_enabled AND p.is_enabled AND p.deleted_at IS NULL) AS "is_usable!",
            EXISTS (SELECT 1 FROM spend_limit WHERE limit_micros IS NOT NULL) AS "is_spend_limited!"
        FROM model_configs m JOIN providers p ON p.id = m.provider_id
        WHERE m.id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await
}

async fn default(conn: &mut PgConnection) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT m.id, true AS "is_live!", true AS "is_usable!",
            EXISTS (SELECT 1 FROM spend_limit WHERE limit_micros IS NOT NULL) AS "is_spend_limited!"
        FROM model_configs m JOIN providers p ON p.id = m.provider_id
        WHERE m.is_default AND m.deleted_at IS NULL AND m.is_enabled AND p.is_enabled AND p.deleted_at IS NULL"#
    )
    .fetch_optional(conn)
    .await
}
