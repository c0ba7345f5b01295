//! The vendor's own shapes: what is sent, and what is understood of what comes back.
//!
//! Requests are exact. Answers are read leniently where servers are known to differ: such fields are kept as plain JSON and
//! interpreted by the accessors here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_chat_core::message::Usage;

/// A request. Field order is the order on the wire.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// The vendor's model.
    pub model: String,
    /// The prompt.
    pub messages: Vec<Message>,
    /// Left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// `auto`, `none`, `required` or an object that names a tool; only with tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Always true.
    pub stream: bool,
    /// Asks for a last chunk with usage.
    pub stream_options: StreamOptions,
    /// Everything an administrator can set.
    #[serde(flatten)]
    pub options: Map<String, Value>,
}

/// How to stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StreamOptions {
    /// Always true.
    pub include_usage: bool,
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Message {
    /// Instructions.
    System {
        /// Plain text.
        content: String,
    },
    /// A person or program.
    User {
        /// Text, or text and images.
        content: Content,
    },
    /// The model.
    Assistant {
        /// Null when it only called tools.
        content: Option<String>,
        /// Left out when there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// One tool result.
    Tool {
        /// The call it answers.
        tool_call_id: String,
        /// Plain text.
        content: String,
    },
}

/// Content of a user's message. Plain text stays a string: many servers understand nothing else.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Text alone.
    Text(String),
    /// Text and other things, in order.
    Parts(Vec<ContentPart>),
}

/// A piece of a user's message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A picture.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
    /// A document; understood by OpenAI itself.
    File {
        /// What it is.
        file: FileData,
    },
}

/// A picture by address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageUrl {
    /// A `data:` URL here.
    pub url: String,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileData {
    /// Its name.
    pub filename: String,
    /// A `data:` URL.
    pub file_data: String,
}

/// A call the model made earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolCall {
    /// Its id.
    pub id: String,
    /// Always `function`.
    pub r#type: &'static str,
    /// What was called.
    pub function: FunctionCall,
}

/// Name and arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionCall {
    /// The tool.
    pub name: String,
    /// JSON as text.
    pub arguments: String,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tool {
    /// Always `function`.
    pub r#type: &'static str,
    /// What it is.
    pub function: Function,
}

/// What a tool is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is good for; left out when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A JSON Schema.
    pub parameters: Value,
}

/// One chunk of a stream, or a whole answer that was not streamed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Chunk {
    #[serde(default)]
    id: Value,
    #[serde(default, deserialize_with = "null_is_empty")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    message: Value,
}

/// One of the alternatives; only the first is ever asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Choice {
    #[serde(default)]
    index: Value,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    message: Option<Delta>,
    #[serde(default)]
    finish_reason: Value,
}

/// What is added to an answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Delta {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    reasoning_content: Value,
    #[serde(default)]
    reasoning: Value,
    #[serde(default)]
    refusal: Value,
    #[serde(default, deserialize_with = "null_is_empty")]
    tool_calls: Vec<CallDelta>,
    #[serde(default)]
    function_call: Option<FunctionDelta>,
}

/// What is added to a tool call.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CallDelta {
    #[serde(default)]
    index: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

/// Name and arguments as they come.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FunctionDelta {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    arguments: Value,
}

fn null_is_empty<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

impl Chunk {
    /// The vendor's name for the response.
    pub fn id(&self) -> Option<&str> {
        self.id.as_str().filter(|id| !id.is_empty())
    }

    /// The vendor's error, if this is one.
    pub fn error(&self) -> Option<&Value> {
        match &self.error {
            Value::Null | Value::Bool(false) => None,
            Value::String(text) if text.is_empty() => None,
            error => Some(error),
        }
    }

    /// Whether it is an error without the usual wrapping: `{"object":"error","message":…}`.
    pub fn is_bare_error(&self) -> bool {
        self.choices.is_empty() && (self.object == "error" || self.message.is_string())
    }

