//! Messages.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Call, Frame, MAX_CALLS, Offer, Round, Stitch, add_counts, arguments, grow, put_named, text};

/// Why a model stops that waits for results.
const TOOL_USE: &str = "tool_use";

/// Events, or whole answers.
pub(super) struct Messages {
    offer: Arc<Offer>,
    is_later: bool,
    /// Of all rounds.
    usage: Value,
    /// Blocks the client sees, of all rounds.
    shown: i64,
    /// Calls of the client's own tools.
    shown_calls: usize,
    /// What the client reads, where the answer comes whole.
    content: Vec<Value>,
    whole: Option<Value>,
    this: This,
}

/// What has come of this round.
#[derive(Default)]
struct This {
    blocks: BTreeMap<i64, Block>,
    usage: Value,
    /// The event that says why it stopped.
    ended: Option<Value>,
    /// The event behind that.
    stopped: Option<Vec<u8>>,
}

/// A block in the making.
struct Block {
    said: Value,
    /// Arguments come as pieces of JSON text.
    input: String,
    /// Its place for the client; `None` if it is hidden.
    place: Option<i64>,
}

impl Block {
    /// As it stands in the next request.
    fn finished(self) -> Value {
        let mut said = self.said;
        if !self.input.is_empty() {
            said["input"] = serde_json::from_str(&self.input).unwrap_or_else(|_| json!({}));
        }
        said
    }

    fn add(&mut self, delta: &Value) {
        let said = &mut self.said;
        match text(delta, "type") {
            "text_delta" => append(said, "text", text(delta, "text")),
            "thinking_delta" => append(said, "thinking", text(delta, "thinking")),
            "signature_delta" => append(said, "signature", text(delta, "signature")),
            "input_json_delta" => grow(&mut self.input, text(delta, "partial_json")),
            "citations_delta" => {
                if !said["citations"].is_array() {
                    said["citations"] = json!([]);
                }
                if let Some(citations) = said["citations"].as_array_mut().filter(|known| known.len() < MAX_CALLS) {
                    citations.push(delta["citation"].clone());
                }
            }
            _ => {}
        }
    }
}

fn append(said: &mut Value, name: &str, more: &str) {
    match said.get_mut(name) {
        Some(Value::String(known)) => grow(known, more),
        _ => said[name] = more.into(),
    }
}

impl Messages {
    pub(super) fn new(offer: Arc<Offer>) -> Self {
        Self {
            offer,
            is_later: false,
            usage: Value::Null,
            shown: 0,
            shown_calls: 0,
            content: Vec::new(),
            whole: None,
            this: This::default(),
        }
    }

    fn is_ours(&self, block: &Value) -> bool {
        text(block, "type") == TOOL_USE && self.offer.find(text(block, "name")).is_some()
    }

    /// Takes a block in; its place for the client.
    fn begin(&mut self, index: i64, said: Value) -> Option<i64> {
        let place = if self.is_ours(&said) {
            None
        } else {
            self.shown_calls += usize::from(text(&said, "type") == TOOL_USE);
            self.shown += 1;
            Some(self.shown - 1)
        };
        if said.is_object() && self.this.blocks.len() < MAX_CALLS {
            let input = String::new();
            self.this.blocks.insert(index, Block { said, input, place });
        }
        place
    }

    /// Hands a block's event on at its place.
    fn placed(event: &mut Value, place: i64, frame: &Frame, out: &mut Vec<u8>) {
        if event["index"] == place {
            out.extend_from_slice(&frame.raw);
        } else {
            event["index"] = place.into();
            put_named(out, event);
        }
    }

    /// Later numbers of a round are of all of it.
    fn measure(&mut self, usage: &Value) {
        let Some(more) = usage.as_object() else { return };
        if !self.this.usage.is_object() {
            self.this.usage = json!({});
        }
        for (name, count) in more.iter().filter(|(_, count)| !count.is_null()) {
            self.this.usage[name] = count.clone();
        }
    }

    /// Says why the answer ends, if what the model gives as its reason is a call nobody sees.
    fn settle_reason(&self, holder: &mut Value) {
        if self.shown_calls == 0 && text(holder, "stop_reason") == TOOL_USE {
            holder["stop_reason"] = "end_turn".into();
        }
    }

    fn reason(&self) -> &str {
        let ended = self.this.ended.as_ref();
        ended.map_or("", |ended| text(&ended["delta"], "stop_reason"))
    }
}

