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
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What begins a mark; no other text of a benchmark has it.
const MARK: &str = "turn#";
/// Digits of a mark.
const MARK_DIGITS: usize = 12;
/// Turns remembered until they are asked for; a benchmark asks after every turn.
const MAX_EXCHANGES: usize = 100_000;

/// Names one turn in the text of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(pub u64);

impl Mark {
    /// The text to put into the message.
    pub fn text(self) -> String {
        format!("{MARK}{:0width$}", self.0, width = MARK_DIGITS)
    }

    /// The last mark in a request, since earlier ones belong to earlier messages, with what is behind it.
    fn last_in(body: &[u8]) -> Option<(Self, &[u8])> {
        let start = body.windows(MARK.len()).rposition(|window| window == MARK.as_bytes())? + MARK.len();
        let (digits, behind) = body.get(start..)?.split_at_checked(MARK_DIGITS)?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some((Self(number), behind))
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

/// What the model has done before it says anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    /// Steps of calls before the step of words.
    pub steps: usize,
    /// Calls of `execute` in each of them.
    pub calls: usize,
    /// The arguments of a call, of all steps counted together. They hold no mark.
    pub arguments: Option<fn(Mark, usize) -> Value>,
}

impl Work {
    /// The id of a turn's call.
    pub fn call_id(mark: Mark, index: usize) -> String {
        format!("call_{}_{index}", mark.0)
    }

    /// What a step asks for, after so many results; nothing where it is time to speak.
    fn calls(&self, mark: Mark, results: usize) -> Vec<String> {
        let Some(arguments) = self.arguments.filter(|_| results < self.steps * self.calls) else {
            return Vec::new();
        };
        let asked = (results..results + self.calls).enumerate();
        asked
            .map(|(place, index)| call(place, &Self::call_id(mark, index), &arguments(mark, index)))
            .collect()
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
    work: Mutex<Work>,
    exchanges: Mutex<HashMap<Mark, Vec<Exchange>>>,
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
            work: Mutex::default(),
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

    /// Changes what is done in turns that begin from now on.
    pub fn set_work(&self, work: Work) {
        *self.shared.work.lock().unwrap_or_else(PoisonError::into_inner) = work;
    }

    /// Requests so far.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// The instants of a marked request, the last if there were several. They are forgotten with this.
    ///
    /// # Errors
    /// When no such request was answered to its end.
    pub fn take(&self, mark: Mark) -> anyhow::Result<Exchange> {
        self.take_all(mark)?.pop().context("an exchange is there")
    }

    /// The instants of all requests of a marked turn, in their order, which are forgotten with this.
    ///
    /// # Errors
    /// When no such request was answered to its end.
    pub fn take_all(&self, mark: Mark) -> anyhow::Result<Vec<Exchange>> {
        let exchanges = self.shared.exchanges().remove(&mark);
        exchanges.with_context(|| format!("the model was never asked {}", mark.text()))
    }
}

impl Drop for ClockedModel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn exchanges(&self) -> MutexGuard<'_, HashMap<Mark, Vec<Exchange>>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, mark: Option<Mark>, exchange: Exchange) {
        let mut exchanges = self.exchanges();
        if let Some(mark) = mark
            && exchanges.len() < MAX_EXCHANGES
        {
            exchanges.entry(mark).or_default().push(exchange);
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
    let marked = Mark::last_in(&body);
    let work = *shared.work.lock().unwrap_or_else(PoisonError::into_inner);
    let calls = marked.map(|(mark, behind)| work.calls(mark, results_in(behind)));
    let played = Played {
        mark: marked.map(|(mark, _)| mark),
        calls: calls.unwrap_or_default(),
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
    /// What is sent in place of words.
    calls: Vec<String>,
    /// Pieces sent.
    next: usize,
    shared: Arc<Shared>,
}

impl Played {
    /// The next piece of the body: each token, then the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let index = self.next;
        self.next += 1;
        let pieces = if self.calls.is_empty() {
            self.pace.tokens
        } else {
            self.calls.len()
        };
        if index > 0 && index < pieces && !self.pace.between.is_zero() {
            tokio::time::sleep(self.pace.between).await;
        }
        let now = Instant::now();
        let exchange = self.exchange.get_or_insert(Exchange {
            asked: self.asked,
            answered: now,
            finished: now,
        });
        exchange.finished = now;
        if index < pieces {
            let call = self.calls.get_mut(index).map(std::mem::take);
            return Some(Bytes::from(call.unwrap_or_else(|| token(index))));
        }
        if index > pieces {
            return None;
        }
        self.shared.remember(self.mark, *exchange);
        let reason = if self.calls.is_empty() { "stop" } else { "tool_calls" };
        Some(Bytes::from(end(pieces, reason)))
    }
}

const HEAD: &str =
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":"#;

fn token(index: usize) -> String {
    let role = if index == 0 { r#""role":"assistant","# } else { "" };
    format!("{HEAD}[{{\"index\":0,\"delta\":{{{role}\"content\":\"word{index} \"}},\"finish_reason\":null}}]}}\n\n")
}

fn call(place: usize, id: &str, arguments: &Value) -> String {
    let call = json!([{
        "index": 0,
        "delta": { "tool_calls": [{
            "index": place,
            "id": id,
            "type": "function",
            "function": { "name": "execute", "arguments": arguments.to_string() },
        }] },
        "finish_reason": null,
    }]);
    format!("{HEAD}{call}}}\n\n")
}

/// Results of calls in a part of a request. Text in it has its quotes escaped, so that only roles look like roles.
fn results_in(part: &[u8]) -> usize {
    const ROLE: &[u8] = br#""role":"tool""#;
    part.windows(ROLE.len()).filter(|window| *window == ROLE).count()
}

fn end(tokens: usize, reason: &str) -> String {
    format!(
        "{HEAD}[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n{HEAD}[],\"usage\":{{\"prompt_tokens\":20,\
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
        assert_eq!(Mark::last_in(body.as_bytes()), Some((Mark(123), &b"."[..])));
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

    #[tokio::test]
    async fn a_turn_is_worked_step_by_step_until_all_its_results_are_there() {
        let model = ClockedModel::start().await.unwrap();
        model.set_work(Work {
            steps: 2,
            calls: 2,
            arguments: Some(|_, index| json!({ "command": format!("echo {index}") })),
        });
        let client = crate::http::client().unwrap();
        let url = format!("{}/chat/completions", model.base_url());
        let result = r#",{"role":"tool","content":"\"role\":\"tool\""}"#;
        let mut seen = Vec::new();
        for results in [0, 2, 4] {
            let body = format!("{}{}", Mark(5).text(), result.repeat(results));
            let answer = client.post(&url).body(body).send().await.unwrap();
            let text = answer.text().await.unwrap();
            let data = text
                .split_terminator("\n\n")
                .map(|data| data.trim_start_matches("data: "));
            let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
            for choice in chunks.map(|chunk| chunk["choices"][0].clone()) {
                let call = &choice["delta"]["tool_calls"][0];
                seen.extend(call["id"].as_str().map(str::to_owned));
                seen.extend(choice["finish_reason"].as_str().map(str::to_owned));
            }
        }
        let expected = [
            "call_5_0",
            "call_5_1",
            "tool_calls",
            "call_5_2",
            "call_5_3",
            "tool_calls",
            "stop",
        ];
        assert_eq!(seen, expected);
        assert_eq!(model.take_all(Mark(5)).unwrap().len(), 3);
    }
}
