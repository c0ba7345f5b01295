//! Connections between storage and PostgreSQL that are dead without a sign: each must come back, or its slot be free for another.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future;
use serde_json::json;
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Wire, World, id_of},
};

use crate::{
    LIMIT, Result,
    drills::{self, rounds, story, told},
    settled,
};

/// Storage's connections for requests.
pub const SLOTS: usize = 4;

/// How soon after the network went silent for good, or was healed, everything is served again if nobody was waiting for PostgreSQL.
/// Promised are 5 s; the rest is for a busy machine.
const IDLE_BACK: Duration = Duration::from_secs(10);

/// The same if all connections were in use: the calls on them wait for their deadlines first. Promised are 25 s.
const BUSY_BACK: Duration = Duration::from_secs(40);

/// The same if nobody waited for those calls any more. Promised are 10 s.
pub const HUNG_UP_BACK: Duration = Duration::from_secs(15);

/// How long the network is lost where it comes back.
const LOST: Duration = Duration::from_secs(8);

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// A system with few connections to PostgreSQL, through a network that can be lost.
pub async fn world() -> Result<World> {
    World::builder()
        .separate_processes()
        .database()
        .env("TANDEM_STORAGE__POOL__MAX_CONNECTIONS", SLOTS.to_string())
        .env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "0")
        .start()
        .await
}

/// D13: every connection to PostgreSQL dies without a sign while a turn waits for its model.
#[tokio::test]
async fn d13_idle_connections_to_the_database_that_went_silent_are_replaced() -> Result {
    let world = world().await?;
    let chat = world.create_chat("Count the slots").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    assert_eq!(slots(&world, id).await?, SLOTS, "before");
    let mut times = Vec::new();
    for round in 0..rounds() {
        let name = format!("idle-{round}");
        world
            .fake()
            .script(Script::reply(Reply::text("Half ").gate(&name).and_text("and half.")).when_user_says(&name));
        let held = world.create_chat(&name).await?;
        world.fake().wait_at_gate(&name, LIMIT).await?;
        let before = world.network().traffic(Wire::ToDatabase);
        world.network().wire(Wire::ToDatabase).strand();
        let lost = Instant::now();
        world.fake().open(&name);
        all_served(&world, id, lost, IDLE_BACK).await?;
        let back = lost.elapsed();
        assert_eq!(
            settled(&world, id_of(&held)?).await?,
            [format!("user: {name}"), "assistant: Half and half.".to_owned()]
        );
        let after = world.network().traffic(Wire::ToDatabase);
        let is_lost = after.held_to_server > before.held_to_server && after.connections > before.connections;
        ensure!(is_lost, "nothing was lost: {before:?}, {after:?}");
        times.push(back);
        assert_eq!(slots(&world, id).await?, SLOTS, "{name}");
    }
    drills::tell("D13", "idle connections to PostgreSQL silent", times);
    Ok(())
}

/// D13: the same while each connection carries a request that PostgreSQL has not answered.
#[tokio::test]
async fn d13_busy_connections_to_the_database_that_went_silent_give_their_slots_back() -> Result {
    let world = world().await?;
    let chat = world.create_chat("Count the slots").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    for (callers, limit) in [(Callers::HangUp, HUNG_UP_BACK), (Callers::Wait, BUSY_BACK)] {
        let mut times = Vec::new();
        for round in 0..rounds() {
            let lost = lose_busy_connections(&world, id, callers).await?;
            all_served(&world, id, lost, limit).await?;
            times.push(lost.elapsed());
            assert_eq!(slots(&world, id).await?, SLOTS, "round {round}, {callers:?}");
        }
        drills::tell(
            "D13",
            &format!("busy connections to PostgreSQL silent, callers {callers:?}"),
            times,
        );
    }
    Ok(())
}

/// What becomes of the requests on connections that went silent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Callers {
    /// They hear that time is over.
    Wait,
    /// They leave at once.
    HangUp,
}

/// Has all connections wait for PostgreSQL, and makes them silent for good; since when they were.
pub async fn lose_busy_connections(world: &World, chat_id: &str, callers: Callers) -> Result<Instant> {
    let lock = Lock::take(world, chat_id).await?;
    let asked = future::join_all((0..2 * SLOTS).map(|_| ask(world, chat_id)));
    let lose = async {
        let waiting = lock.waiting(SLOTS).await?;
        ensure!(waiting == SLOTS, "{waiting} connections were busy");
        let held = world.network().traffic(Wire::ToDatabase).held_to_client;
        world.network().wire(Wire::ToDatabase).strand();
        let lost = Instant::now();
        lock.release().await?;
        while world.network().traffic(Wire::ToDatabase).held_to_client == held {
            ensure!(lost.elapsed() < LIMIT, "no answer was lost");
            tokio::time::sleep(INTERVAL).await;
        }
        anyhow::Ok(lost)
    };
    if callers == Callers::HangUp {
        return tokio::select! {
            _ = asked => anyhow::bail!("all were answered"),
            lost = lose => lost,
        };
    }
    let (answers, lost) = future::join(asked, lose).await;
    for answer in answers {
        // Nobody knows, or nobody had time: each is an answer, and a machine can act on it.
        let status = answer?;
        ensure!(matches!(status, 200 | 202 | 503 | 504), "{status}");
    }
    lost
}