impl Stitch for Messages {
    fn event(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let Ok(mut event) = serde_json::from_slice::<Value>(&frame.data) else {
            out.extend_from_slice(&frame.raw);
            return;
        };
        let index = event.get("index").and_then(Value::as_i64).unwrap_or(0);
        match text(&event, "type") {
            "message_start" => {
                let usage = event["message"]["usage"].clone();
                self.measure(&usage);
                if !self.is_later {
                    out.extend_from_slice(&frame.raw);
                }
            }
            "content_block_start" => {
                let said = event["content_block"].clone();
                if let Some(place) = self.begin(index, said) {
                    Self::placed(&mut event, place, frame, out);
                }
            }
            "content_block_delta" => {
                let Some(block) = self.this.blocks.get_mut(&index) else {
                    return;
                };
                block.add(&event["delta"]);
                if let Some(place) = block.place {
                    Self::placed(&mut event, place, frame, out);
                }
            }
            "content_block_stop" => {
                if let Some(place) = self.this.blocks.get(&index).and_then(|block| block.place) {
                    Self::placed(&mut event, place, frame, out);
                }
            }
            "message_delta" => {
                let usage = event["usage"].clone();
                self.measure(&usage);
                self.this.ended = Some(event);
            }
            "message_stop" => self.this.stopped = Some(frame.raw.clone()),
            _ => out.extend_from_slice(&frame.raw),
        }
    }

    fn document(&mut self, body: &[u8]) -> Option<()> {
        let mut answer: Value = serde_json::from_slice(body).ok()?;
        let blocks = answer.get_mut("content")?.as_array_mut().map(std::mem::take)?;
        for (index, block) in (0..).zip(blocks) {
            if self.begin(index, block.clone()).is_some() {
                self.content.push(block);
            }
        }
        let usage = answer["usage"].take();
        self.measure(&usage);
        self.this.ended = Some(json!({ "delta": { "stop_reason": answer["stop_reason"] } }));
        match &mut self.whole {
            // It keeps the name of its first round.
            Some(whole) => {
                whole["stop_reason"] = answer["stop_reason"].take();
                whole["stop_sequence"] = answer["stop_sequence"].take();
            }
            None => self.whole = Some(answer),
        }
        Some(())
    }

    fn round(&mut self) -> Round {
        add_counts(&mut self.usage, &self.this.usage.take());
        let blocks = std::mem::take(&mut self.this.blocks);
        // Where the program's own tools are called too, it goes on from there.
        if self.shown_calls > 0 || self.reason() != TOOL_USE {
            return Round::default();
        }
        let mut calls = Vec::new();
        let mut content = Vec::new();
        for block in blocks.into_values() {
            let is_ours = block.place.is_none();
            let said = block.finished();
            if is_ours {
                calls.push(Call {
                    id: text(&said, "id").to_owned(),
                    name: text(&said, "name").to_owned(),
                    arguments: arguments(&said["input"].to_string()).to_owned(),
                });
            }
            // The vendor does not take what says nothing.
            if text(&said, "type") != "text" || !text(&said, "text").trim().is_empty() {
                content.push(said);
            }
        }
        Round {
            calls,
            said: vec![json!({ "role": "assistant", "content": content })],
        }
    }

    fn again(&mut self) {
        self.is_later = true;
        self.this = This::default();
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let This { ended, stopped, .. } = std::mem::take(&mut self.this);
        if let Some(mut ended) = ended {
            if let Some(delta) = ended.get_mut("delta").filter(|delta| delta.is_object()) {
                self.settle_reason(delta);
            }
            if self.is_later {
                ended["usage"] = self.usage.clone();
            }
            put_named(out, &ended);
        }
        out.extend_from_slice(&stopped.unwrap_or_default());
    }

