//! A vendor of any dialect: it remembers what it was asked, headers and all, and answers with what it was given.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode},
    serve::ListenerExt,
};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

/// Turns of the runtime until what was written is on its way.
const FLUSHING_TURNS: usize = 50;

/// One request it got.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path_and_query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What it answers.
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    /// Behind the last piece: nothing more, an end, or a break.
    end: End,
}

enum End {
    Whole,
    Broken,
    /// Until there is a permit.
    Held(Arc<Semaphore>),
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            pieces: vec![body.into()],
            end: End::Whole,
        }
    }

    pub fn json(body: &Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    pub fn stream(body: &'static str) -> Self {
        Self {
            end: End::Whole,
            ..Self::new(200, "text/event-stream", body)
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// In pieces of so many bytes.
    pub fn cut(mut self, bytes: usize) -> Self {
        let whole = self.pieces.concat();
        self.pieces = whole.chunks(bytes).map(Bytes::copy_from_slice).collect();
        self
    }

    /// Without an end.
    pub fn broken(mut self) -> Self {
        self.end = End::Broken;
        self
    }

    /// With an end only when there is a permit.
    pub fn held(mut self, gate: &Arc<Semaphore>) -> Self {
        self.end = End::Held(Arc::clone(gate));
        self
    }
}

#[derive(Clone, Default)]
pub struct Upstream {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// An answer was dropped before its end.
    pub dropped: Arc<Notify>,
}

impl Upstream {
    /// Starts one; gives its address without a path too.
    pub async fn start() -> (Self, String) {
        let upstream = Self::default();
        let router = Router::new().fallback(answer).with_state(upstream.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (upstream, base)
    }

    pub fn reply(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(reply);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn last(&self) -> Asked {
        self.asked().pop().expect("it was asked")
    }
}

/// Says when it is dropped before its end.
struct Watch(Option<Arc<Notify>>);

impl Watch {
    fn is_done(&mut self) {
        self.0 = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(dropped) = self.0.take() {
            dropped.notify_one();
        }
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    upstream.asked.lock().unwrap().push(Asked {
        method: head.method.to_string(),
        path_and_query: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body,
    });
    let Some(reply) = upstream.replies.lock().unwrap().pop_front() else {
        let mut response = Response::new(Body::from("no reply is left"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        return response;
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let pieces = futures::stream::iter(reply.pieces.into_iter().map(Ok));
    let mut watch = Watch(Some(Arc::clone(&upstream.dropped)));
    let end = futures::stream::once(async move {
        let piece = match reply.end {
            End::Whole => Ok(Bytes::new()),
            End::Broken => {
                // What came before is sent first.
                for _ in 0..FLUSHING_TURNS {
                    tokio::task::yield_now().await;
                }
                Err(std::io::Error::other("broken"))
            }
            End::Held(gate) => {
                gate.acquire().await.unwrap().forget();
                Ok(Bytes::new())
            }
        };
        watch.is_done();
        piece
    });
    let pieces = pieces.then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    response.body(Body::from_stream(pieces.chain(end))).unwrap()
}
