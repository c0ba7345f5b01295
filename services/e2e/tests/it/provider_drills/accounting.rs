//! D42: what the ledger says is what the vendor bills, however a call ends.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, future::try_join_all};
use reqwest::Method;
use serde_json::json;
use tandem_e2e::{
    fake_llm::{Outcome, Reply, Script, Usage},
    world::{Transcript, World, free_address, id_of},
};

use super::{INTERVAL, crowded, price};
use crate::{LIMIT, Result, drills::rounds, settled, tell};

/// Prices in thousandths of a millionth of a dollar for a token: input, what comes from a cache, output.
const PRICES: [i64; 3] = [150, 75, 600];
/// Chats at once.
const AT_ONCE: usize = 20;
/// What a vendor counts as a token in these drills, which is also what estimates are made by.
const TOKEN: &str = "word";
/// How far an estimate may be from the truth, in parts of it; and in tokens, for one that was on its way.
const TOLERANCE: f64 = 0.05;
const ON_ITS_WAY: i64 = 1;
/// Positions in the long form.
const POSITIONS: usize = 200;

/// One line of the ledger.
#[derive(Debug)]
struct Line {
    output: i64,
    micros: i64,
    is_estimated: bool,
}

/// The lines of a chat, or of what was called outside chats, in order; waits until there are so many.
async fn ledger(world: &World, chat: Option<&str>, count: usize) -> Result<Vec<Line>> {
    let whose = chat.map_or_else(|| "chat_id IS NULL".to_owned(), |id| format!("chat_id = '{id}'"));
    let statement = format!(
        "SELECT output_tokens, coalesce(cost_micros, -1), is_estimated FROM usage_records WHERE {whose} ORDER BY started_at, ended_at"
    );
    let started = Instant::now();
    loop {
        let rows = world.sql(&statement).await?;
        let lines: Vec<Line> = rows.lines().map(line).collect::<Result<_>>()?;
        if lines.len() >= count {
            return Ok(lines);
        }
        ensure!(started.elapsed() < LIMIT, "{} of {count} lines: {lines:?}", lines.len());
        tokio::time::sleep(INTERVAL).await;
    }
}

fn line(row: &str) -> Result<Line> {
    let mut fields = row.split('|');
    let mut next = || fields.next().with_context(|| format!("{row:?} is cut short"));
    Ok(Line {
        output: next()?.parse()?,
        micros: next()?.parse()?,
        is_estimated: next()? == "t",
    })
}

/// Whether an estimate is near enough.
fn is_near(estimate: i64, truth: i64) -> bool {
    let off = (estimate - truth).abs();
    off <= ON_ITS_WAY || off as f64 <= truth as f64 * TOLERANCE
}

async fn world(environment: &[(&str, String)]) -> Result<World> {
    let mut builder = crowded()
        .database()
        .env("TANDEM_PROVIDER_GATEWAY__SPEND__GATHER", "100ms");
    for (name, value) in environment {
        builder = builder.env(*name, value);
    }
    builder.start().await
}

/// D42: complete calls, with parts of the prompt from a cache and thoughts in the answer, cost what the vendor's own bill says.
#[tokio::test]
async fn d42_complete_calls_cost_what_the_vendor_bills_to_the_millionth() -> Result {
    let world = world(&[]).await?;
    let dollars = |thousandths: i64| format!("0.{thousandths:03}");
    let [input, cached, output] = PRICES.map(dollars);
    let cost = json!({
        "input_price_per_million_tokens": input, "cache_read_price_per_million_tokens": cached,
        "output_price_per_million_tokens": output,
    });
    price(&world, cost, 100_000).await?;
    let calls = i64::try_from(20 * rounds().min(10))?;
    let usages: Vec<Usage> = (0..calls)
        .map(|n| {
            let (prompt_tokens, completion_tokens) = (10 + 37 * n, 1 + 11 * n);
            let (cached_tokens, reasoning_tokens) = (prompt_tokens / 3 * (n % 3), completion_tokens / 2);
            Usage {
                prompt_tokens,
                completion_tokens,
                cached_tokens,
                reasoning_tokens,
            }
        })
        .collect();
    for (number, batch) in usages.chunks(AT_ONCE).enumerate() {
        let turns = batch.iter().enumerate().map(|(place, usage)| {
            let world = &world;
            async move {
                let message = format!("Bill {}.", number * AT_ONCE + place);
                let reply = Reply::new().reasoning("Hm.").and_text("Fine.").usage_detailed(*usage);
                world.fake().script(Script::reply(reply).when_user_says(&message));
                let chat = world.create_chat(&message).await?;
                let id = id_of(&chat)?;
                settled(world, id).await?;
                let lines = ledger(world, Some(id), 1).await?;
                let fresh = usage.prompt_tokens - usage.cached_tokens;
                let bill = fresh * PRICES[0] + usage.cached_tokens * PRICES[1] + usage.completion_tokens * PRICES[2];
                assert_eq!(
                    (lines.len(), lines[0].micros, lines[0].output, lines[0].is_estimated),
                    (1, (bill + 999) / 1000, usage.completion_tokens, false),
                    "{usage:?}"
                );
                anyhow::Ok(lines[0].micros)
            }
        });
        try_join_all(turns).await?;
    }
    tell(&format!(
        "D42 {calls} complete calls: ledger and bill are the same to the millionth of a dollar"
    ));
    Ok(())
}

