//! The vendor's rules for a request, as its answers to mistakes tell them. Written apart from what makes requests.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

type Check = Result<(), String>;

macro_rules! rule {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}

/// Parameters the vendor knows, those that are always there first.
const KNOWN: [&str; 23] = [
    "model",
    "input",
    "stream",
    "store",
    "tools",
    "tool_choice",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "top_logprobs",
    "top_p",
    "user",
    "previous_response_id",
    "truncation",
];

/// Where the tool for using a computer may be.
const ENVIRONMENTS: [&str; 5] = ["windows", "mac", "linux", "ubuntu", "browser"];

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn is_plain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(fits)
}

/// What the vendor knows of a model.
pub(super) struct Facts<'a> {
    pub(super) reasons: bool,
    /// Reasoning that it can decrypt, by id.
    pub(super) thoughts: &'a [(&'a str, &'a str)],
    /// Searches, and calls at a computer, that followed reasoning, with its id.
    pub(super) bound: &'a [(&'a str, &'a str)],
}

/// Checks a whole request.
pub(super) fn check(request: &Value, facts: &Facts<'_>) -> Check {
    let fields = request.as_object().ok_or("not an object")?;
    for name in fields.keys() {
        rule!(KNOWN.contains(&name.as_str()), "Unknown parameter: '{name}'");
    }
    let size = request.to_string().len();
    rule!(size <= 50 << 20, "request too large: {size}");
    let limit = request["max_output_tokens"].as_u64();
    rule!(
        limit.is_none_or(|limit| limit >= 16),
        "max_output_tokens: integer below minimum value"
    );
    settings(request, facts)?;
    tools(request)?;
    let input = list(request, "input");
    rule!(!input.is_empty(), "input: array too short");
    let (mut ids, mut call_ids, mut outputs, mut images) = (HashSet::new(), HashSet::new(), HashSet::new(), 0);
    let mut screens = HashMap::new();
    for (index, item) in input.iter().enumerate() {
        let path = format!("input[{index}]");
        if let Some(id) = item["id"].as_str() {
            rule!(ids.insert(id), "{path}: Duplicate item found with id {id}");
        }
        match text(item, "type") {
            "message" => images += message(item, facts).map_err(|error| format!("{path}: {error}"))?,
            "reasoning" => {
                let thought = (text(item, "id"), text(item, "encrypted_content"));
                rule!(facts.reasons, "{path}: this model does not reason");
                rule!(facts.thoughts.contains(&thought), "{path}: could not be verified");
                rule!(
                    item["summary"].is_array(),
                    "{path}: Missing required parameter: 'summary'"
                );
                rule!(
                    item["content"].is_null(),
                    "{path}: content of reasoning is not accepted"
                );
                let follows = |next: &Value| {
                    let kinds = ["reasoning", "function_call", "web_search_call", "computer_call"];
                    kinds.contains(&text(next, "type")) || (next["type"] == "message" && next["role"] == "assistant")
                };
                rule!(
                    input.get(index + 1).is_some_and(follows),
                    "{path}: provided without its required following item"
                );
            }
            "function_call" => {
                let id = text(item, "call_id");
                rule!(is_plain(id), "{path}.call_id: {id}");
                rule!(call_ids.insert(id), "{path}: call_id {id} is used twice");
                rule!(is_plain(text(item, "name")), "{path}.name: {}", item["name"]);
                let arguments = serde_json::from_str::<Value>(text(item, "arguments"));
                rule!(arguments.is_ok_and(|value| value.is_object()), "{path}.arguments");
            }
            "function_call_output" => {
                let id = text(item, "call_id");
                rule!(
                    call_ids.contains(id) && !screens.contains_key(id),
                    "{path}: No tool call found for function call output with call_id {id}"
                );
                rule!(outputs.insert(id), "{path}: a second output for {id}");
                images += output(&item["output"]).map_err(|error| format!("{path}: {error}"))?;
            }
            "web_search_call" => {
                let id = text(item, "id");
                rule!(id.starts_with("ws_"), "{path}.id: Expected an ID that begins with 'ws'");
                rule!(item["action"]["type"].is_string(), "{path}.action");
                bound(id, facts, &ids).map_err(|error| format!("{path}: {error}"))?;
            }
            "computer_call" => {
                called(item, request).map_err(|error| format!("{path}: {error}"))?;
                bound(text(item, "id"), facts, &ids).map_err(|error| format!("{path}: {error}"))?;
                let id = text(item, "call_id");
                rule!(call_ids.insert(id), "{path}: call_id {id} is used twice");
                screens.insert(id, list(item, "pending_safety_checks"));
            }
            "computer_call_output" => {
                let id = text(item, "call_id");
                let pending = screens.get(id);
                rule!(
                    pending.is_some(),
                    "{path}: No tool call found for computer call output {id}"
                );
                rule!(outputs.insert(id), "{path}: a second output for {id}");
                let acknowledged = list(item, "acknowledged_safety_checks");
                rule!(
                    pending.is_some_and(|pending| *pending == acknowledged),
                    "{path}: safety checks have not been acknowledged"
                );
                let output = &item["output"];
                rule!(output["type"] == "computer_screenshot", "{path}.output.type: {output}");
                image(output).map_err(|error| format!("{path}.output: {error}"))?;
                images += 1;
            }
            other => return Err(format!("{path}.type: {other}")),
        }
    }
    for id in call_ids {
        rule!(outputs.contains(id), "No tool output found for function call {id}");
    }
    rule!(images <= 500, "too many images: {images}");
    Ok(())
}

