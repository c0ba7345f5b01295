//! Chat Completions.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Call, Frame, MAX_CALLS, Offer, Round, Stitch, add_counts, arguments, grow, put, text};

/// Chunks, or whole answers.
pub(super) struct Chat {
    offer: Arc<Offer>,
    strips_usage: bool,
    /// The name of the answer: that of its first round.
    id: Option<Value>,
    is_later: bool,
    /// Of all rounds.
    usage: Value,
    /// Calls the client sees, of all rounds.
    shown: i64,
    /// What the client reads, where the answer comes whole.
    texts: String,
    whole: Option<Value>,
    this: This,
}

/// What has come of this round.
#[derive(Default)]
struct This {
    calls: Vec<Partial>,
    content: String,
    reasoning: String,
    reasoning_details: Vec<Value>,
    /// The chunk that says why it stopped.
    ended: Option<Value>,
    /// The chunk that says nothing but what it used.
    usage_alone: Option<Value>,
    usage: Value,
}

/// A call that may come in pieces.
struct Partial {
    index: i64,
    id: String,
    name: String,
    arguments: String,
    /// Its input is a text of a free form, which stands in the place of arguments. None of ours is called like that.
    is_custom: bool,
    /// What a vendor says of it beside that, and wants to hear again.
    more: Map<String, Value>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its name has not come.
    Unknown,
    /// It is ours.
    Hidden,
    /// It is the client's, at this place.
    Shown(i64),
}

impl Chat {
    pub(super) fn new(offer: Arc<Offer>, strips_usage: bool) -> Self {
        Self {
            offer,
            strips_usage,
            id: None,
            is_later: false,
            usage: Value::Null,
            shown: 0,
            texts: String::new(),
            whole: None,
            this: This::default(),
        }
    }

    /// Goes over the calls of a piece and leaves those that are the client's. True if any were taken out or changed.
    fn sort_calls(&mut self, message: &mut Value) -> bool {
        let Some(pieces) = message.get_mut("tool_calls").and_then(Value::as_array_mut) else {
            return false;
        };
        let mut left = Vec::new();
        let mut is_changed = false;
        for (position, mut piece) in (0..).zip(std::mem::take(pieces)) {
            let index = piece.get("index").and_then(Value::as_i64).unwrap_or(position);
            let Some(partial) = partial(&mut self.this.calls, index) else {
                is_changed = true;
                continue;
            };
            let was = partial.place;
            partial.add(&piece);
            if was == Place::Unknown && !partial.name.is_empty() {
                partial.place = if !partial.is_custom && self.offer.find(&partial.name).is_some() {
                    Place::Hidden
                } else {
                    self.shown += 1;
                    Place::Shown(self.shown - 1)
                };
            }
            let Place::Shown(place) = partial.place else {
                is_changed = true;
                continue;
            };
            let (kind, field) = partial.kind();
            if was == Place::Unknown && text(&piece[kind], field) != partial.arguments {
                // Pieces of it were held back.
                piece = json!({ "index": place, "id": partial.id, "type": kind,
                    kind: { "name": partial.name, field: partial.arguments } });
                is_changed = true;
            }
            if piece
                .get("index")
                .and_then(Value::as_i64)
                .is_some_and(|known| known != place)
            {
                piece["index"] = place.into();
                is_changed = true;
            }
            left.push(piece);
        }
        if let Some(message) = message.as_object_mut() {
            if left.is_empty() {
                message.remove("tool_calls");
            } else {
                message.insert("tool_calls".to_owned(), Value::Array(left));
            }
        }
        is_changed
    }

    /// Remembers what the model said.
    fn hear(&mut self, message: &Value) {
        let this = &mut self.this;
        grow(&mut this.content, text(message, "content"));
        grow(&mut this.reasoning, text(message, "reasoning_content"));
        if let Some(details) = message.get("reasoning_details").and_then(Value::as_array) {
            let room = MAX_CALLS.saturating_sub(this.reasoning_details.len());
            this.reasoning_details.extend(details.iter().take(room).cloned());
        }
    }

