//! `ToolCallService`: what tool-runner must not forget.

use sqlx::PgConnection;
use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_chat_core::approval::{ApprovalMode, Gate};
use tandem_chat_core::chat::StatusKind;
use tandem_chat_core::wire;
use tandem_proto::common::v1::ToolRisk;
use tandem_proto::storage::v1::tool_call_service_server::ToolCallService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::{Pool, approvals, chats, tool_calls};
use crate::error::{Error, chat_not_found, stale_epoch};

const MAX_RESULT_BYTES: usize = 1024 * 1024;
const MAX_CALL_ID_BYTES: usize = 256;

/// Serves [`ToolCallService`].
pub(crate) struct ToolCalls {
    pool: Pool,
    /// The least that every chat asks before a tool runs.
    minimum: ApprovalMode,
}

impl ToolCalls {
    pub(crate) fn new(pool: Pool, minimum: ApprovalMode) -> Self {
        Self { pool, minimum }
    }

    async fn begin(&self, user: Uuid, request: BeginToolCallRequest) -> Result<ToolCall, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let id = &request.tool_call_id;
        if id.is_empty() || id.len() > MAX_CALL_ID_BYTES {
            return Err(convert::one("tool_call_id", "must have 1 to 256 bytes"));
        }
        let attempt = convert::optional_id(&request.attempt_id, "attempt_id")?;
        let mut tx = self.pool.begin().await?;
        // The row's lock fences: whoever takes the chat over after this sees the intent.
        let row = chats::lock(&mut tx, chat, user).await?.ok_or_else(chat_not_found)?;
        let is_live = row.status == StatusKind::Running.as_str() || row.status == StatusKind::Interrupting.as_str();
        if row.epoch != request.epoch || !is_live {
            return Err(stale_epoch(request.epoch, row.epoch));
        }
        if let Some(stopped) = self.stop(&mut tx, &row, &request).await? {
            return Ok(stopped);
        }
        let begun = tool_calls::begin(&mut tx, chat, id, &request.tool_name, &request.input_digest, attempt).await?;
        let is_first = begun.is_some();
        let call = match begun {
            Some(call) => call,
            None => match tool_calls::find(&mut tx, chat, id).await? {
                Some(call) => call,
                // Declined, and since then the chat asks for less.
                None => {
                    let said = approvals::find(&mut tx, chat, id).await?.ok_or_else(call_not_found)?;
                    return Ok(not_started(&request, ToolCallState::Declined, said.reason));
                }
            },
        };
        tx.commit().await?;
        if call.input_digest != request.input_digest || call.tool_name != request.tool_name {
            let text = "This tool call id was used with another input.";
            return Err(Fault::conflict("INPUT_MISMATCH", text).into());
        }
        // The same attempt asks again because the answer to its first question was lost.
        let is_repeated = attempt.is_some() && call.attempt_id == attempt && call.finished_at.is_none();
        Ok(call.to_wire(is_first || is_repeated))
    }

    /// What is said of a call that may not start (yet); `None` lets it, and uses up the approval it needed.
    async fn stop(
        &self,
        tx: &mut PgConnection,
        chat: &chats::Row,
        request: &BeginToolCallRequest,
    ) -> Result<Option<ToolCall>, Error> {
        let mode = chat.approval_mode().max(self.minimum);
        let gate = mode.gate(wire::tool_risk_from_wire(request.risk()));
        let id = &request.tool_call_id;
        // What was started once is only told of.
        if gate == Gate::Open || tool_calls::find(tx, chat.id, id).await?.is_some() {
            return Ok(None);
        }
        if request.risk() == ToolRisk::Unspecified {
            // A tool-runner that knows no risks knows no states in which a call may not start either.
            let text = "Tool calls of this chat have to be approved, and this tool-runner is too old for that.";
            return Err(Fault::wrong_state("TOOL_RUNNER_TOO_OLD", text).into());
        }
        let stopped = |state, decline_reason| Ok(Some(not_started(request, state, decline_reason)));
        if gate == Gate::Closed {
            return stopped(ToolCallState::Refused, String::new());
        }
        let said = approvals::find(tx, chat.id, id).await?;
        let said = said.filter(|said| said.is_about(&request.tool_name, &request.input_digest, chat.workspace_id));
        match said {
            Some(said) if said.is_valid(chat.now) => {
                approvals::spend(tx, chat.id, id).await?;
                Ok(None)
            }
            Some(said) if !said.is_approved => stopped(ToolCallState::Declined, said.reason),
            Some(_) | None => stopped(ToolCallState::AwaitsApproval, String::new()),
        }
    }

    async fn finish(&self, user: Uuid, request: FinishToolCallRequest) -> Result<ToolCall, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        if request.result_json.len() > MAX_RESULT_BYTES {
            return Err(convert::one("result", "must have at most 1 MiB"));
        }
        let result = serde_json::from_str(&request.result_json).map_err(|_| convert::one("result", "must be JSON"))?;
        let is_unknown = request.state() == ToolCallState::Unknown;
        let mut tx = self.pool.begin().await?;
        chats::find(&mut tx, chat, user).await?.ok_or_else(chat_not_found)?;
        tool_calls::finish(
            &mut tx,
            chat,
            &request.tool_call_id,
            result,
            request.is_error,
            is_unknown,
        )
        .await?;
        let call = tool_calls::find(&mut tx, chat, &request.tool_call_id)
            .await?
            .ok_or_else(call_not_found)?;
        tx.commit().await?;
        Ok(call.to_wire(false))
    }
}

