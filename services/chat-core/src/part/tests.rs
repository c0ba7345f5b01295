//! The stored form of every kind, and what clients see of it.

use serde_json::json;
use time::macros::datetime;
use uuid::Uuid;

use super::*;

fn metadata() -> ProviderMetadata {
    json!({"item_id": "rs_1"}).as_object().cloned().unwrap()
}

fn call_id() -> ToolCallId {
    ToolCallId::new("call_1").unwrap()
}

/// One part of every kind, every field filled.
fn full() -> Vec<Part> {
    let at = Some(datetime!(2026-03-01 12:00:00 UTC));
    let server = Some(McpServerId::new(Uuid::from_u128(1)));
    vec![
        Part::Text(TextPart {
            text: "hello".into(),
            provider_metadata: metadata(),
        }),
        Part::Reasoning(ReasoningPart {
            text: "hm".into(),
            signature: "sig".into(),
            created_at: at,
            completed_at: at,
            provider_metadata: metadata(),
        }),
        Part::ToolCall(ToolCallPart {
            tool_call_id: call_id(),
            tool_name: "execute".into(),
            args: json!({"command": "ls"}),
            provider_executed: true,
            mcp_server_config_id: server,
            created_at: at,
            provider_metadata: metadata(),
        }),
        Part::ToolResult(ToolResultPart {
            tool_call_id: call_id(),
            tool_name: "execute".into(),
            result: json!({"output": "x"}),
            is_error: true,
            is_media: true,
            provider_executed: true,
            mcp_server_config_id: server,
            created_at: at,
            provider_metadata: metadata(),
        }),
        Part::Source(SourcePart {
            source_id: "s1".into(),
            url: "https://example.org".into(),
            title: "Example".into(),
            provider_metadata: metadata(),
        }),
        Part::File(FilePart {
            media_type: "image/png".into(),
            name: "a.png".into(),
            file_id: Some(FileId::new(Uuid::from_u128(2))),
            data: vec![1, 2, 3],
        }),
        Part::FileReference(FileReferencePart {
            file_name: "src/lib.rs".into(),
            start_line: 1,
            end_line: 3,
            content: "mod a;".into(),
        }),
        Part::ContextFile(ContextFilePart {
            path: "/w/AGENTS.md".into(),
            is_truncated: true,
            agent_id: Some(AgentId::new(Uuid::from_u128(3))),
            content: "be kind".into(),
            os: "linux".into(),
            directory: "/w".into(),
        }),
        Part::Skill(SkillPart {
            name: "deploy".into(),
            description: "how to".into(),
            directory: "/w/.skills".into(),
            meta_file: "SKILL.md".into(),
        }),
    ]
}

#[test]
fn the_stored_form_of_every_kind() {
    insta::assert_json_snapshot!(full());
}

#[test]
fn every_kind_survives_its_stored_form() {
    let stored = serde_json::to_value(full()).unwrap();
    assert_eq!(serde_json::from_value::<Vec<Part>>(stored).unwrap(), full());
}

#[test]
fn clients_see_no_internal_field() {
    let mut parts = full();
    strip_internal(&mut parts);
    insta::assert_json_snapshot!(parts);
}

#[test]
fn bytes_without_a_file_stay_visible() {
    let mut parts = [Part::File(FilePart {
        data: vec![1],
        ..FilePart::default()
    })];
    strip_internal(&mut parts);
    assert_eq!(
        parts,
        [Part::File(FilePart {
            data: vec![1],
            ..FilePart::default()
        })]
    );
}

#[test]
fn unknown_fields_are_ignored_and_absent_ones_take_their_default() {
    let part: Part = serde_json::from_value(json!({"type": "text", "text": "hi", "shiny": true})).unwrap();
    assert_eq!(part, Part::text("hi"));
    let part: Part = serde_json::from_value(json!({"type": "skill"})).unwrap();
    assert_eq!(part, Part::Skill(SkillPart::default()));
}

#[test]
fn arguments_are_always_an_object() {
    let mut call: ToolCallPart =
        serde_json::from_value(json!({"tool_call_id": "c", "tool_name": "t", "args": [1]})).unwrap();
    assert!(call.arguments().is_empty());
    call.args = json!({"a": 1});
    assert_eq!(call.arguments().len(), 1);
}

#[test]
fn the_words_of_a_message_are_its_text_parts() {
    let parts = [
        Part::text("  one "),
        Part::Skill(SkillPart::default()),
        Part::text(" "),
        Part::text("two"),
    ];
    assert_eq!(text_of(&parts), "one\n\ntwo");
    assert_eq!(text_of(&[]), "");
}