/// D42: a call that ends too early, because the vendor breaks off, the user stops or the caller leaves, is in the ledger by an estimate that
/// says so; the call made in its place is there too, and exact.
#[tokio::test]
async fn d42_calls_cut_anywhere_are_in_the_ledger_by_an_estimate_that_says_so() -> Result {
    let address = free_address()?;
    let listen = ("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"));
    let world = world(&[listen]).await?;
    price(&world, json!({ "output_price_per_million_tokens": "1000" }), 100_000).await?;
    let positions = if rounds() > 1 { POSITIONS } else { AT_ONCE };
    let all: Vec<usize> = (0..positions).collect();
    let mut worst: i64 = 0;
    for batch in all.chunks(AT_ONCE) {
        let turns = batch.iter().map(|place| {
            let world = &world;
            async move {
                // Each manner at each of its places.
                match place % 2 {
                    0 => vendor_breaks_off(world, *place).await,
                    _ => user_stops(world, *place).await,
                }
            }
        });
        worst = worst.max(try_join_all(turns).await?.into_iter().max().unwrap_or(0));
    }
    for place in 0..positions / 10 {
        worst = worst.max(caller_leaves(&world, &address, place).await?);
    }
    let left = positions / 10;
    tell(&format!(
        "D42 {positions} calls cut by the vendor or stopped, and {left} whose caller left: all in the ledger, estimates off by {worst} tokens at most"
    ));
    Ok(())
}

/// How far the estimate was off, in tokens.
async fn vendor_breaks_off(world: &World, place: usize) -> Result<i64> {
    let tokens = 50 + place;
    let message = format!("Cut {place}.");
    let whole = || Reply::text_in(TOKEN.repeat(tokens), tokens);
    // Behind the first pieces and before the last, all over the stream.
    let at = 2_000 + place * 37 % 6_000;
    let replies = [whole().cut_at_byte(at), whole().usage(10, i64::try_from(tokens)?)];
    world.fake().script(Script::turn(replies).when_user_says(&message));
    let chat = world.create_chat(&message).await?;
    let id = id_of(&chat)?;
    settled(world, id).await?;
    let requests = world.fake().completions();
    let cut = requests
        .iter()
        .find(|request| request.conversation == message && request.outcome == Outcome::Cut);
    let sent = i64::try_from(cut.with_context(|| format!("{message} was not cut"))?.tokens_sent)?;
    let lines = ledger(world, Some(id), 2).await?;
    let [first, second] = &lines[..] else {
        anyhow::bail!("{message} {lines:?}");
    };
    assert!(
        first.is_estimated && is_near(first.output, sent),
        "{message} {sent} tokens were sent: {first:?}"
    );
    assert_eq!(first.micros, first.output * 1000, "{message}");
    let told = i64::try_from(tokens)?;
    assert_eq!(
        (second.is_estimated, second.output, second.micros),
        (false, told, told * 1000),
        "{message}"
    );
    Ok((first.output - sent).abs())
}

