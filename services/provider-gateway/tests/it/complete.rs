//! Completions: what comes, when it ends, and what can be read again.

use std::time::Duration;

use bytes::Bytes;
use tandem_proto::{
    common::v1::{ErrorKind, part::Kind},
    provider::v1::{FinishReason, completion_event::Event},
};
use uuid::Uuid;

use crate::{
    vendor::{HELLO, Reply, TOOLS, Vendor},
    world::{World, failed, finished, text_of},
};

#[tokio::test]
async fn a_plain_stream_arrives_whole_and_is_metered() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &["sk-canary-0123456789"]).await;
    let prices = r#"{"temperature":0.5,"max_output_tokens":99,
        "cost":{"input_price_per_million_tokens":"0.15","output_price_per_million_tokens":"0.6"}}"#;
    let model = world.model(&provider, prices);
    vendor.stream(HELLO);

    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;

    assert_eq!(text_of(&events), "hello world");
    let indices: Vec<i64> = events.iter().map(|event| event.index).collect();
    assert_eq!(indices, (0..i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    assert!(matches!(events[0].event, Some(Event::Started(_))));
    let end = finished(&events).unwrap();
    assert_eq!(end.reason(), FinishReason::Stop);
    assert_eq!(end.provider_response_id, "r1");
    let usage = end.usage.as_ref().unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.context_limit),
        (Some(10), Some(4), Some(1000))
    );
    assert_eq!(end.cost_micros, Some(4), "1.5 + 2.4 rounded up");

    let asked = &vendor.asked()[0];
    assert_eq!(asked.key, "sk-canary-0123456789");
    assert_eq!(asked.body["max_completion_tokens"], 99);
    assert_eq!(asked.body["stream_options"]["include_usage"], true);
    assert_eq!(asked.body["messages"][0]["content"], "hi");
    assert_eq!(asked.body["tools"][0]["function"]["name"], "execute");
}

