use proto::live_part::Content;
use serde_json::{Value, json};

use super::*;

fn shown(event: Event) -> Value {
    let event = proto::StreamEvent {
        chat_id: "c".to_owned(),
        cursor: "v1".to_owned(),
        event: Some(event),
    };
    let event = ChatStreamEvent::from_proto(event).expect("a known event");
    let mut value = serde_json::to_value(event).unwrap();
    let object = value.as_object_mut().unwrap();
    assert_eq!(object.remove("chat_id"), Some(json!("c")));
    assert_eq!(object.remove("cursor"), Some(json!("v1")));
    value
}

fn live(content: Content) -> Value {
    let mut value = shown(Event::MessagePart(proto::LivePart {
        role: proto::Role::Assistant.into(),
        content: Some(content),
        created_at: None,
    }));
    assert_eq!(value["type"], "message_part");
    assert_eq!(value["message_part"]["role"], "assistant");
    let part = value["message_part"]["part"].as_object_mut().unwrap();
    // Keys every part has, whatever its type.
    part.retain(|_, value| !value.is_null() && *value != json!("") && *value != json!(0));
    Value::Object(std::mem::take(part))
}

#[test]
fn each_event_has_its_one_payload() {
    let at = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let error = proto::ChatError {
        message: "busy".to_owned(),
        kind: proto::ErrorKind::Overloaded.into(),
        ..Default::default()
    };
    let call = proto::PendingToolCall {
        tool_call_id: "t".to_owned(),
        tool_name: "ask".to_owned(),
        arguments_json: "{}".to_owned(),
        approval: None,
    };
    let table = [
        (
            Event::Status(proto::StatusEvent {
                status: proto::ChatStatus::Interrupting.into(),
            }),
            json!({ "type": "status", "status": { "status": "running" } }),
        ),
        (
            Event::Message(proto::ChatMessage {
                id: 3,
                ..Default::default()
            }),
            json!({
                "type": "message",
                "message": { "id": 3, "chat_id": "", "created_at": "0001-01-01T00:00:00Z", "role": "" },
            }),
        ),
        (
            Event::Error(error.clone()),
            json!({ "type": "error", "error": { "message": "busy", "kind": "overloaded", "retryable": false } }),
        ),
        (
            Event::QueueUpdate(proto::QueueEvent::default()),
            json!({ "type": "queue_update" }),
        ),
        (
            Event::QueueUpdate(proto::QueueEvent {
                messages: vec![proto::QueuedMessage {
                    id: 5,
                    ..Default::default()
                }],
            }),
            json!({
                "type": "queue_update",
                "queued_messages": [{ "id": 5, "chat_id": "", "content": [], "created_at": "0001-01-01T00:00:00Z" }],
            }),
        ),
        (
            Event::Retry(proto::RetryEvent {
                attempt: 2,
                delay_ms: 1500,
                error: Some(error),
                retrying_at: at,
            }),
            json!({
                "type": "retry",
                "retry": {
                    "attempt": 2, "delay_ms": 1500, "error": "busy", "kind": "overloaded",
                    "retrying_at": "1970-01-01T00:00:01Z",
                },
            }),
        ),
        (
            Event::ActionRequired(proto::ActionRequiredEvent { tool_calls: vec![call] }),
            json!({
                "type": "action_required",
                "action_required": { "tool_calls": [{ "tool_call_id": "t", "tool_name": "ask", "args": "{}" }] },
            }),
        ),
        (
            Event::PreviewReset(proto::PreviewReset {}),
            json!({ "type": "preview_reset" }),
        ),
        (
            Event::HistoryReset(proto::HistoryReset { from_message_id: 9 }),
            json!({ "type": "history_reset", "history_reset": { "from_message_id": 9 } }),
        ),
    ];
    for (event, expected) in table {
        assert_eq!(shown(event), expected);
    }
}

