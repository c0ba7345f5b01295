//! Refuses what the vendor would refuse, in the vendor's words: parameters, tools, and what a model takes.
//!
//! What may stand in the conversation is [`input`]'s.

mod computer;
mod input;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    super::{
        validate::{Accepted, Rules, missing, unknown, unsupported, wrong_type},
        wire::VendorError,
    },
    kept::{Before, Kept},
    reasons,
};

/// Estimated bytes of text per token.
const BYTES_PER_TOKEN: usize = 4;
const MIN_OUTPUT_TOKENS: i64 = 16;
/// Characters of a tool's name, and of a call's id.
const MAX_NAME_CHARS: usize = 64;
const KNOWN: [&str; 28] = [
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
const INCLUDES: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];
const TIERS: [&str; 5] = ["auto", "default", "flex", "scale", "priority"];
const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

type Check<T = ()> = Result<T, VendorError>;

/// Checks a request body.
///
/// * `kept`: responses that it may go on from.
///
/// # Errors
/// The vendor's answer to the first mistake found.
pub(in super::super) fn check(body: &[u8], rules: &Rules, kept: &Kept) -> Check<Accepted> {
    let not_json = || VendorError::invalid("We could not parse the JSON body of your request.", None, None);
    let request: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
    let fields = request.as_object().ok_or_else(not_json)?;
    if let Some(name) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(unknown(name));
    }
    let model = match fields.get("model") {
        Some(Value::String(model)) => model.as_str(),
        Some(other) => return Err(wrong_type("model", "a string", other)),
        None => return Err(missing("model")),
    };
    if !rules.models.is_empty() && !rules.models.iter().any(|known| known == model) {
        let message = format!("The requested model '{model}' does not exist.");
        return Err(VendorError::invalid(message, Some("model"), Some("model_not_found")));
    }
    types(fields)?;
    settings(fields, model)?;
    tools(fields, model)?;
    let nothing = Before::default();
    let before = match fields.get("previous_response_id").and_then(Value::as_str) {
        None => &nothing,
        Some(id) => kept.find(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            let (param, code) = (Some("previous_response_id"), Some("previous_response_not_found"));
            VendorError::invalid(message, param, code)
        })?,
    };
    let said = input::check(fields.get("input").unwrap_or(&Value::Null), &before.calls, model, rules)?;
    Ok(accepted(fields, model, said, before))
}

fn types(fields: &Map<String, Value>) -> Check {
    for name in ["stream", "store", "parallel_tool_calls"] {
        match fields.get(name) {
            None | Some(Value::Null | Value::Bool(_)) => {}
            Some(other) => return Err(wrong_type(name, "a boolean", other)),
        }
    }
    for name in ["instructions", "user", "prompt_cache_key", "safety_identifier"] {
        match fields.get(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => return Err(wrong_type(name, "a string", other)),
        }
    }
    let metadata = fields.get("metadata").and_then(Value::as_object);
    for (key, value) in metadata.into_iter().flatten() {
        if !value.is_string() {
            return Err(wrong_type(&format!("metadata.{key}"), "a string", value));
        }
    }
    Ok(())
}

/// A closed list of words.
fn word(value: &Value, path: &str, words: &[&str]) -> Check {
    match value {
        Value::Null => Ok(()),
        Value::String(text) if words.contains(&text.as_str()) => Ok(()),
        Value::String(text) => Err(unsupported(path, text, words)),
        other => Err(wrong_type(path, "a string", other)),
    }
}

fn settings(fields: &Map<String, Value>, model: &str) -> Check {
    let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    let limit = field("max_output_tokens").as_i64();
    if let Some(limit) = limit.filter(|limit| *limit < MIN_OUTPUT_TOKENS) {
        let message = format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {MIN_OUTPUT_TOKENS}, but got {limit} instead."
        );
        let (param, code) = (Some("max_output_tokens"), Some("integer_below_min_value"));
        return Err(VendorError::invalid(message, param, code));
    }
    word(field("service_tier"), "service_tier", &TIERS)?;
    word(field("truncation"), "truncation", &["auto", "disabled"])?;
    word(
        &field("text")["verbosity"],
        "text.verbosity",
        &["low", "medium", "high"],
    )?;
    form(&field("text")["format"])?;
    word(&field("reasoning")["effort"], "reasoning.effort", &EFFORTS)?;
    word(
        &field("reasoning")["summary"],
        "reasoning.summary",
        &["auto", "concise", "detailed"],
    )?;
    let include = field("include").as_array().map_or(&[][..], Vec::as_slice);
    for (index, name) in include.iter().enumerate() {
        word(name, &format!("include[{index}]"), &INCLUDES)?;
    }
    let refused = |name: &str| {
        let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
        Err(VendorError::invalid(message, Some(name), None))
    };
    if reasons(model) {
        let is_off = field("reasoning")["effort"] == "none";
        let sampling = ["temperature", "top_p"].into_iter();
        match sampling.filter(|_| !is_off).find(|name| !field(name).is_null()) {
            Some(name) => refused(name),
            None => Ok(()),
        }
    } else if !field("reasoning")["effort"].is_null() {
        refused("reasoning.effort")
    } else if include.iter().any(|name| name == "reasoning.encrypted_content") {
        let message = "Encrypted content is not supported with this model.";
        Err(VendorError::invalid(message, Some("include"), None))
    } else {
        Ok(())
    }
}

