//! Drills with the network between the rooms: partitions, connections that are dead without a sign, replicas that race.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future;
use reqwest::Method;
use serde_json::{Value, json};
use tandem_e2e::{
    chaos_proxy::{ChaosProxy, Direction, Traffic},
    fake_llm::{Reply, Script},
    world::{Builder, Rest, Service, Stream, Transcript, User, Wire, World, finish, id_of, text},
};

use crate::{
    LIMIT, Result,
    drills::{self, effects, rounds, told},
    settled,
};

/// How soon a dead connection must be noticed. Promised are 10 s; the rest is for a busy machine.
const NOTICED: Duration = Duration::from_secs(14);
/// How soon after a partition the turns it delayed must have ended. Promised is half of it.
const HEALED: Duration = Duration::from_secs(30);
/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// D11: three replicas race for the same chats. Each turn is claimed once, and each step paid once.
#[tokio::test]
async fn d11_replicas_that_race_for_chats_claim_each_turn_once() -> Result {
    const CHATS: usize = 40;
    const REPLICAS: usize = 3;
    let world = World::builder().replicas(REPLICAS).database().start().await?;
    let held = Reply::text("One ").gate("race").and_text("owner.");
    world.fake().script(Script::always(held).when_user_says("turn 0"));
    let turns = 1 + rounds();
    let created = (0..CHATS).map(|n| {
        let world = &world;
        async move {
            let message = format!("Chat {n}, turn 0");
            world.create_chat_of(&world.admin_at(n % REPLICAS), &message).await
        }
    });
    let mut ids = Vec::new();
    for chat in future::join_all(created).await {
        ids.push(id_of(&chat?)?.to_owned());
    }
    let begun = Instant::now();
    while world.fake().completions().len() < CHATS {
        ensure!(begun.elapsed() < LIMIT, "{}", world.fake().summary());
        tokio::time::sleep(INTERVAL).await;
    }
    let owners = "SELECT count(DISTINCT lease_owner) FROM chats WHERE status = 'running'";
    let owners: usize = world.sql(owners).await?.parse()?;
    ensure!((2..=REPLICAS).contains(&owners), "nobody raced: {owners} owners");
    world.fake().open("race");
    for turn in 0..turns {
        for (n, id) in ids.iter().enumerate() {
            let shown = settled(&world, id).await?;
            let answer = match turn {
                0 => "assistant: One owner.".to_owned(),
                _ => format!("assistant: You said: Chat {n}, turn {turn}"),
            };
            assert_eq!(shown.len(), 2 * (turn + 1), "{shown:?}");
            assert_eq!(shown.last(), Some(&answer));
        }
        if turn + 1 < turns {
            let sent = ids.iter().enumerate().map(|(n, id)| {
                let rest = world.admin_at((n + turn) % REPLICAS).rest;
                let body = json!({ "content": text(&format!("Chat {n}, turn {}", turn + 1)) });
                async move {
                    rest.post(&format!("/api/v1/chats/{id}/messages"), &body)
                        .await?
                        .expect(200)
                }
            });
            future::try_join_all(sent).await?;
        }
    }
    let epochs = world.sql("SELECT DISTINCT epoch FROM chats").await?;
    assert_eq!(epochs, turns.to_string(), "a turn was claimed twice");
    assert_eq!(
        world.fake().completions().len(),
        CHATS * turns,
        "{}",
        world.fake().summary()
    );
    Ok(())
}

/// What a partition does not let through.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Both,
    One(Direction),
}

impl Lost {
    const ALL: [Self; 3] = [
        Self::Both,
        Self::One(Direction::ToServer),
        Self::One(Direction::ToClient),
    ];

    fn begin(self, proxy: &ChaosProxy) {
        match self {
            Self::Both => proxy.blackhole(),
            Self::One(direction) => proxy.hold(direction),
        }
    }

    /// Bytes that came to nobody so far.
    fn held(self, traffic: Traffic) -> u64 {
        match self {
            Self::Both => traffic.held_to_server + traffic.held_to_client,
            Self::One(Direction::ToServer) => traffic.held_to_server,
            Self::One(Direction::ToClient) => traffic.held_to_client,
        }
    }
}

fn short_leases() -> Builder {
    World::builder()
        .network()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "750ms")
}

/// D12: for a second, two rooms do not hear each other. Each pair in turn; which way is lost changes from round to round.
#[tokio::test]
async fn d12_a_short_partition_of_any_two_rooms_is_a_pause() -> Result {
    let world = short_leases().database().start().await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        for (number, (wire, _)) in world.network().wires().enumerate() {
            let lost = Lost::ALL[(number + round) % Lost::ALL.len()];
            let name = format!("short-{round}-{number}");
            let id = begin(&world, &name).await?;
            times.push(partition(&world, wire, lost, Duration::from_secs(1), &id, &name).await?);
        }
    }
    drills::tell("D12", "a way lost for 1 s", times);
    world.fake().check_no_rejections()
}

