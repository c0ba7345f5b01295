//! Frames as clients' libraries expect them, written out.

use tandem_chat_core::{
    error::{ChatError, ErrorKind},
    message::Usage,
};
use tandem_protocols::call::{FinishReason, ToolCallDelta};

use super::*;
use crate::completion::{Event, Failed, Finished, Started};

fn answering(id: &str, wants_usage: bool) -> Answering {
    Answering {
        id: id.to_owned(),
        model: "m".to_owned(),
        created_unix_s: 7,
        is_stream: true,
        wants_usage,
        is_serial: false,
        free_form: Default::default(),
    }
}

fn delta(id: &str, arguments: &str) -> Event {
    Event::ToolCallDelta(Box::new(ToolCallDelta {
        tool_call_id: ToolCallId::new(id).unwrap(),
        tool_name: "look".to_owned(),
        arguments: arguments.to_owned(),
    }))
}

/// Thinking, words and a call.
fn events() -> Vec<Event> {
    vec![
        Event::Started(Box::new(Started {
            provider_type: "demo".to_owned(),
            model: "theirs".to_owned(),
            model_config_id: ModelConfigId::new(Uuid::nil()),
            fallback: None,
        })),
        Event::ReasoningDelta("Hm.".to_owned()),
        Event::ReasoningDone(Box::new(reasoning("", "sig", json!({})))),
        Event::TextDelta("I ".to_owned()),
        Event::TextDelta("look.".to_owned()),
        delta("a", ""),
        delta("a", "{\"x\":1}"),
        Event::Part(Box::new(call("a", "look", json!({"x": 1})))),
        Event::Finished(Box::new(Finished {
            reason: FinishReason::ToolCalls,
            usage: Usage {
                input_tokens: Some(5),
                output_tokens: Some(4),
                cache_read_tokens: Some(3),
                ..Usage::default()
            },
            response_id: String::new(),
            cost_usd_micros: None,
        })),
    ]
}

fn text(dialect: Dialect, answering: Answering, events: &[Event]) -> String {
    let mut encoder = Encoder::new(dialect, answering);
    let mut bytes: Vec<u8> = events.iter().flat_map(|event| encoder.event(event).to_vec()).collect();
    bytes.extend_from_slice(&encoder.finish());
    String::from_utf8(bytes).unwrap()
}

/// Each frame's name and data.
pub(super) fn frames(text: &str) -> Vec<(String, Value)> {
    let frames = text.split_terminator("\n\n");
    frames
        .map(|frame| {
            let (name, data) = frame.split_once('\n').unwrap_or(("", frame));
            let data = data.strip_prefix("data: ").unwrap();
            let name = name.strip_prefix("event: ").unwrap_or_default();
            (
                name.to_owned(),
                serde_json::from_str(data).unwrap_or_else(|_| json!(data)),
            )
        })
        .collect()
}

#[test]
fn chat_completions_chunks() {
    let text = text(Dialect::ChatCompletions, answering("chatcmpl-1", true), &events());
    let choice = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "usage": null,
               "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
    };
    let call = |call: Value| choice(json!({"tool_calls": [call]}), Value::Null);
    let expected = [
        choice(
            json!({"role": "assistant", "content": "", "refusal": null}),
            Value::Null,
        ),
        choice(json!({"reasoning_content": "Hm."}), Value::Null),
        choice(json!({"content": "I "}), Value::Null),
        choice(json!({"content": "look."}), Value::Null),
        call(json!({"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": "{\"x\":1}"}})),
        choice(json!({}), json!("tool_calls")),
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [],
               "usage": {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12,
                         "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 0}}}),
        json!("[DONE]"),
    ];
    let found: Vec<Value> = frames(&text).into_iter().map(|(_, data)| data).collect();
    assert_eq!(found, expected);
}

#[test]
fn chunks_of_a_client_that_wants_no_usage_have_none() {
    let text = text(Dialect::ChatCompletions, answering("chatcmpl-1", false), &events());
    assert!(!text.contains("usage"), "{text}");
}

#[test]
fn messages_events() {
    let text = text(Dialect::Messages, answering("msg_1", true), &events());
    let usage = |input: i64, read: i64, output: i64| json!({"input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": read, "output_tokens": output});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                         "stop_reason": null, "stop_sequence": null, "usage": usage(0, 0, 0)});
    let start =
        |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let expected = [
        json!({"type": "message_start", "message": message}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "I "})),
        delta(1, json!({"type": "text_delta", "text": "look."})),
        stop(1),
        start(2, json!({"type": "tool_use", "id": "a", "name": "look", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"x\":1}"})),
        stop(2),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": usage(5, 3, 4)}),
        json!({"type": "message_stop"}),
    ];
    let frames = frames(&text);
    assert!(
        frames.iter().all(|(name, data)| data["type"] == *name),
        "each frame has its name"
    );
    let found: Vec<Value> = frames.into_iter().map(|(_, data)| data).collect();
    assert_eq!(found, expected);
}