/// Letters, digits, `_` and `-`.
fn is_plain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

/// The form an answer is held to.
fn form(format: &Value) -> Check {
    match format["type"].as_str() {
        None if format.is_null() => Ok(()),
        Some("text" | "json_object") => Ok(()),
        Some("json_schema") => {
            name(&format["name"], "text.format.name")?;
            if format["schema"]["type"] != "object" {
                let message = format!(
                    "Invalid schema for response_format {}: schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
                    format["name"], format["schema"]["type"]
                );
                let (param, code) = (Some("text.format.schema"), Some("invalid_json_schema"));
                return Err(VendorError::invalid(message, param, code));
            }
            Ok(())
        }
        _ => Err(missing("text.format.type")),
    }
}

/// A name that must be plain and short.
fn name(value: &Value, path: &str) -> Check {
    let text = match value {
        Value::String(text) => text,
        Value::Null => return Err(missing(path)),
        other => return Err(wrong_type(path, "a string", other)),
    };
    if text.len() > MAX_NAME_CHARS {
        let message = format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {MAX_NAME_CHARS}, but got a string with length {} instead.",
            text.len()
        );
        return Err(VendorError::invalid(
            message,
            Some(path),
            Some("string_above_max_length"),
        ));
    }
    if !is_plain(text) {
        let message = format!(
            "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(VendorError::invalid(message, Some(path), Some("invalid_value")));
    }
    Ok(())
}

fn tools(fields: &Map<String, Value>, model: &str) -> Check {
    let mut names = HashSet::new();
    let tools = fields.get("tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let path = format!("tools[{index}]");
        match tool["type"].as_str() {
            Some("function") => {
                name(&tool["name"], &format!("{path}.name"))?;
                schema(tool, &path)?;
                if !names.insert(&tool["name"]) {
                    let message = format!("Duplicate tool name: {}.", tool["name"]);
                    return Err(VendorError::invalid(message, Some(&path), None));
                }
            }
            Some("web_search" | "web_search_preview") => {
                let size = &tool["search_context_size"];
                word(size, &format!("{path}.search_context_size"), &["low", "medium", "high"])?;
            }
            Some(kind @ ("computer" | "computer_use_preview")) => computer::tool(tool, kind, fields, model, &path)?,
            Some(other) => return Err(unsupported(&format!("{path}.type"), other, &["function", "web_search"])),
            None => return Err(missing(&format!("{path}.type"))),
        }
    }
    Ok(())
}

fn schema(tool: &Value, path: &str) -> Check {
    let schema = &tool["parameters"];
    let refused = |why: &str| {
        let message = format!("Invalid schema for function {}: {why}", tool["name"]);
        let param = format!("{path}.parameters");
        Err(VendorError::invalid(
            message,
            Some(&param),
            Some("invalid_function_parameters"),
        ))
    };
    let is_object = schema["type"] == "object";
    let is_alternative = ["oneOf", "anyOf", "allOf", "enum", "not"]
        .iter()
        .any(|key| schema.get(key).is_some());
    if !is_object || is_alternative {
        return refused(
            "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.",
        );
    }
    if !schema["properties"].is_object() {
        return refused("In context=(), object schema missing properties.");
    }
    // Its absence counts as true.
    if tool["strict"] != false && schema["additionalProperties"] != false {
        return refused("In context=(), 'additionalProperties' is required to be supplied and to be false.");
    }
    Ok(())
}

fn accepted(fields: &Map<String, Value>, model: &str, said: input::Said, before: &Before) -> Accepted {
    let given = ["prompt_cache_key", "user"]
        .into_iter()
        .find_map(|name| fields.get(name)?.as_str());
    let instructions = fields.get("instructions").and_then(Value::as_str).unwrap_or_default();
    let bytes = instructions.len() + said.texts.iter().map(String::len).sum::<usize>();
    let mut users = said.users.into_iter();
    let first = users.next().unwrap_or_default();
    Accepted {
        model: model.to_owned(),
        stream: fields.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        may_obfuscate: fields
            .get("stream_options")
            .is_none_or(|options| options["include_obfuscation"] != false),
        conversation: match given {
            Some(given) => given.to_owned(),
            None if !before.conversation.is_empty() => before.conversation.clone(),
            None => first.clone(),
        },
        last_user: users.next_back().unwrap_or(first),
        texts: before.texts.iter().cloned().chain(said.texts).collect(),
        prompt_tokens: before.tokens + bytes.div_ceil(BYTES_PER_TOKEN) as u64,
    }
}
