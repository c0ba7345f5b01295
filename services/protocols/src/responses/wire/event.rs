//! The vendor's events, read leniently: fields that servers are known to leave out or fill with null may be missing.

use serde::Deserialize;
use serde_json::Value;
use tandem_chat_core::message::Usage;

/// One event of a stream.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::responses) struct Event {
    /// What it is; `None` if the server does not say.
    #[serde(rename = "type", default)]
    pub(in crate::responses) kind: Option<String>,
    /// The whole response, in events about it.
    #[serde(default)]
    pub(in crate::responses) response: Option<Response>,
    /// An item that begins or is complete.
    #[serde(default)]
    pub(in crate::responses) item: Option<Item>,
    /// Which item it is about.
    #[serde(default)]
    pub(in crate::responses) output_index: Option<u64>,
    /// Which part of that item's content.
    #[serde(default)]
    pub(in crate::responses) content_index: Option<u64>,
    /// Which part of the summary of that item's reasoning.
    #[serde(default)]
    pub(in crate::responses) summary_index: Option<u64>,
    /// Text that is added.
    #[serde(default)]
    pub(in crate::responses) delta: Value,
    /// The arguments of a call, complete.
    #[serde(default)]
    pub(in crate::responses) arguments: Option<String>,
    /// Something the model cites.
    #[serde(default)]
    pub(in crate::responses) annotation: Value,
    /// The vendor's error, where it is wrapped.
    #[serde(default)]
    pub(in crate::responses) error: Value,
}

/// A response, as it begins or as it ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::responses) struct Response {
    #[serde(default)]
    pub(in crate::responses) id: Value,
    #[serde(default)]
    pub(in crate::responses) status: Option<String>,
    #[serde(default)]
    pub(in crate::responses) output: Option<Vec<Item>>,
    #[serde(default)]
    pub(in crate::responses) usage: Value,
    #[serde(default)]
    pub(in crate::responses) error: Value,
    #[serde(default)]
    pub(in crate::responses) incomplete_details: Value,
}

/// An item of an answer; streamed ones begin empty.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::responses) struct Item {
    #[serde(rename = "type", default)]
    pub(in crate::responses) kind: String,
    #[serde(default)]
    pub(in crate::responses) id: Option<String>,
    #[serde(default)]
    pub(in crate::responses) call_id: Option<String>,
    #[serde(default)]
    pub(in crate::responses) name: Option<String>,
    #[serde(default)]
    pub(in crate::responses) arguments: Option<String>,
    #[serde(default)]
    pub(in crate::responses) content: Option<Vec<Value>>,
    #[serde(default)]
    pub(in crate::responses) summary: Option<Vec<Value>>,
    #[serde(default)]
    pub(in crate::responses) encrypted_content: Option<String>,
    #[serde(default)]
    pub(in crate::responses) status: Option<String>,
    #[serde(default)]
    pub(in crate::responses) action: Value,
    #[serde(default)]
    pub(in crate::responses) actions: Value,
    #[serde(default)]
    pub(in crate::responses) pending_safety_checks: Value,
}

/// What a usage object says. Negative and fractional numbers are not believed.
pub(in crate::responses) fn measured(said: &Value) -> Usage {
    let count = |path: &str| said.pointer(path).and_then(Value::as_i64).filter(|count| *count >= 0);
    let cached = count("/input_tokens_details/cached_tokens");
    Usage {
        input_tokens: count("/input_tokens").map(|input| (input - cached.unwrap_or(0)).max(0)),
        output_tokens: count("/output_tokens"),
        total_tokens: count("/total_tokens"),
        reasoning_tokens: count("/output_tokens_details/reasoning_tokens"),
        cache_creation_tokens: None,
        cache_read_tokens: cached,
        context_limit: None,
        context_tokens: None,
    }
}
