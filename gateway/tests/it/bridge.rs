//! The OpenAI- and Anthropic-compatible addresses: what is handed on and what stays here, both ways as it comes, and refusals in the
//! vendors' words.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::provider::v1::{
    ForwardRequest, ForwardResponse, Header, RequestHead, ResponseHead, forward_request, forward_response,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
};

use crate::world::{ADA, ADAS_TOKEN, LIMIT, World, answer};

const FORWARD: &str = "tandem.provider.v1.BridgeService/Forward";

type Answers = mpsc::Sender<Result<ForwardResponse, Fault>>;

fn head(status: i32, headers: &[(&str, &str)]) -> ForwardResponse {
    let header = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let headers = headers.iter().map(header).collect();
    ForwardResponse {
        piece: Some(forward_response::Piece::Head(ResponseHead { status, headers })),
    }
}

fn piece(bytes: impl Into<Vec<u8>>) -> ForwardResponse {
    ForwardResponse {
        piece: Some(forward_response::Piece::Body(bytes.into())),
    }
}

/// What the bridge was handed.
#[derive(Debug)]
struct Handed {
    head: RequestHead,
    body: Vec<u8>,
    /// The largest piece.
    largest: usize,
    /// Its stream ended, and did not break off.
    is_whole: bool,
}

async fn read(mut pieces: tonic::Streaming<ForwardRequest>) -> Handed {
    let first = pieces.message().await.unwrap().and_then(|first| first.piece);
    let Some(forward_request::Piece::Head(head)) = first else {
        panic!("no head but {first:?}");
    };
    let mut handed = Handed {
        head,
        body: Vec::new(),
        largest: 0,
        is_whole: false,
    };
    loop {
        match pieces.message().await {
            Ok(Some(ForwardRequest {
                piece: Some(forward_request::Piece::Body(bytes)),
            })) => {
                handed.largest = handed.largest.max(bytes.len());
                handed.body.extend(bytes);
            }
            Ok(None) => {
                handed.is_whole = true;
                return handed;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => return handed,
        }
    }
}

/// Scripts the bridge: each exchange is read to its end and then answered. Gives what was handed on, in order.
fn scripted(
    world: &World,
    answers: impl Fn(&Handed) -> Vec<ForwardResponse> + Send + Sync + 'static,
) -> Arc<Mutex<Vec<Handed>>> {
    let all: Arc<Mutex<Vec<Handed>>> = Arc::default();
    let answers = Arc::new(answers);
    let kept = Arc::clone(&all);
    world.stubs.on_exchange(FORWARD, move |pieces| {
        let (send, receive) = mpsc::channel(4);
        let (answers, kept) = (Arc::clone(&answers), Arc::clone(&kept));
        tokio::spawn(async move {
            let handed = read(pieces).await;
            let answer = answers(&handed);
            kept.lock().unwrap().push(handed);
            for part in answer {
                if send.send(Ok(part)).await.is_err() {
                    return;
                }
            }
        });
        receive
    });
    all
}

/// Scripts the bridge for one exchange: gives where to send its answers once the request's head has come.
fn by_hand(world: &World) -> mpsc::UnboundedReceiver<(tonic::Streaming<ForwardRequest>, Answers)> {
    let (exchanges, next) = mpsc::unbounded_channel();
    world.stubs.on_exchange(FORWARD, move |pieces| {
        let (send, receive) = mpsc::channel(1);
        exchanges.send((pieces, send)).unwrap();
        receive
    });
    next
}

fn ask(world: &World, path: &str) -> RequestBuilder {
    world.request(Method::POST, path).bearer_auth(ADAS_TOKEN).body("{}")
}

#[tokio::test]
async fn an_exchange_is_handed_on_without_what_belongs_here_and_answered_as_told() {
    let world = World::start().await;
    let handed = scripted(&world, |_| {
        vec![
            head(
                218,
                &[
                    ("content-type", "text/x"),
                    ("x-vendor", "1"),
                    ("x-vendor", "2"),
                    ("set-cookie", "a=b"),
                ],
            ),
            piece("one,"),
            piece("two"),
        ]
    });
    let body: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    for (path, expected) in [
        (
            "/openai/v1/chat/completions?a=b%20c",
            "/openai/v1/chat/completions?a=b%20c",
        ),
        ("/anthropic/v1/messages", "/anthropic/v1/messages"),
        (
            "/api/v2/aibridge/main/v1/messages?beta=true",
            "/api/v2/aibridge/main/v1/messages?beta=true",
        ),
        (
            "/api/v2/ai-gateway/main/v1/responses?x",
            "/api/v2/aibridge/main/v1/responses?x",
        ),
        (
            "/api/v2/aibridge/sessions/v1/models",
            "/api/v2/aibridge/sessions/v1/models",
        ),
    ] {
        let request = world
            .request(Method::PUT, path)
            .bearer_auth(ADAS_TOKEN)
            .header("x-stainless-lang", "js")
            .header("cookie", "tandem_session=other")
            .header("x-forwarded-for", "10.0.0.1")
            .body(body.clone());
        let got = answer(request).await;
        assert_eq!((got.status, got.text.as_str()), (218, "one,two"), "{path}");
        let vendors: Vec<_> = got.headers.get_all("x-vendor").iter().collect();
        assert_eq!(vendors, ["1", "2"]);
        assert_eq!(
            (&got.headers["content-type"], got.headers.contains_key("set-cookie")),
            (&"text/x".parse().unwrap(), false)
        );
        assert!(got.headers.contains_key("x-request-id"));

        let handed = handed.lock().unwrap().pop().unwrap();
        assert!(handed.is_whole && handed.body == body && handed.largest <= 256 * 1024);
        let RequestHead {
            method,
            path_and_query,
            headers,
            is_byok,
            credential_id,
            username,
        } = handed.head;
        assert_eq!((method.as_str(), path_and_query.as_str()), ("PUT", expected));
        assert_eq!(
            (is_byok, credential_id.as_str(), username.as_str()),
            (false, "session-1", "ada")
        );
        let names: Vec<&str> = headers.iter().map(|header| header.name.as_str()).collect();
        assert!(names.contains(&"x-stainless-lang"), "{names:?}");
        for name in [
            "authorization",
            "cookie",
            "host",
            "x-forwarded-for",
            "content-length",
            "connection",
        ] {
            assert!(!names.contains(&name), "{name}");
        }
        let text = format!("{headers:?}");
        let secret = format!("{:?}", ADAS_TOKEN.as_bytes());
        assert!(!text.contains(secret.trim_matches(['[', ']'])), "{text}");
    }
    let calls = world.stubs.calls("BridgeService/Forward");
    assert_eq!(calls.len(), 5);
    assert!(
        calls
            .iter()
            .all(|call| call.user.as_ref().is_some_and(|user| user.id == ADA))
    );
}

#[tokio::test]
async fn a_token_comes_where_vendors_clients_put_their_key() {
    let world = World::start().await;
    let handed = scripted(&world, |_| vec![head(200, &[])]);
    for (headers, is_byok) in [
        (vec![("x-api-key", ADAS_TOKEN)], false),
        (vec![("coder-session-token", ADAS_TOKEN)], false),
        (vec![("x-coder-ai-governance-token", ADAS_TOKEN)], false),
        (
            vec![("x-coder-ai-governance-token", ADAS_TOKEN), ("x-api-key", "sk-own")],
            true,
        ),
        (
            vec![("x-coder-ai-governance-token", ADAS_TOKEN), ("x-api-key", ADAS_TOKEN)],
            false,
        ),
    ] {
        let mut request = world.request(Method::GET, "/anthropic/v1/models");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        assert_eq!(answer(request).await.status, 200, "{headers:?}");
        let head = handed.lock().unwrap().pop().unwrap().head;
        assert_eq!(head.is_byok, is_byok, "{headers:?}");
        let own: Vec<_> = head
            .headers
            .iter()
            .filter(|header| header.name == "x-api-key")
            .collect();
        assert_eq!(own.len(), usize::from(is_byok), "{headers:?}");
        assert!(
            head.headers.iter().all(|header| header.value != ADAS_TOKEN.as_bytes()),
            "{headers:?}"
        );
    }
    let path = format!("/anthropic/v1/models?coder_session_token={ADAS_TOKEN}&access_token={ADAS_TOKEN}");
    let cookie = world
        .request(Method::GET, &path)
        .header("cookie", format!("tandem_session={ADAS_TOKEN}"));
    assert_eq!(answer(cookie).await.status, 401, "neither cookies nor addresses count");
}

#[tokio::test]
async fn what_is_refused_here_is_refused_in_the_vendors_words() {
    let world = World::start().await;
    let openai = |kind: &str, code: Value| json!({"type": kind, "param": null, "code": code});
    for (path, token, status, expected) in [
        (
            "/openai/v1/responses",
            None,
            401,
            openai("invalid_request_error", json!("invalid_api_key")),
        ),
        (
            "/openai/v1/responses",
            Some("tdm_other"),
            401,
            openai("invalid_request_error", json!("invalid_api_key")),
        ),
        (
            "/openai/v2/responses",
            Some(ADAS_TOKEN),
            404,
            openai("invalid_request_error", json!("unknown_url")),
        ),
        (
            "/api/v2/aibridge/main/v1/models",
            None,
            401,
            openai("invalid_request_error", json!("invalid_api_key")),
        ),
        ("/anthropic/v1/messages", None, 401, json!("authentication_error")),
        (
            "/anthropic/api/event_logging",
            Some(ADAS_TOKEN),
            404,
            json!("not_found_error"),
        ),
        (
            "/api/v2/ai-gateway/main/v1/messages",
            Some("tdm_other"),
            401,
            json!("authentication_error"),
        ),
    ] {
        let mut request = world.request(Method::POST, path).body("{}");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let mut got = answer(request).await;
        assert_eq!(got.status, status, "{path}: {}", got.text);
        assert_eq!(got.headers["content-type"], "application/json");
        let message = got.json["error"]["message"].take();
        assert!(
            message.as_str().is_some_and(|message| !message.is_empty()),
            "{}",
            got.text
        );
        if status == 404 {
            assert_eq!(message, format!("route not supported: POST {path}"));
        }
        let expected = match expected {
            Value::String(kind) => json!({"type": "error", "error": {"type": kind, "message": null},
                "request_id": got.headers["x-request-id"].to_str().unwrap()}),
            Value::Object(mut error) => {
                error.insert("message".to_owned(), Value::Null);
                json!({ "error": error })
            }
            other => panic!("{other}"),
        };
        assert_eq!(got.json, expected, "{path}");
    }
    assert_eq!(world.stubs.calls("BridgeService/Forward").len(), 0);
    let preflight = world
        .request(Method::OPTIONS, "/openai/v1/responses")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let got = answer(preflight).await;
    assert_eq!(
        (got.status, got.headers.contains_key("access-control-allow-origin")),
        (401, false)
    );
}

#[tokio::test]
async fn who_asks_too_often_or_cannot_be_served_now_is_told_when_to_come_back() {
    let world = World::start_with(|config| config.rate_limit.requests_per_minute = 1).await;
    scripted(&world, |_| vec![head(200, &[])]);
    assert_eq!(answer(ask(&world, "/openai/v1/responses")).await.status, 200);
    let got = answer(ask(&world, "/openai/v1/responses")).await;
    assert_eq!(
        (got.status, &got.json["error"]["code"]),
        (429, &json!("rate_limit_exceeded"))
    );
    assert!(got.headers.contains_key("retry-after"));
    let got = answer(ask(&world, "/anthropic/v1/messages")).await;
    assert_eq!(
        (got.status, &got.json["error"]["type"]),
        (429, &json!("rate_limit_error"))
    );

    let world = World::start().await;
    world.stubs.on_exchange(FORWARD, |_: tonic::Streaming<ForwardRequest>| {
        let (send, receive) = mpsc::channel::<Result<ForwardResponse, Fault>>(1);
        send.try_send(Err(Fault::unavailable("DRAINING", "busy"))).unwrap();
        receive
    });
    let got = answer(ask(&world, "/anthropic/v1/messages")).await;
    assert_eq!(
        (got.status, &got.json["error"]["type"]),
        (503, &json!("overloaded_error"))
    );
    assert_eq!(got.headers["retry-after"], "1");
    world.stubs.on_exchange(FORWARD, |_: tonic::Streaming<ForwardRequest>| {
        mpsc::channel::<Result<ForwardResponse, Fault>>(1).1
    });
    let got = answer(ask(&world, "/openai/v1/responses")).await;
    assert_eq!((got.status, &got.json["error"]["type"]), (500, &json!("server_error")));

    let got = answer(ask(&World::alone().await, "/openai/v1/responses")).await;
    assert_eq!(
        (got.status, &got.json["error"]["code"]),
        (503, &json!("service_unavailable"))
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_never_passes_for_a_whole_one() {
    const MIB: usize = 1024 * 1024;
    let world = World::start().await;
    let handed = scripted(&world, |handed| {
        vec![head(200, &[]), piece(handed.body.len().to_string())]
    });
    let fits = ask(&world, "/openai/v1/responses").body(vec![b' '; 32 * MIB]);
    assert_eq!(answer(fits).await.text, (32 * MIB).to_string());
    for (path, kind, is_chunked) in [
        ("/openai/v1/responses", "invalid_request_error", false),
        ("/anthropic/v1/messages", "request_too_large", true),
    ] {
        let body = match is_chunked {
            false => reqwest::Body::from(vec![b' '; 32 * MIB + 1]),
            true => {
                let chunks = (0..33).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; MIB])));
                reqwest::Body::wrap_stream(futures::stream::iter(chunks))
            }
        };
        let got = answer(ask(&world, path).body(body)).await;
        assert_eq!((got.status, &got.json["error"]["type"]), (413, &json!(kind)));
    }
    let is_seen = || handed.lock().unwrap().len() == 3;
    tokio::time::timeout(LIMIT, async {
        while !is_seen() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let whole: Vec<bool> = handed.lock().unwrap().iter().map(|handed| handed.is_whole).collect();
    assert_eq!(whole, [true, false, false]);
}

#[tokio::test]
async fn an_answer_comes_as_it_is_made_even_before_the_request_has_ended() {
    let world = World::start().await;
    let mut exchanges = by_hand(&world);
    let (more, chunks) = mpsc::unbounded_channel::<Result<Bytes, std::io::Error>>();
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::UnboundedReceiverStream::new(chunks));
    more.send(Ok(Bytes::from_static(b"first"))).unwrap();
    let sending = tokio::spawn(ask(&world, "/openai/v1/responses").body(body).send());
    let (mut pieces, send) = tokio::time::timeout(LIMIT, exchanges.recv()).await.unwrap().unwrap();
    assert!(matches!(
        pieces.message().await.unwrap().unwrap().piece,
        Some(forward_request::Piece::Head(_))
    ));
    assert_eq!(
        pieces.message().await.unwrap().unwrap().piece,
        Some(forward_request::Piece::Body(b"first".to_vec()))
    );
    send.send(Ok(head(200, &[("content-type", "text/event-stream")])))
        .await
        .unwrap();
    send.send(Ok(piece("data: 1\n\n"))).await.unwrap();
    let mut response = tokio::time::timeout(LIMIT, sending).await.unwrap().unwrap().unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    more.send(Ok(Bytes::from_static(b"second"))).unwrap();
    drop(more);
    assert_eq!(
        pieces.message().await.unwrap().unwrap().piece,
        Some(forward_request::Piece::Body(b"second".to_vec()))
    );
    assert!(pieces.message().await.unwrap().is_none());
    send.send(Ok(piece("data: 2\n\n"))).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 2\n\n");
    drop(send);
    assert!(response.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let world = World::start().await;
    let mut exchanges = by_hand(&world);
    let sending = tokio::spawn(ask(&world, "/openai/v1/responses").send());
    let (_pieces, send) = tokio::time::timeout(LIMIT, exchanges.recv()).await.unwrap().unwrap();
    send.send(Ok(head(200, &[]))).await.unwrap();
    send.send(Ok(piece("half"))).await.unwrap();
    let mut response = sending.await.unwrap().unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "half");
    send.send(Err(Fault::unavailable("GONE", "gone"))).await.unwrap();
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_exchange() {
    let world = World::start().await;
    let mut exchanges = by_hand(&world);
    for (is_sending, has_begun) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut client = TcpStream::connect(world.base.trim_start_matches("http://"))
            .await
            .unwrap();
        let length = if is_sending { 100 } else { 1 };
        let request = format!(
            "POST /anthropic/v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: {ADAS_TOKEN}\r\nContent-Length: {length}\r\n\r\n{{"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut pieces, send) = tokio::time::timeout(LIMIT, exchanges.recv()).await.unwrap().unwrap();
        // The head, and what there is of the body.
        for _ in 0..2 {
            assert!(pieces.message().await.unwrap().is_some());
        }
        if has_begun {
            send.send(Ok(head(200, &[]))).await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'H');
        }
        drop(client);
        let case = format!("sending: {is_sending}, begun: {has_begun}");
        let closed = tokio::time::timeout(LIMIT, send.closed()).await;
        closed.unwrap_or_else(|_| panic!("the answer goes on without its client, {case}"));
        let end = tokio::time::timeout(LIMIT, pieces.message()).await;
        let end = end.unwrap_or_else(|_| panic!("the request never ends, {case}"));
        assert!(
            end.is_err() || !is_sending,
            "a part of the request passes for the whole, {case}"
        );
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_answer_up() {
    const PIECES: usize = 64;
    let world = World::start().await;
    let mut exchanges = by_hand(&world);
    let sending = tokio::spawn(ask(&world, "/openai/v1/responses").send());
    let (_pieces, send) = tokio::time::timeout(LIMIT, exchanges.recv()).await.unwrap().unwrap();
    send.send(Ok(head(200, &[]))).await.unwrap();
    let (done, mut is_done) = oneshot::channel();
    tokio::spawn(async move {
        for _ in 0..PIECES {
            send.send(Ok(piece(vec![b'x'; 1024 * 1024]))).await.unwrap();
        }
        done.send(()).unwrap();
    });
    let mut response = sending.await.unwrap().unwrap();
    // Far longer than it takes where nobody waits for the reader.
    let early = tokio::time::timeout(std::time::Duration::from_secs(1), &mut is_done).await;
    assert!(early.is_err(), "64 MiB went somewhere, though nobody has read them");
    let mut read = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        read += chunk.len();
    }
    assert_eq!(read, PIECES * 1024 * 1024);
    is_done.await.unwrap();
}

#[tokio::test]
async fn exchanges_under_way_end_in_peace_when_the_gateway_drains() {
    let world = World::start().await;
    let mut exchanges = by_hand(&world);
    let sending = tokio::spawn(ask(&world, "/openai/v1/responses").send());
    let (_pieces, send) = tokio::time::timeout(LIMIT, exchanges.recv()).await.unwrap().unwrap();
    send.send(Ok(head(200, &[]))).await.unwrap();
    send.send(Ok(piece("one,"))).await.unwrap();
    let mut response = sending.await.unwrap().unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "one,");
    world.runtime.shutdown.drain();
    send.send(Ok(piece("two"))).await.unwrap();
    drop(send);
    assert_eq!(response.text().await.unwrap(), "two");
}
