//! Vendors that fail, and clients that leave.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Answer, Bridged, KEYS, LIMIT, chat, completion, streamed, upstream::Reply};

const BEGUN: &str = concat!(
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"0123456789\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"0123456789\"}}]}\n\n",
);

fn failing(status: u16) -> Reply {
    let body = json!({ "error": { "message": format!("bad key {} here", KEYS[0]), "code": "x" } });
    Reply::new(status, "application/json", body.to_string())
}

#[tokio::test]
async fn the_next_key_is_tried_before_the_first_byte() {
    for status in [429, 401, 403] {
        let bridged = Bridged::start("openai").await;
        bridged.upstream.reply(failing(status));
        bridged.upstream.reply(Reply::json(&completion()));
        assert_eq!(bridged.chat().await.status, 200, "{status}");
        let keys: Vec<String> = bridged
            .upstream
            .asked()
            .iter()
            .map(|asked| asked.header("authorization").to_owned())
            .collect();
        assert_eq!(keys, KEYS.map(|key| format!("Bearer {key}")));
        bridged.upstream.reply(Reply::json(&completion()));
        assert_eq!(bridged.chat().await.status, 200);
        assert_eq!(
            bridged.upstream.last().header("authorization"),
            format!("Bearer {}", KEYS[1]),
            "the first one rests"
        );
        let metrics = bridged.world.metrics();
        for line in ["state=\"healthy\"} 1", "state=\"resting\"} 1"] {
            let line = format!("tandem_provider_gateway_keys{{provider=\"p0\",{line}");
            assert!(metrics.contains(&line), "{line} in {metrics}");
        }
    }
}

/// Whoever makes up a name learns what the vendor says to it, and keeps nobody else from a key by it.
#[tokio::test]
async fn a_model_that_nobody_configured_lets_keys_rest_only_when_they_are_none() {
    for (status, told, kept) in [(429, 429, true), (403, 502, true), (401, 502, false)] {
        let bridged = Bridged::start_with("openai", &KEYS, |config| config.bridge.any_model = true).await;
        for _ in KEYS {
            bridged.upstream.reply(failing(status));
        }
        let made_up = bridged.post("/openai/v1/chat/completions", &chat("p0/made-up"));
        assert_eq!(Answer::of(made_up).await.status, told, "{status}");
        assert_eq!(bridged.upstream.asked().len(), 2, "{status}: both keys were tried");
        bridged.upstream.reply(Reply::json(&completion()));
        assert_eq!(bridged.chat().await.status == 200, kept, "{status}");
    }
}

#[tokio::test]
async fn when_all_keys_are_limited_the_shortest_pause_is_told() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(failing(429).header("retry-after", "90"));
    bridged.upstream.reply(failing(429).header("retry-after", "30"));
    let answer = bridged.chat().await;
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (429, &"30".parse().unwrap())
    );
    assert!(!answer.text.contains(KEYS[0]), "{}", answer.text);
    let answer = bridged.chat().await;
    assert_eq!(answer.error(), (429, "rate_limit_exceeded".to_owned()));
    let pause: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&pause), "{pause}");
    assert_eq!(bridged.upstream.asked().len(), 2, "it is not asked again");
}

#[tokio::test]
async fn refused_keys_of_ours_are_no_fault_of_the_client() {
    for keys in [&KEYS[..], &KEYS[..1]] {
        let bridged = Bridged::start_with("openai", keys, |_| {}).await;
        bridged.upstream.reply(failing(401));
        bridged.upstream.reply(failing(401));
        assert_eq!(bridged.chat().await.error(), (502, "bad_gateway".to_owned()));
    }
}

#[tokio::test]
async fn other_errors_of_the_vendor_are_told_without_secrets() {
    let bridged = Bridged::start("openai").await;
    for status in [400, 404, 422, 500, 502] {
        bridged.upstream.reply(failing(status).header("x-request-id", "req_9"));
        let answer = bridged.chat().await;
        assert_eq!(
            (answer.status, &answer.headers["x-request-id"]),
            (status, &"req_9".parse().unwrap())
        );
        assert!(answer.text.contains("bad key [redacted] here"), "{}", answer.text);
    }
    assert_eq!(bridged.upstream.asked().len(), 5, "no key is tried for them");
    let elsewhere = Reply::new(302, "text/plain", "").header("location", "http://127.0.0.1:1/");
    bridged.upstream.reply(elsewhere);
    assert_eq!(bridged.chat().await.error(), (502, "bad_gateway".to_owned()));
}

