//! The rows of `chat_messages`. Order is by id; ids are taken while the chat's row is locked.

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::context;
use tandem_chat_core::message::{Role, Usage, Visibility};
use tandem_chat_core::part::Part;
use tandem_chat_core::stored;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::Error;

/// A message as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) chat_id: Uuid,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) model_config_id: Option<Uuid>,
    pub(crate) role: String,
    pub(crate) visibility: String,
    pub(crate) content: serde_json::Value,
    pub(crate) content_version: i16,
    pub(crate) usage: Option<Json<Usage>>,
    pub(crate) provider_response_id: Option<String>,
    pub(crate) is_compressed: bool,
    pub(crate) created_at: OffsetDateTime,
}

/// A message to be stored.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) role: Role,
    pub(crate) visibility: Visibility,
    pub(crate) parts: Vec<Part>,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) model_config_id: Option<Uuid>,
    pub(crate) usage: Usage,
    pub(crate) cost_micros: Option<i64>,
    pub(crate) runtime_ms: Option<i64>,
    pub(crate) provider_response_id: String,
    /// Part of a compaction.
    pub(crate) is_compressed: bool,
    /// The completion that it is the whole answer of, to be recorded as used.
    pub(crate) completion_id: Option<Uuid>,
}

impl New {
    /// A message with nothing measured.
    pub(crate) fn plain(role: Role, visibility: Visibility, parts: Vec<Part>) -> Self {
        Self {
            role,
            visibility,
            parts,
            created_by: None,
            model_config_id: None,
            usage: Usage::default(),
            cost_micros: None,
            runtime_ms: None,
            provider_response_id: String::new(),
            is_compressed: false,
            completion_id: None,
        }
    }
}

/// Stores messages in order; returns their rows in the same order, with ascending ids. What the answer of a completion has used is recorded
/// by the statement that stores it, unless it is recorded already.
pub(crate) async fn insert(conn: &mut PgConnection, chat: Uuid, messages: &[New]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::with_capacity(messages.len());
    for message in messages {
        let content = stored::encode(&message.parts).map_err(|error| Error::damaged("chat_messages", error))?;
        let usage = (!message.usage.is_empty()).then_some(Json(message.usage));
        let response_id = Some(message.provider_response_id.as_str()).filter(|id| !id.is_empty());
        let row = sqlx::query_as!(
            Row,
            r#"WITH used AS (
                INSERT INTO usage_records (completion_id, owner_id, organization_id, chat_id, root_chat_id, model_config_id,
                    provider_type, model, purpose, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
                    cost_micros, runtime_ms, started_at, ended_at)
                SELECT $13, c.owner_id, c.organization_id, c.id, c.root_chat_id, m.id, p.type, m.model, 'answer',
                    coalesce(($8::jsonb ->> 'input_tokens')::bigint, 0), coalesce(($8::jsonb ->> 'output_tokens')::bigint, 0),
                    coalesce(($8::jsonb ->> 'cache_read_tokens')::bigint, 0),
                    coalesce(($8::jsonb ->> 'cache_creation_tokens')::bigint, 0),
                    $9::bigint, coalesce($10::bigint, 0), now() - make_interval(secs => coalesce($10::bigint, 0) / 1000.0::float8), now()
                FROM chats c, model_configs m JOIN providers p ON p.id = m.provider_id
                WHERE $13::uuid IS NOT NULL AND c.id = $1 AND m.id = $3
                ON CONFLICT (completion_id) DO NOTHING)
            INSERT INTO chat_messages (chat_id, created_by, model_config_id, role, visibility, content, content_version,
                usage, cost_micros, runtime_ms, provider_response_id, is_compressed, context)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14)
            RETURNING id, chat_id, created_by, model_config_id, role, visibility, content, content_version,
                usage AS "usage: Json<Usage>", provider_response_id, is_compressed, created_at"#,
            chat,
            message.created_by,
            message.model_config_id,
            message.role.as_str(),
            message.visibility.as_str(),
            content,
            stored::CONTENT_VERSION,
            usage as Option<Json<Usage>>,
            message.cost_micros,
            message.runtime_ms,
            response_id,
            message.is_compressed,
            message.completion_id,
            context_name(&message.parts)
        )
        .fetch_one(&mut *conn)
        .await?;
        rows.push(row);
    }
    Ok(rows)
}

/// What of context the message is, if it is context.
fn context_name(parts: &[Part]) -> Option<&'static str> {
    let name = if context::is_found(parts) { "found" } else { "added" };
    context::is_context(parts).then_some(name)
}

