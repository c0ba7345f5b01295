//! Refuses what the vendor would refuse, in the vendor's words.
//!
//! Order of the checks: parameters known, required ones there, then messages, tools and the rest. Who is calling
//! is checked in [`super::server`] before the body is read.

mod messages;
mod params;
mod tools;

use serde_json::{Map, Value};

use super::wire::VendorError;

/// Estimated bytes of text per token.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens the vendor counts for each message besides its text.
const TOKENS_PER_MESSAGE: u64 = 4;

/// What the server needs to know of an accepted request.
#[derive(Debug)]
pub(super) struct Accepted {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    pub may_obfuscate: bool,
    /// The text of every message, in order.
    pub texts: Vec<String>,
    /// The text of the last user message; empty when there is none.
    pub last_user: String,
    pub conversation: String,
    pub prompt_tokens: u64,
}

/// What a server accepts.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Known models; empty accepts every name.
    pub models: Vec<String>,
    pub max_messages: usize,
}

/// Checks a request body.
///
/// # Errors
/// The vendor's answer to the first mistake found.
pub(super) fn check(body: &[u8], rules: &Rules) -> Result<Accepted, VendorError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
    let Value::Object(request) = request else {
        return Err(not_json());
    };
    params::known(&request)?;
    let model = params::model(&request, &rules.models)?;
    let messages = messages::check(&request, rules.max_messages)?;
    tools::check(&request)?;
    let flags = params::check(&request)?;

    let texts: Vec<String> = messages.iter().map(|m| text_of(&m["content"])).collect();
    let last_user = last_user(messages, &texts);
    let prompt_tokens = texts
        .iter()
        .map(|text| text.len().div_ceil(BYTES_PER_TOKEN) as u64 + TOKENS_PER_MESSAGE)
        .sum();
    Ok(Accepted {
        model,
        stream: flags.stream,
        include_usage: flags.include_usage,
        may_obfuscate: flags.may_obfuscate,
        conversation: conversation(&request, messages, &texts),
        texts,
        last_user,
        prompt_tokens,
    })
}

/// The text of a message's content, whether a string or parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn last_user(messages: &[Value], texts: &[String]) -> String {
    messages
        .iter()
        .zip(texts)
        .rev()
        .find(|(message, _)| message["role"] == "user")
        .map(|(_, text)| text.clone())
        .unwrap_or_default()
}

/// What a request belongs to, for counting.
fn conversation(request: &Map<String, Value>, messages: &[Value], texts: &[String]) -> String {
    let given = ["prompt_cache_key", "user"]
        .iter()
        .find_map(|key| request.get(*key)?.as_str());
    match given {
        Some(name) => name.to_owned(),
        None => messages
            .iter()
            .zip(texts)
            .find(|(message, _)| message["role"] == "user")
            .map(|(_, text)| text.clone())
            .unwrap_or_default(),
    }
}

fn not_json() -> VendorError {
    VendorError::invalid(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
        None,
        None,
    )
}

/// The vendor's name for the type of a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(super) fn wrong_type(path: &str, expected: &str, found: &Value) -> VendorError {
    let found = type_name(found);
    VendorError::invalid(
        format!("Invalid type for '{path}': expected {expected}, but got {found} instead."),
        Some(path),
        Some("invalid_type"),
    )
}

pub(super) fn missing(path: &str) -> VendorError {
    VendorError::invalid(
        format!("Missing required parameter: '{path}'."),
        Some(path),
        Some("missing_required_parameter"),
    )
}

pub(super) fn unknown(path: &str) -> VendorError {
    VendorError::invalid(
        format!("Unknown parameter: '{path}'."),
        Some(path),
        Some("unknown_parameter"),
    )
}

/// A value outside a closed list. `supported` in the vendor's order.
pub(super) fn unsupported(path: &str, value: &str, supported: &[&str]) -> VendorError {
    let quoted: Vec<String> = supported.iter().map(|s| format!("'{s}'")).collect();
    let list = match quoted.as_slice() {
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [rest @ .., last] => format!("{}, and {last}", rest.join(", ")),
        [] => String::new(),
    };
    VendorError::invalid(
        format!("Invalid value: '{value}'. Supported values are: {list}."),
        Some(path),
        Some("invalid_value"),
    )
}

fn empty_array(path: &str) -> VendorError {
    VendorError::invalid(
        format!(
            "Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        ),
        Some(path),
        Some("empty_array"),
    )
}

fn long_array(path: &str, max: usize, len: usize) -> VendorError {
    VendorError::invalid(
        format!(
            "Invalid '{path}': array too long. Expected an array with maximum length {max}, but got an array with length {len} instead."
        ),
        Some(path),
        Some("array_above_max_length"),
    )
}

fn long_string(path: &str, max: usize, len: usize) -> VendorError {
    VendorError::invalid(
        format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {max}, but got a string with length {len} instead."
        ),
        Some(path),
        Some("string_above_max_length"),
    )
}

/// Refuses members of an object that the vendor does not know.
fn only(object: &Map<String, Value>, path: &str, allowed: &[&str]) -> Result<(), VendorError> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => Err(unknown(&format!("{path}.{key}"))),
        None => Ok(()),
    }
}

/// A required string member.
fn string<'a>(object: &'a Map<String, Value>, path: &str, key: &str) -> Result<&'a str, VendorError> {
    let path = format!("{path}.{key}");
    match object.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(wrong_type(&path, "a string", other)),
        None => Err(missing(&path)),
    }
}