    fn chunk(&mut self, mut chunk: Value, frame: &Frame, out: &mut Vec<u8>) {
        let mut is_changed = self.rename(&mut chunk);
        if chunk["usage"].is_object() {
            self.this.usage = chunk["usage"].clone();
        }
        let has_choice = chunk.pointer("/choices/0").is_some_and(Value::is_object);
        if !has_choice {
            if chunk["usage"].is_object() {
                self.this.usage_alone = Some(chunk);
            } else if !self.is_later {
                out.extend_from_slice(&frame.raw);
            }
            return;
        }
        let mut delta = chunk["choices"][0]["delta"].take();
        self.hear(&delta);
        is_changed |= self.sort_calls(&mut delta);
        if self.is_later
            && delta
                .as_object_mut()
                .is_some_and(|delta| delta.remove("role").is_some())
        {
            is_changed = true;
        }
        let says = says_something(&delta);
        let is_end = !chunk["choices"][0]["finish_reason"].is_null();
        if is_end {
            let mut end = chunk.clone();
            end["choices"][0]["delta"] = json!({});
            self.this.ended = Some(end);
            chunk["choices"][0]["finish_reason"] = Value::Null;
            if let Some(chunk) = chunk.as_object_mut() {
                chunk.remove("usage");
            }
            is_changed = true;
        }
        // An empty beginning is one as well; what has become empty is nothing.
        if !says && (is_changed || is_end) {
            return;
        }
        if is_changed {
            chunk["choices"][0]["delta"] = delta;
            put(out, &chunk);
        } else {
            out.extend_from_slice(&frame.raw);
        }
    }

    /// Gives what comes later the name of the first. True if that is another one.
    fn rename(&mut self, answer: &mut Value) -> bool {
        let Some(id) = answer.get_mut("id") else { return false };
        let first = self.id.get_or_insert_with(|| id.clone());
        let is_other = first != id;
        if is_other {
            *id = first.clone();
        }
        is_other
    }

    /// Says why the answer ends, if what the model gives as its reason is a call nobody sees.
    fn settle_reason(&self, choice: &mut Value) {
        if self.shown == 0 && matches!(choice["finish_reason"].as_str(), Some("tool_calls" | "function_call")) {
            choice["finish_reason"] = "stop".into();
        }
    }
}

impl Partial {
    fn add(&mut self, piece: &Value) {
        self.is_custom |= piece.get("custom").is_some_and(Value::is_object);
        let (kind, field) = self.kind();
        let called = &piece[kind];
        grow(&mut self.id, text(piece, "id"));
        grow(&mut self.name, text(called, "name"));
        grow(&mut self.arguments, text(called, field));
        let others = piece.as_object().into_iter().flatten();
        let is_known = |name: &str| matches!(name, "index" | "id" | "type" | "function" | "custom");
        for (name, value) in others.filter(|(name, _)| !is_known(name)) {
            self.more.insert(name.clone(), value.clone());
        }
    }

    /// Where its name is, and under which name what it is called with.
    fn kind(&self) -> (&'static str, &'static str) {
        if self.is_custom {
            ("custom", "input")
        } else {
            ("function", "arguments")
        }
    }

    fn said(&self) -> Value {
        let mut call = self.more.clone();
        call.insert("id".to_owned(), self.id.as_str().into());
        call.insert("type".to_owned(), "function".into());
        let function = json!({ "name": self.name, "arguments": arguments(&self.arguments) });
        call.insert("function".to_owned(), function);
        Value::Object(call)
    }
}

/// The call at that place; `None` if there are too many.
fn partial(calls: &mut Vec<Partial>, index: i64) -> Option<&mut Partial> {
    let place = calls.iter().position(|call| call.index == index);
    let place = place.unwrap_or_else(|| {
        calls.push(Partial {
            index,
            id: String::new(),
            name: String::new(),
            arguments: String::new(),
            is_custom: false,
            more: Map::new(),
            place: Place::Unknown,
        });
        calls.len() - 1
    });
    calls.truncate(MAX_CALLS);
    calls.get_mut(place)
}

/// Whether a piece has anything but the role.
fn says_something(delta: &Value) -> bool {
    delta.as_object().is_some_and(|delta| {
        delta
            .iter()
            .any(|(name, value)| name != "role" && !value.is_null() && value != "" && *value != json!([]))
    })
}

impl Stitch for Chat {
    fn event(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        if frame.data == b"[DONE]" {
            return;
        }
        match serde_json::from_slice::<Value>(&frame.data) {
            Ok(chunk) if chunk.is_object() && chunk.get("error").is_none_or(Value::is_null) => {
                self.chunk(chunk, frame, out);
            }
            _ => out.extend_from_slice(&frame.raw),
        }
    }

    fn document(&mut self, body: &[u8]) -> Option<()> {
        let mut answer: Value = serde_json::from_slice(body).ok()?;
        let message = answer.pointer_mut("/choices/0/message");
        let mut message = message.filter(|message| message.is_object())?.take();
        self.rename(&mut answer);
        self.hear(&message);
        self.sort_calls(&mut message);
        self.this.usage = answer["usage"].take();
        grow(&mut self.texts, text(&message, "content"));
        self.this.ended = Some(json!({ "choices": [{ "finish_reason": answer["choices"][0]["finish_reason"] }] }));
        answer["choices"][0]["message"] = message;
        self.whole = Some(answer);
        Some(())
    }