/// An item that followed reasoning comes with it.
fn bound(id: &str, facts: &Facts<'_>, ids: &HashSet<&str>) -> Check {
    for (_, needed) in facts.bound.iter().filter(|(bound, _)| *bound == id) {
        rule!(
            ids.contains(needed),
            "Item '{id}' was provided without its required 'reasoning' item: '{needed}'"
        );
    }
    Ok(())
}

/// A call at a computer is one of the tool on offer.
fn called(item: &Value, request: &Value) -> Check {
    for name in item.as_object().into_iter().flat_map(|fields| fields.keys()) {
        let known = [
            "type",
            "id",
            "call_id",
            "status",
            "action",
            "actions",
            "pending_safety_checks",
        ];
        rule!(known.contains(&name.as_str()), "Unknown parameter: '{name}'");
    }
    rule!(is_plain(text(item, "id")), "id: {}", item["id"]);
    rule!(is_plain(text(item, "call_id")), "call_id: {}", item["call_id"]);
    rule!(item["status"] == "completed", "status: {}", item["status"]);
    rule!(
        item["pending_safety_checks"].is_array(),
        "Missing pending_safety_checks"
    );
    let offers = |kind: &str| list(request, "tools").iter().any(|tool| tool["type"] == kind);
    let actions = list(item, "actions");
    let is_batch = !actions.is_empty() && actions.iter().all(|action| action["type"].is_string());
    let is_one = item["action"]["type"].is_string() && item["actions"].is_null();
    rule!(
        (is_batch && item["action"].is_null() && offers("computer")) || (is_one && offers("computer_use_preview")),
        "a call of no tool on offer"
    );
    Ok(())
}

fn settings(request: &Value, facts: &Facts<'_>) -> Check {
    let includes = |name: &str| list(request, "include").iter().any(|found| found == name);
    if facts.reasons {
        let is_off = request["reasoning"]["effort"] == "none";
        for name in ["temperature", "top_p"] {
            let is_free = is_off || request[name].is_null();
            rule!(
                is_free,
                "Unsupported parameter: '{name}' is not supported with this model"
            );
        }
        rule!(
            request["top_logprobs"].is_null(),
            "logprobs are not supported with reasoning models"
        );
    } else {
        rule!(
            request["reasoning"].is_null(),
            "Unsupported parameter: 'reasoning.effort' is not supported with this model"
        );
        rule!(
            !includes("reasoning.encrypted_content"),
            "Encrypted content is not supported with this model"
        );
    }
    rule!(
        request["metadata"].as_object().is_none_or(|pairs| pairs.len() <= 16),
        "metadata"
    );
    Ok(())
}