#[test]
fn a_call_that_waits_for_a_person_says_what_is_asked() {
    let call = |risk: i32| proto::PendingToolCall {
        tool_call_id: "t".to_owned(),
        tool_name: "execute".to_owned(),
        arguments_json: "{}".to_owned(),
        approval: Some(proto::ApprovalRequest {
            digest: vec![0xab; 32],
            risk,
            reason: "It writes to a file".to_owned(),
        }),
    };
    let calls = [0, 1, 2, 3, 4, 99].map(|risk| json!(ChatStreamToolCall::from(call(risk))));
    let risks = calls.clone().map(|call| call["approval"]["risk"].clone());
    assert_eq!(risks, ["unknown", "none", "changes", "unknown", "forbidden", "unknown"]);
    let expected = json!({
        "tool_call_id": "t", "tool_name": "execute", "args": "{}",
        "approval": { "digest": "ab".repeat(32), "risk": "changes", "reason": "It writes to a file" },
    });
    assert_eq!(calls[2], expected);
    // The client's own calls are not named before everything is decided: it would run them twice.
    let own = proto::PendingToolCall {
        approval: None,
        ..call(2)
    };
    let asked = || vec![own.clone(), call(2)];
    let live = shown(Event::ActionRequired(proto::ActionRequiredEvent {
        tool_calls: asked(),
    }));
    assert_eq!(live["action_required"]["tool_calls"], json!([expected]));
    let watched = ChatWatchEvent::from_proto(proto::WatchEvent {
        kind: proto::WatchKind::ActionRequired.into(),
        chat: Some(proto::Chat {
            pending_tool_calls: asked(),
            ..Default::default()
        }),
        ..Default::default()
    });
    assert_eq!(json!(watched)["tool_calls"], json!([expected]));
}

#[test]
fn increments_are_parts_with_deltas() {
    let text = live(Content::TextDelta("he".to_owned()));
    assert_eq!(text, json!({ "type": "text", "text": "he" }));
    let reasoning = live(Content::ReasoningDelta("hm".to_owned()));
    assert_eq!(reasoning, json!({ "type": "reasoning", "text": "hm" }));
    let call = live(Content::ToolCallDelta(proto::ToolCallDelta {
        tool_call_id: "t".to_owned(),
        tool_name: "execute".to_owned(),
        arguments_delta: "{\"com".to_owned(),
    }));
    assert_eq!(
        call,
        json!({ "type": "tool-call", "tool_call_id": "t", "tool_name": "execute", "args_delta": "{\"com" })
    );
    let result = live(Content::ToolResultDelta(proto::ToolResultDelta {
        tool_call_id: "t".to_owned(),
        tool_name: "execute".to_owned(),
        output_delta: "line\n".to_owned(),
        is_reset: true,
    }));
    assert_eq!(
        result,
        json!({
            "type": "tool-result", "tool_call_id": "t", "tool_name": "execute",
            "result_delta": "line\n", "result_reset": true,
        })
    );
    let whole = live(Content::Part(proto::Part {
        kind: Some(proto::part::Kind::Text(proto::TextPart { text: "all".to_owned() })),
        ..Default::default()
    }));
    assert_eq!(whole, json!({ "type": "text", "text": "all" }));
}

#[test]
fn events_this_gateway_does_not_know_are_left_out() {
    assert!(ChatStreamEvent::from_proto(proto::StreamEvent::default()).is_none());
    assert!(ChatWatchEvent::from_proto(proto::WatchEvent::default()).is_none());
}

#[test]
fn watched_chats_carry_only_what_the_feed_keeps_true() {
    let event = proto::WatchEvent {
        kind: proto::WatchKind::ActionRequired.into(),
        chat: Some(proto::Chat {
            id: "c".to_owned(),
            files: vec![proto::FileMetadata::default()],
            children: vec![proto::Chat::default()],
            pending_tool_calls: vec![proto::PendingToolCall::default()],
            ..Default::default()
        }),
        cursor: "f1".to_owned(),
    };
    let value = serde_json::to_value(ChatWatchEvent::from_proto(event)).unwrap();
    assert_eq!(value["kind"], "action_required");
    assert_eq!(value["cursor"], "f1");
    assert_eq!(value["tool_calls"].as_array().map(Vec::len), Some(1));
    assert_eq!(value["chat"]["children"], json!([]));
    assert!(value["chat"].get("files").is_none());
}

#[test]
fn signs_of_life_carry_the_servers_clock() {
    let time = || "2026-01-01T00:00:00Z".to_owned();
    assert_eq!(
        serde_json::to_value(ChatStreamEvent::heartbeat("c".to_owned(), time())).unwrap(),
        json!({ "type": "heartbeat", "chat_id": "c", "server_time": "2026-01-01T00:00:00Z" })
    );
    assert_eq!(
        serde_json::to_value(ChatWatchEvent::heartbeat(time())).unwrap(),
        json!({ "kind": "heartbeat", "server_time": "2026-01-01T00:00:00Z" })
    );
    assert_eq!(
        serde_json::to_value(ChatWatchEvent::gap("w9".to_owned())).unwrap(),
        json!({ "kind": "gap", "cursor": "w9" })
    );
}
