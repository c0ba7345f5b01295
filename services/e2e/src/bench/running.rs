//! What chats that are being answered cost the database while nothing else happens: leases, and little more. One replica is allowed
//! all of them, more than it takes by default.

use std::time::Duration;

use anyhow::ensure;
use futures::future::try_join_all;
use serde_json::json;

use super::{
    Bench,
    database::{StatementLog, is_bracket},
    figures::{Figure, tell},
    model::{Mark, Pace},
};
use crate::world::{World, text};

/// Chats that are created at once.
const AT_ONCE: usize = 50;
/// How long statements are counted: several renewals.
const WATCHED: Duration = Duration::from_secs(15);
/// Between two renewals of all leases, as configured by default.
const RENEWAL: Duration = Duration::from_secs(3);
/// The longest until all chats are answered.
const LIMIT: Duration = Duration::from_secs(300);
/// Speaks now and then, for longer than anybody watches, so that no guard against silence wakes up.
const PACE: Pace = Pace {
    first: Duration::from_millis(10),
    between: Duration::from_secs(20),
    tokens: 100,
};

/// Counts statements with rising numbers of chats that are answered at once, in a world of their own.
///
/// # Errors
/// When not all chats are answered.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let most = bench.options.running.iter().copied().max().unwrap_or_default();
    let builder = World::builder()
        .all_in_one()
        .env("TANDEM_ORCHESTRATOR__TURNS__MAX_RUNNING", most.max(1).to_string())
        .env(
            "TANDEM_PROVIDER_GATEWAY__COMPLETIONS__MAX_RUNNING",
            most.max(1).to_string(),
        );
    let (world, model) = bench.another_world(builder).await?;
    model.set_pace(PACE);
    let user = world.admin();
    let mut running = 0;
    for count in bench.options.running.clone() {
        tell(&format!("{count} chats are answered at once"));
        while running < count {
            let some = AT_ONCE.min(count - running);
            let creating = (running..running + some).map(|n| async move {
                let message = text(&Mark(n as u64).text());
                let body = json!({ "organization_id": user.organization_id, "content": message });
                user.rest.post("/api/v1/chats", &body).await?.expect(201)
            });
            try_join_all(creating).await?;
            running += some;
        }
        let begun = std::time::Instant::now();
        while model.asked() < count as u64 {
            ensure!(
                begun.elapsed() < LIMIT,
                "only {} of {count} chats are answered",
                model.asked()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut log = StatementLog::start(world.data()).await?;
        tokio::time::sleep(WATCHED).await;
        let seen = log.read()?;
        log.stop().await?;
        let counted = || seen.iter().filter(|(statement, _)| !is_bracket(statement));
        let renewals: u64 = counted()
            .filter(|(statement, _)| statement.contains("lease_expires_at = now() + "))
            .map(|(_, tally)| tally.count)
            .sum();
        let per_second = counted().map(|(_, tally)| tally.count).sum::<u64>() as f64 / WATCHED.as_secs_f64();
        let time: Duration = seen.values().map(|tally| tally.time).sum();
        let intervals = WATCHED.as_secs_f64() / RENEWAL.as_secs_f64();
        let figure = |name, value, unit| Figure::new(name, value, unit).with("running", count);
        let figures = [
            figure("statements_per_heartbeat", renewals as f64 / intervals, "statements"),
            figure("statements_per_second", per_second, "statements/s"),
            figure(
                "database_time_per_second",
                time.as_secs_f64() * 1_000.0 / WATCHED.as_secs_f64(),
                "ms",
            ),
        ];
        figures.into_iter().try_for_each(|figure| bench.report.add(figure))?;
    }
    ensure!(
        model.asked() == running as u64,
        "{} calls for {running} turns",
        model.asked()
    );
    Ok(())
}
