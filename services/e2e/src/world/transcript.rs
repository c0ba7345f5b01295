//! What a client would show after a list of events: the fold every client has to do, in its plainest form.

use std::collections::BTreeMap;

use serde_json::Value;

/// The state of a chat as its events tell it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// Durable messages by id.
    pub messages: BTreeMap<i64, Value>,
    /// Text of the live parts not yet superseded by a durable message.
    pub live_text: String,
    /// Statuses in the order told, repetitions left out.
    pub statuses: Vec<String>,
    /// The queue, as last told.
    pub queue: Vec<Value>,
    /// Errors told.
    pub errors: Vec<Value>,
    /// Waits before another attempt.
    pub retries: Vec<Value>,
    /// The place behind the last event, if events carry one.
    pub cursor: Option<String>,
    /// Messages that came twice with the same id; a correct stream has none.
    pub repeated: Vec<i64>,
}

impl Transcript {
    /// Folds events in order.
    pub fn of(events: &[Value]) -> Self {
        let mut transcript = Self::default();
        for event in events {
            transcript.apply(event);
        }
        transcript
    }

    /// Applies one more event.
    pub fn apply(&mut self, event: &Value) {
        if let Some(cursor) = event["cursor"].as_str() {
            self.cursor = Some(cursor.to_owned());
        }
        match event["type"].as_str().unwrap_or_default() {
            "message" => self.message(&event["message"]),
            "message_part" => {
                let part = &event["message_part"]["part"];
                if part["type"] == "text" {
                    self.live_text.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
            "status" => {
                let status = event["status"]["status"].as_str().unwrap_or_default();
                if self.statuses.last().is_none_or(|last| last != status) {
                    self.statuses.push(status.to_owned());
                }
            }
            "queue_update" => {
                self.queue = event["queued_messages"].as_array().cloned().unwrap_or_default();
            }
            "error" => self.errors.push(event["error"].clone()),
            "retry" => self.retries.push(event["retry"].clone()),
            "preview_reset" => self.live_text.clear(),
            "history_reset" => {
                let from = event["history_reset"]["from_message_id"].as_i64().unwrap_or(0);
                self.messages.split_off(&from);
            }
            _ => {}
        }
    }

    fn message(&mut self, message: &Value) {
        if message["role"] == "assistant" {
            self.live_text.clear();
        }
        let id = message["id"].as_i64().unwrap_or_default();
        if self.messages.insert(id, message.clone()).is_some() {
            self.repeated.push(id);
        }
    }

    /// `role: text` of every message in order; tool calls and results as `role: [tool-call name]`.
    pub fn lines(&self) -> Vec<String> {
        lines(self.messages.values())
    }

    /// The chat waits, everything shown is durable, and the last message is not the user's.
    pub fn is_settled(&self) -> bool {
        let last = self.messages.values().next_back();
        self.status() == "waiting" && self.live_text.is_empty() && last.is_some_and(|last| last["role"] != "user")
    }

    /// The last status told.
    pub fn status(&self) -> &str {
        self.statuses.last().map_or("", String::as_str)
    }
}

/// Messages as short lines, in the order given.
pub fn lines<'a>(messages: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let line = |message: &Value| {
        let parts = message["content"].as_array().map_or(&[][..], Vec::as_slice);
        let shown: Vec<String> = parts.iter().map(part).collect();
        let role = message["role"].as_str().unwrap_or_default();
        format!("{role}: {}", shown.join(" "))
    };
    messages.into_iter().map(line).collect()
}

fn part(part: &Value) -> String {
    match part["type"].as_str().unwrap_or_default() {
        "text" => part["text"].as_str().unwrap_or_default().to_owned(),
        kind @ ("tool-call" | "tool-result") => {
            format!("[{kind} {}]", part["tool_name"].as_str().unwrap_or_default())
        }
        kind => format!("[{kind}]"),
    }
}
