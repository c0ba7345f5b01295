//! One block of an answer, from its start to its end.

use serde_json::Value;
use tandem_chat_core::{
    id::ToolCallId,
    part::{Part, ReasoningPart, ToolCallPart, ToolResultPart},
};

use super::citations::Citations;
use crate::{
    Delta, Failure,
    anthropic::{
        WEB_SEARCH,
        convert::{search, thinking},
        wire::event,
    },
    tool_call::{CallIds, OpenCall},
};

/// Longest signature that is kept; the vendor's are a few thousand bytes.
const MAX_SIGNATURE_BYTES: usize = 1024 * 1024;

/// A block that has begun.
#[derive(Debug)]
pub(super) enum Open {
    Text,
    Thinking {
        signature: String,
        /// Whether anything of it was handed out.
        is_shown: bool,
    },
    /// Thinking that only the vendor can read.
    Redacted(String),
    /// A call of a tool of ours. The arguments it began with hold unless others are streamed.
    Call {
        call: OpenCall,
        first: Option<String>,
    },
    /// A call of the vendor's own search.
    Search {
        call: OpenCall,
        first: Option<String>,
    },
    /// What that search found.
    Found {
        id: ToolCallId,
        content: Value,
    },
    /// Something this version does not know.
    Unknown,
}

impl Open {
    /// A block begins.
    ///
    /// # Errors
    /// Too many calls.
    pub(super) fn start(
        block: event::Block,
        ids: &mut CallIds,
        citations: &mut Citations,
        deltas: &mut Vec<Delta>,
    ) -> Result<Self, Failure> {
        if block.kind != "text" {
            citations.flush(deltas);
        }
        let open = match block.kind.as_str() {
            "text" => {
                block
                    .citations
                    .iter()
                    .flatten()
                    .for_each(|citation| citations.add(citation));
                deltas.extend(block.text.filter(|text| !text.is_empty()).map(Delta::Text));
                Self::Text
            }
            "thinking" => {
                let mut open = Self::Thinking {
                    signature: block.signature.unwrap_or_default(),
                    is_shown: false,
                };
                open.think(block.thinking.as_deref(), deltas);
                open
            }
            "redacted_thinking" => Self::Redacted(block.data.unwrap_or_default()),
            "tool_use" => {
                let mut call = OpenCall::new(ids.unique(block.id.as_deref().unwrap_or_default())?);
                call.name_once(block.name.as_deref().unwrap_or_default());
                deltas.extend(call.delta());
                let first = block.arguments();
                Self::Call { call, first }
            }
            "server_tool_use" if block.name.as_deref() == Some(WEB_SEARCH) => match own_id(block.id.as_deref()) {
                Some(id) => {
                    let mut call = OpenCall::new(id);
                    call.name_once(WEB_SEARCH);
                    let first = block.arguments();
                    Self::Search { call, first }
                }
                None => Self::Unknown,
            },
            "web_search_tool_result" => match own_id(block.tool_use_id.as_deref()) {
                Some(id) => Self::Found {
                    id,
                    content: block.content,
                },
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        };
        Ok(open)
    }

    /// Whether it is something the model said.
    pub(super) fn is_content(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Something is added. What does not fit the block is passed over.
    pub(super) fn add(&mut self, delta: &event::Delta, citations: &mut Citations, deltas: &mut Vec<Delta>) {
        match (self, delta.kind.as_deref().unwrap_or_default()) {
            (Self::Text, "text_delta") => {
                deltas.extend(delta.text.clone().filter(|text| !text.is_empty()).map(Delta::Text));
            }
            (Self::Text, "citations_delta") => citations.add(&delta.citation),
            (open @ Self::Thinking { .. }, "thinking_delta") => open.think(delta.thinking.as_deref(), deltas),
            (Self::Thinking { signature, .. }, "signature_delta") => {
                let more = delta.signature.as_deref().unwrap_or_default();
                if signature.len() + more.len() <= MAX_SIGNATURE_BYTES {
                    signature.push_str(more);
                }
            }
            (Self::Call { call, .. }, "input_json_delta") => {
                call.append(delta.partial_json.as_deref().unwrap_or_default());
                deltas.extend(call.delta());
            }
            (Self::Search { call, .. }, "input_json_delta") => {
                call.append(delta.partial_json.as_deref().unwrap_or_default());
            }
            _ => {}
        }
    }

    fn think(&mut self, text: Option<&str>, deltas: &mut Vec<Delta>) {
        if let (Self::Thinking { is_shown, .. }, Some(text)) = (self, text.filter(|text| !text.is_empty())) {
            *is_shown = true;
            deltas.push(Delta::Reasoning(text.to_owned()));
        }
    }

    /// The block ends; returns whether it was a call of a tool of ours.
    pub(super) fn stop(self, model: &str, deltas: &mut Vec<Delta>) -> bool {
        match self {
            Self::Text | Self::Unknown => {}
            Self::Thinking { signature, is_shown } => {
                let done = ReasoningPart {
                    signature,
                    provider_metadata: thinking::metadata(model, None),
                    ..ReasoningPart::default()
                };
                end_reasoning(done, is_shown, deltas);
            }
            Self::Redacted(data) => {
                let done = ReasoningPart {
                    provider_metadata: thinking::metadata(model, Some(&data)),
                    ..ReasoningPart::default()
                };
                end_reasoning(done, false, deltas);
            }
            Self::Call { mut call, first } => {
                if let Some(arguments) = first.filter(|_| call.has_no_arguments()) {
                    call.append(&arguments);
                    deltas.extend(call.delta());
                }
                // Without a name it was no call.
                if call.is_named() {
                    deltas.push(Delta::Part(Part::ToolCall(call.into_part())));
                    return true;
                }
            }
            Self::Search { mut call, first } => {
                if let Some(arguments) = first.filter(|_| call.has_no_arguments()) {
                    call.append(&arguments);
                }
                deltas.push(Delta::Part(Part::ToolCall(ToolCallPart {
                    provider_executed: true,
                    ..call.into_part()
                })));
            }
            Self::Found { id, content } => deltas.push(Delta::Part(Part::ToolResult(found(id, &content)))),
        }
        false
    }
}

/// Ends a reasoning part. One of which nothing was shown is opened first: it ends the open one, and the one before is another.
fn end_reasoning(done: ReasoningPart, is_shown: bool, deltas: &mut Vec<Delta>) {
    if !is_shown {
        deltas.push(Delta::Reasoning(String::new()));
    }
    deltas.push(Delta::ReasoningDone(done));
}

fn own_id(id: Option<&str>) -> Option<ToolCallId> {
    ToolCallId::new(id?).ok()
}

fn found(id: ToolCallId, content: &Value) -> ToolResultPart {
    ToolResultPart {
        tool_call_id: id,
        tool_name: WEB_SEARCH.to_owned(),
        result: search::summary(content),
        is_error: !content.is_array(),
        is_media: false,
        provider_executed: true,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: search::metadata(content),
    }
}
