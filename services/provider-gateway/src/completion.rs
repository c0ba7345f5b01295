//! A model call in neutral terms, and the task that runs it whoever reads.
//!
//! [`buffer`] holds its events for any number of readers, [`registry`] finds it by id, [`task`] drives it. What vendors send is
//! [`tandem_protocols`]'s; the contracts' messages are [`crate::rpc`]'s.

use prost::Message as _;
use tandem_chat_core::{
    error::{ChatError, ErrorKind},
    id::ModelConfigId,
    message::Usage,
    part::{Part, ReasoningPart},
    wire,
};
use tandem_protocols::call::{FinishReason, ToolCallDelta};

pub mod buffer;
pub mod registry;
pub mod task;

/// Completions running at once on one replica.
pub const MAX_RUNNING: usize = 8192;

/// What one completion may hold for its readers.
pub const MAX_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// What all completions of a replica may hold.
pub const MAX_TOTAL_BYTES: usize = 1024 * 1024 * 1024;

/// One event of a completion. The last one is `Finished` or `Failed`.
///
/// Nearly all are short texts and thousands are held at a time, so what is larger is boxed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The vendor accepted the request.
    Started(Box<Started>),
    /// Appends to the open text.
    TextDelta(String),
    /// Appends to the open reasoning.
    ReasoningDelta(String),
    /// The open reasoning is complete; its text is what was streamed.
    ReasoningDone(Box<ReasoningPart>),
    /// Opens a tool call or appends to its arguments.
    ToolCallDelta(Box<ToolCallDelta>),
    /// A complete tool call, source or file.
    Part(Box<Part>),
    /// The vendor ended as intended.
    Finished(Box<Finished>),
    /// It failed or was stopped; what was streamed before stands.
    Failed(Box<Failed>),
}

impl Event {
    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Finished(_) | Self::Failed(_) => true,
            Self::Started(_)
            | Self::TextDelta(_)
            | Self::ReasoningDelta(_)
            | Self::ReasoningDone(_)
            | Self::ToolCallDelta(_)
            | Self::Part(_) => false,
        }
    }

    /// What it counts against a buffer: its texts, and what holds them.
    pub fn size_bytes(&self) -> usize {
        /// The event behind its counts of references, its place in the buffer, and the smallest piece an allocator gives.
        const OVERHEAD: usize = size_of::<Event>() + 5 * size_of::<usize>();
        let texts = match self {
            Self::TextDelta(text) | Self::ReasoningDelta(text) => text.len(),
            Self::ToolCallDelta(delta) => {
                delta.tool_call_id.as_str().len() + delta.tool_name.len() + delta.arguments.len()
            }
            Self::Part(part) => wire::part_to_wire(part).encoded_len(),
            Self::ReasoningDone(part) => part.text.len() + part.signature.len(),
            Self::Started(_) | Self::Finished(_) | Self::Failed(_) => 0,
        };
        OVERHEAD + texts
    }
}

/// The vendor accepted the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// For example `openai-compat`.
    pub provider_type: String,
    /// The vendor's model.
    pub model: String,
    /// The model that answers.
    pub model_config_id: ModelConfigId,
    /// Absent when that is the one asked for.
    pub fallback: Option<Fallback>,
}

/// Another model answers than the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The one asked for.
    pub from: ModelConfigId,
    /// Why it does not answer.
    pub reason: ErrorKind,
}

/// The completion ended as the vendor intends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why it stopped.
    pub reason: FinishReason,
    /// What was measured.
    pub usage: Usage,
    /// The vendor's name for the response; may be empty.
    pub response_id: String,
    /// What it cost in millionths of a US dollar; `None` when unpriced.
    pub cost_usd_micros: Option<i64>,
}

/// The completion failed or was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// For people and programs; without secrets.
    pub error: ChatError,
    /// The vendor's wish; zero if it has none.
    pub retry_after: std::time::Duration,
    /// Somebody asked for it to stop, or nobody read it any more.
    pub is_cancelled: bool,
    /// The prompt is longer than the model can take.
    pub is_context_exceeded: bool,
}
