//! Scripted replies as the vendor's events, or as one message where no stream is asked for.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        render::{self as common, ARGUMENT_DELTA_CHARS, Context, Response, Step, pieces, plain, split},
        reply::{Item, Reply, Usage},
        wire::{self, VendorError},
    },
    error, error_value, signature,
};

/// The response for an accepted request.
pub(in super::super) fn reply(context: &Context, reply: &Reply) -> Response {
    let mut response = if let Some(failure) = &reply.failure {
        let mut said = VendorError::scripted(failure, &context.model);
        if failure.message.is_none() && failure.status == 529 {
            said.message = "Overloaded".to_owned();
        }
        error(context.number, &said)
    } else if let Some(raw) = &reply.raw {
        plain(context.number, &raw.content_type, raw.body.clone())
    } else if context.stream {
        stream(context, reply)
    } else {
        whole(context, reply)
    };
    common::afflict(&mut response, reply);
    response
}

/// Items that make one block, with the pauses among them.
struct Block<'a> {
    items: Vec<&'a Item>,
}

/// What kind of block an item belongs to; pauses belong to the one they interrupt.
fn kind(item: &Item) -> Option<&'static str> {
    match item {
        Item::Text { .. } => Some("text"),
        Item::Reasoning { .. } => Some("thinking"),
        Item::ToolCall { .. } => Some("tool_use"),
        Item::Gate(_) | Item::Pause(_) => None,
    }
}

/// Neighbouring texts are one block, as are neighbouring thoughts; every call is its own.
fn blocks(reply: &Reply) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut last = None;
    for item in &reply.items {
        let kind = kind(item);
        let goes_on = kind.is_none() || (kind == last && kind != Some("tool_use"));
        match blocks.last_mut() {
            Some(block) if goes_on => block.items.push(item),
            Some(_) | None => blocks.push(Block { items: vec![item] }),
        }
        last = kind.or(last);
    }
    blocks
}

fn stop_reason(reply: &Reply) -> &str {
    let has_calls = reply.items.iter().any(|item| matches!(item, Item::ToolCall { .. }));
    match reply.finish.as_deref() {
        Some("stop") => "end_turn",
        Some("length") => "max_tokens",
        Some("tool_calls") => "tool_use",
        Some("content_filter") => "refusal",
        Some(other) => other,
        None if has_calls => "tool_use",
        None => "end_turn",
    }
}

fn usage(counted: &Usage, output_tokens: i64) -> Value {
    json!({
        "input_tokens": counted.prompt_tokens - counted.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counted.cached_tokens,
        "output_tokens": output_tokens,
    })
}

fn message_id(number: u64) -> String {
    format!("msg_{}", wire::letters(number, 24))
}

fn call_id(number: u64, index: usize) -> String {
    format!(
        "toolu_{}",
        wire::letters(number.wrapping_mul(1000).wrapping_add(index as u64), 22)
    )
}

/// An answer on its way.
struct Timeline<'a> {
    reply: &'a Reply,
    body: Vec<u8>,
    steps: Vec<Step>,
    events: usize,
}

impl Timeline<'_> {
    fn is_cut_short(&self) -> bool {
        let error = self.reply.error_event.as_ref();
        error.is_some_and(|error| self.events >= error.after_chunks)
    }

    /// One event, unless an error has taken the place of the rest.
    fn event(&mut self, value: &Value, tokens: u64) {
        if self.is_cut_short() {
            return;
        }
        if self.events > 0 && self.reply.pace.between_ms > 0 && tokens > 0 {
            self.steps
                .push(Step::Pause(Duration::from_millis(self.reply.pace.between_ms)));
        }
        self.put(value);
        self.events += 1;
        self.steps.push(Step::Send {
            end: self.body.len(),
            tokens,
        });
    }

    fn put(&mut self, value: &Value) {
        let name = value["type"].as_str().unwrap_or_default();
        self.body
            .extend(format!("event: {name}\ndata: {value}\n\n").into_bytes());
    }

    fn delta(&mut self, index: usize, delta: &Value) {
        self.event(
            &json!({ "type": "content_block_delta", "index": index, "delta": delta }),
            1,
        );
    }

    fn wait(&mut self, item: &Item) {
        match item {
            Item::Gate(name) if !self.is_cut_short() => self.steps.push(Step::Gate(name.clone())),
            Item::Pause(ms) => self.steps.push(Step::Pause(Duration::from_millis(*ms))),
            Item::Gate(_) | Item::Text { .. } | Item::Reasoning { .. } | Item::ToolCall { .. } => {}
        }
    }
}

