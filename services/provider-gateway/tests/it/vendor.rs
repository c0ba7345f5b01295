//! A vendor that answers each request with the next reply of a list, and remembers what it was asked and with which key.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What it answers.
#[derive(Clone)]
pub enum Reply {
    /// A stream of these bytes, in pieces with pauses between them.
    Stream(Vec<Bytes>, Duration),
    /// A status and a body.
    Status(u16, &'static str),
    /// This stream, once there is a permit for it.
    Held(Arc<Semaphore>, &'static str),
}

/// One request it got.
#[derive(Clone)]
pub struct Asked {
    pub key: String,
    /// What it uses of what is in trial at the vendor; may be empty.
    pub beta: String,
    pub body: Value,
}

#[derive(Clone, Default)]
pub struct Vendor {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Vendor {
    /// Starts one; gives its base address too.
    pub async fn start() -> (Self, String) {
        let vendor = Self::default();
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/messages", post(complete))
            .route("/v1/responses", post(complete))
            .route("/v1/model/{model}/invoke-with-response-stream", post(complete))
            .route("/v1/models", get(models))
            .with_state(vendor.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (vendor, base)
    }

    pub fn reply(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(reply);
    }

    /// Answers with one stream, all at once.
    pub fn stream(&self, text: &str) {
        self.reply(Reply::Stream(
            vec![Bytes::copy_from_slice(text.as_bytes())],
            Duration::ZERO,
        ));
    }

    /// Drops the replies that nobody has asked for.
    pub fn forget(&self) {
        self.replies.lock().unwrap().clear();
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn key_of(headers: &HeaderMap) -> String {
    let value = headers.get(header::AUTHORIZATION).or_else(|| headers.get("x-api-key"));
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

async fn complete(State(vendor): State<Vendor>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let key = key_of(&headers);
    let beta = headers.get("anthropic-beta").and_then(|value| value.to_str().ok());
    let beta = beta.unwrap_or_default().to_owned();
    vendor.asked.lock().unwrap().push(Asked { key, beta, body });
    let reply = vendor.replies.lock().unwrap().pop_front();
    match reply {
        Some(Reply::Stream(pieces, pause)) => {
            let pieces = futures::stream::iter(pieces).then(move |piece| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, std::io::Error>(piece)
            });
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces)).into_response()
        }
        Some(Reply::Held(gate, text)) => {
            gate.acquire().await.unwrap().forget();
            ([(header::CONTENT_TYPE, "text/event-stream")], text).into_response()
        }
        Some(Reply::Status(status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        None => (StatusCode::IM_A_TEAPOT, "no reply is left").into_response(),
    }
}

async fn models(headers: HeaderMap) -> Response {
    match key_of(&headers).as_str() {
        "bad-key" => (StatusCode::UNAUTHORIZED, "no").into_response(),
        _ => Json(json!({"data": [{"id": "m-2"}, {"id": "m-1"}]})).into_response(),
    }
}

/// A stream that says `hello world` and how much it took.
pub const HELLO: &str = concat!(
    "data: {\"id\":\"r1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hel\"}}]}\n\n",
    "data: {\"id\":\"r1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo world\"}}]}\n\n",
    "data: {\"id\":\"r1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"r1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,\"total_tokens\":14}}\n\n",
    "data: [DONE]\n\n",
);

/// A stream that calls two tools, the second with arguments that are no JSON.
pub const TOOLS: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",",
    "\"function\":{\"name\":\"execute\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"command\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"ls\\\"}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"name\":\"execute\",\"arguments\":\"{oops\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: [DONE]\n\n",
);

/// A Messages stream that thinks and says `hello world`.
pub const MESSAGE: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":",
    "{\"input_tokens\":10,\"cache_creation_input_tokens\":200,\"cache_read_input_tokens\":3000,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":",
    "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":",
    "{\"type\":\"thinking_delta\",\"thinking\":\"Hm.\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":",
    "{\"type\":\"signature_delta\",\"signature\":\"sig\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":",
    "{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":",
    "{\"type\":\"text_delta\",\"text\":\"hello world\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
    "\"usage\":{\"output_tokens\":4}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
