//! Readers at one replica of a turn that runs at another: every part once and in order, whatever dies between them.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tandem_e2e::{
    chaos_proxy::{ChaosProxy, Direction, Ending},
    fake_llm::{Outcome, Reply, Script},
    world::{Builder, Service, Stream, Transcript, World, free_address, id_of},
};

use crate::{LIMIT, Result, settled};

/// The replica that readers are at.
const NEAR: usize = 0;
/// The replica that runs the turns.
const FAR: usize = 1;

/// Two replicas, of which the far one alone runs turns.
fn apart() -> Builder {
    let builder = World::builder().replicas(2);
    builder.replica_env(NEAR, "TANDEM_ORCHESTRATOR__TURNS__MAX_RUNNING", "0")
}

/// Two replicas, each of which may run turns, with leases that are soon given up.
fn equal() -> Builder {
    let builder = World::builder().replicas(2);
    builder
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "1s")
}

/// Creates a chat whose turn, up to its gate, runs at the far replica although both may run it.
async fn run_far_away(world: &mut World, message: &str, gate: &str) -> Result<String> {
    world.freeze_replica(Service::Orchestrator, NEAR)?;
    let far = world.admin_at(FAR);
    let chat = world.create_chat_of(&far, message).await?;
    world.fake().wait_at_gate(gate, LIMIT).await?;
    world.thaw_replica(Service::Orchestrator, NEAR)?;
    Ok(id_of(&chat)?.to_owned())
}

async fn read_at(world: &World, replica: usize, id: &str, query: &str) -> Result<Stream> {
    world.stream_from(&world.admin_at(replica), id, query).await
}

/// Waits until a reader is shown exactly this text live.
async fn shown(stream: &Stream, text: &str) -> Result<Vec<Value>> {
    stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == text)
        .await
}

/// For each answer: the text that was live when it came, and its own.
fn live_and_durable(events: &[Value]) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    let mut so_far = Transcript::default();
    for event in events {
        let message = &event["message"];
        if event["type"] == "message" && message["role"] == "assistant" {
            let parts = message["content"].as_array().map_or(&[][..], Vec::as_slice);
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            answers.push((so_far.live_text.clone(), texts.collect()));
        }
        so_far.apply(event);
    }
    answers
}

/// Each answer was shown whole, once and in order before it came.
fn assert_all_was_live(events: &[Value], answers: &[&str]) {
    let expected: Vec<_> = answers
        .iter()
        .map(|text| ((*text).to_owned(), (*text).to_owned()))
        .collect();
    assert_eq!(live_and_durable(events), expected);
    assert_eq!(Transcript::of(events).repeated, [0_i64; 0]);
}

fn story() -> Script {
    let first = Reply::text("First").gate("first").and_text(" a command, please.");
    let second = Reply::text_in("abcdefgh", 8)
        .gate("half")
        .and_text(" and ijkl at the end.");
    let command = json!({ "command": "echo hi" });
    Script::turn([first.tool_call("execute", command), second])
}

#[tokio::test]
async fn a_reader_at_another_replica_sees_every_part_once_and_in_order() -> Result {
    let world = apart().start().await?;
    world.fake().script(story());
    let chat = world.create_chat("Go").await?;
    let id = id_of(&chat)?;
    let early = [
        read_at(&world, NEAR, id, "").await?,
        read_at(&world, FAR, id, "").await?,
    ];
    for stream in &early {
        shown(stream, "First").await?;
    }
    world.fake().open("first");
    for stream in &early {
        shown(stream, "abcdefgh").await?;
    }
    let late = read_at(&world, NEAR, id, "").await?;
    let joined = shown(&late, "abcdefgh").await?;
    assert_eq!(Transcript::of(&joined).status(), "running");
    world.fake().open("half");
    let answers = ["First a command, please.", "abcdefgh and ijkl at the end."];
    for stream in &early {
        assert_all_was_live(&stream.settled(LIMIT).await?, &answers);
    }
    let late = late.settled(LIMIT).await?;
    assert_eq!(live_and_durable(&late)[1].0, answers[1]);
    let shown = settled(&world, id).await?;
    for events in [early[0].events(), early[1].events(), late] {
        assert_eq!(Transcript::of(&events).lines(), shown);
    }
    Ok(())
}

