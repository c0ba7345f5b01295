//! What is refused here, in the words of the vendor whose client asks.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::json;

use super::{ANTHROPIC, NAMED};
use crate::observe::RequestId;

/// When to come back to what is not there.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whose client asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vendor {
    OpenAi,
    Anthropic,
}

impl Vendor {
    /// By the address; where that names a provider of any kind, by what only one vendor's clients send.
    pub fn of(path: &str, headers: &HeaderMap) -> Self {
        let below = NAMED.iter().find_map(|prefix| path.strip_prefix(prefix));
        let is_messages = below
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| rest == "v1/messages" || rest.starts_with("v1/messages/"));
        if path.starts_with(ANTHROPIC) || is_messages || (below.is_some() && headers.contains_key("anthropic-version"))
        {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    Invalid,
    Unauthenticated,
    Forbidden,
    NoRoute,
    SlowBody,
    TooLarge,
    RateLimited,
    HeadersTooLarge,
    Internal,
    Unavailable,
    TooSlow,
}

/// An answer that is none.
#[derive(Debug)]
pub struct Refusal {
    reason: Reason,
    /// For people: what happened, and what to do.
    message: String,
    retry_after: Option<Duration>,
}

impl Reason {
    /// Status, the type and code of one vendor, the type of the other.
    fn words(self) -> (StatusCode, &'static str, Option<&'static str>, &'static str) {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::Invalid => (StatusCode::BAD_REQUEST, INVALID, None, INVALID),
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                INVALID,
                Some("invalid_api_key"),
                "authentication_error",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "permission_error",
                Some("forbidden"),
                "permission_error",
            ),
            Self::NoRoute => (StatusCode::NOT_FOUND, INVALID, Some("unknown_url"), "not_found_error"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, INVALID, Some("timeout"), "timeout_error"),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                INVALID,
                Some("request_too_large"),
                "request_too_large",
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                Some("rate_limit_exceeded"),
                "rate_limit_error",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                INVALID,
                Some("headers_too_large"),
                INVALID,
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                SERVER,
                Some("internal_error"),
                "api_error",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                SERVER,
                Some("service_unavailable"),
                "overloaded_error",
            ),
            Self::TooSlow => (StatusCode::GATEWAY_TIMEOUT, SERVER, Some("timeout"), "timeout_error"),
        }
    }
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
    pub fn into_response(self, vendor: Vendor, request_id: Option<&RequestId>) -> Response {
        let (status, kind, code, other_kind) = self.reason.words();
        let body = match vendor {
            Vendor::OpenAi => json!({
                "error": {"message": self.message, "type": kind, "param": null, "code": code}
            }),
            Vendor::Anthropic => json!({
                "type": "error",
                "error": {"type": other_kind, "message": self.message},
                "request_id": request_id.map(|id| id.0.as_ref())
            }),
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
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
            ("/openai/v1/chat/completions", &plain, Vendor::OpenAi),
            ("/openai/v1/models", &versioned, Vendor::OpenAi),
            ("/anthropic/v1/models", &plain, Vendor::Anthropic),
            ("/api/v2/aibridge/main/v1/messages", &plain, Vendor::Anthropic),
            (
                "/api/v2/ai-gateway/main/v1/messages/count_tokens",
                &plain,
                Vendor::Anthropic,
            ),
            ("/api/v2/aibridge/main/v1/messages_of_mine", &plain, Vendor::OpenAi),
            ("/api/v2/aibridge/main/v1/models", &plain, Vendor::OpenAi),
            ("/api/v2/aibridge/main/v1/models", &versioned, Vendor::Anthropic),
        ] {
            assert_eq!(Vendor::of(path, headers), expected, "{path}");
        }
    }
}
