//! Benchmarks of the whole product as its users see it: the release binary, all services in one process, a model that keeps the time.
//!
//! They measure and compare with budgets; they decide nothing. How to read the figures is in `docs/performance.md`.

pub mod conversation;
pub mod database;
mod fan_out;
pub mod figures;
pub mod gateway;
pub mod model;
pub mod process;
mod readers;
mod repository;
mod resume;
mod running;
mod start;
mod statements;
mod takeover;
mod tools;
mod turns;
mod worker;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::ValueEnum;

use self::{
    figures::{Report, tell},
    model::{ClockedModel, Mark},
};
use crate::world::{Builder, World};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Size of the program, time to start, memory at rest.
    Start,
    /// Added time to the first token and to the whole turn.
    Latency,
    /// Turns per second and processor time per turn.
    Throughput,
    /// Statements per turn.
    Statements,
    /// Memory and statements per idle reader.
    Readers,
    /// Coming back to a short and to a long chat.
    Resume,
    /// One answer to many readers.
    FanOut,
    /// Statements while many chats are answered.
    Running,
    /// An orchestrator killed in the middle of answers.
    Takeover,
    /// Commands run by chats: one at a time, and a thousand at once over a hundred workspaces.
    Tools,
    /// A chat that works in a repository of very many files.
    Repository,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `tandem` program.
    pub program: PathBuf,
    /// In this order; all when empty.
    pub stages: Vec<Stage>,
    /// Turns of one round of latency, at least.
    pub turns: usize,
    /// Rounds of latency and throughput.
    pub rounds: usize,
    /// Counts of idle readers, rising.
    pub readers: Vec<usize>,
    /// Counts of chats that are answered at once, rising.
    pub running: Vec<usize>,
    /// Files of the large repository, in thousands that are begun.
    pub files: usize,
}

/// A benchmark under way.
pub struct Bench {
    world: World,
    model: ClockedModel,
    report: Report,
    options: Options,
    /// Marks given out so far.
    marks: u64,
    first_start: Duration,
}

/// Measures the stages; the table of figures. Each figure's JSON line goes to standard output as it is known.
///
/// # Errors
/// When the product does not start, or does anything but answer well.
pub async fn run(options: Options) -> anyhow::Result<String> {
    let stages = match options.stages.as_slice() {
        [] => Stage::value_variants().to_vec(),
        stages => stages.to_vec(),
    };
    let started = Instant::now();
    let world = start(World::builder().all_in_one(), &options).await?;
    let first_start = started.elapsed();
    let model = ClockedModel::start().await?;
    register(&world, &model).await?;
    let mut bench = Bench {
        world,
        model,
        report: Report::default(),
        options,
        marks: 0,
        first_start,
    };
    for stage in stages {
        match stage {
            Stage::Start => start::cost(&mut bench).await,
            Stage::Latency => turns::latency(&mut bench).await,
            Stage::Throughput => turns::throughput(&mut bench).await,
            Stage::Statements => statements::count(&mut bench).await,
            Stage::Readers => readers::cost(&mut bench).await,
            Stage::Resume => resume::measure(&mut bench).await,
            Stage::FanOut => fan_out::measure(&mut bench).await,
            Stage::Running => running::measure(&mut bench).await,
            Stage::Takeover => takeover::measure(&mut bench).await,
            Stage::Tools => tools::measure(&mut bench).await,
            Stage::Repository => repository::measure(&mut bench).await,
        }
        .with_context(|| format!("{stage:?} could not be measured"))?;
    }
    tell("stopping");
    bench.world.terminate().await?;
    Ok(bench.report.table())
}

/// Starts the program that is measured.
async fn start(builder: Builder, options: &Options) -> anyhow::Result<World> {
    builder
        .program(&options.program)
        .without_provider()
        // One user stands for many here.
        .env("TANDEM_GATEWAY__RATE_LIMIT__REQUESTS_PER_MINUTE", "100000000")
        .start()
        .await
}

async fn register(world: &World, model: &ClockedModel) -> anyhow::Result<()> {
    let keys = ["sk-bench"];
    let provider = world.register_provider("clocked", &model.base_url(), &keys).await?;
    world.register_model(&provider, "bench").await?;
    Ok(())
}

impl Bench {
    /// A world for a stage that breaks it or needs another shape, with a model of its own.
    async fn another_world(&self, builder: Builder) -> anyhow::Result<(World, ClockedModel)> {
        let world = start(builder, &self.options).await?;
        let model = ClockedModel::start().await?;
        register(&world, &model).await?;
        Ok((world, model))
    }

    /// The next mark.
    fn mark(&mut self) -> Mark {
        self.marks += 1;
        Mark(self.marks - 1)
    }

    /// The process that is measured.
    fn process(&self) -> anyhow::Result<u32> {
        self.world
            .process_ids()
            .first()
            .copied()
            .context("the product is not running")
    }

    /// Ends the product in an orderly way and starts it again; how long it took to be ready.
    async fn restart(&mut self) -> anyhow::Result<Duration> {
        self.world.terminate().await?;
        let started = Instant::now();
        self.world.restart().await?;
        Ok(started.elapsed())
    }
}
