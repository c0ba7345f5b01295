//! Tandem's endpoints for SDKs beside other gateways: what each adds to a request, how many it carries on one core, and what that costs.
//!
//! The gateway under test has one core for itself; load, upstream and databases share the other. All are up at once, the idle ones wait; each
//! phase asks one after another, in several rounds, so that what else happens on the machine happens to all. A figure is the median of its
//! rounds; "added" is the figure less that of asking the upstream itself.

mod load;
mod page;
mod peer;
mod upstream;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

use self::{
    peer::{Cores, Peer},
    upstream::Upstream,
};
use super::figures::{Figure, Report, Samples, tell};

pub use self::page::rewrite;

/// Connections at once, in each phase.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Before anything is measured, each gateway is asked this long.
const WARM_UP: Duration = Duration::from_millis(700);
/// Between two phases, for what a gateway does behind its answers.
const REST: Duration = Duration::from_millis(300);
/// What is gathered behind answers, two seconds at most, is stored by then.
const STORED: Duration = Duration::from_millis(2_500);
/// As the product is by default.
const OURS: &str = "tandem";
/// The same, recording no exchanges: what the others do, with authentication, breaker and metering on.
const WITHOUT_RECORDS: &str = "tandem, recording off";

/// What is measured, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `tandem` program, built with optimisations; without it the others are measured alone.
    pub tandem: Option<PathBuf>,
    /// Measures Tandem without the recording of exchanges too.
    pub without_records: bool,
    pub nginx: Option<PathBuf>,
    pub crabllm: Option<PathBuf>,
    pub smg: Option<PathBuf>,
    pub litellm: Option<PathBuf>,
    /// Portkey's script for Node.
    pub portkey: Option<PathBuf>,
    /// Of each phase.
    pub rounds: usize,
    /// Of each gateway in each phase of a round.
    pub time: Duration,
    /// The core of the gateway under test, and the other one.
    pub gateway_core: usize,
    pub other_core: usize,
    /// Only starts everything, tells the processes and waits this long with load on Tandem: for a profiler.
    pub profile: Option<Duration>,
    /// With streams, when profiling.
    pub profile_streams: bool,
}

/// A phase: streamed or not, over so many connections.
type Phase = (bool, usize);

/// What the rounds of one gateway showed, figure by figure.
#[derive(Debug, Default)]
struct Measured {
    rounds: BTreeMap<(Phase, &'static str), Vec<f64>>,
    answered: usize,
    errors: usize,
    an_error: Option<String>,
    idle_mib: Option<f64>,
    loaded_mib: Option<f64>,
}

impl Measured {
    fn note(&mut self, phase: Phase, what: &'static str, value: f64) {
        self.rounds.entry((phase, what)).or_default().push(value);
    }

