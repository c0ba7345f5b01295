//! Models whose vendor speaks another dialect.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;
use tandem_chassis::status::Fault;
use tokio::sync::Semaphore;

use super::{Answer, Bridged, KEYS, LIMIT, chat, streamed, upstream::Reply};

const STREAM: &str = concat!(
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello \"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"world\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n",
    "data: [DONE]\n\n",
);

const BEGUN: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello \"}}]}\n\n";

fn message() -> serde_json::Value {
    json!({ "model": "m-1", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] })
}

#[tokio::test]
async fn a_program_that_speaks_messages_is_answered_by_a_model_that_does_not() {
    let bridged = Bridged::start("openai-compat").await;
    bridged.upstream.reply(Reply::stream(STREAM));
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &message())).await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["content"][0]["text"]),
        (200, &json!("hello world"))
    );
    assert_eq!(
        (&body["type"], &body["model"], &body["usage"]["output_tokens"]),
        (&json!("message"), &json!("m-1"), &json!(4))
    );
    let asked = bridged.upstream.last();
    assert_eq!(asked.path_and_query, "/v1/chat/completions");
    assert_eq!(asked.header("authorization"), format!("Bearer {}", KEYS[0]));
    assert_eq!(asked.json()["max_tokens"], 50);
    bridged.check_nothing_leaked();
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 10, 4, false));
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    assert_eq!(
        (recorded.ends[0].status, recorded.token_usages[0].output_tokens),
        (200, 4)
    );
}

#[tokio::test]
async fn streams_are_told_in_the_dialect_of_the_client() {
    let bridged = Bridged::start("openai-compat").await;
    bridged.upstream.reply(Reply::stream(STREAM).cut(11));
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &streamed(message()))).await;
    assert_eq!(
        (answer.status, &answer.headers["x-accel-buffering"]),
        (200, &"no".parse().unwrap())
    );
    assert!(answer.text.starts_with("event: message_start\n"), "{}", answer.text);
    assert!(answer.text.contains("event: message_stop\n"));
    bridged.upstream.reply(Reply::stream(STREAM).cut(11));
    let body = json!({ "model": "m-1", "input": "hi", "stream": true });
    let answer = Answer::of(bridged.post("/openai/v1/responses", &body)).await;
    assert!(answer.text.contains("event: response.completed\n"), "{}", answer.text);
}

#[tokio::test]
async fn the_demo_model_answers_every_program() {
    let bridged = Bridged::start("openai").await;
    let demo = bridged.world.provider("demo", "", &[]).await;
    let id = bridged.world.model(&demo, "{}");
    bridged.world.storage.models.lock().unwrap().get_mut(&id).unwrap().model = "demo".to_owned();
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &chat("demo"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["choices"][0]["message"]["content"].is_string());
}

#[tokio::test]
async fn failures_before_the_first_word_have_a_status() {
    let bridged = Bridged::start_with("openai-compat", &KEYS[..1], |_| {}).await;
    for (status, expected) in [(401, 502), (429, 429), (503, 503), (504, 504)] {
        for body in [message(), streamed(message())] {
            bridged.upstream.reply(Reply::new(
                status,
                "application/json",
                "{\"error\":{\"message\":\"no\"}}",
            ));
            let answer = Answer::of(bridged.post("/anthropic/v1/messages", &body)).await;
            assert_eq!(
                (answer.status, &answer.json()["type"]),
                (expected, &json!("error")),
                "{}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn spend_limits_hold_here_too() {
    let bridged = Bridged::start("openai-compat").await;
    {
        let mut ledger = bridged.world.storage.ledger.lock().unwrap();
        ledger.is_limited = true;
        ledger.refusal = Some(Fault::wrong_state("USAGE_LIMIT_EXCEEDED", "spent"));
    }
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &message())).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert!(bridged.upstream.asked().is_empty());
}

#[tokio::test]
async fn fields_that_cannot_be_carried_are_named() {
    let bridged = Bridged::start("openai-compat").await;
    let mut body = message();
    body["container"] = json!({ "id": "x" });
    let answer = Answer::of(bridged.post("/anthropic/v1/messages", &body)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("container"), "{}", answer.text);
    assert!(bridged.upstream.asked().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_completion() {
    let bridged = Bridged::start("openai-compat").await;
    let never = Arc::new(Semaphore::new(0));
    bridged.upstream.reply(Reply::stream(BEGUN).held(&never));
    let response = bridged
        .post("/anthropic/v1/messages", &streamed(message()))
        .send()
        .await
        .unwrap();
    let mut pieces = response.bytes_stream();
    pieces.next().await.unwrap().unwrap();
    drop(pieces);
    tokio::time::timeout(LIMIT, bridged.upstream.dropped.notified())
        .await
        .expect("the vendor notices");
    let (purpose, _, _, is_estimated) = bridged.paid().await;
    assert_eq!((purpose.as_str(), is_estimated), ("bridge", true));
}

#[tokio::test]
async fn an_own_credential_is_used_for_models_of_other_dialects_too() {
    let bridged = Bridged::start("openai-compat").await;
    bridged.upstream.reply(Reply::stream(STREAM));
    let asked = bridged.client.post(format!("{}/anthropic/v1/messages", bridged.base));
    let asked = asked
        .header("x-coder-ai-governance-token", crate::storage::GOOD_TOKEN)
        .header("x-api-key", "sk-own-0123456789");
    assert_eq!(Answer::of(asked.json(&message())).await.status, 200);
    assert_eq!(
        bridged.upstream.last().header("authorization"),
        "Bearer sk-own-0123456789"
    );
}
