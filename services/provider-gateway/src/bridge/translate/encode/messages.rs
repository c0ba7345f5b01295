//! A Messages answer: blocks, each of one start, additions and one stop.

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
    whole::{Block, Whole, sources},
};
use crate::{bridge::translate::sealed, completion::Event};

/// An answer as events.
#[derive(Debug)]
pub(super) struct Stream {
    answering: Answering,
    sequence: Sequence,
    writer: Writer,
    has_begun: bool,
}

/// Writes blocks.
#[derive(Debug, Default)]
struct Writer {
    out: Out,
    /// Of the block that has begun, or comes next.
    index: usize,
    /// An addition to the block that has begun, up to what is added.
    head: String,
}

impl Stream {
    pub(super) fn new(answering: Answering) -> Self {
        Self {
            answering,
            sequence: Sequence::default(),
            writer: Writer::default(),
            has_begun: false,
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Bytes {
        let writer = &mut self.writer;
        if !std::mem::replace(&mut self.has_begun, true) {
            let mut message = head(&self.answering);
            message["usage"] = usage::messages(&Usage::default());
            writer.event("message_start", json!({ "message": message }));
        }
        if let Event::Finished(finished) = event {
            self.sequence.finish(&mut |step| writer.take(&step));
            let delta = json!({ "stop_reason": reason(finished.reason), "stop_sequence": null });
            let usage = usage::messages(&finished.usage);
            writer.event("message_delta", json!({ "delta": delta, "usage": usage }));
            writer.event("message_stop", json!({}));
        } else {
            self.sequence.push(event, &mut |step| writer.take(&step));
        }
        writer.out.take()
    }
}

impl Writer {
    fn take(&mut self, step: &Step<'_>) {
        match step {
            Step::Text => {
                self.start(&json!({ "type": "text", "text": "" }));
                self.adds("text_delta", "text");
            }
            Step::Reasoning => {
                self.start(&thinking(&ReasoningPart::default()));
                self.adds("thinking_delta", "thinking");
            }
            Step::Call { id, name } => {
                self.start(&json!({ "type": "tool_use", "id": id.as_str(), "name": name, "input": {} }));
                self.adds("input_json_delta", "partial_json");
            }
            Step::Add(text) => {
                self.out.raw(&self.head);
                self.out.json(*text);
                self.out.raw("}}\n\n");
            }
            Step::Cite(source) => self.delta(&json!({ "type": "citations_delta", "citation": citation(source) })),
            Step::End(done) => {
                self.sign(done.map(sealed::seal).unwrap_or_default());
                self.stop();
            }
            Step::Hidden(part) => match hidden(part) {
                redacted @ Value::Object(_) if redacted["type"] == "redacted_thinking" => self.whole(&redacted),
                _ => {
                    self.start(&thinking(&ReasoningPart::default()));
                    self.sign(sealed::seal(part));
                    self.stop();
                }
            },
            Step::Searched { call, result } => {
                let [mut asked, found] = searched(call, result);
                let input = std::mem::replace(&mut asked["input"], json!({}));
                self.start(&asked);
                self.delta(&json!({ "type": "input_json_delta", "partial_json": input.to_string() }));
                self.stop();
                self.whole(&found);
            }
        }
    }

    fn event(&mut self, kind: &str, mut fields: Value) {
        fields["type"] = kind.into();
        self.out.named(kind, &fields);
    }

    fn start(&mut self, block: &Value) {
        self.event(
            "content_block_start",
            json!({ "index": self.index, "content_block": block }),
        );
    }

    /// What additions to the block look like.
    fn adds(&mut self, kind: &str, field: &str) {
        let index = self.index;
        self.head = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\
             \"delta\":{{\"type\":\"{kind}\",\"{field}\":"
        );
    }

    fn delta(&mut self, delta: &Value) {
        self.event("content_block_delta", json!({ "index": self.index, "delta": delta }));
    }

    fn sign(&mut self, proof: String) {
        if !proof.is_empty() {
            self.delta(&json!({ "type": "signature_delta", "signature": proof }));
        }
    }

    fn stop(&mut self) {
        self.event("content_block_stop", json!({ "index": self.index }));
        self.index += 1;
    }

    fn whole(&mut self, block: &Value) {
        self.start(block);
        self.stop();
    }
}

/// An answer as one document.
#[derive(Debug)]
pub(super) struct Document {
    answering: Answering,
    sequence: Sequence,
    whole: Whole,
    finish: Option<(FinishReason, Usage)>,
}

impl Document {
    pub(super) fn new(answering: Answering) -> Self {
        Self {
            answering,
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
        let mut message = head(&self.answering);
        message["content"] = self.whole.blocks.iter().flat_map(blocks).collect();
        message["stop_reason"] = reason(finish).into();
        message["usage"] = usage::messages(&usage);
        Bytes::from(message.to_string())
    }
}

fn head(answering: &Answering) -> Value {
    json!({
        "id": answering.id,
        "type": "message",
        "role": "assistant",
        "model": answering.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn blocks(block: &Block) -> Vec<Value> {
    match block {
        Block::Text { text, sources } if sources.is_empty() => {
            vec![json!({ "type": "text", "text": text, "citations": null })]
        }
        Block::Text { text, sources } => {
            let citations: Vec<Value> = sources.iter().map(citation).collect();
            vec![json!({ "type": "text", "text": text, "citations": citations })]
        }
        Block::Reasoning(part) => vec![hidden(part)],
        Block::Call { id, name, arguments } => {
            let input: Option<serde_json::Map<String, Value>> = serde_json::from_str(arguments).ok();
            vec![json!({ "type": "tool_use", "id": id, "name": name, "input": input.unwrap_or_default() })]
        }
        Block::Searched { call, result } => searched(call, result).into(),
    }
}

/// Thinking as a block. What has neither text nor signature is something only its vendor can read.
fn hidden(part: &ReasoningPart) -> Value {
    if part.text.is_empty() && part.signature.is_empty() {
        return json!({ "type": "redacted_thinking", "data": sealed::seal(part) });
    }
    thinking(part)
}

fn thinking(part: &ReasoningPart) -> Value {
    json!({ "type": "thinking", "thinking": part.text, "signature": sealed::seal(part) })
}

fn citation(source: &SourcePart) -> Value {
    json!({
        "type": "web_search_result_location",
        "url": source.url,
        "title": source.title,
        "cited_text": "",
        "encrypted_index": "",
    })
}

/// A search as its call and what it found: as the vendor of this dialect told it, or made of its sources.
fn searched(call: &ToolCallPart, result: &ToolResultPart) -> [Value; 2] {
    let id = call.tool_call_id.as_str();
    let native = result
        .provider_metadata
        .get("anthropic")
        .and_then(|own| own.get("content"));
    let content = native.cloned().unwrap_or_else(|| {
        let found = |(url, title)| json!({ "type": "web_search_result", "url": url, "title": title, "encrypted_content": "", "page_age": null });
        sources(result).into_iter().map(found).collect()
    });
    [
        json!({ "type": "server_tool_use", "id": id, "name": call.tool_name, "input": call.arguments() }),
        json!({ "type": "web_search_tool_result", "tool_use_id": id, "content": content }),
    ]
}

fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}
