//! D15: machines whose clocks differ, and clocks that are set, or run at other rates, while services run. Who owns a chat, for how long, and who may call whom
//! is decided by the database's clock or by none.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Builder, Service, Transcript, World, id_of, text},
};

use crate::{
    LIMIT, Result,
    drills::{self, effects, rounds, story},
    settled,
};

const TTL_SECONDS: f64 = 4.0;
/// How wrong a clock is: a machine that nobody has looked after for years.
const WRONG_SECONDS: i64 = 600;
const HOUR_SECONDS: i64 = 3_600;
/// The id of no chat.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// Longer than a token between services is good for, and than it is used again.
const LONGER_THAN_A_TOKEN: Duration = Duration::from_secs(75);

fn builder() -> Builder {
    World::builder()
        .replicas(2)
        .database()
        .env("TANDEM_ORCHESTRATOR__LEASE__TTL", "4s")
        .env("TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "1s")
}

async fn world() -> Result<World> {
    builder().start().await
}

/// One clock after another is wrong from the start of its service, and each turn goes as if it were right.
#[tokio::test]
async fn d15_a_service_with_a_wrong_clock_is_a_service_like_any_other() -> Result {
    let mut world = world().await?;
    let both = Service::ALL
        .into_iter()
        .flat_map(|service| [WRONG_SECONDS, -WRONG_SECONDS].map(|seconds| (service, seconds)));
    // The short form moves each clock once, some ahead and some back.
    let is_due = |n: &usize| rounds() > 1 || matches!(n % 4, 0 | 3);
    for (_, (service, seconds)) in both.enumerate().filter(|(n, _)| is_due(n)) {
        let name = format!("{}{seconds:+}", service.name());
        world.faults().set_clock(service.name(), seconds)?;
        world.kill9_service(service).await?;
        world.restart().await?;
        turn_goes_well(&world, &name).await?;
        world.faults().clock_was_read(service.name(), seconds, LIMIT).await?;
        world.faults().set_clock(service.name(), 0)?;
    }
    no_call_was_refused(&world)
}

/// Clocks jump while turns run, forth and back, by more than services allow each other at their start.
#[tokio::test]
async fn d15_a_clock_that_is_set_while_a_turn_runs_changes_nothing() -> Result {
    let world = world().await?;
    for (n, jumps) in jumps().into_iter().enumerate() {
        let gate = format!("gate-{n}");
        let message = format!("Jump {n}: {jumps:?}.");
        let held = Reply::text("Half ").gate(&gate).and_text("and half.");
        world.fake().script(Script::reply(held).when_user_says(&message));
        let before = world.fake().completions().len();
        let chat = world.create_chat(&message).await?;
        let id = id_of(&chat)?;
        world.fake().wait_at_gate(&gate, LIMIT).await?;
        let first = epoch(&world, id).await?;
        for service in Service::ALL {
            let jump = jumps.iter().find(|(of, _)| *of == service);
            let seconds = jump.map_or(0, |(_, seconds)| *seconds);
            world.faults().set_clock(service.name(), seconds)?;
        }
        outlive_a_lease(&world, id).await?;
        if rounds() > 1 && n == 0 {
            tokio::time::sleep(LONGER_THAN_A_TOKEN).await;
        }
        // Both replicas are asked while it is so.
        for replica in 0..2 {
            let path = format!("/api/v1/chats/{id}");
            let rest = world.admin_at(replica).rest;
            assert_eq!(rest.get(&path).await?.expect(200)?["status"], "running", "{message}");
        }
        world.fake().open(&gate);
        let shown = settled(&world, id).await?;
        assert_eq!(
            shown,
            [format!("user: {message}"), "assistant: Half and half.".to_owned()]
        );
        assert_eq!(world.fake().completions().len() - before, 1, "{message}");
        assert_eq!(epoch(&world, id).await?, first, "{message}: somebody else took over");
        for (service, seconds) in &jumps {
            world.faults().clock_was_read(service.name(), *seconds, LIMIT).await?;
        }
    }
    no_call_was_refused(&world)
}

/// One worker's clock runs at double rate and another's at half, and they renew their leases so too: nobody takes over, and no call is
/// refused however far the clocks have come apart.
#[tokio::test]
async fn d15_clocks_that_run_at_other_rates_change_nothing() -> Result {
    let world = builder()
        .replica_env(0, "TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "500ms")
        .replica_env(1, "TANDEM_ORCHESTRATOR__LEASE__RENEW_INTERVAL", "2s")
        .start()
        .await?;
    let rates = [("orchestrator", "x2"), ("orchestrator-2", "x0.5")];
    for round in 0..rounds() {
        let gate = format!("rate-{round}");
        let held = |n: usize| {
            let message = format!("Round {round}, replica {n}.");
            let reply = Reply::text("Half ").gate(&gate).and_text("and half.");
            (message.clone(), Script::reply(reply).when_user_says(message))
        };
        for (process, rate) in rates {
            world.faults().set_clock(process, rate)?;
        }
        let before = world.fake().completions().len();
        let mut begun = Vec::new();
        for replica in 0..2 {
            let (message, script) = held(replica);
            world.fake().script(script);
            let chat = world.create_chat_of(&world.admin_at(replica), &message).await?;
            begun.push((id_of(&chat)?.to_owned(), message));
        }
        world.fake().wait_at_gate(&gate, LIMIT).await?;
        for (id, _) in &begun {
            outlive_a_lease(&world, id).await?;
        }
        if rounds() > 1 && round == 0 {
            tokio::time::sleep(LONGER_THAN_A_TOKEN).await;
        }
        world.fake().open(&gate);
        for (id, message) in &begun {
            let shown = settled(&world, id).await?;
            let told = [format!("user: {message}"), "assistant: Half and half.".to_owned()];
            assert_eq!(shown, told);
            assert_eq!(epoch(&world, id).await?, 1, "{message}: somebody else took over");
        }
        assert_eq!(world.fake().completions().len() - before, 2, "paid twice");
        for (process, rate) in rates {
            world.faults().clock_was_read(process, rate, LIMIT).await?;
        }
    }
    no_call_was_refused(&world)
}

/// Which clocks are set at once: half of them ahead and half back, then the other way round; in the long form each alone too.
fn jumps() -> Vec<Vec<(Service, i64)>> {
    let by = |n: usize| {
        if n.is_multiple_of(2) {
            HOUR_SECONDS
        } else {
            -HOUR_SECONDS
        }
    };
    let all = |first| {
        Service::ALL
            .into_iter()
            .enumerate()
            .map(move |(n, service)| (service, by(n + first)))
    };
    let mut jumps = vec![all(0).collect(), all(1).collect()];
    if rounds() > 1 {
        let alone = all(0).chain(all(1)).map(|jump| vec![jump]);
        jumps.extend(alone);
    }
    jumps
}

/// A turn with a command, begun at the replica whose clock is right and read at the other, has one owner and is paid once.
async fn turn_goes_well(world: &World, name: &str) -> Result {
    world.fake().script(story(name));
    let before = world.fake().completions().len();
    all_found_again(world).await?;
    let chat = world
        .create_chat_of(&world.admin_at(1), &format!("Story {name}."))
        .await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let events = stream.settled(LIMIT).await?;
    drills::told(world, id, name).await?;
    let seen = Transcript::of(&events);
    assert_eq!(
        (seen.repeated, seen.errors),
        (Vec::new(), Vec::<Value>::new()),
        "{name}"
    );
    assert_eq!(
        effects(world, id).await?.to_string().matches("done").count(),
        1,
        "{name}"
    );
    assert_eq!(
        world.fake().completions().len() - before,
        2,
        "{name}: a model call was paid twice"
    );
    assert_eq!(epoch(world, id).await?, 1, "{name}: the turn had two owners");
    // Whoever is signed in stays so, and the way in is open.
    let path = format!("/api/v1/chats/{id}/messages");
    let body = json!({ "content": text("Still there?") });
    world.rest().post(&path, &body).await?.expect(200)?;
    settled(world, id).await?;
    Ok(())
}

/// Waits until the second replica has found a restarted service again: until the whole way to the database answers a question about
/// nothing.
async fn all_found_again(world: &World) -> Result {
    let rest = world.admin_at(1).rest;
    let path = format!("/api/v1/chats/{NOBODY}/interrupt");
    let begun = Instant::now();
    loop {
        let answer = rest.post(&path, &json!({})).await?;
        if answer.status == 404 {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn epoch(world: &World, chat_id: &str) -> Result<i64> {
    Ok(world
        .sql(&format!("SELECT epoch FROM chats WHERE id = '{chat_id}'"))
        .await?
        .parse()?)
}

/// Watches the lease of a running turn for longer than it lasts unrenewed: it is never longer than it may be, and never over.
async fn outlive_a_lease(world: &World, chat_id: &str) -> Result {
    let query = format!(
        "SELECT extract(epoch FROM lease_expires_at - clock_timestamp()), extract(epoch FROM now()) FROM chats WHERE id = '{chat_id}'"
    );
    let mut begun = None;
    loop {
        let row = world.sql(&query).await?;
        let (left, now) = row.split_once('|').unwrap_or_default();
        let (left, now): (f64, f64) = (left.parse()?, now.parse()?);
        ensure!(0.0 < left && left <= TTL_SECONDS, "the lease has {left} s left");
        if now - *begun.get_or_insert(now) > TTL_SECONDS {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn no_call_was_refused(world: &World) -> Result {
    let logs = world.logs();
    for word in ["has expired", "Unauthenticated", "panicked"] {
        let line = logs.lines().find(|line| line.contains(word));
        ensure!(line.is_none(), "{line:?}");
    }
    Ok(())
}
