//! Answers of several rounds as one: what the client sees of them, and which calls are ours to run.
//!
//! A round's last words (why it stopped, what it used) are held back until it is known whether another follows: the client gets one
//! beginning, one end, and the usage of all rounds in it. What needs no change goes by as it came.

mod chat;
mod messages;
mod responses;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{Call, Offer, frames::Frame};
use crate::bridge::dialect::Dialect;

/// What the texts and arguments of one round may come to, in bytes.
const MAX_ROUND_BYTES: usize = 16 * 1024 * 1024;

/// Calls of one round that are looked at.
const MAX_CALLS: usize = 256;

/// What one round came to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Round {
    /// To be run, in order. Empty if the answer ends with this round: nothing of ours was called, something of the client's was too, or
    /// it was cut off.
    pub(super) calls: Vec<Call>,
    /// What the model said, as it stands in the next request.
    pub(super) said: Vec<Value>,
}

/// An answer being put together.
pub(super) trait Stitch: Send + Sync {
    /// Takes in an event of a stream; what of it goes to the client is appended to `out`.
    fn event(&mut self, frame: &Frame, out: &mut Vec<u8>);

    /// Takes in a whole answer of a round. `None`: it is not understood.
    fn document(&mut self, body: &[u8]) -> Option<()>;

    /// The round's events have ended. If there are calls, [`Stitch::again`] may follow.
    fn round(&mut self) -> Round;

    /// Another round follows: the last words of this one are forgotten.
    fn again(&mut self);

    /// Appends a stream's last words. Calls of ours that were not run leave no trace.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// All of it as one document.
    fn whole(&mut self) -> Bytes;
}

/// For answers of that dialect.
///
/// * `strips_usage`: the client has not asked for a stream's usage.
pub(super) fn stitch(dialect: Dialect, offer: &Arc<Offer>, strips_usage: bool) -> Box<dyn Stitch> {
    let offer = Arc::clone(offer);
    match dialect {
        Dialect::ChatCompletions => Box::new(chat::Chat::new(offer, strips_usage)),
        Dialect::Responses => Box::new(responses::Responses::new(offer)),
        Dialect::Messages => Box::new(messages::Messages::new(offer)),
    }
}

/// What is counted in several rounds: numbers are added up, whatever else there is stays as it was told last.
fn add_counts(total: &mut Value, more: &Value) {
    match (total, more) {
        (Value::Object(total), Value::Object(more)) => {
            for (name, more) in more {
                match total.get_mut(name) {
                    Some(known) => add_counts(known, more),
                    None => {
                        total.insert(name.clone(), more.clone());
                    }
                }
            }
        }
        (total @ Value::Number(_), Value::Number(more)) => {
            let sum = match (total.as_i64(), more.as_i64()) {
                (Some(one), Some(other)) => Value::from(one.saturating_add(other)),
                _ => Value::from(total.as_f64().unwrap_or(0.0) + more.as_f64().unwrap_or(0.0)),
            };
            *total = sum;
        }
        (_, Value::Null) => {}
        (total, more) => *total = more.clone(),
    }
}

/// A text that grows no further than it may.
fn grow(text: &mut String, more: &str) {
    if text.len() + more.len() <= MAX_ROUND_BYTES {
        text.push_str(more);
    }
}

/// A member that is a text; empty where it is not.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Writes an event without a name.
fn put(out: &mut Vec<u8>, event: &Value) {
    out.extend_from_slice(format!("data: {event}\n\n").as_bytes());
}

/// Writes an event that is named after its type.
fn put_named(out: &mut Vec<u8>, event: &Value) {
    out.extend_from_slice(format!("event: {}\ndata: {event}\n\n", text(event, "type")).as_bytes());
}

/// Arguments that are JSON in any case.
fn arguments(text: &str) -> &str {
    if text.trim().is_empty() { "{}" } else { text }
}

#[cfg(test)]
mod testing {
    use super::super::{frames::Frames, testing};
    use super::*;

    /// An answer in the making, with tools `bmcp_f_read` and `bmcp_f_list`.
    pub(super) fn answer(dialect: Dialect, strips_usage: bool) -> Box<dyn Stitch> {
        stitch(dialect, &testing::offer(&["bmcp_f_read", "bmcp_f_list"]), strips_usage)
    }

    /// Streams a round of events; what goes out.
    pub(super) fn events(answer: &mut dyn Stitch, events: &[Value]) -> String {
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let mut out = Vec::new();
        for frame in Frames::default().push(stream.as_bytes()).unwrap() {
            answer.event(&frame, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    /// What a stream's end is.
    pub(super) fn end(answer: &mut dyn Stitch) -> String {
        let mut out = Vec::new();
        answer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The events in a text.
    pub(super) fn read(text: &str) -> Vec<Value> {
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_add_up_at_any_depth_and_words_stay_the_last_ones() {
        let mut total = Value::Null;
        add_counts(
            &mut total,
            &json!({ "a": 1, "b": { "c": 2, "x": null }, "tier": "one" }),
        );
        add_counts(
            &mut total,
            &json!({ "a": 1, "b": { "c": 3, "x": 4 }, "cost": 0.5, "tier": "two", "a2": null }),
        );
        let expected = json!({ "a": 2, "b": { "c": 5, "x": 4 }, "cost": 0.5, "tier": "two", "a2": null });
        assert_eq!(total, expected);
    }
}
