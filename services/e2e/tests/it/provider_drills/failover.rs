//! D39 and D40: a key that is refused, a key that is limited, a model that fails half of the time; and nobody's turn fails.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{FakeLlm, KeyState, RecordedRequest, Reply, Script},
    world::World,
};

use super::{
    INTERVAL, MACHINE, crowded, half_and_worst,
    load::{Load, Plan},
    metric, until_health,
};
use crate::{LIMIT, Result, drills::rounds, settled, tell};

/// The vendor will refuse the first, limit the second, and take the third.
const KEYS: [&str; 3] = [
    "sk-fake-canary-0000-aaa",
    "sk-fake-canary-0000-bbb",
    "sk-fake-canary-0000-ccc",
];

/// Within which the next key must be asked with.
const NEXT_KEY: Duration = Duration::from_secs(1);
/// Within which a model that fails half of the time must be left alone.
const OPENS: Duration = Duration::from_secs(5);
/// Model that nothing is wrong with.
const SPARE: &str = "fake-spare";

/// The last message of a request, which tells whose turn it is.
fn asked(request: &RecordedRequest) -> String {
    request
        .messages()
        .last()
        .map(|message| message["content"].to_string())
        .unwrap_or_default()
}

/// After each refused request: how long until the same turn asked with another key.
fn next_keys(requests: &[RecordedRequest]) -> Result<Vec<Duration>> {
    let mut waits = Vec::new();
    for (place, refused) in requests
        .iter()
        .enumerate()
        .filter(|(_, request)| matches!(request.status, 401 | 429))
    {
        let next = requests[place + 1..].iter().find(|next| asked(next) == asked(refused));
        let next = next.with_context(|| format!("{} was not asked again", asked(refused)))?;
        assert_ne!(next.key_hint, refused.key_hint, "a refused key is not asked with again");
        waits.push(Duration::from_millis(next.received_ms - refused.received_ms));
    }
    Ok(waits)
}

/// D40: keys begin to be refused and limited while turns stream; the next key takes over within the turn.
#[tokio::test]
async fn d40_keys_that_fail_under_load_give_way_and_no_turn_fails() -> Result {
    let fake = KEYS.into_iter().fold(FakeLlm::builder(), |fake, key| fake.key(key));
    let world = crowded()
        .env("TANDEM_TELEMETRY__LOG", "debug")
        .fake(fake)
        .start()
        .await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let keys = json!({ "api_keys": KEYS.map(|key| json!({ "api_key": key })) });
    world.rest().patch(&path, &keys).await?.expect(200)?;
    let slow = Reply::text_in("One two three four.", 4).delay_between(Duration::from_millis(20));
    world.fake().script(Script::always(slow).when_user_says("Count"));

    let more = 8 * rounds();
    let plan = Plan {
        at_once: 4,
        word: "Count",
        model: None,
        answer: "One two three four.",
    };
    let mut load = Load::start(&world, &plan);
    load.goes_on(more).await?;
    world.fake().set_key(KEYS[0], KeyState::Revoked);
    load.goes_on(more).await?;
    world
        .fake()
        .set_key(KEYS[1], KeyState::RateLimited { retry_after_s: 600 });
    load.goes_on(more).await?;
    let seen = until_health(&world, |health| health["keys"][1]["state"] == "limited").await?;
    let turns = load.end().await?.len();

    let states = [0, 1, 2].map(|place| seen["keys"][place]["state"].clone());
    assert_eq!(states, [json!("refused"), json!("limited"), json!("healthy")], "{seen}");
    assert!(seen["keys"][0]["last_error"].to_string().contains("401"), "{seen}");
    let requests: Vec<RecordedRequest> = world
        .fake()
        .requests()
        .into_iter()
        .filter(|request| request.path.ends_with("/completions"))
        .collect();
    let used = |hint: &str| {
        requests
            .iter()
            .filter(|request| request.key_hint == hint && request.status == 200)
            .count()
    };
    assert!(
        ["aaa", "bbb", "ccc"].iter().all(|hint| used(hint) > 0),
        "each key had its time"
    );
    let waits = next_keys(&requests)?;
    assert!(waits.len() >= 2, "both faults fired: {waits:?}");
    let failures = waits.len();
    let (half, worst) = half_and_worst(waits);
    assert!(worst < NEXT_KEY + MACHINE, "the next key came after {worst:?}");

    // Nobody waited, and nobody can read a key: not in what people see, nor in logs at their most talkative.
    assert_eq!(metric(&world, "tandem_stream_retries_total").await?, 0.0);
    let metrics = world.rest().get("/metrics").await?.text;
    for (what, shown) in [
        ("health", seen.to_string()),
        ("metrics", metrics),
        ("logs", world.logs()),
    ] {
        assert!(!shown.contains("canary"), "a key is in {what}");
    }
    assert!(world.logs().contains("DEBUG"), "logs are at their most talkative");
    tell(&format!(
        "D40 {turns} turns, 4 at once, over 3 keys (401, 429, good): 0 failed, {failures} refusals, next key after {half:.1?} (half), {worst:.1?} (worst)"
    ));
    Ok(())
}

