//! Drills with PostgreSQL: it dies and comes back, it is set up unsafely, it has few connections to give.

mod private;
pub mod silence;

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future;
use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Wire, World, id_of, text},
};

use crate::{
    LIMIT, Result,
    drills::{self, effects, rounds},
    settled,
};

/// How long a chat stays an orchestrator's without a renewal, unless configured.
const LEASE: Duration = Duration::from_secs(10);

/// From the return of the database to the end of turns that waited for it. Promised is half of it; the rest is for a busy machine.
const RESUMED: Duration = Duration::from_secs(10);

/// D08: a server that may lose what it has acknowledged is refused at start, and the message says what to do.
#[tokio::test]
async fn d08_a_database_that_may_lose_commits_is_refused_at_start() -> Result {
    let mut world = World::builder().separate_processes().database().start().await?;
    let chat = world.create_chat("Keep me").await?;
    let id = id_of(&chat)?.to_owned();
    settled(&world, &id).await?;
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        set(&mut world, setting, "off").await?;
        world.kill9().await?;
        let refusal = world.restart().await.expect_err("it started all the same").to_string();
        let said = format!("PostgreSQL runs with {setting} = off");
        ensure!(
            refusal.contains(&said) && refusal.contains("switch it on"),
            "{setting}: {refusal}"
        );
        set(&mut world, setting, "on").await?;
        world.kill9().await?;
    }
    world.restart().await?;
    assert_eq!(
        settled(&world, &id).await?,
        ["user: Keep me", "assistant: You said: Keep me"]
    );
    Ok(())
}

/// D08: who wants it nevertheless is told of it at every start.
#[tokio::test]
async fn d08_a_database_that_may_lose_commits_is_warned_of_where_it_is_allowed() -> Result {
    let builder = World::builder().separate_processes().database();
    let mut world = builder
        .env("TANDEM_STORAGE__ALLOW_UNSAFE_POSTGRES", "true")
        .start()
        .await?;
    let warning = "may lose acknowledged messages";
    ensure!(!world.logs().contains(warning), "warned without need");
    set(&mut world, "fsync", "off").await?;
    world.kill9().await?;
    world.restart().await?;
    ensure!(world.logs().contains(warning), "nobody was warned");
    Ok(())
}

/// D07: PostgreSQL dies at once, in the middle of turns. Nothing acknowledged is lost, no process falls, and work goes on by itself.
#[tokio::test]
async fn d07_a_database_that_is_back_at_once_was_a_pause() -> Result {
    let mut world = World::builder().separate_processes().database().start().await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        times.push(die_and_come_back(&mut world, &format!("pause-{round}"), Away::Shortly).await?);
    }
    drills::tell("D07", "PostgreSQL crashed", times);
    Ok(())
}

/// D07: while it is away for long, what cannot be done is refused in a way that machines understand.
#[tokio::test]
async fn d07_a_database_that_stays_away_is_said_to_and_work_goes_on_when_it_is_back() -> Result {
    let mut world = World::builder().separate_processes().database().start().await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        times.push(die_and_come_back(&mut world, &format!("away-{round}"), Away::ForLong).await?);
    }
    drills::tell("D07", "PostgreSQL away for longer than a lease", times);
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Away {
    /// As long as it takes to start.
    Shortly,
    /// More than a lease lasts, and more than a checked token counts as good.
    ForLong,
}

