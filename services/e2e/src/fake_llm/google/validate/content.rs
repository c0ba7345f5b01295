//! What may stand in a turn: kinds of parts by role, names, pictures, signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    super::{STAND_IN, call_text, invalid, is_third, signature},
    Check,
};

const KINDS: [&str; 6] = [
    "text",
    "inlineData",
    "functionCall",
    "functionResponse",
    "toolCall",
    "toolResponse",
];
/// Characters of a function's name.
const MAX_NAME_CHARS: usize = 64;

fn parts(turn: &Value) -> &[Value] {
    turn["parts"].as_array().map_or(&[], Vec::as_slice)
}

/// A letter or `_`, then those, digits, `.`, `:` and `-`.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.len() <= MAX_NAME_CHARS && name.chars().all(fits)
}

/// Id and name of all calls or results in a turn.
pub(super) fn named<'a>(turn: &'a Value, kind: &str) -> Vec<(&'a Value, &'a Value)> {
    let found = parts(turn).iter().filter_map(|part| part.get(kind));
    found.map(|found| (&found["id"], &found["name"])).collect()
}

/// What is said in a turn, thinking and results left out.
pub(super) fn said(turn: &Value) -> String {
    let said = parts(turn).iter().filter(|part| part["thought"] != true);
    said.filter_map(|part| part["text"].as_str()).collect()
}

/// All text of a turn, in results too.
pub(super) fn text_of(turn: &Value) -> String {
    let results = parts(turn)
        .iter()
        .filter_map(|part| part["functionResponse"]["response"].as_object());
    let results: String = results
        .map(|result| Value::Object(result.clone()).to_string())
        .collect();
    said(turn) + &results
}

/// Checks the parts of a turn.
pub(super) fn check(turn: &Value, index: usize, is_model: bool, model: &str) -> Check {
    let path = format!("* GenerateContentRequest.contents[{index}].parts");
    if parts(turn).is_empty() {
        return Err(invalid(format!("{path}: contents.parts must not be empty.")));
    }
    let mut words = String::new();
    let mut calls = 0;
    for part in parts(turn) {
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| part.get(kind).is_some()).collect();
        let [kind] = kinds[..] else {
            return Err(invalid(format!(
                "{path}: contents.parts must have exactly one initialized field."
            )));
        };
        let is_models = matches!(kind, "functionCall" | "toolCall" | "toolResponse") || part.get("thought").is_some();
        // Only models that make pictures take them back.
        let is_users = kind == "functionResponse" || (kind == "inlineData" && !model.contains("image"));
        if (is_models && !is_model) || (is_users && is_model) {
            return Err(invalid(format!("{path}: {kind} is not allowed for this role.")));
        }
        let proof = part
            .get("thoughtSignature")
            .map(|proof| proof.as_str().unwrap_or_default());
        match kind {
            "text" => {
                let text = part["text"].as_str().unwrap_or_default();
                if part["thought"] != true {
                    words.push_str(text);
                }
                if text.trim().is_empty() && proof.is_none() {
                    return Err(invalid(format!("{path}: empty text parameter.")));
                }
                if proof.is_some_and(|proof| proof != signature(model, &words)) {
                    return Err(invalid("Thought signature is not valid."));
                }
            }
            "functionCall" => {
                call(part, proof, calls == 0, index, model)?;
                calls += 1;
            }
            "functionResponse" => {
                let response = part[kind]["response"].as_object();
                if response.is_none_or(serde_json::Map::is_empty) {
                    return Err(invalid(format!(
                        "{path}: function_response.response must be an object."
                    )));
                }
                let inner = part[kind]["parts"].as_array().into_iter().flatten();
                for blob in inner {
                    if !is_third(model) {
                        return Err(invalid("Multimodal function response is not supported by this model."));
                    }
                    inline(&blob["inlineData"], &path)?;
                }
            }
            "inlineData" => {
                inline(&part[kind], &path)?;
                let data = part[kind]["data"].as_str().unwrap_or_default();
                if proof.is_some_and(|proof| proof != signature(model, data)) {
                    return Err(invalid("Thought signature is not valid."));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The third generation wants the first call of each turn signed, by itself or by the stand-in.
fn call(part: &Value, proof: Option<&str>, is_first: bool, index: usize, model: &str) -> Check {
    let call = &part["functionCall"];
    let name = call["name"].as_str().unwrap_or_default();
    if !is_name(name) || !call["args"].is_object() {
        return Err(invalid(format!(
            "* GenerateContentRequest.contents[{index}]: function_call.name: Invalid function name."
        )));
    }
    match proof {
        Some(STAND_IN) => Ok(()),
        Some(proof) if proof == signature(model, &call_text(&call["name"], &call["args"])) => Ok(()),
        Some(_) => Err(invalid("Thought signature is not valid.")),
        None if is_first && is_third(model) => Err(invalid(format!(
            "Function call `default_api:{name}` in the {index}. content block is missing a `thought_signature`."
        ))),
        None => Ok(()),
    }
}

fn inline(blob: &Value, path: &str) -> Check {
    let bytes = STANDARD.decode(blob["data"].as_str().unwrap_or_default());
    let bytes = bytes.map_err(|_| invalid(format!("{path}: inline_data.data: Base64 decoding failed.")))?;
    let found = match bytes.as_slice() {
        [] => return Err(invalid(format!("{path}: inline_data.data: required field."))),
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        _ => return Ok(()),
    };
    match blob["mimeType"] == found {
        true => Ok(()),
        false => Err(invalid(
            "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        )),
    }
}