    fn round(&mut self) -> Round {
        let this = std::mem::take(&mut self.this);
        add_counts(&mut self.usage, &this.usage);
        let reason = this
            .ended
            .as_ref()
            .map_or("", |end| text(&end["choices"][0], "finish_reason"));
        let is_cut = matches!(reason, "length" | "content_filter");
        let ours: Vec<&Partial> = this.calls.iter().filter(|call| call.place == Place::Hidden).collect();
        let mut round = Round::default();
        // Where the program's own tools are called too, it goes on from there.
        if self.shown == 0 && !is_cut && this.ended.is_some() {
            let call = |partial: &&Partial| Call {
                id: partial.id.clone(),
                name: partial.name.clone(),
                arguments: partial.arguments.clone(),
            };
            round.calls = ours.iter().map(call).collect();
            let content = Some(&this.content).filter(|content| !content.is_empty());
            let calls: Vec<Value> = ours.iter().map(|partial| partial.said()).collect();
            let mut said = json!({ "role": "assistant", "content": content, "tool_calls": calls });
            if !this.reasoning.is_empty() {
                said["reasoning_content"] = this.reasoning.into();
            }
            if !this.reasoning_details.is_empty() {
                said["reasoning_details"] = this.reasoning_details.into();
            }
            round.said = vec![said];
        }
        // What the client would be told, if this was the end.
        self.this.ended = this.ended;
        self.this.usage_alone = this.usage_alone;
        round
    }

    fn again(&mut self) {
        self.is_later = true;
        self.this = This::default();
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let This { ended, usage_alone, .. } = std::mem::take(&mut self.this);
        let Some(mut end) = ended else { return };
        self.settle_reason(&mut end["choices"][0]);
        if end["usage"].is_object() {
            end["usage"] = self.usage.clone();
        }
        put(out, &end);
        if let Some(mut chunk) = usage_alone.filter(|_| !self.strips_usage) {
            chunk["usage"] = self.usage.clone();
            put(out, &chunk);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn whole(&mut self) -> Bytes {
        let mut answer = self.whole.take().unwrap_or_default();
        if !self.usage.is_null() {
            answer["usage"] = self.usage.take();
        }
        if let Some(choice) = answer.pointer_mut("/choices/0") {
            self.settle_reason(choice);
            if !self.texts.is_empty() {
                choice["message"]["content"] = std::mem::take(&mut self.texts).into();
            }
        }
        Bytes::from(answer.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, end, events, read};
    use super::*;
    use crate::bridge::dialect::Dialect::ChatCompletions;

    fn delta(id: &str, delta: &Value) -> Value {
        json!({ "id": id, "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
    }

    fn stop(id: &str, reason: &str) -> Value {
        json!({ "id": id, "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
    }

    fn used(id: &str, tokens: i64) -> Value {
        json!({ "id": id, "choices": [], "usage": { "completion_tokens": tokens } })
    }

    fn call(index: i64, id: &str, name: &str, arguments: &str) -> Value {
        json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }] })
    }

    fn piece(index: i64, arguments: &str) -> Value {
        json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] })
    }

    #[test]
    fn rounds_are_one_answer_and_our_calls_are_not_in_it() {
        let mut stitch = answer(ChatCompletions, false);
        let first = events(
            &mut *stitch,
            &[
                delta("one", &json!({ "role": "assistant", "content": "" })),
                delta("one", &json!({ "content": "Let me see. " })),
                delta("one", &call(0, "c1", "bmcp_f_read", "")),
                delta("one", &piece(0, "{\"a\"")),
                delta("one", &piece(0, ":1}")),
                stop("one", "tool_calls"),
                used("one", 5),
            ],
        );
        assert_eq!(read(&first).len(), 2, "{first}");
        assert!(!first.contains("bmcp"), "{first}");
        let round = stitch.round();
        assert_eq!(round.calls[0].arguments, "{\"a\":1}");
        assert_eq!(round.said[0]["content"], "Let me see. ");
        assert_eq!(round.said[0]["tool_calls"][0]["id"], "c1");
        stitch.again();
        let second = events(
            &mut *stitch,
            &[
                delta("two", &json!({ "role": "assistant", "content": "" })),
                delta("two", &json!({ "content": "It is 1." })),
                stop("two", "stop"),
                used("two", 7),
            ],
        );
        assert_eq!(read(&second), [delta("one", &json!({ "content": "It is 1." }))]);
        assert!(stitch.round().calls.is_empty());
        let end = end(&mut *stitch);
        assert_eq!(read(&end), [stop("one", "stop"), used("one", 12)]);
        assert!(end.ends_with("data: [DONE]\n\n"));
    }

