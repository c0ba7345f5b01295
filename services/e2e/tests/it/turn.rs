//! A message is answered.

use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Transcript, World, id_of, lines},
};

use crate::{LIMIT, Result, conversation, pair, settled};

#[tokio::test]
async fn a_message_is_answered_over_rest_and_websocket() -> Result {
    let world = World::start().await?;
    world.fake().script(Script::reply(
        Reply::text("Hello, ").gate("half").and_text("world.").usage(11, 7),
    ));
    let chat = world.create_chat("Say hello").await?;
    assert_eq!(chat["title"], "Say hello");
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let events = stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == "Hello, ")
        .await?;
    let half = Transcript::of(&events);
    assert_eq!(half.lines(), ["user: Say hello"]);
    assert_eq!(half.status(), "running");
    assert_eq!(world.chat(id).await?["status"], "running");

    world.fake().open("half");
    let events = stream.settled(LIMIT).await?;
    let seen = Transcript::of(&events);
    assert_eq!(seen.lines(), ["user: Say hello", "assistant: Hello, world."]);
    assert_eq!(seen.live_text, "");
    assert_eq!(seen.repeated, [0_i64; 0]);
    assert_eq!(seen.errors, Vec::<serde_json::Value>::new());
    let durable = world.messages(id).await?;
    assert_eq!(lines(&durable), seen.lines());
    assert_eq!(seen.messages.values().cloned().collect::<Vec<_>>(), durable);
    let usage = &durable[1]["usage"];
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&json!(11), &json!(7))
    );

    let requests = world.fake().completions();
    assert_eq!(requests.len(), 1, "{}", world.fake().summary());
    assert_eq!(conversation(&requests[0]), [pair("user", "Say hello")]);
    assert_eq!(requests[0].body["model"], "fake-model");
    Ok(())
}

#[tokio::test]
async fn the_next_turn_knows_the_conversation() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::turn([Reply::text("Nice to meet you."), Reply::text("Ada.")]));
    let chat = world.create_chat("I am Ada").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let sent = world.send(id, "Who am I?").await?;
    assert_eq!(sent["queued"], false);
    assert_eq!(sent["message"]["role"], "user");
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown,
        [
            "user: I am Ada",
            "assistant: Nice to meet you.",
            "user: Who am I?",
            "assistant: Ada."
        ]
    );
    assert_eq!(
        conversation(&world.fake().completions()[1]),
        [
            pair("user", "I am Ada"),
            pair("assistant", "Nice to meet you."),
            pair("user", "Who am I?")
        ]
    );
    Ok(())
}

#[tokio::test]
async fn reasoning_is_kept_apart_from_the_answer() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::reply(Reply::new().reasoning("Six times seven.").and_text("42")));
    let chat = world.create_chat("6 * 7?").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let messages = world.messages(id).await?;
    let parts = messages[1]["content"].as_array().expect("parts");
    let kinds: Vec<_> = parts.iter().map(|part| (&part["type"], &part["text"])).collect();
    assert_eq!(
        kinds,
        [
            (&json!("reasoning"), &json!("Six times seven.")),
            (&json!("text"), &json!("42"))
        ]
    );
    Ok(())
}

#[tokio::test]
async fn many_chats_run_at_once_and_never_mix() -> Result {
    const CHATS: usize = 20;
    let world = World::start().await?;
    let mut ids = Vec::new();
    for number in 0..CHATS {
        let chat = world.create_chat(&format!("I am number {number}")).await?;
        ids.push(id_of(&chat)?.to_owned());
    }
    for (number, id) in ids.iter().enumerate() {
        let said = format!("I am number {number}");
        let shown = settled(&world, id).await?;
        assert_eq!(shown, [format!("user: {said}"), format!("assistant: You said: {said}")]);
    }
    assert_eq!(world.fake().completions().len(), CHATS);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn the_list_and_the_watch_feed_follow_a_chat() -> Result {
    let world = World::start().await?;
    let watch = world.watch().await?;
    let chat = world.create_chat("Watch me").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let of_chat = |kind: &'static str, status: Option<&'static str>| {
        move |event: &serde_json::Value| {
            event["kind"] == kind
                && event["chat"]["id"] == id
                && status.is_none_or(|status| event["chat"]["status"] == status)
        }
    };
    watch
        .wait_until(LIMIT, |events| {
            events.iter().any(of_chat("created", None)) && events.iter().any(of_chat("status_change", Some("waiting")))
        })
        .await?;
    let list = world.rest().get("/api/v1/chats").await?.expect(200)?;
    assert_eq!(list[0]["id"], id);
    assert_eq!(list[0]["has_unread"], true);
    Ok(())
}