/// D13: PostgreSQL is not reachable at all for a while, and nobody says so; then it is again.
#[tokio::test]
async fn d13_a_database_that_was_out_of_reach_is_used_again_at_once() -> Result {
    let world = world().await?;
    let chat = world.create_chat("Count the slots").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let mut times = Vec::new();
    for round in 0..rounds() {
        let name = format!("away-{round}");
        world.fake().script(story(&name));
        let proxy = world.network().wire(Wire::ToDatabase);
        let held = proxy.traffic().held_to_server;
        proxy.blackhole();
        let lost = Instant::now();
        while lost.elapsed() < LOST {
            let asked = future::join_all((0..2 * SLOTS).map(|_| ask(&world, id))).await;
            for status in asked {
                let status = status?;
                ensure!(matches!(status, 503 | 504), "{status} without a database");
            }
        }
        ensure!(proxy.traffic().held_to_server > held, "nothing was lost");
        proxy.heal();
        let healed = Instant::now();
        all_served(&world, id, healed, IDLE_BACK).await?;
        times.push(healed.elapsed());
        let begun = world.create_chat(&format!("Story {name}.")).await?;
        told(&world, id_of(&begun)?, &name).await?;
        assert_eq!(slots(&world, id).await?, SLOTS, "{name}");
    }
    drills::tell("D13", "PostgreSQL out of reach for 8 s", times);
    Ok(())
}

/// Asks for something that locks the chat; the status of the answer.
async fn ask(world: &World, chat_id: &str) -> Result<u16> {
    let path = format!("/api/v1/chats/{chat_id}/interrupt");
    Ok(world.rest().post(&path, &json!({})).await?.status)
}

/// Waits until as many requests as there are slots are served at once, twice.
async fn all_served(world: &World, chat_id: &str, since: Instant, limit: Duration) -> Result {
    let path = format!("/api/v1/chats/{chat_id}");
    let mut well = 0;
    while well < 2 {
        let rest = world.rest();
        let answers = future::try_join_all((0..2 * SLOTS).map(|_| rest.get(&path))).await?;
        well = if answers.iter().all(|answer| answer.status == 200) {
            well + 1
        } else {
            0
        };
        ensure!(since.elapsed() < limit, "{answers:?} after {:?}", since.elapsed());
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

/// How many requests storage can have at PostgreSQL at the same moment: counted there, by those that wait for one lock.
pub async fn slots(world: &World, chat_id: &str) -> Result<usize> {
    let lock = Lock::take(world, chat_id).await?;
    let asked = future::join_all((0..2 * SLOTS).map(|_| ask(world, chat_id)));
    let count = async {
        let waiting = lock.waiting(SLOTS).await?;
        lock.release().await?;
        anyhow::Ok(waiting)
    };
    let (_, waiting) = future::join(asked, count).await;
    waiting
}

/// A lock on a chat's row, held by a session beside the system.
struct Lock<'a> {
    world: &'a World,
    holder: tokio::task::JoinHandle<()>,
}

impl<'a> Lock<'a> {
    /// Marks the session's statement.
    const SLEEP: &'static str = "SELECT pg_sleep(61)";

    async fn take(world: &'a World, chat_id: &str) -> Result<Self> {
        let statement = format!(
            "BEGIN; SELECT id FROM chats WHERE id = '{chat_id}' FOR UPDATE; {};",
            Self::SLEEP
        );
        let session = world.session(statement);
        let holder = tokio::spawn(async move {
            // Ended from outside, which its client calls a failure.
            session.await.ok();
        });
        let begun = Instant::now();
        let held = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query = '{};' AND wait_event = 'PgSleep'",
            Self::SLEEP
        );
        while world.sql(&held).await? == "0" {
            ensure!(begun.elapsed() < LIMIT, "the row cannot be locked");
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(Self { world, holder })
    }

    /// Waits until `count` of storage's connections wait for a lock, or no more come; how many there were.
    async fn waiting(&self, count: usize) -> Result<usize> {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tandem-storage' AND wait_event_type = 'Lock'";
        // Shorter than storage waits for a lock.
        let limit = Duration::from_secs(4);
        let begun = Instant::now();
        let mut most = 0;
        while most < count && begun.elapsed() < limit {
            most = most.max(self.world.sql(query).await?.parse()?);
        }
        Ok(most)
    }

    async fn release(self) -> Result {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '{};'",
            Self::SLEEP
        );
        self.world.sql(&end).await?;
        Ok(self.holder.await?)
    }
}
