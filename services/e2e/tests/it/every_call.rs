//! D61 and its relatives: each single call between the rooms fails once, wake-ups are lost, readers come and go.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{World, id_of},
};

use crate::{
    LIMIT, Result,
    drills::{self, created, effects, rounds, story, told},
    settled,
};

/// Calls that belong to no turn: they come by themselves, again and again, or are the test's own questions.
const BACKGROUND: [&str; 9] = [
    "ListMessages",
    "SubscribeHints",
    "RenewLeases",
    "ListWatchEvents",
    "WatchChats",
    "Check",
    "Watch",
    "ClaimWorkspaceBuild",
    "RecordWorkspaceUse",
];

/// How long somebody whose message is refused goes on pressing the button, and how long between two times.
const PATIENCE: Duration = Duration::from_secs(20);
const PRESS_AGAIN: Duration = Duration::from_millis(100);

/// Begins a story, as often as it takes until the system has taken it: a person would press the button again. A service that was just
/// killed is refused for as long as it takes to start, which nobody but the clock knows on a busy machine.
pub async fn begin(world: &World, name: &str) -> Result<String> {
    let started = Instant::now();
    loop {
        let begun = world.create_chat(&format!("Story {name}.")).await;
        match created(world, begun, name).await {
            Ok(id) => return Ok(id),
            Err(error) if started.elapsed() > PATIENCE => return Err(error.context("no chat could be created")),
            Err(_) => tokio::time::sleep(PRESS_AGAIN).await,
        }
    }
}

/// D61: a turn of some forty calls; each of them is refused once, and once its answer is lost after it was carried out.
#[tokio::test]
async fn d61_every_single_call_fails_once_and_the_turn_ends_right() -> Result {
    let world = World::start().await?;
    world.fake().script(story("rehearsal"));
    let chat = world.create_chat("Warm up").await?;
    settled(&world, id_of(&chat)?).await?;
    world.faults().record_calls()?;
    let id = begin(&world, "rehearsal").await?;
    told(&world, &id, "rehearsal").await?;
    let recorded = world.faults().recorded_calls()?;
    let mut steps: Vec<(String, usize)> = Vec::new();
    let mut seen = BTreeSet::new();
    for method in recorded
        .into_iter()
        .filter(|method| !BACKGROUND.contains(&method.as_str()))
    {
        let nth = steps.iter().filter(|(known, _)| *known == method).count() + 1;
        // The short form takes the first call of each method, the long form all of them.
        if seen.insert(method.clone()) || (rounds() > 1 && nth <= 4) {
            steps.push((method, nth));
        }
    }
    assert!(steps.len() >= 12, "only {steps:?}");
    let mut fired = 0;
    for (number, (method, nth)) in steps.iter().enumerate() {
        for moment in ["before", "after"] {
            let name = format!("{moment}-{number}");
            world.fake().script(story(&name));
            let paid = world.fake().completions().len();
            world.faults().fail_call(moment, method, *nth)?;
            let id = begin(&world, &name).await?;
            told(&world, &id, &name)
                .await
                .map_err(|error| error.context(format!("{method} {nth} failed {moment}")))?;
            fired += usize::from(world.faults().take_back_call(moment));
            let output = effects(&world, &id).await?.to_string();
            let count = output.matches("done").count();
            // A workspace that is cut off with a command on its way cannot be asked; then the model is told just that.
            let is_unknown = method == "Link" && count == 0 && output.contains("unknown");
            assert!(count == 1 || is_unknown, "{method} {nth} failed {moment}: {output}");
            let paid = world.fake().completions().len() - paid;
            assert_eq!(paid, 2, "{method} {nth} failed {moment}: a model call was paid twice");
        }
    }
    assert!(
        fired * 10 >= steps.len() * 2 * 9,
        "only {fired} of {} faults fired",
        steps.len() * 2
    );
    world.fake().check_no_rejections()
}

/// D16: no wake-up arrives any more; polling finds the work.
#[tokio::test]
async fn d16_a_system_that_hears_no_wake_up_still_works() -> Result {
    let world = World::builder().separate_processes().start().await?;
    world.faults().switch_off("hints")?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let name = format!("quiet-{round}");
        world.fake().script(story(&name));
        let begun = Instant::now();
        let id = begin(&world, &name).await?;
        told(&world, &id, &name).await?;
        times.push(begun.elapsed());
        world.send(&id, "And now?").await?;
        let shown = settled(&world, &id).await?;
        assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: And now?"));
    }
    drills::tell("D16", "no wake-up heard, a turn of two steps begun", times);
    Ok(())
}

/// The record of a chat is the same whoever reads it: nothing here but a name for what the drills compare.
#[tokio::test]
async fn d49_five_readers_that_come_and_go_see_one_transcript() -> Result {
    let world = World::start().await?;
    for round in 0..rounds() {
        five_readers(&world, round).await?;
    }
    Ok(())
}

async fn five_readers(world: &World, round: usize) -> Result {
    let words: Vec<String> = (0..60).map(|n| format!("word{n} ")).collect();
    let mut reply = Reply::new();
    for (n, word) in words.iter().enumerate() {
        reply = reply.and_text(word.clone());
        if n % 20 == 10 {
            reply = reply.gate(format!("gate-{round}-{n}"));
        }
    }
    let message = format!("Count {round}");
    world.fake().script(Script::reply(reply).when_user_says(&message));
    let chat = world.create_chat(&message).await?;
    let id = id_of(&chat)?.to_owned();
    let mut transcripts = Vec::new();
    let mut cursors: Vec<String> = vec![String::new(); 5];
    let mut events: Vec<Vec<Value>> = vec![Vec::new(); 5];
    for n in [10, 30, 50] {
        world.fake().wait_at_gate(&format!("gate-{round}-{n}"), LIMIT).await?;
        for reader in 0..5 {
            let query = match cursors[reader].as_str() {
                "" => String::new(),
                cursor => format!("after_cursor={cursor}"),
            };
            let stream = world.stream_from(world.admin(), &id, &query).await?;
            let last = format!("word{n}");
            let mut known = events[reader].clone();
            let new = stream
                .wait_until(LIMIT, |new| {
                    let mut all = known.clone();
                    all.extend(new.iter().cloned());
                    tandem_e2e::world::Transcript::of(&all).live_text.contains(&last)
                })
                .await?;
            // Leaves somewhere in the middle, and comes back there.
            let kept = new.len().saturating_sub(reader);
            known.extend(new.into_iter().take(kept));
            if let Some(cursor) = known.iter().rev().find_map(|event| event["cursor"].as_str()) {
                cursors[reader] = cursor.to_owned();
            }
            events[reader] = known;
        }
        world.fake().open(&format!("gate-{round}-{n}"));
    }
    for reader in 0..5 {
        let query = format!("after_cursor={}", cursors[reader]);
        let stream = world.stream_from(world.admin(), &id, &query).await?;
        let known = events[reader].clone();
        let new = stream
            .wait_until(LIMIT, |new| {
                let mut all = known.clone();
                all.extend(new.iter().cloned());
                tandem_e2e::world::Transcript::of(&all).is_settled()
            })
            .await?;
        let mut all = known;
        all.extend(new);
        let seen = tandem_e2e::world::Transcript::of(&all);
        assert_eq!(seen.repeated, [0_i64; 0], "reader {reader}");
        transcripts.push(seen.lines());
    }
    let durable = tandem_e2e::world::lines(&world.messages(&id).await?);
    assert!(transcripts.iter().all(|seen| *seen == durable), "{transcripts:#?}");
    Ok(())
}
