//! A reader of a WebSocket: collects events and lets tests wait for what they expect.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use super::Transcript;

/// Events one reader keeps; a test that needs more has lost its way.
const MAX_EVENTS: usize = 500_000;
/// Time to connect and upgrade.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// One open stream. Dropping it closes the connection.
pub struct Stream {
    state: Arc<State>,
    said: mpsc::UnboundedSender<String>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    events: Mutex<Vec<Value>>,
    /// Why the stream is over.
    ended: Mutex<Option<String>>,
    changed: Notify,
}

impl Stream {
    /// Opens `path` of `ws://host:port` with a token.
    ///
    /// # Errors
    /// When the upgrade is refused; the error has the status and body.
    pub async fn open(base: &str, path: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let url = format!("{}{path}", base.replacen("http", "ws", 1));
        let mut request = url.clone().into_client_request()?;
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse()?;
            request.headers_mut().insert("authorization", value);
        }
        let connecting = timeout(CONNECT_LIMIT, tokio_tungstenite::connect_async(request));
        let socket = match connecting.await.with_context(|| format!("{url} did not upgrade"))? {
            Ok((socket, _)) => socket,
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                bail!(
                    "{url} refused with {}: {}",
                    response.status(),
                    String::from_utf8_lossy(&body)
                );
            }
            Err(error) => return Err(error).with_context(|| format!("{url} not reached")),
        };
        let state = Arc::new(State::default());
        let (said, saying) = mpsc::unbounded_channel();
        let task = tokio::spawn(read(socket, Arc::clone(&state), saying));
        Ok(Self { state, said, task })
    }

    /// Sends a text frame, unless the stream is over.
    pub fn say(&self, text: impl Into<String>) {
        // Whoever waits for the answer learns why the stream is over.
        let _ = self.said.send(text.into());
    }

    /// Everything received so far, in order.
    pub fn events(&self) -> Vec<Value> {
        self.state.events().clone()
    }

    /// Why the stream is over; `None` while it is open.
    pub fn ended(&self) -> Option<String> {
        self.state.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the events satisfy `met` and returns them.
    ///
    /// # Errors
    /// When they did not within `limit`, or the stream ended before; the error shows the last events.
    pub async fn wait_until(&self, limit: Duration, met: impl Fn(&[Value]) -> bool) -> anyhow::Result<Vec<Value>> {
        let waiting = async {
            loop {
                let mut changed = pin!(self.state.changed.notified());
                changed.as_mut().enable();
                // The end is looked at first: events that came with it are then in the list.
                let ended = self.ended();
                if met(&self.state.events()) {
                    return Ok(self.events());
                }
                if let Some(why) = ended {
                    bail!("the stream ended first: {why}; {}", self.summary());
                }
                changed.await;
            }
        };
        match timeout(limit, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("events not as expected within {limit:?}; {}", self.summary()),
        }
    }

    /// Waits for the end of the turn: the chat waits, and the last message is an answer, not a question.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn settled(&self, limit: Duration) -> anyhow::Result<Vec<Value>> {
        self.wait_until(limit, |events| Transcript::of(events).is_settled())
            .await
    }

    fn summary(&self) -> String {
        let events = self.state.events();
        let last: Vec<String> = events.iter().rev().take(20).rev().map(Value::to_string).collect();
        format!("{} events, the last of them: {last:#?}", events.len())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn events(&self) -> MutexGuard<'_, Vec<Value>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, why: String) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.changed.notify_waiters();
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn read(mut socket: Socket, state: Arc<State>, mut saying: mpsc::UnboundedReceiver<String>) {
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            Some(text) = saying.recv() => {
                if let Err(error) = socket.send(Message::text(text)).await {
                    return state.end(error.to_string());
                }
                continue;
            }
        };
        let Some(message) = message else { break };
        let text = match message {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_)) => {
                // The answer is queued by the library; it leaves with the next flush.
                socket.flush().await.ok();
                continue;
            }
            Ok(Message::Close(frame)) => return state.end(format!("closed by the server: {frame:?}")),
            Ok(_) => continue,
            Err(error) => return state.end(error.to_string()),
        };
        let mut events = state.events();
        match serde_json::from_str(&text) {
            // A chat's stream sends arrays, the watch feed single objects.
            Ok(Value::Array(batch)) => events.extend(batch),
            Ok(event) => events.push(event),
            Err(error) => {
                drop(events);
                return state.end(format!("a frame is no JSON: {error}"));
            }
        }
        let full = events.len() > MAX_EVENTS;
        drop(events);
        state.changed.notify_waiters();
        if full {
            return state.end(format!("more than {MAX_EVENTS} events"));
        }
    }
    state.end("the connection is closed".to_owned());
}