fn stream(context: &Context, reply: &Reply) -> Response {
    let counted = common::usage(context, reply);
    let mut timeline = Timeline {
        reply,
        body: Vec::new(),
        steps: Vec::new(),
        events: 0,
    };
    let message = json!({
        "id": message_id(context.number), "type": "message", "role": "assistant", "model": context.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage(&counted, 1),
    });
    timeline.event(&json!({ "type": "message_start", "message": message }), 0);
    let mut index = 0;
    for block in blocks(reply) {
        let Some(kind) = block.items.iter().find_map(|item| kind(item)) else {
            block.items.iter().for_each(|item| timeline.wait(item));
            continue;
        };
        stream_block(context, kind, index, &block, &mut timeline);
        index += 1;
    }
    let delta = json!({ "stop_reason": stop_reason(reply), "stop_sequence": null });
    let told = usage(&counted, counted.completion_tokens);
    timeline.event(&json!({ "type": "message_delta", "delta": delta, "usage": told }), 0);
    if !reply.no_done {
        timeline.event(&json!({ "type": "message_stop" }), 0);
    }
    if let Some(event) = reply.error_event.as_ref().filter(|_| timeline.is_cut_short()) {
        let status = if event.code.starts_with("overloaded") { 529 } else { 500 };
        let error = VendorError::of_code(&event.code, status, &context.model);
        timeline.put(&error_value(context.number, &error));
        timeline.steps.push(Step::Send {
            end: timeline.body.len(),
            tokens: 0,
        });
    }
    Response {
        headers: wire::headers(context.number, wire::EVENT_STREAM),
        body: Bytes::from(timeline.body),
        steps: timeline.steps,
        sized: false,
        usage: counted,
        ..plain(context.number, wire::EVENT_STREAM, Vec::new())
    }
}

fn stream_block(context: &Context, kind: &str, index: usize, block: &Block<'_>, timeline: &mut Timeline<'_>) {
    let begins = match kind {
        "thinking" => json!({ "type": kind, "thinking": "", "signature": "" }),
        "tool_use" => called(context, index, block, false),
        _ => json!({ "type": kind, "text": "" }),
    };
    let is_first = timeline.events == 1;
    timeline.event(
        &json!({ "type": "content_block_start", "index": index, "content_block": begins }),
        0,
    );
    if is_first {
        timeline.event(&json!({ "type": "ping" }), 0);
    }
    for item in &block.items {
        match item {
            Item::Text { text, tokens } => {
                for piece in split(text, *tokens) {
                    timeline.delta(index, &json!({ "type": "text_delta", "text": piece }));
                }
            }
            Item::Reasoning { text, tokens } => {
                for piece in split(text, *tokens) {
                    timeline.delta(index, &json!({ "type": "thinking_delta", "thinking": piece }));
                }
            }
            Item::ToolCall { arguments, .. } => {
                timeline.delta(index, &json!({ "type": "input_json_delta", "partial_json": "" }));
                for piece in pieces(arguments, ARGUMENT_DELTA_CHARS) {
                    timeline.delta(index, &json!({ "type": "input_json_delta", "partial_json": piece }));
                }
            }
            wait => timeline.wait(wait),
        }
    }
    if kind == "thinking" {
        let proof = signature(&context.model, &thought(block));
        timeline.delta(index, &json!({ "type": "signature_delta", "signature": proof }));
    }
    timeline.event(&json!({ "type": "content_block_stop", "index": index }), 0);
}

fn thought(block: &Block<'_>) -> String {
    let text = |item: &&Item| match item {
        Item::Reasoning { text, .. } | Item::Text { text, .. } => Some(text.clone()),
        Item::ToolCall { .. } | Item::Gate(_) | Item::Pause(_) => None,
    };
    block.items.iter().filter_map(text).collect()
}

/// A call's block; streamed ones begin without arguments.
fn called(context: &Context, index: usize, block: &Block<'_>, is_whole: bool) -> Value {
    let call = block.items.iter().find_map(|item| match item {
        Item::ToolCall { id, name, arguments } => Some((id, name, arguments)),
        _ => None,
    });
    let Some((id, name, arguments)) = call else {
        return Value::Null;
    };
    let id = id.clone().unwrap_or_else(|| call_id(context.number, index));
    let input = match is_whole {
        true => serde_json::from_str(arguments).unwrap_or_else(|_| json!({})),
        false => json!({}),
    };
    json!({ "type": "tool_use", "id": id, "name": name, "input": input })
}

fn whole(context: &Context, reply: &Reply) -> Response {
    let counted = common::usage(context, reply);
    let block = |(index, block): (usize, &Block<'_>)| {
        let kind = block.items.iter().find_map(|item| kind(item))?;
        Some(match kind {
            "thinking" => {
                let thinking = thought(block);
                let proof = signature(&context.model, &thinking);
                json!({ "type": kind, "thinking": thinking, "signature": proof })
            }
            "tool_use" => called(context, index, block, true),
            _ => json!({ "type": kind, "text": thought(block) }),
        })
    };
    let content: Vec<Value> = blocks(reply).iter().enumerate().filter_map(block).collect();
    let message = json!({
        "id": message_id(context.number), "type": "message", "role": "assistant", "model": context.model, "content": content,
        "stop_reason": stop_reason(reply), "stop_sequence": null, "usage": usage(&counted, counted.completion_tokens),
    });
    let tokens = u64::try_from(counted.completion_tokens).unwrap_or(0);
    let body = message.to_string().into_bytes();
    let end = body.len();
    Response {
        steps: vec![Step::Send { end, tokens }],
        usage: counted,
        ..plain(context.number, wire::JSON, body)
    }
}
