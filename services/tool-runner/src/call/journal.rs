//! What storage is told of a call: its intent before the effect, its result after it.

use tandem_chassis::identity::User;
use tandem_chat_core::approval::ToolRisk;
use tandem_chat_core::wire;
use tandem_proto::storage::v1::{
    BeginToolCallRequest, FinishToolCallRequest, ToolCall, ToolCallState, UpdateToolCallRequest,
};
use tonic::Status;
use uuid::Uuid;

use super::registry::Call;
use super::task::Input;
use crate::clients::{Clients, PATIENT_PAUSES, PAUSES, persist};

/// Records the intent, or learns what is known of the call, or that it must not start now: nothing is recorded then.
///
/// # Errors
/// Storage's own: the epoch is stale, the input differs, the chat is not the user's.
pub(super) async fn begin(clients: &Clients, call: &Call, risk: ToolRisk) -> Result<ToolCall, Status> {
    let input = &call.input;
    let attempt_id = Uuid::now_v7().to_string();
    let answer = persist(&PAUSES, || {
        let message = BeginToolCallRequest {
            chat_id: input.chat_id.clone(),
            epoch: input.epoch,
            tool_call_id: input.tool_call_id.clone(),
            tool_name: input.tool_name.clone(),
            attempt_id: attempt_id.clone(),
            input_digest: call.digest.clone(),
            risk: wire::tool_risk_to_wire(risk).into(),
        };
        let request = clients.request(&input.user, message);
        let mut calls = clients.calls.clone();
        async move { calls.begin_tool_call(request).await }
    })
    .await?;
    answer
        .into_inner()
        .call
        .ok_or_else(|| Status::internal("storage answered without a call"))
}

/// Records where a started call goes on. Losing this loses nothing that cannot be derived.
pub(super) async fn place(clients: &Clients, user: &User, message: UpdateToolCallRequest) {
    let request = clients.request(user, message);
    if let Err(status) = clients.calls.clone().update_tool_call(request).await {
        tracing::debug!(code = ?status.code(), error = status.message(), "place of a call cannot be recorded");
    }
}

/// Records the result and returns the one that counts: the first.
///
/// # Errors
/// Storage's own.
pub(super) async fn finish(
    clients: &Clients,
    input: &Input,
    result_json: &str,
    is_error: bool,
    is_unknown: bool,
) -> Result<ToolCall, Status> {
    let state = if is_unknown {
        ToolCallState::Unknown
    } else {
        ToolCallState::Finished
    };
    let answer = persist(&PATIENT_PAUSES, || {
        let message = FinishToolCallRequest {
            chat_id: input.chat_id.clone(),
            tool_call_id: input.tool_call_id.clone(),
            result_json: result_json.to_owned(),
            is_error,
            state: state.into(),
        };
        let request = clients.request(&input.user, message);
        let mut calls = clients.calls.clone();
        async move { calls.finish_tool_call(request).await }
    })
    .await?;
    answer
        .into_inner()
        .call
        .ok_or_else(|| Status::internal("storage answered without a call"))
}
