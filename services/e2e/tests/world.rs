//! The world's own tools, against stand-ins for the system.

use std::time::Duration;

use futures::SinkExt as _;
use serde_json::{Value, json};
use tandem_e2e::world::{Rest, Stream, Transcript, World, lines};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

const LIMIT: Duration = Duration::from_secs(10);

fn message(id: i64, role: &str, text: &str) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    json!({ "type": "message", "cursor": format!("v{id}"), "message": { "id": id, "role": role, "content": content } })
}

fn part(text: &str) -> Value {
    json!({ "type": "message_part", "message_part": { "part": { "type": "text", "text": text } } })
}

fn status(status: &str) -> Value {
    json!({ "type": "status", "status": { "status": status } })
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_reported_with_its_status() {
    let error = World::builder()
        .all_in_one()
        .program("/bin/false")
        .start()
        .await
        .err()
        .expect("no world without a system");
    let told = format!("{error:#}");
    assert!(
        told.contains("ended with exit status: 1") && told.contains("the log of tandem"),
        "{told}"
    );
}

#[test]
fn a_transcript_replaces_live_text_and_withdraws_what_is_reset() {
    let events = [
        status("running"),
        message(1, "user", "hi"),
        part("Hel"),
        json!({ "type": "preview_reset" }),
        part("Hello"),
        status("running"),
        message(2, "assistant", "Hello"),
        message(2, "assistant", "Hello"),
        message(3, "user", "edited away"),
        json!({ "type": "history_reset", "history_reset": { "from_message_id": 3 } }),
        status("waiting"),
    ];
    let half = Transcript::of(&events[..5]);
    assert_eq!((half.live_text.as_str(), half.is_settled()), ("Hello", false));
    let all = Transcript::of(&events);
    assert_eq!(all.lines(), ["user: hi", "assistant: Hello"]);
    assert_eq!(lines(all.messages.values()), all.lines());
    assert_eq!(
        (all.statuses, all.repeated),
        (vec!["running".into(), "waiting".into()], vec![2])
    );
    assert_eq!((all.live_text.as_str(), all.cursor.as_deref()), ("", Some("v3")));
}

#[tokio::test]
async fn a_stream_collects_batches_and_says_how_it_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let batch = json!([status("running"), message(1, "user", "hi")]);
        for frame in [batch, message(2, "assistant", "ho"), json!([status("waiting")])] {
            socket.send(Message::text(frame.to_string())).await.unwrap();
        }
        socket.close(None).await.unwrap();
    });
    let stream = Stream::open(&base, "/stream", Some("token")).await.unwrap();
    let events = stream.settled(LIMIT).await.unwrap();
    assert_eq!(Transcript::of(&events).lines(), ["user: hi", "assistant: ho"]);
    let never = stream.wait_until(LIMIT, |events| events.len() > 100).await;
    assert!(format!("{:#}", never.unwrap_err()).contains("the stream ended first"));
    server.await.unwrap();
}

#[tokio::test]
async fn unexpected_answers_are_shown_whole() {
    let fake = tandem_e2e::fake_llm::FakeLlm::start().await.unwrap();
    let client = tandem_e2e::http::client().unwrap();
    let rest = Rest::new(
        client,
        format!("http://{}", fake.address()),
        Some("sk-wrong-key-000".into()),
    );
    let error = rest.get("/v1/models").await.unwrap().expect(200).unwrap_err();
    let told = format!("{error:#}");
    assert!(
        told.contains("GET /v1/models was answered 401") && told.contains("invalid_api_key"),
        "{told}"
    );
    let refused = Stream::open(rest.base(), "/v1/models", None)
        .await
        .err()
        .expect("no WebSocket here");
    assert!(format!("{refused:#}").contains("401"));
}