#[tonic::async_trait]
impl ToolCallService for ToolCalls {
    async fn begin_tool_call(
        &self,
        request: Request<BeginToolCallRequest>,
    ) -> Result<Response<BeginToolCallResponse>, Status> {
        let user = runner_for(&request)?;
        let call = self.begin(user, request.into_inner()).await?;
        Ok(Response::new(BeginToolCallResponse { call: Some(call) }))
    }

    async fn update_tool_call(
        &self,
        request: Request<UpdateToolCallRequest>,
    ) -> Result<Response<UpdateToolCallResponse>, Status> {
        let user = runner_for(&request)?;
        let message = request.into_inner();
        let update = async {
            let chat = convert::id(&message.chat_id, "chat_id")?;
            let workspace = convert::optional_id(&message.workspace_id, "workspace_id")?;
            let mut conn = self.pool.acquire().await?;
            chats::find(&mut conn, chat, user).await?.ok_or_else(chat_not_found)?;
            let token = &message.resume_token;
            let is_known = tool_calls::update(&mut conn, chat, &message.tool_call_id, token, workspace).await?;
            if is_known { Ok(()) } else { Err(call_not_found()) }
        };
        update.await?;
        Ok(Response::new(UpdateToolCallResponse {}))
    }

    async fn finish_tool_call(
        &self,
        request: Request<FinishToolCallRequest>,
    ) -> Result<Response<FinishToolCallResponse>, Status> {
        let user = runner_for(&request)?;
        let call = self.finish(user, request.into_inner()).await?;
        Ok(Response::new(FinishToolCallResponse { call: Some(call) }))
    }

    async fn get_tool_call(
        &self,
        request: Request<GetToolCallRequest>,
    ) -> Result<Response<GetToolCallResponse>, Status> {
        let user = runner_for(&request)?;
        let message = request.into_inner();
        let get = async {
            let chat = convert::id(&message.chat_id, "chat_id")?;
            let mut conn = self.pool.acquire().await?;
            chats::find(&mut conn, chat, user).await?.ok_or_else(chat_not_found)?;
            tool_calls::find(&mut conn, chat, &message.tool_call_id)
                .await?
                .ok_or_else(call_not_found)
        };
        Ok(Response::new(GetToolCallResponse {
            call: Some(get.await?.to_wire(false)),
        }))
    }
}

/// Tool-runner, in the name of a chat's owner.
fn runner_for<T>(request: &Request<T>) -> Result<Uuid, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ToolRunner])?;
    Ok(caller.user()?.id)
}

/// A call of which nothing is recorded, and why it has not started.
fn not_started(request: &BeginToolCallRequest, state: ToolCallState, decline_reason: String) -> ToolCall {
    ToolCall {
        tool_call_id: request.tool_call_id.clone(),
        chat_id: request.chat_id.clone(),
        tool_name: request.tool_name.clone(),
        input_digest: request.input_digest.clone(),
        state: state.into(),
        decline_reason,
        ..ToolCall::default()
    }
}

fn call_not_found() -> Error {
    Fault::not_found("TOOL_CALL_NOT_FOUND", "There is no such tool call.").into()
}
