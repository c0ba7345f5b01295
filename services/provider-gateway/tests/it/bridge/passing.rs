//! What is handed on without being understood, and lists of models.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Answer, Bridged, KEYS, LIMIT, completion, upstream::Reply};
use crate::storage::GOOD_TOKEN;

#[tokio::test]
async fn what_is_on_the_list_is_handed_on_with_our_credential() {
    let bridged = Bridged::start("openai").await;
    for (method, path, at_vendor) in [
        (
            Method::GET,
            "/v1/responses/resp_1?include=a&x=%20",
            "/v1/responses/resp_1?include=a&x=%20",
        ),
        (Method::POST, "/v1/conversations", "/v1/conversations"),
        (
            Method::DELETE,
            "/v1/conversations/c_1/items/i_1",
            "/v1/conversations/c_1/items/i_1",
        ),
        (Method::GET, "/v1/models", "/v1/models"),
        (Method::GET, "/v1/models/a%2Fb", "/v1/models/a%2Fb"),
    ] {
        bridged
            .upstream
            .reply(Reply::new(202, "application/json", "{\"odd\" : 1}"));
        let asked = bridged
            .client
            .request(method.clone(), format!("{}/api/v2/aibridge/p0{path}", bridged.base));
        let answer = Answer::of(asked.bearer_auth(GOOD_TOKEN).body("body")).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, "{\"odd\" : 1}"), "{path}");
        let asked = bridged.upstream.last();
        assert_eq!(
            (asked.method.as_str(), asked.path_and_query.as_str()),
            (method.as_str(), at_vendor)
        );
        assert_eq!(asked.header("authorization"), format!("Bearer {}", KEYS[0]));
        assert_eq!(asked.header("user-agent"), "tandem-bridge");
    }
    bridged.check_nothing_leaked();
    assert!(
        bridged.world.storage.recorded.lock().unwrap().starts.is_empty(),
        "counted, not recorded"
    );
    assert!(
        bridged
            .world
            .metrics()
            .contains("tandem_bridge_passthrough_total{provider=\"p0\",route=\"models\",method=\"GET\"} 2")
    );
}

#[tokio::test]
async fn anthropics_other_paths_are_below_its_root() {
    let bridged = Bridged::start("anthropic").await;
    bridged.upstream.reply(Reply::new(200, "application/json", "{}"));
    let path = "/api/v2/aibridge/p0/api/event_logging/batch";
    assert_eq!(Answer::of(bridged.post(path, &json!({}))).await.status, 200);
    assert_eq!(bridged.upstream.last().path_and_query, "/api/event_logging/batch");
    bridged.upstream.reply(Reply::json(&json!({ "input_tokens": 7 })));
    let body = json!({ "model": "p0/m-1", "messages": [{ "role": "user", "content": "hi" }] });
    let answer = Answer::of(bridged.post("/anthropic/v1/messages/count_tokens", &body)).await;
    assert_eq!(answer.json(), json!({ "input_tokens": 7 }));
    let asked = bridged.upstream.last();
    assert_eq!(
        (asked.path_and_query.as_str(), &asked.json()["model"]),
        ("/v1/messages/count_tokens", &json!("m-1"))
    );
    assert_eq!(asked.header("x-api-key"), KEYS[0]);
}

#[tokio::test]
async fn tokens_are_estimated_where_the_vendor_does_not_count() {
    let bridged = Bridged::start("openai").await;
    let body = json!({ "model": "m-1", "messages": [{ "role": "user", "content": "a".repeat(400) }] });
    let answer = Answer::of(bridged.post("/anthropic/v1/messages/count_tokens", &body)).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "input_tokens": 100 })));
    assert!(bridged.upstream.asked().is_empty());
}

#[tokio::test]
async fn vendors_errors_are_told_without_secrets() {
    let bridged = Bridged::start("openai").await;
    bridged
        .upstream
        .reply(Reply::new(404, "text/plain", format!("key {} is bad", KEYS[0])));
    let answer = Answer::of(bridged.get("/api/v2/aibridge/p0/v1/models")).await;
    assert_eq!((answer.status, answer.text.as_str()), (404, "key [redacted] is bad"));
    assert_eq!(bridged.upstream.asked().len(), 1, "no other key would do better");
}

