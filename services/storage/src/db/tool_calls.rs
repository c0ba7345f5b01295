//! The rows of `tool_calls`: an intent before the effect, a result after it.

use sqlx::PgConnection;
use tandem_chat_core::stored;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{ToolCall, ToolCallState};
use time::OffsetDateTime;
use uuid::Uuid;

/// A call in the journal.
pub(crate) struct Row {
    pub(crate) chat_id: Uuid,
    pub(crate) tool_call_id: String,
    pub(crate) tool_name: String,
    pub(crate) input_digest: Vec<u8>,
    /// Who recorded the intent.
    pub(crate) attempt_id: Option<Uuid>,
    pub(crate) state: String,
    pub(crate) result: Option<serde_json::Value>,
    pub(crate) is_error: bool,
    pub(crate) resume_token: String,
    pub(crate) workspace_id: Option<Uuid>,
    pub(crate) begun_at: OffsetDateTime,
    pub(crate) finished_at: Option<OffsetDateTime>,
}

/// Records an intent; `None` when the call is known already, or a person has declined it.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    chat: Uuid,
    id: &str,
    tool_name: &str,
    digest: &[u8],
    attempt: Option<Uuid>,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO tool_calls (chat_id, tool_call_id, tool_name, input_digest, attempt_id, state)
        SELECT $1, $2, $3, $4, $5, 'started'
        WHERE NOT EXISTS (SELECT FROM tool_call_approvals a WHERE a.chat_id = $1 AND a.tool_call_id = $2 AND NOT a.is_approved
            AND a.tool_name = $3 AND a.digest = $4)
        ON CONFLICT DO NOTHING
        RETURNING chat_id, tool_call_id, tool_name, input_digest, attempt_id, state, result, is_error, resume_token, workspace_id,
            begun_at, finished_at",
        chat,
        id,
        tool_name,
        digest,
        attempt
    )
    .fetch_optional(conn)
    .await
}

/// What is known of a call.
pub(crate) async fn find(conn: &mut PgConnection, chat: Uuid, id: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT chat_id, tool_call_id, tool_name, input_digest, attempt_id, state, result, is_error, resume_token, workspace_id,
            begun_at, finished_at
        FROM tool_calls WHERE chat_id = $1 AND tool_call_id = $2",
        chat,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Which of these calls have been started.
pub(crate) async fn started(conn: &mut PgConnection, chat: Uuid, ids: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT tool_call_id FROM tool_calls WHERE chat_id = $1 AND tool_call_id = ANY ($2)",
        chat,
        ids
    )
    .fetch_all(conn)
    .await
}

/// Records where a started call goes on.
pub(crate) async fn update(
    conn: &mut PgConnection,
    chat: Uuid,
    id: &str,
    resume_token: &str,
    workspace: Option<Uuid>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE tool_calls SET resume_token = $3, workspace_id = coalesce($4, workspace_id)
        WHERE chat_id = $1 AND tool_call_id = $2 AND state = 'started'",
        chat,
        id,
        resume_token,
        workspace
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records the result unless there is one: the first one stays.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    chat: Uuid,
    id: &str,
    result: serde_json::Value,
    is_error: bool,
    is_unknown: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE tool_calls SET state = CASE WHEN $5 THEN 'unknown' ELSE 'finished' END, result = $3, is_error = $4,
            finished_at = now()
        WHERE chat_id = $1 AND tool_call_id = $2 AND state = 'started'",
        chat,
        id,
        stored::escape_value(result),
        is_error,
        is_unknown
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl Row {
    /// The call as the contract writes it; `is_new` when its caller has just recorded the intent.
    pub(crate) fn to_wire(&self, is_new: bool) -> ToolCall {
        let state = match self.state.as_str() {
            "finished" => ToolCallState::Finished,
            "unknown" => ToolCallState::Unknown,
            _ if is_new => ToolCallState::Starting,
            _ => ToolCallState::Started,
        };
        let result = self
            .result
            .clone()
            .map(|result| stored::unescape_value(result).to_string());
        ToolCall {
            tool_call_id: self.tool_call_id.clone(),
            chat_id: self.chat_id.to_string(),
            tool_name: self.tool_name.clone(),
            input_digest: self.input_digest.clone(),
            state: state.into(),
            result_json: result.unwrap_or_default(),
            is_error: self.is_error,
            resume_token: self.resume_token.clone(),
            begun_at: Some(time_to_wire(self.begun_at)),
            finished_at: self.finished_at.map(time_to_wire),
            workspace_id: self.workspace_id.map(|id| id.to_string()).unwrap_or_default(),
            decline_reason: String::new(),
        }
    }
}
