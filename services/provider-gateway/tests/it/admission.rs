//! Providers that run only so many completions at once.

use std::sync::Arc;

use tandem_proto::{
    common::v1::ErrorKind,
    provider::v1::{Provider, ProviderHealth, UpdateProviderRequest},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    vendor::{HELLO, Reply, Vendor},
    world::{Events, World, failed, finished, text_of},
};

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

struct Narrow {
    world: World,
    vendor: Vendor,
    provider: Provider,
    model: String,
    gate: Arc<Semaphore>,
}

impl Narrow {
    /// A provider that runs one at a time, with an answer under way that is held back.
    async fn start(max_queued: usize) -> (Self, Events) {
        let world = World::start_with(|config| config.admission.max_queued = max_queued).await;
        let (vendor, base) = Vendor::start().await;
        let provider = world.provider("openai", &base, &["sk-canary-0123456789"]).await;
        let change = UpdateProviderRequest {
            id_or_name: provider.id.clone(),
            max_concurrent: Some(1),
            ..UpdateProviderRequest::default()
        };
        let provider = world.update(change).await.unwrap();
        assert_eq!(provider.max_concurrent, 1);
        let model = world.model(&provider, "");
        let gate = Arc::new(Semaphore::new(0));
        vendor.reply(Reply::Held(Arc::clone(&gate), HELLO));
        let narrow = Self {
            world,
            vendor,
            provider,
            model,
            gate,
        };
        let held = narrow.ask(FIRST, "held").await;
        narrow.until(|health| health.running == 1).await;
        narrow.asked(1).await;
        (narrow, held)
    }

    async fn ask(&self, owner: Uuid, text: &str) -> Events {
        let asked = self.world.complete_for(owner, Uuid::new_v4(), &self.model, text).await;
        asked.unwrap()
    }

    async fn until(&self, met: impl Fn(&ProviderHealth) -> bool) {
        while !met(&self.world.health(&self.provider).await) {
            tokio::task::yield_now().await;
        }
    }

    /// Until the vendor has been asked so often.
    async fn asked(&self, count: usize) {
        while self.vendor.asked().len() < count {
            tokio::task::yield_now().await;
        }
    }

    fn prompts(&self) -> Vec<String> {
        let asked = self.vendor.asked();
        let text = |body: &serde_json::Value| body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        asked.iter().map(|asked| text(&asked.body)).collect()
    }
}

#[tokio::test]
async fn those_who_wait_take_turns_by_owner_and_all_are_answered() {
    let (narrow, held) = Narrow::start(8).await;
    let mut waiting = Vec::new();
    for (place, (owner, text)) in [(FIRST, "a1"), (FIRST, "a2"), (FIRST, "a3"), (SECOND, "b1")]
        .into_iter()
        .enumerate()
    {
        narrow.vendor.stream(HELLO);
        waiting.push(narrow.ask(owner, text).await);
        let queued = i32::try_from(place + 1).unwrap();
        narrow.until(|health| health.queued == queued).await;
    }
    let health = narrow.world.health(&narrow.provider).await;
    assert_eq!((health.running, health.max_running, health.queued), (1, 1, 4));
    narrow.gate.add_permits(1);
    assert_eq!(text_of(&held.all().await), "hello world");
    for events in waiting {
        assert!(finished(&events.all().await).is_some());
    }
    assert_eq!(narrow.prompts(), ["held", "a1", "b1", "a2", "a3"]);
    narrow.until(|health| (health.running, health.queued) == (0, 0)).await;
}

#[tokio::test]
async fn a_full_line_is_an_overloaded_vendor_with_a_time_to_come_back() {
    let (narrow, held) = Narrow::start(1).await;
    let waiting = narrow.ask(FIRST, "waits").await;
    narrow.until(|health| health.queued == 1).await;
    let events = narrow.ask(FIRST, "too many").await.all().await;
    let refused = failed(&events).unwrap();
    let error = refused.error.as_ref().unwrap();
    assert_eq!((error.kind(), error.is_retryable), (ErrorKind::Overloaded, true));
    assert!(refused.retry_after.is_some());
    narrow.vendor.stream(HELLO);
    narrow.gate.add_permits(1);
    assert!(finished(&held.all().await).is_some() && finished(&waiting.all().await).is_some());
    assert_eq!(narrow.prompts(), ["held", "waits"]);
}

#[tokio::test]
async fn whoever_is_cancelled_leaves_the_line() {
    let (narrow, held) = Narrow::start(8).await;
    let id = Uuid::new_v4();
    let waiting = narrow
        .world
        .complete_for(SECOND, id, &narrow.model, "gone")
        .await
        .unwrap();
    narrow.until(|health| health.queued == 1).await;
    assert!(narrow.world.cancel(id).await);
    assert!(failed(&waiting.all().await).unwrap().is_cancelled);
    narrow.until(|health| health.queued == 0).await;
    narrow.gate.add_permits(1);
    assert!(finished(&held.all().await).is_some());
    assert_eq!(narrow.prompts(), ["held"]);
}
