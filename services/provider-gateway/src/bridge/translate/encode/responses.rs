//! A Responses answer: items, each told as it begins, as it grows and when it is complete; the last event has them all.

use bytes::Bytes;
use serde_json::{Value, json};
use tandem_chat_core::{
    message::Usage,
    part::{ReasoningPart, SourcePart, ToolCallPart, ToolResultPart},
};
use tandem_protocols::call::FinishReason;

use super::{
    Answering,
    out::Out,
    sequence::{Sequence, Step},
    usage,
    whole::sources,
};
use crate::{
    bridge::translate::{free_form::Input, sealed},
    completion::Event,
};

/// An answer, streamed or not.
#[derive(Debug)]
pub(super) struct Response {
    sequence: Sequence,
    writer: Writer,
    has_begun: bool,
}

/// Writes items.
#[derive(Debug)]
struct Writer {
    answering: Answering,
    /// The part of the answer's id that is its own.
    own_id: String,
    out: Out,
    sequence_number: u64,
    /// Items that are complete.
    items: Vec<Value>,
    open: Option<Open>,
    /// The whole response, once it has ended.
    document: Option<Value>,
}

/// An item that has begun.
#[derive(Debug)]
struct Open {
    id: String,
    kind: Kind,
    text: String,
    annotations: Vec<Value>,
}

#[derive(Debug)]
enum Kind {
    Message,
    Reasoning,
    Call {
        call_id: String,
        name: String,
    },
    /// Of a tool whose input is a text of a free form.
    Custom {
        call_id: String,
        name: String,
        input: Input,
    },
}

impl Response {
    pub(super) fn new(answering: Answering) -> Self {
        let own_id = answering
            .id
            .split_once(['_', '-'])
            .map_or(answering.id.as_str(), |(_, own)| own);
        Self {
            sequence: Sequence::default(),
            writer: Writer {
                own_id: own_id.to_owned(),
                answering,
                out: Out::default(),
                sequence_number: 0,
                items: Vec::new(),
                open: None,
                document: None,
            },
            has_begun: false,
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Bytes {
        self.begin();
        let writer = &mut self.writer;
        if let Event::Finished(finished) = event {
            self.sequence.finish(&mut |step| writer.take(&step));
            writer.finished(finished.reason, &finished.usage);
        } else {
            self.sequence.push(event, &mut |step| writer.take(&step));
        }
        writer.out.take()
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            for kind in ["response.created", "response.in_progress"] {
                let response = self.writer.response("in_progress");
                self.writer.event(kind, json!({ "response": response }));
            }
        }
    }

    /// The failure as the last event.
    ///
    /// * `body`: the error as the vendor's family writes it.
    pub(super) fn failed(&mut self, body: &Value) -> Bytes {
        self.begin();
        let code = body["error"]["code"].as_str().unwrap_or("server_error");
        let mut response = self.writer.response("failed");
        response["error"] = json!({ "code": code, "message": body["error"]["message"] });
        self.writer.event("response.failed", json!({ "response": response }));
        self.writer.out.take()
    }

    /// The whole response where it was not streamed; else nothing.
    pub(super) fn finish(self) -> Bytes {
        let document = self.writer.document.filter(|_| !self.writer.answering.is_stream);
        document
            .map(|document| Bytes::from(document.to_string()))
            .unwrap_or_default()
    }
}

impl Writer {
    fn take(&mut self, step: &Step<'_>) {
        match step {
            Step::Text => self.begin("msg", Kind::Message),
            Step::Reasoning => self.begin("rs", Kind::Reasoning),
            Step::Call { id, name } => {
                let (call_id, name) = (id.to_string(), (*name).to_owned());
                if self.answering.free_form.contains(&name) {
                    let input = Input::default();
                    self.begin("ctc", Kind::Custom { call_id, name, input });
                } else {
                    self.begin("fc", Kind::Call { call_id, name });
                }
            }
            Step::Add(text) => self.add(text),
            Step::Cite(source) => self.cite(source),
            Step::End(done) => self.end(done.map(sealed::seal).unwrap_or_default()),
            Step::Hidden(part) => self.hidden(part),
            Step::Searched { call, result } => self.searched(call, result),
        }
    }

    /// Writes an event; nothing where the answer is not streamed.
    fn event(&mut self, kind: &str, mut fields: Value) {
        if self.answering.is_stream {
            fields["type"] = kind.into();
            fields["sequence_number"] = self.sequence_number.into();
            self.sequence_number += 1;
            self.out.named(kind, &fields);
        }
    }

