//! A reader that comes back with any cursor misses nothing and sees nothing twice.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Stream, Transcript, User, World, id_of},
};

use crate::{LIMIT, Result, settled};

/// Resumes behind each of `events` and compares what the reader ends up with.
async fn resumes_everywhere(world: &World, id: &str, events: &[Value]) -> Result {
    let expected = Transcript::of(events);
    for (index, event) in events.iter().enumerate() {
        let cursor = event["cursor"].as_str().expect("every event carries its cursor");
        let stream = world
            .stream_from(world.admin(), id, &format!("after_cursor={cursor}"))
            .await?;
        let (seen, _) = events.split_at(index + 1);
        let together = |rest: &[Value]| Transcript::of(&[seen, rest].concat());
        let same = |rest: &[Value]| {
            let all = together(rest);
            all.messages == expected.messages
                && all.live_text == expected.live_text
                && all.status() == expected.status()
        };
        let rest = stream.wait_until(LIMIT, same).await?;
        let all = together(&rest);
        assert_eq!(all.repeated, [0_i64; 0], "resumed after {event}");
        assert_eq!(all.queue, expected.queue);
    }
    Ok(())
}

#[tokio::test]
async fn resuming_works_behind_every_event_of_a_running_and_a_finished_turn() -> Result {
    let world = World::start().await?;
    let step = Reply::text("First a command.").tool_call("execute", json!({ "command": "echo hi" }));
    let answer = Reply::text_in("abcdefgh", 8).gate("half").and_text(" ijkl");
    world.fake().script(Script::turn([step, answer]));
    let chat = world.create_chat("Go").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let half = stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == "abcdefgh")
        .await?;
    resumes_everywhere(&world, id, &half).await?;

    world.fake().open("half");
    let all = stream.settled(LIMIT).await?;
    assert_eq!(Transcript::of(&all).lines(), settled(&world, id).await?);
    resumes_everywhere(&world, id, &all).await?;
    Ok(())
}

#[tokio::test]
async fn a_late_reader_without_a_cursor_sees_the_whole_state() -> Result {
    let world = World::start().await?;
    world
        .fake()
        .script(Script::reply(Reply::text("So far").gate("half").and_text(" and on.")));
    let chat = world.create_chat("Go").await?;
    let id = id_of(&chat)?;
    world.fake().wait_at_gate("half", LIMIT).await?;
    world.send(id, "queued").await?;
    let late = world.stream(id).await?;
    let events = late
        .wait_until(LIMIT, |events| {
            let seen = Transcript::of(events);
            seen.live_text == "So far" && seen.queue.len() == 1
        })
        .await?;
    let seen = Transcript::of(&events);
    assert_eq!((seen.status(), seen.lines()), ("running", vec!["user: Go".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn after_id_skips_the_messages_already_known() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("one").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    world.send(id, "two").await?;
    settled(&world, id).await?;
    let messages = world.messages(id).await?;
    let known = messages[1]["id"].as_i64().expect("an id");
    let stream = world
        .stream_from(world.admin(), id, &format!("after_id={known}"))
        .await?;
    let events = stream
        .wait_until(LIMIT, |events| Transcript::of(events).messages.len() == 2)
        .await?;
    assert_eq!(
        Transcript::of(&events).lines(),
        ["user: two", "assistant: You said: two"]
    );
    Ok(())
}

/// The watch of `user` behind `cursor`.
async fn watch_behind(user: &User, cursor: &str) -> anyhow::Result<Stream> {
    let path = format!("/api/v1/chats/watch?after_cursor={cursor}");
    Stream::open(user.rest.base(), &path, user.rest.token()).await
}

#[tokio::test]
async fn a_watch_goes_on_behind_any_of_its_events_and_takes_nobody_elses_cursor() -> Result {
    let world = World::start().await?;
    let watch = world.watch().await?;
    settled(&world, id_of(&world.create_chat("one").await?)?).await?;
    // The end of a turn is several events of one change.
    let seen = watch
        .wait_until(LIMIT, |events| {
            events.last().is_some_and(|event| event["kind"] == "summary_change")
        })
        .await?;
    let kinds = |events: &[Value]| events.iter().map(|event| event["kind"].clone()).collect::<Vec<_>>();
    for (index, event) in seen.iter().enumerate() {
        let (_, expected) = seen.split_at(index + 1);
        let cursor = event["cursor"].as_str().expect("every event carries its cursor");
        let again = watch_behind(world.admin(), cursor).await?;
        let rest = again.wait_until(LIMIT, |events| events.len() >= expected.len()).await?;
        let rest = kinds(&rest);
        assert!(rest.starts_with(&kinds(expected)), "behind {event} came {rest:?}");
    }
    let bob = world.create_user("bob").await?;
    let cursor = seen[0]["cursor"].as_str().expect("a cursor");
    let refused = watch_behind(&bob, cursor)
        .await
        .err()
        .expect("another user's cursor was taken");
    assert!(format!("{refused:#}").contains("400"), "{refused:#}");
    Ok(())
}

#[tokio::test]
async fn a_watch_that_comes_back_too_late_is_told_to_read_the_list_again() -> Result {
    // Nothing is kept, so that every cursor is too old.
    let world = World::builder()
        .env("TANDEM_STORAGE__CHANGE_RETENTION_DAYS", "0")
        .start()
        .await?;
    let watch = world.watch().await?;
    settled(&world, id_of(&world.create_chat("one").await?)?).await?;
    let seen = watch.wait_until(LIMIT, |events| !events.is_empty()).await?;
    assert_eq!(seen[0]["kind"], "gap");
    let cursor = seen[0]["cursor"].as_str().expect("where to go on");
    let again = watch_behind(world.admin(), cursor).await?;
    let seen = again.wait_until(LIMIT, |events| !events.is_empty()).await?;
    assert_eq!(seen[0]["kind"], "gap");
    let list = world.rest().get("/api/v1/chats").await?.expect(200)?;
    assert_eq!(list[0]["status"], "waiting");
    Ok(())
}
