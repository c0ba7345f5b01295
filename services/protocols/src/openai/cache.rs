//! Marks the ends of prefixes that a vendor behind a gateway shall keep, so that the next step reads them from its cache.
//!
//! Only Anthropic's models want marks; the others keep what they like. The marks are computed anew for each request and move with its
//! end; histories carry none.

use serde::Serialize;
use serde_json::{Value, json};
use tandem_chat_core::error::ErrorKind;

use crate::{Failure, Kind, http};

/// Turns with words at the end that are marked. With the instructions that makes three marks; the vendor takes four.
const MARKED_TURNS: usize = 2;

/// Whether a model wants marks, as far as its name tells.
pub(super) fn is_wanted(kind: Kind, model: &str) -> bool {
    match kind {
        Kind::OpenRouter | Kind::Vercel => model.starts_with("anthropic/"),
        Kind::OpenAiCompat => model.to_ascii_lowercase().contains("claude"),
        Kind::Anthropic | Kind::Azure | Kind::Bedrock | Kind::Google | Kind::OpenAi | Kind::Copilot | Kind::Demo => {
            false
        }
    }
}

/// The request with its marks, as JSON.
///
/// # Errors
/// None that a request of ours can have; said instead of assumed.
pub(super) fn marked(request: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut request = serde_json::to_value(request)
        .map_err(|error| Failure::known(ErrorKind::Generic, format!("the request cannot be written: {error}")))?;
    if let Some(messages) = request.get_mut("messages").and_then(Value::as_array_mut) {
        mark(messages);
    }
    http::json(&request)
}

/// Marks the last instructions and the last turns with words.
fn mark(messages: &mut [Value]) {
    let is = |message: &Value, role: &str| message["role"] == role;
    if let Some(system) = messages.iter_mut().rev().find(|message| is(message, "system")) {
        mark_message(system);
    }
    let mut left = MARKED_TURNS;
    let turns = messages
        .iter_mut()
        .rev()
        .filter(|message| is(message, "user") || is(message, "assistant"));
    for turn in turns {
        if left == 0 {
            break;
        }
        left -= usize::from(mark_message(turn));
    }
}

/// Marks the last words of a message; returns whether there are any.
fn mark_message(message: &mut Value) -> bool {
    let content = &mut message["content"];
    if let Some(text) = content.as_str() {
        if text.trim().is_empty() {
            return false;
        }
        *content = json!([{ "type": "text", "text": text }]);
    }
    let parts = content.as_array_mut().into_iter().flatten();
    let is_said = |part: &Value| part["text"].as_str().is_some_and(|text| !text.trim().is_empty());
    match parts.rev().find(|part| is_said(part)) {
        Some(part) => {
            part["cache_control"] = json!({ "type": "ephemeral" });
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_anthropics_models_want_marks() {
        for (kind, model, expected) in [
            (Kind::OpenRouter, "anthropic/claude-sonnet-4.5", true),
            (Kind::OpenRouter, "openai/gpt-5", false),
            (Kind::Vercel, "anthropic/claude-opus-4.1", true),
            (Kind::OpenAiCompat, "my-Claude", true),
            (Kind::OpenAiCompat, "llama", false),
            (Kind::OpenAi, "claude", false),
        ] {
            assert_eq!(is_wanted(kind, model), expected, "{model}");
        }
    }

    #[test]
    fn the_last_instructions_and_the_last_two_turns_with_words_are_marked() {
        let marked_at = |messages: Value| -> Vec<String> {
            let request = json!({"messages": messages, "model": "m"});
            let sent: Value = serde_json::from_slice(&marked(&request).unwrap()).unwrap();
            assert_eq!(sent["model"], "m");
            let parts = |message: &Value| message["content"].as_array().cloned().unwrap_or_default();
            let all = sent["messages"].as_array().unwrap().iter().flat_map(parts);
            let marked = all.filter(|part| part["cache_control"] == json!({"type": "ephemeral"}));
            marked.map(|part| part["text"].as_str().unwrap().to_owned()).collect()
        };
        let messages = json!([
            {"role": "system", "content": "rules"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "second", "tool_calls": []},
            {"role": "tool", "tool_call_id": "x", "content": "result"},
            {"role": "assistant", "content": null, "tool_calls": [{}]},
            {"role": "tool", "tool_call_id": "y", "content": "result"},
            {"role": "user", "content": [
                {"type": "text", "text": "third"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": " "},
            ]},
        ]);
        assert_eq!(marked_at(messages), ["rules", "second", "third"]);
        assert_eq!(marked_at(json!([{"role": "user", "content": "only"}])), ["only"]);
        assert!(marked_at(json!([{"role": "user", "content": " "}])).is_empty());
    }
}
