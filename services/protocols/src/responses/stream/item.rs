//! One item of an answer, from its start to its end.

use serde_json::Value;
use tandem_chat_core::{
    id::ToolCallId,
    part::{Part, ReasoningPart, ToolCallPart, ToolResultPart},
};

use super::sources::Sources;
use crate::{
    Delta, Failure,
    call::COMPUTER,
    responses::{
        Origin, WEB_SEARCH,
        convert::{computer, search, thinking},
        wire::event::{Event, Item},
    },
    tool_call::{CallIds, OpenCall, is_invalid},
};

/// Longest reasoning that is kept to be sent back, as the vendor encrypted it; the vendor's are some ten thousand bytes.
const MAX_ENCRYPTED_BYTES: usize = 1024 * 1024;

/// What stands between two messages, or two parts of a summary.
const PARAGRAPH: &str = "\n\n";

/// What items of one answer have in common.
#[derive(Debug)]
pub(super) struct Shared {
    origin: Origin,
    ids: CallIds,
    pub(super) sources: Sources,
    /// The reasoning that came last.
    reasoning_id: Option<String>,
    /// Whether the last thing handed out was text, which the next message would run into.
    is_text_open: bool,
    pub(super) has_calls: bool,
}

impl Shared {
    pub(super) fn new(origin: Origin, ids: CallIds) -> Self {
        Self {
            origin,
            ids,
            sources: Sources::default(),
            reasoning_id: None,
            is_text_open: false,
            has_calls: false,
        }
    }

    /// Something other than text comes.
    fn end_text(&mut self, deltas: &mut Vec<Delta>) {
        self.sources.flush(deltas);
        self.is_text_open = false;
    }
}

/// An item that has begun.
#[derive(Debug)]
pub(super) enum Open {
    Message {
        /// Whether anything of it was handed out.
        is_shown: bool,
    },
    Reasoning {
        /// What is being handed out: summary or the reasoning itself, and which part of it. The first to come is taken.
        shown: Option<(Form, u64)>,
    },
    /// A call of a tool of ours.
    Call(OpenCall),
    /// A call of the vendor's tool for using a computer.
    Computer(OpenCall),
    /// A call of the vendor's own search.
    Search,
    /// Something this version does not know.
    Unknown,
}

/// What of reasoning is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Summary,
    Raw,
}

/// To which kind of item an event adds, by its name behind `response.`; `None` for events that add nothing of use.
pub(super) fn kind_of(added: &str) -> Option<&'static str> {
    match added {
        "output_text.delta" | "refusal.delta" | "output_text.annotation.added" => Some("message"),
        "reasoning_summary_text.delta" | "reasoning_text.delta" => Some("reasoning"),
        "function_call_arguments.delta" | "function_call_arguments.done" => Some("function_call"),
        _ => None,
    }
}

impl Open {
    /// An item begins.
    ///
    /// # Errors
    /// Too many calls.
    pub(super) fn start(item: &Item, shared: &mut Shared, deltas: &mut Vec<Delta>) -> Result<Self, Failure> {
        let open = match item.kind.as_str() {
            "message" => Self::Message { is_shown: false },
            "reasoning" => Self::Reasoning { shown: None },
            "function_call" => {
                shared.end_text(deltas);
                let id = item.call_id.as_deref().unwrap_or_default();
                let mut call = OpenCall::new(shared.ids.unique(id)?);
                call.name_once(item.name.as_deref().unwrap_or_default());
                deltas.extend(call.delta());
                Self::Call(call)
            }
            "computer_call" => {
                shared.end_text(deltas);
                let mut call = OpenCall::new(shared.ids.unique(item.call_id.as_deref().unwrap_or_default())?);
                call.name_once(COMPUTER);
                deltas.extend(call.delta());
                Self::Computer(call)
            }
            "web_search_call" => Self::Search,
            _ => Self::Unknown,
        };
        Ok(open)
    }

    /// Something is added. What does not fit the item is passed over.
    ///
    /// * `added`: the event's name behind `response.`.
    pub(super) fn add(&mut self, added: &str, event: &Event, shared: &mut Shared, deltas: &mut Vec<Delta>) {
        let delta = event.delta.as_str().unwrap_or_default();
        match (self, added) {
            (Self::Message { is_shown }, "output_text.delta" | "refusal.delta") => say(delta, is_shown, shared, deltas),
            (Self::Message { .. }, "output_text.annotation.added") => shared.sources.add(&event.annotation),
            (Self::Reasoning { shown }, "reasoning_summary_text.delta") => {
                let part = (Form::Summary, event.summary_index.unwrap_or(0));
                think(delta, part, shown, shared, deltas);
            }
            (Self::Reasoning { shown }, "reasoning_text.delta") => {
                let part = (Form::Raw, event.content_index.unwrap_or(0));
                think(delta, part, shown, shared, deltas);
            }
            (Self::Call(call), "function_call_arguments.delta") => {
                call.append(delta);
                deltas.extend(call.delta());
            }
            (Self::Call(call), "function_call_arguments.done") => {
                complete(call, event.arguments.as_deref(), deltas);
            }
            _ => {}
        }
    }

