//! What it costs to come back to a chat with a cursor, and what a chat's length has to do with it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{
    Bench,
    conversation::{Conversation, open, open_behind},
    database::sql,
    figures::{Figure, Samples, tell},
    model::Pace,
    turns,
};
use crate::world::User;

/// Messages of the long chat.
const MESSAGES: u32 = 10_000;
/// How often each chat is opened.
const VISITS: usize = 50;
/// The longest one visit may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Opens a short and a long chat with the cursor of an event of its last turn, and without one, alternating.
///
/// # Errors
/// When a turn fails or a stream does not open.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    tell(&format!("coming back to a chat of {MESSAGES} messages"));
    bench.model.set_pace(Pace::INSTANT);
    let mut chats = turns::conversations(bench, 2).await?;
    let (Some(mut long), Some(mut short)) = (chats.pop(), chats.pop()) else {
        return Ok(());
    };
    // Written at once, because nobody waits for five thousand turns, and not shown to the model, which would have it summarised.
    // The turn after it is a real one.
    let statement = format!(
        "INSERT INTO chat_messages (chat_id, created_by, model_config_id, role, visibility, content, content_version)
         SELECT m.chat_id, m.created_by, m.model_config_id, m.role, 'user', m.content, m.content_version
         FROM (SELECT * FROM chat_messages WHERE chat_id = '{}' AND role IN ('user', 'assistant') ORDER BY id LIMIT 2) AS m,
              generate_series(1, {}) AS n ORDER BY n, m.id",
        long.id(),
        MESSAGES / 2
    );
    sql(bench.world.data(), &statement).await?;
    let mut visits = Vec::new();
    for (chat, length) in [(&mut short, "short"), (&mut long, "10,000 messages")] {
        visits.push((Place::of(bench, chat).await?, length, Vec::new(), Vec::new()));
    }
    let user = bench.world.admin().clone();
    for _ in 0..VISITS {
        for (place, _, with_cursor, without) in &mut visits {
            with_cursor.push(place.visit(&user, Some(&place.cursor)).await?);
            without.push(place.visit(&user, None).await?);
        }
    }
    for (_, length, with_cursor, without) in visits {
        for (visits, how) in [(with_cursor, "cursor"), (without, "snapshot")] {
            let times = Samples::new(visits.iter().map(|visit| visit.time).collect());
            let bytes = visits.iter().map(|visit| visit.bytes).max().unwrap_or(0);
            let figure = |name: &str, value, unit| {
                Figure::new(name, value, unit)
                    .with("chat", length)
                    .with("with", how)
                    .with("visits", VISITS)
            };
            bench.report.add(figure("resume_p50", times.quantile_ms(0.5), "ms"))?;
            bench.report.add(figure("resume_p99", times.quantile_ms(0.99), "ms"))?;
            bench.report.add(figure("resume_bytes", bytes as f64 / 1024.0, "KiB"))?;
        }
    }
    Ok(())
}

/// A chat and where a reader left it.
struct Place {
    chat_id: String,
    /// Of the last turn's own message: its answer is still to come.
    cursor: String,
    /// The last message.
    last: i64,
}

/// One opening of a stream, until the last message was there.
struct Visit {
    time: Duration,
    bytes: usize,
}

impl Place {
    /// Follows a turn from the side and remembers where its question stood.
    async fn of(bench: &mut Bench, chat: &mut Conversation) -> anyhow::Result<Self> {
        let mut socket = open(bench.world.admin(), chat.id()).await?;
        let mark = bench.mark();
        chat.turn(&bench.model, mark).await?;
        let reading = async {
            let mut cursor = None;
            while let Some(frame) = socket.next().await {
                let Message::Text(text) = frame? else { continue };
                let events: Vec<Value> = serde_json::from_str(&text)?;
                for event in events.iter().filter(|event| event["type"] == "message") {
                    let message = &event["message"];
                    match (message["role"].as_str(), &cursor) {
                        (Some("user"), _) if message["content"][0]["text"] == mark.text() => {
                            let found = event["cursor"].as_str().context("every event has a cursor")?;
                            cursor = Some(found.to_owned());
                        }
                        (Some("assistant"), Some(cursor)) => {
                            let last = message["id"].as_i64().context("a message has an id")?;
                            return Ok((cursor.clone(), last));
                        }
                        _ => {}
                    }
                }
            }
            bail!("the stream ended before the last message")
        };
        let (cursor, last) = timeout(LIMIT, reading).await.context("no end of the turn")??;
        Ok(Self {
            chat_id: chat.id().to_owned(),
            cursor,
            last,
        })
    }

    async fn visit(&self, user: &User, cursor: Option<&str>) -> anyhow::Result<Visit> {
        let wanted = format!("\"id\":{}", self.last);
        let started = Instant::now();
        let mut socket = open_behind(user, &self.chat_id, cursor).await?;
        let mut bytes = 0;
        let reading = async {
            while let Some(frame) = socket.next().await {
                let Message::Text(text) = frame? else { continue };
                bytes += text.len();
                if text.contains(&wanted) {
                    return Ok(());
                }
            }
            bail!("the stream ended before the last message")
        };
        timeout(LIMIT, reading)
            .await
            .context("the last message did not come")??;
        Ok(Visit {
            time: started.elapsed(),
            bytes,
        })
    }
}
