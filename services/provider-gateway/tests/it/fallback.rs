//! Other models in the place of the one asked for.

use std::time::Duration;

use tandem_proto::{
    common::v1::ErrorKind,
    provider::v1::{CompletionEvent, CompletionStarted, Provider, UpdateProviderRequest, completion_event::Event},
    storage::v1::UsageRecord,
};
use uuid::Uuid;

use crate::{
    vendor::{HELLO, Reply, Vendor},
    world::{World, failed, finished, text_of},
};

const PRICE: &str = r#"{"cost":{"input_price_per_million_tokens":"1000"}}"#;

struct Pair {
    world: World,
    first: Vendor,
    second: Vendor,
    other: Provider,
    model: String,
    spare: String,
}

impl Pair {
    /// A model with another one, at another vendor, for its place. That one names the first for its own.
    async fn start() -> Self {
        let world = World::start_with(|config| config.spend.gather = Duration::from_millis(10)).await;
        let ((first, first_base), (second, second_base)) = (Vendor::start().await, Vendor::start().await);
        let provider = world
            .provider("openai", &first_base, &["sk-canary-0123456789-one"])
            .await;
        let other = world
            .provider("openai-compat", &second_base, &["sk-canary-0123456789-two"])
            .await;
        let model = world.model(&provider, "");
        let spare = world.model(&other, PRICE);
        let pair = Self {
            world,
            first,
            second,
            other,
            model,
            spare,
        };
        pair.name(&pair.model, &[&pair.model, &pair.spare], "{}");
        pair.name(&pair.spare, &[&pair.model, &pair.spare], PRICE);
        pair
    }

    fn name(&self, model: &str, fallbacks: &[&str], options: &str) {
        let mut options: serde_json::Value = serde_json::from_str(options).unwrap();
        options["fallbacks"] = serde_json::json!(fallbacks);
        let mut models = self.world.storage.models.lock().unwrap();
        models.get_mut(model).unwrap().call_config_json = options.to_string();
    }

    /// What was recorded first.
    async fn record(&self) -> UsageRecord {
        loop {
            let told = self.world.storage.told.notified();
            if let Some(record) = self.world.storage.ledger.lock().unwrap().records.first() {
                return record.clone();
            }
            told.await;
        }
    }

    async fn ask(&self) -> Vec<CompletionEvent> {
        let owner = Uuid::from_u128(5);
        let asked = self.world.complete_for(owner, Uuid::new_v4(), &self.model, "hi").await;
        asked.unwrap().all().await
    }

    fn counts(&self) -> (usize, usize) {
        (self.first.asked().len(), self.second.asked().len())
    }
}

fn started(events: &[CompletionEvent]) -> Vec<CompletionStarted> {
    let started = events.iter().filter_map(|event| match &event.event {
        Some(Event::Started(started)) => Some(started.clone()),
        _ => None,
    });
    started.collect()
}

#[tokio::test]
async fn an_overloaded_model_gives_way_and_readers_are_told_who_answers() {
    let pair = Pair::start().await;
    pair.first.reply(Reply::Status(529, "overloaded"));
    pair.second.stream(HELLO);
    let events = pair.ask().await;
    assert_eq!(text_of(&events), "hello world");
    let expected = CompletionStarted {
        provider_type: "openai-compat".to_owned(),
        model: "m-1".to_owned(),
        model_config_id: pair.spare.clone(),
        fell_back_from_model_config_id: pair.model.clone(),
        fallback_reason: ErrorKind::Overloaded.into(),
    };
    assert_eq!(started(&events), [expected]);
    assert!(matches!(events[0].event, Some(Event::Started(_))));
    let end = finished(&events).unwrap();
    assert_eq!(end.cost_micros, Some(10_000), "at the price of the one that answered");
    let record = pair.record().await;
    assert_eq!((record.model_config_id, record.cost_micros), (pair.spare, Some(10_000)));
}

#[tokio::test]
async fn the_model_asked_for_answers_under_its_own_name() {
    let pair = Pair::start().await;
    pair.first.stream(HELLO);
    let events = pair.ask().await;
    let [started] = &started(&events)[..] else {
        panic!("{events:?}")
    };
    assert_eq!(started.model_config_id, pair.model);
    assert_eq!(started.fell_back_from_model_config_id, "");
    assert_eq!(pair.counts(), (1, 0));
}

#[tokio::test]
async fn a_limit_or_an_error_in_the_stream_before_the_first_word_gives_way_too() {
    let pair = Pair::start().await;
    pair.first.reply(Reply::Status(429, "slow down"));
    pair.second.stream(HELLO);
    assert!(finished(&pair.ask().await).is_some());
    pair.first.stream(
        "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\",\"code\":\"overloaded\"}}\n\n",
    );
    pair.second.stream(HELLO);
    let events = pair.ask().await;
    assert_eq!(started(&events)[0].model_config_id, pair.spare, "{events:?}");
}

#[tokio::test]
async fn what_somebody_has_to_mend_is_told_as_it_is() {
    let pair = Pair::start().await;
    for (status, body, kind) in [
        (401, "who are you", ErrorKind::Auth),
        (
            404,
            r#"{"error":{"message":"model not found","code":"model_not_found"}}"#,
            ErrorKind::Config,
        ),
        (
            429,
            r#"{"error":{"message":"quota exceeded","code":"insufficient_quota"}}"#,
            ErrorKind::UsageLimit,
        ),
    ] {
        pair.first.reply(Reply::Status(status, body));
        let events = pair.ask().await;
        assert_eq!(
            failed(&events).unwrap().error.as_ref().unwrap().kind(),
            kind,
            "{events:?}"
        );
    }
    assert_eq!(pair.counts(), (3, 0));
}

#[tokio::test]
async fn after_the_first_word_nobody_else_is_asked() {
    let pair = Pair::start().await;
    let cut = HELLO.find("lo world").unwrap();
    pair.first.stream(&HELLO[..cut]);
    let events = pair.ask().await;
    assert!(failed(&events).is_some());
    assert_eq!(pair.counts(), (1, 0));
}

#[tokio::test]
async fn when_nobody_answers_the_failure_is_that_of_the_model_asked_for() {
    let pair = Pair::start().await;
    pair.first.reply(Reply::Status(503, "busy"));
    pair.second.reply(Reply::Status(401, "who are you"));
    let events = pair.ask().await;
    let failure = failed(&events).unwrap().error.clone().unwrap();
    assert!(
        failure.is_retryable && failure.detail.contains("p0, model m-1"),
        "{failure:?}"
    );
    assert_eq!(pair.counts(), (1, 1), "neither names the other once more");
    assert_eq!(started(&events), []);
}

#[tokio::test]
async fn an_open_breaker_gives_way_at_once_and_a_disabled_fallback_is_passed_over() {
    let pair = Pair::start().await;
    for _ in 0..5 {
        pair.first.reply(Reply::Status(503, "busy"));
        pair.second.stream(HELLO);
        assert!(finished(&pair.ask().await).is_some());
    }
    pair.second.stream(HELLO);
    assert!(finished(&pair.ask().await).is_some());
    assert_eq!(pair.counts(), (5, 6), "the vendor whose breaker is open is not asked");

    let off = UpdateProviderRequest {
        id_or_name: pair.other.id.clone(),
        is_enabled: Some(false),
        ..UpdateProviderRequest::default()
    };
    pair.world.update(off).await.unwrap();
    let events = pair.ask().await;
    let failure = failed(&events).unwrap().error.clone().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Overloaded);
    assert_eq!(pair.counts(), (5, 6));
}
