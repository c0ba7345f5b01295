//! D63: one safety after another is switched off, and the drill that relies on it must see what it exists to see. A drill that cannot fail
//! proves nothing.

use std::time::Instant;

use anyhow::ensure;
use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Service, Transcript, World, id_of, lines, text},
};

use crate::{
    LIMIT, Result,
    database::silence::{self, Callers, HUNG_UP_BACK, SLOTS},
    settled,
};

/// Without the recorded intent, D01 must see that the model is paid twice.
#[tokio::test]
async fn d63_without_reattachment_a_killed_orchestrator_pays_twice() -> Result {
    let mut world = World::builder()
        .separate_processes()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "750ms")
        .start()
        .await?;
    world.faults().switch_off("reattach")?;
    let held = Reply::text("Half").gate("rest").and_text(" and half.");
    world.fake().script(Script::turn([held, Reply::text("Said again.")]));
    let chat = world.create_chat("Go on").await?;
    let id = id_of(&chat)?.to_owned();
    world.fake().wait_at_gate("rest", LIMIT).await?;
    world.kill9_service(Service::Orchestrator).await?;
    world.restart().await?;
    let shown = settled(&world, &id).await?;
    world.fake().open("rest");
    assert_eq!(shown, ["user: Go on", "assistant: Said again."]);
    assert_eq!(
        world.fake().completions().len(),
        2,
        "the safety is off, and the drill would not notice"
    );
    Ok(())
}

/// Without stored keys, D44 must see two messages.
#[tokio::test]
async fn d63_without_stored_keys_a_repeated_request_is_done_twice() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let path = format!("/api/v1/chats/{id}/messages");
    let body = json!({ "content": text("Once") });
    let send = || crate::idempotency::post(world.rest(), &path, "the-key", &body);
    let count = |shown: Vec<String>| shown.iter().filter(|line| *line == "user: Once").count();
    for _ in 0..2 {
        send().await?.expect(200)?;
    }
    assert_eq!(count(settled(&world, id).await?), 1, "with the safety on");

    world.faults().switch_off("idempotency")?;
    send().await?.expect(200)?;
    assert_eq!(count(settled(&world, id).await?), 2);
    Ok(())
}

/// Without withdrawals, D03 must see the words of the attempt that died.
#[tokio::test]
async fn d63_without_resets_readers_keep_words_that_were_withdrawn() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    world.faults().switch_off("reset")?;
    let first = Reply::text("First ").gate("first").and_text("try.");
    let second = Reply::text("Second ").gate("second").and_text("try.");
    world.fake().script(Script::turn([first, second]));
    let chat = world.create_chat("Try").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let begun = |events: &[_]| Transcript::of(events).live_text == "First ";
    stream.wait_until(LIMIT, begun).await?;
    world.kill9_service(Service::ProviderGateway).await?;
    world.restart().await?;
    world.fake().wait_at_gate("second", LIMIT).await?;
    let again = |events: &[_]| Transcript::of(events).live_text.ends_with("Second ");
    let events = stream.wait_until(LIMIT, again).await?;
    assert_eq!(Transcript::of(&events).live_text, "First Second ");
    Ok(())
}

/// Without the place in a reader's cursor, D49 must see words twice.
#[tokio::test]
async fn d63_without_the_place_in_a_cursor_readers_see_words_twice() -> Result {
    let world = World::start().await?;
    let held = Reply::text("One ").gate("one").and_text("two ").gate("two");
    world.fake().script(Script::reply(held.and_text("three.")));
    let chat = world.create_chat("Count").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let begun = |events: &[_]| Transcript::of(events).live_text == "One ";
    let known = stream.wait_until(LIMIT, begun).await?;
    let cursor = Transcript::of(&known).cursor.unwrap_or_default();
    world.faults().switch_off("cursor")?;
    world.fake().open("one");
    let query = format!("after_cursor={cursor}");
    let again = world.stream_from(world.admin(), id, &query).await?;
    let both = |new: &[_]| Transcript::of(&[&known, new].concat());
    let new = again
        .wait_until(LIMIT, |new| both(new).live_text.ends_with("two "))
        .await?;
    assert_eq!(both(&new).live_text, "One One two ");
    Ok(())
}

/// Without the seal that comes with a durable message, whoever joins must see its words a second time.
#[tokio::test]
async fn d63_without_seals_durable_words_are_live_too() -> Result {
    let world = World::start().await?;
    world.faults().switch_off("seal")?;
    // While it runs, nothing that is live follows the message.
    let command = json!({ "command": "sleep 600" });
    let reply = Reply::text("I look.").tool_call("execute", command);
    world.fake().script(Script::reply(reply));
    let chat = world.create_chat("Look").await?;
    let id = id_of(&chat)?;
    let stored = "assistant: I look. [tool-call execute]".to_owned();
    let begun = Instant::now();
    while !lines(&world.messages(id).await?).contains(&stored) {
        ensure!(begun.elapsed() < LIMIT, "the answer is not stored");
    }
    let late = world.stream(id).await?;
    let doubled = |events: &[_]| Transcript::of(events).live_text == "I look.";
    let events = late.wait_until(LIMIT, doubled).await?;
    assert!(Transcript::of(&events).lines().contains(&stored));
    Ok(())
}

/// Without a limit for the way back to the pool, D13 must see that slots are lost.
#[tokio::test]
async fn d63_without_a_limit_silent_connections_keep_their_slots() -> Result {
    let world = silence::world().await?;
    let chat = world.create_chat("Count the slots").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.faults().switch_off("return_limit")?;
    silence::lose_busy_connections(&world, id, Callers::HangUp).await?;
    let lost = Instant::now();
    while lost.elapsed() < HUNG_UP_BACK {
        let left = silence::slots(&world, id).await?;
        ensure!(left < SLOTS, "all slots are back after {:?}", lost.elapsed());
    }
    Ok(())
}
