//! What it costs that a command runs through a chat: one call at a time, and a thousand at once over many workspaces, beside the same
//! commands run by this program.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, future::try_join_all, stream};
use serde_json::json;
use tokio::process::Command;

use super::{
    Bench,
    figures::{Figure, Report, Samples, tell},
    model::{ClockedModel, Exchange, Mark, Pace, Work},
    process::Family,
    worker::{Call, Worker},
};
use crate::world::World;

/// Calls of one turn of the first measure, one after another.
const STEPS: usize = 20;
/// What a call may add to its process.
const BUDGET_MS: f64 = 15.0;
/// Workspaces of the second measure, and calls in each, all at once.
const WORKSPACES: usize = 100;
const CALLS: usize = 10;
/// Workspaces that begin at once.
const AT_ONCE: usize = 10;
/// Where each call of the second measure leaves its name, in its workspace's directory.
const TRACE: &str = "trace";
const SHELL: &str = "/bin/sh";
/// The longest a turn may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Measures both in a world of its own.
///
/// # Errors
/// When a turn fails, or a call is lost or doubled.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let (world, model) = bench.another_world(World::builder().all_in_one()).await?;
    model.set_pace(Pace::INSTANT);
    let rounds = bench.options.rounds;
    let mut marks = (0_u64..).map(Mark);
    one_by_one(&world, &model, &mut marks, rounds, &mut bench.report).await?;
    at_once(&world, &model, &mut marks, rounds, &mut bench.report).await
}

/// Turns of one call after another, alternating with bare processes.
async fn one_by_one(
    world: &World,
    model: &ClockedModel,
    marks: &mut (impl Iterator<Item = Mark> + Send),
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    tell("tool calls, one at a time");
    let mut worker = Worker::create(world.admin(), model, mark(marks)?).await?;
    model.set_work(nothing(1));
    worker.turn(mark(marks)?, LIMIT).await?;
    let bare = Bare::of(world, &worker).await?;
    let (mut calls, mut legs, mut processes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        model.set_work(nothing(STEPS));
        let turn = mark(marks)?;
        let seen = worker.turn(turn, LIMIT).await?;
        ensure!(seen.len() == STEPS, "{} of {STEPS} calls were seen", seen.len());
        let exchanges = model.take_all(turn)?;
        for _ in 0..STEPS {
            let took = bare.run("true").await?;
            // The first round warms up.
            processes.extend((round > 0).then_some(took));
        }
        if round > 0 {
            calls.extend(seen.values().map(Call::duration));
            legs.extend(exchanges.windows(2).filter_map(between));
        }
    }
    let (calls, legs, processes) = (Samples::new(calls), Samples::new(legs), Samples::new(processes));
    for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
        let figure = |name: &str, value| {
            Figure::new(format!("{name}_{quantile}"), value, "ms")
                .with("command", "true")
                .with("at_once", 1)
                .with("calls", calls.len())
        };
        let bare = processes.quantile_ms(share);
        let added = figure("tool_call_added", calls.quantile_ms(share) - bare);
        report.add(if share < 0.9 { added.at_most(BUDGET_MS) } else { added })?;
        report.add(figure("tool_process_bare", bare))?;
        report.add(figure("tool_step_model_to_model", legs.quantile_ms(share)))?;
    }
    Ok(())
}

/// From the end of what the model said to its next request.
fn between(exchanges: &[Exchange]) -> Option<Duration> {
    match exchanges {
        [one, next] => Some(next.asked.saturating_duration_since(one.finished)),
        _ => None,
    }
}

/// A thousand calls at once, each of which leaves its name.
async fn at_once(
    world: &World,
    model: &ClockedModel,
    marks: &mut (impl Iterator<Item = Mark> + Send),
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    tell(&format!("{WORKSPACES} workspaces begin, {AT_ONCE} at once"));
    let process = world
        .process_ids()
        .first()
        .copied()
        .context("the product is not running")?;
    let before = Family::of(process)?.others_memory();
    let first: Vec<(Mark, Mark)> = (0..WORKSPACES)
        .map(|_| Ok((mark(marks)?, mark(marks)?)))
        .collect::<anyhow::Result<_>>()?;
    model.set_work(Work::default());
    let creating = first
        .iter()
        .map(|(create, _)| Worker::create(world.admin(), model, *create));
    let mut workers: Vec<Worker> = Vec::with_capacity(WORKSPACES);
    let mut created = stream::iter(creating.collect::<Vec<_>>()).buffered(AT_ONCE);
    while let Some(worker) = created.next().await {
        workers.push(worker?);
    }
    drop(created);
    model.set_work(nothing(1));
    let warming = workers
        .iter_mut()
        .zip(&first)
        .map(|(worker, (_, mark))| worker.turn(*mark, LIMIT));
    let mut warming = stream::iter(warming.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    let mut starts = Vec::with_capacity(WORKSPACES);
    while let Some(seen) = warming.next().await {
        starts.extend(seen?.values().map(Call::duration));
    }
    drop(warming);
    let starts = Samples::new(starts);
    for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
        let figure = Figure::new(format!("workspace_start_{quantile}"), starts.quantile_ms(share), "ms");
        report.add(figure.with("at_once", AT_ONCE).with("workspaces", WORKSPACES))?;
    }
    let used = Family::of(process)?.others_memory().saturating_sub(before) as f64 / 1024.0;
    let figure = Figure::new("memory_per_workspace", used / WORKSPACES as f64, "MiB");
    report.add(figure.with("workspaces", WORKSPACES))?;

    model.set_work(Work {
        steps: 1,
        calls: CALLS,
        arguments: Some(|mark, index| {
            json!({ "command": format!("echo {} >> {TRACE}", Work::call_id(mark, index)), "timeout": "60s" })
        }),
    });
    let bare = Bare::of(world, workers.first().context("there are workspaces")?).await?;
    for round in 1..=rounds {
        tell(&format!("{} calls at once, round {round}", WORKSPACES * CALLS));
        let turns: Vec<Mark> = (0..WORKSPACES).map(|_| mark(marks)).collect::<anyhow::Result<_>>()?;
        let started = Instant::now();
        let working = workers
            .iter_mut()
            .zip(&turns)
            .map(|(worker, mark)| worker.turn(*mark, LIMIT));
        let seen = try_join_all(working).await?;
        let elapsed = started.elapsed();
        let lost = traces(world, &workers, &turns).await?;
        let started = Instant::now();
        try_join_all((0..WORKSPACES * CALLS).map(|_| bare.run("echo >> trace-bare"))).await?;
        let bare = started.elapsed();
        told(report, round, &seen, (elapsed, bare), lost)?;
    }
    Ok(())
}

