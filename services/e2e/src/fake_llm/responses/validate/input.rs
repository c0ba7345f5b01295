//! What may stand in a conversation: items by type, pieces by role, calls with their outputs, reasoning with what follows it.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    super::{
        super::{
            validate::{Rules, missing, unsupported, wrong_type},
            wire::VendorError,
        },
        encrypted_reasoning, reasons,
    },
    Check, computer, name,
};

/// What was said in a request.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// All text of every item, in order.
    pub(super) texts: Vec<String>,
    /// What users said, in order.
    pub(super) users: Vec<String>,
}

/// A refused conversation.
fn refused(message: impl Into<String>, code: Option<&str>) -> VendorError {
    VendorError::invalid(message, Some("input"), code)
}

/// Checks the conversation of a request.
///
/// * `open`: calls of the response it goes on from.
pub(super) fn check(input: &Value, open: &[String], model: &str, rules: &Rules) -> Check<Said> {
    let items = match input {
        Value::String(text) if open.is_empty() => {
            return Ok(Said {
                texts: vec![text.clone()],
                users: vec![text.clone()],
            });
        }
        Value::Array(items) if items.is_empty() => {
            let message = "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.";
            return Err(refused(message, Some("empty_array")));
        }
        Value::Array(items) if items.len() > rules.max_messages => return Err(refused("Too many input items.", None)),
        Value::Array(items) => items.as_slice(),
        Value::String(_) => &[],
        Value::Null => return Err(missing("input")),
        other => return Err(wrong_type("input", "a string or an array", other)),
    };
    let mut checker = Checker {
        open,
        calls: open.iter().map(String::as_str).collect(),
        ..Checker::default()
    };
    for (index, item) in items.iter().enumerate() {
        checker.item(item, items.get(index + 1), &format!("input[{index}]"), model)?;
    }
    match checker.calls.iter().find(|id| !checker.outputs.contains(*id)) {
        Some(id) => {
            let kind = if checker.screens.contains_key(id) {
                "computer"
            } else {
                "function"
            };
            Err(refused(format!("No tool output found for {kind} call {id}."), None))
        }
        None => Ok(checker.said),
    }
}

#[derive(Default)]
struct Checker<'a> {
    said: Said,
    /// Ids of items.
    ids: HashSet<&'a str>,
    calls: Vec<&'a str>,
    /// Those at a computer, with their safety checks.
    screens: HashMap<&'a str, &'a Value>,
    /// Calls of the response it goes on from, of either kind.
    open: &'a [String],
    outputs: HashSet<&'a str>,
}

impl<'a> Checker<'a> {
    fn item(&mut self, item: &'a Value, next: Option<&Value>, path: &str, model: &str) -> Check {
        if let Some(id) = item["id"].as_str()
            && !self.ids.insert(id)
        {
            return Err(refused(
                format!("Duplicate item found with id {id}. Remove duplicate items from your input and try again."),
                None,
            ));
        }
        let id = item["id"].as_str().unwrap_or_default();
        match item["type"].as_str().unwrap_or("message") {
            "message" => self.message(item, path, model)?,
            "reasoning" => {
                reasoning(item, path, model)?;
                let leads_on = |next: &Value| match next["type"].as_str() {
                    Some("reasoning" | "function_call" | "web_search_call" | "computer_call") => true,
                    Some("message") => next["role"] == "assistant",
                    _ => false,
                };
                if !next.is_some_and(leads_on) {
                    let message =
                        format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
                    return Err(refused(message, None));
                }
            }
            "function_call" => {
                name(&item["call_id"], &format!("{path}.call_id"))?;
                name(&item["name"], &format!("{path}.name"))?;
                if !item["arguments"].is_string() {
                    return Err(wrong_type(&format!("{path}.arguments"), "a string", &item["arguments"]));
                }
                let call = item["call_id"].as_str().unwrap_or_default();
                if self.calls.contains(&call) {
                    return Err(refused(format!("Duplicate function call with call_id {call}."), None));
                }
                self.calls.push(call);
            }
            "function_call_output" => {
                name(&item["call_id"], &format!("{path}.call_id"))?;
                let call = item["call_id"].as_str().unwrap_or_default();
                let is_function = self.calls.contains(&call) && !self.screens.contains_key(call);
                if !is_function || !self.outputs.insert(call) {
                    let message = format!("No tool call found for function call output with call_id {call}.");
                    return Err(refused(message, None));
                }
                let text = output(&item["output"], &format!("{path}.output"))?;
                self.said.texts.push(text);
            }
            "computer_call" => {
                name(&item["call_id"], &format!("{path}.call_id"))?;
                computer::call(item, path)?;
                let call = item["call_id"].as_str().unwrap_or_default();
                if self.calls.contains(&call) {
                    return Err(refused(format!("Duplicate computer call with call_id {call}."), None));
                }
                self.calls.push(call);
                self.screens.insert(call, &item["pending_safety_checks"]);
            }
            "computer_call_output" => {
                name(&item["call_id"], &format!("{path}.call_id"))?;
                let call = item["call_id"].as_str().unwrap_or_default();
                let pending = self.screens.get(call).copied();
                let is_known = pending.is_some() || self.open.iter().any(|open| open == call);
                if !is_known || !self.outputs.insert(call) {
                    let message = format!("No tool call found for computer call output with call_id {call}.");
                    return Err(refused(message, None));
                }
                computer::output(item, pending, path)?;
                image(&item["output"], &format!("{path}.output"))?;
            }
            "web_search_call" => {
                let Some(suffix) = id.strip_prefix("ws_") else {
                    let message = format!("Invalid '{path}.id': '{id}'. Expected an ID that begins with 'ws'.");
                    return Err(VendorError::invalid(
                        message,
                        Some(&format!("{path}.id")),
                        Some("invalid_value"),
                    ));
                };
                let needed = format!("rs_{suffix}");
                if !self.ids.contains(needed.as_str()) {
                    let message = format!(
                        "Item '{id}' of type 'web_search_call' was provided without its required 'reasoning' item: '{needed}'."
                    );
                    return Err(refused(message, None));
                }
            }
            other => {
                let known = [
                    "message",
                    "reasoning",
                    "function_call",
                    "function_call_output",
                    "web_search_call",
                    "computer_call",
                    "computer_call_output",
                ];
                return Err(unsupported(&format!("{path}.type"), other, &known));
            }
        }
        Ok(())
    }

