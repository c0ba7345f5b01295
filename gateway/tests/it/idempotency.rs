//! `Idempotency-Key` at the door: what is refused, what services are told, what clients see.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;
use tandem_chassis::idempotency::{self as mark, Attempt};
use tandem_proto::{
    common::v1::Chat,
    storage::v1::{InterruptChatRequest, InterruptChatResponse},
};

use crate::world::{ADAS_TOKEN, ADMINS_TOKEN, Answer, CHAT, COMMANDS, World, answer};

type Seen = Arc<Mutex<Vec<Option<Attempt>>>>;

/// A world whose orchestrator keeps the mark of every request, and answers from the second on with what is stored.
async fn world() -> (World, Seen) {
    let world = World::start().await;
    let seen = Seen::default();
    world.stubs.on_request(&format!("{COMMANDS}/InterruptChat"), {
        let seen = Arc::clone(&seen);
        move |request: tonic::Request<InterruptChatRequest>| {
            let mut seen = seen.lock().unwrap();
            seen.push(Attempt::of(&request).unwrap());
            let chat = Chat {
                id: request.into_inner().chat_id,
                ..Chat::default()
            };
            Ok(mark::answer(InterruptChatResponse { chat: Some(chat) }, seen.len() > 1))
        }
    });
    (world, seen)
}

async fn interrupt(world: &World, prefix: &str, token: &str, key: Option<&str>) -> Answer {
    let path = format!("{prefix}/chats/{CHAT}/interrupt");
    let mut request = world.request(Method::POST, &path).bearer_auth(token).json(&json!({}));
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    answer(request).await
}

#[tokio::test]
async fn the_key_goes_with_the_call_and_the_answer_says_when_it_is_stored() {
    let (world, seen) = world().await;
    let first = interrupt(&world, "/api/v1", ADAS_TOKEN, Some("key-1")).await;
    let again = interrupt(&world, "/api/experimental", ADAS_TOKEN, Some("key-1")).await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.text, again.text);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].as_ref().map(Attempt::key), Some("key-1"));
    assert_eq!(seen[0], seen[1], "the prefix is no part of the request");
}

#[tokio::test]
async fn without_a_key_nothing_is_marked() {
    let (world, seen) = world().await;
    assert_eq!(interrupt(&world, "/api/v1", ADAS_TOKEN, None).await.status, 200);
    assert_eq!(*seen.lock().unwrap(), [None]);
}

#[tokio::test]
async fn a_malformed_key_is_refused_by_name_before_anything_is_called() {
    let (world, seen) = world().await;
    let too_long = "k".repeat(256);
    for key in ["", "two words", &too_long] {
        let refused = interrupt(&world, "/api/v1", ADMINS_TOKEN, Some(key)).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.json["validations"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(*seen.lock().unwrap(), []);
}

#[tokio::test]
async fn a_request_that_only_reads_takes_no_notice_of_a_key() {
    let (world, _) = world().await;
    let request = world.request(Method::GET, "/api/v1/users/me").bearer_auth(ADAS_TOKEN);
    let read = answer(request.header("Idempotency-Key", "two words")).await;
    assert_ne!(read.status, 400, "{}", read.text);
}
