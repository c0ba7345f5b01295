//! A model call in neutral terms: what is asked, and the small words of the answer.

use serde_json::Value;
use tandem_chat_core::{
    id::{ChatId, CompletionId, ModelConfigId, ToolCallId},
    message::Message,
};

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

/// The form of an answer, which the vendor enforces, or a tool takes in its place.
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
    /// A JSON Schema object; null for a tool of the vendor's own.
    pub input_schema: Value,
    /// Makes it the vendor's own tool for using a computer, which is called [`COMPUTER`].
    pub computer: Option<Display>,
}

/// What the vendors' tool for using a computer is called.
pub const COMPUTER: &str = "computer";

/// The display that a model sees and points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Display {
    /// 1 to [`Display::MAX_PX`].
    pub width_px: u32,
    /// 1 to [`Display::MAX_PX`].
    pub height_px: u32,
}

impl Display {
    /// The longest side.
    pub const MAX_PX: u32 = 8192;
}

impl Request {
    /// The display of the computer that the model may use, if there is one.
    pub fn computer(&self) -> Option<Display> {
        self.tools.iter().find_map(|tool| tool.computer)
    }
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
