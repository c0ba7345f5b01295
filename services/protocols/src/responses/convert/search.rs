//! The vendor's own search in a history: a call that ran there and is sent back exactly as it came.
//!
//! One that followed reasoning is refused without it, so both are sent back or neither; calls of the vendor's tool for using a computer
//! ([`super::computer`]) are bound in the same way. Of searches that are not sent back the words are kept.

use std::collections::HashSet;

use serde_json::{Value, json};
use tandem_chat_core::part::{Part, ProviderMetadata, ToolCallPart, ToolResultPart};

use super::{
    computer::{self, Screens},
    thinking::{self, is_id, marked},
};
use crate::{
    responses::{METADATA, Origin, WEB_SEARCH, wire::Item},
    words,
};

const ITEM: &str = "item";
const STATUS: &str = "status";
const ACTION: &str = "action";

/// The reasoning without which the vendor does not take the item.
pub(super) const NEEDS: &str = "reasoning_id";

/// Where the vendor looked; known from the result as well.
const SOURCES: &str = "sources";

/// Sources of one result that are told in words.
const MAX_SOURCES: usize = 20;

/// What travels with a call of the vendor's search.
///
/// * `reasoning_id`: the reasoning before it in the same response, if any.
pub(in crate::responses) fn metadata(
    origin: &Origin,
    status: &str,
    action: &Value,
    reasoning_id: Option<&str>,
) -> ProviderMetadata {
    let mut own = marked(origin);
    own[ITEM] = json!({ STATUS: status, ACTION: action });
    if let Some(id) = reasoning_id {
        own[NEEDS] = Value::from(id);
    }
    ProviderMetadata::from_iter([(METADATA.to_owned(), own)])
}

/// What the model asked for, without what was found.
pub(in crate::responses) fn asked(action: &Value) -> Value {
    let mut asked = action.clone();
    match asked.as_object_mut() {
        Some(fields) => {
            fields.remove(SOURCES);
            asked
        }
        None => json!({}),
    }
}

/// What a result says to people and to other vendors: where the vendor looked.
pub(in crate::responses) fn summary(action: &Value) -> Value {
    let sources = action.get(SOURCES).and_then(Value::as_array);
    let source = |source: &Value| Some(json!({ "url": source.get("url")?.as_str()? }));
    let sources: Vec<Value> = sources.into_iter().flatten().filter_map(source).collect();
    json!({ SOURCES: sources })
}

/// Which of a message's items are sent back.
#[derive(Debug, Default)]
pub(super) struct Replay<'a> {
    /// Ids of reasoning.
    thoughts: HashSet<&'a str>,
    /// Ids of searches, and of calls at a computer.
    calls: HashSet<&'a str>,
}

