//! The vendor's own shapes of a request. Exact: what is written here is what is sent. Answers are read where they are understood.
//!
//! Field order is the order on the wire.

use serde::Serialize;
use serde_json::{Map, Value};

/// A request. The model is in its address.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    /// Instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system_instruction: Option<Instruction>,
    /// The conversation: the user first and last.
    pub(super) contents: Vec<Content>,
    /// At most one, with everything on offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tools>,
    /// Only with tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<ToolConfig>,
    /// What the vendor shall not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) safety_settings: Vec<Value>,
    /// How the answer is chosen.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) generation_config: Map<String, Value>,
    /// The name of a prefix that the vendor keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cached_content: Option<String>,
}

/// Instructions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Instruction {
    /// Texts; at least one.
    pub(super) parts: Vec<Part>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Content {
    pub(super) role: Role,
    /// At least one.
    pub(super) parts: Vec<Part>,
}

/// Whose turn it is. Results of functions are the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Model,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Part {
    /// One of those below.
    Own(OwnPart),
    /// A piece of the vendor's own tools, exactly as it came.
    Native(Value),
}

/// A piece that is written here.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnPart {
    /// The model's thinking.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(flatten)]
    pub(super) data: Data,
    /// What the vendor gave with exactly this piece.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) thought_signature: String,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Data {
    /// Words; empty only under a signature.
    Text(String),
    /// Bytes.
    #[serde(rename = "inlineData")]
    Inline(Blob),
    /// A call of a tool of ours.
    FunctionCall {
        id: String,
        name: String,
        args: Map<String, Value>,
    },
    /// What came of it.
    FunctionResponse {
        id: String,
        name: String,
        /// `{"output": …}` or `{"error": …}`.
        response: Map<String, Value>,
        /// Pictures, for models that see them here.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Inline>,
    },
}

/// Bytes within a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob {
    pub(super) mime_type: String,
    /// Base64.
    pub(super) data: String,
}

/// Bytes within a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inline {
    pub(super) inline_data: Blob,
}

/// Everything on offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) function_declarations: Vec<Function>,
    /// The vendor's search of the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) google_search: Option<Empty>,
}

/// A tool of ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function {
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    /// Left out for a tool without parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters_json_schema: Option<Value>,
}

/// An object without fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Empty {}

/// Whether tools may be called, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_calling_config: Option<CallingConfig>,
    /// The vendor's tools run beside ours.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) include_server_side_tool_invocations: bool,
}

/// Whether tools of ours may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallingConfig {
    /// `NONE` or `ANY`.
    pub(super) mode: &'static str,
    /// Of which one must be called; all, where there are none. Only with `ANY`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed_function_names: Vec<String>,
}

impl Part {
    /// A piece without signature.
    pub(super) fn new(data: Data) -> Self {
        Self::Own(OwnPart {
            thought: false,
            data,
            thought_signature: String::new(),
        })
    }

    /// Words.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::new(Data::Text(text.into()))
    }
}
