//! Responses: the event that ends a stream, and whole answers. Both hold everything.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use tandem_chat_core::message::Usage;

use super::heard::{Heard, count_at};

/// An event of a stream.
#[derive(Default, Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
}

/// A response.
#[derive(Default, Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    output: Option<Vec<Item<'a>>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    summary: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    phase: Option<Cow<'a, str>>,
    #[serde(default)]
    content: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

/// Understands an event that says more than words.
pub(super) fn event(data: &[u8], heard: &mut Heard) {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
        return;
    };
    match event.kind.as_deref() {
        Some("response.completed" | "response.incomplete" | "response.failed") => {
            heard.is_complete = true;
            hear(event.response.unwrap_or_default(), heard);
        }
        Some("error") => heard.has_failed = true,
        _ => {}
    }
}

/// Understands a whole answer.
pub(super) fn document(body: &[u8], heard: &mut Heard) {
    if let Ok(response) = serde_json::from_slice::<Response<'_>>(body) {
        hear(response, heard);
        heard.is_complete = !heard.has_failed;
    }
}

fn hear(response: Response<'_>, heard: &mut Heard) {
    heard.name(response.id.as_deref());
    let is_error = response.error.is_some_and(|error| !error.is_null());
    heard.has_failed |= is_error || response.status.as_deref() == Some("failed");
    if let Some(usage) = response.usage.filter(Value::is_object) {
        measure(&usage, heard);
    }
    for (place, item) in (0..).zip(response.output.unwrap_or_default()) {
        match item.kind.as_deref() {
            Some("function_call" | "custom_tool_call") => {
                let arguments = item.arguments.or(item.input);
                heard.call(
                    place,
                    item.call_id.as_deref(),
                    item.name.as_deref(),
                    arguments.as_deref(),
                );
            }
            Some("reasoning") => {
                let texts = item.summary.unwrap_or_default();
                let texts: Vec<&str> = texts.iter().filter_map(|text| text.text.as_deref()).collect();
                heard.thought(place, "reasoning_summary", Some(&texts.join("\n\n")));
            }
            Some("message") if item.phase.as_deref() == Some("commentary") => {
                let parts = item.content.as_ref().and_then(Value::as_array);
                let texts = parts.into_iter().flatten().filter_map(|part| part["text"].as_str());
                heard.thought(place, "commentary", Some(&texts.collect::<String>()));
            }
            _ => {}
        }
    }
}

fn measure(usage: &Value, heard: &mut Heard) {
    let count = |path| count_at(usage, path);
    let cached = count("/input_tokens_details/cached_tokens");
    heard.usage = Usage {
        input_tokens: count("/input_tokens").map(|input| (input - cached.unwrap_or(0)).max(0)),
        output_tokens: count("/output_tokens"),
        total_tokens: count("/total_tokens"),
        reasoning_tokens: count("/output_tokens_details/reasoning_tokens"),
        cache_creation_tokens: None,
        cache_read_tokens: cached,
        context_limit: None,
        context_tokens: None,
    };
    for (name, path) in [
        ("input_cached", "/input_tokens_details/cached_tokens"),
        ("output_reasoning", "/output_tokens_details/reasoning_tokens"),
        ("total_tokens", "/total_tokens"),
    ] {
        heard.count(name, count(path));
    }
}
