//! What an idle reader costs: memory of the system, and statements while nothing happens.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::task::JoinSet;

use super::{
    Bench,
    conversation::open,
    database::StatementLog,
    figures::{Figure, tell},
    model::Pace,
    process::memory,
    turns,
};
use crate::world::User;

/// What one reader may cost.
const BUDGET_KIB: f64 = 25.0;
/// Readers that connect, or chats that are made, at once.
const AT_ONCE: usize = 50;
/// After the last reader came, until the memory is looked at.
const SETTLE: Duration = Duration::from_secs(4);
/// How long statements of idle readers are counted.
const WATCHED: Duration = Duration::from_secs(20);

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WebSocket,
    EventStream,
}

/// Opens readers, each of a chat of its own, in a system that was just started and has done nothing else.
///
/// # Errors
/// When a reader is refused.
pub async fn cost(bench: &mut Bench) -> anyhow::Result<()> {
    let most = bench.options.readers.iter().copied().max().unwrap_or(0);
    tell(&format!("making {most} chats"));
    bench.model.set_pace(Pace::INSTANT);
    let mut chats = Vec::with_capacity(most);
    while chats.len() < most {
        let made = turns::conversations(bench, AT_ONCE.min(most - chats.len())).await?;
        chats.extend(made.iter().map(|chat| chat.id().to_owned()));
    }
    for (kind, name) in [(Kind::WebSocket, "websocket"), (Kind::EventStream, "event stream")] {
        tell(&format!("idle readers, {name}"));
        bench.restart().await?;
        let process = bench.process()?;
        let before = memory(process)?;
        let mut readers = Readers::default();
        let mut last = (0, before.resident);
        for count in bench.options.readers.clone() {
            readers.open(bench.world.admin(), &chats, count, kind).await?;
            tokio::time::sleep(SETTLE).await;
            let now = memory(process)?;
            let per_reader = |from: u64, readers: usize| (now.resident as f64 - from as f64) / readers.max(1) as f64;
            let figure = |name: &str, value| {
                Figure::new(name, value, "KiB")
                    .with("kind", name_of(kind))
                    .with("readers", count)
            };
            let all = figure("memory_per_idle_reader", per_reader(before.resident, count)).at_most(BUDGET_KIB);
            let further = figure("memory_per_further_reader", per_reader(last.1, count - last.0));
            bench.report.add(all)?;
            bench.report.add(further.with("from_readers", last.0))?;
            last = (count, now.resident);
        }
        if kind == Kind::WebSocket {
            statements(bench, last.0).await?;
        }
        drop(readers);
    }
    Ok(())
}

/// Statements that idle readers cause.
async fn statements(bench: &mut Bench, readers: usize) -> anyhow::Result<()> {
    let mut log = StatementLog::start(bench.world.data()).await?;
    tokio::time::sleep(WATCHED).await;
    let seen = log.read()?;
    log.stop().await?;
    let count: u64 = seen.values().map(|tally| tally.count).sum();
    let per_minute = count as f64 * 60.0 / WATCHED.as_secs_f64() / readers.max(1) as f64;
    let mut most: Vec<_> = seen.iter().map(|(statement, tally)| (tally.count, statement)).collect();
    most.sort_unstable_by(|a, b| b.cmp(a));
    for (count, statement) in most.iter().take(6) {
        tell(&format!("  {count:6} in {WATCHED:?}  {statement}"));
    }
    let figure = Figure::new("statements_per_idle_reader", per_minute, "statements/min");
    bench.report.add(figure.with("readers", readers))
}

/// Open readers; dropping them closes the connections.
#[derive(Default)]
struct Readers {
    reading: JoinSet<()>,
}

impl Readers {
    /// Opens readers until there are `count`, each of its own chat while there are enough.
    async fn open(&mut self, user: &User, chats: &[String], count: usize, kind: Kind) -> anyhow::Result<()> {
        while self.reading.len() < count {
            let from = self.reading.len();
            let ids = chats.iter().cycle().skip(from).take(AT_ONCE.min(count - from));
            let opening = ids.map(|id| reader(user, id, kind));
            for reader in futures::future::try_join_all(opening).await? {
                self.reading.spawn(reader);
            }
        }
        Ok(())
    }
}

type Reading = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens a reader; what comes back reads until the connection ends.
async fn reader(user: &User, chat_id: &str, kind: Kind) -> anyhow::Result<Reading> {
    match kind {
        Kind::WebSocket => {
            let mut socket = open(user, chat_id).await?;
            Ok(Box::pin(async move { while let Some(Ok(_)) = socket.next().await {} }))
        }
        Kind::EventStream => {
            let path = format!("/api/v1/chats/{chat_id}/stream");
            let request = user.rest.request(reqwest::Method::GET, &path);
            let request = request.header("accept", "text/event-stream");
            let mut answer = request.send().await?.error_for_status()?;
            Ok(Box::pin(async move { while let Ok(Some(_)) = answer.chunk().await {} }))
        }
    }
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::WebSocket => "websocket",
        Kind::EventStream => "event stream",
    }
}
