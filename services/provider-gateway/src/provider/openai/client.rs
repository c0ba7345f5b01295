//! Sends a Chat Completions request and reads its answer.
//!
//! Owns the HTTP side: address, headers, statuses, broken connections. It neither waits (guards are [`crate::completion::task`]'s) nor
//! tries again.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, header};
use tandem_chassis::clock::Clock;
use tandem_chat_core::{classify::Cause, error::ErrorKind, id::ToolCallId, message::Message, part::Part, retry};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{convert, stream::Parser};
use crate::{
    outbound::{self, Outbound, Refused},
    provider::{Call, Delta, Deltas, Failure},
    secret::ApiKey,
};

/// Largest error body read.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// Time to read an error body; its status is known already.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end is waited for once the model has said that it stopped.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// Speaks Chat Completions. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    outbound: Outbound,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The address of `path` below a base address, which stays as it was given.
pub fn endpoint(base_url: &Url, path: &str) -> Url {
    let mut url = base_url.clone();
    let base = base_url.path().trim_end_matches('/');
    url.set_path(&format!("{base}/{path}"));
    url
}

impl Client {
    /// A client that calls through `outbound`.
    pub fn new(outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, clock }
    }

    /// Sends a call; returns when the vendor has accepted it.
    ///
    /// # Errors
    /// [`Failure`]: nothing was answered.
    pub async fn open(&self, call: Call) -> Result<Deltas, Failure> {
        let Call { request, model, key } = call;
        let body = convert::request(&request, &model)
            .map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
        let url = endpoint(&model.provider.base_url, "chat/completions");
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(key) = &key {
            headers.insert(header::AUTHORIZATION, authorization(key)?);
        }
        let sending = self.outbound.post(url).map_err(|refused| refused_address(&refused))?;
        let response = sending.headers(headers).json(&body).send().await.map_err(unanswered)?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(response).await);
        }
        let parser = Parser::new(request.id, used_call_ids(&request.messages));
        Ok(deltas(response.bytes_stream(), parser).boxed())
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

/// The header that shows the key, marked so that nothing prints it.
///
/// # Errors
/// A key with characters no header can carry.
pub(crate) fn authorization(key: &ApiKey) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| {
        let text = "the API key has characters that cannot be sent";
        Failure::known(ErrorKind::Auth, text)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn refused_address(refused: &Refused) -> Failure {
    Failure::known(ErrorKind::Config, refused.to_string())
}

/// The request got no answer.
pub(crate) fn unanswered(error: reqwest::Error) -> Failure {
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

async fn error_body(response: reqwest::Response) -> String {
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

/// Ids of all calls in a prompt.
fn used_call_ids(messages: &[Message]) -> HashSet<ToolCallId> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.tool_call_id.clone()),
            _ => None,
        })
        .collect()
}

/// An answer on its way.
struct Reading<S> {
    body: S,
    /// `None` after the end.
    parser: Option<Parser>,
    ready: VecDeque<Result<Delta, Failure>>,
    /// When the end is not waited for any longer; set once the model has finished.
    ends_at: Option<Instant>,
}

fn deltas<S>(body: S, parser: Parser) -> impl Stream<Item = Result<Delta, Failure>> + Send + 'static
where
    S: Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
{
    let reading = Reading {
        body,
        parser: Some(parser),
        ready: VecDeque::new(),
        ends_at: None,
    };
    futures::stream::unfold(reading, |mut reading| async move {
        let next = reading.next().await?;
        Some((next, reading))
    })
}

impl<S> Reading<S>
where
    S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    async fn next(&mut self) -> Option<Result<Delta, Failure>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let Some(mut parser) = self.parser.take() else {
                return self.drain().await;
            };
            let mut deltas = Vec::new();
            if parser.is_finished() {
                self.ends_at.get_or_insert_with(|| Instant::now() + AFTER_FINISH);
            }
            let outcome = match self.read().await {
                Ok(Some(bytes)) => parser.push(&bytes, &mut deltas).map(|()| Some(parser)),
                Ok(None) => parser.finish(&mut deltas).map(|()| None),
                Err(broken) => match parser.finish(&mut deltas) {
                    Ok(()) => Ok(None),
                    // The way it broke says more than that it is incomplete.
                    Err(failure) if failure.cause == Cause::Truncated => Err(broken),
                    Err(failure) => Err(failure),
                },
            };
            self.ready.extend(deltas.into_iter().map(Ok));
            match outcome {
                Ok(Some(parser)) if parser.is_done() => self.end(parser),
                Ok(parser) => self.parser = parser,
                Err(failure) => self.ready.push_back(Err(failure)),
            }
        }
    }

    fn end(&mut self, parser: Parser) {
        let mut deltas = Vec::new();
        let outcome = parser.finish(&mut deltas);
        self.ready.extend(deltas.into_iter().map(Ok));
        if let Err(failure) = outcome {
            self.ready.push_back(Err(failure));
        }
    }

    /// More of the body. `None` is its end, or what counts as one: nothing of use after the model has finished.
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        let next = match self.ends_at {
            Some(ends_at) => timeout_at(ends_at, self.body.next()).await.unwrap_or(None),
            None => self.body.next().await,
        };
        next.transpose().map_err(|error| Failure {
            is_connect: false,
            ..unanswered(error)
        })
    }

    /// Reads what follows the end, usually nothing, so that the connection can be used again.
    async fn drain(&mut self) -> Option<Result<Delta, Failure>> {
        while let Some(Ok(_)) = self.body.next().await {}
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let failure = authorization(&key).unwrap_err();
        assert!(!format!("{failure:?}").contains("canary"));
    }
}