/// Requests for the model of the drill.
fn of_model(world: &World, model: &str) -> usize {
    world
        .fake()
        .completions()
        .iter()
        .filter(|request| request.body["model"] == model)
        .count()
}

/// D39: a model fails half of the time, is left alone, probed once, and taken back; another one of the same provider notices nothing.
#[tokio::test]
async fn d39_a_model_that_fails_half_of_the_time_is_left_alone_and_no_turn_fails() -> Result {
    // The product's own 30 s in the long form.
    let pause = if rounds() > 1 { 30 } else { 3 };
    let world = crowded()
        .env("TANDEM_PROVIDER_GATEWAY__BREAKER__OPEN", format!("{pause}s"))
        .fake(FakeLlm::builder().models(["fake-model", SPARE]))
        .start()
        .await?;
    let spare = world.register_model(world.provider_id(), SPARE).await?;
    let busy = || Reply::fail(503, "overloaded").header("retry-after", "0");
    let half = Script::turn([busy(), Reply::text("Well.")]).when_model("fake-model");
    world.fake().script(Script { repeat: true, ..half });
    world
        .fake()
        .script(Script::always(Reply::text("Well.")).when_model(SPARE));

    let begun = Instant::now();
    let plan = |at_once, word, model| Plan {
        at_once,
        word,
        model,
        answer: "Well.",
    };
    let mut troubled = Load::start(&world, &plan(8, "Trouble", None));
    let mut healthy = Load::start(&world, &plan(2, "Fine", Some(spare)));
    let seen = until_health(&world, |health| health["breakers"][0]["state"] == "open").await?;
    let opened = begun.elapsed();
    assert_eq!(seen["breakers"][0]["model"], "fake-model", "{seen}");
    assert_eq!(
        seen["breakers"].as_array().map(Vec::len),
        Some(1),
        "no other model has one: {seen}"
    );
    assert!(opened < OPENS + MACHINE, "it opened after {opened:?}");

    // Whoever asks while the probe is under way is told to wait, however long that takes.
    world.fake().reset();
    world
        .fake()
        .script(Script::turn([Reply::text("Well.").headers_gate("probe")]).when_model("fake-model"));
    world.fake().script(Script::always(Reply::text("Well.")));
    let waiting = 2 * LIMIT;
    world.fake().wait_at_gate("probe", waiting).await?;
    let before = metric(&world, "tandem_provider_gateway_breaker_rejects_total").await?;
    let held = Instant::now();
    while metric(&world, "tandem_provider_gateway_breaker_rejects_total").await? < before + 3.0 {
        anyhow::ensure!(held.elapsed() < waiting, "nobody else asked");
        tokio::time::sleep(INTERVAL).await;
    }
    assert_eq!(
        of_model(&world, "fake-model"),
        1,
        "a single probe: {}",
        world.fake().summary()
    );
    world.fake().open("probe");
    let healed = Instant::now();
    until_health(&world, |health| {
        health["breakers"].as_array().is_some_and(Vec::is_empty)
    })
    .await?;
    let closed = healed.elapsed();
    assert!(
        closed < Duration::from_secs(pause) + MACHINE,
        "it closed after {closed:?}"
    );
    troubled.goes_on(8 * rounds()).await?;
    healthy.goes_on(8 * rounds()).await?;
    let (troubled, healthy) = (troubled.end().await?.len(), healthy.end().await?);
    let (turns, (_, worst)) = (healthy.len(), half_and_worst(healthy));
    tell(&format!(
        "D39 {troubled} turns of a model that failed half of the time and {turns} of another: 0 failed; open after {opened:.1?}, 1 probe, \
         closed {closed:.1?} after health; slowest turn of the other model {worst:.1?}"
    ));
    Ok(())
}

/// D40: all keys are limited at once: the turn waits for the first of them, and goes on with it.
#[tokio::test]
async fn d40_a_turn_waits_for_the_first_key_that_comes_back() -> Result {
    let fake = FakeLlm::builder().key(KEYS[0]).key(KEYS[1]);
    let world = World::builder().fake(fake).start().await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let keys = json!({ "api_keys": [{ "api_key": KEYS[0] }, { "api_key": KEYS[1] }] });
    world.rest().patch(&path, &keys).await?.expect(200)?;
    world
        .fake()
        .set_key(KEYS[0], KeyState::RateLimited { retry_after_s: 600 });
    world
        .fake()
        .set_key(KEYS[1], KeyState::RateLimited { retry_after_s: 2 });
    let chat = world.create_chat("Patience.").await?;
    let id = tandem_e2e::world::id_of(&chat)?;
    let limited = |health: &Value| health["keys"][1]["state"] == "limited";
    until_health(&world, limited).await?;
    world.fake().set_key(KEYS[1], KeyState::Valid);
    assert_eq!(
        settled(&world, id).await?,
        ["user: Patience.", "assistant: You said: Patience."]
    );
    let requests = world.fake().requests();
    let hints: Vec<&str> = requests
        .iter()
        .filter(|request| request.path.ends_with("/completions"))
        .map(|request| request.key_hint.as_str())
        .collect();
    assert_eq!(hints, ["aaa", "bbb", "bbb"], "{}", world.fake().summary());
    Ok(())
}
