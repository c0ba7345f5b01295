//! What is reserved before a completion, and what is recorded of it.

use std::time::Duration;

use bytes::Bytes;
use tandem_chassis::status::Fault;
use tandem_proto::{
    common::v1::{ChatError, ErrorKind},
    provider::v1::CompletionEvent,
    storage::v1::UsageRecord,
};
use tandem_provider_gateway::Config;
use uuid::Uuid;

use crate::{
    storage::Ledger,
    vendor::{HELLO, MESSAGE, Reply, Vendor},
    world::{World, failed, finished},
};

const OWNER: Uuid = Uuid::from_u128(0xada);

const PRICES: &str = r#"{"max_output_tokens":100,"cost":{"input_price_per_million_tokens":"1",
    "output_price_per_million_tokens":"10"}}"#;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

struct Scene {
    world: World,
    vendor: Vendor,
    model: String,
}

impl Scene {
    async fn new(is_limited: bool, change: impl FnOnce(&mut Config)) -> Self {
        Self::of("openai-compat", PRICES, is_limited, change).await
    }

    /// Of a vendor whose own search may interrupt its answers.
    async fn searching() -> Self {
        let options = PRICES.replacen(
            '{',
            r#"{"provider_options":{"anthropic":{"web_search_enabled":true}},"#,
            1,
        );
        Self::of("anthropic", &options, true, |_| ()).await
    }

    async fn of(kind: &str, options: &str, is_limited: bool, change: impl FnOnce(&mut Config)) -> Self {
        let world = World::start_with(change).await;
        let (vendor, base) = Vendor::start().await;
        let keys: &[&str] = if kind == "anthropic" { &["sk-1", "sk-2"] } else { &[] };
        let provider = world.provider(kind, &base, keys).await;
        let model = world.model(&provider, options);
        world.storage.ledger.lock().unwrap().is_limited = is_limited;
        Self { world, vendor, model }
    }

    async fn run(&self, id: Uuid) -> Vec<CompletionEvent> {
        let events = self.world.complete_for(OWNER, id, &self.model, "hello").await;
        events.unwrap().all().await
    }

    /// Waits until the ledger is so.
    async fn until<T>(&self, look: impl Fn(&Ledger) -> Option<T>) -> T {
        let wait = async {
            loop {
                let told = self.world.storage.told.notified();
                if let Some(found) = look(&self.world.storage.ledger.lock().unwrap()) {
                    return found;
                }
                told.await;
            }
        };
        tokio::time::timeout(LIMIT, wait)
            .await
            .expect("the ledger became so in time")
    }

    async fn record(&self) -> UsageRecord {
        self.until(|ledger| ledger.records.first().cloned()).await
    }
}

fn error(events: &[CompletionEvent]) -> ChatError {
    failed(events).unwrap().error.clone().unwrap()
}

#[tokio::test]
async fn without_limits_nothing_is_reserved_and_what_was_used_is_recorded_later() {
    let scene = Scene::new(false, |_| ()).await;
    scene.vendor.stream(HELLO);
    let id = Uuid::new_v4();
    assert!(finished(&scene.run(id).await).is_some());
    let record = scene.record().await;
    assert!(scene.world.storage.ledger.lock().unwrap().reservations.is_empty());
    assert_eq!(record.completion_id, id.to_string());
    assert_eq!(
        (
            record.owner_id.as_str(),
            record.purpose.as_str(),
            record.model.as_str(),
            record.provider_type.as_str()
        ),
        (OWNER.to_string().as_str(), "answer", "m-1", "openai-compat")
    );
    let usage = record.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(10), Some(4)));
    assert_eq!((record.cost_micros, record.is_estimated), (Some(50), false));
}

#[tokio::test]
async fn a_limited_user_reserves_the_longest_answer_and_settles_at_once() {
    // Nothing is told that nobody waits for.
    let scene = Scene::new(true, |config| config.spend.gather = Duration::from_secs(3_600)).await;
    scene.vendor.stream(HELLO);
    let id = Uuid::new_v4();
    assert!(finished(&scene.run(id).await).is_some());
    let record = scene.record().await;
    assert_eq!((record.completion_id, record.cost_micros), (id.to_string(), Some(50)));
    let ledger = scene.world.storage.ledger.lock().unwrap();
    let reserved: Vec<_> = ledger
        .reservations
        .iter()
        .map(|it| {
            (
                it.completion_id.clone(),
                it.owner_id.clone(),
                it.ttl.map(|ttl| ttl.seconds),
            )
        })
        .collect();
    assert_eq!(reserved, [(id.to_string(), OWNER.to_string(), Some(600))]);
    // A hundred tokens of output, and the few of the prompt and the tool.
    assert!(
        (1_001..1_100).contains(&ledger.reservations[0].micros),
        "{}",
        ledger.reservations[0].micros
    );
}