/// What the vendor says to a path that somebody chose is no reason to keep everybody from a key.
#[tokio::test]
async fn no_answer_to_a_chosen_path_lets_a_key_rest() {
    let bridged = Bridged::start("openai").await;
    for (status, told) in [(429, 429), (403, 403), (401, 502)] {
        for path in ["responses/r1", "models/odd", "conversations/c/items"] {
            let reply = Reply::new(status, "application/json", format!("no, {}", KEYS[0]));
            bridged.upstream.reply(reply.header("retry-after", "30"));
            let answer = Answer::of(bridged.get(&format!("/api/v2/aibridge/p0/v1/{path}"))).await;
            assert_eq!(answer.status, told, "{status} {path}");
            assert!(!answer.text.contains(KEYS[0]), "{}", answer.text);
            assert_eq!(answer.headers.contains_key("retry-after"), told == status);
            assert_eq!(answer.text == "no, [redacted]", told == status, "{}", answer.text);
        }
    }
    let asked = bridged.upstream.asked();
    assert_eq!(asked.len(), 9, "each was asked once");
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    for asked in bridged.upstream.asked() {
        assert_eq!(asked.header("authorization"), format!("Bearer {}", KEYS[0]));
    }
    let metrics = bridged.world.metrics();
    assert!(
        metrics.contains("tandem_provider_gateway_keys{provider=\"p0\",state=\"resting\"} 0"),
        "{metrics}"
    );
    for status in [401, 403, 429] {
        let line = format!(
            "tandem_bridge_passthrough_refusals_total{{provider=\"p0\",route=\"responses\",status=\"{status}\"}} 1"
        );
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn counting_tokens_lets_no_key_rest_either() {
    let bridged = Bridged::start("anthropic").await;
    bridged.upstream.reply(Reply::new(429, "application/json", "{}"));
    let body = json!({ "model": "m-1", "max_tokens": 1, "messages": [{ "role": "user", "content": "hi" }] });
    let answer = Answer::of(bridged.post("/anthropic/v1/messages/count_tokens", &body)).await;
    assert_eq!(answer.status, 429);
    bridged.upstream.reply(Reply::json(&json!({ "type": "message" })));
    assert_eq!(
        Answer::of(bridged.post("/anthropic/v1/messages", &body)).await.status,
        200
    );
    assert_eq!(bridged.upstream.last().header("x-api-key"), KEYS[0]);
}

#[tokio::test]
async fn keys_that_rest_for_answers_are_not_shown_on_other_paths_either() {
    let bridged = Bridged::start("openai").await;
    bridged
        .upstream
        .reply(Reply::new(429, "text/plain", "no").header("retry-after", "30"));
    bridged.upstream.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    let path = "/api/v2/aibridge/p0/v1/responses/r1";
    bridged.upstream.reply(Reply::new(200, "text/plain", "yes"));
    assert_eq!(Answer::of(bridged.get(path)).await.status, 200);
    assert_eq!(
        bridged.upstream.last().header("authorization"),
        format!("Bearer {}", KEYS[1])
    );
    bridged
        .upstream
        .reply(Reply::new(429, "text/plain", "no").header("retry-after", "60"));
    assert_eq!(bridged.chat().await.status, 429);
    let asked = bridged.upstream.asked().len();
    let answer = Answer::of(bridged.get(path)).await;
    assert_eq!(
        (answer.status, bridged.upstream.asked().len()),
        (429, asked),
        "all of them rest"
    );
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_stream_that_is_passed_on_has_a_time_for_all_of_it() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| {
        config.guards.total = Duration::from_millis(100);
    })
    .await;
    let never = Arc::new(Semaphore::new(0));
    let path = "/api/v2/aibridge/p0/v1/responses/r1?stream=true";
    bridged
        .upstream
        .reply(Reply::stream("data: {\"type\":\"a\"}\n\ndata: {").held(&never));
    let answer = Answer::of(bridged.get(path)).await;
    let rest = answer.text.strip_prefix("data: {\"type\":\"a\"}\n\ndata: {\n\n");
    let rest = rest.expect("what came first stands, and half a line spoils nothing");
    assert!(
        rest.starts_with("event: error\ndata: {") && rest.contains("\"code\":\"timeout\""),
        "{rest}"
    );
    tokio::time::timeout(LIMIT, bridged.upstream.dropped.notified())
        .await
        .expect("the vendor is left");
    bridged
        .upstream
        .reply(Reply::new(200, "application/json", "{\"half\":").held(&never));
    let response = bridged.get(path).send().await.unwrap();
    assert!(response.bytes().await.is_err(), "a document has no place for an error");
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_each_family() {
    let bridged = Bridged::start("openai").await;
    let list = Answer::of(bridged.get("/openai/v1/models")).await.json();
    assert_eq!(list["object"], "list");
    let model = &list["data"][0];
    assert_eq!(
        (&model["id"], &model["object"], &model["owned_by"]),
        (&json!("m-1"), &json!("model"), &json!("p0"))
    );
    let list = Answer::of(bridged.get("/anthropic/v1/models")).await.json();
    let model = &list["data"][0];
    assert_eq!(
        (&model["id"], &model["type"], &list["has_more"]),
        (&json!("m-1"), &json!("model"), &json!(false))
    );
    for path in [
        "/openai/v1/models/m-1",
        "/openai/v1/models/p0/m-1",
        "/openai/v1/models/p0%2Fm-1",
    ] {
        assert_eq!(Answer::of(bridged.get(path)).await.status, 200, "{path}");
    }
    assert_eq!(Answer::of(bridged.get("/openai/v1/models/m-9")).await.status, 404);
    assert!(bridged.upstream.asked().is_empty());
}

#[tokio::test]
async fn two_models_of_one_name_are_listed_apart() {
    let bridged = Bridged::start("openai").await;
    let second = bridged
        .world
        .provider("openai-compat", "http://127.0.0.1:9/v1", &[])
        .await;
    bridged.world.model(&second, "{}");
    let list = Answer::of(bridged.get("/openai/v1/models")).await.json();
    let mut ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert!(ids == ["m-1", "p1/m-1"] || ids == ["m-1", "p0/m-1"], "{ids:?}");
}
