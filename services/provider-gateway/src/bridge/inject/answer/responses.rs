//! Responses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Call, Frame, MAX_CALLS, Offer, Round, Stitch, add_counts, arguments, put_named, text};

/// Items for which a model waits until its client has answered.
const WAITING: [&str; 7] = [
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "computer_call",
    "mcp_approval_request",
];

/// Events, or whole responses.
pub(super) struct Responses {
    offer: Arc<Offer>,
    is_later: bool,
    /// Of all rounds.
    usage: Value,
    /// Items the client sees, of the rounds before this one and, behind its end, of this.
    output: Vec<Value>,
    /// Items shown while they come, of all rounds.
    shown: i64,
    /// Events so far.
    sequence: i64,
    this: This,
}

/// What has come of this round.
#[derive(Default)]
struct This {
    places: BTreeMap<i64, i64>,
    hidden: BTreeSet<i64>,
    items: BTreeMap<i64, Value>,
    /// The event that ends it.
    ended: Option<Value>,
}

impl Responses {
    pub(super) fn new(offer: Arc<Offer>) -> Self {
        Self {
            offer,
            is_later: false,
            usage: Value::Null,
            output: Vec::new(),
            shown: 0,
            sequence: 0,
            this: This::default(),
        }
    }

    fn is_ours(&self, item: &Value) -> bool {
        text(item, "type") == "function_call" && self.offer.find(text(item, "name")).is_some()
    }

    /// Hands an event on, counted through.
    fn pass(&mut self, mut event: Value, is_changed: bool, frame: &Frame, out: &mut Vec<u8>) {
        let number = event.get("sequence_number").and_then(Value::as_i64);
        let is_off = number.is_some_and(|number| number != self.sequence);
        if number.is_some() {
            event["sequence_number"] = self.sequence.into();
            self.sequence += 1;
        }
        if is_changed || is_off {
            put_named(out, &event);
        } else {
            out.extend_from_slice(&frame.raw);
        }
    }

    /// An event about an item.
    fn item(&mut self, index: i64, mut event: Value, frame: &Frame, out: &mut Vec<u8>) {
        let this = &mut self.this;
        match text(&event, "type") {
            "response.output_item.added" if this.places.len() + this.hidden.len() < MAX_CALLS => {
                if self.is_ours(&event["item"]) {
                    self.this.hidden.insert(index);
                } else {
                    self.this.places.insert(index, self.shown);
                    self.shown += 1;
                }
            }
            "response.output_item.done" if this.items.len() < MAX_CALLS => {
                this.items.insert(index, event["item"].clone());
            }
            _ => {}
        }
        if self.this.hidden.contains(&index) {
            return;
        }
        let place = self.this.places.get(&index).copied().unwrap_or(index);
        let is_moved = place != index;
        if is_moved {
            event["output_index"] = place.into();
        }
        self.pass(event, is_moved, frame, out);
    }

    /// The response a round ended with.
    fn response(&self) -> Option<&Value> {
        self.this.ended.as_ref().map(|ended| &ended["response"])
    }

    /// The response as the client reads it: with everything it sees of all rounds, and what all of them used. Its name is the one the
    /// vendor knows the end of the conversation by.
    fn put_together(&mut self, response: &mut Value) {
        if !response.is_object() {
            return;
        }
        response["output"] = std::mem::take(&mut self.output).into();
        if !self.usage.is_null() {
            response["usage"] = self.usage.take();
        }
    }
}

impl Stitch for Responses {
    fn event(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let Ok(event) = serde_json::from_slice::<Value>(&frame.data) else {
            out.extend_from_slice(&frame.raw);
            return;
        };
        match text(&event, "type") {
            "response.created" | "response.in_progress" | "response.queued" if self.is_later => {}
            "response.completed" | "response.incomplete" | "response.failed" => self.this.ended = Some(event),
            _ => match event.get("output_index").and_then(Value::as_i64) {
                Some(index) => self.item(index, event, frame, out),
                None => self.pass(event, false, frame, out),
            },
        }
    }

    fn document(&mut self, body: &[u8]) -> Option<()> {
        let response: Value = serde_json::from_slice(body).ok()?;
        response.get("output").filter(|output| output.is_array())?;
        self.this.ended = Some(json!({ "response": response }));
        Some(())
    }

    fn round(&mut self) -> Round {
        let Some(response) = self.response() else {
            return Round::default();
        };
        let (usage, is_complete) = (response["usage"].clone(), text(response, "status") == "completed");
        let mut items = response["output"].as_array().cloned().unwrap_or_default();
        if items.is_empty() {
            items = std::mem::take(&mut self.this.items).into_values().collect();
        }
        add_counts(&mut self.usage, &usage);
        let (ours, shown): (Vec<Value>, Vec<Value>) = items.iter().cloned().partition(|item| self.is_ours(item));
        let is_waiting = shown.iter().any(|item| WAITING.contains(&text(item, "type")));
        self.output.extend(shown);
        // Where the program's own tools are called too, it goes on from there.
        if !is_complete || is_waiting {
            return Round::default();
        }
        let call = |item: &Value| Call {
            id: text(item, "call_id").to_owned(),
            name: text(item, "name").to_owned(),
            arguments: arguments(text(item, "arguments")).to_owned(),
        };
        Round {
            calls: ours.iter().map(call).collect(),
            said: items,
        }
    }

