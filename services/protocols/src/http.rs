//! Sends a request to a vendor and reads its answer, whatever the protocol.
//!
//! Owns the HTTP side: addresses, credentials as headers, statuses, broken connections. It neither waits (guards are
//! [`crate::call::task`]'s) nor tries again.

mod reading;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use tandem_chassis::clock::Clock;
use tandem_chat_core::{classify::Cause, error::ErrorKind, retry};
use url::Url;

use super::{
    Deltas, Failure,
    body::{Answer, Parser},
};
use crate::ApiKey;
use tandem_chassis::outbound::{self, Outbound, Refused};

/// Largest error body read.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// Time to read an error body; its status is known already.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Speaks HTTP for all protocols. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    outbound: Outbound,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// Calls through `outbound`.
    pub fn new(outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    /// The time, for requests that say it.
    pub(super) fn now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }

    /// Posts a JSON body that asks for a stream; returns when the vendor has accepted it.
    ///
    /// * `headers`: what is accepted is events unless they say otherwise.
    /// * `answer`: understands what comes back, streamed or not.
    ///
    /// # Errors
    /// [`Failure`]: nothing was answered.
    pub(super) async fn post<A: Answer>(
        &self,
        url: Url,
        mut headers: HeaderMap,
        body: Vec<u8>,
        answer: Parser<A>,
    ) -> Result<Deltas, Failure> {
        headers
            .entry(header::ACCEPT)
            .or_insert(HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let sending = self.outbound.post(url).map_err(|refused| refused_address(&refused))?;
        let response = sending.headers(headers).body(body).send().await.map_err(unanswered)?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(reading::deltas(response.bytes_stream(), answer).boxed())
    }

    async fn refusal(&self, response: reqwest::Response) -> Failure {
        let status = response.status();
        let texts = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let retry_after = retry::retry_after(texts, self.clock.now());
        if status.is_redirection() {
            let text = "the address redirects elsewhere, which is not followed because it could leak the key; check the base URL";
            return Failure {
                status: Some(status.as_u16()),
                ..Failure::known(ErrorKind::Config, text)
            };
        }
        Failure {
            status: Some(status.as_u16()),
            text: error_body(response).await,
            retry_after,
            cause: Cause::Reported,
            is_connect: false,
        }
    }
}

/// The address of `path` below a base address, which stays as it was given.
pub fn endpoint(base_url: &Url, path: &str) -> Url {
    let mut url = base_url.clone();
    let base = base_url.path().trim_end_matches('/');
    url.set_path(&format!("{base}/{path}"));
    url
}

/// A request as JSON.
///
/// # Errors
/// None that a request of ours can have; said instead of assumed.
pub(super) fn json(request: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request).map_err(|error| {
        let text = format!("the request cannot be written as JSON: {error}");
        Failure::known(ErrorKind::Generic, text)
    })
}

/// A request as JSON, for a vendor that reads so many bytes at most.
///
/// # Errors
/// A longer one: it is not sent.
pub(super) fn json_within(max_bytes: usize, request: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let body = json(request)?;
    if body.len() > max_bytes {
        let text = format!(
            "the conversation with its files has {} bytes, and this provider reads at most {max_bytes}; send smaller files, or begin a new chat",
            body.len()
        );
        return Err(Failure::known(ErrorKind::Config, text));
    }
    Ok(body)
}

/// The key as the value of a header, behind `scheme`, marked so that nothing prints it.
///
/// * `scheme`: such as `"Bearer "`; may be empty.
///
/// # Errors
/// A key with characters no header can carry.
pub(crate) fn credential(scheme: &str, key: &ApiKey) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("{scheme}{}", key.expose())).map_err(|_| {
        let text = "the API key has characters that cannot be sent";
        Failure::known(ErrorKind::Auth, text)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The header `authorization` that shows the key.
///
/// # Errors
/// A key with characters no header can carry.
pub(crate) fn bearer(key: &ApiKey) -> Result<HeaderMap, Failure> {
    Ok(HeaderMap::from_iter([(
        header::AUTHORIZATION,
        credential("Bearer ", key)?,
    )]))
}

fn refused_address(refused: &Refused) -> Failure {
    Failure::known(ErrorKind::Config, refused.to_string())
}

/// The request got no answer.
fn unanswered(error: reqwest::Error) -> Failure {
    // The address may hold a key in its query.
    let error = error.without_url();
    if let Some(refused) = outbound::find_source::<Refused>(&error) {
        return refused_address(refused);
    }
    Failure {
        is_connect: error.is_connect(),
        ..Failure::new(Cause::Transport, outbound::chain(&error))
    }
}

/// What an error says: the beginning of its body, as far as it comes in time. May hold secrets.
pub async fn error_body(response: reqwest::Response) -> String {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    let reading = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            let room = MAX_ERROR_BODY_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_ERROR_BODY_BYTES {
                break;
            }
        }
    };
    // What came until then is all there is to say.
    let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await;
    String::from_utf8_lossy(&body).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_the_longest_length_is_sent_and_a_longer_one_is_not() {
        let request = "seven"; // With its quotes.
        assert_eq!(json_within(7, &request).unwrap(), b"\"seven\"");
        let failure = json_within(6, &request).unwrap_err();
        assert_eq!(failure.cause, Cause::Known(ErrorKind::Config));
        assert!(
            failure.text.contains("7 bytes") && failure.text.contains("at most 6"),
            "{}",
            failure.text
        );
    }

    #[test]
    fn a_base_address_is_kept_as_given() {
        for (base, expected) in [
            (
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "https://api.openai.com/v1/",
                "https://api.openai.com/v1/chat/completions",
            ),
            ("http://localhost:8000", "http://localhost:8000/chat/completions"),
            ("http://h/a%20b/v1//", "http://h/a%20b/v1/chat/completions"),
        ] {
            assert_eq!(endpoint(&base.parse().unwrap(), "chat/completions").as_str(), expected);
        }
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_an_error_without_the_key() {
        let key = ApiKey::new(tandem_chat_core::id::KeyId::new(uuid::Uuid::nil()), "canary\u{0}");
        let failure = bearer(&key).unwrap_err();
        assert!(!format!("{failure:?}").contains("canary"));
    }
}