    /// Writes an event about the item that has begun.
    fn about(&mut self, kind: &str, mut fields: Value) {
        if let Some(open) = &self.open {
            fields["item_id"] = open.id.as_str().into();
            fields["output_index"] = self.items.len().into();
            self.event(kind, fields);
        }
    }

    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.own_id, self.items.len())
    }

    fn begin(&mut self, prefix: &str, kind: Kind) {
        let open = Open {
            id: self.item_id(prefix),
            kind,
            text: String::new(),
            annotations: Vec::new(),
        };
        let item = open.item("in_progress", "");
        self.event(
            "response.output_item.added",
            json!({ "output_index": self.items.len(), "item": item }),
        );
        match open.kind {
            Kind::Message => {
                self.open = Some(open);
                let part = json!({ "type": "output_text", "text": "", "annotations": [], "logprobs": [] });
                self.about(
                    "response.content_part.added",
                    json!({ "content_index": 0, "part": part }),
                );
            }
            Kind::Reasoning => {
                self.open = Some(open);
                let part = json!({ "type": "summary_text", "text": "" });
                let fields = json!({ "summary_index": 0, "part": part });
                self.about("response.reasoning_summary_part.added", fields);
            }
            Kind::Call { .. } | Kind::Custom { .. } => self.open = Some(open),
        }
    }

    fn add(&mut self, text: &str) {
        match &mut self.open {
            Some(Open {
                kind: Kind::Custom { input, .. },
                ..
            }) => {
                let text = input.push(text);
                self.grow(&text);
            }
            Some(_) | None => self.grow(text),
        }
    }

    /// The one event of nearly all: written by hand. Nothing where there is no text.
    fn grow(&mut self, text: &str) {
        let Some(open) = self.open.as_mut().filter(|_| !text.is_empty()) else {
            return;
        };
        open.text.push_str(text);
        if !self.answering.is_stream {
            return;
        }
        let (kind, place) = match open.kind {
            Kind::Message => ("response.output_text.delta", ",\"content_index\":0,\"logprobs\":[]"),
            Kind::Reasoning => ("response.reasoning_summary_text.delta", ",\"summary_index\":0"),
            Kind::Call { .. } => ("response.function_call_arguments.delta", ""),
            Kind::Custom { .. } => ("response.custom_tool_call_input.delta", ""),
        };
        let (id, index, number) = (&open.id, self.items.len(), self.sequence_number);
        self.sequence_number += 1;
        self.out.format(format_args!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number},\"item_id\":\"{id}\",\
             \"output_index\":{index}{place},\"delta\":"
        ));
        self.out.json(text);
        self.out.raw("}\n\n");
    }

    fn cite(&mut self, source: &SourcePart) {
        let Some(open) = &mut self.open else { return };
        let annotation = json!({
            "type": "url_citation",
            "url": source.url,
            "title": source.title,
            "start_index": 0,
            "end_index": 0,
        });
        let index = open.annotations.len();
        open.annotations.push(annotation.clone());
        let fields = json!({ "content_index": 0, "annotation_index": index, "annotation": annotation });
        self.about("response.output_text.annotation.added", fields);
    }

    /// The item that has begun is complete.
    ///
    /// * `proof`: of thinking.
    fn end(&mut self, proof: String) {
        if let Some(Open {
            kind: Kind::Custom { input, .. },
            ..
        }) = &mut self.open
        {
            let rest = input.finish();
            self.grow(&rest);
        }
        let Some(open) = &self.open else { return };
        let (text, item) = (Value::from(open.text.as_str()), open.item("completed", &proof));
        match &open.kind {
            Kind::Message => {
                let part = item["content"][0].clone();
                let done = json!({ "content_index": 0, "text": text, "logprobs": [] });
                self.about("response.output_text.done", done);
                self.about(
                    "response.content_part.done",
                    json!({ "content_index": 0, "part": part }),
                );
            }
            Kind::Reasoning => {
                let part = json!({ "type": "summary_text", "text": text });
                let done = json!({ "summary_index": 0, "text": text });
                self.about("response.reasoning_summary_text.done", done);
                let done = json!({ "summary_index": 0, "part": part });
                self.about("response.reasoning_summary_part.done", done);
            }
            Kind::Call { name, .. } => {
                let done = json!({ "arguments": text, "name": name });
                self.about("response.function_call_arguments.done", done);
            }
            Kind::Custom { .. } => self.about("response.custom_tool_call_input.done", json!({ "input": text })),
        }
        self.open = None;
        self.complete(item);
    }

    fn complete(&mut self, item: Value) {
        let done = json!({ "output_index": self.items.len(), "item": item });
        self.event("response.output_item.done", done);
        self.items.push(item);
    }

    fn whole(&mut self, item: Value) {
        let mut begins = item.clone();
        if begins["status"] == "completed" {
            begins["status"] = "in_progress".into();
        }
        let added = json!({ "output_index": self.items.len(), "item": begins });
        self.event("response.output_item.added", added);
        self.complete(item);
    }

    fn hidden(&mut self, part: &ReasoningPart) {
        let id = self.item_id("rs");
        self.whole(json!({
            "type": "reasoning",
            "id": id,
            "summary": [],
            "encrypted_content": sealed::seal(part),
        }));
    }

    fn searched(&mut self, call: &ToolCallPart, result: &ToolResultPart) {
        let mut action = Value::Object(call.arguments());
        if !action["type"].is_string() {
            action["type"] = "search".into();
        }
        let found = |(url, _): (&str, &str)| json!({ "type": "url", "url": url });
        action["sources"] = sources(result).into_iter().map(found).collect();
        let status = if result.is_error { "failed" } else { "completed" };
        let id = call.tool_call_id.as_str();
        self.whole(json!({ "type": "web_search_call", "id": id, "status": status, "action": action }));
    }

    fn finished(&mut self, reason: FinishReason, usage: &Usage) {
        let (status, why) = match reason {
            FinishReason::Stop | FinishReason::ToolCalls => ("completed", None),
            FinishReason::Length => ("incomplete", Some("max_output_tokens")),
            FinishReason::ContentFilter => ("incomplete", Some("content_filter")),
        };
        let mut response = self.response(status);
        response["usage"] = usage::responses(usage).unwrap_or_default();
        if let Some(why) = why {
            response["incomplete_details"] = json!({ "reason": why });
        }
        if self.answering.is_stream {
            self.event(&format!("response.{status}"), json!({ "response": response }));
        } else {
            self.document = Some(response);
        }
    }

    /// The response as far as it has come.
    fn response(&self, status: &str) -> Value {
        let output = if status == "in_progress" {
            &[]
        } else {
            self.items.as_slice()
        };
        json!({
            "id": self.answering.id,
            "object": "response",
            "created_at": self.answering.created_unix_s,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "instructions": null,
            "max_output_tokens": null,
            "metadata": {},
            "model": self.answering.model,
            "output": output,
            "parallel_tool_calls": !self.answering.is_serial,
            "previous_response_id": null,
            "reasoning": { "effort": null, "summary": null },
            "store": false,
            "temperature": null,
            "text": { "format": { "type": "text" } },
            "tool_choice": "auto",
            "tools": [],
            "top_p": null,
            "truncation": "disabled",
            "usage": null,
        })
    }
}

