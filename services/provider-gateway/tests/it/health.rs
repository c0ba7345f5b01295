//! What is known of how providers do, and the order in which their keys are used.

use tandem_proto::{
    common::v1::ErrorKind,
    provider::v1::{
        BreakerState, GetProviderHealthRequest, KeyMutation, KeyMutationSet, KeyState, UpdateProviderRequest,
    },
};
use uuid::Uuid;

use crate::{
    vendor::{HELLO, Reply, Vendor},
    world::{World, failed, finished, text_of},
};

const KEYS: [&str; 3] = [
    "sk-canary-0123456789-one",
    "sk-canary-0123456789-two",
    "sk-canary-0123456789-six",
];

#[tokio::test]
async fn keys_are_used_in_the_administrators_order_and_their_trouble_is_told_without_them() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &KEYS).await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Status(
        429,
        r#"{"error":{"message":"slow down sk-canary-0123456789-one"}}"#,
    ));
    vendor.reply(Reply::Status(401, r#"{"error":{"message":"who are you"}}"#));
    vendor.stream(HELLO);
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert_eq!(text_of(&events), "hello world");

    let health = world.health(&provider).await;
    let states: Vec<KeyState> = health.keys.iter().map(|key| key.state()).collect();
    assert_eq!(states, [KeyState::Limited, KeyState::Refused, KeyState::Healthy]);
    let rests: Vec<bool> = health.keys.iter().map(|key| key.resting_until.is_some()).collect();
    assert_eq!(rests, [true, true, false]);
    assert_eq!(health.keys[0].masked, "sk-…-one");
    assert!(health.keys[0].last_error.contains("429") && health.keys[0].last_error.contains("slow down"));
    assert!(health.keys[0].last_error_at.is_some() && health.keys[2].last_error_at.is_none());
    assert!(!format!("{health:?}").contains("canary"), "{health:?}");

    // What was first is still first, whoever has answered meanwhile.
    let order = |places: [usize; 3]| KeyMutationSet {
        keys: places
            .map(|place| KeyMutation {
                id: provider.keys[place].id.clone(),
                api_key: String::new(),
            })
            .to_vec(),
    };
    for (places, used) in [([2, 0, 1], 2), ([1, 2, 0], 2)] {
        let change = UpdateProviderRequest {
            id_or_name: provider.id.clone(),
            api_keys: Some(order(places)),
            ..UpdateProviderRequest::default()
        };
        world.update(change).await.unwrap();
        vendor.stream(HELLO);
        world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
        assert_eq!(vendor.asked().last().unwrap().key, KEYS[used]);
        let shown = world.health(&provider).await.keys;
        let shown: Vec<&String> = shown.iter().map(|key| &key.id).collect();
        assert_eq!(shown, places.map(|place| &provider.keys[place].id).to_vec());
    }
}

#[tokio::test]
async fn an_open_breaker_is_listed_with_its_reason() {
    let world = World::start_with(|config| config.breaker.failure_threshold = 2).await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &KEYS[..1]).await;
    let model = world.model(&provider, "");
    assert_eq!(world.health(&provider).await.breakers, []);
    for _ in 0..2 {
        vendor.reply(Reply::Status(503, "busy"));
        world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    }
    let breakers = world.health(&provider).await.breakers;
    let [breaker] = &breakers[..] else {
        panic!("{breakers:?}")
    };
    assert_eq!(
        (
            breaker.model.as_str(),
            breaker.state(),
            breaker.failures,
            breaker.last_failure.as_str()
        ),
        ("m-1", BreakerState::Open, 2, "status 503")
    );
    assert!(breaker.retry_at.is_some());
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    let error = failed(&events).unwrap().error.clone().unwrap();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn a_key_no_key_encryption_key_opens_is_unreadable() {
    let world = World::start().await;
    let (_, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &KEYS[..1]).await;
    let other = World::start_on(world.storage.clone(), |config| {
        config.kek = Some("cd".repeat(32).as_str().into())
    })
    .await;
    let health = other.health(&provider).await;
    assert_eq!(health.keys[0].state(), KeyState::Unreadable);
    assert!(health.keys[0].last_error.contains("not configured here"), "{health:?}");
}

#[tokio::test]
async fn the_only_key_is_told_as_refused_and_tried_all_the_same() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &KEYS[..1]).await;
    let model = world.model(&provider, "");
    vendor.reply(Reply::Status(401, "no"));
    world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    let key = &world.health(&provider).await.keys[0];
    assert_eq!((key.state(), key.resting_until), (KeyState::Refused, None));
    vendor.stream(HELLO);
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert!(finished(&events).is_some());
    assert_eq!(world.health(&provider).await.keys[0].state(), KeyState::Healthy);
}

#[tokio::test]
async fn only_administrators_see_it() {
    let world = World::start().await;
    let request = world.as_member(GetProviderHealthRequest {});
    let refused = world.admin.clone().get_provider_health(request).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
}
