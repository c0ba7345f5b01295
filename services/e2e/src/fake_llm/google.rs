//! The dialect of Google Gemini: who is asking, what is refused, and how scripted replies look in it.
//!
//! Scripts are the same for all dialects. [`validate`] has the vendor's rules, [`render`] its chunks; errors and signatures are here.
//! A signature is made of the model and what it was given with, so a request that moves or alters either is refused. Models whose
//! names begin like the third generation's sign, and want their signatures back.

mod render;
mod validate;

use std::collections::HashMap;

use http::HeaderMap;
use serde_json::{Value, json};

pub(super) use self::{render::reply, validate::check};
use super::{
    keys::{self, KeyState},
    render::{self as common, Response},
    wire::{self, VendorError},
};

/// What all paths of this dialect begin with.
const PREFIX: &str = "/v1beta/";
/// Where models are, and where they are listed.
const MODELS: &str = "/v1beta/models";
const KEY_HEADER: &str = "x-goog-api-key";
/// Stands for a signature where a call comes from elsewhere.
const STAND_IN: &str = "skip_thought_signature_validator";
/// Characters of a signature behind its prefix.
const SIGNATURE_CHARS: usize = 48;

/// Whether a request is in this dialect.
pub(super) fn is_spoken(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Whether an answer is asked for.
pub(super) fn is_completion(path: &str) -> bool {
    asked(path).is_some()
}

/// Whether models are to be listed.
pub(super) fn is_list(path: &str) -> bool {
    path == MODELS
}

/// The model of a path, and whether its answer is to be streamed.
fn asked(path: &str) -> Option<(&str, bool)> {
    let (model, method) = path.strip_prefix(MODELS)?.strip_prefix('/')?.split_once(':')?;
    match method {
        "streamGenerateContent" => Some((model, true)),
        "generateContent" => Some((model, false)),
        _ => None,
    }
}

fn is_third(model: &str) -> bool {
    model.starts_with("gemini-3")
}

/// The key in the vendor's own header.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(KEY_HEADER)?.to_str().ok()
}

/// Checks the key. It may come in the vendor's header or, as at gateways, as a bearer token too; in both it must be the same.
pub(super) fn check_caller(keys: &HashMap<String, KeyState>, headers: &HeaderMap) -> Result<(), VendorError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (own, bearer) = (key(headers), keys::bearer(headers));
    let Some(key) = own.or(bearer).filter(|key| !key.is_empty()) else {
        let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
        return Err(invalid(message).with_status(403));
    };
    let is_known = bearer.is_none_or(|bearer| bearer == key);
    match keys.get(key).filter(|_| is_known) {
        Some(KeyState::Valid) => Ok(()),
        Some(KeyState::RateLimited { retry_after_s }) => {
            let mut error = spent("GenerateRequestsPerMinutePerProjectPerModel");
            error.headers.push(("retry-after".into(), retry_after_s.to_string()));
            Err(error)
        }
        Some(KeyState::OutOfQuota) => Err(spent("GenerateRequestsPerDayPerProjectPerModel-FreeTier")),
        Some(KeyState::Revoked) | None => Err(VendorError::invalid(
            "API key not valid. Please pass a valid API key.",
            None,
            Some("API_KEY_INVALID"),
        )),
    }
}

/// A refused request.
fn invalid(message: impl Into<String>) -> VendorError {
    VendorError::invalid(message, None, None)
}

/// A quota of that name is used up.
fn spent(quota: &str) -> VendorError {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    VendorError::invalid(message, Some(quota), None).with_status(429)
}

pub(super) fn no_route() -> VendorError {
    invalid("Requested entity was not found.").with_status(404)
}

/// The vendor's name for what a status means.
fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// The body of an error. Waits are told in the body and not in headers.
fn error_value(error: &VendorError) -> Value {
    let mut details = Vec::new();
    if error.code.as_deref() == Some("API_KEY_INVALID") {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }));
    }
    if let Some(quota) = error.param.as_deref().filter(|_| error.status == 429) {
        details.push(
            json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{ "quotaId": quota }] }),
        );
    }
    if let Some(seconds) = wait_s(error) {
        details
            .push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s") }));
    }
    let mut body = json!({ "code": error.status, "message": error.message, "status": status_name(error.status) });
    if !details.is_empty() {
        body["details"] = Value::Array(details);
    }
    json!({ "error": body })
}

/// The wait an error asks for, in seconds.
fn wait_s(error: &VendorError) -> Option<f64> {
    let header = |wanted: &str| {
        let found = error.headers.iter().find(|(name, _)| name == wanted);
        found.and_then(|(_, value)| value.parse::<f64>().ok())
    };
    header("retry-after-ms").map(|ms| ms / 1000.0).or(header("retry-after"))
}

/// A response that is one error.
pub(super) fn error(number: u64, error: &VendorError) -> Response {
    let mut response = common::plain(number, wire::JSON, wire::pretty(&error_value(error), b"  "));
    response.status = error.status;
    response
}

/// The list of models.
pub(super) fn models(models: &[String]) -> Vec<u8> {
    let model = |id: &String| {
        json!({
            "name": format!("models/{id}"), "version": "001", "displayName": id, "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    };
    let embedding = json!({ "name": "models/fake-embedding", "supportedGenerationMethods": ["embedContent"] });
    let list: Vec<Value> = models.iter().map(model).chain([embedding]).collect();
    wire::pretty(&json!({ "models": list }), b"  ")
}

/// What proves that `model` gave this.
pub fn signature(model: &str, given: &str) -> String {
    // FNV-1a, 64 bits.
    let bytes = model.bytes().chain([0]).chain(given.bytes());
    let seed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("Ck{}", wire::letters(seed, SIGNATURE_CHARS))
}

/// What a call's signature is made of.
fn call_text(name: &Value, args: &Value) -> String {
    format!("{name}{args}")
}

#[cfg(test)]
mod tests;
