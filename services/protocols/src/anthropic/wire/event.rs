//! The vendor's events, read leniently: fields that servers are known to leave out or fill with null may be missing.

use serde::Deserialize;
use serde_json::{Map, Value};
use tandem_chat_core::message::Usage;

/// One event of a stream, or a whole answer that was not streamed.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::anthropic) struct Event {
    /// What it is; empty if the server does not say.
    #[serde(rename = "type", default)]
    pub(in crate::anthropic) kind: Option<String>,
    /// Which block it is about.
    #[serde(default)]
    pub(in crate::anthropic) index: Option<u64>,
    /// The answer's head, in `message_start`.
    #[serde(default)]
    pub(in crate::anthropic) message: Value,
    /// A block that begins.
    #[serde(default)]
    pub(in crate::anthropic) content_block: Option<Block>,
    /// What is added.
    #[serde(default)]
    pub(in crate::anthropic) delta: Option<Delta>,
    /// What was measured so far.
    #[serde(default)]
    pub(in crate::anthropic) usage: Value,
    /// The vendor's error.
    #[serde(default)]
    pub(in crate::anthropic) error: Value,
    /// All blocks of an answer that was not streamed.
    #[serde(default)]
    pub(in crate::anthropic) content: Option<Vec<Block>>,
    /// The answer's name, where it was not streamed.
    #[serde(default)]
    pub(in crate::anthropic) id: Option<String>,
    /// Why the model stopped, where the answer was not streamed.
    #[serde(default)]
    pub(in crate::anthropic) stop_reason: Option<String>,
}

/// A block of an answer as it begins; streamed ones begin empty.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::anthropic) struct Block {
    #[serde(rename = "type", default)]
    pub(in crate::anthropic) kind: String,
    #[serde(default)]
    pub(in crate::anthropic) text: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) citations: Option<Vec<Value>>,
    #[serde(default)]
    pub(in crate::anthropic) thinking: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) signature: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) data: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) id: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) name: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) input: Option<Value>,
    #[serde(default)]
    pub(in crate::anthropic) tool_use_id: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) content: Value,
}

/// What is added to a block, or to the whole answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::anthropic) struct Delta {
    #[serde(rename = "type", default)]
    pub(in crate::anthropic) kind: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) text: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) thinking: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) signature: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) partial_json: Option<String>,
    #[serde(default)]
    pub(in crate::anthropic) citation: Value,
    #[serde(default)]
    pub(in crate::anthropic) stop_reason: Option<String>,
}

impl Block {
    /// The arguments of a call that began with them.
    pub(in crate::anthropic) fn arguments(&self) -> Option<String> {
        let input = self.input.as_ref()?;
        let is_empty = input.is_null() || input.as_object().is_some_and(Map::is_empty);
        (!is_empty).then(|| input.to_string())
    }
}

/// Adds what a usage object says to what is known; later numbers are of the whole answer and take the place of earlier ones. Negative
/// and fractional numbers are not believed.
pub(in crate::anthropic) fn measure(usage: &mut Usage, said: &Value) {
    let count = |name: &str| said.get(name).and_then(Value::as_i64).filter(|count| *count >= 0);
    let counted = [
        (&mut usage.input_tokens, "input_tokens"),
        (&mut usage.output_tokens, "output_tokens"),
        (&mut usage.cache_creation_tokens, "cache_creation_input_tokens"),
        (&mut usage.cache_read_tokens, "cache_read_input_tokens"),
    ];
    for (known, name) in counted {
        *known = count(name).or(*known);
    }
}
