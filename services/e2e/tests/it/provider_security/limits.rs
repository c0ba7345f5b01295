//! S31: each limit on what may be consumed is reached here, refuses with its own words, and is counted.

use std::time::Instant;

use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Answer, Rest, World, free_address},
};
use tokio::task::JoinSet;

use crate::{LIMIT, Result};

/// A counter's lines with all of these words in them, added up.
async fn counted(world: &World, words: &[&str]) -> Result<f64> {
    let page = world.rest().get("/metrics").await?.text;
    let lines = page.lines().filter(|line| words.iter().all(|word| line.contains(word)));
    Ok(lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}

/// Waits until it is at least so much.
async fn until_counted(world: &World, words: &[&str], least: f64) -> Result {
    let started = Instant::now();
    while counted(world, words).await? < least {
        let page = world.rest().get("/metrics").await?.text;
        let near: Vec<&str> = page.lines().filter(|line| line.contains(words[0])).collect();
        anyhow::ensure!(started.elapsed() < LIMIT, "{words:?} is not counted: {near:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A world of one process, whose counters are on one page.
async fn alone(environment: &[(&str, &str)]) -> Result<World> {
    let mut builder = World::builder().all_in_one();
    for (name, value) in environment {
        builder = builder.env(*name, *value);
    }
    builder.start().await
}

/// The same with a listener for programs, which do not try again, and a client of it.
async fn world(environment: &[(&str, &str)]) -> Result<(World, Rest)> {
    let address = free_address()?;
    let url = format!("http://{address}");
    let listen = ("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", url.as_str());
    let environment = [environment, &[listen]].concat();
    let world = alone(&environment).await?;
    let bridge = world.rest().at(url);
    Ok((world, bridge))
}

async fn ask(bridge: &Rest, text: &str) -> Result<Answer> {
    let body = json!({ "model": "fake-model", "messages": [{ "role": "user", "content": text }] });
    bridge.post("/openai/v1/chat/completions", &body).await
}

#[tokio::test]
async fn s31_requests_in_a_minute() -> Result {
    let world = alone(&[("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "60")]).await?;
    let mia = world.create_user("mia").await?;
    let mut refused = None;
    for _ in 0..200 {
        let answer = mia.rest.get("/api/v1/chats").await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a limit of 60 ends before 200");
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    until_counted(&world, &["gateway_http_rate_limited"], 1.0).await
}

#[tokio::test]
async fn s31_length_of_a_request() -> Result {
    let (world, bridge) = world(&[]).await?;
    let answer = ask(&bridge, &"x".repeat(33 << 20)).await?;
    assert_eq!(answer.status, 413, "{}", answer.text);
    until_counted(&world, &["bridge_refusals"], 1.0).await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let answer = world
        .rest()
        .patch(&path, &json!({ "display_name": "x".repeat(300 << 10) }))
        .await?;
    assert!(
        answer.status == 400 && answer.text.contains("too large"),
        "{}",
        answer.text
    );
    until_counted(&world, &["gateway_http_requests", "400"], 1.0).await
}

#[tokio::test]
async fn s31_calls_at_once_and_calls_that_wait() -> Result {
    let (world, bridge) = world(&[("TANDEM_PROVIDER_GATEWAY__ADMISSION__MAX_QUEUED", "1")]).await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    world
        .rest()
        .patch(&path, &json!({ "max_concurrent": 1 }))
        .await?
        .expect(200)?;
    world
        .fake()
        .script(Script::always(Reply::text("Fine.").headers_gate("go")));
    let mut calls = JoinSet::new();
    for number in 0..4 {
        let bridge = bridge.clone();
        calls.spawn(async move { ask(&bridge, &format!("Call {number}")).await });
    }
    for _ in 0..2 {
        let refused = calls.join_next().await.expect("four calls")??;
        assert_eq!(refused.status, 503, "{}", refused.text);
        assert!(refused.headers.contains_key("retry-after"), "{}", refused.text);
    }
    until_counted(&world, &["provider_gateway_queue_refusals"], 2.0).await?;
    world.fake().open("go");
    while let Some(answer) = calls.join_next().await {
        answer??.expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn s31_all_calls_of_a_replica() -> Result {
    let world = alone(&[("TANDEM_PROVIDER_GATEWAY__COMPLETIONS__MAX_RUNNING", "1")]).await?;
    let held = Reply::text("Half ").gate("go").and_text("and half.");
    world.fake().script(Script::always(held).when_user_says("Chat"));
    world.create_chat("Chat 1").await?;
    world.fake().wait_at_gate("go", LIMIT).await?;
    let second = world.create_chat("Chat 2").await?;
    let stream = world.stream(tandem_e2e::world::id_of(&second)?).await?;
    let events = stream
        .wait_until(LIMIT, |events| events.iter().any(|event| event["type"] == "retry"))
        .await?;
    let retry = tandem_e2e::world::Transcript::of(&events).retries[0].clone();
    assert!(
        retry["delay_ms"].as_u64().is_some_and(|delay| delay >= 1_000),
        "{retry}"
    );
    world.fake().open("go");
    stream.settled(LIMIT).await?;
    until_counted(
        &world,
        &["rpc_requests", "CompletionService/Complete", "UNAVAILABLE"],
        1.0,
    )
    .await
}

#[tokio::test]
async fn s31_time_of_an_answer() -> Result {
    let world = alone(&[("TANDEM_PROVIDER_GATEWAY__GUARDS__TOTAL", "1s")]).await?;
    let endless = Reply::text("One ").gate("never").and_text("two.");
    world.fake().script(Script::reply(endless).when_user_says("Chat"));
    let chat = world.create_chat("Chat").await?;
    let failed = world
        .wait_for_status(tandem_e2e::world::id_of(&chat)?, "error", LIMIT)
        .await?;
    assert_eq!(failed["last_error"]["kind"], "timeout", "{failed}");
    until_counted(&world, &["provider_gateway_completions_total", "timeout"], 1.0).await
}

#[tokio::test]
async fn s31_money() -> Result {
    let (world, bridge) = world(&[]).await?;
    let path = format!("/api/v1/chats/model-configs/{}", world.model_config_id());
    let priced = json!({ "model_config": { "cost": { "output_price_per_million_tokens": "1000" } } });
    world.rest().patch(&path, &priced).await?.expect(200)?;
    let limit = json!({ "spend_limit_micros": 1_000, "period": "day" });
    world
        .rest()
        .put("/api/v1/chats/usage-limits", &limit)
        .await?
        .expect(200)?;
    world.fake().script(Script::always(Reply::text("Fine.").usage(1, 5)));
    ask(&bridge, "One").await?.expect(200)?;
    // What was set aside for it is more than what it has used, until that is told.
    let started = Instant::now();
    let status = "/api/v1/chats/usage-limits/status";
    while world.rest().get(status).await?.expect(200)?["current_spend"] != 5_000 && started.elapsed() < LIMIT {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = ask(&bridge, "Two").await?;
    assert_eq!(refused.status, 403, "{}", refused.text);
    until_counted(&world, &["provider_gateway_spend_checks", "exceeded"], 1.0).await
}
