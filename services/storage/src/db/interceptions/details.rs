//! Interceptions with what was recorded of them.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;
use sqlx::types::Json;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{
    CredentialKind, Interception, InterceptionDetail, ModelThought, TokenUsage, ToolUsage, UserPrompt,
};
use time::OffsetDateTime;
use uuid::Uuid;

/// Records of one kind shown of one interception. An answer has far fewer.
const MAX_RECORDS: i64 = 1_000;

struct Row {
    id: Uuid,
    initiator_id: Uuid,
    initiator_username: String,
    credential_id: String,
    provider_id: Option<Uuid>,
    provider_type: String,
    provider_name: String,
    model: String,
    client: String,
    user_agent: String,
    client_session_id: String,
    correlating_tool_call_id: String,
    credential_kind: String,
    credential_hint: String,
    session_id: String,
    thread_root_id: Uuid,
    thread_parent_id: Option<Uuid>,
    started_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
    status: Option<i32>,
}

/// These interceptions in this order. Those that have gone meanwhile are left out.
pub(crate) async fn load(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<InterceptionDetail>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT i.id, i.initiator_id, coalesce(u.username, '') AS "initiator_username!", i.credential_id, i.provider_id,
            i.provider_type, i.provider_name, i.model, i.client, i.user_agent, i.client_session_id,
            i.correlating_tool_call_id, i.credential_kind, i.credential_hint, i.session_id, i.thread_root_id,
            i.thread_parent_id, i.started_at, i.ended_at, i.status
        FROM interceptions i LEFT JOIN users u ON u.id = i.initiator_id
        WHERE i.id = ANY($1)
        ORDER BY array_position($1, i.id)"#,
        ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut tokens = tokens(conn, ids).await?;
    let mut prompts = prompts(conn, ids).await?;
    let mut tools = tools(conn, ids).await?;
    let mut thoughts = thoughts(conn, ids).await?;
    let detail = |row: Row| {
        let id = row.id.to_string();
        InterceptionDetail {
            token_usages: tokens.remove(&id).unwrap_or_default(),
            user_prompts: prompts.remove(&id).unwrap_or_default(),
            tool_usages: tools.remove(&id).unwrap_or_default(),
            model_thoughts: thoughts.remove(&id).unwrap_or_default(),
            status: row.status.unwrap_or(0),
            interception: Some(row.into_wire()),
        }
    };
    Ok(rows.into_iter().map(detail).collect())
}

/// Records by their interception, the oldest first.
type Records<T> = HashMap<String, Vec<T>>;

fn by_interception<T>(records: impl Iterator<Item = (Uuid, T)>) -> Records<T> {
    let mut sorted: Records<T> = HashMap::new();
    for (interception, record) in records {
        sorted.entry(interception.to_string()).or_default().push(record);
    }
    sorted
}

async fn tokens(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Records<TokenUsage>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT r.id, r.interception_id, r.message_id, r.input_tokens, r.output_tokens, r.cache_read_tokens,
            r.cache_write_tokens, r.extra AS "extra: Json<BTreeMap<String, i64>>", r.created_at
        FROM unnest($1::uuid[]) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM token_usages t WHERE t.interception_id = wanted.id ORDER BY t.created_at, t.id LIMIT $2) r"#,
        ids,
        MAX_RECORDS
    )
    .fetch_all(conn)
    .await?;
    Ok(by_interception(rows.into_iter().map(|row| {
        let usage = TokenUsage {
            interception_id: row.interception_id.to_string(),
            message_id: row.message_id,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cache_read_tokens: row.cache_read_tokens,
            cache_write_tokens: row.cache_write_tokens,
            extra: row.extra.0.into_iter().collect(),
            created_at: Some(time_to_wire(row.created_at)),
            id: row.id.to_string(),
        };
        (row.interception_id, usage)
    })))
}

async fn prompts(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Records<UserPrompt>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT r.id, r.interception_id, r.message_id, r.prompt, r.created_at
        FROM unnest($1::uuid[]) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM user_prompts p WHERE p.interception_id = wanted.id ORDER BY p.created_at, p.id LIMIT $2) r",
        ids,
        MAX_RECORDS
    )
    .fetch_all(conn)
    .await?;
    Ok(by_interception(rows.into_iter().map(|row| {
        let prompt = UserPrompt {
            interception_id: row.interception_id.to_string(),
            message_id: row.message_id,
            prompt: row.prompt,
            created_at: Some(time_to_wire(row.created_at)),
            id: row.id.to_string(),
        };
        (row.interception_id, prompt)
    })))
}

async fn tools(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Records<ToolUsage>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT r.id, r.interception_id, r.message_id, r.tool_name, r.tool_call_id, r.server_url, r.arguments_json,
            r.is_injected, r.invocation_error, r.created_at
        FROM unnest($1::uuid[]) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM tool_usages t WHERE t.interception_id = wanted.id ORDER BY t.created_at, t.id LIMIT $2) r",
        ids,
        MAX_RECORDS
    )
    .fetch_all(conn)
    .await?;
    Ok(by_interception(rows.into_iter().map(|row| {
        let usage = ToolUsage {
            interception_id: row.interception_id.to_string(),
            message_id: row.message_id,
            tool_name: row.tool_name,
            tool_call_id: row.tool_call_id,
            server_url: row.server_url,
            arguments_json: row.arguments_json,
            is_injected: row.is_injected,
            invocation_error: row.invocation_error,
            created_at: Some(time_to_wire(row.created_at)),
            id: row.id.to_string(),
        };
        (row.interception_id, usage)
    })))
}

async fn thoughts(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Records<ModelThought>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT r.id, r.interception_id, r.content, r.source, r.created_at
        FROM unnest($1::uuid[]) AS wanted (id) CROSS JOIN LATERAL (
            SELECT * FROM model_thoughts t WHERE t.interception_id = wanted.id ORDER BY t.created_at, t.id LIMIT $2) r",
        ids,
        MAX_RECORDS
    )
    .fetch_all(conn)
    .await?;
    Ok(by_interception(rows.into_iter().map(|row| {
        let thought = ModelThought {
            interception_id: row.interception_id.to_string(),
            content: row.content,
            source: row.source,
            created_at: Some(time_to_wire(row.created_at)),
            id: row.id.to_string(),
        };
        (row.interception_id, thought)
    })))
}

impl Row {
    fn into_wire(self) -> Interception {
        Interception {
            id: self.id.to_string(),
            initiator_id: self.initiator_id.to_string(),
            credential_id: self.credential_id,
            provider_id: self.provider_id.map(|id| id.to_string()).unwrap_or_default(),
            provider_type: self.provider_type,
            provider_name: self.provider_name,
            model: self.model,
            client: self.client,
            user_agent: self.user_agent,
            client_session_id: self.client_session_id,
            correlating_tool_call_id: self.correlating_tool_call_id,
            credential_kind: match self.credential_kind.as_str() {
                "byok" => CredentialKind::Byok,
                _ => CredentialKind::Centralized,
            }
            .into(),
            credential_hint: self.credential_hint,
            started_at: Some(time_to_wire(self.started_at)),
            ended_at: self.ended_at.map(time_to_wire),
            session_id: self.session_id,
            thread_root_id: self.thread_root_id.to_string(),
            thread_parent_id: self.thread_parent_id.map(|id| id.to_string()).unwrap_or_default(),
            initiator_username: self.initiator_username,
        }
    }
}