/// The time from PostgreSQL's return to the end of the turns that waited for it.
async fn die_and_come_back(world: &mut World, name: &str, away: Away) -> Result<Duration> {
    let command = json!({ "command": format!("echo done >> effects-{name}; cat effects-{name}") });
    let held = Reply::text("I will ")
        .gate(name)
        .and_text("do it now.")
        .tool_call("execute", command);
    let message = format!("Story {name}.");
    let answers = [held, Reply::text("It is done, and that is all.")];
    world.fake().script(Script::turn(answers).when_user_says(&message));
    let paid = world.fake().completions().len();
    let chat = world.create_chat(&message).await?;
    let id = id_of(&chat)?.to_owned();
    world.fake().wait_at_gate(name, LIMIT).await?;
    let queued = world.send(&id, "And thanks").await?;
    assert_eq!(queued["queued"], true, "{queued}");
    let processes = world.process_ids();
    let ended = world.network().traffic(Wire::ToDatabase).ended_by_server;

    world.database().crash().await?;
    let ended = world.network().traffic(Wire::ToDatabase).ended_by_server - ended;
    ensure!(ended > 0, "nobody was connected to the database");
    let died = Instant::now();
    world.fake().open(name);
    if away == Away::ForLong {
        while is_ready(world).await? {
            ensure!(died.elapsed() < LIMIT, "ready without a database");
        }
        while died.elapsed() < LEASE + LEASE / 2 {
            refuses_politely(world, &id).await?;
            // Slower than the limit of requests a user has.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
    world.database().start_again().await?;
    let back = Instant::now();
    world.wait_for_status(&id, "waiting", LIMIT).await?;
    while !world.queue(&id).await?.is_empty() {
        ensure!(back.elapsed() < LIMIT, "the queued message stays where it is");
    }
    let shown = settled(world, &id).await?;
    let resumed = back.elapsed();
    ensure!(resumed < RESUMED, "{name}: {resumed:?} after its return");
    let expected = [
        format!("user: {message}"),
        "assistant: I will do it now. [tool-call execute]".to_owned(),
        "tool: [tool-result execute]".to_owned(),
        "assistant: It is done, and that is all.".to_owned(),
        "user: And thanks".to_owned(),
        "assistant: You said: And thanks".to_owned(),
    ];
    assert_eq!(shown, expected);
    let output = effects(world, &id).await?.to_string();
    assert_eq!(
        output.matches("done").count(),
        1,
        "the command ran twice or not at all: {output}"
    );
    let paid = world.fake().completions().len() - paid;
    assert_eq!(paid, 3, "a model call was paid twice");
    assert_eq!(world.process_ids(), processes, "a process fell with the database");
    Ok(resumed)
}

/// While the database is away: alive, not ready, and every request answered with 503 and when to come back.
async fn refuses_politely(world: &World, chat_id: &str) -> Result {
    let rest = world.rest();
    let body = json!({ "organization_id": world.admin().organization_id, "content": text("Now?") });
    let path = format!("/api/v1/chats/{chat_id}");
    let messages = format!("{path}/messages");
    let send = json!({ "content": text("Now?") });
    let nobody = rest.without_token();
    let (list, one, create, send, alive) = tokio::try_join!(
        rest.get("/api/v1/chats"),
        rest.get(&path),
        rest.post("/api/v1/chats", &body),
        rest.post(&messages, &send),
        nobody.get("/healthz"),
    )?;
    for answer in [list, one, create, send] {
        let retry_after = answer.headers.get("retry-after").cloned();
        let what = format!("{answer:?}");
        answer.expect(503)?;
        ensure!(retry_after.is_some(), "nobody says when to come back: {what}");
    }
    alive.expect(200)?;
    ensure!(!is_ready(world).await?, "ready without a database");
    Ok(())
}

async fn is_ready(world: &World) -> Result<bool> {
    let answer = world.rest().without_token().get("/readyz").await?;
    ensure!(matches!(answer.status, 200 | 503), "{answer:?}");
    Ok(answer.status == 200)
}

/// D18: many requests, few connections: they take turns.
#[tokio::test]
async fn d18_two_hundred_chats_created_at_once_share_five_connections() -> Result {
    const CHATS: usize = 200;
    const CONNECTIONS: u64 = 5;
    let world = World::builder().separate_processes().database();
    let world = world.env("TANDEM_STORAGE__POOL__MAX_CONNECTIONS", CONNECTIONS.to_string());
    // A request waits 5 s unless configured; what is tested here, on a busy machine, is several times slower than what is released.
    let world = world.env("TANDEM_STORAGE__POOL__ACQUIRE_TIMEOUT", "10s");
    let world = world.start().await?;
    for round in 0..rounds() {
        let message = |n: usize| format!("Chat {n} of round {round}.");
        let created = (0..CHATS).map(|n| {
            let (world, message) = (&world, message(n));
            async move { world.create_chat(&message).await }
        });
        let chats = future::join_all(created).await;
        for (n, chat) in chats.into_iter().enumerate() {
            let chat = chat?;
            let shown = settled(&world, id_of(&chat)?).await?;
            assert_eq!(
                shown,
                [
                    format!("user: {}", message(n)),
                    format!("assistant: You said: {}", message(n))
                ]
            );
        }
    }
    assert_eq!(world.fake().completions().len(), CHATS * rounds());
    // One more asks all the time whether the database answers, and one listens.
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tandem-storage'";
    let connections: u64 = world.sql(query).await?.parse()?;
    ensure!(
        (3..=CONNECTIONS + 2).contains(&connections),
        "{connections} connections"
    );
    Ok(())
}

/// Changes a setting of the server for all sessions to come.
async fn set(world: &mut World, setting: &str, value: &str) -> Result {
    let database = world.database();
    database.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'")).await?;
    database.sql("SELECT pg_reload_conf()").await?;
    let started = Instant::now();
    while database.sql(&format!("SHOW {setting}")).await? != value {
        ensure!(started.elapsed() < LIMIT, "{setting} does not become {value}");
    }
    Ok(())
}
