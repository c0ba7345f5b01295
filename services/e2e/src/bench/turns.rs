//! How long turns take beyond the model's own time, and how many a machine can do.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{
    Bench,
    conversation::{Conversation, Turn},
    figures::{Figure, Samples, tell},
    model::{Mark, Pace},
    process::Family,
};

/// Turns of one chat before a new one takes its place, so that histories stay short and alike.
pub const TURNS_PER_CHAT: usize = 5;
/// Chats that send at once where many do.
pub const MANY: usize = 32;
/// Turns that nobody measures: connections, statements and caches warm up.
const WARM_UP: usize = 16;

/// A way to load the system.
struct Load {
    at_once: usize,
    pace: Pace,
    model: &'static str,
}

/// One turn at a time; as many as saturate a small machine; as many of a model that takes its time.
const LOADS: [Load; 3] = [
    Load {
        at_once: 1,
        pace: Pace::FAST_VENDOR,
        model: "50 ms",
    },
    Load {
        at_once: MANY,
        pace: Pace::FAST_VENDOR,
        model: "50 ms",
    },
    Load {
        at_once: MANY,
        pace: Pace::SLOW_VENDOR,
        model: "600 ms",
    },
];

/// Added latency under each of [`LOADS`], `rounds` times, alternating.
///
/// # Errors
/// When a turn fails.
pub async fn latency(bench: &mut Bench) -> anyhow::Result<()> {
    bench.model.set_pace(Pace::INSTANT);
    run(bench, MANY, WARM_UP).await?;
    let mut all = LOADS.map(|load| (load, Vec::new()));
    for round in 1..=bench.options.rounds {
        for (load, rounds) in &mut all {
            bench.model.set_pace(load.pace);
            let measured = run(bench, load.at_once, bench.options.turns).await?;
            let p50 = samples(&measured.turns, Turn::added_first).quantile_ms(0.5);
            let (at_once, model) = (load.at_once, load.model);
            tell(&format!(
                "latency, round {round}, {at_once} at once, model takes {model}: first token + {p50:.2} ms (p50)"
            ));
            rounds.push(measured.turns);
        }
    }
    for (load, rounds) in all {
        report_latency(bench, &load, &rounds)?;
    }
    let direct = direct(bench).await?;
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let figure = Figure::new(format!("first_token_direct_{name}"), direct.quantile_ms(share), "ms");
        let figure = figure.with("what", "the same legs without Tandem between");
        bench.report.add(figure.with("turns", direct.len()))?;
    }
    Ok(())
}

