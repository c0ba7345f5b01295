//! The dialect of Anthropic Messages: who is asking, what is refused, and how scripted replies look in it.
//!
//! Scripts are the same for all dialects. [`validate`] has the vendor's rules, [`render`] its events; errors and signatures are here.
//! A signature is made of the model and the thinking it proves, so a request that alters either is refused.

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

/// Where messages are asked for.
pub(super) const MESSAGES: &str = "/v1/messages";
/// Where models are listed, as in other dialects.
pub(super) const MODELS: &str = "/v1/models";
/// The one version of the protocol.
const VERSION: &str = "2023-06-01";
const VERSION_HEADER: &str = "anthropic-version";
const KEY_HEADER: &str = "x-api-key";
/// Characters of a signature behind its prefix.
const SIGNATURE_CHARS: usize = 48;

/// Whether a request is in this dialect: by its path, or by its headers where dialects share a path.
pub(super) fn is_spoken(path: &str, headers: &HeaderMap) -> bool {
    path == MESSAGES || headers.contains_key(VERSION_HEADER)
}

/// The key in the vendor's own header.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(KEY_HEADER)?.to_str().ok()
}

/// Checks version and key. A key may come in the vendor's header or, as at gateways, as a bearer token; in both it must be the same.
pub(super) fn check_caller(keys: &HashMap<String, KeyState>, headers: &HeaderMap) -> Result<(), VendorError> {
    match headers.get(VERSION_HEADER).map(|version| version.as_bytes()) {
        Some(version) if version == VERSION.as_bytes() => {}
        Some(_) => return Err(invalid("anthropic-version: \"?\" is not a valid version")),
        None => return Err(invalid("anthropic-version: header is required")),
    }
    if keys.is_empty() {
        return Ok(());
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
        Some(KeyState::Valid) => Ok(()),
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

/// The list of models.
pub(super) fn models(models: &[String]) -> Vec<u8> {
    let model =
        |id: &String| json!({ "type": "model", "id": id, "display_name": id, "created_at": "2025-01-01T00:00:00Z" });
    let data: Vec<Value> = models.iter().map(model).collect();
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
