//! A person's word on the tool calls of a chat that wait for it.

use std::collections::BTreeSet;

use axum::extract::State;
use serde::Deserialize;
use tandem_chat_core::{approval::MAX_REASON_BYTES, id::ToolCallId};
use tandem_proto::storage::v1::{DecideToolCallsRequest, ToolCallDecision};
use utoipa::ToSchema;

use super::{
    Path, id,
    wire::{chat::Chat, or_default},
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// Calls that are decided at once.
const MAX_DECISIONS: usize = 128;

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// A word on every call that waits for one, each once.
#[derive(Deserialize, ToSchema)]
pub struct ApprovalsBody {
    /// 1 to 128.
    #[serde(default, deserialize_with = "or_default")]
    pub decisions: Vec<ApprovalDecision>,
}

/// The word on one call.
#[derive(Deserialize, ToSchema)]
pub struct ApprovalDecision {
    #[serde(default, deserialize_with = "or_default")]
    pub tool_call_id: String,
    /// The `digest` that was shown with the call: 64 hexadecimal digits. The word holds for this alone.
    #[serde(default, deserialize_with = "or_default")]
    pub digest: String,
    /// `approve` or `decline`.
    #[serde(default, deserialize_with = "or_default")]
    pub decision: String,
    /// With `decline`: what the model is told of it, at most 1 KiB.
    #[serde(default, deserialize_with = "or_default")]
    pub reason: String,
}

/// Approves or declines the pending calls that have an `approval`, all at once; then the turn goes on.
#[utoipa::path(
    post, path = "/chats/{chat}/approvals", tag = "messages",
    params(("chat" = Uuid, Path)),
    request_body = ApprovalsBody,
    responses(
        (status = 200, body = Chat),
        (status = 409, description = "No call waits for a decision, perhaps because it was decided already \
            (`NO_APPROVAL_REQUIRED`), or what would run is not what was shown (`APPROVAL_CHANGED`)"),
    ),
)]
pub async fn decide(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
    Body(body): Body<ApprovalsBody>,
) -> Result<Reply<Chat>, Problem> {
    let message = DecideToolCallsRequest {
        chat_id: id("chat", &chat)?.to_string(),
        decisions: decisions(body.decisions)?,
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.commands.clone().decide_tool_calls(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).references_are_invalid(&["CHAT_NOT_FOUND"]))?;
    Ok(Reply::ok(promised(answer.chat, "DecideToolCallsResponse.chat")?.into()))
}

/// Checks what needs no knowledge of the calls that wait.
fn decisions(given: Vec<ApprovalDecision>) -> Result<Vec<ToolCallDecision>, Problem> {
    if given.is_empty() {
        return Err(Problem::field("decisions", "must not be empty"));
    }
    if given.len() > MAX_DECISIONS {
        return Err(Problem::field(
            "decisions",
            format!("must not be more than {MAX_DECISIONS}"),
        ));
    }
    let mut seen = BTreeSet::new();
    given
        .into_iter()
        .enumerate()
        .map(|(index, decision)| {
            let decision = read(index, decision)?;
            if !seen.insert(decision.tool_call_id.clone()) {
                return Err(refusal(index, "tool_call_id", "must be unique"));
            }
            Ok(decision)
        })
        .collect()
}

fn read(index: usize, given: ApprovalDecision) -> Result<ToolCallDecision, Problem> {
    let refuse = |member: &str, problem: &str| refusal(index, member, problem);
    let tool_call_id = ToolCallId::new(given.tool_call_id).map_err(|_| {
        let rule = format!("must have 1 to {} bytes", ToolCallId::MAX_BYTES);
        refuse("tool_call_id", &rule)
    })?;
    let mut digest = vec![0; DIGEST_BYTES];
    hex::decode_to_slice(&given.digest, &mut digest).map_err(|_| {
        let rule = format!("must be {} hexadecimal digits", 2 * DIGEST_BYTES);
        refuse("digest", &rule)
    })?;
    let is_approved = match given.decision.as_str() {
        "approve" => true,
        "decline" => false,
        _ => return Err(refuse("decision", "must be approve or decline")),
    };
    if is_approved && !given.reason.is_empty() {
        return Err(refuse("reason", "must be left out when a call is approved"));
    }
    if given.reason.len() > MAX_REASON_BYTES {
        return Err(refuse("reason", &format!("must have at most {MAX_REASON_BYTES} bytes")));
    }
    Ok(ToolCallDecision {
        tool_call_id: tool_call_id.into(),
        digest,
        is_approved,
        reason: given.reason,
    })
}

/// A member of a decision that cannot be accepted.
fn refusal(index: usize, member: &str, problem: &str) -> Problem {
    Problem::field(format!("decisions[{index}].{member}"), problem)
}

#[cfg(test)]
mod tests;