    fn again(&mut self) {
        self.is_later = true;
        self.this = This::default();
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let Some(mut ended) = self.this.ended.take() else {
            return;
        };
        if let Some(response) = ended.get_mut("response") {
            self.put_together(response);
        }
        if ended.get("sequence_number").is_some() {
            ended["sequence_number"] = self.sequence.into();
        }
        put_named(out, &ended);
    }

    fn whole(&mut self) -> Bytes {
        let mut response = self
            .this
            .ended
            .take()
            .map(|mut ended| ended["response"].take())
            .unwrap_or_default();
        self.put_together(&mut response);
        Bytes::from(response.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, end, events, read};
    use super::*;
    use crate::bridge::dialect::Dialect;

    fn call(id: &str, name: &str) -> Value {
        json!({ "type": "function_call", "call_id": id, "name": name, "arguments": "{\"a\":1}" })
    }

    fn message(text: &str) -> Value {
        json!({ "type": "message", "content": [{ "type": "output_text", "text": text }] })
    }

    fn event(kind: &str, sequence: i64, more: &Value) -> Value {
        let mut event = json!({ "type": kind, "sequence_number": sequence });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    }

    /// A round with these items, each added and done.
    fn round(id: &str, items: &[Value], status: &str) -> Vec<Value> {
        let mut events = vec![event("response.created", 0, &json!({ "response": { "id": id } }))];
        for (index, item) in items.iter().enumerate() {
            for kind in ["response.output_item.added", "response.output_item.done"] {
                let number = i64::try_from(events.len()).unwrap();
                events.push(event(kind, number, &json!({ "output_index": index, "item": item })));
            }
        }
        let response = json!({ "id": id, "status": status, "output": items, "usage": { "output_tokens": 5 } });
        let number = i64::try_from(events.len()).unwrap();
        events.push(event(
            &format!("response.{status}"),
            number,
            &json!({ "response": response }),
        ));
        events
    }

    #[test]
    fn rounds_are_one_response_with_items_and_events_counted_through() {
        let mut stitch = answer(Dialect::Responses, false);
        let reasoning = json!({ "type": "reasoning", "id": "r1" });
        let first = round("one", &[reasoning.clone(), call("c1", "bmcp_f_read")], "completed");
        assert_eq!(read(&events(&mut *stitch, &first)), first[..3]);
        let run = stitch.round();
        assert_eq!(
            (run.calls[0].id.as_str(), run.calls[0].arguments.as_str()),
            ("c1", "{\"a\":1}")
        );
        assert_eq!(run.said, [reasoning.clone(), call("c1", "bmcp_f_read")]);
        stitch.again();
        let second = read(&events(
            &mut *stitch,
            &round("two", &[message("It is 1.")], "completed"),
        ));
        let places: Vec<_> = second
            .iter()
            .map(|event| (&event["sequence_number"], &event["output_index"]))
            .collect();
        assert_eq!(places, [(&json!(3), &json!(1)), (&json!(4), &json!(1))]);
        assert!(stitch.round().calls.is_empty());
        let end = &read(&end(&mut *stitch))[0];
        assert_eq!(
            (&end["type"], &end["sequence_number"]),
            (&json!("response.completed"), &json!(5))
        );
        let expected = json!({ "id": "two", "status": "completed", "output": [reasoning, message("It is 1.")],
            "usage": { "output_tokens": 10 } });
        assert_eq!(end["response"], expected);
    }

    #[test]
    fn a_step_with_calls_of_both_kinds_is_the_clients_and_ours_leave_no_trace() {
        let mut stitch = answer(Dialect::Responses, false);
        let both = round("one", &[call("c1", "bmcp_f_read"), call("c2", "own")], "completed");
        let out = events(&mut *stitch, &both);
        assert!(out.contains("own") && !out.contains("bmcp"), "{out}");
        assert_eq!(stitch.round(), Round::default());
        assert_eq!(
            read(&end(&mut *stitch))[0]["response"]["output"],
            json!([call("c2", "own")])
        );
    }

    #[test]
    fn a_response_that_is_not_complete_is_run_no_further() {
        for status in ["incomplete", "failed"] {
            let mut stitch = answer(Dialect::Responses, false);
            events(&mut *stitch, &round("one", &[call("c1", "bmcp_f_read")], status));
            assert!(stitch.round().calls.is_empty());
            let end = &read(&end(&mut *stitch))[0];
            assert_eq!(
                (&end["response"]["status"], &end["response"]["output"]),
                (&json!(status), &json!([]))
            );
        }
    }

    #[test]
    fn whole_responses_are_put_together_the_same() {
        let mut stitch = answer(Dialect::Responses, false);
        let whole = |items: &[Value]| {
            let events = round("one", items, "completed");
            events.last().unwrap()["response"].to_string()
        };
        let said = message("Let me see.");
        stitch
            .document(whole(&[said.clone(), call("c1", "bmcp_f_read")]).as_bytes())
            .unwrap();
        assert_eq!(stitch.round().calls.len(), 1);
        stitch.again();
        stitch.document(whole(&[message("Done.")]).as_bytes()).unwrap();
        assert!(stitch.round().calls.is_empty());
        let response: Value = serde_json::from_slice(&stitch.whole()).unwrap();
        assert_eq!(response["output"], json!([said, message("Done.")]));
        assert_eq!(response["usage"], json!({ "output_tokens": 10 }));
        assert!(stitch.document(b"{}").is_none());
    }
}
