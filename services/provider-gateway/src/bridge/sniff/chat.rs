//! Chat Completions: chunks and whole answers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use tandem_chat_core::message::Usage;

use super::heard::{Heard, count_at};

/// A chunk, or a whole answer. What servers are known to fill with null, or with something else altogether, is read leniently.
#[derive(Default, Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    message: Option<Delta<'a>>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Call<'a> {
    #[serde(default)]
    index: Option<i64>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(borrow, default)]
    custom: Option<Custom<'a>>,
}

#[derive(Default, Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

/// A tool whose input is a text of a free form.
#[derive(Default, Deserialize)]
struct Custom<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<Cow<'a, str>>,
}

/// Understands a chunk. True if it tells the usage and nothing else.
pub(super) fn event(data: &[u8], heard: &mut Heard) -> bool {
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
        return false;
    };
    let is_usage_alone = chunk.choices.as_ref().is_some_and(Vec::is_empty)
        && chunk.error.is_none()
        && chunk.usage.as_ref().is_some_and(Value::is_object);
    hear(chunk, heard);
    is_usage_alone
}

/// Understands a whole answer.
pub(super) fn document(body: &[u8], heard: &mut Heard) {
    if let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(body) {
        hear(chunk, heard);
        heard.is_complete = !heard.has_failed;
    }
}

fn hear(chunk: Chunk<'_>, heard: &mut Heard) {
    heard.name(chunk.id.as_deref());
    heard.has_failed |= chunk.error.is_some_and(|error| !error.is_null());
    if let Some(usage) = chunk.usage.filter(Value::is_object) {
        measure(&usage, heard);
    }
    // One answer was asked for.
    let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else {
        return;
    };
    let Some(delta) = choice.delta.or(choice.message) else {
        return;
    };
    heard.thought(0, "thinking", delta.reasoning_content.or(delta.reasoning).as_deref());
    for (place, call) in (0..).zip(delta.tool_calls.unwrap_or_default()) {
        let (function, custom) = (call.function.unwrap_or_default(), call.custom.unwrap_or_default());
        heard.call(
            call.index.unwrap_or(place),
            call.id.as_deref(),
            function.name.or(custom.name).as_deref(),
            function.arguments.or(custom.input).as_deref(),
        );
    }
}

fn measure(usage: &Value, heard: &mut Heard) {
    let count = |path| count_at(usage, path);
    let cached = count("/prompt_tokens_details/cached_tokens").or_else(|| count("/prompt_cache_hit_tokens"));
    let prompt = count("/prompt_tokens").or_else(|| count("/input_tokens"));
    heard.usage = Usage {
        input_tokens: prompt.map(|prompt| (prompt - cached.unwrap_or(0)).max(0)),
        output_tokens: count("/completion_tokens").or_else(|| count("/output_tokens")),
        total_tokens: count("/total_tokens"),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens"),
        cache_creation_tokens: None,
        cache_read_tokens: cached,
        context_limit: None,
        context_tokens: None,
    };
    for (name, path) in [
        ("prompt_audio", "/prompt_tokens_details/audio_tokens"),
        ("prompt_cached", "/prompt_tokens_details/cached_tokens"),
        (
            "completion_accepted_prediction",
            "/completion_tokens_details/accepted_prediction_tokens",
        ),
        (
            "completion_rejected_prediction",
            "/completion_tokens_details/rejected_prediction_tokens",
        ),
        ("completion_audio", "/completion_tokens_details/audio_tokens"),
        ("completion_reasoning", "/completion_tokens_details/reasoning_tokens"),
    ] {
        heard.count(name, count(path));
    }
}
