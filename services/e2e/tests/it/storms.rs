//! Many turns at once while processes are killed and restarted around them: nothing is lost, doubled or left behind.

use std::time::Duration;

use serde_json::Value;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Service, Transcript, World, id_of},
};

use crate::{
    LIMIT, Result,
    drills::{created, effects, rounds, story, told},
    every_call::begin,
    settled,
};

/// A generator of choices that is the same in every run (Lehmer, modulus 2³¹ − 1, multiplier 48271).
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        usize::try_from(self.0).unwrap_or(0) % limit
    }
}

fn short_leases() -> tandem_e2e::world::Builder {
    World::builder()
        .separate_processes()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "750ms")
}

/// D02: any service, again and again, under load.
#[tokio::test]
async fn d02_services_killed_at_random_under_load_lose_and_double_nothing() -> Result {
    const CHATS: usize = 8;
    let mut world = short_leases().start().await?;
    let mut choices = Choices(20_261_121);
    let mut chats = Vec::new();
    for n in 0..CHATS {
        let name = format!("storm-{n}");
        // The same answer to every attempt: what dies with the gateway to the models is asked for again.
        let words = Reply::text_in(format!("All of {name} in many small words."), 12);
        let paced = words.delay_between(Duration::from_millis(60));
        world
            .fake()
            .script(Script::always(paced).when_user_says(format!("Story {name}.")));
        chats.push((begin(&world, &name).await?, name.clone()));
        if n % 2 == 1 {
            let service = Service::ALL[choices.below(Service::ALL.len())];
            world.kill9_service(service).await?;
            world.restart().await?;
        }
    }
    for _ in 0..(4 * rounds()) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let service = Service::ALL[choices.below(Service::ALL.len())];
        world.kill9_service(service).await?;
        world.restart().await?;
    }
    for (id, name) in &chats {
        world.wait_for_status(id, "waiting", LIMIT).await?;
        let shown = settled(&world, id).await?;
        let expected = [
            format!("user: Story {name}."),
            format!("assistant: All of {name} in many small words."),
        ];
        assert_eq!(shown, expected);
    }
    world.fake().check_no_rejections()
}

/// D09: an orderly restart of each service while answers stream; not a word is lost, and no turn fails.
#[tokio::test]
async fn d09_a_rolling_restart_under_load_loses_no_word() -> Result {
    const CHATS: usize = 6;
    let mut world = World::builder().separate_processes().start().await?;
    // The gateway to the models is left out here: what it streams dies with it, and D03 shows what follows.
    for service in [
        Service::Orchestrator,
        Service::Gateway,
        Service::ToolRunner,
        Service::Storage,
    ] {
        let name = service.name();
        let (mut chats, mut readers) = (Vec::new(), Vec::new());
        for n in 0..CHATS {
            let gate = format!("{name}-{n}");
            let message = format!("Roll {name} {n}.");
            let reply = Reply::text("Before ").gate(&gate).and_text("and after.");
            world.fake().script(Script::reply(reply).when_user_says(&message));
            let chat = world.create_chat(&message).await?;
            let id = id_of(&chat)?.to_owned();
            world.fake().wait_at_gate(&gate, LIMIT).await?;
            readers.push(world.stream(&id).await?);
            chats.push((id, gate, message));
        }
        let paid = world.fake().completions().len();
        let status = world.terminate_service(service).await?;
        assert!(status.success(), "{name} ended with {status}");
        assert!(
            !world.logs().contains("draining took too long"),
            "{name} waited for its readers"
        );
        if service == Service::Gateway {
            // The code for "going away": clients come back elsewhere with their cursor.
            for reader in &readers {
                let ended = reader.ended().unwrap_or_default();
                assert!(
                    ended.contains("Away") && ended.contains("server is going away"),
                    "{ended}"
                );
            }
        }
        world.restart().await?;
        for (id, gate, message) in &chats {
            world.fake().open(gate);
            let shown = settled(&world, id).await?;
            assert_eq!(
                shown,
                [format!("user: {message}"), "assistant: Before and after.".to_owned()]
            );
        }
        assert_eq!(
            world.fake().completions().len(),
            paid,
            "{name}: a model call was paid twice"
        );
    }
    Ok(())
}

/// D06: the gateway dies under streaming clients; each comes back with its cursor and misses nothing.
#[tokio::test]
async fn d06_clients_of_a_killed_gateway_come_back_and_miss_nothing() -> Result {
    const CLIENTS: usize = 20;
    let mut world = World::builder().separate_processes().start().await?;
    world.fake().script(Script::reply(
        Reply::text_in("The first half of it, ", 5)
            .gate("half")
            .and_text("and the second."),
    ));
    let chat = world.create_chat("Tell").await?;
    let id = id_of(&chat)?.to_owned();
    let mut streams = Vec::new();
    for _ in 0..CLIENTS {
        streams.push(world.stream(&id).await?);
    }
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for stream in &streams {
        let events = stream
            .wait_until(LIMIT, |events| {
                Transcript::of(events).live_text == "The first half of it, "
            })
            .await?;
        seen.push(events);
    }
    world.kill9_service(Service::Gateway).await?;
    drop(streams);
    world.restart().await?;
    world.fake().open("half");
    for mut events in seen {
        let cursor = events
            .iter()
            .rev()
            .find_map(|event| event["cursor"].as_str())
            .unwrap_or_default();
        let query = format!("after_cursor={cursor}");
        let stream = world.stream_from(world.admin(), &id, &query).await?;
        let known = events.clone();
        let new = stream
            .wait_until(LIMIT, |new| {
                let mut all = known.clone();
                all.extend(new.iter().cloned());
                Transcript::of(&all).is_settled()
            })
            .await?;
        events.extend(new);
        let transcript = Transcript::of(&events);
        assert_eq!(
            transcript.lines(),
            ["user: Tell", "assistant: The first half of it, and the second."]
        );
        assert_eq!(transcript.repeated, [0_i64; 0]);
        let resets = events.iter().filter(|event| event["type"] == "preview_reset").count();
        assert_eq!(resets, 0, "what was shown was withdrawn without need");
    }
    Ok(())
}

/// D04, the orchestrator's side: tool-runner dies while a command runs.
#[tokio::test]
async fn d04_a_tool_runner_killed_under_a_command_never_runs_it_twice() -> Result {
    let mut world = short_leases().start().await?;
    for round in 0..rounds() {
        let name = format!("runner-{round}");
        world.fake().script(story(&name));
        world.faults().kill_at("turn.tool_running", "")?;
        let begun = world.create_chat(&format!("Story {name}.")).await;
        world.faults().fired("turn.tool_running", LIMIT).await?;
        world.kill9_service(Service::ToolRunner).await?;
        world.kill9_service(Service::Orchestrator).await?;
        world.restart().await?;
        let id = created(&world, begun, &name).await?;
        told(&world, &id, &name).await?;
        let output = effects(&world, &id).await?.to_string();
        assert!(output.matches("done").count() <= 1, "{output}");
    }
    Ok(())
}