impl<'a> Replay<'a> {
    /// Decides on a message of the assistant.
    ///
    /// * `thinks`, `searches`: whether reasoning and searches are sent back at all.
    /// * `screens`: the calls at a computer that can be.
    /// * `used`: ids of items that the prompt has already; those of this message are added.
    pub(super) fn of(
        parts: &'a [Part],
        origin: &Origin,
        thinks: bool,
        searches: bool,
        screens: &Screens<'a>,
        used: &mut HashSet<String>,
    ) -> Self {
        let calls = || {
            parts.iter().filter_map(|part| match part {
                Part::ToolCall(call) if call.provider_executed || computer::is_item(call) => Some(call),
                _ => None,
            })
        };
        let thought_of = |part: &'a Part| match part {
            Part::Reasoning(reasoning) if thinks => thinking::sendable_id(reasoning, origin),
            _ => None,
        };
        let is_new = |id: &&str| !used.contains(*id);
        // A call's id, and the reasoning it needs.
        let native_of = |call: &'a ToolCallPart| {
            let native = if call.provider_executed {
                let native = Native::of(call, origin).filter(|_| searches);
                native.map(|native| (native.id, native.needs))
            } else {
                screens.native(call).map(|native| (native.id, native.needs))
            };
            native.filter(|(id, _)| is_new(id))
        };
        let mut replay = Self {
            thoughts: parts.iter().filter_map(thought_of).filter(is_new).collect(),
            calls: HashSet::new(),
        };
        // The vendor wants what followed reasoning behind it as much as the other way round.
        for call in calls().filter(|call| native_of(call).is_none()) {
            if let Some(id) = needs(call) {
                replay.thoughts.remove(id);
            }
        }
        let mut before = HashSet::new();
        for part in parts {
            before.extend(thought_of(part).filter(|id| replay.thoughts.contains(id)));
            if let Part::ToolCall(call) = part
                && let Some((id, needs)) = native_of(call)
                && needs.is_none_or(|id| before.contains(id))
            {
                replay.calls.insert(id);
            }
        }
        let ids = replay.thoughts.iter().chain(&replay.calls);
        used.extend(ids.map(|id| (*id).to_owned()));
        replay
    }

    /// Whether the reasoning of that id is sent back.
    pub(super) fn has_thought(&self, id: &str) -> bool {
        self.thoughts.contains(id)
    }

    /// The search as it is sent back, if it is. One that a history has twice may have its reasoning before the second only.
    ///
    /// * `has_thought`: whether the reasoning of an id is already there.
    pub(super) fn call(
        &self,
        call: &ToolCallPart,
        origin: &Origin,
        has_thought: impl FnOnce(&str) -> bool,
    ) -> Option<Item> {
        let native = Native::of(call, origin).filter(|native| self.calls.contains(native.id))?;
        if !native.needs.is_none_or(has_thought) {
            return None;
        }
        Some(Item::WebSearchCall {
            id: native.id.to_owned(),
            status: native.status.to_owned(),
            action: native.action.clone(),
        })
    }

    /// Whether the call at a computer of that item's id is sent back.
    pub(super) fn has_call(&self, id: &str) -> bool {
        self.calls.contains(id)
    }

    /// What is told of a result, unless its search is sent back or there is nothing to tell.
    pub(super) fn told(&self, result: &ToolResultPart) -> Option<String> {
        let is_sent = self.calls.contains(result.tool_call_id.as_str());
        if is_sent { None } else { told(result) }
    }
}

/// A call as the vendor made it.
struct Native<'a> {
    id: &'a str,
    status: &'a str,
    action: &'a Value,
    needs: Option<&'a str>,
}

impl<'a> Native<'a> {
    fn of(call: &'a ToolCallPart, origin: &Origin) -> Option<Self> {
        let own = call.provider_metadata.get(METADATA)?;
        let item = own.get(ITEM)?;
        let action = item.get(ACTION)?;
        let id = call.tool_call_id.as_str();
        let status = item.get(STATUS)?.as_str()?;
        let is_sendable = call.tool_name == WEB_SEARCH
            && is_id(id, "ws_")
            && thinking::is_from(own, origin, true)
            && matches!(status, "completed" | "failed")
            && action.get("type").is_some_and(Value::is_string);
        is_sendable.then_some(Self {
            id,
            status,
            action,
            needs: needs(call),
        })
    }
}

/// The reasoning without which the vendor does not take a call.
pub(super) fn needs(call: &ToolCallPart) -> Option<&str> {
    call.provider_metadata.get(METADATA)?.get(NEEDS)?.as_str()
}

/// A result in words: its sources, or its own text.
fn told(result: &ToolResultPart) -> Option<String> {
    let text = match result.result.get(SOURCES).and_then(Value::as_array) {
        Some(sources) => {
            let field = |source: &Value, name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
            let line = |source: &Value| {
                let names = ["title", "url"].into_iter().filter_map(|name| field(source, name));
                let line = names.collect::<Vec<_>>().join(" ").trim().to_owned();
                (!line.is_empty()).then_some(line)
            };
            let lines: Vec<String> = sources.iter().take(MAX_SOURCES).filter_map(line).collect();
            lines.join("\n")
        }
        None => words::result_text(result),
    };
    (!text.trim().is_empty()).then(|| format!("[Found by {}:]\n{text}", result.tool_name))
}