#[tokio::test]
async fn whoever_has_spent_the_limit_is_refused_and_the_vendor_not_asked() {
    let scene = Scene::new(true, |_| ()).await;
    scene.world.storage.ledger.lock().unwrap().refusal = Some(Fault::wrong_state(
        "USAGE_LIMIT_EXCEEDED",
        "You have reached your spend limit.",
    ));
    let refused = error(&scene.run(Uuid::new_v4()).await);
    assert_eq!((refused.kind(), refused.is_retryable), (ErrorKind::UsageLimit, false));
    assert_eq!(refused.message, "You have reached your spend limit.");

    scene.world.storage.ledger.lock().unwrap().refusal =
        Some(Fault::rate_limited("SPEND_RESERVED", "Wait for the others."));
    let events = scene.run(Uuid::new_v4()).await;
    let refused = error(&events);
    assert_eq!((refused.kind(), refused.is_retryable), (ErrorKind::UsageLimit, true));
    assert!(
        failed(&events)
            .unwrap()
            .retry_after
            .is_some_and(|pause| pause.seconds > 0)
    );
    assert!(scene.vendor.asked().is_empty());
}

#[tokio::test]
async fn a_storage_that_cannot_say_refuses_only_where_that_is_wanted() {
    for (fail_closed, is_refused) in [(false, false), (true, true)] {
        let scene = Scene::new(true, |config| config.spend.fail_closed = fail_closed).await;
        scene.world.storage.ledger.lock().unwrap().refusal = Some(Fault::unavailable("DATABASE_BUSY", "busy"));
        scene.vendor.stream(HELLO);
        let events = scene.run(Uuid::new_v4()).await;
        assert_eq!(failed(&events).is_some(), is_refused, "{events:?}");
        if is_refused {
            assert!(error(&events).is_retryable);
            assert!(scene.vendor.asked().is_empty());
        } else {
            assert_eq!(
                scene.record().await.cost_micros,
                Some(50),
                "what was used counts all the same"
            );
        }
    }
}

