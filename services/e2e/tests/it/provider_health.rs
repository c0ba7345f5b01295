//! How providers do, as administrators read it, while chats go on.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, KeyState, Reply, Script},
    world::{Transcript, World, id_of},
};

use crate::{LIMIT, Result, settled};

/// The vendor limits the first, does not know the second, and takes the third.
const KEYS: [&str; 3] = [
    "sk-fake-canary-0000-aaa",
    "sk-fake-canary-0000-bbb",
    "sk-fake-canary-0000-ccc",
];

async fn health(world: &World) -> Result<Value> {
    let path = format!("/api/v2/ai/providers/{}/health", world.provider_id());
    world.rest().get(&path).await?.expect(200)
}

/// Waits until a provider's health is so.
async fn until(world: &World, met: impl Fn(&Value) -> bool) -> Result<Value> {
    let started = Instant::now();
    loop {
        let health = health(world).await?;
        if met(&health) || started.elapsed() > LIMIT {
            return Ok(health);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn d40_limited_and_refused_keys_give_way_without_a_failed_turn_and_are_seen_resting() -> Result {
    let fake = FakeLlm::builder().key(KEYS[0]).key(KEYS[2]);
    let world = World::builder().fake(fake).start().await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let keys = json!({ "api_keys": KEYS.map(|key| json!({ "api_key": key })) });
    world.rest().patch(&path, &keys).await?.expect(200)?;
    world
        .fake()
        .set_key(KEYS[0], KeyState::RateLimited { retry_after_s: 30 });
    for round in 0..3 {
        let chat = world.create_chat(&format!("Round {round}")).await?;
        let stream = world.stream(id_of(&chat)?).await?;
        let shown = settled(&world, id_of(&chat)?).await?;
        let seen = Transcript::of(&stream.settled(LIMIT).await?);
        assert_eq!(seen.retries.len(), 0, "nobody had to wait: {:?}", seen.retries);
        assert_eq!(shown[1], format!("assistant: You said: Round {round}"));
    }
    let seen = health(&world).await?;
    let of_keys = |field: &str| [0, 1, 2].map(|place| seen["keys"][place][field].clone());
    assert_eq!(of_keys("state"), [json!("limited"), json!("refused"), json!("healthy")]);
    assert_eq!(
        of_keys("resting_until").map(|until| until.is_string()),
        [true, true, false]
    );
    assert_eq!(of_keys("last_error_at").map(|at| at.is_string()), [true, true, false]);
    let [first, second, _] = of_keys("last_error").map(|error| error.to_string());
    assert!(first.contains("429") && second.contains("401"), "{seen}");
    assert!(!seen.to_string().contains("canary"), "{seen}");
    // Refused requests are no completions, so all requests are looked at.
    let asked = world.fake().requests();
    let asked = asked.iter().filter(|request| request.path.ends_with("/completions"));
    let hints: Vec<&str> = asked.map(|request| request.key_hint.as_str()).collect();
    assert_eq!(
        hints,
        ["aaa", "bbb", "ccc", "ccc", "ccc"],
        "resting keys are not asked with"
    );
    Ok(())
}

#[tokio::test]
async fn completions_beyond_the_limit_wait_and_are_seen_waiting() -> Result {
    let world = World::start().await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let narrow = world
        .rest()
        .patch(&path, &json!({ "max_concurrent": 1 }))
        .await?
        .expect(200)?;
    assert_eq!(narrow["max_concurrent"], 1);
    let held = Reply::text("Half").gate("held").and_text(" and half.");
    world.fake().script(Script::always(held).when_user_says("Wait"));
    let mut chats = Vec::new();
    for number in 0..3 {
        let chat = world.create_chat(&format!("Wait {number}")).await?;
        chats.push(id_of(&chat)?.to_owned());
    }
    let seen = until(&world, |health| health["running"] == 1 && health["queued"] == 2).await?;
    assert_eq!(
        (&seen["running"], &seen["queued"], &seen["max_running"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(
        world.fake().completions().len(),
        1,
        "the vendor is asked once at a time"
    );
    world.fake().open("held");
    for (number, id) in chats.iter().enumerate() {
        assert_eq!(
            settled(&world, id).await?,
            [format!("user: Wait {number}"), "assistant: Half and half.".to_owned()]
        );
    }
    let idle = until(&world, |health| health["running"] == 0).await?;
    assert_eq!((&idle["running"], &idle["queued"]), (&json!(0), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn an_open_breaker_is_seen_under_every_prefix_and_by_administrators_only() -> Result {
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__BREAKER__FAILURE_THRESHOLD", "1")
        .start()
        .await?;
    world
        .fake()
        .script(Script::always(Reply::fail(503, "overloaded")).when_user_says("Busy"));
    world.create_chat("Busy").await?;
    let seen = until(&world, |health| health["breakers"][0]["state"] == "open").await?;
    let breaker = &seen["breakers"][0];
    assert_eq!(
        (&breaker["model"], &breaker["last_failure"]),
        (&json!("fake-model"), &json!("status 503"))
    );
    assert!(breaker["retry_at"].is_string(), "{seen}");
    for prefix in ["/api/v1", "/api/v2", "/api/experimental"] {
        let all = world
            .rest()
            .get(&format!("{prefix}/ai/providers/health"))
            .await?
            .expect(200)?;
        assert_eq!(all["providers"][0]["provider_id"], world.provider_id());
        assert!(all["replica"].as_str().is_some_and(|name| !name.is_empty()));
    }
    let mia = world.create_user("mia").await?;
    for path in [
        "/ai/providers/health".to_owned(),
        format!("/ai/providers/{}/health", world.provider_id()),
    ] {
        mia.rest.get(&format!("/api/v1{path}")).await?.expect(403)?;
    }
    mia.rest
        .raw(Method::POST, "/api/v1/ai/providers/rotate-key", "")
        .await?
        .expect(403)?;
    world
        .rest()
        .get("/api/v1/ai/providers/nobody/health")
        .await?
        .expect(404)?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_provider_takes_its_models_along_and_its_chats_go_on_with_the_default() -> Result {
    let world = World::start().await?;
    let other = world
        .register_provider("other", &world.fake().base_url(), &[world.fake().api_key()])
        .await?;
    let spare = world.register_model(&other, "gpt-4o").await?;
    let chat = world.create_chat("Before").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    world.rest().delete(&path).await?.expect(204)?;

    let models = world.rest().get("/api/v1/chats/model-configs").await?.expect(200)?;
    assert_eq!(
        (&models[0]["id"], &models[0]["is_default"]),
        (&json!(spare), &json!(true)),
        "{models}"
    );
    assert_eq!(models.as_array().map(Vec::len), Some(1), "{models}");
    world.send(id, "After").await?;
    let shown = settled(&world, id).await?;
    let expected = [
        "user: Before",
        "assistant: You said: Before",
        "user: After",
        "assistant: You said: After",
    ];
    assert_eq!(shown, expected);
    let asked = world.fake().completions();
    assert_eq!(
        asked.last().map(|request| &request.body["model"]),
        Some(&json!("gpt-4o"))
    );
    Ok(())
}
