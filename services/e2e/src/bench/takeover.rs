//! How long readers wait when an orchestrator is killed in the middle of their answers, and what it costs.
//!
//! Two orchestrators share the chats; one is killed with SIGKILL. Readers stay connected to the other one's gateway, so what they
//! see is the takeover alone: the lease runs out, somebody claims the chat, and reads on in the completion that never stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Bench,
    conversation::open,
    figures::{Figure, Samples, tell},
    model::{ClockedModel, Mark, Pace},
};
use crate::world::{Service, World, text};

/// Chats that are answered when the orchestrator dies.
const CHATS: u64 = 60;
/// Long enough for leases to run out and chats to be taken over, with room to spare.
const PACE: Pace = Pace {
    first: Duration::from_millis(50),
    between: Duration::from_millis(50),
    tokens: 600,
};
/// After the last chat began, until the kill.
const SETTLE: Duration = Duration::from_secs(2);
/// The longest a reader may wait for the end of its answer.
const LIMIT: Duration = Duration::from_secs(120);
/// A silence above this was a takeover; the model speaks twenty times a second.
const SILENCE: Duration = Duration::from_secs(1);
/// Budget for the silence, as the 99th percentile.
const BUDGET_MS: f64 = 15_000.0;

/// Kills an orchestrator `rounds` times and reports the silence its readers saw, words lost and doubled, and calls paid twice.
///
/// # Errors
/// When an answer does not come to its end.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let (mut world, model) = bench.another_world(World::builder().replicas(2)).await?;
    model.set_pace(PACE);
    let (mut silences, mut wrong, mut asked) = (Vec::new(), 0, 0);
    let rounds = bench.options.rounds as u64;
    for round in 0..rounds {
        tell(&format!("takeover, round {}", round + 1));
        let seen = one_kill(&mut world, &model, round * CHATS).await?;
        wrong += seen.iter().filter(|seen| !seen.is_whole).count();
        silences.extend(
            seen.into_iter()
                .map(|seen| seen.silence)
                .filter(|silence| *silence >= SILENCE),
        );
        world.restart().await?;
        asked = model.asked();
    }
    ensure!(!silences.is_empty(), "the killed orchestrator owned no chat");
    let chats = rounds * CHATS;
    let samples = Samples::new(silences);
    let figure = |name, value, unit| {
        Figure::new(name, value, unit)
            .with("chats", chats)
            .with("kills", rounds)
    };
    let figures = [
        figure("takeover_silence_p50", samples.quantile_ms(0.5), "ms"),
        figure("takeover_silence_p99", samples.quantile_ms(0.99), "ms").at_most(BUDGET_MS),
        figure("chats_taken_over", samples.len() as f64, "chats"),
        figure("answers_with_words_lost_or_doubled", wrong as f64, "answers").at_most(0.0),
        figure("model_calls_paid_twice", asked as f64 - chats as f64, "calls").at_most(0.0),
    ];
    figures.into_iter().try_for_each(|figure| bench.report.add(figure))
}

/// What one reader saw of its answer.
struct Seen {
    /// The longest pause between two parts.
    silence: Duration,
    /// Every word once and in order, live and stored alike.
    is_whole: bool,
}

async fn one_kill(world: &mut World, model: &ClockedModel, first: u64) -> anyhow::Result<Vec<Seen>> {
    let (here, there) = (world.admin_at(0), world.admin_at(1));
    let mut readers = JoinSet::new();
    let is_killed = Arc::new(AtomicBool::new(false));
    for mark in (first..first + CHATS).map(Mark) {
        let body = json!({ "organization_id": here.organization_id, "content": text(&mark.text()) });
        let sender = if mark.0.is_multiple_of(2) { &here } else { &there };
        let chat = sender.rest.post("/api/v1/chats", &body).await?.expect(201)?;
        let id = chat["id"].as_str().context("a chat has an id")?;
        let mut socket = open(&there, id).await?;
        let is_killed = Arc::clone(&is_killed);
        readers.spawn(async move {
            let mut reading = Reading::default();
            let following = async {
                while let Some(message) = socket.next().await {
                    if let Message::Text(text) = message?
                        && reading.apply(&serde_json::from_str(&text)?, is_killed.load(Ordering::Relaxed))
                    {
                        return Ok(reading.seen());
                    }
                }
                anyhow::bail!("a stream ended before its answer")
            };
            timeout(LIMIT, following).await.context("an answer does not end")?
        });
    }
    tokio::time::sleep(SETTLE).await;
    is_killed.store(true, Ordering::Relaxed);
    world.kill9_replica(Service::Orchestrator, 0).await?;
    let mut seen = Vec::new();
    while let Some(reader) = readers.join_next().await {
        seen.push(reader??);
    }
    // The instants of these calls are nobody's figure.
    (first..first + CHATS).try_for_each(|mark| model.take(Mark(mark)).map(drop))?;
    Ok(seen)
}

/// An answer as it arrives.
#[derive(Default)]
struct Reading {
    live: String,
    stored: Option<String>,
    last: Option<Instant>,
    silence: Duration,
}

impl Reading {
    /// Takes a frame in; whether it was the last one.
    fn apply(&mut self, frame: &Value, is_killed: bool) -> bool {
        let mut is_over = false;
        for event in frame.as_array().into_iter().flatten() {
            match event["type"].as_str().unwrap_or_default() {
                "message_part" => {
                    let now = Instant::now();
                    if let Some(last) = self.last.replace(now).filter(|_| is_killed) {
                        self.silence = self.silence.max(now - last);
                    }
                    self.live += event["message_part"]["part"]["text"].as_str().unwrap_or_default();
                }
                "preview_reset" => self.live.clear(),
                "message" if event["message"]["role"] == "assistant" => {
                    let parts = event["message"]["content"].as_array().into_iter().flatten();
                    self.stored = Some(parts.filter_map(|part| part["text"].as_str()).collect());
                }
                "status" => is_over = event["status"]["status"] == "waiting" && self.stored.is_some(),
                _ => {}
            }
        }
        is_over
    }

    fn seen(&self) -> Seen {
        let expected: String = (0..PACE.tokens).map(|word| format!("word{word} ")).collect();
        Seen {
            silence: self.silence,
            is_whole: self.live == expected && self.stored.as_deref() == Some(expected.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_live_and_stored_text_are_every_word_once() {
        let words: String = (0..PACE.tokens).map(|word| format!("word{word} ")).collect();
        let part = |text: &str| json!({ "type": "message_part", "message_part": { "part": { "type": "text", "text": text } } });
        let stored = json!({ "type": "message", "message": { "role": "assistant", "content": [{ "type": "text", "text": words }] } });
        let waiting = json!({ "type": "status", "status": { "status": "waiting" } });
        let read = |first: &str| {
            let mut reading = Reading::default();
            assert!(!reading.apply(&json!([waiting, part(first), part(&words)]), true));
            assert!(reading.apply(&json!([stored, waiting]), true));
            reading.seen().is_whole
        };
        assert!(read(""));
        assert!(!read("word0 "), "a doubled word was not seen");
    }
}
