//! The PostgreSQL that Tandem runs for itself dies, as a whole or in part: its owner starts it again, and turns go on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{World, id_of},
};

use super::RESUMED;
use crate::{
    LIMIT, Result,
    drills::{self, effects, rounds},
    settled,
};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// D07: `kill -9` of the server itself.
#[tokio::test]
async fn d07_a_private_database_that_is_killed_is_started_again_and_turns_go_on() -> Result {
    let world = World::start().await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let server = server(&world)?;
        times.push(survive(&world, &format!("server-{round}"), server).await?);
        ensure!(self::server(&world)? != server, "it was not killed");
    }
    drills::tell("D07", "private PostgreSQL killed", times);
    let logs = world.logs();
    for said in ["server died, starting it again", "server is back"] {
        let count = logs.matches(said).count();
        ensure!(count == rounds(), "{said:?} was said {count} times");
    }
    Ok(())
}

/// D07: `kill -9` of one of the server's processes, after which it ends all others and recovers by itself.
#[tokio::test]
async fn d07_a_private_database_of_which_one_process_is_killed_recovers_and_turns_go_on() -> Result {
    let world = World::start().await?;
    let server = server(&world)?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let backend = backend(server)?;
        times.push(survive(&world, &format!("backend-{round}"), backend).await?);
    }
    drills::tell("D07", "one process of private PostgreSQL killed", times);
    ensure!(self::server(&world)? == server, "the server itself fell");
    Ok(())
}

/// A turn with a command is in mid-answer, and a message waits behind it, when `victim` is killed; the time from then to the end of both.
async fn survive(world: &World, name: &str, victim: Pid) -> Result<Duration> {
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
    let id = id_of(&chat)?;
    world.fake().wait_at_gate(name, LIMIT).await?;
    let queued = world.send(id, "And thanks").await?;
    assert_eq!(queued["queued"], true, "{queued}");

    kill_process(victim, Signal::KILL)?;
    let killed = Instant::now();
    while is_running(victim) {
        ensure!(killed.elapsed() < LIMIT, "it outlives its end");
        tokio::time::sleep(INTERVAL).await;
    }
    world.fake().open(name);
    // While it is away nobody can be asked.
    while world.rest().without_token().get("/readyz").await?.status != 200 {
        ensure!(killed.elapsed() < LIMIT, "it does not come back");
        tokio::time::sleep(INTERVAL).await;
    }
    world.wait_for_status(id, "waiting", LIMIT).await?;
    while !world.queue(id).await?.is_empty() {
        ensure!(killed.elapsed() < LIMIT, "the queued message stays where it is");
        tokio::time::sleep(INTERVAL).await;
    }
    let shown = settled(world, id).await?;
    let resumed = killed.elapsed();
    let expected = [
        format!("user: {message}"),
        "assistant: I will do it now. [tool-call execute]".to_owned(),
        "tool: [tool-result execute]".to_owned(),
        "assistant: It is done, and that is all.".to_owned(),
        "user: And thanks".to_owned(),
        "assistant: You said: And thanks".to_owned(),
    ];
    assert_eq!(shown, expected);
    ensure!(resumed < RESUMED, "{name}: {resumed:?} after it was killed");
    let output = effects(world, id).await?.to_string();
    assert_eq!(output.matches("done").count(), 1, "{output}");
    let paid = world.fake().completions().len() - paid;
    assert_eq!(paid, 3, "a model call was paid twice");
    Ok(resumed)
}

/// The process of the server, as it says itself.
fn server(world: &World) -> Result<Pid> {
    let text = std::fs::read_to_string(world.data().join("postgres/data/postmaster.pid"))?;
    let id = text.lines().next().and_then(|line| line.trim().parse().ok());
    id.and_then(Pid::from_raw).context("postmaster.pid names no process")
}

/// One of the server's processes that serves a connection of Tandem's.
fn backend(server: Pid) -> Result<Pid> {
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let (Ok(stat), Ok(command)) = (
            std::fs::read_to_string(format!("/proc/{id}/stat")),
            std::fs::read_to_string(format!("/proc/{id}/cmdline")),
        ) else {
            continue;
        };
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent == Some(server.as_raw_nonzero().to_string().as_str()) && command.contains("tandem tandem [local]") {
            return Pid::from_raw(id).context("a process has an id");
        }
    }
    anyhow::bail!("nobody is connected to the database")
}

/// Whether the process runs, as opposed to being gone or waiting for its parent to notice.
fn is_running(id: Pid) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", id.as_raw_nonzero())).is_ok_and(|text| !text.is_empty())
}
