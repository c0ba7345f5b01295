//! Messages sent while a turn runs.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Transcript, World, id_of, text},
};

use crate::{LIMIT, Result, settled};

/// Messages one chat can queue.
const QUEUE_LIMIT: usize = 20;

/// A chat whose first turn waits at the gate `busy`.
async fn busy_chat(world: &World) -> Result<String> {
    world
        .fake()
        .script(Script::reply(Reply::text("Busy").gate("busy").and_text(" no more")).when_user_says("start"));
    let chat = world.create_chat("start").await?;
    world.fake().wait_at_gate("busy", LIMIT).await?;
    Ok(id_of(&chat)?.to_owned())
}

/// Waits until the last answer of the chat is to `message`; all lines.
async fn answered(world: &World, id: &str, message: &str) -> Result<Vec<String>> {
    let stream = world.stream(id).await?;
    let last = format!("assistant: You said: {message}");
    stream
        .wait_until(LIMIT, |events| {
            let seen = Transcript::of(events);
            seen.status() == "waiting" && seen.lines().last() == Some(&last)
        })
        .await?;
    settled(world, id).await
}

#[tokio::test]
async fn queued_messages_run_one_turn_each_in_order() -> Result {
    let world = World::start().await?;
    let id = busy_chat(&world).await?;
    for message in ["a", "b"] {
        let sent = world.send(&id, message).await?;
        assert_eq!(sent["queued"], true);
        assert_eq!(sent["queued_message"]["content"][0]["text"], message);
    }
    let queue = world.queue(&id).await?;
    assert_eq!(queue.len(), 2);
    world.fake().open("busy");
    let shown = answered(&world, &id, "b").await?;
    assert_eq!(
        shown,
        [
            "user: start",
            "assistant: Busy no more",
            "user: a",
            "assistant: You said: a",
            "user: b",
            "assistant: You said: b",
        ]
    );
    assert_eq!(world.queue(&id).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_queued_message_can_be_taken_back_and_an_unknown_one_is_no_error() -> Result {
    let world = World::start().await?;
    let id = busy_chat(&world).await?;
    let first = world.send(&id, "a").await?;
    world.send(&id, "b").await?;
    let queued = first["queued_message"]["id"].as_i64().expect("an id");
    for _ in 0..2 {
        let path = format!("/api/v1/chats/{id}/queue/{queued}");
        world.rest().delete(&path).await?.expect(204)?;
    }
    world
        .rest()
        .delete(&format!("/api/v1/chats/{id}/queue/x"))
        .await?
        .expect(400)?;
    world.fake().open("busy");
    let shown = answered(&world, &id, "b").await?;
    assert!(!shown.contains(&"user: a".to_owned()), "{shown:#?}");
    Ok(())
}

#[tokio::test]
async fn a_promoted_message_overtakes_and_stops_the_turn() -> Result {
    let world = World::start().await?;
    let id = busy_chat(&world).await?;
    world.send(&id, "a").await?;
    let second = world.send(&id, "b").await?;
    let queued = second["queued_message"]["id"].as_i64().expect("an id");
    let promote = |number: i64| format!("/api/v1/chats/{id}/queue/{number}/promote");
    world.rest().post(&promote(queued), &json!({})).await?.expect(202)?;
    world
        .rest()
        .post(&promote(queued + 1_000_000), &json!({}))
        .await?
        .expect(404)?;
    let shown = answered(&world, &id, "a").await?;
    assert_eq!(
        shown,
        [
            "user: start",
            "assistant: Busy",
            "user: b",
            "assistant: You said: b",
            "user: a",
            "assistant: You said: a",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_message_sent_to_interrupt_runs_at_once() -> Result {
    let world = World::start().await?;
    let id = busy_chat(&world).await?;
    let body = json!({ "content": text("now"), "busy_behavior": "interrupt" });
    let path = format!("/api/v1/chats/{id}/messages");
    assert_eq!(world.rest().post(&path, &body).await?.expect(200)?["queued"], true);
    let shown = answered(&world, &id, "now").await?;
    assert_eq!(
        shown,
        [
            "user: start",
            "assistant: Busy",
            "user: now",
            "assistant: You said: now"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_full_queue_refuses_and_keeps_what_it_has() -> Result {
    let world = World::start().await?;
    let id = busy_chat(&world).await?;
    for number in 0..QUEUE_LIMIT {
        world.send(&id, &format!("message {number}")).await?;
    }
    let path = format!("/api/v1/chats/{id}/messages");
    let refused = world
        .rest()
        .post(&path, &json!({ "content": text("one too many") }))
        .await?;
    refused.expect(429)?;
    assert_eq!(world.queue(&id).await?.len(), QUEUE_LIMIT);
    Ok(())
}
