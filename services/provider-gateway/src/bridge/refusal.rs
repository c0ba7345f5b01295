//! Why an exchange is not answered as asked, told in the words of the vendor whose client asks.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{
    body::Body,
    dialect::{Dialect, Family},
};

/// What went wrong, as far as programs go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request cannot be understood.
    Invalid,
    /// It is longer than anybody reads.
    TooLarge,
    /// Nobody proved who is calling.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The caller has spent what they may.
    SpendLimit,
    /// Nothing is answered at that path.
    NoRoute,
    /// There is no such model or provider for the caller.
    UnknownModel,
    /// This is not done here.
    NotDone,
    /// The vendor limits every key.
    RateLimited,
    /// The provider is switched off.
    ProviderDisabled,
    /// The vendor is left alone for a while, or there is no room here.
    Unavailable,
    /// The vendor failed.
    Upstream,
    /// The vendor took too long.
    TooSlow,
    /// This service failed.
    Internal,
}

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people: what happened, and what to do. Without secrets.
    pub message: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Reason {
    /// Status, OpenAI's type and code, Anthropic's type.
    fn forms(self) -> (StatusCode, &'static str, Option<&'static str>, &'static str) {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::Invalid => (StatusCode::BAD_REQUEST, INVALID, None, INVALID),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                INVALID,
                Some("request_too_large"),
                "request_too_large",
            ),
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
            Self::SpendLimit => (
                StatusCode::FORBIDDEN,
                "insufficient_quota",
                Some("insufficient_quota"),
                "permission_error",
            ),
            Self::NoRoute => (StatusCode::NOT_FOUND, INVALID, Some("unknown_url"), "not_found_error"),
            Self::UnknownModel => (
                StatusCode::NOT_FOUND,
                INVALID,
                Some("model_not_found"),
                "not_found_error",
            ),
            Self::NotDone => (StatusCode::NOT_IMPLEMENTED, INVALID, Some("not_supported"), INVALID),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                Some("rate_limit_exceeded"),
                "rate_limit_error",
            ),
            Self::ProviderDisabled => (
                StatusCode::SERVICE_UNAVAILABLE,
                SERVER,
                Some("provider_disabled"),
                "api_error",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                SERVER,
                Some("service_unavailable"),
                "overloaded_error",
            ),
            Self::Upstream => (StatusCode::BAD_GATEWAY, SERVER, Some("bad_gateway"), "api_error"),
            Self::TooSlow => (StatusCode::GATEWAY_TIMEOUT, SERVER, Some("timeout"), "timeout_error"),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                SERVER,
                Some("internal_error"),
                "api_error",
            ),
        }
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        self.forms().0
    }

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::SpendLimit => "spend_limit",
            Self::NoRoute => "no_route",
            Self::UnknownModel => "unknown_model",
            Self::NotDone => "not_done",
            Self::RateLimited => "rate_limited",
            Self::ProviderDisabled => "provider_disabled",
            Self::Unavailable => "unavailable",
            Self::Upstream => "upstream",
            Self::TooSlow => "too_slow",
            Self::Internal => "internal",
        }
    }
}

impl Refusal {
    /// A refusal without a wish for when to come back.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Says when to come back; nothing where nothing is known.
    pub fn after(mut self, pause: Duration) -> Self {
        self.retry_after = (!pause.is_zero()).then_some(pause);
        self
    }

    /// The error object as the family writes it.
    pub fn body(&self, family: Family) -> Value {
        let (_, openai, code, anthropic) = self.reason.forms();
        match family {
            Family::OpenAi => json!({
                "error": { "message": self.message, "type": openai, "param": null, "code": code }
            }),
            Family::Anthropic => {
                let mut error = json!({ "type": anthropic, "message": self.message });
                // The one of which a client must know that trying again does not help.
                if self.reason == Reason::ProviderDisabled {
                    error["code"] = json!(code);
                }
                json!({ "type": "error", "error": error })
            }
        }
    }

    /// The whole HTTP answer.
    pub fn response(&self, family: Family) -> Response<Body> {
        let body = Bytes::from(self.body(family).to_string());
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.reason.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(pause) = self.retry_after {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The error as an event of a stream that has begun.
    pub fn event(&self, dialect: Dialect) -> Bytes {
        let (_, _, code, _) = self.reason.forms();
        Bytes::from(match dialect {
            Dialect::ChatCompletions => format!("data: {}\n\n", self.body(Family::OpenAi)),
            Dialect::Messages => format!("event: error\ndata: {}\n\n", self.body(Family::Anthropic)),
            Dialect::Responses => {
                let event = json!({ "type": "error", "code": code, "message": self.message, "param": null });
                format!("event: error\ndata: {event}\n\n")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_words() {
        let refusal = Refusal::new(Reason::UnknownModel, "no").after(Duration::from_millis(1200));
        assert_eq!(
            refusal.body(Family::OpenAi),
            json!({"error": {"message": "no", "type": "invalid_request_error", "param": null, "code": "model_not_found"}})
        );
        assert_eq!(
            refusal.body(Family::Anthropic),
            json!({"type": "error", "error": {"type": "not_found_error", "message": "no"}})
        );
        let response = refusal.response(Family::OpenAi);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["retry-after"], "2", "rounded up");
    }

    #[test]
    fn a_disabled_provider_is_told_apart_from_a_busy_one() {
        let refusal = Refusal::new(Reason::ProviderDisabled, "off");
        assert_eq!(refusal.body(Family::OpenAi)["error"]["code"], "provider_disabled");
        assert_eq!(refusal.body(Family::Anthropic)["error"]["code"], "provider_disabled");
        assert_eq!(refusal.reason.status(), 503);
    }

    #[test]
    fn an_error_behind_the_first_event_is_an_event() {
        let refusal = Refusal::new(Reason::Upstream, "broke");
        for dialect in [Dialect::Messages, Dialect::Responses] {
            let event = refusal.event(dialect);
            assert!(event.starts_with(b"event: error\ndata: {") && event.ends_with(b"}\n\n"));
        }
        let event = refusal.event(Dialect::ChatCompletions);
        assert!(event.starts_with(b"data: {\"error\""));
    }
}
