//! What is refused here, in the words of the vendor whose client asks.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::json;
pub use tandem_chat_core::refusal::{Family, Reason};

use super::{ANTHROPIC, NAMED};
use crate::observe::RequestId;

/// When to come back to what is not there.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whose client asks: by the address; where that names a provider of any kind, by what only one vendor's clients send.
pub fn family_of(path: &str, headers: &HeaderMap) -> Family {
    let below = NAMED.iter().find_map(|prefix| path.strip_prefix(prefix));
    let is_messages = below
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, rest)| rest == "v1/messages" || rest.starts_with("v1/messages/"));
    if path.starts_with(ANTHROPIC) || is_messages || (below.is_some() && headers.contains_key("anthropic-version")) {
        Family::Anthropic
    } else {
        Family::OpenAi
    }
}

/// An answer that is none.
#[derive(Debug)]
pub struct Refusal {
    reason: Reason,
    /// For people: what happened, and what to do.
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// Without a wish for when to come back, but for what is not there just now.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: (reason == Reason::Unavailable).then_some(RETRY_AFTER),
        }
    }

    /// Says when to come back.
    pub fn after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The whole answer.
    pub fn into_response(self, family: Family, request_id: Option<&RequestId>) -> Response {
        let mut body = self.reason.body(family, &self.message);
        if family == Family::Anthropic {
            body["request_id"] = json!(request_id.map(|id| id.0.as_ref()));
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() =
            StatusCode::from_u16(self.reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(pause) = self.retry_after {
            // Whole seconds, rounded up: an early retry would be refused again.
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendor_is_known_by_the_address_or_by_what_its_clients_send() {
        let plain = HeaderMap::new();
        let mut versioned = HeaderMap::new();
        versioned.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        for (path, headers, expected) in [
            ("/openai/v1/chat/completions", &plain, Family::OpenAi),
            ("/openai/v1/models", &versioned, Family::OpenAi),
            ("/anthropic/v1/models", &plain, Family::Anthropic),
            ("/api/v2/aibridge/main/v1/messages", &plain, Family::Anthropic),
            (
                "/api/v2/ai-gateway/main/v1/messages/count_tokens",
                &plain,
                Family::Anthropic,
            ),
            ("/api/v2/aibridge/main/v1/messages_of_mine", &plain, Family::OpenAi),
            ("/api/v2/aibridge/main/v1/models", &plain, Family::OpenAi),
            ("/api/v2/aibridge/main/v1/models", &versioned, Family::Anthropic),
        ] {
            assert_eq!(family_of(path, headers), expected, "{path}");
        }
    }
}