#[test]
fn responses_events() {
    let text = text(Dialect::Responses, answering("resp_1", true), &events());
    let frames = frames(&text);
    let names: Vec<&str> = frames
        .iter()
        .map(|(name, _)| name.strip_prefix("response.").unwrap())
        .collect();
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(names, expected);
    for (number, (name, data)) in (0_u64..).zip(&frames) {
        assert_eq!(
            (&data["type"], &data["sequence_number"]),
            (&json!(name), &json!(number))
        );
    }
    assert_eq!(
        frames[10].1,
        json!({"type": "response.output_text.delta", "sequence_number": 10, "item_id": "msg_1_1", "output_index": 1,
               "content_index": 0, "logprobs": [], "delta": "I "})
    );
    let last = &frames[19].1["response"];
    assert_eq!(
        last["output"],
        json!([
            {"type": "reasoning", "id": "rs_1_0", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "sig"},
            {"type": "message", "id": "msg_1_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1_2", "call_id": "a", "name": "look", "arguments": "{\"x\":1}", "status": "completed"},
        ])
    );
    let done: Vec<&Value> = frames
        .iter()
        .filter(|(name, _)| name.ends_with("item.done"))
        .map(|(_, data)| &data["item"])
        .collect();
    assert_eq!(done, last["output"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(
        (&last["status"], &last["id"], &last["error"]),
        (&json!("completed"), &json!("resp_1"), &Value::Null)
    );
    assert_eq!(
        last["usage"],
        json!({"input_tokens": 8, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 4,
               "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12})
    );
}

#[test]
fn what_runs_side_by_side_is_told_one_after_another() {
    let mut all = events();
    all.truncate(1);
    all.extend([
        delta("a", "{\"x\""),
        delta("b", "{}"),
        Event::TextDelta("Both.".to_owned()),
        delta("a", ":1}"),
    ]);
    all.extend(
        [call("a", "look", json!({"x": 1})), call("b", "look", json!({}))].map(|part| Event::Part(Box::new(part))),
    );
    all.extend(events().pop());
    let text = text(Dialect::Messages, answering("msg_1", true), &all);
    let open: Vec<String> = frames(&text)
        .into_iter()
        .filter(|(name, _)| name.starts_with("content_block"))
        .map(|(name, data)| format!("{} {}", name.strip_prefix("content_block_").unwrap(), data["index"]))
        .collect();
    assert_eq!(
        open,
        [
            "start 0", "delta 0", "delta 0", "stop 0", "start 1", "delta 1", "stop 1", "start 2", "delta 2", "stop 2"
        ]
    );
}

#[test]
fn a_failure_is_an_event_of_each_dialect_and_nothing_follows() {
    let failed = Event::Failed(Box::new(Failed {
        error: ChatError {
            kind: ErrorKind::Overloaded,
            ..ChatError::generic("Too much.")
        },
        retry_after: std::time::Duration::ZERO,
        is_cancelled: false,
        is_context_exceeded: false,
    }));
    let last = |dialect: Dialect, id: &str| {
        let events = [events()[0].clone(), failed.clone(), Event::TextDelta("x".to_owned())];
        frames(&text(dialect, answering(id, true), &events)).pop().unwrap()
    };
    let openai = json!({"message": "Too much.", "type": "server_error", "param": null, "code": "service_unavailable"});
    assert_eq!(
        last(Dialect::ChatCompletions, "chatcmpl-1"),
        (String::new(), json!({ "error": openai }))
    );
    assert_eq!(
        last(Dialect::Messages, "msg_1"),
        (
            "error".to_owned(),
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Too much."}})
        )
    );
    let (name, data) = last(Dialect::Responses, "resp_1");
    assert_eq!(
        (name.as_str(), &data["response"]["status"]),
        ("response.failed", &json!("failed"))
    );
    assert_eq!(
        data["response"]["error"],
        json!({"code": "service_unavailable", "message": "Too much."})
    );
}

#[test]
fn a_ping_says_nothing() {
    assert_eq!(&ping(Dialect::ChatCompletions)[..1], b":");
    assert_eq!(
        frames(std::str::from_utf8(&ping(Dialect::Messages)).unwrap()),
        [("ping".to_owned(), json!({"type": "ping"}))]
    );
}