#[tokio::test]
async fn a_vendor_without_capacity_is_left_alone_and_a_limited_one_is_not() {
    let bridged = Bridged::start_with("openai", &KEYS[..1], |_| {}).await;
    for _ in 0..8 {
        bridged.upstream.reply(failing(429));
        assert_eq!(bridged.chat().await.status, 429);
    }
    for _ in 0..4 {
        bridged.upstream.reply(failing(503));
        assert_eq!(bridged.chat().await.status, 503);
    }
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200, "which ends the row");
    for _ in 0..5 {
        bridged.upstream.reply(failing(503));
        assert_eq!(bridged.chat().await.status, 503);
    }
    let asked = bridged.upstream.asked().len();
    let answer = bridged.chat().await;
    assert_eq!(answer.error(), (503, "service_unavailable".to_owned()));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(bridged.upstream.asked().len(), asked, "nobody asked");
    let body = json!({ "model": "m-1", "input": "x" });
    let answer = Answer::of(bridged.post("/openai/v1/responses", &body)).await;
    assert_eq!(answer.status, 503, "the same model by another dialect");
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_a_bad_gateway_and_then_left_alone() {
    let bridged = Bridged::start("openai").await;
    let dead = bridged
        .world
        .provider(
            "openai-compat",
            &format!("http://{}/v1", super::free_address().unwrap()),
            &[],
        )
        .await;
    let id = bridged.world.model(&dead, "{}");
    bridged.world.storage.models.lock().unwrap().get_mut(&id).unwrap().model = "dead".to_owned();
    for _ in 0..5 {
        let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &chat("dead"))).await;
        assert_eq!(answer.error(), (502, "bad_gateway".to_owned()));
    }
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &chat("dead"))).await;
    assert_eq!(answer.error(), (503, "service_unavailable".to_owned()));
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_of_its_dialect() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::stream(BEGUN).broken());
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")))).await;
    assert_eq!(answer.status, 200);
    let rest = answer.text.strip_prefix(BEGUN).expect("what came first stands");
    assert!(rest.trim_start().starts_with("data: {\"error\":{"), "{rest}");
    let (purpose, _, output, is_estimated) = bridged.paid().await;
    assert_eq!(
        (purpose.as_str(), output, is_estimated),
        ("bridge", 5, true),
        "20 bytes were said"
    );
}

#[tokio::test]
async fn a_document_that_breaks_off_is_not_taken_for_whole() {
    let bridged = Bridged::start("openai").await;
    bridged
        .upstream
        .reply(Reply::new(200, "application/json", "{\"half\":").broken());
    let response = bridged
        .post("/openai/v1/chat/completions", &chat("m-1"))
        .send()
        .await
        .unwrap();
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn an_answer_that_breaks_before_its_first_byte_is_an_error() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::stream("").broken());
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")))).await;
    assert_eq!(answer.error(), (502, "bad_gateway".to_owned()));
}

#[tokio::test]
async fn who_takes_too_long_is_not_waited_for() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| {
        config.guards.startup = Duration::from_millis(50);
        config.guards.local_startup = Duration::from_millis(50);
        config.guards.silence = Duration::from_millis(50);
    })
    .await;
    let never = Arc::new(Semaphore::new(0));
    bridged.upstream.reply(Reply::stream("").held(&never));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")))).await;
    assert_eq!(answer.error(), (504, "timeout".to_owned()));
    bridged.upstream.reply(Reply::stream(BEGUN).held(&never));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")))).await;
    assert!(
        answer.text.starts_with(BEGUN) && answer.text.contains("\"code\":\"timeout\""),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call_and_pays_for_what_was_said() {
    let bridged = Bridged::start("openai").await;
    let never = Arc::new(Semaphore::new(0));
    bridged.upstream.reply(Reply::stream(BEGUN).held(&never));
    let response = bridged
        .post("/openai/v1/chat/completions", &streamed(chat("m-1")))
        .send()
        .await
        .unwrap();
    let mut pieces = response.bytes_stream();
    let mut seen = 0;
    while seen < BEGUN.len() {
        seen += pieces.next().await.unwrap().unwrap().len();
    }
    drop(pieces);
    tokio::time::timeout(LIMIT, bridged.upstream.dropped.notified())
        .await
        .expect("the vendor notices");
    let (purpose, input, output, is_estimated) = bridged.paid().await;
    assert_eq!((purpose.as_str(), output, is_estimated), ("bridge", 5, true));
    assert!(input > 0);
    bridged.recorded(|recorded| recorded.ends.len() == 1).await;
}

#[tokio::test]
async fn garbage_is_handed_on_and_bounded() {
    let bridged = Bridged::start("openai").await;
    let page = "<html>It works!</html>".repeat(1000);
    bridged.upstream.reply(Reply::new(200, "text/html", page.clone()));
    let answer = bridged.chat().await;
    assert_eq!((answer.status, answer.text), (200, page));
    let line = "x".repeat(24 * 1024 * 1024);
    bridged
        .upstream
        .reply(Reply::new(200, "text/event-stream", line.clone()).cut(64 * 1024));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")))).await;
    assert_eq!(
        answer.text.len(),
        line.len(),
        "a line without end is no reason to keep it"
    );
    let error = "y".repeat(1024 * 1024);
    bridged.upstream.reply(Reply::new(500, "text/plain", error));
    let answer = bridged.chat().await;
    assert_eq!(
        (answer.status, answer.text.len()),
        (500, 64 * 1024),
        "of an error no more than that"
    );
}
