//! What a turn needs to know when it begins, beside its history: one statement over the chat, its model and its owner's settings.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{models, settings};
use crate::turn_facts::Intent;

/// Facts of a turn.
pub(crate) struct Facts {
    pub(crate) epoch: i64,
    pub(crate) dynamic_tools: Value,
    pub(crate) intent: Option<Json<Intent>>,
    pub(crate) turn_step: i32,
    pub(crate) is_compaction_requested: bool,
    pub(crate) model: models::Row,
    pub(crate) own: settings::OfTurn,
    /// The owner's, by name.
    pub(crate) skills: Vec<SkillName>,
}

/// What a prompt says of a personal skill.
#[derive(Debug, Deserialize)]
pub(crate) struct SkillName {
    pub(crate) name: String,
    pub(crate) description: String,
}

/// The facts of the turn that this chat is in, or will be.
pub(crate) async fn facts(conn: &mut PgConnection, chat: Uuid) -> Result<Option<Facts>, sqlx::Error> {
    let found = sqlx::query!(
        r#"SELECT c.epoch, c.dynamic_tools, c.intent AS "intent: Json<Intent>", c.turn_step, c.is_compaction_requested,
            m.id, m.provider_id, p.type AS provider_type, m.model, m.display_name, m.is_enabled, m.is_default,
            m.context_limit, m.compression_threshold, m.call_config, m.created_at, m.updated_at,
            m.deleted_at IS NOT NULL AS "is_deleted!",
            (p.is_enabled AND p.deleted_at IS NULL) AS "is_provider_enabled!",
            (SELECT jsonb_object_agg(s.key, s.value) FROM user_settings s
                WHERE s.user_id = c.owner_id AND s.key IN ('custom_prompt', 'compaction_threshold:' || m.id::text))
                AS "own: Json<HashMap<String, Value>>",
            (SELECT jsonb_agg(jsonb_build_object('name', k.name, 'description', k.description) ORDER BY k.name COLLATE "C")
                FROM personal_skills k WHERE k.user_id = c.owner_id) AS "skills: Json<Vec<SkillName>>"
        FROM chats c
            JOIN model_configs m ON m.id = c.last_model_config_id
            JOIN providers p ON p.id = m.provider_id
        WHERE c.id = $1"#,
        chat
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|row| Facts {
        epoch: row.epoch,
        dynamic_tools: row.dynamic_tools,
        intent: row.intent,
        turn_step: row.turn_step,
        is_compaction_requested: row.is_compaction_requested,
        model: models::Row {
            id: row.id,
            provider_id: row.provider_id,
            provider_type: row.provider_type,
            model: row.model,
            display_name: row.display_name,
            is_enabled: row.is_enabled,
            is_default: row.is_default,
            context_limit: row.context_limit,
            compression_threshold: row.compression_threshold,
            call_config: row.call_config,
            created_at: row.created_at,
            updated_at: row.updated_at,
            is_deleted: row.is_deleted,
            is_provider_enabled: row.is_provider_enabled,
        },
        own: settings::OfTurn::new(row.own.map(|own| own.0).unwrap_or_default()),
        skills: row.skills.map(|skills| skills.0).unwrap_or_default(),
    }))
}
