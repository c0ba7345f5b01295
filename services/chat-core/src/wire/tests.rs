//! What goes into a contract comes out of it unchanged.

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::error::{ChatError, Detail, ErrorKind};
use crate::id::ToolCallId;
use crate::part::{FilePart, Part, ReasoningPart, SkillPart, SourcePart, ToolCallPart, ToolResultPart};

fn one_of_each() -> Vec<Part> {
    let at = datetime!(2026-01-02 03:04:05.678 UTC);
    let call = ToolCallPart {
        tool_call_id: ToolCallId::new("call_1").unwrap(),
        tool_name: "execute".to_owned(),
        args: json!({"command": "ls"}),
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: Some(at),
        provider_metadata: json!({"item": 1}).as_object().cloned().unwrap(),
    };
    vec![
        Part::text("hello \u{0} world"),
        Part::Reasoning(ReasoningPart {
            text: "hm".to_owned(),
            signature: "sig".to_owned(),
            created_at: Some(at),
            completed_at: None,
            ..ReasoningPart::default()
        }),
        Part::ToolResult(ToolResultPart::synthetic_error(&call, "interrupted", Some(at))),
        Part::ToolCall(call),
        Part::Source(SourcePart {
            url: "https://example.org".to_owned(),
            ..SourcePart::default()
        }),
        Part::File(FilePart {
            data: vec![0, 255],
            ..FilePart::default()
        }),
        Part::Skill(SkillPart {
            name: "deploy".to_owned(),
            ..SkillPart::default()
        }),
    ]
}

#[test]
fn parts_survive_the_contract() {
    let parts = one_of_each();
    assert_eq!(parts_from_wire(&parts_to_wire(&parts)), Ok(parts));
}

#[test]
fn a_broken_part_is_named_with_its_place() {
    let mut parts = parts_to_wire(&one_of_each());
    if let Some(wire::part::Kind::ToolCall(call)) = &mut parts[3].kind {
        call.arguments_json = "{".to_owned();
    }
    let error = parts_from_wire(&parts).unwrap_err();
    assert_eq!(error.to_string(), "parts[3].tool_call.arguments_json: must be JSON");
}

#[test]
fn errors_of_every_kind_survive_the_contract() {
    for kind in ErrorKind::ALL {
        let error = ChatError {
            kind,
            detail: Detail::new("why"),
            provider: "openai".to_owned(),
            retryable: true,
            status_code: Some(503),
            ..ChatError::generic("no")
        };
        assert_eq!(chat_error_from_wire(&chat_error_to_wire(&error)), error);
    }
}

#[test]
fn statuses_and_roles_survive_the_contract() {
    for status in StatusKind::ALL {
        assert_eq!(status_from_wire(status_to_wire(status).into()), Some(status));
    }
    for role in [Role::System, Role::User, Role::Assistant, Role::Tool] {
        assert_eq!(role_from_wire(role_to_wire(role).into()), Some(role));
    }
    assert_eq!(role_from_wire(99), None);
}
