//! The one shape of a turn's error: live, stored and after a reload.
//!
//! Owns kinds and the record. Which failure becomes which kind is in `classify`; codes of RPC errors are in chassis.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Why a turn failed, in words for people and in kinds for programs.
///
/// Contains no secret and no vendor body: whoever builds one has removed keys from `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatError {
    /// For people: one or two sentences.
    pub message: String,
    /// What the vendor said, at most [`MAX_DETAIL_CHARS`] characters; empty when there is nothing to add.
    #[serde(default, skip_serializing_if = "Detail::is_empty")]
    pub detail: Detail,
    /// What went wrong, seen by who has to act on it.
    #[serde(default)]
    pub kind: ErrorKind,
    /// The provider's type such as `openai-compat`; empty when none was involved.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// The vendor's HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
}

impl ChatError {
    /// An unexpected failure of our own.
    pub fn generic(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            detail: Detail::default(),
            kind: ErrorKind::Generic,
            provider: String::new(),
            retryable: false,
            status_code: None,
        }
    }

    /// The client left its dynamic tools unanswered.
    pub fn tools_timed_out() -> Self {
        Self::generic("The client did not return its tool results in time.")
    }

    /// Reads a stored error. Anything that is not an object of this shape becomes a generic error with that text.
    pub fn from_stored(value: Value) -> Self {
        match value {
            Value::String(text) => Self::generic(text),
            other => serde_json::from_value(other)
                .unwrap_or_else(|_| Self::generic("The chat failed for a reason that can no longer be read.")),
        }
    }
}

/// The longest [`Detail`], in characters.
pub const MAX_DETAIL_CHARS: usize = 500;

/// Text of bounded length; longer text is cut and ends in `…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Detail(String);

impl Detail {
    /// Trims and bounds a text.
    pub fn new(text: &str) -> Self {
        Self(bounded(text.trim(), MAX_DETAIL_CHARS))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

/// `text` in at most `max_chars` characters, the last of them `…` if something was cut.
pub(crate) fn bounded(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars.saturating_sub(1)).chain(['…']).collect()
}

/// What went wrong, seen by who has to act on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The vendor has no capacity at the moment.
    Overloaded,
    /// The vendor limits our rate.
    RateLimit,
    /// The vendor could not be reached, or did not finish.
    Timeout,
    /// The vendor sent nothing at all in time.
    StartupTimeout,
    /// The vendor fell silent in the middle.
    StreamSilenceTimeout,
    /// The vendor refuses the key.
    Auth,
    /// The vendor refuses the model or the request's shape.
    Config,
    /// A budget is spent, the vendor's or ours.
    UsageLimit,
    /// No key is configured for the provider any more.
    MissingKey,
    /// The administrator has switched the provider off.
    ProviderDisabled,
    /// The vendor's content policy blocked the answer.
    ContentFilter,
    /// Nothing more specific is known; also every name a later release may invent.
    #[default]
    #[serde(other)]
    Generic,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Generic,
        Self::Overloaded,
        Self::RateLimit,
        Self::Timeout,
        Self::StartupTimeout,
        Self::StreamSilenceTimeout,
        Self::Auth,
        Self::Config,
        Self::UsageLimit,
        Self::MissingKey,
        Self::ProviderDisabled,
        Self::ContentFilter,
    ];

    /// Whether another vendor or model need not share it: there is no room at the moment. What needs somebody's hand is not among these.
    pub const fn is_lack_of_room(self) -> bool {
        match self {
            Self::Overloaded | Self::RateLimit | Self::Timeout | Self::StartupTimeout => true,
            Self::Generic
            | Self::StreamSilenceTimeout
            | Self::Auth
            | Self::Config
            | Self::UsageLimit
            | Self::MissingKey
            | Self::ProviderDisabled
            | Self::ContentFilter => false,
        }
    }

    /// The name on the wire, in rows and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Overloaded => "overloaded",
            Self::RateLimit => "rate_limit",
            Self::Timeout => "timeout",
            Self::StartupTimeout => "startup_timeout",
            Self::StreamSilenceTimeout => "stream_silence_timeout",
            Self::Auth => "auth",
            Self::Config => "config",
            Self::UsageLimit => "usage_limit",
            Self::MissingKey => "missing_key",
            Self::ProviderDisabled => "provider_disabled",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ErrorKind {
    type Err = UnknownErrorKind;

    fn from_str(text: &str) -> Result<Self, UnknownErrorKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownErrorKind)
    }
}

/// The text names no error kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown error kind")]
pub struct UnknownErrorKind;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_agree_with_the_stored_form() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_detail_is_cut_at_500_characters() {
        let long = "é".repeat(501);
        let detail = Detail::new(&long);
        assert_eq!(detail.as_str().chars().count(), 500);
        assert!(detail.as_str().ends_with('…'));
        assert_eq!(Detail::new(&"é".repeat(500)).as_str().chars().last(), Some('é'));
    }

    #[test]
    fn a_stored_error_survives_and_lists_only_what_it_knows() {
        let error = ChatError {
            status_code: Some(429),
            kind: ErrorKind::RateLimit,
            ..ChatError::generic("slow down")
        };
        let stored = serde_json::to_value(&error).unwrap();
        assert_eq!(
            stored,
            json!({"message": "slow down", "kind": "rate_limit", "retryable": false, "status_code": 429})
        );
        assert_eq!(ChatError::from_stored(stored), error);
    }

    #[test]
    fn rows_that_cannot_be_read_become_generic_errors() {
        assert_eq!(
            ChatError::from_stored(json!("old text")),
            ChatError::generic("old text")
        );
        assert_eq!(ChatError::from_stored(json!(["x"])).kind, ErrorKind::Generic);
        let future = json!({"message": "m", "kind": "not_invented_yet"});
        assert_eq!(ChatError::from_stored(future), ChatError::generic("m"));
    }
}
