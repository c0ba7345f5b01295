//! `kill -9` at bad moments: nothing is lost, nothing is doubled.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Outcome, Reply, Script},
    world::{Service, Transcript, World, id_of, lines},
};

use crate::{LIMIT, Result, settled};

#[tokio::test]
async fn a_turn_killed_in_the_middle_of_its_answer_completes_after_the_restart() -> Result {
    let mut world = World::start().await?;
    world.fake().script(Script::turn([
        Reply::text("Once upon").gate("never").and_text(" nothing"),
        Reply::text("Once upon a time."),
    ]));
    let chat = world.create_chat("Tell me a story").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let before = stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == "Once upon")
        .await?;
    world.kill9().await?;
    world.restart().await?;

    let shown = settled(&world, id).await?;
    assert_eq!(shown, ["user: Tell me a story", "assistant: Once upon a time."]);
    assert_eq!(world.fake().completions().len(), 2, "{}", world.fake().summary());

    // A reader that comes back with its cursor ends up with the same, and takes back what was withdrawn.
    let cursor = Transcript::of(&before).cursor.expect("events carry cursors");
    let query = format!("after_cursor={cursor}");
    let again = world.stream_from(world.admin(), id, &query).await?;
    let together = |after: &[Value]| Transcript::of(&[&before, after].concat());
    let after = again.wait_until(LIMIT, |after| together(after).is_settled()).await?;
    let all = together(&after);
    assert_eq!((all.lines(), all.live_text.as_str()), (shown, ""));
    assert_eq!(all.repeated, [0_i64; 0]);
    Ok(())
}

#[tokio::test]
async fn a_message_acknowledged_before_the_kill_is_answered() -> Result {
    let mut world = World::start().await?;
    let chat = world.create_chat("Do not forget me").await?;
    world.kill9().await?;
    world.restart().await?;
    let shown = settled(&world, id_of(&chat)?).await?;
    assert_eq!(
        shown,
        ["user: Do not forget me", "assistant: You said: Do not forget me"]
    );
    Ok(())
}

#[tokio::test]
async fn a_command_running_at_the_kill_is_never_run_twice() -> Result {
    let mut world = World::start().await?;
    let command = "echo run >> marker-of-the-test; sleep 2; echo finished";
    world.fake().script(Script::turn([
        Reply::call("execute", json!({ "command": command, "timeout": "30s" })),
        Reply::text("Good."),
    ]));
    let chat = world.create_chat("Run it once").await?;
    let id = id_of(&chat)?;
    let marker = found(world.data(), "marker-of-the-test").await?;
    world.kill9().await?;
    world.restart().await?;

    let shown = settled(&world, id).await?;
    assert_eq!(
        shown,
        [
            "user: Run it once",
            "assistant: [tool-call execute]",
            "tool: [tool-result execute]",
            "assistant: Good.",
        ]
    );
    assert_eq!(std::fs::read_to_string(marker)?, "run\n");
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn queued_messages_survive_and_run_in_order() -> Result {
    let mut world = World::start().await?;
    world
        .fake()
        .script(Script::reply(Reply::text("First").gate("never")).when_user_says("one"));
    let chat = world.create_chat("one").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("never", LIMIT).await?;
    for message in ["two", "three"] {
        assert_eq!(world.send(id, message).await?["queued"], true);
    }
    world.kill9().await?;
    world.restart().await?;
    let deadline = Instant::now() + LIMIT;
    let expected = [
        "user: one",
        "assistant: You said: one",
        "user: two",
        "assistant: You said: two",
        "user: three",
        "assistant: You said: three",
    ];
    while lines(&world.messages(id).await?) != expected {
        let shown = lines(&world.messages(id).await?);
        ensure!(Instant::now() < deadline, "still only {shown:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    settled(&world, id).await?;
    assert_eq!(world.queue(id).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn an_orchestrator_killed_alone_goes_on_without_asking_the_model_again() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    world
        .fake()
        .script(Script::reply(Reply::text("Half").gate("rest").and_text(" and half.")));
    let chat = world.create_chat("Go on").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("rest", LIMIT).await?;
    world.kill9_service(Service::Orchestrator).await?;
    world.restart().await?;
    world.fake().open("rest");
    let shown = settled(&world, id).await?;
    assert_eq!(shown, ["user: Go on", "assistant: Half and half."]);
    let requests = world.fake().completions();
    assert_eq!(requests.len(), 1, "{}", world.fake().summary());
    assert_eq!(requests[0].outcome, Outcome::Completed);
    Ok(())
}

#[tokio::test]
async fn every_service_can_be_killed_alone_in_the_middle_of_a_turn() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    for service in Service::ALL {
        let name = service.name();
        let gate = format!("gate-{name}");
        let story = format!("Survive {name}");
        let held = Reply::text("Never").gate(&gate).and_text(" mind.");
        world
            .fake()
            .script(Script::turn([held, Reply::text("Second try.")]).when_user_says(&story));
        let chat = world.create_chat(&story).await?;
        let id = id_of(&chat)?;
        world.fake().wait_at_gate(&gate, LIMIT).await?;
        world.kill9_service(service).await?;
        world.restart().await?;
        world.fake().open(&gate);
        let shown = settled(&world, id).await?;
        let told = [format!("user: {story}"), "assistant: Never mind.".to_owned()];
        let retold = [format!("user: {story}"), "assistant: Second try.".to_owned()];
        assert!(
            shown == told || shown == retold,
            "after the death of {name}: {shown:#?}"
        );
        world.fake().reset();
    }
    Ok(())
}

/// Waits for a file of this name anywhere below `root`.
async fn found(root: &Path, name: &str) -> Result<PathBuf> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(path) = find(root, name) {
            return Ok(path);
        }
        ensure!(Instant::now() < deadline, "no file {name} below {}", root.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?;
    entries.flatten().find_map(|entry| {
        let path = entry.path();
        match entry.file_type().ok()?.is_dir() {
            true => find(&path, name),
            false => (path.file_name()? == name).then_some(path),
        }
    })
}
