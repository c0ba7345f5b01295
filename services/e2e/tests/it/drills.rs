//! Fault drills: something dies, freezes or crashes at the worst moment, and the chat goes on as if nothing had been.
//!
//! Names begin with the drill's number. `TANDEM_DRILL_ROUNDS` repeats each (default 1); `make drills` runs many.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Service, Transcript, World, id_of, lines},
};

use crate::{LIMIT, Result, settled};

/// How often a drill is repeated.
pub fn rounds() -> usize {
    let text = std::env::var("TANDEM_DRILL_ROUNDS").unwrap_or_default();
    text.parse().unwrap_or(1)
}

/// Tells how often a drill's fault has fired, and how long after each everything was well again.
pub fn tell(drill: &str, fault: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (Some(half), Some(worst)) = (times.get(times.len() / 2), times.last()) else {
        return;
    };
    let count = times.len();
    crate::tell(&format!(
        "{drill} {fault}: {count} times, well again after {half:.1?} (half), {worst:.1?} (worst)"
    ));
}

/// A turn of two steps: words, a command with an effect that can be counted, words.
pub fn story(name: &str) -> Script {
    let command = json!({ "command": format!("echo done >> effects-{name}; cat effects-{name}") });
    Script::turn([
        Reply::text_in("I will do it now.", 6).tool_call("execute", command),
        Reply::text_in("It is done, and that is all.", 8),
    ])
    .when_user_says(format!("Story {name}."))
}

/// What a story must look like at its end, whatever happened on the way.
pub async fn told(world: &World, chat_id: &str, name: &str) -> Result {
    let shown = settled(world, chat_id).await?;
    let expected = [
        format!("user: Story {name}."),
        "assistant: I will do it now. [tool-call execute]".to_owned(),
        "tool: [tool-result execute]".to_owned(),
        "assistant: It is done, and that is all.".to_owned(),
    ];
    assert_eq!(shown, expected);
    Ok(())
}

/// The story's chat. The answer to its creation may be what was lost: the chat is there all the same.
pub async fn created(world: &World, begun: Result<Value>, name: &str) -> Result<String> {
    if let Ok(chat) = &begun {
        return Ok(id_of(chat)?.to_owned());
    }
    let list = list(world).await?;
    let title = format!("Story {name}.");
    let mut chats = list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|chat| chat["title"] == *title);
    let chat = chats.next().unwrap_or(&Value::Null);
    assert!(chats.next().is_none(), "created twice: {list}");
    match (chat, begun) {
        (Value::Null, Err(error)) => Err(error.context("refused, and not created")),
        (chat, _) => Ok(id_of(chat)?.to_owned()),
    }
}

/// The chats there are. A connection that broke with the service behind it may cost a question or two.
async fn list(world: &World) -> Result<Value> {
    for _ in 0..3 {
        if let Ok(list) = world.rest().get("/api/v1/chats").await?.expect(200) {
            return Ok(list);
        }
    }
    world.rest().get("/api/v1/chats").await?.expect(200)
}

/// The output of the story's command: one line for each time it really ran.
pub async fn effects(world: &World, chat_id: &str) -> Result<Value> {
    let messages = world.messages(chat_id).await?;
    let result = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten()
        .find(|part| part["type"] == "tool-result");
    Ok(result.map_or(Value::Null, |part| part["result"].clone()))
}

