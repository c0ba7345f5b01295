//! One chunk of an answer, read leniently: fields that servers are known to leave out, fill with null or spell differently.

use serde_json::Value;
use tandem_chat_core::message::Usage;

/// Fields of which a chunk has at least one.
const FIELDS: [&str; 6] = [
    "candidates",
    "promptFeedback",
    "usageMetadata",
    "modelVersion",
    "responseId",
    "createTime",
];

/// Whether it is a chunk at all.
pub(super) fn is_one(chunk: &Value) -> bool {
    let has = |fields: &serde_json::Map<String, Value>| FIELDS.iter().any(|field| fields.contains_key(*field));
    chunk.as_object().is_some_and(has)
}

/// One piece of what the model says.
pub(super) enum Piece<'a> {
    /// Thinking.
    Thought(&'a str),
    /// Words; may be empty under a signature.
    Text(&'a str),
    /// A picture, or sound: its type and its bytes as base64.
    File { media_type: &'a str, data: &'a str },
    /// A call of a tool of ours. Id and arguments may be missing.
    Call {
        id: &'a str,
        name: &'a str,
        args: &'a Value,
    },
    /// A call of a tool of the vendor's own.
    NativeCall(&'a Value),
    /// What came of it.
    NativeResult(&'a Value),
    /// Something this version does not know.
    Unknown,
}

impl<'a> Piece<'a> {
    /// What a part of a chunk is.
    pub(super) fn of(part: &'a Value) -> Self {
        let call = &part["functionCall"];
        if let Some(name) = call["name"].as_str().filter(|name| !name.is_empty()) {
            return Self::Call {
                id: call["id"].as_str().unwrap_or_default(),
                name,
                args: &call["args"],
            };
        }
        if part["toolCall"].is_object() {
            return Self::NativeCall(&part["toolCall"]);
        }
        if part["toolResponse"].is_object() {
            return Self::NativeResult(&part["toolResponse"]);
        }
        let file = &part["inlineData"];
        // What the model only thought of is not part of the answer.
        if let Some(data) = file["data"].as_str().filter(|data| !data.is_empty())
            && part["thought"] != true
        {
            let media_type = file["mimeType"].as_str().unwrap_or_default();
            return Self::File { media_type, data };
        }
        let is_other = [
            "functionCall",
            "inlineData",
            "executableCode",
            "codeExecutionResult",
            "fileData",
        ];
        if is_other.iter().any(|kind| !part[*kind].is_null()) {
            return Self::Unknown;
        }
        let text = part["text"].as_str().unwrap_or_default();
        if part["thought"] == true {
            Self::Thought(text)
        } else {
            Self::Text(text)
        }
    }
}

/// Takes over what a chunk says of usage; later chunks speak of the whole answer. Negative and fractional numbers are not believed.
pub(super) fn measure(usage: &mut Usage, said: &Value) {
    let count = |name: &str| said[name].as_i64().filter(|count| *count >= 0);
    let sum = |one: Option<i64>, other: Option<i64>| match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    };
    let cached = count("cachedContentTokenCount");
    let thoughts = count("thoughtsTokenCount");
    let prompt = sum(count("promptTokenCount"), count("toolUsePromptTokenCount"));
    let input = prompt.map(|prompt| prompt.saturating_sub(cached.unwrap_or(0)).max(0));
    let measured = [
        (&mut usage.input_tokens, input),
        (&mut usage.output_tokens, sum(count("candidatesTokenCount"), thoughts)),
        (&mut usage.reasoning_tokens, thoughts),
        (&mut usage.cache_read_tokens, cached),
        (&mut usage.total_tokens, count("totalTokenCount")),
    ];
    for (known, said) in measured {
        *known = said.or(*known);
    }
}