fn tools(request: &Value) -> Check {
    let mut names = HashSet::new();
    let tools = list(request, "tools");
    for tool in tools {
        match text(tool, "type") {
            "function" => {
                let name = text(tool, "name");
                rule!(is_plain(name), "tools: name {name}");
                rule!(names.insert(name), "tools: names must be unique");
                rule!(
                    tool["strict"].is_boolean(),
                    "tools: strict is taken for true where it is left out"
                );
                let schema = &tool["parameters"];
                rule!(schema["type"] == "object", "tools: schema must be of type object");
                rule!(
                    schema["properties"].is_object(),
                    "tools: object schema missing properties"
                );
                for refused in ["oneOf", "anyOf", "allOf", "enum", "not"] {
                    rule!(schema[refused].is_null(), "tools: {refused} at the top level");
                }
                rule!(
                    tool["strict"] == false || schema["additionalProperties"] == false,
                    "tools: 'additionalProperties' is required to be supplied and to be false"
                );
            }
            "web_search" => {
                let filters = &tool["filters"];
                rule!(
                    filters.is_null() || !list(filters, "allowed_domains").is_empty(),
                    "tools: empty filters"
                );
            }
            "computer" => {
                rule!(
                    tool.as_object().is_some_and(|fields| fields.len() == 1),
                    "tools: {tool}"
                );
            }
            "computer_use_preview" => {
                for side in ["display_width", "display_height"] {
                    rule!(tool[side].as_u64().is_some_and(|px| px > 0), "tools: {side}");
                }
                rule!(ENVIRONMENTS.contains(&text(tool, "environment")), "tools: environment");
                rule!(
                    request["truncation"] == "auto",
                    "computer_use_preview needs 'truncation' to be 'auto'"
                );
            }
            other => return Err(format!("tools: {other}")),
        }
    }
    let choice = &request["tool_choice"];
    let is_chosen = |tool: &Value| tool["type"] == choice["type"] && tool["name"] == choice["name"];
    rule!(
        !choice.is_object() || tools.iter().any(is_chosen),
        "Tool choice {choice} not found in 'tools' parameter"
    );
    for name in ["tool_choice", "parallel_tool_calls", "max_tool_calls"] {
        rule!(!tools.is_empty() || request[name].is_null(), "{name} without tools");
    }
    Ok(())
}

fn words(piece: &Value) -> Check {
    rule!(!text(piece, "text").trim().is_empty(), "blank text");
    Ok(())
}

/// Checks a message; returns how many images it holds.
fn message(item: &Value, facts: &Facts<'_>) -> Result<usize, String> {
    let role = text(item, "role");
    let instructs = if facts.reasons { "developer" } else { "system" };
    rule!(["user", "assistant", instructs].contains(&role), "role {role}");
    let content = list(item, "content");
    rule!(!content.is_empty(), "content: empty");
    let mut images = 0;
    for piece in content {
        match (text(piece, "type"), role) {
            ("output_text", "assistant") => words(piece)?,
            (kind, "assistant") => return Err(format!("{kind} of an assistant")),
            ("input_text", _) => words(piece)?,
            ("input_image", "user") => {
                image(piece)?;
                images += 1;
            }
            ("input_file", "user") => {
                let data = text(piece, "file_data").strip_prefix("data:application/pdf;base64,");
                let bytes = data.and_then(|data| STANDARD.decode(data).ok());
                rule!(bytes.is_some_and(|bytes| bytes.starts_with(b"%PDF-")), "not a PDF");
                rule!(!text(piece, "filename").is_empty(), "filename");
            }
            (kind, _) => return Err(format!("{kind} of a {role}")),
        }
    }
    Ok(images)
}

/// Checks what came of a call; returns how many images it holds.
fn output(output: &Value) -> Result<usize, String> {
    if let Some(text) = output.as_str() {
        rule!(!text.trim().is_empty(), "blank output");
        return Ok(0);
    }
    let pieces = output.as_array().map_or(&[][..], Vec::as_slice);
    rule!(!pieces.is_empty(), "empty output");
    let mut images = 0;
    for piece in pieces {
        match text(piece, "type") {
            "input_text" => words(piece)?,
            "input_image" => {
                image(piece)?;
                images += 1;
            }
            other => return Err(format!("{other} in an output")),
        }
    }
    Ok(images)
}

fn image(piece: &Value) -> Check {
    let parts = text(piece, "image_url")
        .strip_prefix("data:")
        .and_then(|url| url.split_once(";base64,"));
    let (media_type, data) = parts.ok_or("image_url: no data address")?;
    let bytes = STANDARD.decode(data).map_err(|error| error.to_string())?;
    let found = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'G', b'I', b'F', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        _ => "unknown",
    };
    rule!(
        media_type == found,
        "You uploaded an unsupported image: {media_type}, {found}"
    );
    Ok(())
}