/// Withdraws a message and all later ones.
pub(crate) async fn truncate_from(conn: &mut PgConnection, chat: Uuid, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE chat_messages SET is_deleted = true WHERE chat_id = $1 AND id >= $2 AND NOT is_deleted",
        chat,
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One live message.
pub(crate) async fn find(conn: &mut PgConnection, chat: Uuid, id: i64) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, chat_id, created_by, model_config_id, role, visibility, content, content_version,
            usage AS "usage: Json<Usage>", provider_response_id, is_compressed, created_at
        FROM chat_messages
        WHERE chat_id = $1 AND id = $2 AND NOT is_deleted"#,
        chat,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Messages users see, behind `after` (0 = all) and before `before`, in the order asked for.
pub(crate) async fn page(
    conn: &mut PgConnection,
    chat: Uuid,
    after: i64,
    before: i64,
    limit: i64,
    is_ascending: bool,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, chat_id, created_by, model_config_id, role, visibility, content, content_version,
            usage AS "usage: Json<Usage>", provider_response_id, is_compressed, created_at
        FROM chat_messages
        WHERE chat_id = $1 AND id > $2 AND id < $3 AND NOT is_deleted AND visibility IN ('user', 'both') AND role <> 'system'
        ORDER BY CASE WHEN $5 THEN id ELSE -id END
        LIMIT $4"#,
        chat,
        after,
        before,
        limit,
        is_ascending
    )
    .fetch_all(conn)
    .await
}

/// What the model may see: everything live behind the newest summary, the summary, system messages, and the context that counts.
///
/// `MATERIALIZED`: planned into the join, the search for the summary ran once for each message.
pub(crate) async fn for_prompt(conn: &mut PgConnection, chat: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"WITH boundary AS MATERIALIZED (
            SELECT coalesce(max(id), 0) AS id FROM chat_messages
            WHERE chat_id = $1 AND is_compressed AND role = 'user' AND visibility = 'model' AND NOT is_deleted
        ), told AS MATERIALIZED (
            SELECT max(id) AS id FROM chat_messages WHERE chat_id = $1 AND context IS NOT NULL AND NOT is_deleted GROUP BY context
        )
        SELECT m.id, m.chat_id, m.created_by, m.model_config_id, m.role, m.visibility, m.content, m.content_version,
            m.usage AS "usage: Json<Usage>", m.provider_response_id, m.is_compressed, m.created_at
        FROM chat_messages m, boundary
        WHERE m.chat_id = $1 AND NOT m.is_deleted AND m.visibility IN ('model', 'both')
            AND CASE WHEN m.context IS NULL
                THEN m.role = 'system' OR m.id = boundary.id OR (m.id > boundary.id AND NOT m.is_compressed)
                ELSE m.id IN (SELECT id FROM told) END
        ORDER BY m.id"#,
        chat
    )
    .fetch_all(conn)
    .await
}

/// The last assistant message and what follows it: where open calls are found.
pub(crate) async fn tail(conn: &mut PgConnection, chat: Uuid) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, chat_id, created_by, model_config_id, role, visibility, content, content_version,
            usage AS "usage: Json<Usage>", provider_response_id, is_compressed, created_at
        FROM chat_messages
        WHERE chat_id = $1 AND NOT is_deleted AND id >= (
            SELECT max(id) FROM chat_messages WHERE chat_id = $1 AND NOT is_deleted AND role = 'assistant')
        ORDER BY id"#,
        chat
    )
    .fetch_all(conn)
    .await
}

/// The user's own texts, newest first.
pub(crate) async fn prompts(conn: &mut PgConnection, chat: Uuid, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, chat_id, created_by, model_config_id, role, visibility, content, content_version,
            usage AS "usage: Json<Usage>", provider_response_id, is_compressed, created_at
        FROM chat_messages
        WHERE chat_id = $1 AND NOT is_deleted AND role = 'user' AND visibility IN ('user', 'both') AND context IS NULL
        ORDER BY id DESC
        LIMIT $2"#,
        chat,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Moves the owner's read mark to the newest assistant message.
pub(crate) async fn mark_read(conn: &mut PgConnection, chat: Uuid, user: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE chats SET last_read_message_id = greatest(last_read_message_id, coalesce(
            (SELECT max(id) FROM chat_messages WHERE chat_id = $1 AND role = 'assistant' AND NOT is_deleted), 0))
        WHERE id = $1 AND owner_id = $2",
        chat,
        user
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl Row {
    /// The message's parts, with a note in the place of what cannot be read.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let (parts, problem) = stored::salvage(self.content.clone(), self.content_version);
        if let Some(error) = problem {
            tracing::error!(chat_id = %self.chat_id, message_id = self.id, %error, "a stored message cannot be read");
        }
        parts
    }

    pub(crate) fn role(&self) -> Result<Role, Error> {
        [Role::System, Role::User, Role::Assistant, Role::Tool]
            .into_iter()
            .find(|role| role.as_str() == self.role)
            .ok_or_else(|| Error::damaged("chat_messages", "unknown role"))
    }

    /// Whether it is context and not speech. Does not read all of it.
    pub(crate) fn is_context(&self) -> bool {
        let kind = self.content[0]["type"].as_str();
        self.role == Role::User.as_str() && matches!(kind, Some("context-file" | "skill"))
    }

    /// Whether people see it, as [`page`] asks.
    pub(crate) fn is_shown(&self) -> bool {
        self.visibility().is_for_user() && self.role != Role::System.as_str()
    }

    pub(crate) fn visibility(&self) -> Visibility {
        [Visibility::Both, Visibility::User, Visibility::Model]
            .into_iter()
            .find(|visibility| visibility.as_str() == self.visibility)
            .unwrap_or_default()
    }
}
