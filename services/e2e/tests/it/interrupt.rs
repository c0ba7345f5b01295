//! Stop.

use std::time::{Duration, Instant};

use serde_json::json;
use tandem_e2e::{
    fake_llm::{Outcome, Reply, Script},
    world::{Transcript, World, id_of},
};

use crate::{LIMIT, Result, conversation, pair, settled};

#[tokio::test]
async fn stopping_an_answer_keeps_what_was_said_and_frees_the_model() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::reply(Reply::text("One two").gate("never").and_text(" three")));
    let chat = world.create_chat("Count").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == "One two")
        .await?;
    let answer = world.interrupt(id).await?;
    assert_eq!(answer["status"], "waiting");
    world
        .fake()
        .wait_until(LIMIT, |requests| requests[0].outcome == Outcome::Disconnected)
        .await?;
    let events = stream.settled(LIMIT).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown, ["user: Count", "assistant: One two"]);
    assert_eq!(Transcript::of(&events).lines(), shown);
    assert_eq!(Transcript::of(&events).live_text, "");

    world.send(id, "Go on").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Go on"));
    assert_eq!(
        conversation(&world.fake().completions()[1]),
        [
            pair("user", "Count"),
            pair("assistant", "One two"),
            pair("user", "Go on")
        ]
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn stopping_a_command_kills_it_and_leaves_a_history_the_model_accepts() -> Result {
    let world = World::start().await?;
    let call = Reply::call("execute", json!({ "command": "sleep 300", "timeout": "290s" }));
    world.fake().script(Script::reply(call));
    let chat = world.create_chat("Sleep").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    stream
        .wait_until(LIMIT, |events| {
            let lines = Transcript::of(events).lines();
            lines.iter().any(|line| line == "assistant: [tool-call execute]")
        })
        .await?;
    let started = Instant::now();
    world.interrupt(id).await?;
    let shown = settled(&world, id).await?;
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "stopping took {:?}",
        started.elapsed()
    );
    assert_eq!(
        shown,
        [
            "user: Sleep",
            "assistant: [tool-call execute]",
            "tool: [tool-result execute]"
        ]
    );
    world.send(id, "Awake?").await?;
    settled(&world, id).await?;
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn stopping_runs_the_next_queued_message() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::reply(Reply::text("Never").gate("never")).when_user_says("first"));
    let chat = world.create_chat("first").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("never", LIMIT).await?;
    world.send(id, "second").await?;
    world.interrupt(id).await?;
    let stream = world.stream(id).await?;
    let done = |events: &[serde_json::Value]| {
        let seen = Transcript::of(events);
        seen.status() == "waiting" && seen.lines().iter().any(|line| line == "assistant: You said: second")
    };
    stream.wait_until(LIMIT, done).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown,
        [
            "user: first",
            "assistant: Never",
            "user: second",
            "assistant: You said: second"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn stopping_a_chat_that_waits_changes_nothing() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    let shown = settled(&world, id).await?;
    assert_eq!(world.interrupt(id).await?["status"], "waiting");
    assert_eq!(settled(&world, id).await?, shown);
    Ok(())
}
