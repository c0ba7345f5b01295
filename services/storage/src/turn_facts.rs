//! Small facts of a turn that are stored as JSON beside the chat: they are read and written whole, never searched.

use serde::{Deserialize, Serialize};
use tandem_proto::common::v1::{ApprovalRequest, PendingToolCall};
use tandem_proto::storage::v1::{StepIntent, StepPosition};
use time::OffsetDateTime;

/// A completion that was about to start.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Intent {
    pub(crate) completion_id: String,
    pub(crate) step: i32,
    pub(crate) attempt: i32,
    pub(crate) model_config_id: String,
    #[serde(default)]
    pub(crate) provider_gateway_address: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) begun_at: OffsetDateTime,
    pub(crate) epoch: i64,
    /// The number of a `StepPurpose`; 0 for the answer of a step.
    #[serde(default)]
    pub(crate) purpose: i32,
}

/// Where the live parts of the last durable message end.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sealed {
    pub(crate) epoch: i64,
    pub(crate) step: i32,
    pub(crate) attempt: i32,
    pub(crate) part_count: i64,
}

/// A call only the client can answer, or a person must allow.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PendingCall {
    pub(crate) tool_call_id: String,
    pub(crate) tool_name: String,
    pub(crate) arguments_json: String,
    /// What a person is asked; `None` for the client's own calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<Approval>,
}

/// What a person is asked before a call runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Approval {
    /// SHA-256 of what would run, in hexadecimal.
    pub(crate) digest: String,
    /// The number of a `ToolRisk`.
    pub(crate) risk: i32,
    pub(crate) reason: String,
}

impl From<&Sealed> for StepPosition {
    fn from(sealed: &Sealed) -> Self {
        Self {
            epoch: sealed.epoch,
            step: sealed.step,
            attempt: sealed.attempt,
            part_count: sealed.part_count,
        }
    }
}

impl From<&PendingCall> for PendingToolCall {
    fn from(call: &PendingCall) -> Self {
        Self {
            tool_call_id: call.tool_call_id.clone(),
            tool_name: call.tool_name.clone(),
            arguments_json: call.arguments_json.clone(),
            approval: call.approval.as_ref().map(|approval| ApprovalRequest {
                digest: hex::decode(&approval.digest).unwrap_or_default(),
                risk: approval.risk,
                reason: approval.reason.clone(),
            }),
        }
    }
}

impl From<PendingToolCall> for PendingCall {
    fn from(call: PendingToolCall) -> Self {
        Self {
            tool_call_id: call.tool_call_id,
            tool_name: call.tool_name,
            arguments_json: call.arguments_json,
            approval: call.approval.map(|approval| Approval {
                digest: hex::encode(approval.digest),
                risk: approval.risk,
                reason: approval.reason,
            }),
        }
    }
}

impl Intent {
    /// The intent as the contract writes it.
    pub(crate) fn to_wire(&self) -> StepIntent {
        StepIntent {
            completion_id: self.completion_id.clone(),
            step: self.step,
            attempt: self.attempt,
            model_config_id: self.model_config_id.clone(),
            provider_gateway_address: self.provider_gateway_address.clone(),
            begun_at: Some(tandem_chat_core::wire::time_to_wire(self.begun_at)),
            epoch: self.epoch,
            purpose: self.purpose,
        }
    }
}
