//! The older transport: one stream of events for what the server says, and an address, which it names first, for what we say.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use rmcp::RoleClient;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use sse_stream::{Sse as Event, SseStream};
use tandem_chassis::outbound;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::http::{self as wire, Http, MAX_ANSWER_BYTES, Undelivered};
use crate::session::Ended;
use crate::{Failure, values};

/// Messages that wait to be read; the stream is read no further meanwhile.
const QUEUE: usize = 16;

/// Longest address a server may name, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_048;

type Message = RxJsonRpcMessage<RoleClient>;

/// A connection.
pub struct Sse {
    http: Http,
    endpoint: Url,
    messages: mpsc::Receiver<Message>,
    /// Where failures of what we say are put in as answers.
    failures: mpsc::Sender<Message>,
    /// The stream has ended, or is wanted no more.
    over: CancellationToken,
    _reading: DropGuard,
}

impl Sse {
    /// Opens the stream and waits for the address. It must be on the same host: what we say carries secrets.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(http: Http, url: &Url, ended: Ended) -> Result<Self, Failure> {
        let response = http
            .send(Method::GET, url.as_str(), None, std::collections::HashMap::new(), None)
            .await
            .map_err(wire::Failure::plain)?;
        if !response.status().is_success() {
            return Err(wire::refusal(response).await.plain());
        }
        if !is_event_stream(response.headers()) {
            return Err(Failure::Refused(
                "the server's answer is no stream of events".to_owned(),
            ));
        }
        let pending = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&pending);
        // An event has an end, the stream has none: what counts is what has come since the last event.
        let bounded = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| Broken(outbound::chain(&error.without_url())))?;
            if counted.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Broken(wire::Failure::too_large().text));
            }
            Ok(chunk)
        });
        let mut events = SseStream::from_bytes_stream(bounded);
        let endpoint = loop {
            let event = events.next().await;
            let Some(Ok(event)) = event else {
                return Err(Failure::Refused("the server names no address for messages".to_owned()));
            };
            pending.store(0, Ordering::Relaxed);
            if event.event.as_deref() == Some("endpoint") {
                break event.data.unwrap_or_default();
            }
        };
        let endpoint = endpoint_of(url, endpoint.trim())?;
        let (failures, messages) = mpsc::channel(QUEUE);
        let (sender, over) = (failures.clone(), CancellationToken::new());
        let ending = over.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = ending.cancelled() => {}
                why = read(&mut events, &pending, &sender) => ended.say(&why),
            }
            ending.cancel();
        });
        Ok(Self {
            http,
            endpoint,
            messages,
            failures,
            _reading: over.clone().drop_guard(),
            over,
        })
    }
}

/// Reads until the stream ends, and says why it did.
async fn read<S>(events: &mut S, pending: &AtomicUsize, sender: &mpsc::Sender<Message>) -> String
where
    S: futures::Stream<Item = Result<Event, sse_stream::Error>> + Unpin,
{
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return outbound::chain(&error),
        };
        pending.store(0, Ordering::Relaxed);
        let is_message = event.event.as_deref().is_none_or(|kind| kind == "message");
        let message = event.data.filter(|_| is_message);
        if message
            .as_ref()
            .is_some_and(|data| values::are_too_many(data.as_bytes()))
        {
            return values::too_many();
        }
        if let Some(message) = message.and_then(|data| serde_json::from_str(&data).ok())
            && sender.send(message).await.is_err()
        {
            break;
        }
    }
    "the server ended the stream".to_owned()
}

/// The address for messages, as the server names it.
fn endpoint_of(url: &Url, named: &str) -> Result<Url, Failure> {
    let endpoint = (named.len() <= MAX_ENDPOINT_BYTES)
        .then(|| url.join(named).ok())
        .flatten();
    endpoint
        .filter(|endpoint| endpoint.origin() == url.origin())
        .ok_or_else(|| {
            let text = "the server names an address for messages that is not its own";
            Failure::Refused(text.to_owned())
        })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}

impl Transport<RoleClient> for Sse {
    type Error = Undelivered;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (http, endpoint, failures) = (self.http.clone(), self.endpoint.clone(), self.failures.clone());
        async move {
            let body = serde_json::to_vec(&message).map_err(|error| Undelivered(error.to_string()))?;
            let sent = http
                .send(
                    Method::POST,
                    endpoint.as_str(),
                    None,
                    std::collections::HashMap::new(),
                    Some(body),
                )
                .await;
            let failure = match sent {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => wire::refusal(response).await,
                Err(failure) => failure,
            };
            let ClientJsonRpcMessage::Request(request) = message else {
                return Err(Undelivered(failure.text));
            };
            // Nobody reads it when the connection has ended meanwhile.
            let _ = failures.send(failure.message(request.id)).await;
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<Message> {
        tokio::select! {
            biased;
            message = self.messages.recv() => message,
            () = self.over.cancelled() => None,
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.over.cancel();
        Ok(())
    }
}

/// Why the stream is not read on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_the_servers_own_host_and_to_no_other() {
        let url: Url = "https://mcp.example.com:8443/a/sse?key=1".parse().unwrap();
        let place = |named: &str| endpoint_of(&url, named).map(String::from);
        let own = "https://mcp.example.com:8443/messages?id=1".to_owned();
        assert_eq!(place("/messages?id=1"), Ok(own.clone()));
        assert_eq!(place("https://mcp.example.com:8443/messages?id=1"), Ok(own));
        for foreign in [
            "https://evil.example.com/messages",
            "//169.254.169.254/",
            "http://mcp.example.com:8443/messages",
            "https://mcp.example.com/messages",
            &"x".repeat(MAX_ENDPOINT_BYTES + 1),
        ] {
            assert!(place(foreign).is_err(), "{foreign}");
        }
    }
}
