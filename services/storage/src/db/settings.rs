//! Settings of the deployment and of users: JSON by key.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;

/// A setting of the deployment.
pub(crate) async fn deployment(conn: &mut PgConnection, key: &str) -> Result<Option<Value>, sqlx::Error> {
    sqlx::query_scalar!("SELECT value FROM deployment_settings WHERE key = $1", key)
        .fetch_optional(conn)
        .await
}

/// A setting of a user.
pub(crate) async fn user(conn: &mut PgConnection, user: Uuid, key: &str) -> Result<Option<Value>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT value FROM user_settings WHERE user_id = $1 AND key = $2",
        user,
        key
    )
    .fetch_optional(conn)
    .await
}

/// A user's setting that is text; empty when unset or something else.
pub(crate) async fn user_text(conn: &mut PgConnection, id: Uuid, key: &str) -> Result<String, sqlx::Error> {
    let value = user(conn, id, key).await?;
    Ok(value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default())
}

/// What the operator wants every model to be told.
#[derive(serde::Deserialize)]
#[serde(default)]
pub(crate) struct DeploymentPrompt {
    pub(crate) custom: String,
    #[serde(rename = "include_default")]
    pub(crate) is_default_included: bool,
}

impl Default for DeploymentPrompt {
    fn default() -> Self {
        Self {
            custom: String::new(),
            is_default_included: true,
        }
    }
}

/// The operator's prompt; the built-in one alone when nothing readable is stored.
pub(crate) async fn deployment_prompt(conn: &mut PgConnection) -> Result<DeploymentPrompt, Error> {
    let stored = deployment(conn, "system_prompt").await?;
    Ok(stored
        .and_then(|stored| serde_json::from_value(stored).ok())
        .unwrap_or_default())
}

/// Stores a setting of the deployment; `None` removes it.
pub(crate) async fn set_deployment(
    conn: &mut PgConnection,
    key: &str,
    value: Option<Value>,
) -> Result<(), sqlx::Error> {
    match value {
        Some(value) => {
            sqlx::query!(
                "INSERT INTO deployment_settings (key, value) VALUES ($1, $2)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()",
                key,
                value
            )
            .execute(conn)
            .await?
        }
        None => {
            sqlx::query!("DELETE FROM deployment_settings WHERE key = $1", key)
                .execute(conn)
                .await?
        }
    };
    Ok(())
}

/// Stores a setting of a user; `None` removes it.
pub(crate) async fn set_user(
    conn: &mut PgConnection,
    user: Uuid,
    key: &str,
    value: Option<Value>,
) -> Result<(), sqlx::Error> {
    match value {
        Some(value) => {
            sqlx::query!(
                "INSERT INTO user_settings (user_id, key, value) VALUES ($1, $2, $3)
                ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value, updated_at = now()",
                user,
                key,
                value
            )
            .execute(conn)
            .await?
        }
        None => {
            sqlx::query!("DELETE FROM user_settings WHERE user_id = $1 AND key = $2", user, key)
                .execute(conn)
                .await?
        }
    };
    Ok(())
}
