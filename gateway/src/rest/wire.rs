//! The shapes clients read and write. Field names, and which keys are always there, null or left out, are the contract
//! of this API; `tests` of each file hold them as snapshots. Nothing here decides anything.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;
use uuid::Uuid;

pub mod bridge;
pub mod chat;
pub mod command;
pub mod event;
pub mod git;
pub mod input;
pub mod mcp;
pub mod message;
pub mod model;
pub mod part;
pub mod provider;
pub mod skill;
pub mod usage;
pub mod user;
pub mod workspace;

/// What a time that was never set looks like.
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// JSON that is passed on as it is.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = serde_json::Value)]
pub struct Raw(pub Box<RawValue>);

impl Raw {
    /// `text` as JSON; text that is no JSON becomes a JSON string, so that an answer is never broken by what it quotes.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let raw = RawValue::from_string(text.to_owned())
            .or_else(|_| serde_json::value::to_raw_value(text))
            .ok()?;
        Some(Self(raw))
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

/// A time that is always there.
pub fn time(time: Option<&Timestamp>) -> String {
    some_time(time).unwrap_or_else(|| ZERO_TIME.to_owned())
}

/// A time that is left out when unset.
pub fn some_time(time: Option<&Timestamp>) -> Option<String> {
    let time = time?;
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    time.format(&Rfc3339).ok()
}

/// Bytes as JSON shows them.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Text that is left out when empty.
pub fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Whether a flag is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
pub fn is_false(flag: &bool) -> bool {
    !flag
}

/// A member that may be missing or null, read as its default.
///
/// # Errors
/// The deserializer's own.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An id as the contracts write it; empty for none.
pub fn id_text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_like_everywhere_else() {
        let at = |seconds, nanos| time(Some(&Timestamp { seconds, nanos }));
        assert_eq!(at(1_700_000_000, 0), "2023-11-14T22:13:20Z");
        assert_eq!(at(1_700_000_000, 120_000_000), "2023-11-14T22:13:20.12Z");
        assert_eq!(time(None), ZERO_TIME);
        assert_eq!(some_time(None), None);
    }

    #[test]
    fn json_that_is_none_becomes_a_string() {
        assert_eq!(Raw::new("{\"a\": 1}").unwrap().text(), "{\"a\": 1}");
        assert_eq!(Raw::new("{\"a\"").unwrap().text(), "\"{\\\"a\\\"\"");
        assert!(Raw::new("").is_none());
    }
}
