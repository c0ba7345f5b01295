//! D30: from one provider gateway to four and back while answers stream.

use std::time::{Duration, Instant};

use serde_json::json;
use tandem_e2e::{
    fake_llm::{FakeLlm, Reply, Script},
    world::Service,
};

use super::{
    crowded, half_and_worst,
    load::{Load, Plan},
};
use crate::{Result, drills::rounds, tell};

const REPLICAS: usize = 4;
/// Answers that stream at any time.
const AT_ONCE: usize = 6;
/// Turns between two changes.
const BETWEEN: usize = 8;
/// A key the vendor does not know, before one it does.
const UNKNOWN: &str = "sk-fake-canary-0000-bad";
/// How long a refused key is left alone, in seconds.
const REFUSED_REST: u64 = 60;

#[tokio::test]
async fn d30_provider_gateways_come_and_go_under_load_and_no_turn_fails() -> Result {
    let mut world = crowded()
        .provider_gateways(REPLICAS)
        .fake(FakeLlm::builder())
        .start()
        .await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let keys = json!({ "api_keys": [{ "api_key": UNKNOWN }, { "api_key": world.fake().api_key() }] });
    world.rest().patch(&path, &keys).await?.expect(200)?;
    let slow = Reply::text_in("One two three four.", 8).delay_between(Duration::from_millis(40));
    world.fake().script(Script::always(slow).when_user_says("Count"));
    for replica in 1..REPLICAS {
        world.terminate_replica(Service::ProviderGateway, replica).await?;
    }
    let begun = Instant::now();
    let plan = Plan {
        at_once: AT_ONCE,
        word: "Count",
        model: None,
        answer: "One two three four.",
    };
    let mut load = Load::start(&world, &plan);
    let mut starts = 1;
    for _ in 0..rounds() {
        load.goes_on(BETWEEN).await?;
        world.restart().await?;
        starts += REPLICAS - 1;
        load.goes_on(2 * BETWEEN).await?;
        for replica in (1..REPLICAS).rev() {
            world.terminate_replica(Service::ProviderGateway, replica).await?;
            load.goes_on(BETWEEN / 2).await?;
        }
    }
    let times = load.end().await?;
    let (turns, (half, worst)) = (times.len(), half_and_worst(times));

    let requests = world.fake().requests();
    let asked = requests.iter().filter(|request| request.path.ends_with("/completions"));
    let (refused, answered): (Vec<_>, Vec<_>) = asked.partition(|request| request.status == 401);
    assert_eq!(
        answered.len(),
        turns,
        "each answer is asked for, and paid, once: {}",
        world.fake().summary()
    );
    // Each replica learns by itself that a key is refused, from the requests that were under way when it first was.
    let lessons = starts + REPLICAS * usize::try_from(begun.elapsed().as_secs() / REFUSED_REST)?;
    assert!(
        !refused.is_empty() && refused.len() <= lessons * AT_ONCE,
        "a refused key was asked with {} times by {starts} replicas",
        refused.len()
    );
    let panics = world.logs().matches("panicked").count();
    assert_eq!(panics, 0);
    tell(&format!(
        "D30 {} rounds of 1, 4, 1 provider gateways, {turns} turns, {AT_ONCE} at once: 0 failed, 0 asked twice; a turn took {half:.1?} (half), \
         {worst:.1?} (worst); a refused key was asked with {} times by {starts} starts",
        rounds(),
        refused.len()
    ));
    Ok(())
}
