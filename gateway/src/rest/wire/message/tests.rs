use proto::part::Kind;
use serde_json::{Value, json};

use super::*;
use crate::rest::wire::part::ChatMessagePart;

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// The part as JSON, with the keys every part has taken away after they were checked.
fn own_keys(kind: Kind) -> Value {
    let part = proto::Part {
        kind: Some(kind),
        provider_metadata_json: "{\"secret\":\"of the vendor\"}".to_owned(),
    };
    let part = ChatMessagePart::from_part(part).expect("a known kind");
    let mut value = serde_json::to_value(part).unwrap();
    let object = value.as_object_mut().unwrap();
    for (key, empty) in [
        ("text", json!("")),
        ("url", json!("")),
        ("media_type", json!("")),
        ("file_name", json!("")),
        ("start_line", json!(0)),
        ("end_line", json!(0)),
        ("content", json!("")),
        ("context_file_path", json!("")),
        ("skill_name", json!("")),
        ("mcp_server_config_id", Value::Null),
        ("file_id", Value::Null),
        ("context_file_agent_id", Value::Null),
    ] {
        let found = object.get(key).unwrap_or_else(|| panic!("no {key}"));
        if *found == empty {
            object.remove(key);
        }
    }
    value
}

#[test]
fn a_text_has_every_key_a_part_always_has() {
    let part = proto::Part {
        kind: Some(Kind::Text(proto::TextPart { text: "hi".to_owned() })),
        ..Default::default()
    };
    let text = serde_json::to_string(&ChatMessagePart::from_part(part)).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"type":"text","text":"hi","url":"","media_type":"","file_name":"","start_line":0,"end_line":0,"#,
            r#""content":"","context_file_path":"","skill_name":"","mcp_server_config_id":null,"file_id":null,"#,
            r#""context_file_agent_id":null}"#
        )
    );
}

#[test]
fn each_kind_of_part_has_its_own_keys() {
    let id = "00000000-0000-0000-0000-000000000001".to_owned();
    let table = [
        (
            Kind::Reasoning(proto::ReasoningPart {
                text: "hmm".to_owned(),
                signature: "sig".to_owned(),
                created_at: at(1),
                completed_at: at(2),
            }),
            json!({
                "type": "reasoning", "text": "hmm", "signature": "sig",
                "created_at": "1970-01-01T00:00:01Z", "completed_at": "1970-01-01T00:00:02Z",
            }),
        ),
        (
            Kind::ToolCall(proto::ToolCallPart {
                tool_call_id: "c1".to_owned(),
                tool_name: "execute".to_owned(),
                arguments_json: r#"{"command":"cd x && cargo test"}"#.to_owned(),
                mcp_server_config_id: id.clone(),
                ..Default::default()
            }),
            json!({
                "type": "tool-call", "tool_call_id": "c1", "tool_name": "execute",
                "args": { "command": "cd x && cargo test" },
                "parsed_commands": [["cd", "x"], ["cargo", "test"]], "mcp_server_config_id": id,
            }),
        ),
        (
            Kind::ToolResult(proto::ToolResultPart {
                tool_call_id: "c1".to_owned(),
                tool_name: "execute".to_owned(),
                result_json: "[1,null]".to_owned(),
                is_error: true,
                is_media: true,
                provider_executed: true,
                created_at: at(3),
                ..Default::default()
            }),
            json!({
                "type": "tool-result", "tool_call_id": "c1", "tool_name": "execute", "result": [1, null],
                "is_error": true, "is_media": true, "provider_executed": true, "created_at": "1970-01-01T00:00:03Z",
            }),
        ),
        (
            Kind::Source(proto::SourcePart {
                source_id: "s".to_owned(),
                url: "https://example.com".to_owned(),
                title: "T".to_owned(),
            }),
            json!({ "type": "source", "source_id": "s", "url": "https://example.com", "title": "T" }),
        ),
        (
            Kind::File(proto::FilePart {
                media_type: "image/png".to_owned(),
                name: "a.png".to_owned(),
                file_id: id.clone(),
                data: b"never shown".to_vec(),
            }),
            json!({ "type": "file", "media_type": "image/png", "name": "a.png", "file_id": id }),
        ),
        (
            Kind::File(proto::FilePart {
                media_type: "image/png".to_owned(),
                data: b"hi".to_vec(),
                ..Default::default()
            }),
            json!({ "type": "file", "media_type": "image/png", "data": "aGk=" }),
        ),
        (
            Kind::FileReference(proto::FileReferencePart {
                file_name: "a.rs".to_owned(),
                start_line: 1,
                end_line: 2,
                content: "c".to_owned(),
            }),
            json!({ "type": "file-reference", "file_name": "a.rs", "start_line": 1, "end_line": 2, "content": "c" }),
        ),
        (
            Kind::ContextFile(proto::ContextFilePart {
                path: "AGENTS.md".to_owned(),
                content: "for the model only".to_owned(),
                is_truncated: true,
                agent_id: id.clone(),
                os: "linux".to_owned(),
                directory: "/x".to_owned(),
            }),
            json!({
                "type": "context-file", "context_file_path": "AGENTS.md", "context_file_truncated": true,
                "context_file_agent_id": id,
            }),
        ),
        (
            Kind::Skill(proto::SkillPart {
                name: "deploy".to_owned(),
                description: "d".to_owned(),
                directory: "/x".to_owned(),
                meta_file: "SKILL.md".to_owned(),
            }),
            json!({ "type": "skill", "skill_name": "deploy", "skill_description": "d" }),
        ),
    ];
    for (kind, expected) in table {
        assert_eq!(own_keys(kind), expected);
    }
}

#[test]
fn arguments_that_are_no_json_are_shown_as_text() {
    let call = Kind::ToolCall(proto::ToolCallPart {
        arguments_json: "{\"command\": ".to_owned(),
        ..Default::default()
    });
    assert_eq!(own_keys(call)["args"], json!("{\"command\": "));
}

#[test]
fn a_message_leaves_out_what_is_not_there() {
    let bare = proto::ChatMessage {
        id: 7,
        chat_id: "c".to_owned(),
        created_at: at(0),
        role: proto::Role::Assistant.into(),
        usage: Some(proto::Usage::default()),
        ..Default::default()
    };
    insta::assert_json_snapshot!(ChatMessage::from(bare.clone()), @r#"
    {
      "id": 7,
      "chat_id": "c",
      "created_at": "1970-01-01T00:00:00Z",
      "role": "assistant"
    }
    "#);
    let full = proto::ChatMessage {
        created_by: "u".to_owned(),
        model_config_id: "m".to_owned(),
        usage: Some(proto::Usage {
            input_tokens: Some(0),
            context_limit: Some(128),
            ..Default::default()
        }),
        provider_response_id: "never shown".to_owned(),
        ..bare
    };
    insta::assert_json_snapshot!(ChatMessage::from(full), @r#"
    {
      "id": 7,
      "chat_id": "c",
      "created_by": "u",
      "model_config_id": "m",
      "created_at": "1970-01-01T00:00:00Z",
      "role": "assistant",
      "usage": {
        "input_tokens": 0,
        "context_limit": 128
      }
    }
    "#);
}

#[test]
fn a_page_never_has_null_lists() {
    let page = ChatMessagesResponse::from(storage::ListMessagesResponse::default());
    assert_eq!(
        serde_json::to_value(page).unwrap(),
        json!({ "messages": [], "queued_messages": [], "has_more": false })
    );
}
