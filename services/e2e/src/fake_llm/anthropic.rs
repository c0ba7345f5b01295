//! The dialect of Anthropic Messages: who is asking, what is refused, and how scripted replies look in it.
//!
//! Scripts are the same for all dialects. [`validate`] has the vendor's rules, [`render`] its events; errors and signatures are here.
//! A signature is made of the model and the thinking it proves, so a request that alters either is refused.

mod render;
mod validate;

use std::collections::HashMap;

use http::HeaderMap;
use serde_json::{Value, json};

pub(super) use self::{
    render::reply,
    validate::{check, count},
};
use super::{
    keys::{self, KeyState},
    render::{self as common, Response},
    wire::{self, VendorError},
};

/// Where messages are asked for.
pub(super) const MESSAGES: &str = "/v1/messages";
/// Where the tokens of messages are counted.
pub(super) const COUNT_TOKENS: &str = "/v1/messages/count_tokens";
/// Where models are listed, as in other dialects; each is found below it.
pub(super) const MODELS: &str = "/v1/models";
/// Versions of the protocol, by their names in the header.
const VERSIONS: [(&str, Version); 2] = [("2023-06-01", Version::Of2023), ("2026-10-21", Version::Of2026)];
const VERSION_HEADER: &str = "anthropic-version";
const KEY_HEADER: &str = "x-api-key";
const BETA_HEADER: &str = "anthropic-beta";
/// Characters of a signature behind its prefix.
const SIGNATURE_CHARS: usize = 48;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Of2023,
    /// Knows no sampling parameters any more.
    Of2026,
}

/// Whether a request is in this dialect: by its path, or by its headers where dialects share a path.
pub(super) fn is_spoken(path: &str, headers: &HeaderMap) -> bool {
    path == MESSAGES || path == COUNT_TOKENS || headers.contains_key(VERSION_HEADER)
}

/// The key in the vendor's own header.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(KEY_HEADER)?.to_str().ok()
}

/// What a request uses of what is in trial.
pub(super) fn betas(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(BETA_HEADER).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

/// The version asked for.
fn version(headers: &HeaderMap) -> Result<Version, VendorError> {
    let Some(asked) = headers.get(VERSION_HEADER) else {
        return Err(invalid("anthropic-version: header is required"));
    };
    let found = VERSIONS.iter().find(|(name, _)| name.as_bytes() == asked.as_bytes());
    let refused = || invalid("anthropic-version: \"?\" is not a valid version");
    found.map(|(_, version)| *version).ok_or_else(refused)
}

/// Checks version and key; the version. A key may come in the header of old or as a bearer token; in both it must be the same.
pub(super) fn check_caller(keys: &HashMap<String, KeyState>, headers: &HeaderMap) -> Result<Version, VendorError> {
    let version = version(headers)?;
    if keys.is_empty() {
        return Ok(version);
    }
    let (own, bearer) = (key(headers), keys::bearer(headers));
    let refused = |message: &str| Err(invalid(message).with_status(401));
    let Some(key) = own.or(bearer).filter(|key| !key.is_empty()) else {
        return refused("x-api-key header is required");
    };
    if bearer.is_some_and(|bearer| bearer != key) {
        return refused("x-api-key and Authorization differ");
    }
    match keys.get(key) {
        Some(KeyState::Valid) => Ok(version),
        Some(KeyState::RateLimited { retry_after_s }) => {
            let mut error = invalid("This request would exceed your organization's rate limit.").with_status(429);
            error.headers.push(("retry-after".into(), retry_after_s.to_string()));
            Err(error)
        }
        Some(KeyState::OutOfQuota) => Err(invalid(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        )),
        Some(KeyState::Revoked) | None => refused("invalid x-api-key"),
    }
}

/// A refused request.
fn invalid(message: impl Into<String>) -> VendorError {
    VendorError::invalid(message, None, None)
}

pub(super) fn no_route() -> VendorError {
    invalid("Not found").with_status(404)
}

/// The vendor's name for what a status means.
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// The body of an error.
fn error_value(number: u64, error: &VendorError) -> Value {
    json!({
        "type": "error",
        "error": { "type": error_type(error.status), "message": error.message },
        "request_id": wire::request_id(number),
    })
}

/// A response that is one error.
pub(super) fn error(number: u64, error: &VendorError) -> Response {
    let mut response = common::error(number, error);
    let body = error_value(number, error).to_string().into_bytes();
    let whole = common::plain(number, wire::JSON, body);
    response.body = whole.body;
    response.steps = whole.steps;
    response
}

fn model_value(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": "2025-01-01T00:00:00Z" })
}

/// One model, if it is known.
pub(super) fn model(models: &[String], id: &str) -> Result<Vec<u8>, VendorError> {
    match models.iter().any(|known| known == id) {
        true => Ok(model_value(id).to_string().into_bytes()),
        false => Err(invalid(format!("model: {id}")).with_status(404)),
    }
}

/// The list of models.
pub(super) fn models(models: &[String]) -> Vec<u8> {
    let data: Vec<Value> = models.iter().map(|id| model_value(id)).collect();
    let list = json!({ "data": data, "has_more": false, "first_id": models.first(), "last_id": models.last() });
    list.to_string().into_bytes()
}

/// What proves that `model` thought this.
fn signature(model: &str, thinking: &str) -> String {
    // FNV-1a, 64 bits.
    let bytes = model.bytes().chain([0]).chain(thinking.bytes());
    let seed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("sig{}", wire::letters(seed, SIGNATURE_CHARS))
}

#[cfg(test)]
mod tests;