/// Comes back at `replica` behind each of the events and ends up with the same.
async fn resumes_at(world: &World, replica: usize, id: &str, events: &[Value]) -> Result {
    let expected = Transcript::of(events);
    for (index, event) in events.iter().enumerate() {
        let cursor = event["cursor"].as_str().expect("every event carries its cursor");
        let stream = read_at(world, replica, id, &format!("after_cursor={cursor}")).await?;
        let (seen, _) = events.split_at(index + 1);
        let together = |rest: &[Value]| Transcript::of(&[seen, rest].concat());
        let same = |rest: &[Value]| {
            let all = together(rest);
            all.messages == expected.messages
                && all.live_text == expected.live_text
                && all.status() == expected.status()
        };
        let rest = stream.wait_until(LIMIT, same).await?;
        assert_eq!(together(&rest).repeated, [0_i64; 0], "resumed after {event}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_of_one_replica_is_good_at_the_other_behind_every_event() -> Result {
    let world = apart().start().await?;
    world.fake().script(story());
    let chat = world.create_chat("Go").await?;
    let id = id_of(&chat)?;
    let streams = [
        read_at(&world, NEAR, id, "").await?,
        read_at(&world, FAR, id, "").await?,
    ];
    for stream in &streams {
        shown(stream, "First").await?;
    }
    world.fake().open("first");
    for (replica, stream) in streams.iter().enumerate() {
        let half = shown(stream, "abcdefgh").await?;
        resumes_at(&world, 1 - replica, id, &half).await?;
    }
    world.fake().open("half");
    for (replica, stream) in streams.iter().enumerate() {
        let all = stream.settled(LIMIT).await?;
        resumes_at(&world, 1 - replica, id, &all).await?;
    }
    Ok(())
}

/// What holds after the owner of a turn was killed between its halves: one call of the model, and nothing lost or shown twice.
async fn goes_on_exactly(world: &World, id: &str, stream: &Stream) -> Result {
    let events = stream.settled(LIMIT).await?;
    assert_all_was_live(&events, &["One two three four five."]);
    let resets = events.iter().filter(|event| event["type"] == "preview_reset");
    assert_eq!(resets.count(), 0, "what was shown was taken back: {events:#?}");
    assert_eq!(Transcript::of(&events).lines(), settled(world, id).await?);
    let requests = world.fake().completions();
    assert_eq!(requests.len(), 1, "{}", world.fake().summary());
    assert_eq!(requests[0].outcome, Outcome::Completed);
    Ok(())
}

fn count_to_five() -> Script {
    Script::reply(Reply::text_in("One two three", 3).gate("rest").and_text(" four five."))
}

#[tokio::test]
async fn a_reader_goes_on_exactly_when_its_own_replica_takes_over_from_a_killed_one() -> Result {
    let mut world = equal().start().await?;
    world.fake().script(count_to_five());
    let id = run_far_away(&mut world, "Count", "rest").await?;
    let stream = read_at(&world, NEAR, &id, "").await?;
    shown(&stream, "One two three").await?;
    world.kill9_replica(Service::Orchestrator, FAR).await?;
    world.fake().open("rest");
    goes_on_exactly(&world, &id, &stream).await
}

#[tokio::test]
async fn a_reader_goes_on_exactly_when_the_killed_replica_comes_back_and_takes_over() -> Result {
    let mut world = apart().env("TANDEM_ORCHESTRATOR__LEASE__TTL", "3s").start().await?;
    world.fake().script(count_to_five());
    let chat = world.create_chat("Count").await?;
    let id = id_of(&chat)?;
    let stream = read_at(&world, NEAR, id, "").await?;
    shown(&stream, "One two three").await?;
    world.kill9_replica(Service::Orchestrator, FAR).await?;
    world.restart().await?;
    world.fake().open("rest");
    goes_on_exactly(&world, id, &stream).await
}

#[tokio::test]
async fn a_reader_of_the_killed_replica_goes_on_at_the_other_with_its_cursor() -> Result {
    let mut world = equal().start().await?;
    world.fake().script(count_to_five());
    let id = run_far_away(&mut world, "Count", "rest").await?;
    let stream = read_at(&world, FAR, &id, "").await?;
    let before = shown(&stream, "One two three").await?;
    world.kill9_replica(Service::Orchestrator, FAR).await?;
    let cursor = Transcript::of(&before).cursor.expect("events carry cursors");
    let again = read_at(&world, NEAR, &id, &format!("after_cursor={cursor}")).await?;
    world.fake().open("rest");
    let settled_with = |after: &[Value]| Transcript::of(&[&before, after].concat()).is_settled();
    let after = again.wait_until(LIMIT, settled_with).await?;
    assert_all_was_live(&[before, after].concat(), &["One two three four five."]);
    assert_eq!(world.fake().completions().len(), 1, "{}", world.fake().summary());
    Ok(())
}

#[tokio::test]
async fn a_failed_attempt_is_withdrawn_at_the_other_replica_too() -> Result {
    let world = apart().start().await?;
    world.fake().script(Script::turn([
        Reply::text("Wrong").gate("wrong").and_text(" again").reset_at_byte(900),
        Reply::fail(503, "overloaded").headers_gate("busy"),
        Reply::text("Right").gate("right").and_text(" at last."),
    ]));
    let chat = world.create_chat("Try").await?;
    let id = id_of(&chat)?;
    let stream = read_at(&world, NEAR, id, "").await?;
    shown(&stream, "Wrong").await?;
    world.fake().open("wrong");
    let told = |events: &[Value]| Transcript::of(events).retries.len() == 1;
    let events = stream.wait_until(LIMIT, told).await?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let retry = kinds.iter().position(|kind| *kind == "retry").unwrap_or(0);
    assert_eq!(kinds[retry - 1], "preview_reset", "{kinds:?}");

    // Somebody who comes before there is anything new sees that it is tried again, and nothing of what was withdrawn.
    world.fake().wait_at_gate("busy", LIMIT).await?;
    let late = read_at(&world, NEAR, id, "").await?;
    let waits = late
        .wait_until(LIMIT, |events| !Transcript::of(events).retries.is_empty())
        .await?;
    assert_eq!(Transcript::of(&waits).live_text, "");
    world.fake().open("busy");

    for stream in [&stream, &late] {
        shown(stream, "Right").await?;
    }
    let joined = read_at(&world, NEAR, id, "").await?;
    let seen = Transcript::of(&shown(&joined, "Right").await?);
    assert_eq!(seen.retries, [json!(null); 0], "the wait is over");
    world.fake().open("right");
    for stream in [&stream, &late, &joined] {
        assert_all_was_live(&stream.settled(LIMIT).await?, &["Right at last."]);
    }
    let attempts: Vec<Value> = Transcript::of(&stream.events())
        .retries
        .iter()
        .map(|retry| retry["attempt"].clone())
        .collect();
    assert_eq!(attempts, [json!(1), json!(2)]);
    Ok(())
}

#[tokio::test]
async fn a_stop_at_one_replica_ends_the_turn_at_the_other() -> Result {
    let world = apart().start().await?;
    world
        .fake()
        .script(Script::reply(Reply::text("One two").gate("never").and_text(" three")));
    let chat = world.create_chat("Count").await?;
    let id = id_of(&chat)?;
    let stream = read_at(&world, NEAR, id, "").await?;
    shown(&stream, "One two").await?;
    // The answer waits for the turn to settle, for at most two seconds: seeing it settled means that the stop came through at once.
    let answer = world.interrupt(id).await?;
    assert_eq!(answer["status"], "waiting");
    world
        .fake()
        .wait_until(LIMIT, |requests| requests[0].outcome == Outcome::Disconnected)
        .await?;
    assert_all_was_live(&stream.settled(LIMIT).await?, &["One two"]);
    assert_eq!(settled(&world, id).await?, ["user: Count", "assistant: One two"]);
    Ok(())
}

#[tokio::test]
async fn the_readers_of_a_replica_do_not_hold_its_end_up_and_go_on_when_it_is_back() -> Result {
    let mut world = equal().start().await?;
    world.fake().script(count_to_five());
    let id = run_far_away(&mut world, "Count", "rest").await?;
    let streams = [
        read_at(&world, NEAR, &id, "").await?,
        read_at(&world, FAR, &id, "").await?,
    ];
    for stream in &streams {
        shown(stream, "One two three").await?;
    }
    let status = world.terminate_replica(Service::Orchestrator, FAR).await?;
    assert!(status.success(), "{status}");
    assert!(
        !world.logs().contains("draining took too long"),
        "it waited for its readers"
    );
    // The chat is handed over, and its readers stay with their gateways.
    let handed_over = |events: &[Value]| {
        let statuses = Transcript::of(events).statuses;
        statuses.iter().filter(|status| *status == "running").count() == 2
    };
    streams[0].wait_until(LIMIT, handed_over).await?;
    world.restart().await?;
    // Whoever has heard of it there is back.
    streams[1].wait_until(LIMIT, handed_over).await?;
    world.fake().open("rest");
    for stream in &streams {
        goes_on_exactly(&world, &id, stream).await?;
    }
    Ok(())
}

/// Two replicas with a bad network between the reader's and the other one.
async fn with_network(replicas: Builder) -> Result<(World, ChaosProxy)> {
    let far = free_address()?;
    let proxy = ChaosProxy::start(far.parse()?).await?;
    let url = format!("http://{far}");
    let world = replicas
        .replica_env(FAR, "TANDEM_ORCHESTRATOR__LISTEN", &url)
        .replica_env(FAR, "TANDEM_GATEWAY__PEERS__ORCHESTRATOR", &url)
        .replica_env(
            FAR,
            "TANDEM_ORCHESTRATOR__ADVERTISED_ADDRESS",
            format!("http://{}", proxy.address()),
        )
        .start()
        .await?;
    Ok((world, proxy))
}

#[tokio::test]
async fn a_message_waits_for_live_parts_that_are_on_their_way() -> Result {
    let (world, proxy) = with_network(apart()).await?;
    world.fake().script(story());
    let chat = world.create_chat("Go").await?;
    let id = id_of(&chat)?;
    let stream = read_at(&world, NEAR, id, "").await?;
    shown(&stream, "First").await?;
    proxy.delay(Direction::ToClient, Duration::from_millis(200));
    world.fake().open("first");
    shown(&stream, "abcdefgh").await?;
    world.fake().open("half");
    let events = stream.settled(LIMIT).await?;
    assert_all_was_live(&events, &["First a command, please.", "abcdefgh and ijkl at the end."]);
    assert!(proxy.traffic().connections > 0, "nothing went through the proxy");
    Ok(())
}

#[tokio::test]
async fn a_relay_that_is_cut_again_and_again_loses_and_repeats_nothing() -> Result {
    let (world, proxy) = with_network(apart()).await?;
    let words: String = (0..600).map(|number| format!("word{number} ")).collect();
    let answer = Reply::text_in(&words, 600).delay_between(Duration::from_millis(2));
    let answer = answer.gate("calm").and_text("almost ").gate("end").and_text("end.");
    world.fake().script(Script::reply(answer));
    proxy.cut_after(Direction::ToClient, 6_000, Ending::Reset, None);
    let chat = world.create_chat("Talk").await?;
    let id = id_of(&chat)?;
    let stream = read_at(&world, NEAR, id, "").await?;
    shown(&stream, &words).await?;
    assert!(proxy.traffic().cuts >= 3, "{:?}", proxy.traffic());
    proxy.heal();
    proxy.end_all(Ending::Reset);
    world.fake().open("calm");
    shown(&stream, &format!("{words}almost ")).await?;
    world.fake().open("end");
    assert_all_was_live(&stream.settled(LIMIT).await?, &[&format!("{words}almost end.")]);
    Ok(())
}

#[tokio::test]
async fn a_replica_that_cannot_be_reached_costs_its_readers_the_live_parts_and_nothing_else() -> Result {
    let (world, proxy) = with_network(apart()).await?;
    world.fake().script(story());
    let chat = world.create_chat("Go").await?;
    let id = id_of(&chat)?;
    let stream = read_at(&world, NEAR, id, "").await?;
    shown(&stream, "First").await?;
    proxy.blackhole();
    world.fake().open("first");
    let told = |events: &[Value]| Transcript::of(events).messages.len() == 3;
    let started = Instant::now();
    stream.wait_until(LIMIT, told).await?;
    ensure!(
        started.elapsed() < Duration::from_secs(30),
        "readers wait for an owner nobody reaches"
    );
    proxy.heal();
    proxy.end_all(Ending::Reset);
    shown(&stream, "abcdefgh").await?;
    world.fake().open("half");
    let events = stream.settled(LIMIT).await?;
    let answers = live_and_durable(&events);
    assert_eq!(answers[1].0, answers[1].1, "the relay came back for the second answer");
    assert_eq!(Transcript::of(&events).lines(), settled(&world, id).await?);
    Ok(())
}

#[tokio::test]
async fn an_attempt_whose_withdrawal_was_lost_with_its_replica_is_withdrawn_by_the_next_owner() -> Result {
    let (mut world, proxy) = with_network(equal()).await?;
    world.fake().script(Script::turn([
        Reply::text("Wrong").gate("wrong").and_text(" again").reset_at_byte(900),
        Reply::text("Right").gate("right").and_text(" at last."),
    ]));
    let id = run_far_away(&mut world, "Try", "wrong").await?;
    let stream = read_at(&world, NEAR, &id, "").await?;
    shown(&stream, "Wrong").await?;
    proxy.blackhole();
    world.fake().open("wrong");
    world.fake().wait_at_gate("right", LIMIT).await?;
    world.kill9_replica(Service::Orchestrator, FAR).await?;
    shown(&stream, "Right").await?;
    world.fake().open("right");
    let events = stream.settled(LIMIT).await?;
    assert_all_was_live(&events, &["Right at last."]);
    assert_eq!(world.fake().completions().len(), 2, "{}", world.fake().summary());
    Ok(())
}
