//! What may stand in a turn: kinds of blocks by role, texts, pictures, calls with their results, signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    super::{invalid, signature},
    Check, blocks,
};

/// Decoded bytes of one picture.
const MAX_IMAGE_BYTES: usize = 5_242_880;
/// Characters of a tool's name.
pub(super) const MAX_NAME_CHARS: usize = 64;

/// Letters, digits, `_` and `-`.
pub(super) fn is_plain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

/// All text of a message, in results too.
pub(super) fn text_of(message: &Value) -> String {
    let inner = |block: &Value| -> String {
        let own = block["text"].as_str().unwrap_or_default();
        let results = block["content"].as_array().map_or(&[][..], Vec::as_slice);
        let results = results.iter().filter_map(|piece| piece["text"].as_str());
        let plain = block["content"].as_str();
        [own].into_iter().chain(plain).chain(results).collect()
    };
    match &message["content"] {
        Value::String(text) => text.clone(),
        _ => blocks(message).iter().map(inner).collect(),
    }
}

/// What a user says, results left out.
pub(super) fn said(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        _ => blocks(message)
            .iter()
            .filter_map(|block| block["text"].as_str())
            .collect(),
    }
}

/// A text block.
pub(super) fn words(block: &Value, path: &str) -> Check {
    match block["text"].as_str() {
        Some("") => Err(invalid(format!("{path}: text content blocks must be non-empty"))),
        Some(text) if text.trim().is_empty() => Err(invalid(format!(
            "{path}: text content blocks must contain non-whitespace text"
        ))),
        Some(_) => Ok(()),
        None => Err(invalid(format!("{path}.text: Field required"))),
    }
}

/// Whether a message is an answer that the vendor interrupted within a tool of its own, which it goes on with.
pub(super) fn is_interrupted(message: &Value) -> bool {
    let last = blocks(message).last();
    message["role"] == "assistant" && last.is_some_and(|block| block["type"] == "server_tool_use")
}

/// Checks each block of a message by itself.
///
/// * `is_last`: nothing follows it.
pub(super) fn check(message: &Value, path: &str, model: &str, is_last: bool) -> Check {
    let role = message["role"].as_str().unwrap_or_default();
    match &message["content"] {
        Value::String(text) if text.trim().is_empty() => {
            return Err(invalid(format!("{path}: user messages must have non-empty content")));
        }
        Value::String(_) => return Ok(()),
        Value::Array(blocks) if blocks.is_empty() => {
            return Err(invalid(format!("{path}: all messages must have non-empty content")));
        }
        Value::Array(_) => {}
        _ => return Err(invalid(format!("{path}.content: Input should be a valid list"))),
    }
    for (index, block) in blocks(message).iter().enumerate() {
        one(block, &format!("{path}.content.{index}"), role, model)?;
    }
    searches(message, path, is_last && is_interrupted(message))?;
    let last = blocks(message).last().map(|block| &block["type"]);
    if last.is_some_and(|kind| kind == "thinking" || kind == "redacted_thinking") {
        let message = "The final block in an assistant message cannot be `thinking`.";
        return Err(invalid(format!("{path}: {message}")));
    }
    Ok(())
}