    fn whole(&mut self) -> Bytes {
        let mut answer = self.whole.take().unwrap_or_else(|| json!({}));
        self.settle_reason(&mut answer);
        answer["content"] = std::mem::take(&mut self.content).into();
        answer["usage"] = self.usage.take();
        Bytes::from(answer.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, end, events, read};
    use super::*;
    use crate::bridge::dialect::Dialect;

    fn start(id: &str, input: i64) -> Value {
        json!({ "type": "message_start", "message": { "id": id, "usage": { "input_tokens": input, "output_tokens": 1 } } })
    }

    fn block(index: i64, block: &Value) -> Value {
        json!({ "type": "content_block_start", "index": index, "content_block": block })
    }

    fn tool(id: &str, name: &str) -> Value {
        json!({ "type": "tool_use", "id": id, "name": name, "input": {} })
    }

    fn delta(index: i64, delta: &Value) -> Value {
        json!({ "type": "content_block_delta", "index": index, "delta": delta })
    }

    fn text_delta(index: i64, text: &str) -> Value {
        delta(index, &json!({ "type": "text_delta", "text": text }))
    }

    fn json_delta(index: i64, json: &str) -> Value {
        delta(index, &json!({ "type": "input_json_delta", "partial_json": json }))
    }

    fn stop(index: i64) -> Value {
        json!({ "type": "content_block_stop", "index": index })
    }

    fn ends(reason: &str, output: i64) -> [Value; 2] {
        let ended = json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": output } });
        [ended, json!({ "type": "message_stop" })]
    }

    fn words() -> Value {
        json!({ "type": "text", "text": "" })
    }

    #[test]
    fn rounds_are_one_message_with_its_blocks_counted_through() {
        let mut stitch = answer(Dialect::Messages, false);
        let thinking = json!({ "type": "thinking", "thinking": "", "signature": "" });
        let mut first = vec![
            start("one", 10),
            block(0, &thinking),
            delta(0, &json!({ "type": "thinking_delta", "thinking": "Hm." })),
            delta(0, &json!({ "type": "signature_delta", "signature": "sig" })),
            stop(0),
            block(1, &tool("t1", "bmcp_f_read")),
            json_delta(1, "{\"a\""),
            json_delta(1, ":1}"),
            stop(1),
        ];
        let shown = first[..5].to_vec();
        first.extend(ends("tool_use", 5));
        assert_eq!(read(&events(&mut *stitch, &first)), shown);
        let round = stitch.round();
        assert_eq!(
            (round.calls[0].id.as_str(), round.calls[0].arguments.as_str()),
            ("t1", "{\"a\":1}")
        );
        let expected = json!([
            { "type": "thinking", "thinking": "Hm.", "signature": "sig" },
            { "type": "tool_use", "id": "t1", "name": "bmcp_f_read", "input": { "a": 1 } },
        ]);
        assert_eq!(round.said[0]["content"], expected);
        stitch.again();
        let mut second = vec![start("two", 20), block(0, &words()), text_delta(0, "It is 1."), stop(0)];
        second.extend(ends("end_turn", 7));
        let out = read(&events(&mut *stitch, &second));
        assert_eq!(out, [block(1, &words()), text_delta(1, "It is 1."), stop(1)]);
        assert!(stitch.round().calls.is_empty());
        let end = end(&mut *stitch);
        assert!(end.starts_with("event: message_delta\n"), "{end}");
        let end = read(&end);
        assert_eq!(end[0]["usage"], json!({ "input_tokens": 30, "output_tokens": 12 }));
        assert_eq!(end[1], json!({ "type": "message_stop" }));
    }

    #[test]
    fn a_step_with_calls_of_both_kinds_is_the_clients_and_ours_leave_no_trace() {
        let mut stitch = answer(Dialect::Messages, false);
        let mut round = vec![
            start("one", 10),
            block(0, &tool("t1", "bmcp_f_read")),
            stop(0),
            block(1, &tool("t2", "own")),
            json_delta(1, "{}"),
            stop(1),
        ];
        round.extend(ends("tool_use", 5));
        let out = read(&events(&mut *stitch, &round));
        assert_eq!(out[1..], [block(0, &tool("t2", "own")), json_delta(0, "{}"), stop(0)]);
        assert_eq!(stitch.round(), Round::default());
        assert_eq!(read(&end(&mut *stitch)), ends("tool_use", 5));
    }

    #[test]
    fn calls_of_ours_that_are_not_run_end_as_an_ordinary_end() {
        let mut stitch = answer(Dialect::Messages, false);
        events(
            &mut *stitch,
            &[start("one", 1), block(0, &tool("t1", "bmcp_f_read")), stop(0)],
        );
        events(&mut *stitch, &ends("tool_use", 5));
        assert_eq!(stitch.round().calls[0].arguments, "{}");
        assert_eq!(read(&end(&mut *stitch))[0]["delta"]["stop_reason"], "end_turn");
    }

    #[test]
    fn an_answer_that_was_cut_off_is_run_no_further() {
        for ends in [ends("max_tokens", 5).to_vec(), vec![]] {
            let mut stitch = answer(Dialect::Messages, false);
            events(&mut *stitch, &[start("one", 1), block(0, &tool("t1", "bmcp_f_read"))]);
            events(&mut *stitch, &ends);
            assert!(stitch.round().calls.is_empty());
        }
    }

    #[test]
    fn whole_answers_are_put_together_the_same() {
        let mut stitch = answer(Dialect::Messages, false);
        let whole = |id: &str, content: &Value, reason: &str| {
            json!({ "id": id, "content": content, "stop_reason": reason, "usage": { "output_tokens": 5 } }).to_string()
        };
        let said = json!({ "type": "text", "text": "Let me see." });
        let first = whole("one", &json!([said, tool("t1", "bmcp_f_read")]), "tool_use");
        stitch.document(first.as_bytes()).unwrap();
        let round = stitch.round();
        assert_eq!(
            (round.calls.len(), round.said[0]["content"].as_array().unwrap().len()),
            (1, 2)
        );
        stitch.again();
        let done = json!({ "type": "text", "text": "Done." });
        stitch
            .document(whole("two", &json!([done]), "end_turn").as_bytes())
            .unwrap();
        assert!(stitch.round().calls.is_empty());
        let answer: Value = serde_json::from_slice(&stitch.whole()).unwrap();
        assert_eq!(
            (&answer["id"], &answer["content"]),
            (&json!("one"), &json!([said, done]))
        );
        assert_eq!(
            (&answer["stop_reason"], &answer["usage"]["output_tokens"]),
            (&json!("end_turn"), &json!(10))
        );
        assert!(stitch.document(b"[]").is_none());
    }
}