impl Open {
    /// The item as it looks now; while it is in progress it is empty.
    ///
    /// * `proof`: of thinking.
    fn item(&self, status: &str, proof: &str) -> Value {
        let is_done = status == "completed";
        match &self.kind {
            Kind::Message => {
                let part = json!({
                    "type": "output_text",
                    "text": self.text,
                    "annotations": self.annotations,
                    "logprobs": [],
                });
                let content: Vec<Value> = is_done.then_some(part).into_iter().collect();
                json!({ "type": "message", "id": self.id, "role": "assistant", "status": status, "content": content })
            }
            Kind::Reasoning => {
                let part = json!({ "type": "summary_text", "text": self.text });
                let summary: Vec<Value> = is_done.then_some(part).into_iter().collect();
                let mut item = json!({ "type": "reasoning", "id": self.id, "summary": summary });
                if !proof.is_empty() {
                    item["encrypted_content"] = proof.into();
                }
                item
            }
            Kind::Call { call_id, name } => json!({
                "type": "function_call",
                "id": self.id,
                "call_id": call_id,
                "name": name,
                "arguments": self.text,
                "status": status,
            }),
            Kind::Custom { call_id, name, .. } => json!({
                "type": "custom_tool_call",
                "id": self.id,
                "call_id": call_id,
                "name": name,
                "input": self.text,
                "status": status,
            }),
        }
    }
}
