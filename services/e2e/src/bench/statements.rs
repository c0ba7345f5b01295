//! How many statements the database runs for one turn, and which.

use std::{cmp::Reverse, fmt::Write as _, time::Instant};

use super::{
    Bench,
    conversation::Conversation,
    database::{StatementLog, Statements, Tally, is_bracket},
    figures::{Figure, tell},
    model::Pace,
    turns,
};

/// Turns counted, one at a time.
const COUNTED: u64 = 25;
/// Turns between the two counts, so that the second has a long history behind it.
const BETWEEN: u64 = 100;
/// How long the system is watched while nothing happens.
const IDLE: std::time::Duration = std::time::Duration::from_secs(12);
/// What one turn of one step may cost.
const BUDGET: f64 = 12.0;

/// Counts statements of a turn with a short and with a long history, less those that run anyway, and those of a turn among many.
///
/// # Errors
/// When a turn fails or the database does not log.
pub async fn count(bench: &mut Bench) -> anyhow::Result<()> {
    tell("statements of a turn");
    bench.model.set_pace(Pace::FAST_VENDOR);
    turns::run(bench, turns::MANY, turns::MANY).await?;
    let mut chats = turns::conversations(bench, 1).await?;
    let Some(chat) = chats.first_mut() else {
        return Ok(());
    };
    for _ in 0..turns::MANY {
        let mark = bench.mark();
        chat.turn(&bench.model, mark).await?;
    }
    let mut log = StatementLog::start(bench.world.data()).await?;
    let background = idle(&mut log, chat).await?;
    for (history, skipped) in [("short", 0), ("long", BETWEEN)] {
        for _ in 0..skipped {
            let mark = bench.mark();
            chat.turn(&bench.model, mark).await?;
        }
        log.read()?;
        let counted = one_by_one(bench, chat, &mut log, &background).await?;
        report(bench, &counted, history, 1)?;
        if skipped == 0 {
            tell(&format!(
                "one turn with one reader, statements with their share per turn:\n{}",
                list(&counted)
            ));
        }
    }
    log.read()?;
    let many = turns::run(bench, turns::MANY, bench.options.turns).await?;
    // Making the chats is in there too: their creation and first turn count as turns like the others.
    let count = many.turns.len() + many.turns.len() / turns::TURNS_PER_CHAT;
    let seen = per_turn(&log.read()?, count as f64);
    report(bench, &seen, "short, chats made on the way", turns::MANY)?;
    log.stop().await
}

/// Statements with how often, and how many milliseconds, they take for one turn or second.
type Rates = Vec<(String, f64, f64)>;

async fn idle(log: &mut StatementLog, chat: &mut Conversation) -> anyhow::Result<Rates> {
    log.read()?;
    chat.rest(IDLE).await?;
    Ok(per_turn(&log.read()?, IDLE.as_secs_f64()))
}

async fn one_by_one(
    bench: &mut Bench,
    chat: &mut Conversation,
    log: &mut StatementLog,
    background: &Rates,
) -> anyhow::Result<Rates> {
    let started = Instant::now();
    for _ in 0..COUNTED {
        let mark = bench.mark();
        chat.turn(&bench.model, mark).await?;
    }
    let elapsed = started.elapsed().as_secs_f64();
    // What follows a turn, such as telling other processes, belongs to it.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let mut rates = per_turn(&log.read()?, COUNTED as f64);
    for (statement, count, time) in &mut rates {
        if let Some((_, per_second, time_per_second)) = background.iter().find(|(known, ..)| known == statement) {
            let share = elapsed / COUNTED as f64;
            *count = (*count - per_second * share).max(0.0);
            *time = (*time - time_per_second * share).max(0.0);
        }
    }
    Ok(rates)
}

fn per_turn(statements: &Statements, turns: f64) -> Rates {
    let rate = |(statement, tally): (&String, &Tally)| {
        let milliseconds = tally.time.as_secs_f64() * 1_000.0;
        (statement.clone(), tally.count as f64 / turns, milliseconds / turns)
    };
    let mut rates: Rates = statements.iter().map(rate).collect();
    rates.sort_by_key(|(statement, count, _)| (Reverse((count * 100.0) as u64), statement.clone()));
    rates
}

fn report(bench: &mut Bench, rates: &Rates, history: &str, at_once: usize) -> anyhow::Result<()> {
    let sum = |is_counted: fn(&str) -> bool| -> f64 {
        let counted = rates.iter().filter(|(statement, ..)| is_counted(statement));
        counted.map(|(_, count, _)| count).sum()
    };
    let time: f64 = rates.iter().map(|(_, _, time)| time).sum();
    let figures = [
        Figure::new(
            "statements_per_turn",
            sum(|statement| !is_bracket(statement)),
            "statements",
        )
        .at_most(BUDGET),
        Figure::new("transaction_brackets_per_turn", sum(is_bracket), "statements"),
        Figure::new("database_time_per_turn", time, "ms"),
    ];
    for figure in figures {
        bench
            .report
            .add(figure.with("history", history).with("at_once", at_once))?;
    }
    Ok(())
}

fn list(rates: &Rates) -> String {
    let mut text = String::new();
    for (statement, count, time) in rates.iter().filter(|(_, count, _)| *count >= 0.01) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {count:6.2}  {time:7.3} ms  {statement}");
    }
    text
}