#[tokio::test]
async fn a_call_the_vendor_refused_costs_nothing_and_gives_back_what_was_reserved() {
    let scene = Scene::new(true, |_| ()).await;
    scene.vendor.reply(Reply::Status(400, "no"));
    let id = Uuid::new_v4();
    assert!(failed(&scene.run(id).await).is_some());
    let released = scene.until(|ledger| ledger.released.first().cloned()).await;
    assert_eq!(released, id.to_string());
    assert!(scene.world.storage.ledger.lock().unwrap().records.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_paid_for_as_far_as_it_went() {
    let scene = Scene::new(true, |_| ()).await;
    let pieces = HELLO.split_inclusive("\n\n").take(2);
    let pieces = pieces.map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect();
    scene.vendor.reply(Reply::Stream(pieces, Duration::ZERO));
    assert!(failed(&scene.run(Uuid::new_v4()).await).is_some());
    let record = scene.record().await;
    assert!(record.is_estimated);
    let usage = record.usage.unwrap();
    assert_eq!(usage.output_tokens, Some(3), "hello world, at four bytes to a token");
    assert_eq!(record.cost_micros, Some(usage.input_tokens.unwrap() + 30));
}

#[tokio::test]
async fn a_caller_who_leaves_pays_for_the_whole_answer() {
    let scene = Scene::new(true, |_| ()).await;
    let pieces = HELLO
        .split_inclusive("\n\n")
        .map(|piece| Bytes::copy_from_slice(piece.as_bytes()))
        .collect();
    scene.vendor.reply(Reply::Stream(pieces, Duration::from_millis(20)));
    drop(
        scene
            .world
            .complete_for(OWNER, Uuid::new_v4(), &scene.model, "hello")
            .await
            .unwrap(),
    );
    let record = scene.record().await;
    assert_eq!((record.cost_micros, record.is_estimated), (Some(50), false));
}

#[tokio::test]
async fn what_storage_does_not_take_is_told_again() {
    let scene = Scene::new(true, |_| ()).await;
    scene.world.storage.ledger.lock().unwrap().outage = Some(Fault::unavailable("DATABASE_BUSY", "busy"));
    scene.vendor.stream(HELLO);
    let id = Uuid::new_v4();
    assert!(finished(&scene.run(id).await).is_some());
    scene.until(|ledger| (ledger.settlements > 0).then_some(())).await;
    scene.world.storage.ledger.lock().unwrap().outage = None;
    let record = scene.record().await;
    assert_eq!(record.completion_id, id.to_string());
    assert!(
        record.age.is_some_and(|age| age.seconds > 0 || age.nanos > 0),
        "it says how long ago that was"
    );
}

#[tokio::test]
async fn records_nobody_waits_for_are_told_together_and_before_the_end() {
    let scene = Scene::new(false, |config| config.spend.gather = Duration::from_secs(3_600)).await;
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    for id in ids {
        scene.vendor.stream(HELLO);
        assert!(finished(&scene.run(id).await).is_some());
    }
    scene.world.stop_gateway();
    scene.record().await;
    let ledger = scene.world.storage.ledger.lock().unwrap();
    let told: Vec<_> = ledger
        .records
        .iter()
        .map(|record| record.completion_id.clone())
        .collect();
    assert_eq!(told, ids.map(|id| id.to_string()));
    assert_eq!(ledger.settlements, 1);
}

/// The beginning of an answer that the vendor interrupts; it says 15 bytes and reports other numbers.
const INTERRUPTED: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":1000}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":",
    "{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":",
    "{\"type\":\"text_delta\",\"text\":\"now let me  see\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"pause_turn\"},",
    "\"usage\":{\"output_tokens\":100}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn counted(record: &UsageRecord) -> (Option<i64>, Option<i64>, Option<i64>, bool) {
    let usage = record.usage.unwrap();
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    (input, output, record.cost_micros, record.is_estimated)
}

#[tokio::test]
async fn an_answer_of_two_requests_is_paid_as_both_and_once() {
    let scene = Scene::searching().await;
    scene.vendor.stream(INTERRUPTED);
    scene.vendor.stream(MESSAGE);
    let events = scene.run(Uuid::new_v4()).await;
    let end = finished(&events).unwrap();
    let usage = end.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(1_010), Some(104)));
    assert_eq!(
        usage.context_tokens,
        Some(10 + 3_200 + 4),
        "the window holds the second request alone, cached tokens included"
    );
    assert_eq!(end.cost_micros, Some(1_010 + 1_040));
    assert_eq!(
        counted(&scene.record().await),
        (Some(1_010), Some(104), Some(2_050), false)
    );
    assert_eq!(scene.world.storage.ledger.lock().unwrap().records.len(), 1);
}

#[tokio::test]
async fn what_was_used_before_a_later_request_is_refused_stays_on_the_bill() {
    // Also when the other key could be tried: the answer has begun.
    for status in [503, 429] {
        let scene = Scene::searching().await;
        scene.vendor.stream(INTERRUPTED);
        scene.vendor.reply(Reply::Status(status, "no"));
        assert!(failed(&scene.run(Uuid::new_v4()).await).is_some());
        assert_eq!(scene.vendor.asked().len(), 2);
        let told = counted(&scene.record().await);
        assert_eq!(
            told,
            (Some(1_000), Some(100), Some(2_000), false),
            "{status}: as the vendor told"
        );
    }
}

#[tokio::test]
async fn a_later_request_that_breaks_off_is_estimated_beside_what_is_known() {
    let scene = Scene::searching().await;
    scene.vendor.stream(INTERRUPTED);
    // Up to the words "hello world", which are three tokens, behind "Hm.", which is one.
    let pieces = MESSAGE.split_inclusive("\n\n").take(7);
    let pieces = pieces.map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect();
    scene.vendor.reply(Reply::Stream(pieces, Duration::ZERO));
    assert!(failed(&scene.run(Uuid::new_v4()).await).is_some());
    let (input, output, cost, is_estimated) = counted(&scene.record().await);
    assert!(is_estimated);
    assert_eq!(output, Some(104));
    let input = input.unwrap();
    assert!((1_004..1_100).contains(&input), "with what went back: {input}");
    assert_eq!(cost, Some(input + 1_040));
}
