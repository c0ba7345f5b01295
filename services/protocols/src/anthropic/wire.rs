//! The vendor's own shapes of a request. Exact: what is written here is what is sent.
//!
//! The events of an answer are in [`event`]. Field order is the order on the wire.

use serde::Serialize;
use serde_json::{Map, Value};

pub(super) mod event;

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Request {
    /// The vendor's model.
    pub(super) model: String,
    /// Of the answer, thinking included; at least 1.
    pub(super) max_tokens: u64,
    /// Instructions: text blocks, none of them blank.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) system: Vec<Block>,
    /// The conversation: at least one turn, user and assistant in turns, the user first and last.
    pub(super) messages: Vec<Message>,
    /// Left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tool>,
    /// Only with tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<ToolChoice>,
    /// Left out when the model shall not think aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<Thinking>,
    /// Left out when nothing is asked of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_config: Option<OutputConfig>,
    /// Always true.
    pub(super) stream: bool,
    /// How words are chosen, where an administrator set it.
    #[serde(flatten)]
    pub(super) sampling: Map<String, Value>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Message {
    pub(super) role: Role,
    /// At least one.
    pub(super) content: Vec<Block>,
}

/// Whose turn it is. Instructions have no role here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
}

/// A piece of a turn, which may be the end of a prefix that the vendor keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Block {
    #[serde(flatten)]
    pub(super) content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<CacheControl>,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    /// Words; never blank.
    Text { text: String },
    /// A picture.
    Image { source: Source },
    /// A PDF document.
    Document {
        source: Source,
        #[serde(skip_serializing_if = "String::is_empty")]
        title: String,
    },
    /// The model's thinking, with what proves it.
    Thinking { thinking: String, signature: String },
    /// Thinking that only the vendor can read.
    RedactedThinking { data: String },
    /// A call of a tool of ours.
    ToolUse {
        id: String,
        name: String,
        input: Map<String, Value>,
    },
    /// What came of it.
    ToolResult {
        tool_use_id: String,
        /// Texts and pictures; at least one.
        content: Vec<Block>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    /// A call of a tool of the vendor's.
    ServerToolUse {
        id: String,
        name: String,
        input: Map<String, Value>,
    },
    /// What the vendor found, exactly as it came.
    WebSearchToolResult { tool_use_id: String, content: Value },
}

/// Bytes within a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    /// `base64`, or `url`, which has an address in the place of the rest.
    pub(super) r#type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) media_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) data: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) url: String,
}

/// The end of a prefix that the vendor keeps for a few minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct CacheControl {
    /// Always `ephemeral`.
    pub(super) r#type: &'static str,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Tool {
    /// One of ours.
    Own {
        name: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        description: String,
        input_schema: Value,
    },
    /// The vendor's search of the web.
    WebSearch(WebSearch),
    /// The vendor's tool for using a computer. Its calls are like those of ours.
    Computer {
        r#type: &'static str,
        name: &'static str,
        display_width_px: u32,
        display_height_px: u32,
    },
}

/// The vendor's search of the web.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct WebSearch {
    pub(super) r#type: &'static str,
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed_domains: Vec<String>,
    /// Never beside allowed ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) blocked_domains: Vec<String>,
}

/// Whether tools may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToolChoice {
    Auto {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    None,
    /// At least one; never beside thinking.
    Any {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    /// This one; never beside thinking.
    Tool {
        name: String,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
}

/// How the model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
    /// With so many tokens: at least 1024, fewer than `max_tokens`.
    Enabled { budget_tokens: u64 },
    /// As it sees fit.
    Adaptive {
        /// `summarized`, for models that show nothing of it unless asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
}

/// What is asked of the answer itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct OutputConfig {
    /// How hard the model tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effort: Option<&'static str>,
    /// The form it is held to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<OutputFormat>,
}

/// A form of answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutputFormat {
    /// JSON of this shape, whose objects are all closed.
    JsonSchema { schema: Value },
}

impl Block {
    /// A piece without a mark.
    pub(super) fn new(content: Content) -> Self {
        Self {
            content,
            cache_control: None,
        }
    }

    /// Words.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text { text: text.into() })
    }

    /// Whether it is thinking, shown or not.
    pub(super) fn is_thinking(&self) -> bool {
        matches!(
            self.content,
            Content::Thinking { .. } | Content::RedactedThinking { .. }
        )
    }
}

impl Source {
    /// Bytes as base64.
    pub(super) fn base64(media_type: &str, data: String) -> Self {
        Self {
            r#type: "base64",
            media_type: media_type.to_owned(),
            data,
            url: String::new(),
        }
    }

    /// What the vendor fetches.
    pub(super) fn url(address: &str) -> Self {
        Self {
            r#type: "url",
            media_type: String::new(),
            data: String::new(),
            url: address.to_owned(),
        }
    }
}
