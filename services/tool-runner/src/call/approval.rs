//! What a call may do, and what is said of one that may not run. Whether it may is decided in storage (`journal::begin`), which knows what
//! the chat's people want to be asked and what they have said.

use serde_json::Value;
use tandem_chat_core::approval::{Assessment, ToolRisk, risk_of};
use tandem_chat_core::wire;
use tandem_proto::common::v1::ApprovalRequest;
use tandem_proto::tool::v1::ToolOutcome;

use super::digest;
use super::task::Input;
use crate::mcp::FIND_TOOLS;

/// What the call may do, by its name and its arguments. Nothing is looked up: it must not take anything to find out.
pub(super) fn assess(input: &Input) -> Assessment {
    if input.tool_name == FIND_TOOLS {
        // No server's tool has this name (`tool::run`), and what is read are descriptions.
        return Assessment {
            risk: ToolRisk::None,
            reason: "It looks for tools".to_owned(),
        };
    }
    // What cannot be read runs nothing either.
    let arguments = digest::read(&input.arguments_json).unwrap_or_default();
    risk_of(&input.tool_name, &arguments)
}

/// What a person is asked before the call of this digest runs.
pub(super) fn request(digest: &[u8], assessment: Assessment) -> ApprovalRequest {
    ApprovalRequest {
        digest: digest.to_vec(),
        risk: wire::tool_risk_to_wire(assessment.risk).into(),
        reason: assessment.reason,
    }
}

/// The outcome of a call that a person has declined; what they said may be empty.
pub(super) fn declined(said: &str) -> ToolOutcome {
    let mut text = "The user declined this call.".to_owned();
    if !said.trim().is_empty() {
        text.push_str(" They said: ");
        text.push_str(said.trim());
    }
    not_run(text)
}

/// The outcome of a call that nobody is asked about.
pub(super) fn refused(reason: &str) -> ToolOutcome {
    not_run(format!(
        "This call was refused: {reason}. It is never run in this chat."
    ))
}

fn not_run(text: String) -> ToolOutcome {
    ToolOutcome {
        result_json: Value::from(text).to_string(),
        is_error: true,
        ..ToolOutcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_told_why_its_call_did_not_run() {
        assert_eq!(declined("").result_json, r#""The user declined this call.""#);
        assert_eq!(
            declined("use \"make\"\n").result_json,
            r#""The user declined this call. They said: use \"make\"""#
        );
        assert_eq!(
            refused("It pipes a download into a shell").result_json,
            r#""This call was refused: It pipes a download into a shell. It is never run in this chat.""#
        );
        for outcome in [declined(""), refused("")] {
            assert!(outcome.is_error && !outcome.is_unknown && !outcome.is_replayed);
        }
    }
}