/// D12: the partition outlives the lease, so that another replica takes over what the cut-off one still holds to be its own.
#[tokio::test]
async fn d12_a_partition_longer_than_a_lease_doubles_nothing() -> Result {
    let mut world = short_leases().replicas(2).database().start().await?;
    let mut times = Vec::new();
    let wires = [Service::Storage, Service::ProviderGateway, Service::ToolRunner];
    for round in 0..rounds() {
        for (number, to) in wires.into_iter().enumerate() {
            let lost = Lost::ALL[(number + round) % Lost::ALL.len()];
            let wire = Wire::Between(Service::Orchestrator, to);
            let name = format!("long-{round}-{number}");
            // The other replica sleeps until the one behind the bad network has claimed the chat.
            world.freeze_replica(Service::Orchestrator, 1)?;
            let id = begin(&world, &name).await?;
            world.thaw_replica(Service::Orchestrator, 1)?;
            times.push(partition(&world, wire, lost, Duration::from_secs(5), &id, &name).await?);
            if to == Service::Storage {
                let epoch = world.sql(&format!("SELECT epoch FROM chats WHERE id = '{id}'")).await?;
                ensure!(epoch != "1", "nobody took over");
            }
        }
    }
    drills::tell("D12", "a way lost for 5 s, lease of 3 s", times);
    world.fake().check_no_rejections()
}

/// Begins the story of a turn that waits in the middle of its first answer; the chat.
async fn begin(world: &World, name: &str) -> Result<String> {
    let command = json!({ "command": format!("echo done >> effects-{name}; cat effects-{name}") });
    let held = Reply::text("I will ")
        .gate(name)
        .and_text("do it now.")
        .tool_call("execute", command);
    let answers = [held, Reply::text("It is done, and that is all.")];
    let message = format!("Story {name}.");
    world.fake().script(Script::turn(answers).when_user_says(&message));
    let chat = world.create_chat(&message).await?;
    world.fake().wait_at_gate(name, LIMIT).await?;
    Ok(id_of(&chat)?.to_owned())
}

/// One turn is in the middle of an answer when the partition begins, another is asked for during it. Both end right.
/// How long after the healing that was.
async fn partition(world: &World, wire: Wire, lost: Lost, lasts: Duration, id: &str, name: &str) -> Result<Duration> {
    let what = format!("{wire:?}, lost: {lost:?}");
    let paid = world.fake().completions().len();
    let proxy = world.network().wire(wire);
    let before = lost.held(proxy.traffic());
    lost.begin(proxy);
    let began = Instant::now();
    world.fake().open(name);
    let other = tokio::spawn(insist(
        world.rest().clone(),
        world.admin().organization_id.clone(),
        name.to_owned(),
    ));
    while began.elapsed() < lasts || lost.held(proxy.traffic()) == before {
        ensure!(began.elapsed() < LIMIT, "{what}: nobody said anything");
        tokio::time::sleep(INTERVAL).await;
    }
    proxy.heal();
    let healed = Instant::now();
    let other = other.await??;
    let ended = async {
        told(world, id, name).await?;
        let shown = settled(world, &other).await?;
        assert_eq!(
            shown,
            [
                format!("user: Also {name}."),
                format!("assistant: You said: Also {name}.")
            ]
        );
        Ok(())
    };
    ended
        .await
        .map_err(|error: anyhow::Error| error.context(what.clone()))?;
    let ended = healed.elapsed();
    ensure!(ended < HEALED, "{what}: {ended:?} after it healed");
    let output = effects(world, id).await?.to_string();
    assert_eq!(output.matches("done").count(), 1, "{what}: {output}");
    let paid = world.fake().completions().len() - paid;
    // The second step, and the other turn's one.
    assert_eq!(paid, 2, "{what}: {}", world.fake().summary());
    let chats = world.rest().get("/api/v1/chats").await?.expect(200)?;
    let title = format!("Also {name}.");
    let count = chats
        .as_array()
        .into_iter()
        .flatten()
        .filter(|chat| chat["title"] == *title)
        .count();
    assert_eq!(count, 1, "{what}: created twice");
    Ok(ended)
}

/// Creates a chat as a program would that does not take no for an answer: the same request until it is carried out.
async fn insist(rest: Rest, organization_id: String, name: String) -> Result<String> {
    let body = json!({ "organization_id": organization_id, "content": text(&format!("Also {name}.")) });
    let started = Instant::now();
    loop {
        let request = rest
            .request(Method::POST, "/api/v1/chats")
            .header("idempotency-key", &name)
            .json(&body);
        let answer = finish(request, "POST /api/v1/chats".to_owned()).await?;
        if matches!(answer.status, 409 | 503 | 504) && started.elapsed() < LIMIT {
            tokio::time::sleep(INTERVAL * 10).await;
            continue;
        }
        return Ok(id_of(&answer.expect(201)?)?.to_owned());
    }
}

