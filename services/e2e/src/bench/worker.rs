//! A chat whose model works with tools, read by its user: when each call was stored, and when its result was there.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{
    conversation::{Socket, begin, read_turn},
    model::{ClockedModel, Mark},
};
use crate::world::{User, text};

/// The longest a first turn may take, which has no calls.
const FIRST_LIMIT: Duration = Duration::from_secs(60);

/// One call as its reader saw it.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The message that makes it was there: it is stored, and begins.
    pub stored: Instant,
    /// Its result was there, live or stored.
    pub answered: Instant,
}

impl Call {
    /// From the stored call to the shown result.
    pub fn duration(&self) -> Duration {
        self.answered.saturating_duration_since(self.stored)
    }
}

/// A chat with its reader.
pub struct Worker {
    user: User,
    chat_id: String,
    socket: Socket,
}

impl Worker {
    /// Creates a chat and follows its first turn, in which no tool is called.
    ///
    /// # Errors
    /// When the chat is not created or its first turn does not end well.
    pub async fn create(user: &User, model: &ClockedModel, mark: Mark) -> anyhow::Result<Self> {
        let (chat_id, socket) = begin(user, mark).await?;
        let mut worker = Self {
            user: user.clone(),
            chat_id,
            socket,
        };
        worker.follow(FIRST_LIMIT).await?;
        model.take(mark)?;
        Ok(worker)
    }

    /// Sends a message and follows its turn to the end; its calls by their ids.
    ///
    /// # Errors
    /// When the message is refused, or the turn fails, takes too long or shows a result twice.
    pub async fn turn(&mut self, mark: Mark, limit: Duration) -> anyhow::Result<HashMap<String, Call>> {
        let path = format!("/api/v1/chats/{}/messages", self.chat_id);
        let body = json!({ "content": text(&mark.text()) });
        let rest = self.user.rest.clone();
        let post = async { rest.post(&path, &body).await?.expect(200) };
        let (_, seen) = tokio::try_join!(post, self.follow(limit))?;
        seen.calls()
    }

    /// The chat's id.
    pub fn id(&self) -> &str {
        &self.chat_id
    }

    async fn follow(&mut self, limit: Duration) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let take = |frame: &Value, now| Ok(seen.apply(frame, now)?.then_some(()));
        read_turn(&mut self.socket, &self.chat_id, limit, take).await?;
        Ok(seen)
    }
}

/// A turn being followed.
#[derive(Default)]
struct Seen {
    stored: HashMap<String, Instant>,
    answered: HashMap<String, Instant>,
    /// Stored results by the calls they are of.
    results: HashMap<String, usize>,
    is_answered: bool,
}

impl Seen {
    /// Takes a frame in; whether it was the last one of the turn.
    fn apply(&mut self, frame: &Value, now: Instant) -> anyhow::Result<bool> {
        let mut is_waiting = None;
        for event in frame.as_array().context("a frame is an array of events")? {
            match event["type"].as_str().unwrap_or_default() {
                "message_part" => self.part(&event["message_part"]["part"], false, now),
                "message" => {
                    let message = &event["message"];
                    let parts = message["content"].as_array().map_or(&[][..], Vec::as_slice);
                    parts.iter().for_each(|part| self.part(part, true, now));
                    let calls = parts.iter().any(|part| part["type"] == "tool-call");
                    self.is_answered = message["role"] == "assistant" && !calls;
                }
                "status" => is_waiting = Some(event["status"]["status"] == "waiting"),
                "error" => bail!("a turn failed: {event}"),
                _ => {}
            }
        }
        Ok(is_waiting == Some(true) && self.is_answered)
    }

    fn part(&mut self, part: &Value, is_stored: bool, now: Instant) {
        let Some(id) = part["tool_call_id"].as_str() else {
            return;
        };
        match part["type"].as_str().unwrap_or_default() {
            "tool-call" if is_stored => _ = self.stored.entry(id.to_owned()).or_insert(now),
            // Output that comes before the result is none.
            "tool-result" if is_stored || !part["result"].is_null() => {
                self.answered.entry(id.to_owned()).or_insert(now);
                *self.results.entry(id.to_owned()).or_default() += usize::from(is_stored);
            }
            _ => {}
        }
    }

    fn calls(self) -> anyhow::Result<HashMap<String, Call>> {
        for (id, count) in &self.results {
            ensure!(*count == 1, "the result of {id} is stored {count} times");
        }
        let call = |(id, stored): (String, Instant)| {
            let answered = self.answered.get(&id).copied();
            let answered = answered.with_context(|| format!("{id} has no result"))?;
            Ok((id, Call { stored, answered }))
        };
        self.stored.into_iter().map(call).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Value> {
        vec![
            json!([{ "type": "message", "message": { "role": "user", "content": [] } }]),
            json!([{ "type": "message_part", "message_part": { "part": { "type": "tool-call", "tool_call_id": "a" } } }]),
            json!([{ "type": "message", "message": { "role": "assistant", "content": [{ "type": "tool-call", "tool_call_id": "a" }] } }]),
            json!([{ "type": "message_part", "message_part": { "part": { "type": "tool-result", "tool_call_id": "a", "result": {} } } }]),
            json!([{ "type": "message", "message": { "role": "tool", "content": [{ "type": "tool-result", "tool_call_id": "a", "result": {} }] } }]),
            json!([{ "type": "message", "message": { "role": "assistant", "content": [{ "type": "text" }] } },
                   { "type": "status", "status": { "status": "waiting" } }]),
        ]
    }

    #[test]
    fn a_call_lasts_from_the_stored_message_to_the_first_sight_of_its_result() {
        let begin = Instant::now();
        let at = |index: usize| begin + Duration::from_millis(index as u64);
        let mut seen = Seen::default();
        let ends: Vec<bool> = (0..)
            .zip(frames())
            .map(|(index, frame)| seen.apply(&frame, at(index)).unwrap())
            .collect();
        assert_eq!(ends, [false, false, false, false, false, true]);
        let calls = seen.calls().unwrap();
        assert_eq!((calls["a"].stored, calls["a"].answered), (at(2), at(3)));
    }

    #[test]
    fn a_result_that_is_stored_twice_or_never_is_an_error() {
        let now = Instant::now();
        let mut twice = Seen::default();
        let mut none = Seen::default();
        for (index, frame) in frames().iter().enumerate() {
            twice.apply(frame, now).unwrap();
            if index == 4 {
                twice.apply(frame, now).unwrap();
            }
            if !(3..=4).contains(&index) {
                none.apply(frame, now).unwrap();
            }
        }
        assert!(twice.calls().is_err());
        assert!(none.calls().is_err());
    }
}
