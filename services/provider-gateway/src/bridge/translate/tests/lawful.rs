//! What clients' libraries rely on in a stream, checked apart from what writes it.

use serde_json::{Value, json};

use crate::bridge::dialect::Dialect;

/// Checks a whole stream.
pub(super) fn check(dialect: Dialect, text: &str) {
    let frames = super::frames::frames(text);
    match dialect {
        Dialect::ChatCompletions => chunks(&frames),
        Dialect::Messages => messages(&frames),
        Dialect::Responses => responses(&frames),
    }
}

/// The role comes first, each call is named once before its arguments, one chunk says why it ends, and the mark is last.
fn chunks(frames: &[(String, Value)]) {
    let mut named = 0;
    let mut finished = 0;
    assert_eq!(frames[0].1["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(frames.last().unwrap().1, json!("[DONE]"));
    for (_, chunk) in &frames[..frames.len() - 1] {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        let choice = &chunk["choices"][0];
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap();
            if call["id"].is_string() {
                assert_eq!(index, named, "calls are numbered as they begin");
                let kind = call["type"].as_str().unwrap();
                assert!(["function", "custom"].contains(&kind) && call[kind]["name"].is_string());
                named += 1;
            }
            let has_more = call["function"]["arguments"].is_string() || call["custom"]["input"].is_string();
            assert!(index < named && has_more);
        }
        finished += usize::from(choice["finish_reason"].is_string());
    }
    assert_eq!(finished, 1);
}

/// One block at a time, numbered from 0, each with additions of its own kind.
fn messages(frames: &[(String, Value)]) {
    let mut open: Option<String> = None;
    let mut index = 0_u64;
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "message_start");
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    for (name, event) in &frames[1..frames.len() - 2] {
        assert_eq!(event["type"], *name);
        assert_eq!(event["index"], index);
        match name.as_str() {
            "content_block_start" => {
                let kind = event["content_block"]["type"].as_str().unwrap().to_owned();
                assert_eq!(open.replace(kind), None, "one block at a time");
            }
            "content_block_delta" => {
                let fits: &[&str] = match event["delta"]["type"].as_str().unwrap() {
                    "text_delta" | "citations_delta" => &["text"],
                    "thinking_delta" | "signature_delta" => &["thinking"],
                    "input_json_delta" => &["tool_use", "server_tool_use"],
                    other => panic!("{other}"),
                };
                assert!(fits.contains(&open.as_deref().unwrap()));
            }
            "content_block_stop" => {
                assert!(open.take().is_some());
                index += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(open, None);
}

/// Events are numbered, items begin and end one after another, what is added is what they end with, and the last event has them all.
fn responses(frames: &[(String, Value)]) {
    let mut items: Vec<Value> = Vec::new();
    let mut open: Option<(Value, String)> = None;
    for (number, (name, event)) in (0_u64..).zip(frames) {
        assert_eq!(
            (&event["type"], &event["sequence_number"]),
            (&json!(name), &json!(number))
        );
        if !event["output_index"].is_null() {
            assert_eq!(event["output_index"], items.len());
        }
        if let (Some(id), Some((item, _))) = (event["item_id"].as_str(), &open) {
            assert_eq!(item["id"], id);
        }
        match name.as_str() {
            "response.output_item.added" => {
                assert!(
                    open.replace((event["item"].clone(), String::new())).is_none(),
                    "one item at a time"
                );
            }
            "response.output_item.done" => {
                let (begun, added) = open.take().unwrap();
                let item = &event["item"];
                assert_eq!((&begun["id"], &begun["type"]), (&item["id"], &item["type"]));
                let whole = match item["type"].as_str().unwrap() {
                    "message" => &item["content"][0]["text"],
                    "reasoning" => &item["summary"][0]["text"],
                    "function_call" => &item["arguments"],
                    "custom_tool_call" => &item["input"],
                    _ => &Value::Null,
                };
                assert_eq!(whole.as_str().unwrap_or_default(), added);
                items.push(item.clone());
            }
            name if name.ends_with(".delta") => {
                let (_, added) = open.as_mut().unwrap();
                added.push_str(event["delta"].as_str().unwrap());
            }
            _ => {}
        }
    }
    let (name, last) = frames.last().unwrap();
    assert!(["response.completed", "response.incomplete"].contains(&name.as_str()));
    assert_eq!(last["response"]["output"], json!(items));
    assert_eq!(open, None);
}