    /// The first alternative.
    pub fn first_choice(&self) -> Option<&Choice> {
        self.choices
            .iter()
            .find(|choice| integer(&choice.index).unwrap_or(0) == 0)
    }

    /// What was measured. Negative and fractional numbers are not believed.
    pub fn usage(&self) -> Option<Usage> {
        let usage = self.usage.as_object()?;
        let count = |path: &str| self.usage.pointer(path).and_then(integer).filter(|count| *count >= 0);
        let cached = count("/prompt_tokens_details/cached_tokens").or_else(|| count("/prompt_cache_hit_tokens"));
        let prompt = count("/prompt_tokens").or_else(|| count("/input_tokens"));
        let read = Usage {
            input_tokens: prompt.map(|prompt| (prompt - cached.unwrap_or(0)).max(0)),
            output_tokens: count("/completion_tokens").or_else(|| count("/output_tokens")),
            total_tokens: count("/total_tokens"),
            reasoning_tokens: count("/completion_tokens_details/reasoning_tokens"),
            cache_creation_tokens: None,
            cache_read_tokens: cached,
            context_limit: None,
            context_tokens: None,
        };
        (!usage.is_empty() && !read.is_empty()).then_some(read)
    }
}

impl Choice {
    /// What is added; in a whole answer, everything.
    pub fn delta(&self) -> Option<&Delta> {
        self.delta.as_ref().or(self.message.as_ref())
    }

    /// Why the model stopped, if it has.
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_str().filter(|reason| !reason.is_empty())
    }
}

impl Delta {
    /// Words. A refusal is what the model says instead.
    pub fn text(&self) -> Option<String> {
        words(&self.content).or_else(|| words(&self.refusal))
    }

    /// Thinking.
    pub fn reasoning(&self) -> Option<String> {
        words(&self.reasoning_content).or_else(|| words(&self.reasoning))
    }

    /// Tool calls, in order.
    pub fn tool_calls(&self) -> &[CallDelta] {
        &self.tool_calls
    }

    /// The one call of the older form.
    pub fn function_call(&self) -> Option<&FunctionDelta> {
        self.function_call.as_ref()
    }
}

impl CallDelta {
    /// Its place, if the server counts.
    pub fn index(&self) -> Option<i64> {
        integer(&self.index)
    }

    /// Its id, if there is one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_str().filter(|id| !id.is_empty())
    }

    /// What is called.
    pub fn function(&self) -> Option<&FunctionDelta> {
        self.function.as_ref()
    }
}

impl FunctionDelta {
    /// The tool.
    pub fn name(&self) -> Option<&str> {
        self.name.as_str().filter(|name| !name.is_empty())
    }

    /// More of the arguments' text. Some servers send the object itself.
    pub fn arguments(&self) -> Option<String> {
        match &self.arguments {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// A number, also as text or with a fraction of zero.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
            // Exact below 2^53, and nothing counts further.
            format!("{number:.0}").parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Text as such or in a list of `{"text": …}`.
fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces
            .iter()
            .filter_map(|piece| piece.as_str().or_else(|| piece.get("text")?.as_str()))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(value: Value) -> Option<Usage> {
        serde_json::from_value::<Chunk>(json!({ "usage": value }))
            .unwrap()
            .usage()
    }

    #[test]
    fn cached_tokens_are_counted_apart() {
        let read = usage(json!({
            "prompt_tokens": 100, "completion_tokens": 20.0, "total_tokens": "120",
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }));
        let expected = Usage {
            input_tokens: Some(36),
            output_tokens: Some(20),
            total_tokens: Some(120),
            reasoning_tokens: Some(5),
            cache_read_tokens: Some(64),
            ..Usage::default()
        };
        assert_eq!(read, Some(expected));
    }

    #[test]
    fn nonsense_is_not_reported() {
        for value in [
            json!(null),
            json!({}),
            json!(7),
            json!({"prompt_tokens": -3, "completion_tokens": 1.5}),
            json!("x"),
        ] {
            assert_eq!(usage(value), None);
        }
    }
}