/// D01: an orchestrator dies at each point where its memory and the database could disagree.
#[tokio::test]
async fn d01_an_orchestrator_killed_at_any_point_of_a_turn_loses_and_doubles_nothing() -> Result {
    const POINTS: [&str; 9] = [
        "message_stored",
        "before_intent",
        "intent_stored",
        "first_chunk",
        "inside_tool_call",
        "answer_not_stored",
        "answer_stored",
        "tool_running",
        "result_not_stored",
    ];
    let mut world = World::builder()
        .separate_processes()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "750ms")
        .start()
        .await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        for point in POINTS {
            let name = format!("{point}-{round}");
            let at = format!("turn.{point}");
            world.fake().script(story(&name));
            let before = world.fake().completions().len();
            world.faults().kill_at(&at, "")?;
            let begun = world.create_chat(&format!("Story {name}.")).await;
            world.faults().fired(&at, LIMIT).await?;
            let killed = Instant::now();
            world.kill9_service(Service::Orchestrator).await?;
            world.restart().await?;
            let id = created(&world, begun, &name).await?;
            told(&world, &id, &name).await?;
            times.push(killed.elapsed());
            let output = effects(&world, &id).await?.to_string();
            let is_unknown = output.contains("unknown");
            assert!(
                output.matches("done").count() <= 1 && (is_unknown || output.contains("done")),
                "{at}: the command ran twice or not at all: {output}"
            );
            assert_eq!(
                world.fake().completions().len() - before,
                2,
                "{at}: a model call was paid twice"
            );
        }
    }
    tell("D01", "orchestrator killed, lease of 3 s", times);
    Ok(())
}

/// D03: the gateway to the models dies in the middle of an answer.
#[tokio::test]
async fn d03_a_provider_gateway_killed_in_mid_stream_costs_one_reset() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let gate = format!("gate-{round}");
        let name = format!("Round {round}.");
        let held = Reply::text("First ").gate(&gate).and_text("try.");
        world
            .fake()
            .script(Script::turn([held, Reply::text("Second try.")]).when_user_says(&name));
        let chat = world.create_chat(&name).await?;
        let id = id_of(&chat)?;
        let stream = world.stream(id).await?;
        stream
            .wait_until(LIMIT, |events| Transcript::of(events).live_text == "First ")
            .await?;
        let killed = Instant::now();
        world.kill9_service(Service::ProviderGateway).await?;
        world.restart().await?;
        world.fake().open(&gate);
        let events = stream.settled(LIMIT).await?;
        times.push(killed.elapsed());
        let seen = Transcript::of(&events);
        assert_eq!(
            seen.lines(),
            [format!("user: {name}"), "assistant: Second try.".to_owned()]
        );
        let resets = events.iter().filter(|event| event["type"] == "preview_reset").count();
        assert_eq!(resets, 1, "{events:#?}");
    }
    tell("D03", "provider gateway killed", times);
    Ok(())
}

/// D05: storage dies while turns run; nobody notices more than a pause.
#[tokio::test]
async fn d05_storage_killed_in_mid_turn_is_an_invisible_pause() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let name = format!("storage-{round}");
        world.fake().script(story(&name));
        world.faults().kill_at("storage.committed", "")?;
        let begun = world.create_chat(&format!("Story {name}.")).await;
        world.faults().fired("storage.committed", LIMIT).await?;
        let killed = Instant::now();
        world.kill9_service(Service::Storage).await?;
        world.restart().await?;
        let id = created(&world, begun, &name).await?;
        told(&world, &id, &name).await?;
        times.push(killed.elapsed());
    }
    tell("D05", "storage killed", times);
    Ok(())
}

/// D10: an owner sleeps through its lease and wakes up after somebody else has finished.
#[tokio::test]
async fn d10_a_frozen_owner_changes_nothing_when_it_wakes() -> Result {
    let mut world = World::builder()
        .separate_processes()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "2s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "500ms")
        .start()
        .await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let (gate, message) = (format!("rest-{round}"), format!("Sleep well {round}"));
        let held = Reply::text("Half").gate(&gate).and_text(" and half.");
        world.fake().script(Script::reply(held).when_user_says(&message));
        let chat = world.create_chat(&message).await?;
        let id = id_of(&chat)?.to_owned();
        world.fake().wait_at_gate(&gate, LIMIT).await?;
        assert_eq!(world.chat(&id).await?["status"], "running");
        world.freeze(Service::Orchestrator)?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.fake().open(&gate);
        world.thaw(Service::Orchestrator)?;
        let woken = Instant::now();
        let shown = settled(&world, &id).await?;
        times.push(woken.elapsed());
        assert_eq!(
            shown,
            [format!("user: {message}"), "assistant: Half and half.".to_owned()]
        );
        assert_eq!(
            world.fake().completions().len(),
            round + 1,
            "{}",
            world.fake().summary()
        );
    }
    tell("D10", "owner frozen for 3 s, lease of 2 s", times);
    Ok(())
}