async fn user_stops(world: &World, place: usize) -> Result<i64> {
    let (tokens, message) = (1 + place, format!("Stop {place}."));
    let said = TOKEN.repeat(tokens);
    let reply = Reply::text_in(&said, tokens).gate("never").and_text("And more.");
    world.fake().script(Script::reply(reply).when_user_says(&message));
    let chat = world.create_chat(&message).await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    stream
        .wait_until(LIMIT, |events| Transcript::of(events).live_text == said)
        .await?;
    world.interrupt(id).await?;
    let lines = ledger(world, Some(id), 1).await?;
    let sent = i64::try_from(tokens)?;
    assert!(
        lines.len() == 1 && lines[0].is_estimated && is_near(lines[0].output, sent),
        "{message} {sent} tokens were sent: {lines:?}"
    );
    assert_eq!(lines[0].micros, lines[0].output * 1000, "{message}");
    Ok((lines[0].output - sent).abs())
}

async fn caller_leaves(world: &World, address: &str, place: usize) -> Result<i64> {
    let (tokens, message) = (10 + 7 * place, format!("Leave {place}."));
    let gate = format!("left-{place}");
    let reply = Reply::text_in(TOKEN.repeat(tokens), tokens)
        .gate(&gate)
        .and_text("And more.");
    world.fake().script(Script::reply(reply).when_user_says(&message));
    let bridge = world.rest().at(format!("http://{address}"));
    let body = json!({ "model": "fake-model", "stream": true, "messages": [{ "role": "user", "content": message }] });
    let response = bridge
        .request(Method::POST, "/openai/v1/chat/completions")
        .json(&body)
        .send()
        .await?;
    assert_eq!(response.status(), 200);
    let (mut stream, mut heard) = (response.bytes_stream(), String::new());
    while heard.matches(TOKEN).count() < tokens {
        let piece = tokio::time::timeout(LIMIT, stream.next())
            .await?
            .context("the stream ended")??;
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
    drop(stream);
    let lines = ledger(world, None, place + 1).await?;
    world.fake().open(&gate);
    let (last, sent) = (lines.last().context("a line")?, i64::try_from(tokens)?);
    assert_eq!(lines.len(), place + 1, "{message}");
    assert!(
        last.is_estimated && is_near(last.output, sent),
        "{message} {sent} tokens were sent: {last:?}"
    );
    Ok((last.output - sent).abs())
}

/// The vendor tells what it bills at the end; whoever does not hear the end is told nothing, and waits no longer than the ledger gathers.
#[tokio::test]
async fn d42_a_call_the_vendor_refused_costs_nothing() -> Result {
    let world = world(&[]).await?;
    price(&world, json!({ "output_price_per_million_tokens": "1000" }), 100).await?;
    world.fake().script(Script::turn([
        Reply::fail(503, "overloaded").header("retry-after", "0"),
        Reply::text("Fine.").usage(1, 2),
    ]));
    let chat = world.create_chat("Refused first.").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let lines = ledger(&world, Some(id), 1).await?;
    // What came later would be there by now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ledger(&world, Some(id), 1).await?.len(), 1);
    assert_eq!((lines[0].micros, lines[0].is_estimated), (2_000, false));
    Ok(())
}

/// D42: an answer that comes whole is billed like one that streams, however its JSON is laid out and whether or not its length is announced.
#[tokio::test]
async fn d42_answers_to_programs_that_come_whole_are_billed_too() -> Result {
    let address = free_address()?;
    let world = world(&[("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))]).await?;
    price(&world, json!({ "output_price_per_million_tokens": "1000" }), 100).await?;
    let bridge = world.rest().at(format!("http://{address}"));
    for (place, words) in ["Fine.".to_owned(), "word ".repeat(40_000)].into_iter().enumerate() {
        let reply = Reply::text_in(words, 1).usage(10, 100);
        world.fake().script(Script::reply(reply));
        let body = json!({ "model": "fake-model", "messages": [{ "role": "user", "content": "Hi" }] });
        bridge.post("/openai/v1/chat/completions", &body).await?.expect(200)?;
        let lines = ledger(&world, None, place + 1).await?;
        let last = lines.last().context("a line")?;
        assert_eq!((last.micros, last.output, last.is_estimated), (100_000, 100, false));
    }
    Ok(())
}
