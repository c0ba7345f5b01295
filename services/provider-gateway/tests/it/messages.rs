//! Completions and key checks in the protocol of Anthropic Messages.

use serde_json::json;
use tandem_proto::{
    common::v1::{ErrorKind, part::Kind},
    provider::v1::{FinishReason, TestProviderRequest, completion_event::Event},
};
use uuid::Uuid;

use crate::{
    vendor::{MESSAGE, Reply, Vendor},
    world::{World, failed, finished, text_of},
};

/// Prices that tell input, output and both kinds of caching apart, in dollars per million tokens.
const PRICES: &str = r#"{"cost":{"input_price_per_million_tokens":"3","output_price_per_million_tokens":"15",
    "cache_read_price_per_million_tokens":"0.3","cache_write_price_per_million_tokens":"3.75"}}"#;

#[tokio::test]
async fn a_stream_arrives_whole_with_its_signature_and_is_metered() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("anthropic", &base, &["sk-ant-canary-0123456789"]).await;
    let model = world.model(&provider, PRICES);
    vendor.stream(MESSAGE);

    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;

    assert_eq!(text_of(&events), "hello world");
    let done = events.iter().find_map(|event| match &event.event {
        Some(Event::ReasoningDone(part)) => Some(part.clone()),
        _ => None,
    });
    let done = done.unwrap();
    assert_eq!(done.provider_metadata_json, r#"{"anthropic":{"model":"m-1"}}"#);
    let Some(Kind::Reasoning(reasoning)) = done.kind else {
        panic!("reasoning")
    };
    assert_eq!(reasoning.signature, "sig");
    let end = finished(&events).unwrap();
    assert_eq!(
        (end.reason(), end.provider_response_id.as_str()),
        (FinishReason::Stop, "msg_1")
    );
    let usage = end.usage.as_ref().unwrap();
    assert_eq!(
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_creation_tokens,
            usage.cache_read_tokens
        ),
        (Some(10), Some(4), Some(200), Some(3000))
    );
    assert_eq!(end.cost_micros, Some(30 + 60 + 750 + 900));

    let asked = &vendor.asked()[0];
    assert_eq!(asked.key, "sk-ant-canary-0123456789");
    assert_eq!(asked.body["max_tokens"], 250, "a quarter of the model's window");
    assert_eq!(asked.body["tools"][0]["input_schema"], json!({"type": "object"}));
    assert_eq!(asked.body["messages"][0]["content"][0]["text"], "hi");
}

#[tokio::test]
async fn a_limited_key_gives_way_to_the_next_and_capacity_is_the_breakers() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world
        .provider("anthropic", &base, &["key-number-one", "key-number-two"])
        .await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Status(
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#,
    ));
    vendor.stream(MESSAGE);
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert_eq!(text_of(&events), "hello world");
    let keys: Vec<String> = vendor.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!(keys, ["key-number-one", "key-number-two"]);

    for _ in 0..6 {
        vendor.reply(Reply::Status(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ));
        let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
        let error = failed(&events).unwrap().error.clone().unwrap();
        assert_eq!(
            (error.kind(), error.is_retryable),
            (ErrorKind::Overloaded, true),
            "{error:?}"
        );
    }
    assert_eq!(vendor.asked().len(), 7, "the breaker has opened");
}

#[tokio::test]
async fn no_failure_shows_the_key_and_a_long_prompt_is_known_as_such() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("anthropic", &base, &["canary-0123456789"]).await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Status(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum (canary-0123456789)"}}"#,
    ));
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    let failed = failed(&events).unwrap();
    assert!(failed.is_context_exceeded);
    assert!(!format!("{events:?}").contains("canary"), "{events:?}");
}

#[tokio::test]
async fn a_key_is_tested_where_models_are_listed_whether_the_address_ends_with_the_version_or_not() {
    let world = World::start().await;
    let (_vendor, base) = Vendor::start().await;
    let test = async |base: &str, key: &str| {
        let message = TestProviderRequest {
            r#type: "anthropic".to_owned(),
            base_url: base.to_owned(),
            api_key: key.to_owned(),
            ..TestProviderRequest::default()
        };
        world
            .admin
            .clone()
            .test_provider(world.as_admin(message))
            .await
            .unwrap()
            .into_inner()
    };
    for address in [base.as_str(), base.trim_end_matches("/v1")] {
        let good = test(address, "sk-ant-good").await;
        assert!(good.is_ok, "{good:?}");
        assert_eq!(good.models, ["m-2", "m-1"]);
    }
    let bad = test(&base, "bad-key").await;
    assert!(
        !bad.is_ok && bad.message.contains("does not accept the API key"),
        "{bad:?}"
    );
    let none = test(&base, "").await;
    assert_eq!(none.message, "Anthropic needs an API key.");
}