/// D19: the turn of one chat crashes in our own code, again and again.
#[tokio::test]
async fn d19_a_chat_whose_turn_keeps_crashing_is_set_aside_and_others_are_not_touched() -> Result {
    let world = World::start().await?;
    let first = world.create_chat("Healthy").await?;
    let healthy = id_of(&first)?.to_owned();
    settled(&world, &healthy).await?;
    let poisoned = world.create_chat("Poisoned").await?;
    let id = id_of(&poisoned)?.to_owned();
    settled(&world, &id).await?;
    let point = "turn.before_intent";
    world.faults().panic_at(point, &id)?;
    world.send(&id, "Again").await?;
    for crash in 1..=3 {
        world.faults().fired(point, LIMIT).await?;
        if crash < 3 {
            world.faults().panic_at(point, &id)?;
        }
    }
    let chat = world.wait_for_status(&id, "error", LIMIT).await?;
    let reason = chat["last_error"]["message"].as_str().unwrap_or_default();
    assert!(reason.contains("three times in a row"), "{chat}");

    world.send(&healthy, "Still well?").await?;
    let shown = settled(&world, &healthy).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Still well?")
    );

    world
        .rest()
        .post(&format!("/api/v1/chats/{id}/retry"), &json!({}))
        .await?
        .expect(200)?;
    let shown = settled(&world, &id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Again"));
    Ok(())
}

/// One crash is nobody's business but ours.
#[tokio::test]
async fn d19_a_turn_that_crashes_once_goes_on_at_once() -> Result {
    let world = World::start().await?;
    const POINTS: [&str; 4] = [
        "turn.message_stored",
        "turn.intent_stored",
        "turn.first_chunk",
        "turn.answer_not_stored",
    ];
    let mut times = Vec::new();
    for point in POINTS.repeat(rounds()) {
        world.faults().panic_at(point, "")?;
        let chat = world.create_chat(point).await?;
        let id = id_of(&chat)?;
        world.faults().fired(point, LIMIT).await?;
        let crashed = Instant::now();
        let shown = settled(&world, id).await?;
        times.push(crashed.elapsed());
        assert_eq!(
            shown,
            [format!("user: {point}"), format!("assistant: You said: {point}")]
        );
    }
    assert_eq!(
        world.fake().completions().len(),
        POINTS.len() * rounds(),
        "{}",
        world.fake().summary()
    );
    tell("D19", "turn crashed once", times);
    Ok(())
}

/// D47: stop, whatever the turn is doing.
#[tokio::test]
async fn d47_stop_ends_a_turn_that_waits_to_try_again() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::always(Reply::rate_limited(Duration::from_secs(40))));
    let mut times = Vec::new();
    for round in 0..rounds() {
        let message = format!("Hurry {round}");
        let chat = world.create_chat(&message).await?;
        let id = id_of(&chat)?;
        let waits = |events: &[Value]| events.iter().any(|event| event["type"] == "retry");
        let stream = world.stream(id).await?;
        stream.wait_until(LIMIT, waits).await?;
        // A reader that comes now sees the same countdown.
        let late = world.stream(id).await?;
        late.wait_until(LIMIT, waits).await?;
        let asked = Instant::now();
        let stopped = world.interrupt(id).await?;
        times.push(asked.elapsed());
        assert_eq!(stopped["status"], "waiting");
        assert_eq!(lines(&world.messages(id).await?), [format!("user: {message}")]);
    }
    tell("D47", "stopped in a back-off of 40 s", times);
    Ok(())
}
