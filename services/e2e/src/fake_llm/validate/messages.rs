//! Messages: roles, contents, and the strict pairing of tool calls with their results.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{VendorError, empty_array, long_array, long_string, missing, only, string, unsupported, wrong_type};

/// Characters in one text, and in one data URL.
const MAX_TEXT_CHARS: usize = 10_485_760;
/// Decoded bytes of one image.
const MAX_IMAGE_BYTES: usize = 20 << 20;
/// Calls in one assistant message.
const MAX_CALLS: usize = 128;
/// Characters of a call's id.
const MAX_CALL_ID_CHARS: usize = 40;
/// Characters of a tool's name.
const MAX_NAME_CHARS: usize = 64;
const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

pub(super) fn check(request: &Map<String, Value>, max_messages: usize) -> Result<&[Value], VendorError> {
    let messages = match request.get("messages") {
        None => return Err(missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong_type("messages", "an array of objects", other)),
    };
    if messages.is_empty() {
        return Err(empty_array("messages"));
    }
    if messages.len() > max_messages {
        return Err(long_array("messages", max_messages, messages.len()));
    }
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages[{index}]");
        let Value::Object(message) = message else {
            return Err(wrong_type(&path, "an object", message));
        };
        match_role(message, index, &path)?;
    }
    pairs(messages)?;
    Ok(messages)
}

fn match_role(message: &Map<String, Value>, index: usize, path: &str) -> Result<(), VendorError> {
    match string(message, path, "role")? {
        "system" | "developer" => {
            only(message, path, &["role", "content", "name"])?;
            content(message, path, false)
        }
        "user" => {
            only(message, path, &["role", "content", "name"])?;
            content(message, path, true)
        }
        "assistant" => assistant(message, index, path),
        "tool" => {
            only(message, path, &["role", "content", "tool_call_id"])?;
            string(message, path, "tool_call_id")?;
            content(message, path, false)
        }
        "function" => Err(VendorError::invalid(
            "Messages with role 'function' are deprecated and not accepted here.",
            Some(&format!("{path}.role")),
            Some("unsupported_value"),
        )),
        other => Err(unsupported(&format!("{path}.role"), other, &ROLES)),
    }
}

fn assistant(message: &Map<String, Value>, index: usize, path: &str) -> Result<(), VendorError> {
    let allowed = [
        "role",
        "content",
        "refusal",
        "name",
        "audio",
        "tool_calls",
        "reasoning_content",
        // An answer may be handed back as it came.
        "annotations",
    ];
    only(message, path, &allowed)?;
    let has_calls = message.get("tool_calls").is_some_and(|calls| !calls.is_null());
    if let Some(calls) = message.get("tool_calls").filter(|calls| !calls.is_null()) {
        tool_calls(calls, &format!("{path}.tool_calls"))?;
    }
    match message.get("content") {
        None | Some(Value::Null) if has_calls => Ok(()),
        None | Some(Value::Null) => Err(VendorError::invalid(
            "Invalid value for 'content': expected a string, got null.",
            Some(&format!("messages.[{index}].content")),
            None,
        )),
        Some(_) => content(message, path, false),
    }
}

fn tool_calls(calls: &Value, path: &str) -> Result<(), VendorError> {
    let Value::Array(calls) = calls else {
        return Err(wrong_type(path, "an array of objects", calls));
    };
    if calls.is_empty() {
        return Err(empty_array(path));
    }
    if calls.len() > MAX_CALLS {
        return Err(long_array(path, MAX_CALLS, calls.len()));
    }
    for (index, call) in calls.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Value::Object(call) = call else {
            return Err(wrong_type(&path, "an object", call));
        };
        only(call, &path, &["id", "type", "function"])?;
        let id = string(call, &path, "id")?;
        if id.chars().count() > MAX_CALL_ID_CHARS {
            let path = format!("{path}.id");
            return Err(long_string(&path, MAX_CALL_ID_CHARS, id.chars().count()));
        }
        let kind = string(call, &path, "type")?;
        if kind != "function" {
            return Err(unsupported(&format!("{path}.type"), kind, &["function"]));
        }
        let path = format!("{path}.function");
        let function = match call.get("function") {
            Some(Value::Object(function)) => function,
            Some(other) => return Err(wrong_type(&path, "an object", other)),
            None => return Err(missing(&path)),
        };
        only(function, &path, &["name", "arguments"])?;
        tool_name(string(function, &path, "name")?, &format!("{path}.name"))?;
        string(function, &path, "arguments")?;
    }
    Ok(())
}

/// Checks the name of a tool, in a definition or a call.
pub(super) fn tool_name(name: &str, path: &str) -> Result<(), VendorError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(VendorError::invalid(
            format!(
                "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
            Some(path),
            Some("invalid_value"),
        ));
    }
    if name.len() > MAX_NAME_CHARS {
        return Err(long_string(path, MAX_NAME_CHARS, name.len()));
    }
    Ok(())
}

