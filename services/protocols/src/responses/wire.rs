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
    /// The kept response that this one goes on from; `input` is then what came after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous_response_id: Option<String>,
    /// The conversation: at least one item, each call with its output behind it.
    pub(super) input: Vec<Item>,
    /// Left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tool>,
    /// Only with tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Value>,
    /// Always true.
    pub(super) stream: bool,
    /// Whether the vendor keeps the response.
    pub(super) store: bool,
    /// What else was set, by name.
    #[serde(flatten)]
    pub(super) options: Map<String, Value>,
}

/// One item of a conversation. Ids are sent only where the vendor needs them: one that names an item kept at the vendor binds that
/// item to others that must come with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    /// Words and files.
    Message {
        role: Role,
        /// At least one.
        content: Vec<Piece>,
    },
    /// What the model thought, as only the vendor can read it. Something of the model's follows.
    Reasoning {
        id: String,
        /// Required, if empty.
        summary: Vec<Summary>,
        encrypted_content: String,
    },
    /// A call of a tool of ours.
    FunctionCall {
        call_id: String,
        name: String,
        /// A JSON object as text.
        arguments: String,
    },
    /// What came of it.
    FunctionCallOutput { call_id: String, output: Output },
    /// A search of the vendor's own, exactly as it came.
    WebSearchCall { id: String, status: String, action: Value },
    /// A call of the vendor's tool for using a computer, exactly as it came.
    ComputerCall {
        id: String,
        call_id: String,
        status: &'static str,
        /// What to do, and `pending_safety_checks`.
        #[serde(flatten)]
        arguments: Map<String, Value>,
    },
    /// What the display showed then.
    ComputerCallOutput {
        call_id: String,
        /// Those of the call that a person has looked at; the vendor refuses the output unless that is all of them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        acknowledged_safety_checks: Vec<Value>,
        output: Screenshot,
    },
}

/// A picture of a display. The vendor takes nothing else of what a call has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Screenshot {
    ComputerScreenshot {
        /// A `data:` address.
        image_url: String,
        /// `original`: not made smaller, so that places in it are those of the display. Unknown to the older tool.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'static str>,
    },
}

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Instructions, for models that reason.
    Developer,
    /// Instructions, for the others.
    System,
    User,
    Assistant,
}

/// A piece of a message or of an output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece {
    /// What the model is told.
    InputText { text: String },
    /// What the model said.
    OutputText { text: String },
    /// A picture, by its address or as a `data:` address.
    InputImage { image_url: String, detail: &'static str },
    /// A PDF document, as a `data:` address.
    InputFile { filename: String, file_data: String },
    /// A PDF document by its address.
    #[serde(rename = "input_file")]
    RemoteFile { file_url: String },
}

/// A summary of what the model thought.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Summary {
    SummaryText { text: String },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Output {
    Text(String),
    /// Texts and pictures.
    Pieces(Vec<Piece>),
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Tool {
    /// One of ours.
    Function {
        name: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        description: String,
        parameters: Value,
        /// Always sent: the vendor takes its absence for true.
        strict: bool,
    },
    /// The vendor's search of the web.
    WebSearch(WebSearch),
    /// The vendor's tool for using a computer.
    Computer {},
    /// The older one.
    ComputerUsePreview {
        display_width: u32,
        display_height: u32,
        environment: &'static str,
    },
}

/// The vendor's search of the web.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct WebSearch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) search_context_size: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filters: Option<Filters>,
}

/// Where it searches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Filters {
    /// At least one.
    pub(super) allowed_domains: Vec<String>,
}

impl Piece {
    /// Words for the model.
    pub(super) fn told(text: impl Into<String>) -> Self {
        Self::InputText { text: text.into() }
    }

    /// Words of the model.
    pub(super) fn said(text: impl Into<String>) -> Self {
        Self::OutputText { text: text.into() }
    }
}