    fn message(&mut self, item: &Value, path: &str, model: &str) -> Check {
        let role = item["role"].as_str().unwrap_or_default();
        let roles = ["assistant", "system", "developer", "user"];
        if !roles.contains(&role) {
            return Err(unsupported(&format!("{path}.role"), role, &roles));
        }
        // The vendor itself is lenient here; a model of its own kind is told instructions in its own way.
        if role == if reasons(model) { "system" } else { "developer" } {
            return Err(refused(format!("{path}: role '{role}' is not for this model"), None));
        }
        let text = match &item["content"] {
            Value::String(text) => text.clone(),
            Value::Array(pieces) if !pieces.is_empty() => {
                let mut texts = String::new();
                for (index, one) in pieces.iter().enumerate() {
                    texts += piece(one, role, &format!("{path}.content[{index}]"))?;
                }
                texts
            }
            Value::Array(_) | Value::Null => return Err(missing(&format!("{path}.content"))),
            other => return Err(wrong_type(&format!("{path}.content"), "a string or an array", other)),
        };
        if role == "user" {
            self.said.users.push(text.clone());
        }
        self.said.texts.push(text);
        Ok(())
    }
}

fn reasoning(item: &Value, path: &str, model: &str) -> Check {
    let id = item["id"].as_str().unwrap_or_default();
    if !id.starts_with("rs_") {
        let message = format!("Invalid '{path}.id': '{id}'. Expected an ID that begins with 'rs'.");
        return Err(VendorError::invalid(
            message,
            Some(&format!("{path}.id")),
            Some("invalid_value"),
        ));
    }
    let Some(summary) = item["summary"].as_array() else {
        return Err(missing(&format!("{path}.summary")));
    };
    let summary: String = summary.iter().filter_map(|part| part["text"].as_str()).collect();
    if item["encrypted_content"] != encrypted_reasoning(model, id, &summary) {
        let message = format!(
            "The encrypted content for item {id} could not be verified. Reason: Encrypted content could not be decrypted or parsed."
        );
        return Err(refused(message, Some("invalid_encrypted_content")));
    }
    Ok(())
}

/// Checks a piece of a message; returns its text.
fn piece<'a>(piece: &'a Value, role: &str, path: &str) -> Check<&'a str> {
    let kind = piece["type"].as_str().unwrap_or_default();
    let allowed: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        "user" => &["input_text", "input_image", "input_file"],
        _ => &["input_text"],
    };
    if !allowed.contains(&kind) {
        return Err(unsupported(&format!("{path}.type"), kind, allowed));
    }
    match kind {
        "input_image" => image(piece, path).map(|()| ""),
        "input_file" if piece["file_data"].is_string() => Ok(""),
        "input_file" => Err(missing(&format!("{path}.file_data"))),
        _ => piece["text"].as_str().ok_or_else(|| missing(&format!("{path}.text"))),
    }
}

/// Checks what came of a call; returns its text.
fn output(output: &Value, path: &str) -> Check<String> {
    match output {
        Value::String(text) => Ok(text.clone()),
        Value::Array(pieces) => {
            let mut texts = String::new();
            for (index, one) in pieces.iter().enumerate() {
                texts += piece(one, "user", &format!("{path}[{index}]"))?;
            }
            Ok(texts)
        }
        Value::Null => Err(missing(path)),
        other => Err(wrong_type(path, "a string or an array", other)),
    }
}

fn image(piece: &Value, path: &str) -> Check {
    let invalid = |message: String| {
        let param = format!("{path}.image_url");
        Err(VendorError::invalid(message, Some(&param), Some("invalid_value")))
    };
    let Some(url) = piece["image_url"].as_str() else {
        return Err(missing(&format!("{path}.image_url")));
    };
    let Some((media_type, data)) = url.strip_prefix("data:").and_then(|url| url.split_once(";base64,")) else {
        return invalid(format!("Invalid '{path}.image_url'. Expected a valid URL."));
    };
    let bytes = STANDARD.decode(data).unwrap_or_default();
    let is_picture = [&b"\x89PNG"[..], b"\xff\xd8", b"GIF8", b"RIFF"]
        .iter()
        .any(|mark| bytes.starts_with(mark));
    let known = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&media_type);
    match is_picture && known {
        true => Ok(()),
        false => invalid("The image data you provided does not represent a valid image.".to_owned()),
    }
}