#[tokio::test]
async fn tool_calls_are_streamed_and_then_complete() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    vendor.stream(TOOLS);

    let events = world.complete(Uuid::new_v4(), &model, "go").await.unwrap().all().await;

    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.event {
            Some(Event::Part(part)) => match part.kind.as_ref().unwrap() {
                Kind::ToolCall(call) => Some((call.clone(), part.provider_metadata_json.clone())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[0].0.tool_call_id.as_str(), calls[0].0.arguments_json.as_str()),
        ("call_a", r#"{"command":"ls"}"#)
    );
    assert!(!calls[1].0.tool_call_id.is_empty() && calls[1].0.tool_call_id != "call_a");
    assert_eq!(
        (calls[1].0.arguments_json.as_str(), calls[1].1.as_str()),
        ("{}", r#"{"invalid_arguments":"{oops"}"#)
    );
    let streamed: String = events
        .iter()
        .filter_map(|event| match &event.event {
            Some(Event::ToolCallDelta(delta)) if delta.tool_call_id == "call_a" => Some(delta.arguments_delta.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(streamed, r#"{"command":"ls"}"#);
    assert_eq!(finished(&events).unwrap().reason(), FinishReason::ToolCalls);
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_is_a_failure_worth_another_try_or_a_whole_answer() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    let has_finished = HELLO.find("\"stop\"").unwrap();
    for cut in 0..=HELLO.len() {
        vendor.stream(&HELLO[..cut]);
        let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
        if let Some(failed) = failed(&events) {
            let error = failed.error.as_ref().unwrap();
            assert!(
                error.is_retryable && error.kind() == ErrorKind::Timeout,
                "cut at {cut}: {error:?}"
            );
            assert!(
                cut <= has_finished + 32,
                "cut at {cut}, behind the model's end, is no failure"
            );
            assert!("hello world".starts_with(&text_of(&events)));
        } else {
            assert!(finished(&events).is_some() && cut >= has_finished, "cut at {cut}");
            assert_eq!(text_of(&events), "hello world", "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_completion_goes_on_without_its_reader_and_is_read_again_from_any_place() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    let pieces = HELLO
        .split_inclusive("\n\n")
        .map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
    vendor.reply(Reply::Stream(pieces.collect(), Duration::from_millis(40)));
    let id = Uuid::new_v4();

    let mut first = world.complete(id, &model, "hi").await.unwrap();
    let started = first.next().await.unwrap();
    drop(first);
    let rest = world.attach(id, started.index).await.unwrap().all().await;
    assert_eq!(rest[0].index, 1);
    assert_eq!(text_of(&rest), "hello world");

    let again = world.complete(id, &model, "hi").await.unwrap().all().await;
    assert_eq!(again[1..], rest);
    assert_eq!(vendor.asked().len(), 1, "the same id asks the vendor once");
    let missing = world.attach(Uuid::new_v4(), -1).await.err().unwrap();
    assert_eq!(missing.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn cancelling_ends_it_at_once() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    let pieces = HELLO
        .split_inclusive("\n\n")
        .map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
    let hour = Bytes::from_static(b": wait\n\n");
    vendor.reply(Reply::Stream(
        pieces.take(1).chain([hour]).collect(),
        Duration::from_millis(50),
    ));
    vendor.reply(Reply::Stream(vec![Bytes::new()], Duration::from_secs(3600)));
    let id = Uuid::new_v4();
    let silent = Uuid::new_v4();
    drop(world.complete(id, &model, "hi").await.unwrap().all().await);
    assert!(!world.cancel(id).await, "it has ended already");

    let events = world.complete(silent, &model, "hi").await.unwrap();
    assert!(world.cancel(silent).await);
    let events = tokio::time::timeout(Duration::from_secs(2), events.all())
        .await
        .unwrap();
    assert!(failed(&events).unwrap().is_cancelled);
}

#[tokio::test]
async fn nobody_reading_ends_it_after_the_grace_period() {
    let world = World::start_with(|config| config.completions.reader_grace = Duration::from_millis(50)).await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Stream(vec![Bytes::new()], Duration::from_secs(3600)));
    let id = Uuid::new_v4();

    drop(world.complete(id, &model, "hi").await.unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;

    let events = world.attach(id, -1).await.unwrap().all().await;
    assert!(failed(&events).unwrap().is_cancelled);
}

#[tokio::test]
async fn a_limited_or_refused_key_gives_way_to_the_next() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world
        .provider(
            "openai",
            &base,
            &["key-number-one", "key-number-two", "key-number-three"],
        )
        .await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Status(401, r#"{"error":{"message":"bad key key-number-one"}}"#));
    vendor.reply(Reply::Status(429, "slow down"));
    vendor.stream(HELLO);
    vendor.stream(HELLO);

    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert_eq!(text_of(&events), "hello world");
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert!(finished(&events).is_some());
    let keys: Vec<String> = vendor.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!(
        keys,
        [
            "key-number-one",
            "key-number-two",
            "key-number-three",
            "key-number-three"
        ]
    );
}

#[tokio::test]
async fn a_vendor_without_capacity_is_left_alone_after_five_failures() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    for _ in 0..6 {
        vendor.reply(Reply::Status(503, "busy"));
        let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
        let error = failed(&events).unwrap().error.clone().unwrap();
        assert!(error.is_retryable, "{error:?}");
    }
    assert_eq!(vendor.asked().len(), 5);
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert!(
        failed(&events)
            .unwrap()
            .retry_after
            .is_some_and(|pause| pause.seconds > 20)
    );
}

#[tokio::test]
async fn no_failure_shows_the_key() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &["canary-0123456789"]).await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Status(
        401,
        r#"{"error":{"message":"wrong key canary-0123456789, sorry"}}"#,
    ));
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    let error = failed(&events).unwrap().error.clone().unwrap();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(!format!("{events:?}").contains("canary"));
    assert!(error.detail.contains("sorry"), "{error:?}");
}

#[tokio::test]
async fn silence_is_noticed_before_and_within_an_answer() {
    let world = World::start_with(|config| {
        config.guards.local_startup = Duration::from_millis(100);
        config.guards.silence = Duration::from_millis(100);
    })
    .await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    let mut expected = Vec::new();
    vendor.reply(Reply::Stream(vec![Bytes::new()], Duration::from_secs(3600)));
    expected.push(ErrorKind::StartupTimeout);
    let first = Bytes::copy_from_slice(HELLO.split_inclusive("\n\n").next().unwrap().as_bytes());
    let comments = std::iter::repeat_n(Bytes::from_static(b": still here\n\n"), 40);
    vendor.reply(Reply::Stream(
        std::iter::once(first).chain(comments).collect(),
        Duration::from_millis(20),
    ));
    expected.push(ErrorKind::StreamSilenceTimeout);
    for kind in expected {
        let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
        let error = failed(&events).unwrap().error.clone().unwrap();
        assert_eq!(error.kind(), kind);
        assert!(error.is_retryable);
    }
}

#[tokio::test]
async fn the_demo_model_needs_neither_key_nor_network() {
    let world = World::start().await;
    let provider = world.provider("demo", "", &[]).await;
    let model = world.model(&provider, "");
    let events = world
        .complete(Uuid::new_v4(), &model, "run `echo hi`")
        .await
        .unwrap()
        .all()
        .await;
    assert_eq!(finished(&events).unwrap().reason(), FinishReason::ToolCalls);
    let events = world
        .complete(Uuid::new_v4(), &model, "hello")
        .await
        .unwrap()
        .all()
        .await;
    assert!(text_of(&events).contains("demo"));
}

#[tokio::test]
async fn what_a_stop_of_the_service_cuts_off_is_worth_another_try() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &[]).await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Stream(vec![Bytes::new()], Duration::from_secs(3600)));
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap();
    world.stop_gateway();
    let events = events.all_until_broken().await;
    if let Some(failed) = failed(&events) {
        assert!(
            failed.error.as_ref().unwrap().is_retryable && !failed.is_cancelled,
            "{failed:?}"
        );
    }
    assert!(finished(&events).is_none());
}
