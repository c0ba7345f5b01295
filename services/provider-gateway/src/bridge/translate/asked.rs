//! What a client asks for, once it is understood.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tandem_chat_core::message::Message;

use tandem_protocols::call::{OutputFormat, Tool, ToolChoice};

/// A request in neutral terms. What it has beyond [`tandem_protocols::call::Request`] goes into the model's options: [`Asked::options`].
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// As the client names it; not empty.
    pub model: String,
    /// In order, at least one; each call with its result right behind it, as [`tandem_chat_core::history::repair`] leaves them.
    pub messages: Vec<Message>,
    /// In the client's order, names unique.
    pub tools: Vec<Tool>,
    /// Names of tools whose input is a text of a free form: among `tools` they are functions with one text, which
    /// [`super::Answering::free_form`] makes calls of the client's kind again.
    pub free_form: BTreeSet<String>,
    /// Names only one of `tools`; requires a call only where there are some.
    pub tool_choice: ToolChoice,
    /// Above 0.
    pub max_output_tokens: Option<u32>,
    /// General call options by the names model configs use: `temperature`, `top_p`, `top_k`, `presence_penalty`, `frequency_penalty`
    /// (numbers), `stop_sequences` (texts). Only those that were set.
    pub overrides: Map<String, Value>,
    /// How hard the model shall try.
    pub effort: Option<Effort>,
    /// Whether and how it shall think, in the one dialect that asks for it apart from the effort.
    pub thinking: Option<Thinking>,
    /// `low`, `medium` or `high`.
    pub verbosity: Option<&'static str>,
    /// The form the answer must have.
    pub output: Option<WantedOutput>,
    /// At most one tool call per answer. Vendors are asked for it, and [`super::Answering::is_serial`] makes sure of it.
    pub is_serial: bool,
    /// The field that asks for the vendor's own search of the web, which only an administrator switches on.
    pub wants_search: Option<String>,
    /// The answer is wanted as events.
    pub is_stream: bool,
    /// Its usage is wanted: always, but for streams of Chat Completions that do not ask.
    pub wants_usage: bool,
}

/// The form an answer must have, and where the client says so.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedOutput {
    /// Its path in the body.
    pub field: String,
    /// The form.
    pub format: OutputFormat,
}

/// How hard a model tries, on the scale of all vendors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// It does not think.
    None,
    /// As little as it can.
    Minimal,
    /// Little.
    Low,
    /// What is usual.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as it can.
    Max,
}

/// Whether and how a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all, where that can be chosen.
    Off,
    /// As it sees fit.
    Adaptive,
    /// With so many tokens; above 0.
    Budget(u64),
}

/// Why a request is not answered: which of its fields cannot be understood or carried, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refused {
    /// Its path in the body, for example `messages[2].content[0].image_url`; empty for the body as a whole.
    pub field: String,
    /// One or two sentences for people.
    pub message: String,
}

impl Refused {
    /// Refuses a field.
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl Effort {
    const ALL: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::Minimal, "minimal"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::XHigh, "xhigh"),
        (Self::Max, "max"),
    ];

    /// The effort of that name.
    pub(super) fn find(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == name);
        known.map(|(effort, _)| effort)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.into_iter().find(|(effort, _)| *effort == self);
        known.map_or("", |(_, name)| name)
    }
}