fn content(message: &Map<String, Value>, path: &str, images_allowed: bool) -> Result<(), VendorError> {
    let message_path = path;
    let path = format!("{path}.content");
    let parts = match message.get("content") {
        Some(Value::String(text)) => return length(text, &path),
        Some(Value::Array(parts)) => parts,
        Some(other) => {
            let expected = "one of a string or array of objects";
            return Err(wrong_type(&path, expected, other));
        }
        None => return Err(missing(&path)),
    };
    if parts.is_empty() {
        return Err(empty_array(&path));
    }
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Value::Object(part) = part else {
            return Err(wrong_type(&path, "an object", part));
        };
        match string(part, &path, "type")? {
            "text" => {
                only(part, &path, &["type", "text"])?;
                length(string(part, &path, "text")?, &format!("{path}.text"))?;
            }
            "image_url" if images_allowed => image(part, &path)?,
            "image_url" => {
                let role = message["role"].as_str().unwrap_or_default();
                return Err(VendorError::invalid(
                    format!(
                        "Invalid '{message_path}'. Image URLs are only allowed for messages with role 'user', but this message with role '{role}' contains an image URL."
                    ),
                    Some(message_path),
                    Some("invalid_value"),
                ));
            }
            other if images_allowed => {
                let known = ["text", "image_url", "input_audio", "refusal", "audio", "file"];
                return Err(unsupported(&format!("{path}.type"), other, &known));
            }
            other => return Err(unsupported(&format!("{path}.type"), other, &["text"])),
        }
    }
    Ok(())
}

fn length(text: &str, path: &str) -> Result<(), VendorError> {
    // Bytes first: counting characters of every long history would cost more than the rest of the checks.
    if text.len() > MAX_TEXT_CHARS {
        let chars = text.chars().count();
        if chars > MAX_TEXT_CHARS {
            return Err(long_string(path, MAX_TEXT_CHARS, chars));
        }
    }
    Ok(())
}

fn image(part: &Map<String, Value>, path: &str) -> Result<(), VendorError> {
    only(part, path, &["type", "image_url"])?;
    let path = format!("{path}.image_url");
    let image = match part.get("image_url") {
        Some(Value::Object(image)) => image,
        Some(other) => return Err(wrong_type(&path, "an object", other)),
        None => return Err(missing(&path)),
    };
    only(image, &path, &["url", "detail"])?;
    if let Some(detail) = image.get("detail") {
        let levels = ["low", "high", "auto"];
        let given = detail.as_str().unwrap_or_default();
        if !levels.contains(&given) {
            return Err(unsupported(&format!("{path}.detail"), given, &levels));
        }
    }
    let url = string(image, &path, "url")?;
    let path = format!("{path}.url");
    let refuse = |message: String, code: &str| Err(VendorError::invalid(message, Some(&path), Some(code)));
    if url.starts_with("http://") || url.starts_with("https://") {
        return refuse(format!("Error while downloading {url}."), "invalid_image_url");
    }
    let Some((mime, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
        let message = "Invalid value: expected an http(s) URL or a base64-encoded data URL.";
        return refuse(message.to_owned(), "invalid_value");
    };
    let kinds = ["image/png", "image/jpeg", "image/gif", "image/webp"];
    if !kinds.contains(&mime) {
        let message = format!(
            "Invalid MIME type '{mime}'. You uploaded an unsupported image. Please make sure your image has one of the following formats: ['png', 'jpeg', 'gif', 'webp']."
        );
        return refuse(message, "invalid_image_format");
    }
    match STANDARD.decode(data) {
        Ok(bytes) if bytes.is_empty() => {
            let message = "You uploaded an empty image.".to_owned();
            refuse(message, "invalid_image_format")
        }
        Ok(bytes) if bytes.len() > MAX_IMAGE_BYTES => {
            let message = format!("Image too large: at most {MAX_IMAGE_BYTES} bytes are allowed.");
            refuse(message, "image_too_large")
        }
        Ok(_) => Ok(()),
        Err(_) => refuse("Invalid base64 image_url.".to_owned(), "invalid_base64"),
    }
}

/// Every call is answered by exactly one tool message directly after its assistant message, and nothing else is.
fn pairs(messages: &[Value]) -> Result<(), VendorError> {
    let mut open: Vec<&str> = Vec::new();
    let mut answered: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            if answered.contains(&id) {
                return Err(VendorError::invalid(
                    format!("Duplicate value for 'tool_call_id' of '{id}' in message[{index}]."),
                    Some(&format!("messages.[{index}].tool_call_id")),
                    None,
                ));
            }
            if open.is_empty() && answered.is_empty() {
                return Err(VendorError::invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    Some(&format!("messages.[{index}].role")),
                    None,
                ));
            }
            let Some(place) = open.iter().position(|call| *call == id) else {
                return Err(VendorError::invalid(
                    format!(
                        "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
                    ),
                    Some(&format!("messages.[{index}].tool_call_id")),
                    None,
                ));
            };
            answered.push(open.remove(place));
            continue;
        }
        unanswered(&open, &format!("messages.[{index}].role"))?;
        answered.clear();
        open = call_ids(message, index)?;
    }
    unanswered(&open, "messages")
}

fn unanswered(open: &[&str], param: &str) -> Result<(), VendorError> {
    if open.is_empty() {
        return Ok(());
    }
    let ids = open.join(", ");
    Err(VendorError::invalid(
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {ids}"
        ),
        Some(param),
        None,
    ))
}

fn call_ids(message: &Value, index: usize) -> Result<Vec<&str>, VendorError> {
    let mut ids: Vec<&str> = Vec::new();
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    for (place, call) in calls.enumerate() {
        let id = call["id"].as_str().unwrap_or_default();
        if ids.contains(&id) {
            return Err(VendorError::invalid(
                format!("Duplicate value for 'id' of '{id}' in 'tool_calls' of message[{index}]."),
                Some(&format!("messages[{index}].tool_calls[{place}].id")),
                None,
            ));
        }
        ids.push(id);
    }
    Ok(ids)
}
