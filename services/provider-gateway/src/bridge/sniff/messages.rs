//! Messages: events and whole answers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::heard::{Heard, count_at};

/// An event of a stream, or a whole answer.
#[derive(Default, Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    index: Option<i64>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Head<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
}

/// Understands an event that says more than words.
pub(super) fn event(data: &[u8], heard: &mut Heard) {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
        return;
    };
    let index = event.index.unwrap_or(0);
    match event.kind.as_deref() {
        Some("message_start") => {
            let head = event.message.unwrap_or_default();
            heard.name(head.id.as_deref());
            measure(head.usage.as_ref(), heard);
        }
        Some("content_block_start") => block(index, &event.content_block.unwrap_or_default(), heard),
        Some("content_block_delta") => {
            let delta = event.delta.unwrap_or_default();
            if delta.partial_json.is_some() {
                heard.call(index, None, None, delta.partial_json.as_deref());
            }
            heard.thought(index, "thinking", delta.thinking.as_deref());
        }
        Some("message_delta") => {
            heard.is_complete = true;
            measure(event.usage.as_ref(), heard);
        }
        Some("error") => heard.has_failed = true,
        _ => {}
    }
}

/// Understands a whole answer.
pub(super) fn document(body: &[u8], heard: &mut Heard) {
    let Ok(answer) = serde_json::from_slice::<Event<'_>>(body) else {
        return;
    };
    heard.has_failed |= answer.kind.as_deref() == Some("error");
    heard.is_complete = !heard.has_failed;
    heard.name(answer.id.as_deref());
    measure(answer.usage.as_ref(), heard);
    for (index, found) in (0..).zip(answer.content.unwrap_or_default()) {
        block(index, &found, heard);
    }
}

fn block(index: i64, block: &Block<'_>, heard: &mut Heard) {
    match block.kind.as_deref() {
        Some("tool_use" | "server_tool_use" | "mcp_tool_use") => {
            // A streamed call begins with no arguments; they follow in pieces.
            let input = block.input.map(RawValue::get).filter(|input| !is_empty_object(input));
            heard.call(index, block.id.as_deref(), block.name.as_deref(), input);
        }
        Some("thinking") => heard.thought(index, "thinking", block.thinking.as_deref()),
        _ => {}
    }
}

fn is_empty_object(json: &str) -> bool {
    let inner = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

/// Later numbers are of the whole answer and take the place of earlier ones.
fn measure(usage: Option<&Value>, heard: &mut Heard) {
    let Some(said) = usage else { return };
    let count = |path| count_at(said, path);
    let usage = &mut heard.usage;
    for (known, path) in [
        (&mut usage.input_tokens, "/input_tokens"),
        (&mut usage.output_tokens, "/output_tokens"),
        (&mut usage.cache_creation_tokens, "/cache_creation_input_tokens"),
        (&mut usage.cache_read_tokens, "/cache_read_input_tokens"),
    ] {
        *known = count(path).or(*known);
    }
    for (name, path) in [
        ("web_search_requests", "/server_tool_use/web_search_requests"),
        ("cache_creation_input", "/cache_creation_input_tokens"),
        ("cache_read_input", "/cache_read_input_tokens"),
        ("cache_ephemeral_1h_input", "/cache_creation/ephemeral_1h_input_tokens"),
        ("cache_ephemeral_5m_input", "/cache_creation/ephemeral_5m_input_tokens"),
    ] {
        heard.count(name, count(path));
    }
}
