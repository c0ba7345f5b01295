//! `make bench`: measures the release binary and compares with the budgets. JSON lines on standard output, a table at the end.

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use tandem_e2e::bench::{self, Options, Stage};

/// Measures Tandem on this machine.
#[derive(Parser)]
struct Arguments {
    /// The program to measure, built with optimisations.
    #[arg(long, env = "TANDEM_BIN")]
    program: PathBuf,
    /// Only these stages, in this order.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Stage>,
    /// Turns of one round of latency, at least.
    #[arg(long, default_value_t = 200)]
    turns: usize,
    /// Rounds of latency and throughput.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Counts of idle readers, rising.
    #[arg(long, value_delimiter = ',', default_values_t = [500, 1500])]
    readers: Vec<usize>,
    /// Counts of chats that are answered at once, rising.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1000])]
    running: Vec<usize>,
    /// Files of the large repository. They are empty: it takes about 100 bytes of disk and 300 of inodes for each.
    #[arg(long, default_value_t = 1_000_000)]
    files: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    allow_many_connections().context("could not raise the limit of open files")?;
    let table = bench::run(Options {
        program: arguments.program,
        stages: arguments.only,
        turns: arguments.turns.max(1),
        rounds: arguments.rounds.max(1),
        readers: rising(arguments.readers),
        running: rising(arguments.running),
        files: arguments.files,
    })
    .await?;
    writeln!(std::io::stderr(), "\n{table}")?;
    Ok(())
}

fn rising(mut counts: Vec<usize>) -> Vec<usize> {
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Each reader is a connection, here and in the program measured, which inherits the limit.
fn allow_many_connections() -> std::io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