    /// The median of the rounds.
    fn get(&self, phase: Phase, what: &'static str) -> Option<f64> {
        let mut values = self.rounds.get(&(phase, what))?.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

/// Everything measured, in the order of measuring.
pub struct Results {
    peers: Vec<(String, Measured)>,
    pub report: Report,
}

/// Measures; the calling thread, which must drive a runtime of its own alone, is pinned.
///
/// # Errors
/// When a gateway does not start, or gives wrong answers in its warm-up.
pub async fn run(options: Options) -> anyhow::Result<Results> {
    pin(options.other_core)?;
    let cores = Cores {
        gateway: options.gateway_core,
        rest: options.other_core,
    };
    let upstream = Upstream::start().await?;
    let peers = start(&options, &upstream, cores).await?;
    if let Some(time) = options.profile {
        profile(&peers, time, options.profile_streams).await?;
        return Ok(Results {
            peers: Vec::new(),
            report: Report::default(),
        });
    }
    let mut measured: Vec<Measured> = peers.iter().map(|_| Measured::default()).collect();
    for (peer, measured) in peers.iter().zip(&mut measured) {
        measured.idle_mib = peer.memory_mib()?;
        for is_stream in [false, true] {
            let warm = load::run(&peer.target, is_stream, 4, WARM_UP).await?;
            let said = warm.an_error.unwrap_or_default();
            ensure!(warm.errors == 0, "{} fails: {said}", peer.name);
            measured.answered += warm.whole.len();
        }
    }
    for round in 1..=options.rounds {
        for is_stream in [false, true] {
            for connections in CONNECTIONS {
                let kind = if is_stream { "streams" } else { "requests" };
                tell(&format!(
                    "round {round} of {}: {kind} over {connections}",
                    options.rounds
                ));
                for (peer, measured) in peers.iter().zip(&mut measured) {
                    one(peer, measured, (is_stream, connections), options.time).await?;
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
    for (peer, measured) in peers.iter().zip(&mut measured) {
        measured.loaded_mib = peer.memory_mib()?;
        peer.check_metered(measured.answered).await?;
    }
    let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    for peer in peers {
        peer.close().await?;
    }
    let mut results = Results {
        peers: names.into_iter().zip(measured).collect(),
        report: Report::default(),
    };
    results.tell_all()?;
    Ok(results)
}

async fn start(options: &Options, upstream: &Upstream, cores: Cores) -> anyhow::Result<Vec<Peer>> {
    let vendor = upstream.address();
    let mut peers = vec![Peer::direct(vendor)];
    if let Some(program) = &options.nginx {
        tell("nginx starts");
        peers.push(Peer::nginx(program, vendor, cores).await?);
    }
    if let Some(program) = &options.crabllm {
        tell("crabllm starts");
        peers.push(Peer::crabllm(program, vendor, cores).await?);
    }
    if let Some(program) = &options.smg {
        tell("smg starts");
        peers.push(Peer::smg(program, vendor, cores).await?);
    }
    if let Some(program) = &options.portkey {
        tell("Portkey starts");
        peers.push(Peer::portkey(program, vendor, cores).await?);
    }
    if let Some(program) = &options.litellm {
        tell("LiteLLM starts");
        peers.push(Peer::litellm(program, vendor, cores).await?);
    }
    if let Some(program) = &options.tandem {
        tell("Tandem starts");
        peers.push(Peer::tandem(program, vendor, cores, true).await?);
        if options.without_records {
            tell("Tandem without records starts");
            peers.push(Peer::tandem(program, vendor, cores, false).await?);
        }
    }
    Ok(peers)
}

/// One gateway in one phase of one round.
async fn one(peer: &Peer, measured: &mut Measured, phase: Phase, time: Duration) -> anyhow::Result<()> {
    let (is_stream, connections) = phase;
    let (before, beside_before) = (peer.processor_time()?, peer.beside_time()?);
    let outcome = load::run(&peer.target, is_stream, connections, time).await?;
    let after = peer.processor_time()?;
    measured.errors += outcome.errors;
    measured.an_error = measured.an_error.take().or_else(|| outcome.an_error.clone());
    let answered = outcome.whole.len();
    measured.answered += answered;
    if answered == 0 {
        // Others may fall under load, and are shown without figures then.
        let said = outcome.an_error.unwrap_or_default();
        ensure!(peer.name != OURS, "{} answers nothing: {said}", peer.name);
        return Ok(());
    }
    measured.note(phase, "per_second", outcome.per_second());
    let per_1000 = |used: Duration| used.as_secs_f64() / answered as f64 * 1_000.0;
    if let (Some(before), Some(after)) = (before, after) {
        measured.note(phase, "cpu_s_per_1000", per_1000(after.saturating_sub(before)));
    }
    if let Some(before) = beside_before {
        tokio::time::sleep(STORED).await;
        let used = peer.beside_time()?.unwrap_or_default().saturating_sub(before);
        measured.note(phase, "beside_s_per_1000", per_1000(used));
    }
    let (first, whole) = (Samples::new(outcome.first), Samples::new(outcome.whole));
    measured.note(phase, "first_p50", first.quantile_ms(0.5));
    measured.note(phase, "first_p99", first.quantile_ms(0.99));
    measured.note(phase, "whole_p50", whole.quantile_ms(0.5));
    measured.note(phase, "whole_p99", whole.quantile_ms(0.99));
    Ok(())
}

/// Keeps Tandem busy, the one without records if there is one, and tells where a profiler finds it.
async fn profile(peers: &[Peer], time: Duration, is_stream: bool) -> anyhow::Result<()> {
    let peer = peers
        .iter()
        .rfind(|peer| peer.name.starts_with(OURS))
        .context("Tandem is not there")?;
    let id = peer.process().context("Tandem has no process")?;
    tell(&format!("load on process {id} for {time:?}"));
    let started = Instant::now();
    let outcome = load::run(&peer.target, is_stream, 16, time).await?;
    tell(&format!(
        "{} answers and {} errors in {:?}: {:.0}/s; {}",
        outcome.whole.len(),
        outcome.errors,
        started.elapsed(),
        outcome.per_second(),
        outcome.an_error.unwrap_or_default()
    ));
    Ok(())
}

/// Keeps this thread, and what it starts, on one core.
fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("core {core} cannot be used alone"))
}

impl Results {
    /// The one among all that the budgets are for: the one without records, where it was measured.
    fn judged(&self) -> &'static str {
        let is_there = self.peers.iter().any(|(name, _)| name == WITHOUT_RECORDS);
        if is_there { WITHOUT_RECORDS } else { OURS }
    }

    /// What a gateway adds to a figure of the upstream's own.
    fn added(&self, measured: &Measured, phase: Phase, what: &'static str) -> Option<f64> {
        let (_, direct) = self.peers.first()?;
        Some(measured.get(phase, what)? - direct.get(phase, what)?)
    }

    fn tell_all(&mut self) -> anyhow::Result<()> {
        let mut figures = Vec::new();
        for (name, measured) in &self.peers {
            let is_ours = name == self.judged();
            let budget = |figure: Figure, most: f64| if is_ours { figure.at_most(most) } else { figure };
            for is_stream in [false, true] {
                for connections in CONNECTIONS {
                    let phase = (is_stream, connections);
                    let figure = |what: &str, value: Option<f64>, unit| {
                        let kind = if is_stream { "stream" } else { "request" };
                        let figure = Figure::new(format!("{kind}_{what}"), value?, unit);
                        Some(figure.with("gateway", name.as_str()).with("connections", connections))
                    };
                    let added = |what| self.added(measured, phase, what).filter(|_| name != "direct");
                    let first = figure("added_first_p50", added("first_p50").filter(|_| is_stream), "ms");
                    let p50 = figure("added_p50", added("whole_p50"), "ms");
                    let rate = figure("per_second", measured.get(phase, "per_second"), "/s");
                    let cost = figure("cpu_per_1000", measured.get(phase, "cpu_s_per_1000"), "s");
                    figures.extend(match (is_stream, connections) {
                        (false, 1) => p50.map(|p50| budget(p50, page::ADDED_P50_MS)),
                        (_, _) => p50,
                    });
                    figures.extend(figure("added_p99", added("whole_p99"), "ms"));
                    figures.extend(match connections {
                        16 => first.map(|first| budget(first, page::ADDED_FIRST_MS)),
                        _ => first,
                    });
                    figures.extend(match (is_stream, connections) {
                        (false, 16) if is_ours => rate.map(|rate| rate.at_least(page::PER_SECOND)),
                        (_, _) => rate,
                    });
                    figures.extend(match (is_stream, connections) {
                        (true, 16) => cost.map(|cost| budget(cost, page::STREAM_CPU_S)),
                        (_, _) => cost,
                    });
                }
            }
            let memory =
                |what: &str, value: Option<f64>| Some(Figure::new(what, value?, "MiB").with("gateway", name.as_str()));
            let idle = memory("memory_idle", measured.idle_mib);
            figures.extend(idle.map(|idle| budget(idle, page::IDLE_MIB)));
            figures.extend(memory("memory_after_load", measured.loaded_mib));
            let mut errors = Figure::new("errors", measured.errors as f64, "").with("gateway", name.as_str());
            if let Some(said) = &measured.an_error {
                errors = errors.with("one", said.chars().take(300).collect::<String>());
            }
            figures.push(errors);
        }
        figures.into_iter().try_for_each(|figure| self.report.add(figure))
    }
}