    #[test]
    fn a_call_of_a_tool_of_a_free_form_is_the_clients_and_goes_by_as_it_came() {
        let custom = |call: &Value| delta("one", &json!({ "tool_calls": [call] }));
        let begun = json!({ "index": 1, "id": "c2", "type": "custom", "custom": { "name": "patch", "input": "" } });
        let more = json!({ "index": 1, "custom": { "input": "*** Begin" } });
        let moved = |call: &Value| {
            let mut call = call.clone();
            call["index"] = json!(0);
            call
        };
        let mut stitch = answer(ChatCompletions, true);
        let out = events(
            &mut *stitch,
            &[
                delta("one", &call(0, "c1", "bmcp_f_read", "{}")),
                custom(&begun),
                custom(&more),
                stop("one", "tool_calls"),
            ],
        );
        assert_eq!(read(&out), [custom(&moved(&begun)), custom(&moved(&more))]);
        assert!(stitch.round().calls.is_empty(), "the program goes on from there");
        assert_eq!(read(&end(&mut *stitch)), [stop("one", "tool_calls")]);
    }

    #[test]
    fn a_step_with_calls_of_both_kinds_is_the_clients_and_ours_leave_no_trace() {
        let mut stitch = answer(ChatCompletions, true);
        let out = events(
            &mut *stitch,
            &[
                delta("one", &call(0, "c1", "bmcp_f_read", "{}")),
                delta("one", &call(1, "c2", "own", "")),
                delta("one", &piece(1, "{}")),
                stop("one", "tool_calls"),
                used("one", 5),
            ],
        );
        assert_eq!(
            read(&out),
            [delta("one", &call(0, "c2", "own", "")), delta("one", &piece(0, "{}"))]
        );
        assert_eq!(stitch.round(), Round::default());
        assert_eq!(
            read(&end(&mut *stitch)),
            [stop("one", "tool_calls")],
            "its usage was not asked for"
        );
    }

    #[test]
    fn a_call_whose_name_comes_late_is_held_until_it_does() {
        for (name, expected) in [("own", 1), ("bmcp_f_list", 0)] {
            let mut stitch = answer(ChatCompletions, true);
            let mut late = piece(0, "2}");
            late["tool_calls"][0]["function"]["name"] = name.into();
            let out = events(&mut *stitch, &[delta("one", &piece(0, "{\"a\":")), delta("one", &late)]);
            let out = read(&out);
            assert_eq!(out.len(), expected, "{out:?}");
            for chunk in out {
                let arguments = &chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"];
                assert_eq!(arguments, "{\"a\":2}");
            }
        }
    }

    #[test]
    fn calls_of_ours_that_are_not_run_end_as_an_ordinary_end() {
        let mut stitch = answer(ChatCompletions, true);
        events(
            &mut *stitch,
            &[
                delta("one", &call(0, "c1", "bmcp_f_read", "{}")),
                stop("one", "tool_calls"),
            ],
        );
        assert_eq!(stitch.round().calls.len(), 1);
        assert_eq!(read(&end(&mut *stitch)), [stop("one", "stop")]);
    }

    #[test]
    fn an_answer_that_was_cut_off_is_run_no_further() {
        for ends in [vec![stop("one", "length")], vec![]] {
            let mut stitch = answer(ChatCompletions, true);
            events(&mut *stitch, &[delta("one", &call(0, "c1", "bmcp_f_read", "{"))]);
            events(&mut *stitch, &ends);
            assert!(stitch.round().calls.is_empty());
        }
    }

    #[test]
    fn whole_answers_are_put_together_the_same() {
        let mut stitch = answer(ChatCompletions, false);
        let whole = |id: &str, message: Value, reason: &str| {
            json!({ "id": id, "choices": [{ "message": message, "finish_reason": reason }],
                "usage": { "prompt_tokens": 3, "details": { "x": 1 } } })
            .to_string()
        };
        let mut message = call(0, "c1", "bmcp_f_read", "{}");
        message["content"] = "Let me see. ".into();
        stitch.document(whole("one", message, "tool_calls").as_bytes()).unwrap();
        assert_eq!(stitch.round().calls[0].id, "c1");
        stitch.again();
        let last = json!({ "role": "assistant", "content": "Done." });
        stitch.document(whole("two", last, "stop").as_bytes()).unwrap();
        assert!(stitch.round().calls.is_empty());
        let answer: Value = serde_json::from_slice(&stitch.whole()).unwrap();
        let expected = json!({ "id": "one", "usage": { "prompt_tokens": 6, "details": { "x": 2 } }, "choices": [
            { "message": { "role": "assistant", "content": "Let me see. Done." }, "finish_reason": "stop" }] });
        assert_eq!(answer, expected);
        assert!(stitch.document(b"{}").is_none());
    }
}
