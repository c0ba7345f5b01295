//! A person's word on tool calls that wait for it.

use tandem_chassis::status::Fault;
use tandem_chat_core::approval::{ApprovalMode, MAX_REASON_BYTES};
use tandem_chat_core::chat::Command;
use tandem_chat_core::tool_results;
use tandem_chat_core::wire;
use tandem_proto::common::v1 as common;
use tandem_proto::storage::v1::{DecideToolCallsRequest, DecideToolCallsResponse, ToolCallDecision};

use super::{Asker, Chats, input};
use crate::change::{Done, Open, Payload};
use crate::db::approvals;
use crate::error::Error;
use crate::rpc::convert;
use crate::turn_facts::PendingCall;

impl Chats {
    pub(super) async fn decide_tool_calls(
        &self,
        asker: &Asker,
        request: DecideToolCallsRequest,
    ) -> Result<DecideToolCallsResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        let waiting: Vec<PendingCall> = open.row.pending_tool_calls.iter().cloned().collect();
        let waiting: Vec<&PendingCall> = waiting.iter().filter(|call| call.approval.is_some()).collect();
        if waiting.is_empty() {
            let text = "No tool call of this chat waits for approval; it may have been decided already.";
            return Err(Fault::conflict("NO_APPROVAL_REQUIRED", text).into());
        }
        let tools = check(&waiting, &request.decisions)?;
        let decisions: Vec<approvals::New<'_>> = request
            .decisions
            .iter()
            .zip(tools)
            .map(|(decision, tool_name)| approvals::New {
                tool_call_id: &decision.tool_call_id,
                tool_name,
                digest: &decision.digest,
                is_approved: decision.is_approved,
                reason: decision.reason.trim(),
            })
            .collect();
        let workspace = open.row.workspace_id;
        approvals::insert(open.conn(), chat, workspace, asker.user, &decisions).await?;
        open.apply(&[Command::DecideToolCalls], Payload::default()).await?;
        let answer = |done: &Done| {
            Ok(DecideToolCallsResponse {
                chat: Some(convert::chat(&done.row)),
            })
        };
        open.answer(&self.hints, answer).await
    }
}

/// Each waiting call is decided once, and as it was shown; the name of each decision's tool.
fn check<'a>(waiting: &[&'a PendingCall], decisions: &[ToolCallDecision]) -> Result<Vec<&'a str>, Error> {
    let wanted = input::call_ids("decisions", waiting.iter().map(|call| &call.tool_call_id))?;
    let given = input::call_ids("decisions", decisions.iter().map(|decision| &decision.tool_call_id))?;
    if given.iter().any(|id| !wanted.contains(id)) {
        return Err(changed());
    }
    tool_results::check("decisions", &wanted, &given).map_err(convert::many)?;
    let mut tools = Vec::with_capacity(decisions.len());
    for (index, decision) in decisions.iter().enumerate() {
        if decision.reason.len() > MAX_REASON_BYTES {
            let field = format!("decisions[{index}].reason");
            return Err(convert::one(&field, "must have at most 1,024 bytes"));
        }
        let digest = hex::encode(&decision.digest);
        let is_asked = |call: &&&PendingCall| {
            let asked = call.approval.as_ref().is_some_and(|asked| asked.digest == digest);
            asked && call.tool_call_id == decision.tool_call_id
        };
        let Some(call) = waiting.iter().find(is_asked) else {
            return Err(changed());
        };
        tools.push(call.tool_name.as_str());
    }
    Ok(tools)
}

/// Somebody decides on what they saw, and that is not what waits.
fn changed() -> Error {
    let text = "What is to be approved is not what was shown. Look at it again.";
    Fault::conflict("APPROVAL_CHANGED", text).into()
}

/// The mode a request asks for, if the operator allows it. Unspecified is the least that is allowed.
pub(super) fn mode(wanted: common::ApprovalMode, minimum: ApprovalMode) -> Result<ApprovalMode, Error> {
    if wanted == common::ApprovalMode::Unspecified {
        return Ok(minimum);
    }
    let mode = wire::approval_mode_from_wire(wanted);
    if mode < minimum {
        let rule = format!(
            "must be at least {minimum:?}, which this deployment asks for",
            minimum = minimum.as_str()
        );
        return Err(convert::one("approval_mode", &rule));
    }
    Ok(mode)
}