    /// The item ends.
    ///
    /// * `item`: the whole of it; `None` if the response ended without it.
    pub(super) fn stop(self, item: Option<Item>, shared: &mut Shared, deltas: &mut Vec<Delta>) {
        let item = item.unwrap_or_default();
        match self {
            Self::Unknown => {}
            Self::Message { mut is_shown } => {
                let was_shown = is_shown;
                for piece in item.content.iter().flatten() {
                    let text = ["text", "refusal"]
                        .into_iter()
                        .find_map(|name| piece.get(name)?.as_str());
                    if let Some(text) = text.filter(|_| !was_shown) {
                        say(text, &mut is_shown, shared, deltas);
                    }
                    let annotations = piece.get("annotations").and_then(Value::as_array);
                    annotations
                        .into_iter()
                        .flatten()
                        .for_each(|annotation| shared.sources.add(annotation));
                }
            }
            Self::Reasoning { shown } => end_reasoning(&item, shown, shared, deltas),
            Self::Call(mut call) => {
                call.name_once(item.name.as_deref().unwrap_or_default());
                complete(&mut call, item.arguments.as_deref(), deltas);
                // Without a name it was no call.
                if call.is_named() {
                    shared.has_calls = true;
                    deltas.push(Delta::Part(Part::ToolCall(call.into_part())));
                }
            }
            Self::Computer(call) => end_computer(&item, call, shared, deltas),
            Self::Search => end_search(&item, shared, deltas),
        }
    }
}

/// Hands out text. Between two messages is a paragraph's end.
fn say(text: &str, is_shown: &mut bool, shared: &mut Shared, deltas: &mut Vec<Delta>) {
    if text.is_empty() {
        return;
    }
    if !std::mem::replace(is_shown, true) && shared.is_text_open {
        deltas.push(Delta::Text(PARAGRAPH.to_owned()));
    }
    shared.is_text_open = true;
    deltas.push(Delta::Text(text.to_owned()));
}

/// Hands out reasoning. Between two parts of it is a paragraph's end.
fn think(text: &str, part: (Form, u64), shown: &mut Option<(Form, u64)>, shared: &mut Shared, deltas: &mut Vec<Delta>) {
    let is_other_form = shown.is_some_and(|(form, _)| form != part.0);
    if text.is_empty() || is_other_form {
        return;
    }
    shared.end_text(deltas);
    if shown.replace(part).is_some_and(|before| before != part) {
        deltas.push(Delta::Reasoning(PARAGRAPH.to_owned()));
    }
    deltas.push(Delta::Reasoning(text.to_owned()));
}

/// Takes the whole arguments in, unless they were streamed.
fn complete(call: &mut OpenCall, arguments: Option<&str>, deltas: &mut Vec<Delta>) {
    if let Some(arguments) = arguments.filter(|_| call.has_no_arguments()) {
        call.append(arguments);
    }
    deltas.extend(call.delta());
}

/// Ends a reasoning part. One of which nothing was shown is opened first: it ends the open one, and the one before is another.
fn end_reasoning(item: &Item, mut shown: Option<(Form, u64)>, shared: &mut Shared, deltas: &mut Vec<Delta>) {
    if shown.is_none() {
        let parts = |form, pieces: &Option<Vec<Value>>| -> Vec<((Form, u64), String)> {
            let texts = pieces.iter().flatten().filter_map(|piece| piece.get("text")?.as_str());
            (0..)
                .zip(texts)
                .map(|(index, text)| ((form, index), text.to_owned()))
                .collect()
        };
        let summary = parts(Form::Summary, &item.summary);
        for (part, text) in summary.into_iter().chain(parts(Form::Raw, &item.content)) {
            think(&text, part, &mut shown, shared, deltas);
        }
    }
    let id = item.id.as_deref().filter(|id| !id.is_empty());
    let encrypted = item.encrypted_content.as_deref().unwrap_or_default();
    shared.reasoning_id = id.map(str::to_owned);
    let done = match id.filter(|_| !encrypted.is_empty() && encrypted.len() <= MAX_ENCRYPTED_BYTES) {
        Some(id) => ReasoningPart {
            signature: encrypted.to_owned(),
            provider_metadata: thinking::metadata(&shared.origin, id),
            ..ReasoningPart::default()
        },
        None if shown.is_none() => return,
        None => ReasoningPart::default(),
    };
    if shown.is_none() {
        shared.end_text(deltas);
        deltas.push(Delta::Reasoning(String::new()));
    }
    deltas.push(Delta::ReasoningDone(done));
}

/// Ends a call at a computer. What it asks for comes with its end only.
fn end_computer(item: &Item, mut call: OpenCall, shared: &mut Shared, deltas: &mut Vec<Delta>) {
    call.append(&Value::Object(computer::arguments(item)).to_string());
    deltas.extend(call.delta());
    let mut part = call.into_part();
    // Arguments that are too long travel as such, and cannot be sent back.
    if !is_invalid(&part) {
        part.provider_metadata = computer::metadata(&shared.origin, item, shared.reasoning_id.as_deref());
    }
    shared.has_calls = true;
    deltas.push(Delta::Part(Part::ToolCall(part)));
}

/// Hands a search out as a call and its result.
fn end_search(item: &Item, shared: &mut Shared, deltas: &mut Vec<Delta>) {
    let Ok(tool_call_id) = ToolCallId::new(item.id.as_deref().unwrap_or_default()) else {
        return;
    };
    shared.end_text(deltas);
    let status = item.status.as_deref().unwrap_or("completed");
    let action = search::asked(&item.action);
    let reasoning_id = shared.reasoning_id.as_deref();
    let call = ToolCallPart {
        tool_call_id: tool_call_id.clone(),
        tool_name: WEB_SEARCH.to_owned(),
        provider_executed: true,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: search::metadata(&shared.origin, status, &action, reasoning_id),
        args: action,
    };
    let result = ToolResultPart {
        tool_call_id,
        tool_name: WEB_SEARCH.to_owned(),
        result: search::summary(&item.action),
        is_error: status == "failed",
        is_media: false,
        provider_executed: true,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: Default::default(),
    };
    deltas.extend([Part::ToolCall(call), Part::ToolResult(result)].map(Delta::Part));
}
