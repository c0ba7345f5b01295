//! D43: fifty requests race for what is left of a spend limit.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Answer, User, World, free_address, id_of},
};
use tokio::task::JoinSet;

use super::{INTERVAL, crowded, price};
use crate::{LIMIT, Result, drills::rounds, tell};

/// Requests at once.
const REQUESTS: usize = 50;
/// What is left, in millionths of a dollar: one dollar.
const LEFT: i64 = 1_000_000;
/// What an answer may cost at most, and costs: ten cents.
const EACH: i64 = 100_000;
/// A token of output costs a thousandth of a dollar.
const LONGEST: u32 = 100;

/// Somebody who may spend so much more.
async fn limited(world: &World, name: &str) -> Result<User> {
    let all = json!({ "spend_limit_micros": 1_000_000_000_000_i64, "period": "month" });
    world
        .rest()
        .put("/api/v1/chats/usage-limits", &all)
        .await?
        .expect(200)?;
    let user = world.create_user(name).await?;
    let path = format!("/api/v1/chats/usage-limits/overrides/{}", user.id);
    world
        .rest()
        .put(&path, &json!({ "spend_limit_micros": LEFT }))
        .await?
        .expect(200)?;
    Ok(user)
}

async fn status(user: &User) -> Result<Value> {
    user.rest.get("/api/v1/chats/usage-limits/status").await?.expect(200)
}

/// Waits until all that was used is in the ledger.
async fn spent(user: &User) -> Result<i64> {
    let started = Instant::now();
    loop {
        let spent = status(user).await?["current_spend"].as_i64().context("a spend")?;
        if spent >= LEFT || started.elapsed() > LIMIT {
            return Ok(spent);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn longest_answer(gate: &str) -> Reply {
    Reply::text("Fine.").headers_gate(gate).usage(10, i64::from(LONGEST))
}

/// D43, as programs race at the endpoints made for them: who is refused is so while the others are under way.
#[tokio::test]
async fn d43_fifty_requests_at_once_are_admitted_for_what_is_left_and_no_more() -> Result {
    let address = free_address()?;
    let world = crowded()
        .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))
        .start()
        .await?;
    price(&world, json!({ "output_price_per_million_tokens": "1000" }), LONGEST).await?;
    let admitted = usize::try_from(LEFT / EACH)?;
    for round in 0..rounds() {
        let user = limited(&world, &format!("ada{round}")).await?;
        let gate = format!("go-{round}");
        world.fake().script(Script::always(longest_answer(&gate)));
        let bridge = user.rest.at(format!("http://{address}"));
        let body = json!({
            "model": "fake-model", "max_tokens": LONGEST, "messages": [{ "role": "user", "content": format!("Race {round}.") }],
        });
        let before = world.fake().completions().len();
        let mut race = JoinSet::new();
        for _ in 0..REQUESTS {
            let (bridge, body) = (bridge.clone(), body.clone());
            race.spawn(async move { bridge.post("/openai/v1/chat/completions", &body).await });
        }
        let mut refused: Vec<Answer> = Vec::new();
        while refused.len() < REQUESTS - admitted {
            let answer = tokio::time::timeout(LIMIT, race.join_next())
                .await?
                .context("all answered")???;
            assert_ne!(answer.status, 200, "the gate is closed");
            refused.push(answer);
        }
        assert_eq!(
            world.fake().completions().len() - before,
            admitted,
            "worst cases of one dollar are under way"
        );
        world.fake().open(&gate);
        while let Some(answer) = race.join_next().await {
            answer??.expect(200)?;
        }
        for answer in &refused {
            let is_told = answer.text.contains("under way") && answer.text.contains("spend limit");
            ensure!(
                matches!(answer.status, 403 | 429) && is_told,
                "{} {}",
                answer.status,
                answer.text
            );
        }
        let spent = spent(&user).await?;
        assert_eq!(spent, LEFT, "settled to the millionth, and nothing beyond");
        // And once all is spent: when it begins anew.
        let answer = bridge.post("/openai/v1/chat/completions", &body).await?;
        let resets = status(&user).await?["period_end"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        ensure!(
            answer.status == 403 && answer.text.contains(&resets[..10]),
            "{resets}: {} {}",
            answer.status,
            answer.text
        );
        assert_eq!(world.fake().completions().len() - before, admitted);
        world.fake().reset();
    }
    tell(&format!(
        "D43 {} races of {REQUESTS} requests for 1.00, each up to 0.10: {admitted} admitted, 0 overspent, all others refused at once",
        rounds()
    ));
    Ok(())
}

/// D43, as chats race: who finds everything reserved waits, and is refused with the day it begins anew when all is spent.
#[tokio::test]
async fn d43_fifty_chats_at_once_spend_what_is_left_and_no_more() -> Result {
    let world = crowded().start().await?;
    price(&world, json!({ "output_price_per_million_tokens": "1000" }), LONGEST).await?;
    let admitted = usize::try_from(LEFT / EACH)?;
    let user = limited(&world, "ada").await?;
    world.fake().script(Script::always(longest_answer("go")));
    let mut ids = Vec::new();
    for number in 0..REQUESTS {
        let chat = world.create_chat_of(&user, &format!("Race {number}.")).await?;
        ids.push(id_of(&chat)?.to_owned());
    }
    world
        .fake()
        .wait_until(LIMIT, |requests| requests.len() >= admitted)
        .await?;
    world.fake().open("go");
    let resets = status(&user).await?["period_end"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut answered = 0;
    for id in &ids {
        let started = Instant::now();
        let chat = loop {
            let chat = user.rest.get(&format!("/api/v1/chats/{id}")).await?.expect(200)?;
            if chat["status"] == "waiting" || chat["status"] == "error" {
                break chat;
            }
            ensure!(started.elapsed() < LIMIT, "the chat does not rest: {chat}");
            tokio::time::sleep(INTERVAL).await;
        };
        if chat["status"] == "waiting" {
            answered += 1;
            continue;
        }
        let error = &chat["last_error"];
        assert_eq!(error["kind"], "usage_limit", "{chat}");
        ensure!(error.to_string().contains(&resets[..10]), "{resets}: {error}");
    }
    assert_eq!((answered, spent(&user).await?), (admitted, LEFT));
    assert_eq!(world.fake().completions().len(), admitted);
    Ok(())
}
