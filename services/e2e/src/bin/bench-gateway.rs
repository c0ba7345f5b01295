//! `make bench-gateway`: measures Tandem's endpoints for SDKs beside other gateways. JSON lines on standard output, a table at the end.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use tandem_e2e::bench::gateway::{self, Options};

/// Where Debian has it.
const NGINX: &str = "/usr/sbin/nginx";
/// Where `.ci/peers` puts the others, below the home directory.
const INSTALLED: &str = ".cache/tandem";
/// The page with the figures, beside the sources this was built from.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");

/// Measures the gateway on this machine; two cores at least.
#[derive(Parser)]
struct Arguments {
    /// The program to measure, built with optimisations.
    #[arg(long, env = "TANDEM_BIN", required_unless_present = "others_alone")]
    program: Option<PathBuf>,
    /// Leaves Tandem out.
    #[arg(long)]
    others_alone: bool,
    /// Rounds of each phase.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each gateway in each phase of a round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// nginx as a plain proxy, the floor; left out where it is missing.
    #[arg(long, default_value = NGINX)]
    nginx: PathBuf,
    /// crabllm, measured too: `cargo install crabllm`.
    #[arg(long)]
    crabllm: Option<PathBuf>,
    /// smg, measured too: `pip install smg`.
    #[arg(long)]
    smg: Option<PathBuf>,
    /// LiteLLM, measured too: `.ci/litellm` installs it.
    #[arg(long)]
    litellm: Option<PathBuf>,
    /// Portkey's script for Node, measured too: `.ci/peers` installs it.
    #[arg(long)]
    portkey: Option<PathBuf>,
    /// All of these, as `.ci/peers` has installed them; `make bench-gateway` runs that when it sees this.
    #[arg(long)]
    peers: bool,
    /// Tandem a second time, recording nothing.
    #[arg(long)]
    without_records: bool,
    /// Core of the gateway under test.
    #[arg(long, default_value_t = 1)]
    gateway_core: usize,
    /// Core of everything else.
    #[arg(long, default_value_t = 0)]
    other_core: usize,
    /// Writes the section of docs/performance.md.
    #[arg(long)]
    write: bool,
    /// Measures nothing: puts load on Tandem for so many seconds, for a profiler.
    #[arg(long)]
    profile: Option<f64>,
    /// Streams instead of requests, when profiling.
    #[arg(long)]
    profile_streams: bool,
}

// One thread: load and upstream share the core that is not the gateway's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = arguments.program.filter(|_| !arguments.others_alone);
    let existing = |path: PathBuf| path.exists().then_some(path);
    let installed = std::env::home_dir()
        .filter(|_| arguments.peers)
        .map(|home| home.join(INSTALLED));
    let peer = |asked: Option<PathBuf>, path: &str| asked.or_else(|| Some(installed.as_ref()?.join(path)));
    let results = gateway::run(Options {
        tandem: program.map(std::path::absolute).transpose()?,
        without_records: arguments.without_records,
        nginx: existing(arguments.nginx),
        crabllm: peer(arguments.crabllm, "peers/crabllm/bin/crabllm"),
        smg: peer(arguments.smg, "peers/smg/bin/smg"),
        litellm: peer(arguments.litellm, "litellm/bin/litellm"),
        portkey: peer(
            arguments.portkey,
            "peers/portkey/node_modules/@portkey-ai/gateway/build/start-server.js",
        ),
        rounds: arguments.rounds.max(1),
        time: Duration::from_secs_f64(arguments.seconds),
        gateway_core: arguments.gateway_core,
        other_core: arguments.other_core,
        profile: arguments.profile.map(Duration::from_secs_f64),
        profile_streams: arguments.profile_streams,
    })
    .await?;
    let mut stderr = std::io::stderr();
    writeln!(stderr, "\n{}", results.report.table())?;
    if arguments.profile.is_none() {
        let section = results.section(arguments.rounds.max(1), arguments.seconds);
        writeln!(stderr, "{section}")?;
        if arguments.write {
            gateway::rewrite(Path::new(PAGE), &section)?;
        }
    }
    Ok(())
}