fn report_latency(bench: &mut Bench, load: &Load, rounds: &[Vec<Turn>]) -> anyhow::Result<()> {
    let whole: Vec<Turn> = rounds.iter().flatten().copied().collect();
    type Leg = (&'static str, fn(&Turn) -> Duration);
    let legs: [Leg; 5] = [
        ("first_token_added", Turn::added_first),
        ("leg_post_to_model", Turn::to_model),
        ("leg_model_to_reader", Turn::from_model),
        ("post_answered", |turn| turn.accepted - turn.posted),
        ("turn_added", Turn::added_whole),
    ];
    for (name, leg) in legs {
        for (quantile, share, budget) in [("p50", 0.5, 10.0), ("p99", 0.99, 30.0)] {
            let by_round: Vec<f64> = rounds
                .iter()
                .map(|turns| samples(turns, leg).quantile_ms(share))
                .map(tenths)
                .collect();
            let value = samples(&whole, leg).quantile_ms(share);
            let figure = Figure::new(format!("{name}_{quantile}"), value, "ms");
            let figure = if name == "first_token_added" {
                figure.at_most(budget)
            } else {
                figure
            };
            let figure = figure
                .with("at_once", load.at_once)
                .with("model", load.model)
                .with("turns", whole.len())
                .with("rounds", by_round);
            bench.report.add(figure)?;
        }
    }
    Ok(())
}

/// Turns per second with a model that takes no time: what the machine can do at all.
///
/// # Errors
/// When a turn fails.
pub async fn throughput(bench: &mut Bench) -> anyhow::Result<()> {
    bench.model.set_pace(Pace::INSTANT);
    run(bench, MANY, MANY).await?;
    for round in 1..=bench.options.rounds {
        tell(&format!("throughput, round {round}"));
        let measured = run(bench, MANY, bench.options.turns * 5).await?;
        let turns = measured.turns.len();
        let rate = turns as f64 / measured.elapsed.as_secs_f64();
        let per_turn = |time: Duration| time.as_secs_f64() * 1_000.0 / turns as f64;
        let figure = |name, value, unit| {
            Figure::new(name, value, unit)
                .with("at_once", MANY)
                .with("turns", turns)
                .with("round", round)
        };
        let figures = [
            figure("turns_per_second_all_cores", rate, "turns/s"),
            figure("cpu_per_turn", per_turn(measured.own), "ms"),
            figure("turns_per_core_second", 1_000.0 / per_turn(measured.own), "turns/s").at_least(300.0),
            figure("cpu_per_turn_database", per_turn(measured.database), "ms"),
            figure("cpu_per_turn_bench", per_turn(measured.bench), "ms"),
            figure(
                "first_token_saturated_p50",
                samples(&measured.turns, Turn::added_first).quantile_ms(0.5),
                "ms",
            ),
        ];
        for figure in figures {
            bench.report.add(figure)?;
        }
    }
    Ok(())
}

/// A batch of turns and what it cost.
pub struct Measured {
    pub turns: Vec<Turn>,
    pub elapsed: Duration,
    /// Processor time of the product without its database, of the database, and of this program.
    pub own: Duration,
    pub database: Duration,
    pub bench: Duration,
}

/// Runs at least `count` turns, `at_once` at a time. Making the chats is not measured.
///
/// # Errors
/// When a turn fails.
pub async fn run(bench: &mut Bench, at_once: usize, count: usize) -> anyhow::Result<Measured> {
    let mut measured = Measured {
        turns: Vec::with_capacity(count),
        elapsed: Duration::ZERO,
        own: Duration::ZERO,
        database: Duration::ZERO,
        bench: Duration::ZERO,
    };
    while measured.turns.len() < count {
        let chats = conversations(bench, at_once).await?;
        let process = bench.process()?;
        let own_process = std::process::id();
        let before = (Family::of(process)?, Family::of(own_process)?);
        let started = Instant::now();
        let model = &bench.model;
        let first = bench.marks;
        bench.marks += (at_once * TURNS_PER_CHAT) as u64;
        // People do not send in step.
        let spread = model.pace().total() / u32::try_from(at_once)?;
        let sending = (0_u32..).zip(chats).map(|(index, mut chat)| async move {
            let mut turns = Vec::with_capacity(TURNS_PER_CHAT);
            tokio::time::sleep(spread * index).await;
            for turn in 0..TURNS_PER_CHAT as u64 {
                let mark = Mark(first + u64::from(index) * TURNS_PER_CHAT as u64 + turn);
                turns.push(chat.turn(model, mark).await?);
            }
            anyhow::Ok(turns)
        });
        let done = futures::future::try_join_all(sending).await?;
        measured.elapsed += started.elapsed();
        let after = (Family::of(process)?, Family::of(own_process)?);
        measured.own += after.0.own_time().saturating_sub(before.0.own_time());
        measured.database += after.0.database_time().saturating_sub(before.0.database_time());
        measured.bench += after.1.own_time().saturating_sub(before.1.own_time());
        measured.turns.extend(done.into_iter().flatten());
    }
    Ok(measured)
}

/// New chats, each with one finished turn.
///
/// # Errors
/// When one cannot be made.
pub async fn conversations(bench: &mut Bench, count: usize) -> anyhow::Result<Vec<Conversation>> {
    let first = bench.marks;
    bench.marks += count as u64;
    let (user, model) = (bench.world.admin(), &bench.model);
    let creating = (0..count as u64).map(|index| Conversation::create(user, model, Mark(first + index)));
    futures::future::try_join_all(creating)
        .await
        .context("could not make chats")
}

/// The model asked by this program itself: what the legs cost when nothing stands between.
async fn direct(bench: &mut Bench) -> anyhow::Result<Samples> {
    let client = crate::http::client()?;
    let url = format!("{}/chat/completions", bench.model.base_url());
    let mut durations = Vec::with_capacity(bench.options.turns);
    for _ in 0..bench.options.turns {
        let mark = bench.mark();
        let posted = Instant::now();
        let mut answer = client.post(&url).body(mark.text()).send().await?;
        answer.chunk().await?.context("an answer has a beginning")?;
        let first = Instant::now();
        while answer.chunk().await?.is_some() {}
        let model = bench.model.take(mark)?;
        durations.push((model.asked - posted) + (first - model.answered));
    }
    Ok(Samples::new(durations))
}

fn samples(turns: &[Turn], leg: impl Fn(&Turn) -> Duration) -> Samples {
    Samples::new(turns.iter().map(leg).collect())
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