/// D13: every connection between the rooms is dead at once, without a sign to either side. Both ends of each notice; new ones take
/// their place, and the turn that was under way goes on as if nothing had been.
#[tokio::test]
async fn d13_connections_that_are_dead_without_a_sign_are_noticed_and_replaced() -> Result {
    let world = World::builder().network().start().await?;
    // Every room has called every other one it knows.
    let warm = begin(&world, "warm").await?;
    world.fake().open("warm");
    told(&world, &warm, "warm").await?;
    for round in 0..rounds() {
        let name = format!("dead-{round}");
        let id = begin(&world, &name).await?;
        let paid = world.fake().completions().len();
        let mut silent: Vec<(Wire, Traffic)> = Vec::new();
        for (wire, proxy) in world.network().wires() {
            let before = proxy.traffic();
            // One that died in an earlier round comes back when it is needed.
            if before.connections > before.ended_by_client {
                silent.push((wire, before));
            }
            proxy.strand();
        }
        let all = Wire::between_services().count();
        ensure!(round > 0 || silent.len() == all, "not connected: {silent:#?}");
        let began = Instant::now();
        while !silent.is_empty() {
            silent.retain(|(wire, before)| {
                let now = world.network().traffic(*wire);
                now.ended_by_client == before.ended_by_client || now.ended_by_server == before.ended_by_server
            });
            ensure!(began.elapsed() < NOTICED, "not noticed: {silent:#?}");
            tokio::time::sleep(INTERVAL).await;
        }
        world.fake().open(&name);
        told(&world, &id, &name).await?;
        let output = effects(&world, &id).await?.to_string();
        assert_eq!(output.matches("done").count(), 1, "{output}");
        let paid = world.fake().completions().len() - paid;
        assert_eq!(paid, 1, "a model call was paid twice: {}", world.fake().summary());
    }
    Ok(())
}

/// D13: a reader that is gone without a sign is noticed; when it comes back, it has missed nothing.
#[tokio::test]
async fn d13_a_reader_that_is_gone_without_a_sign_is_noticed() -> Result {
    let world = World::start().await?;
    let address = world.rest().base().trim_start_matches("http://").parse()?;
    let proxy = ChaosProxy::start(address).await?;
    let reader = User {
        rest: world.rest().at(format!("http://{}", proxy.address())),
        ..world.admin().clone()
    };
    world
        .fake()
        .script(Script::reply(Reply::text("One ").gate("gone").and_text("two.")));
    let chat = world.create_chat("Count").await?;
    let id = id_of(&chat)?;
    let stream: Stream = world.stream_from(&reader, id, "").await?;
    let seen = stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == "One ")
        .await?;
    proxy.strand();
    let began = Instant::now();
    while proxy.traffic().ended_by_server == 0 {
        ensure!(began.elapsed() < NOTICED, "nobody noticed: {:?}", proxy.traffic());
        tokio::time::sleep(INTERVAL).await;
    }
    ensure!(proxy.traffic().held_to_client > 0, "{:?}", proxy.traffic());
    world.fake().open("gone");
    let cursor = Transcript::of(&seen).cursor.unwrap_or_default();
    let again = world
        .stream_from(&reader, id, &format!("after_cursor={cursor}"))
        .await?;
    let all = |new: &[Value]| Transcript::of(&[&seen, new].concat());
    let new = again.wait_until(LIMIT, |new| all(new).is_settled()).await?;
    let all = all(&new);
    assert_eq!(all.lines(), ["user: Count", "assistant: One two."]);
    assert_eq!(all.repeated, [0_i64; 0]);
    Ok(())
}

/// D13: a call into a silence that does not end is answered all the same, and in a way that machines understand.
#[tokio::test]
async fn d13_a_call_into_silence_ends_by_itself() -> Result {
    let world = World::builder().network().start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?.to_owned();
    settled(&world, &id).await?;
    let path = format!("/api/v1/chats/{id}/messages");
    let body = json!({ "content": text("Again") });
    let ask = |method: Method| {
        let request = world.rest().request(method.clone(), &path);
        let request = match method {
            Method::POST => request.header("idempotency-key", "again").json(&body),
            _ => request,
        };
        finish(request, format!("{method} {path}"))
    };
    for (peer, method) in [(Service::Storage, Method::GET), (Service::Orchestrator, Method::POST)] {
        let proxy = world.network().wire(Wire::Between(Service::Gateway, peer));
        let before = proxy.traffic().held_to_server;
        proxy.blackhole();
        let answer = tokio::time::timeout(LIMIT, ask(method.clone())).await??;
        ensure!(matches!(answer.status, 503 | 504), "{answer:?}");
        let says_when = answer.headers.contains_key("retry-after");
        ensure!(says_when || answer.status == 504, "{answer:?}");
        ensure!(proxy.traffic().held_to_server > before, "nothing was lost");
        proxy.heal();
        let healed = Instant::now();
        while ask(method.clone()).await?.status != 200 {
            ensure!(healed.elapsed() < LIMIT, "it does not go on");
            tokio::time::sleep(INTERVAL * 10).await;
        }
    }
    // The first request may have arrived after all; with its key it counts once.
    let shown = settled(&world, &id).await?;
    let count = shown.iter().filter(|line| *line == "user: Again").count();
    assert_eq!(count, 1, "{shown:?}");
    Ok(())
}
