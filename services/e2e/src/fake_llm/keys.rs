//! Who is calling: the keys a server knows, the vendor's refusals, and what of a key may be remembered.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::{anthropic, google, responses, wire::VendorError};

/// Characters at the end of a key that the record keeps.
const HINT_CHARS: usize = 3;
/// Headers whose values are never recorded.
const SECRET: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
];

/// How the fake treats a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Valid,
    /// 401 `invalid_api_key`, like every key not listed.
    Revoked,
    /// 429 `rate_limit_exceeded` with this `retry-after`.
    RateLimited {
        retry_after_s: u64,
    },
    /// 429 `insufficient_quota`.
    OutOfQuota,
}

/// Checks the bearer key. No keys at all means that none is asked for.
pub(super) fn check(keys: &HashMap<String, KeyState>, headers: &HeaderMap) -> Result<(), VendorError> {
    if keys.is_empty() {
        return Ok(());
    }
    let Some(key) = bearer(headers).filter(|key| !key.is_empty()) else {
        return Err(VendorError::invalid(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.",
            None,
            None,
        )
        .with_status(401));
    };
    match keys.get(key) {
        Some(KeyState::Valid) => Ok(()),
        Some(KeyState::RateLimited { retry_after_s }) => {
            let mut error = VendorError::of_code("rate_limit_exceeded", 429, "this key");
            let seconds = retry_after_s.to_string();
            error.headers.push(("retry-after".into(), seconds));
            Err(error)
        }
        Some(KeyState::OutOfQuota) => Err(VendorError::of_code("insufficient_quota", 429, "")),
        Some(KeyState::Revoked) | None => Err(VendorError::invalid(
            format!(
                "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
                masked(key)
            ),
            None,
            Some("invalid_api_key"),
        )
        .with_status(401)),
    }
}

/// The end of the key, for telling the keys of a pool apart.
pub(super) fn hint(headers: &HeaderMap) -> String {
    let azures = || responses::azure_key(headers);
    let own = || anthropic::key(headers).or_else(|| google::key(headers)).or_else(azures);
    let key = bearer(headers).or_else(own).unwrap_or_default();
    let key: Vec<char> = key.chars().collect();
    key[key.len().saturating_sub(HINT_CHARS)..].iter().collect()
}

/// Headers for the record, without credentials.
pub(super) fn redacted(headers: &HeaderMap) -> BTreeMap<String, String> {
    let show = |name: &str, value: &HeaderValue| match SECRET.contains(&name) {
        true => "[redacted]".to_owned(),
        false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), show(name.as_str(), value)))
        .collect()
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

/// A key as the vendor shows it: the ends of a long one, all of a short one.
fn masked(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let Some(hidden) = chars.len().checked_sub(12).filter(|hidden| *hidden > 0) else {
        return key.to_owned();
    };
    let start: String = chars[..8].iter().collect();
    let end: String = chars[8 + hidden..].iter().collect();
    format!("{start}{}{end}", "*".repeat(hidden))
}
