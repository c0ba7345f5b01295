//! A vendor of Chat Completions that costs next to nothing: canned answers, at once or word by word.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// Words of a streamed answer.
pub const TOKENS: usize = 32;
/// From the request to the first word of a streamed answer.
const FIRST: Duration = Duration::from_millis(20);
/// Between two words.
const BETWEEN: Duration = Duration::from_millis(2);
/// What tells that a request wants a stream; whoever writes JSON may put a space there.
const WANTS_STREAM: [&[u8]; 2] = [br#""stream":true"#, br#""stream": true"#];
/// What stands before the text of each word, and nowhere else in a streamed answer.
pub const TOKEN_MARK: &[u8] = br#""content":""#;

/// The one model.
pub const MODEL: &str = "bench";
const MODELS: &str =
    r#"{"object":"list","data":[{"id":"bench","object":"model","created":1700000000,"owned_by":"bench"}]}"#;
const WHOLE: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I help you today?"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":9,"total_tokens":29}}"#;
const HEAD: &str =
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":"#;

/// A running vendor. Dropping it closes its port.
pub struct Upstream {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts it on a free port, on the current runtime.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr().context("a listener has an address")?;
        let task = tokio::spawn(serve(listener));
        Ok(Self { address, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener) {
    // Made once: what is measured is not the making of answers.
    let words: [Bytes; TOKENS] = std::array::from_fn(|index| Bytes::from(word(index)));
    let words: &'static [Bytes] = Box::leak(Box::new(words));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BETWEEN).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, words));
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = serving.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
}

type Body = Either<Full<Bytes>, StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

async fn answer(request: Request<Incoming>, words: &'static [Bytes]) -> Result<Response<Body>, hyper::Error> {
    // Gateways look who is there before they hand anything on.
    if request.method() == Method::GET {
        return Ok(of_kind("application/json", Either::Left(Full::from(MODELS))));
    }
    let body = request.into_body().collect().await?.to_bytes();
    let is_in = |mark: &&[u8]| body.windows(mark.len()).any(|window| window == *mark);
    let (kind, body) = match WANTS_STREAM.iter().any(is_in) {
        false => ("application/json", Either::Left(Full::from(WHOLE))),
        true => {
            let frames = stream::unfold(0, move |index| async move {
                let bytes = match words.get(index) {
                    Some(word) => {
                        tokio::time::sleep(if index == 0 { FIRST } else { BETWEEN }).await;
                        word.clone()
                    }
                    None if index == words.len() => Bytes::from_static(end()),
                    None => return None,
                };
                Some((Ok(Frame::data(bytes)), index + 1))
            });
            (
                "text/event-stream",
                Either::Right(StreamBody::new(Box::pin(frames) as stream::BoxStream<'static, _>)),
            )
        }
    };
    Ok(of_kind(kind, body))
}

fn of_kind(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn word(index: usize) -> String {
    let role = if index == 0 { r#""role":"assistant","# } else { "" };
    format!("{HEAD}[{{\"index\":0,\"delta\":{{{role}\"content\":\"word{index} \"}},\"finish_reason\":null}}]}}\n\n")
}

fn end() -> &'static [u8] {
    concat!(
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":32,"total_tokens":52}}"#,
        "\n\ndata: [DONE]\n\n"
    )
    .as_bytes()
}
