//! Drills of the gateway to the models under load: keys, breakers and replicas that fail while people go on chatting, and the bill for it.

mod accounting;
mod budget;
mod dialects;
mod failover;
mod load;
mod patience;
mod scaling;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tandem_e2e::world::{Builder, World};

use crate::{LIMIT, Result};

/// What a busy machine may add to a time before somebody notices its end.
const MACHINE: Duration = Duration::from_secs(5);

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// A world in which one user may ask as often as all the people do whom it stands for; one process, whose counters are on one page.
fn crowded() -> Builder {
    World::builder()
        .all_in_one()
        .env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "0")
}

/// What administrators read of the world's provider.
async fn health(world: &World) -> Result<Value> {
    let path = format!("/api/v2/ai/providers/{}/health", world.provider_id());
    world.rest().get(&path).await?.expect(200)
}

/// Waits until the provider's health is so; the health.
async fn until_health(world: &World, met: impl Fn(&Value) -> bool) -> Result<Value> {
    let started = Instant::now();
    loop {
        let health = health(world).await?;
        if met(&health) {
            return Ok(health);
        }
        anyhow::ensure!(started.elapsed() < LIMIT, "not so after {LIMIT:?}: {health}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The value of a counter or gauge, all its labels added up.
async fn metric(world: &World, name: &str) -> Result<f64> {
    let page = world.rest().get("/metrics").await?;
    let lines = page.text.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum())
}

/// Sets what the world's model costs, in dollars for a million tokens, and how long its answers may be.
async fn price(world: &World, cost: Value, max_output_tokens: u32) -> Result {
    let path = format!("/api/v1/chats/model-configs/{}", world.model_config_id());
    let change = json!({ "model_config": { "max_output_tokens": max_output_tokens, "cost": cost } });
    world.rest().patch(&path, &change).await?.expect(200)?;
    Ok(())
}

/// The middle and the greatest of some times, for figures.
fn half_and_worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let half = times.get(times.len() / 2).copied().unwrap_or_default();
    (half, times.last().copied().unwrap_or_default())
}
