//! Tools that the client runs: the turn parks, anybody who reads the chat sees why, and the first complete answer wins.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Transcript, World, id_of, text},
};

use crate::{LIMIT, Result, settled, tools};

/// A chat whose client offers `weather`; its first step asks for it and runs a command beside it.
async fn parked(world: &World) -> Result<String> {
    let step = Reply::text("I ask.")
        .tool_call_with_id("call_weather", "weather", json!({ "city": "Oslo" }))
        .tool_call_with_id("call_echo", "execute", json!({ "command": "echo beside" }));
    world
        .fake()
        .script(Script::turn([step, Reply::text("It is sunny.")]).when_user_says("What weather?"));
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let body = json!({
        "organization_id": world.admin().organization_id,
        "content": text("What weather?"),
        "unsafe_dynamic_tools": [{ "name": "weather", "description": "Asks the sky.", "input_schema": schema }],
    });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?.to_owned();
    world.wait_for_status(&id, "requires_action", LIMIT).await?;
    Ok(id)
}

fn answer(results: Value) -> Value {
    json!({ "results": results })
}

fn sunny() -> Value {
    answer(json!([{ "tool_call_id": "call_weather", "output": { "sky": "sunny" }, "is_error": false }]))
}

#[tokio::test]
async fn a_turn_waits_for_its_client_and_goes_on_with_what_it_returns() -> Result {
    let world = World::start().await?;
    let id = parked(&world).await?;
    let late = world.stream(&id).await?;
    let events = late
        .wait_until(LIMIT, |events| {
            events.iter().any(|event| event["type"] == "action_required")
        })
        .await?;
    let asked = events
        .iter()
        .find(|event| event["type"] == "action_required")
        .expect("just seen");
    let calls = asked["action_required"]["tool_calls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(calls.len(), 1, "only the client's own call: {asked}");
    assert_eq!(calls[0]["tool_call_id"], "call_weather");

    let path = format!("/api/v1/chats/{id}/tool-results");
    let wrong = [
        answer(json!([])),
        answer(json!([{ "tool_call_id": "call_echo", "output": 1, "is_error": false }])),
        answer(json!([
            { "tool_call_id": "call_weather", "output": 1, "is_error": false },
            { "tool_call_id": "call_weather", "output": 2, "is_error": false },
        ])),
        answer(json!([
            { "tool_call_id": "call_weather", "output": 1, "is_error": false },
            { "tool_call_id": "call_other", "output": 2, "is_error": false },
        ])),
    ];
    for body in &wrong {
        world.rest().post(&path, body).await?.expect(400)?;
    }
    world.rest().post(&path, &sunny()).await?.expect(204)?;
    let shown = settled(&world, &id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: It is sunny."));
    world.rest().post(&path, &sunny()).await?.expect(409)?;
    let results = tools::results(&tools::last_request(&world));
    assert_eq!(results.len(), 2, "{results:#?}");
    assert!(results.contains(&json!({ "sky": "sunny" })), "{results:#?}");
    world.fake().check_no_rejections()
}

/// D48, the part that needs no second person.
#[tokio::test]
async fn d48_what_waits_for_its_client_survives_a_crash() -> Result {
    let mut world = World::start().await?;
    let id = parked(&world).await?;
    world.kill9().await?;
    world.restart().await?;
    assert_eq!(world.chat(&id).await?["status"], "requires_action");
    world
        .rest()
        .post(&format!("/api/v1/chats/{id}/tool-results"), &sunny())
        .await?
        .expect(204)?;
    let shown = settled(&world, &id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: It is sunny."));
    Ok(())
}

#[tokio::test]
async fn a_client_that_never_returns_fails_its_turn_and_the_chat_goes_on() -> Result {
    let world = World::builder()
        .env("TANDEM_STORAGE__ACTION_LIMIT", "1s")
        .start()
        .await?;
    let id = parked(&world).await?;
    let chat = world.wait_for_status(&id, "error", LIMIT).await?;
    assert!(
        chat["last_error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("in time")),
        "{chat}"
    );
    world.send(&id, "Never mind.").await?;
    let shown = settled(&world, &id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Never mind.")
    );
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_message_that_interrupts_answers_the_open_calls_first() -> Result {
    let world = World::start().await?;
    let id = parked(&world).await?;
    let body = json!({ "content": text("Forget the weather."), "busy_behavior": "interrupt" });
    let sent = world
        .rest()
        .post(&format!("/api/v1/chats/{id}/messages"), &body)
        .await?
        .expect(200)?;
    assert_eq!(sent["queued"], false);
    let shown = settled(&world, &id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Forget the weather.")
    );
    let stream = world.stream(&id).await?;
    let seen = Transcript::of(&stream.settled(LIMIT).await?);
    assert_eq!(seen.lines(), shown);
    world.fake().check_no_rejections()
}