fn told(
    report: &mut Report,
    round: usize,
    seen: &[HashMap<String, Call>],
    (elapsed, bare): (Duration, Duration),
    lost: usize,
) -> anyhow::Result<()> {
    let calls = Samples::new(seen.iter().flat_map(HashMap::values).map(Call::duration).collect());
    ensure!(
        calls.len() == WORKSPACES * CALLS,
        "{} results were shown of {}",
        calls.len(),
        WORKSPACES * CALLS
    );
    let figure = |name: &str, value, unit| {
        Figure::new(name, value, unit)
            .with("calls", calls.len())
            .with("workspaces", WORKSPACES)
            .with("round", round)
    };
    let figures = [
        figure("tool_calls_at_once_p50", calls.quantile_ms(0.5), "ms"),
        figure("tool_calls_at_once_p99", calls.quantile_ms(0.99), "ms"),
        figure("tool_calls_at_once_all_turns", elapsed.as_secs_f64() * 1_000.0, "ms"),
        figure("tool_processes_bare_all", bare.as_secs_f64() * 1_000.0, "ms"),
        figure(
            "tool_calls_per_second",
            calls.len() as f64 / elapsed.as_secs_f64(),
            "calls/s",
        ),
        figure("tool_calls_lost_or_doubled", lost as f64, "calls").at_most(0.0),
    ];
    figures.into_iter().try_for_each(|figure| report.add(figure))
}

/// How many calls of these turns did not leave their name exactly once.
async fn traces(world: &World, workers: &[Worker], turns: &[Mark]) -> anyhow::Result<usize> {
    let mut wrong = 0;
    for (worker, mark) in workers.iter().zip(turns) {
        let path = home(world, worker).await?.join(TRACE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        for index in 0..CALLS {
            let id = Work::call_id(*mark, index);
            wrong += usize::from(text.lines().filter(|line| *line == id).count() != 1);
        }
    }
    Ok(wrong)
}

/// Where the files of a chat's workspace are on this machine.
pub async fn home(world: &World, worker: &Worker) -> anyhow::Result<PathBuf> {
    let chat = world.chat(worker.id()).await?;
    let workspace = chat["workspace_id"].as_str().context("the chat has a workspace")?;
    Ok(world.data().join("workspaces").join(workspace))
}

/// Steps of one call that does nothing.
fn nothing(steps: usize) -> Work {
    Work {
        steps,
        calls: 1,
        arguments: Some(|_, _| json!({ "command": "true" })),
    }
}

fn mark(marks: &mut impl Iterator<Item = Mark>) -> anyhow::Result<Mark> {
    marks.next().context("marks do not end")
}

/// Processes as the workspace's agent starts them, by this program: the same shell, as the same user, in the same directory.
struct Bare {
    home: PathBuf,
    user: u32,
    group: u32,
}

impl Bare {
    async fn of(world: &World, worker: &Worker) -> anyhow::Result<Self> {
        let home = home(world, worker).await?;
        let found = home.metadata()?;
        Ok(Self {
            user: found.uid(),
            group: found.gid(),
            home,
        })
    }

    /// Runs a command to its end; how long it took.
    async fn run(&self, command: &str) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut process = Command::new(SHELL);
        process.args(["-c", command]).env_clear().current_dir(&self.home);
        // Another user than oneself can be only where one may be anybody.
        if rustix::process::geteuid().is_root() {
            process.uid(self.user).gid(self.group);
        }
        let ended = process.process_group(0).stdin(Stdio::null()).output().await?;
        ensure!(ended.status.success(), "a bare process failed: {ended:?}");
        Ok(started.elapsed())
    }
}