fn one(block: &Value, path: &str, role: &str, model: &str) -> Check {
    let kind = block["type"].as_str().unwrap_or_default();
    let speaker = match kind {
        "text" => role,
        "image" | "document" | "tool_result" => "user",
        "thinking" | "redacted_thinking" | "tool_use" | "server_tool_use" | "web_search_tool_result" => "assistant",
        _ => {
            return Err(invalid(format!(
                "{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            )));
        }
    };
    if speaker != role {
        return Err(invalid(format!(
            "{path}: `{kind}` blocks can only be in `{speaker}` messages"
        )));
    }
    match kind {
        "text" => words(block, path),
        "image" => image(block, path),
        "thinking" => {
            let thinking = block["thinking"].as_str().unwrap_or_default();
            match block["signature"].as_str() {
                Some(proof) if proof == signature(model, thinking) && block.get("cache_control").is_none() => Ok(()),
                Some(_) => Err(invalid(format!("{path}: Invalid `signature` in `thinking` block"))),
                None => Err(invalid(format!("{path}.thinking.signature: Field required"))),
            }
        }
        "tool_use" | "server_tool_use" => {
            if !is_plain(block["id"].as_str().unwrap_or_default()) {
                let message = format!("{path}.{kind}.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
                return Err(invalid(message));
            }
            let name = block["name"].as_str().unwrap_or_default();
            if !is_plain(name) || name.len() > MAX_NAME_CHARS {
                return Err(invalid(format!(
                    "{path}.{kind}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
                )));
            }
            match block["input"].is_object() {
                true => Ok(()),
                false => Err(invalid(format!(
                    "{path}.{kind}.input: Input should be a valid dictionary"
                ))),
            }
        }
        "tool_result" => result(block, path),
        _ => Ok(()),
    }
}

fn result(block: &Value, path: &str) -> Check {
    let pieces = block["content"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, piece) in pieces.iter().enumerate() {
        let path = format!("{path}.tool_result.content.{index}");
        match piece["type"].as_str().unwrap_or_default() {
            "text" => words(piece, &path)?,
            "image" if block["is_error"] == true => {
                return Err(invalid(format!(
                    "{path}: all content must be type 'text' if 'is_error' is true"
                )));
            }
            "image" => image(piece, &path)?,
            kind => return Err(invalid(format!("{path}: unexpected '{kind}'"))),
        }
    }
    Ok(())
}

fn image(block: &Value, path: &str) -> Check {
    let source = &block["source"];
    let data = STANDARD.decode(source["data"].as_str().unwrap_or_default());
    let bytes = data.map_err(|_| invalid(format!("{path}.image.source.base64: invalid base64 data")))?;
    if bytes.len() > MAX_IMAGE_BYTES {
        let message = format!(
            "image exceeds 5 MB maximum: {} bytes > {MAX_IMAGE_BYTES} bytes",
            bytes.len()
        );
        return Err(invalid(format!("{path}.image.source.base64: {message}")));
    }
    let found = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        _ => {
            return Err(invalid(format!(
                "{path}.image.source.base64.data: Could not process image"
            )));
        }
    };
    if source["media_type"] != found {
        let message = format!("The image was specified using the {} media type", source["media_type"]);
        return Err(invalid(format!(
            "{path}: {message}, but the image appears to be a {found} image"
        )));
    }
    Ok(())
}

/// Checks that each search of the vendor's has its result behind it, and each result its search before it.
///
/// * `is_interrupted`: the last search has yet to run.
fn searches(message: &Value, path: &str, is_interrupted: bool) -> Check {
    let blocks = blocks(message);
    let count = blocks.len() - usize::from(is_interrupted);
    for (index, block) in blocks.iter().enumerate().take(count) {
        let (others, kind, own, other) = match block["type"].as_str() {
            Some("server_tool_use") => (&blocks[index..], "web_search_tool_result", "id", "tool_use_id"),
            Some("web_search_tool_result") => (&blocks[..index], "server_tool_use", "tool_use_id", "id"),
            _ => continue,
        };
        if !others
            .iter()
            .any(|found| found["type"] == kind && found[other] == block[own])
        {
            let message = format!("`{}` without a corresponding `{kind}` block", block["type"]);
            return Err(invalid(format!("{path}.content.{index}: {message}")));
        }
    }
    Ok(())
}

/// Checks that a message begins with the results of the calls before it, each once, and has no others.
pub(super) fn pair(message: &Value, path: &str, open: &[&str]) -> Check {
    let mut answered = Vec::new();
    for (index, block) in blocks(message).iter().enumerate() {
        if block["type"] != "tool_result" {
            continue;
        }
        let id = block["tool_use_id"].as_str().unwrap_or_default();
        if !open.contains(&id) {
            let message = format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            );
            return Err(invalid(format!("{path}.content.{index}: {message}")));
        }
        if answered.contains(&id) {
            let message =
                format!("each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}");
            return Err(invalid(format!("{path}.content.{index}: {message}")));
        }
        if index != answered.len() {
            return Err(invalid(format!(
                "{path}.content.{index}: `tool_result` blocks must come before other content"
            )));
        }
        answered.push(id);
    }
    let missing: Vec<&str> = open.iter().filter(|id| !answered.contains(id)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        missing.join(", ")
    );
    Err(invalid(format!("{path}: {message}")))
}
