//! Settings of the deployment and of users: JSON by key.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// What a user's own compaction threshold for a model is kept under, before the model's id.
const COMPACTION_THRESHOLD: &str = "compaction_threshold:";

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

/// What of a user's settings a turn needs.
#[derive(Default)]
pub(crate) struct OfTurn {
    pub(crate) user_prompt: String,
    /// The user's own, in percent of the model's window.
    pub(crate) compaction_threshold: Option<i32>,
}

impl OfTurn {
    /// From settings by key: the prompt, and the threshold of the one model the turn is for.
    pub(crate) fn new(settings: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut own = Self::default();
        for (key, value) in settings {
            if key == "custom_prompt" {
                value.as_str().unwrap_or_default().clone_into(&mut own.user_prompt);
            } else if key.starts_with(COMPACTION_THRESHOLD) {
                let percent = value.as_i64().and_then(|percent| i32::try_from(percent).ok());
                own.compaction_threshold = percent.filter(|percent| (0..=100).contains(percent));
            }
        }
        own
    }
}

/// Settings of a user or, without one, of the deployment, whose keys begin with `prefix`, by key.
pub(crate) async fn list(
    conn: &mut PgConnection,
    user: Option<Uuid>,
    prefix: &str,
    limit: i64,
) -> Result<Vec<(String, Value)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT key AS "key!", value AS "value!" FROM (
            SELECT key, value FROM user_settings WHERE user_id = $1
            UNION ALL SELECT key, value FROM deployment_settings WHERE $1::uuid IS NULL) s
        WHERE starts_with(key, $2) ORDER BY key LIMIT $3"#,
        user,
        prefix,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.key, row.value)).collect())
}

/// What the operator wants every model to be told.
pub(crate) struct DeploymentPrompt {
    pub(crate) custom: String,
    pub(crate) is_default_included: bool,
}

/// The operator's prompt; the built-in one alone when nothing readable is stored.
pub(crate) async fn deployment_prompt(conn: &mut PgConnection) -> Result<DeploymentPrompt, sqlx::Error> {
    let custom = deployment(conn, "system_prompt").await?;
    let is_default_included = deployment(conn, "include_default_system_prompt").await?;
    Ok(DeploymentPrompt {
        custom: custom
            .and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default(),
        is_default_included: is_default_included.and_then(|is| is.as_bool()).unwrap_or(true),
    })
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
