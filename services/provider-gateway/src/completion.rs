//! A model call in neutral terms, and the task that runs it whoever reads.
//!
//! [`buffer`] holds its events for any number of readers, [`registry`] finds it by id, [`task`] drives it. What vendors send is
//! [`crate::provider`]'s; the contracts' messages are [`crate::rpc`]'s.

use prost::Message as _;
use serde_json::Value;
use tandem_chat_core::{
    error::{ChatError, ErrorKind},
    id::{ChatId, CompletionId, ModelConfigId, ToolCallId},
    message::{Message, Usage},
    part::{Part, ReasoningPart},
    wire,
};

pub mod buffer;
pub mod registry;
pub mod task;

/// Completions running at once on one replica.
pub const MAX_RUNNING: usize = 8192;

/// What one completion may hold for its readers.
pub const MAX_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// What all completions of a replica may hold.
pub const MAX_TOTAL_BYTES: usize = 1024 * 1024 * 1024;

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Chosen and recorded by the caller.
    pub id: CompletionId,
    /// The model as the administrator configured it.
    pub model_config_id: ModelConfigId,
    /// In order, at least one.
    pub messages: Vec<Message>,
    /// In stable order, names unique.
    pub tools: Vec<Tool>,
    /// Whether the model may call them.
    pub tool_choice: ToolChoice,
    /// Above 0; `None` as configured for the model.
    pub max_output_tokens: Option<u32>,
    /// The chat, for logs; absent for calls outside chats.
    pub chat_id: Option<ChatId>,
    /// What the answer is for.
    pub purpose: Purpose,
    /// A response that the vendor may keep, behind which users have spoken; `messages` is complete all the same.
    pub continues: Option<Earlier>,
    /// The form the answer must have; `None` as the model likes.
    pub output: Option<OutputFormat>,
}

/// The form of an answer, which the vendor enforces.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    /// Any JSON object.
    Json,
    /// JSON of this shape.
    Schema(OutputSchema),
}

/// The shape of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSchema {
    /// 1 to 64 characters of `[a-zA-Z0-9_-]`.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// A JSON Schema object.
    pub schema: Value,
    /// Whether the client wants it kept to the letter, where a vendor knows a difference.
    pub is_strict: bool,
}

/// A response the vendor may still keep, with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The vendor's name for it.
    pub response_id: String,
    /// The model that gave it.
    pub model_config_id: ModelConfigId,
}

/// What an answer is for. Models find it in their instructions; only the demo model, which reads none, goes by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To be read as an answer.
    #[default]
    Answer,
    /// The title of a conversation, which began with the second text of the last message.
    Title,
    /// A few words on how a turn ended.
    TurnSummary,
    /// To be read by a program that came over the bridge.
    Bridge,
}

/// A tool as the model is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// 1 to 64 characters of `[a-zA-Z0-9_-]`.
    pub name: String,
    /// What it is good for.
    pub description: String,
    /// A JSON Schema object.
    pub input_schema: Value,
}

/// Whether the model may call tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// Not in this call.
    None,
    /// It must call at least one; only with tools.
    Required,
    /// It must call this one, which is among the tools.
    Named(String),
}

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

/// Streamed arguments of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Names the call; the same in all its deltas and in its part.
    pub tool_call_id: ToolCallId,
    /// The tool.
    pub tool_name: String,
    /// JSON text as it comes, not valid by itself; may be empty.
    pub arguments: String,
}

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// The output limit was reached.
    Length,
    /// It waits for tool results.
    ToolCalls,
    /// The vendor's policy cut it off.
    ContentFilter,
}

impl FinishReason {
    /// What counts as the reason, whatever the vendor `said`: calls wait for results, and calls that were announced but did not come
    /// are an ordinary end.
    pub fn settled(said: Option<Self>, has_calls: bool) -> Self {
        match said {
            Some(Self::Stop | Self::ToolCalls) | None if has_calls => Self::ToolCalls,
            Some(Self::ToolCalls) | None => Self::Stop,
            Some(reason) => reason,
        }
    }

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
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
