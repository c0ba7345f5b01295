//! The dialect of AWS Bedrock: Anthropic Messages with the model in the address and the answer in AWS's frames.
//!
//! Rules and replies are those of [`super::anthropic`]; what AWS does differently is here. Callers show a
//! bearer token, or sign with the credentials of a role ([`super::aws`]).

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{
    anthropic,
    keys::{self, KeyState},
    render::{self as common, Context, Response, Step},
    reply::Reply,
    validate::{Accepted, Rules},
    wire::{self, VendorError},
};

const MODELS: &str = "/foundation-models";
const PREFIX: &str = "/model/";
const STREAM: &str = "/invoke-with-response-stream";
/// The one version of the protocol.
const VERSION: &str = "bedrock-2023-05-31";
/// Models that take the form of an answer; the others know nothing of it.
const TAKE_FORM: [&str; 3] = ["claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-4-6"];
const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Whether a request is in this dialect.
pub(super) fn is_spoken(path: &str) -> bool {
    path.starts_with(PREFIX) || path == MODELS
}

/// Whether an answer is asked for.
pub(super) fn is_completion(path: &str) -> bool {
    model(path).is_some()
}

/// Whether models are to be listed.
pub(super) fn is_list(path: &str) -> bool {
    path == MODELS
}

/// The model of a path. Its colons and slashes must be encoded, or the signature of those who sign would not fit.
fn model(path: &str) -> Option<String> {
    let name = path.strip_prefix(PREFIX)?.strip_suffix(STREAM)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
    let is_encoded = !name.is_empty() && name.chars().all(is_plain);
    is_encoded.then(|| name.replace("%3A", ":").replace("%2F", "/"))
}

/// Checks the bearer token.
pub(super) fn check_caller(keys: &HashMap<String, KeyState>, headers: &HeaderMap) -> Result<(), VendorError> {
    if keys.is_empty() {
        return Ok(());
    }
    match keys::bearer(headers).and_then(|key| keys.get(key)) {
        Some(KeyState::Valid) => Ok(()),
        Some(KeyState::RateLimited { .. }) => Err(refused(429, "Too many requests, please wait before trying again.")),
        Some(KeyState::OutOfQuota) => Err(refused(402, "Payment required.")),
        Some(KeyState::Revoked) | None => Err(refused(
            403,
            "Authentication failed: Please make sure your API Key is valid.",
        )),
    }
}

fn refused(status: u16, message: impl Into<String>) -> VendorError {
    VendorError::invalid(message, None, None).with_status(status)
}

pub(super) fn no_route() -> VendorError {
    refused(404, "Not found")
}

/// Checks a request.
///
/// # Errors
/// The vendor's answer to the first mistake found.
pub(super) fn check(path: &str, body: &[u8], rules: &Rules) -> Result<Accepted, VendorError> {
    let model = model(path).ok_or_else(no_route)?;
    if !rules.models.is_empty() && !rules.models.contains(&model) {
        return Err(refused(400, "The provided model identifier is invalid."));
    }
    let mut request: Value = serde_json::from_slice(body).map_err(|_| refused(400, "Malformed input request"))?;
    let Some(fields) = request.as_object_mut() else {
        return Err(refused(400, "Malformed input request"));
    };
    if fields.remove("anthropic_version") != Some(json!(VERSION)) {
        return Err(refused(400, "anthropic_version: Field required"));
    }
    let betas = fields.remove("anthropic_beta").unwrap_or_default();
    let betas: Vec<&str> = betas
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for unknown in ["model", "stream", "metadata", "service_tier", "container"] {
        if fields.contains_key(unknown) {
            return Err(refused(400, format!("{unknown}: Extra inputs are not permitted")));
        }
    }
    let asked_of_answer = fields.get("output_config").and_then(Value::as_object);
    let takes_form = TAKE_FORM.iter().any(|known| model.contains(known));
    let unknown = asked_of_answer.and_then(|asked| asked.keys().find(|name| *name != "format" || !takes_form));
    if let Some(unknown) = unknown {
        let message = format!("output_config.{unknown}: Extra inputs are not permitted");
        return Err(refused(400, message));
    }
    fields.insert("model".to_owned(), json!(model));
    fields.insert("stream".to_owned(), json!(true));
    anthropic::check(
        request.to_string().as_bytes(),
        rules,
        anthropic::Version::Of2023,
        &betas,
    )
}

