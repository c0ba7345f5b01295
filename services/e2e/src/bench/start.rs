//! What the product costs before anybody uses it: size of the program, time to start, memory at rest.

use std::time::Duration;

use anyhow::Context as _;

use super::{
    Bench,
    figures::{Figure, Samples, tell},
    process::{Family, memory},
};

/// After the start, until the memory is looked at.
const REST: Duration = Duration::from_secs(8);
/// All services in one process, PostgreSQL beside it.
const IDLE_BUDGET_MIB: f64 = 80.0;
/// Starts that are timed.
const STARTS: usize = 5;

/// Size, start and rest of the program.
///
/// # Errors
/// When it does not start.
pub async fn cost(bench: &mut Bench) -> anyhow::Result<()> {
    let program = bench.options.program.clone();
    let size = std::fs::metadata(&program)
        .with_context(|| format!("{} is not there", program.display()))?
        .len();
    bench.report.add(Figure::new("program_size", mib(size / 1024), "MiB"))?;
    let first = bench.first_start.as_secs_f64() * 1_000.0;
    bench.report.add(Figure::new("start_on_new_directory", first, "ms"))?;
    rest(bench, "first").await?;

    tell("starting on an existing data directory");
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        starts.push(bench.restart().await?);
    }
    let starts = Samples::new(starts);
    for (name, share) in [("start_min", 0.0), ("start_p50", 0.5)] {
        let figure = Figure::new(name, starts.quantile_ms(share), "ms");
        bench
            .report
            .add(figure.with("starts", starts.len()).with("resolution_ms", 20))?;
    }
    rest(bench, "later").await
}

/// Memory at rest.
async fn rest(bench: &mut Bench, start: &str) -> anyhow::Result<()> {
    tokio::time::sleep(REST).await;
    let process = bench.process()?;
    let (own, family) = (memory(process)?, Family::of(process)?);
    let figures = [
        Figure::new("idle_memory", mib(own.resident), "MiB").at_most(IDLE_BUDGET_MIB),
        Figure::new("idle_memory_anonymous", mib(own.anonymous), "MiB"),
        Figure::new("idle_memory_database", mib(family.database_memory()), "MiB")
            .with("processes", family.database_processes()),
    ];
    for figure in figures {
        bench.report.add(figure.with("start", start))?;
    }
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
