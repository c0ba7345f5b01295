//! A stand-in for the model that keeps the time: when a request was complete and when the first byte of its answer left.
//!
//! It checks nothing and remembers only instants, so that its share of the processor stays small; the fake with a
//! conscience is [`crate::fake_llm`]. Requests are told apart by a [`Mark`] in the last message.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{Stream, stream};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// What begins a mark; no other text of a benchmark has it.
const MARK: &str = "turn#";
/// Digits of a mark.
const MARK_DIGITS: usize = 12;
/// Exchanges remembered until they are asked for; a benchmark asks after every turn.
const MAX_EXCHANGES: usize = 100_000;

/// Names one turn in the text of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(pub u64);

impl Mark {
    /// The text to put into the message.
    pub fn text(self) -> String {
        format!("{MARK}{:0width$}", self.0, width = MARK_DIGITS)
    }

    /// The last mark in a request: earlier ones belong to earlier messages.
    fn last_in(body: &[u8]) -> Option<Self> {
        let start = body.windows(MARK.len()).rposition(|window| window == MARK.as_bytes())? + MARK.len();
        let digits = body.get(start..start + MARK_DIGITS)?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Self)
    }
}

/// How the answers are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the complete request to the first byte of the answer.
    pub first: Duration,
    /// Before each token but the first.
    pub between: Duration,
    /// Tokens of an answer, at least 1.
    pub tokens: usize,
}

impl Pace {
    /// A fast vendor: 50 ms to the first token, then 8 tokens 5 ms apart.
    pub const FAST_VENDOR: Self = Self {
        first: Duration::from_millis(50),
        between: Duration::from_millis(5),
        tokens: 8,
    };
    /// As fast, once it begins: 600 ms to the first token, as large models take. Many such turns at once leave a machine idle.
    pub const SLOW_VENDOR: Self = Self {
        first: Duration::from_millis(600),
        ..Self::FAST_VENDOR
    };
    /// Takes no time at all, so that only the system's own speed counts.
    pub const INSTANT: Self = Self {
        first: Duration::ZERO,
        between: Duration::ZERO,
        tokens: 8,
    };

    /// Time from the complete request to the last token.
    pub fn total(self) -> Duration {
        self.first + self.between * u32::try_from(self.tokens.saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

/// The instants of one request.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// The request's body was complete.
    pub asked: Instant,
    /// The first byte of the answer was handed to the socket.
    pub answered: Instant,
    /// The last byte was.
    pub finished: Instant,
}

/// A running stand-in. Dropping it closes its port.
pub struct ClockedModel {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Shared {
    pace: Mutex<Pace>,
    exchanges: Mutex<HashMap<Mark, Exchange>>,
    asked: AtomicU64,
}

impl ClockedModel {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr().context("a listener has an address")?;
        let shared = Arc::new(Shared {
            pace: Mutex::new(Pace::INSTANT),
            exchanges: Mutex::default(),
            asked: AtomicU64::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// What clients take as the provider's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Changes the pace of answers that begin from now on.
    pub fn set_pace(&self, pace: Pace) {
        *self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    /// The pace of answers that begin now.
    pub fn pace(&self) -> Pace {
        *self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests so far.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// The instants of a marked request, which are forgotten with this.
    ///
    /// # Errors
    /// When no such request was answered to its end.
    pub fn take(&self, mark: Mark) -> anyhow::Result<Exchange> {
        let exchange = self.shared.exchanges().remove(&mark);
        exchange.with_context(|| format!("the model was never asked {}", mark.text()))
    }
}

impl Drop for ClockedModel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn exchanges(&self) -> MutexGuard<'_, HashMap<Mark, Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, mark: Option<Mark>, exchange: Exchange) {
        let mut exchanges = self.exchanges();
        if let Some(mark) = mark
            && exchanges.len() < MAX_EXCHANGES
        {
            exchanges.insert(mark, exchange);
        }
    }
}

/// Serves until the task is aborted. Its connections end when the other side closes them.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // The answer leaves token by token, as a vendor's does.
        stream.set_nodelay(true).ok();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = serving.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>>>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let asked = Instant::now();
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let pace = *shared.pace.lock().unwrap_or_else(PoisonError::into_inner);
    if !pace.first.is_zero() {
        tokio::time::sleep(pace.first).await;
    }
    let played = Played {
        mark: Mark::last_in(&body),
        exchange: None,
        asked,
        pace,
        next: 0,
        shared,
    };
    let frames = stream::unfold(played, |mut played| async {
        let bytes = played.next().await?;
        Some((Ok(Frame::data(bytes)), played))
    });
    let mut response = Response::new(StreamBody::new(frames));
    let event_stream = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, event_stream);
    Ok(response)
}

/// An answer being played.
struct Played {
    mark: Option<Mark>,
    exchange: Option<Exchange>,
    asked: Instant,
    pace: Pace,
    /// Tokens sent.
    next: usize,
    shared: Arc<Shared>,
}

impl Played {
    /// The next piece of the body: each token, then the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let index = self.next;
        self.next += 1;
        if index > 0 && index < self.pace.tokens && !self.pace.between.is_zero() {
            tokio::time::sleep(self.pace.between).await;
        }
        let now = Instant::now();
        let exchange = self.exchange.get_or_insert(Exchange {
            asked: self.asked,
            answered: now,
            finished: now,
        });
        exchange.finished = now;
        if index < self.pace.tokens {
            return Some(Bytes::from(token(index)));
        }
        if index > self.pace.tokens {
            return None;
        }
        self.shared.remember(self.mark, *exchange);
        Some(Bytes::from(end(self.pace.tokens)))
    }
}

const HEAD: &str =
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":"#;

fn token(index: usize) -> String {
    let role = if index == 0 { r#""role":"assistant","# } else { "" };
    format!("{HEAD}[{{\"index\":0,\"delta\":{{{role}\"content\":\"word{index} \"}},\"finish_reason\":null}}]}}\n\n")
}

fn end(tokens: usize) -> String {
    format!(
        "{HEAD}[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n{HEAD}[],\"usage\":{{\"prompt_tokens\":20,\
         \"completion_tokens\":{tokens},\"total_tokens\":{}}}}}\n\ndata: [DONE]\n\n",
        tokens + 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mark_counts() {
        let body = format!("{} and {}.", Mark(7).text(), Mark(123).text());
        assert_eq!(Mark::last_in(body.as_bytes()), Some(Mark(123)));
        assert_eq!(Mark::last_in(b"turn#12"), None);
        assert_eq!(Mark::last_in(b""), None);
    }

    #[tokio::test]
    async fn an_answer_is_streamed_at_its_pace_and_its_instants_are_kept_once() {
        let model = ClockedModel::start().await.unwrap();
        let pace = Pace {
            first: Duration::from_millis(20),
            between: Duration::from_millis(2),
            tokens: 3,
        };
        model.set_pace(pace);
        let client = crate::http::client().unwrap();
        let url = format!("{}/chat/completions", model.base_url());
        let answer = client.post(url).body(Mark(1).text()).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let data: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!((data.len(), data.last()), (6, Some(&"data: [DONE]")), "{text}");
        for chunk in &data[..5] {
            serde_json::from_str::<serde_json::Value>(chunk.trim_start_matches("data: ")).unwrap();
        }
        let exchange = model.take(Mark(1)).unwrap();
        assert!(exchange.answered - exchange.asked >= pace.first);
        assert!(exchange.finished - exchange.asked >= pace.total());
        assert!(model.take(Mark(1)).is_err());
    }
}