/// The vendor's name for what a status means.
fn error_type(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        429 => "ThrottlingException",
        503 | 529 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

/// A response that is one error.
pub(super) fn error(number: u64, error: &VendorError) -> Response {
    let body = json!({ "message": error.message }).to_string().into_bytes();
    let mut response = common::plain(number, wire::JSON, body);
    response.status = error.status;
    let kind = HeaderValue::from_static(error_type(error.status));
    response
        .headers
        .insert(HeaderName::from_static("x-amzn-errortype"), kind);
    response
}

/// The list of models.
pub(super) fn models(models: &[String]) -> Vec<u8> {
    let model = |id: &String| json!({ "modelId": id, "modelName": id, "providerName": "Anthropic" });
    let list: Vec<Value> = models.iter().map(model).collect();
    json!({ "modelSummaries": list }).to_string().into_bytes()
}

/// The response for an accepted request.
pub(super) fn reply(context: &Context, reply: &Reply) -> Response {
    if let Some(failure) = &reply.failure {
        let said = VendorError::scripted(failure, &context.model);
        let mut response = error(context.number, &said);
        common::afflict(&mut response, reply);
        return response;
    }
    let response = anthropic::reply(context, reply);
    if reply.raw.is_some() {
        return response;
    }
    framed(context.number, response)
}

/// The same answer with each event in a frame.
fn framed(number: u64, response: Response) -> Response {
    let mut body = Vec::new();
    let mut steps = Vec::with_capacity(response.steps.len());
    let mut start = 0;
    for step in response.steps {
        match step {
            Step::Send { end, tokens } => {
                let events = String::from_utf8_lossy(response.body.get(start..end).unwrap_or_default()).into_owned();
                let frames = events
                    .split_terminator("\n\n")
                    .filter_map(|event| event.split_once("\ndata: "));
                body.extend(frames.flat_map(|(name, data)| frame(name, data)));
                start = end;
                let end = body.len();
                steps.push(Step::Send { end, tokens });
            }
            wait @ (Step::Pause(_) | Step::Gate(_)) => steps.push(wait),
        }
    }
    Response {
        headers: wire::headers(number, CONTENT_TYPE),
        body: Bytes::from(body),
        steps,
        ..response
    }
}

/// One event as a frame; errors are exceptions here.
fn frame(name: &str, data: &str) -> Vec<u8> {
    if name == "event: error" {
        let error: Value = serde_json::from_str(data).unwrap_or_default();
        let kind = match error["error"]["type"].as_str() {
            Some("overloaded_error") => "serviceUnavailableException",
            Some("rate_limit_error") => "throttlingException",
            _ => "internalServerException",
        };
        let payload = json!({ "message": error["error"]["message"] }).to_string();
        let headers = [(":exception-type", kind), (":message-type", "exception")];
        return bytes_of(&headers, payload.as_bytes());
    }
    let payload = json!({ "bytes": STANDARD.encode(data), "p": "abcdefghijklm" }).to_string();
    let headers = [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    bytes_of(&headers, payload.as_bytes())
}

/// Lengths, their checksum, headers, payload, a checksum of all that.
fn bytes_of(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut written = Vec::new();
    for (name, value) in headers {
        written.extend([u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        written.extend(name.as_bytes());
        // A text of two bytes' length.
        written.extend([7]);
        written.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        written.extend(value.as_bytes());
    }
    let mut frame = (length(&written) + length(payload) + 16).to_be_bytes().to_vec();
    frame.extend(length(&written).to_be_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(written);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

/// CRC-32 as in IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * carry);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            models: vec![
                "anthropic.claude:0".to_owned(),
                "anthropic.claude-opus-4-6-v1".to_owned(),
            ],
            max_messages: 100,
        }
    }

    fn refusal(path: &str, change: Value) -> Option<String> {
        let mut request = json!({
            "anthropic_version": VERSION, "max_tokens": 9, "messages": [{"role": "user", "content": "a"}],
        });
        for (name, value) in change.as_object().expect("an object") {
            request[name] = value.clone();
        }
        let checked = check(path, request.to_string().as_bytes(), &rules());
        checked.err().map(|error| error.message)
    }

    #[test]
    fn the_model_is_in_the_address_and_the_version_in_the_body() {
        let path = "/model/anthropic.claude%3A0/invoke-with-response-stream";
        let newer = "/model/anthropic.claude-opus-4-6-v1/invoke-with-response-stream";
        let form = json!({"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}});
        let computer = json!({
            "type": "computer_20251124", "name": "computer", "display_width_px": 1600, "display_height_px": 900,
        });
        let trial = json!({"tools": [computer], "anthropic_beta": ["computer-use-2025-11-24"]});
        assert_eq!(refusal(newer, trial), None);
        assert_eq!(refusal(path, json!({})), None);
        assert_eq!(refusal(newer, json!({"output_config": {"format": form}})), None);
        for (path, change, words) in [
            (
                "/model/anthropic.claude:0/invoke-with-response-stream",
                json!({}),
                "Not found",
            ),
            (
                "/model/other/invoke-with-response-stream",
                json!({}),
                "identifier is invalid",
            ),
            (path, json!({"anthropic_version": "2023-06-01"}), "anthropic_version"),
            (path, json!({"model": "x"}), "model: Extra inputs"),
            (path, json!({"stream": true}), "stream: Extra inputs"),
            (
                path,
                json!({"output_config": {"format": form}}),
                "output_config.format: Extra inputs",
            ),
            (
                newer,
                json!({"output_config": {"effort": "low"}}),
                "output_config.effort: Extra inputs",
            ),
            (path, json!({"messages": []}), "at least one message"),
            (
                newer,
                json!({"tools": [computer], "anthropic_beta": ["computer-use-2025-01-24"]}),
                "does not match any of the expected tags",
            ),
        ] {
            let message = refusal(path, change).unwrap_or_default();
            assert!(message.contains(words), "{message} should contain {words}");
        }
    }

    #[test]
    fn an_empty_frame_has_the_published_bytes() {
        let empty = [
            0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
        ];
        assert_eq!(bytes_of(&[], b""), empty);
    }

    #[test]
    fn an_answer_is_cut_into_frames_at_the_same_steps() {
        let context = Context {
            number: 1,
            created: 0,
            model: "m".to_owned(),
            stream: true,
            include_usage: true,
            may_obfuscate: false,
            prompt_tokens: 9,
        };
        let asked = Reply::text("a b")
            .gate("open")
            .and_text(" c")
            .error_event_at(6, "overloaded_error");
        let plain = anthropic::reply(&context, &asked);
        let framed = reply(&context, &asked);
        assert_eq!(plain.steps.len(), framed.steps.len());
        let ends: Vec<usize> = framed
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Send { end, .. } => Some(*end),
                Step::Pause(_) | Step::Gate(_) => None,
            })
            .collect();
        assert!(ends.is_sorted() && ends.last() == Some(&framed.body.len()));
        let text = String::from_utf8_lossy(&framed.body).into_owned();
        assert!(text.contains("serviceUnavailableException"), "{text}");
    }
}
