//! The vendor's own tool in a history: calls and results that ran there and are sent back exactly as they came.
//!
//! Only whole pairs within one message are sent back: a call with its result behind it, both as the vendor writes them. Of every other
//! result the words are kept.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tandem_chat_core::{
    id::ToolCallId,
    part::{Part, ProviderMetadata, ToolCallPart, ToolResultPart},
};

use crate::{
    anthropic::{
        METADATA, WEB_SEARCH,
        wire::{Block, Content},
    },
    words,
};

/// The vendor's own form of a result.
const CONTENT: &str = "content";

/// How the vendor begins ids of its own calls.
const ID_PREFIX: &str = "srvtoolu_";

/// Sources of one result that are told in words.
const MAX_SOURCES: usize = 20;

/// What travels with a result of the vendor's search.
pub(in crate::anthropic) fn metadata(content: &Value) -> ProviderMetadata {
    ProviderMetadata::from_iter([(METADATA.to_owned(), json!({ CONTENT: content }))])
}

/// What a result says to people and to other vendors: its sources, or the vendor's word for what went wrong.
pub(in crate::anthropic) fn summary(content: &Value) -> Value {
    let Some(results) = content.as_array() else {
        let error = content.get("error_code").and_then(Value::as_str);
        return json!({ "error": error.unwrap_or("unknown") });
    };
    let source = |result: &Value| {
        let field = |name: &str| result.get(name).and_then(Value::as_str);
        Some(json!({ "url": field("url")?, "title": field("title").unwrap_or_default() }))
    };
    let sources: Vec<Value> = results.iter().filter_map(source).collect();
    json!({ "sources": sources })
}

/// Which of a message's parts are pairs that can be sent back.
#[derive(Default)]
pub(super) struct Pairs<'a>(HashMap<&'a ToolCallId, usize>);

impl<'a> Pairs<'a> {
    /// Finds the pairs. Ids that occur more than once make none.
    ///
    /// * `used`: ids that the prompt has already; those of the pairs are added.
    pub(super) fn of(parts: &'a [Part], used: &mut HashSet<String>) -> Self {
        // For each id how often it was called and answered, `usize::MAX` once it is spoilt.
        let mut seen: HashMap<&ToolCallId, usize> = HashMap::new();
        for part in parts {
            match part {
                Part::ToolCall(call) if call.provider_executed => {
                    let count = seen.entry(&call.tool_call_id).or_insert(0);
                    *count = if *count == 0 && is_sendable_call(call) {
                        1
                    } else {
                        usize::MAX
                    };
                }
                Part::ToolResult(result) if result.provider_executed => {
                    let count = seen.entry(&result.tool_call_id).or_insert(0);
                    *count = if *count == 1 && native(result).is_some() {
                        2
                    } else {
                        usize::MAX
                    };
                }
                _ => {}
            }
        }
        seen.retain(|id, count| *count == 2 && used.insert(id.to_string()));
        Self(seen)
    }

    /// The call as it is sent back, if it is.
    pub(super) fn call(&self, call: &ToolCallPart) -> Option<Block> {
        self.0.contains_key(&call.tool_call_id).then(|| {
            Block::new(Content::ServerToolUse {
                id: call.tool_call_id.to_string(),
                name: call.tool_name.clone(),
                input: call.arguments(),
            })
        })
    }

    /// The result as it is sent back, or its words; `None` if it has none.
    pub(super) fn result(&self, result: &ToolResultPart) -> Option<Block> {
        match native(result) {
            Some(content) if self.0.contains_key(&result.tool_call_id) => {
                Some(Block::new(Content::WebSearchToolResult {
                    tool_use_id: result.tool_call_id.to_string(),
                    content: content.clone(),
                }))
            }
            Some(_) | None => told(result),
        }
    }
}

fn is_sendable_call(call: &ToolCallPart) -> bool {
    let rest = call.tool_call_id.as_str().strip_prefix(ID_PREFIX).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    call.tool_name == WEB_SEARCH && call.args.is_object() && !rest.is_empty() && rest.bytes().all(is_plain)
}

/// The vendor's own form of a result, if it is one.
fn native(result: &ToolResultPart) -> Option<&Value> {
    let content = result.provider_metadata.get(METADATA)?.get(CONTENT)?;
    let has_type = |value: &Value, wanted: &str| value.get("type").and_then(Value::as_str) == Some(wanted);
    let is_native = match content {
        Value::Array(results) => results.iter().all(|result| has_type(result, "web_search_result")),
        error => has_type(error, "web_search_tool_result_error"),
    };
    is_native.then_some(content)
}

/// A result in words: its sources, or its own text.
fn told(result: &ToolResultPart) -> Option<Block> {
    let sources = result.result.get("sources").and_then(Value::as_array);
    let text = match sources {
        Some(sources) => {
            let source = |source: &Value| {
                let field = |name: &str| source.get(name).and_then(Value::as_str).unwrap_or_default();
                format!("{} {}", field("title"), field("url")).trim().to_owned()
            };
            let lines = sources.iter().take(MAX_SOURCES).map(source);
            lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
        }
        None => words::result_text(result),
    };
    (!text.trim().is_empty()).then(|| Block::text(format!("[Found by {}:]\n{text}", result.tool_name)))
}
