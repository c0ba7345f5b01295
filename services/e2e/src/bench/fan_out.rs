//! One answer to many readers: how many words reach them, and how far behind the model the last of them is.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, future::try_join_all};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{
    Bench,
    conversation::{Socket, open},
    figures::{Figure, Samples, tell},
    model::Pace,
    process::Family,
};
use crate::world::text;

/// Readers of the one chat, in this order.
const READERS: [usize; 2] = [1, 1_000];
/// An answer of five seconds, spoken as fast as vendors do at best.
const PACE: Pace = Pace {
    first: Duration::from_millis(50),
    between: Duration::from_millis(5),
    tokens: 1_000,
};
/// Readers that connect at once.
const AT_ONCE: usize = 50;
/// The longest a reader may take for the whole answer.
const LIMIT: Duration = Duration::from_secs(120);

/// Lets few and many readers follow one answer.
///
/// # Errors
/// When a reader misses a word.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    for count in READERS {
        tell(&format!("one answer to {count} readers"));
        bench.model.set_pace(Pace::INSTANT);
        let chat = super::turns::conversations(bench, 1)
            .await?
            .pop()
            .context("a chat was made")?;
        let user = bench.world.admin().clone();
        let mut sockets = Vec::with_capacity(count);
        while sockets.len() < count {
            let some = AT_ONCE.min(count - sockets.len());
            sockets.extend(try_join_all((0..some).map(|_| open(&user, chat.id()))).await?);
        }
        bench.model.set_pace(PACE);
        let mark = bench.mark();
        let process = bench.process()?;
        let before = Family::of(process)?.own_time();
        let reading: Vec<_> = sockets
            .into_iter()
            .map(|socket| tokio::spawn(follow(socket, mark.text())))
            .collect();
        let path = format!("/api/v1/chats/{}/messages", chat.id());
        user.rest
            .post(&path, &json!({ "content": text(&mark.text()) }))
            .await?
            .expect(200)?;
        let mut ends = Vec::with_capacity(count);
        for reader in reading {
            ends.push(reader.await??);
        }
        let used = Family::of(process)?.own_time().saturating_sub(before);
        let model = bench.model.take(mark)?;
        let words = (count * PACE.tokens) as f64;
        let elapsed = ends.iter().max().map_or(Duration::ZERO, |last| *last - model.answered);
        let lags = Samples::new(
            ends.iter()
                .map(|end| end.saturating_duration_since(model.finished))
                .collect(),
        );
        let figure = |name, value, unit| {
            Figure::new(name, value, unit)
                .with("readers", count)
                .with("words", PACE.tokens)
        };
        let figures = [
            figure("fan_out_rate", words / elapsed.as_secs_f64(), "words/s"),
            figure("fan_out_lag_p50", lags.quantile_ms(0.5), "ms"),
            figure("fan_out_lag_p99", lags.quantile_ms(0.99), "ms"),
            figure("fan_out_cpu_per_thousand_words", used.as_secs_f64() * 1e6 / words, "ms"),
        ];
        figures.into_iter().try_for_each(|figure| bench.report.add(figure))?;
    }
    Ok(())
}

/// Reads the answer to a marked message; when its last live word was there. Text is searched, not parsed: a thousand readers share
/// the machine with what they measure.
async fn follow(mut socket: Socket, mark: String) -> anyhow::Result<Instant> {
    const PART: &str = "\"type\":\"message_part\"";
    const WORD: &str = "word";
    let mut words = 0;
    let mut is_asked = false;
    let reading = async {
        while let Some(frame) = socket.next().await {
            let Message::Text(text) = frame? else { continue };
            is_asked = is_asked || text.contains(&mark);
            if is_asked && text.contains(PART) {
                words += text
                    .split("\"type\":\"message\"")
                    .next()
                    .map_or(0, |live| live.matches(WORD).count());
            }
            if words >= PACE.tokens {
                return Ok(Instant::now());
            }
            if is_asked && text.contains("\"role\":\"assistant\",\"content\"") && words > 0 {
                bail!("a reader was shown the message before its last word: {words} words");
            }
        }
        bail!("a reader's stream ended after {words} words")
    };
    timeout(LIMIT, reading).await.context("an answer does not end")?
}
