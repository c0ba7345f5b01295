//! The dialect of OpenAI Responses: what is refused, and how scripted replies look in it; and Azure's face of it, with its own key.
//!
//! Scripts are the same for all dialects. [`validate`] has the vendor's rules, [`render`] its events. Reasoning is encrypted by a digest
//! of model, id and summary, so a request that alters any of them is refused; and a search `ws_X` belongs to the reasoning `rs_X`,
//! without which it is refused. Responses are kept unless the request says otherwise ([`kept`]); one that goes on from a response that
//! is not kept is refused.

mod kept;
mod render;
mod validate;

use std::collections::HashMap;

use http::HeaderMap;

pub(super) use self::{kept::Kept, render::reply, validate::check};
use super::{
    keys::{self, KeyState},
    wire::{self, VendorError},
};

/// Where responses are asked for.
pub(super) const RESPONSES: &str = "/v1/responses";
/// What stands before every path at Azure.
const AZURE: &str = "/openai";
const AZURE_KEY: &str = "api-key";
/// Characters of encrypted reasoning behind its prefix.
const ENCRYPTED_CHARS: usize = 64;
/// Beginnings of names of models that reason.
const REASONING: [&str; 6] = ["gpt-5", "o1", "o3", "o4", "codex", "computer-use"];
/// What a scripted call at a computer is a call of. Such a call has safety checks among its arguments, if only none of them.
const COMPUTER: &str = "computer";
const PENDING: &str = "pending_safety_checks";

/// What a request asks for, without what Azure puts before it.
pub(super) fn path(path: &str) -> &str {
    path.strip_prefix(AZURE).unwrap_or(path)
}

/// The key in Azure's own header.
pub(super) fn azure_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(AZURE_KEY)?.to_str().ok()
}

/// Checks the key: at Azure the one in its own header, else the bearer.
pub(super) fn check_caller(
    keys: &HashMap<String, KeyState>,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), VendorError> {
    if !path.starts_with(AZURE) || keys.is_empty() {
        return keys::check(keys, headers);
    }
    match azure_key(headers).and_then(|key| keys.get(key)) {
        Some(KeyState::Valid) => Ok(()),
        Some(KeyState::RateLimited { .. } | KeyState::OutOfQuota) => {
            let message = "Requests to this deployment have exceeded the token rate limit of its pricing tier.";
            Err(VendorError::invalid(message, None, Some("429")).with_status(429))
        }
        Some(KeyState::Revoked) | None => {
            let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.";
            Err(VendorError::invalid(message, None, Some("401")).with_status(401))
        }
    }
}

/// The id of the response to a request.
pub fn id(number: u64) -> String {
    format!("resp_{}", wire::letters(number, 48))
}

/// Whether a model reasons.
fn reasons(model: &str) -> bool {
    REASONING.iter().any(|prefix| model.starts_with(prefix))
}

/// What `model` thought in the item of that id, as only the vendor can read it.
pub fn encrypted_reasoning(model: &str, id: &str, summary: &str) -> String {
    // FNV-1a, 64 bits.
    let bytes = model
        .bytes()
        .chain([0])
        .chain(id.bytes())
        .chain([0])
        .chain(summary.bytes());
    let seed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("gAAAA{}", wire::letters(seed, ENCRYPTED_CHARS))
}

#[cfg(test)]
mod tests;
