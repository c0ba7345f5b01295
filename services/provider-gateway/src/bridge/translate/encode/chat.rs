//! A Chat Completions answer. Calls run side by side here as they do at vendors, so nothing has to be put in order for a stream.

use std::{borrow::Cow, collections::BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tandem_chat_core::{
    id::ToolCallId,
    message::Usage,
    part::{Part, SourcePart},
};
use tandem_protocols::call::FinishReason;

use super::{
    Answering,
    out::Out,
    sequence::{Sequence, shown},
    usage,
    whole::{Block, Whole},
};
use crate::{
    bridge::translate::free_form::{self, Input},
    completion::{Event, Finished},
};

/// An answer as chunks.
#[derive(Debug)]
pub(super) struct Stream {
    out: Out,
    /// A chunk up to its delta.
    head: String,
    /// A chunk behind its alternative.
    tail: &'static str,
    wants_usage: bool,
    has_begun: bool,
    /// Names of tools whose input is a text of a free form.
    free_form: BTreeSet<String>,
    /// By index.
    calls: Vec<Call>,
}

/// A call that has begun.
#[derive(Debug)]
struct Call {
    id: ToolCallId,
    /// Arguments were streamed.
    has_arguments: bool,
    /// What takes the text out of them, if it is of a free form.
    input: Option<Input>,
}

/// Behind the delta of a chunk that is not the last one.
const GOES_ON: &str = ",\"logprobs\":null,\"finish_reason\":null}]";

impl Stream {
    pub(super) fn new(answering: Answering) -> Self {
        let head = json!({
            "id": answering.id,
            "object": "chat.completion.chunk",
            "created": answering.created_unix_s,
            "model": answering.model,
        });
        let head = head.to_string();
        let open = head.strip_suffix('}').unwrap_or(&head);
        Self {
            out: Out::default(),
            head: format!("data: {open},\"choices\":["),
            // Whoever wants usage is told in each chunk that it is yet to come.
            tail: if answering.wants_usage {
                ",\"usage\":null}\n\n"
            } else {
                "}\n\n"
            },
            wants_usage: answering.wants_usage,
            has_begun: false,
            free_form: answering.free_form,
            calls: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Bytes {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.delta(&json!({ "role": "assistant", "content": "", "refusal": null }));
        }
        match event {
            Event::Started(_) | Event::ReasoningDone(_) | Event::Failed(_) => {}
            Event::TextDelta(text) => self.text("{\"content\":", text),
            Event::ReasoningDelta(text) => self.text("{\"reasoning_content\":", text),
            Event::ToolCallDelta(delta) => self.call(&delta.tool_call_id, &delta.tool_name, &delta.arguments),
            Event::Part(part) => self.part(part),
            Event::Finished(finished) => self.finished(finished),
        }
        self.out.take()
    }

    /// The one piece of nearly all chunks.
    fn text(&mut self, field: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin();
        self.out.raw(field);
        self.out.json(text);
        self.out.raw("}");
        self.go_on();
    }

    fn delta(&mut self, delta: &Value) {
        self.begin();
        self.out.json(delta);
        self.go_on();
    }

    fn begin(&mut self) {
        self.out.raw(&self.head);
        self.out.raw("{\"index\":0,\"delta\":");
    }

    fn go_on(&mut self) {
        self.out.raw(GOES_ON);
        self.out.raw(self.tail);
    }

    fn call(&mut self, id: &ToolCallId, name: &str, arguments: &str) {
        let (index, is_new) = match self.place(id) {
            Some(index) => (index, false),
            None => {
                self.calls.push(Call {
                    id: id.clone(),
                    has_arguments: false,
                    input: self.free_form.contains(name).then(Input::default),
                });
                (self.calls.len() - 1, true)
            }
        };
        let call = &mut self.calls[index];
        call.has_arguments |= !arguments.is_empty();
        let (kind, field, more) = match &mut call.input {
            Some(input) => ("custom", "input", Cow::Owned(input.push(arguments))),
            None => ("function", "arguments", Cow::Borrowed(arguments)),
        };
        let call = if is_new {
            json!({ "index": index, "id": id.as_str(), "type": kind, kind: { "name": name, field: more } })
        } else if more.is_empty() {
            return;
        } else {
            json!({ "index": index, kind: { field: more } })
        };
        self.delta(&json!({ "tool_calls": [call] }));
    }

    fn place(&self, id: &ToolCallId) -> Option<usize> {
        self.calls.iter().rposition(|call| call.id == *id)
    }

    /// No more of a call comes: what is left of a text of a free form goes out.
    fn complete(&mut self, index: usize) {
        let input = self.calls.get_mut(index).and_then(|call| call.input.as_mut());
        let rest = input.map(Input::finish).unwrap_or_default();
        if !rest.is_empty() {
            self.delta(&json!({ "tool_calls": [{ "index": index, "custom": { "input": rest } }] }));
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::ToolCall(call) if !call.provider_executed => {
                let id = &call.tool_call_id;
                if !self.calls.iter().any(|known| known.has_arguments && known.id == *id) {
                    let arguments = Value::Object(call.arguments()).to_string();
                    self.call(id, &call.tool_name, &arguments);
                }
                if let Some(index) = self.place(id) {
                    self.complete(index);
                }
            }
            Part::Source(source) => self.delta(&json!({ "annotations": [annotation(source)] })),
            Part::File(file) => self.text("{\"content\":", &shown(file)),
            Part::Text(text) => self.text("{\"content\":", &text.text),
            // What a vendor ran itself is none of the client's tools; the rest is nothing a model answers with.
            Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Reasoning(_)
            | Part::FileReference(_)
            | Part::ContextFile(_)
            | Part::Skill(_) => {}
        }
    }

    fn finished(&mut self, finished: &Finished) {
        for index in 0..self.calls.len() {
            self.complete(index);
        }
        self.begin();
        self.out.raw("{},\"logprobs\":null,\"finish_reason\":");
        self.out.json(reason(finished.reason));
        self.out.raw("}]");
        self.out.raw(self.tail);
        if let Some(usage) = usage::chat(&finished.usage).filter(|_| self.wants_usage) {
            self.out.raw(&self.head);
            self.out.raw("],\"usage\":");
            self.out.json(&usage);
            self.out.raw("}\n\n");
        }
    }
}

/// An answer as one document.
#[derive(Debug)]
pub(super) struct Document {
    head: Map<String, Value>,
    /// Names of tools whose input is a text of a free form.
    free_form: BTreeSet<String>,
    sequence: Sequence,
    whole: Whole,
    finish: Option<(FinishReason, Usage)>,
}

impl Document {
    pub(super) fn new(answering: Answering) -> Self {
        let head = [
            ("id", Value::from(answering.id)),
            ("object", Value::from("chat.completion")),
            ("created", Value::from(answering.created_unix_s)),
            ("model", Value::from(answering.model)),
        ];
        Self {
            head: head.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            free_form: answering.free_form,
            sequence: Sequence::default(),
            whole: Whole::default(),
            finish: None,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let whole = &mut self.whole;
        if let Event::Finished(finished) = event {
            self.finish = Some((finished.reason, finished.usage));
            self.sequence.finish(&mut |step| whole.take(&step));
        } else {
            self.sequence.push(event, &mut |step| whole.take(&step));
        }
    }

    /// The document; nothing if it failed.
    pub(super) fn finish(self) -> Bytes {
        let Some((finish, usage)) = self.finish else {
            return Bytes::new();
        };
        let (mut content, mut thoughts) = (String::new(), String::new());
        let (mut calls, mut annotations) = (Vec::new(), Vec::new());
        for block in self.whole.blocks {
            match block {
                Block::Text { text, sources } => {
                    content.push_str(&text);
                    annotations.extend(sources.iter().map(annotation));
                }
                Block::Reasoning(part) => thoughts.push_str(&part.text),
                Block::Call { id, name, arguments } if self.free_form.contains(&name) => {
                    let custom = json!({ "name": name, "input": free_form::input(&arguments) });
                    calls.push(json!({ "id": id, "type": "custom", "custom": custom }));
                }
                Block::Call { id, name, arguments } => {
                    let function = json!({ "name": name, "arguments": arguments });
                    calls.push(json!({ "id": id, "type": "function", "function": function }));
                }
                Block::Searched { .. } => {}
            }
        }
        let content = Some(content).filter(|content| !content.is_empty() || calls.is_empty());
        let mut message =
            json!({ "role": "assistant", "content": content, "refusal": null, "annotations": annotations });
        if !thoughts.is_empty() {
            message["reasoning_content"] = thoughts.into();
        }
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let mut document = self.head;
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": reason(finish) });
        document.insert("choices".to_owned(), json!([choice]));
        if let Some(usage) = usage::chat(&usage) {
            document.insert("usage".to_owned(), usage);
        }
        Bytes::from(Value::Object(document).to_string())
    }
}

fn annotation(source: &SourcePart) -> Value {
    let citation = json!({ "url": source.url, "title": source.title, "start_index": 0, "end_index": 0 });
    json!({ "type": "url_citation", "url_citation": citation })
}

fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}
