//! Why an exchange is not answered as asked, told in the words of the vendor whose client asks.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tandem_chat_core::error::ErrorKind;
pub use tandem_chat_core::refusal::Reason;

use super::{
    body::Body,
    dialect::{Dialect, Family},
};

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people: what happened, and what to do. Without secrets.
    pub message: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// Set where the vendor has no room now, so that another model may be asked instead.
    pub lack: Option<ErrorKind>,
}

impl Refusal {
    /// A refusal without a wish for when to come back.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
            lack: None,
        }
    }

    /// Says that the vendor has no room now, and how that shows.
    pub fn lacking(mut self, kind: ErrorKind) -> Self {
        self.lack = Some(kind).filter(|kind| kind.is_lack_of_room());
        self
    }

    /// Says when to come back; nothing where nothing is known.
    pub fn after(mut self, pause: Duration) -> Self {
        self.retry_after = (!pause.is_zero()).then_some(pause);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The error object as the family writes it.
    pub fn body(&self, family: Family) -> Value {
        self.reason.body(family, &self.message)
    }

    /// The whole HTTP answer.
    pub fn response(&self, family: Family) -> Response<Body> {
        let body = Bytes::from(self.body(family).to_string());
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status();
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
        Bytes::from(match dialect {
            Dialect::ChatCompletions => format!("data: {}\n\n", self.body(Family::OpenAi)),
            Dialect::Messages => format!("event: error\ndata: {}\n\n", self.body(Family::Anthropic)),
            Dialect::Responses => {
                let event =
                    json!({ "type": "error", "code": self.reason.code(), "message": self.message, "param": null });
                format!("event: error\ndata: {event}\n\n")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_in_whole_seconds() {
        let refusal = Refusal::new(Reason::UnknownModel, "no").after(Duration::from_millis(1200));
        let response = refusal.response(Family::OpenAi);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["retry-after"], "2", "rounded up");
        let refusal = Refusal::new(Reason::UnknownModel, "no").after(Duration::ZERO);
        assert!(!refusal.response(Family::OpenAi).headers().contains_key("retry-after"));
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
