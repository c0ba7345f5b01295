//! Scripted replies as the vendor's chunks, or as one answer where no stream is asked for.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        render::{self as common, Context, Response, Step, plain, split},
        reply::{Item, Reply, Usage},
        wire::{self, VendorError},
    },
    call_text, error, error_value, is_third, signature,
};

/// The response for an accepted request.
pub(in super::super) fn reply(context: &Context, reply: &Reply) -> Response {
    let mut response = if let Some(failure) = &reply.failure {
        let mut said = VendorError::scripted(failure, &context.model);
        if failure.message.is_none() && failure.status == 503 {
            said.message = "The model is overloaded. Please try again later.".to_owned();
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

fn finish_reason(reply: &Reply) -> &str {
    match reply.finish.as_deref() {
        Some("stop" | "tool_calls") | None => "STOP",
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        Some(other) => other,
    }
}

/// What was measured; before the end, of the prompt only.
fn usage(counted: &Usage, is_end: bool) -> Value {
    let mut told = json!({ "promptTokenCount": counted.prompt_tokens, "totalTokenCount": counted.prompt_tokens });
    if is_end {
        told["candidatesTokenCount"] = json!(counted.completion_tokens.saturating_sub(counted.reasoning_tokens));
        told["totalTokenCount"] = json!(counted.prompt_tokens.saturating_add(counted.completion_tokens));
        for (name, count) in [
            ("thoughtsTokenCount", counted.reasoning_tokens),
            ("cachedContentTokenCount", counted.cached_tokens),
        ] {
            if count != 0 {
                told[name] = json!(count);
            }
        }
    }
    told
}

fn chunk(context: &Context, parts: &[Value], counted: &Usage, reason: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate], "usageMetadata": usage(counted, reason.is_some()), "modelVersion": context.model,
        "responseId": wire::letters(context.number, 20),
    })
}

/// The parts of a reply, each with the tokens it carries, and the pauses among them.
enum Piece<'a> {
    Part(Value, u64),
    Wait(&'a Item),
}

/// The third generation signs the first call of an answer, or, behind everything, what was said.
fn pieces<'a>(context: &Context, reply: &'a Reply) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut said = String::new();
    let mut calls = 0;
    for item in &reply.items {
        match item {
            Item::Text { text, tokens } => {
                said.push_str(text);
                pieces.extend(
                    split(text, *tokens)
                        .into_iter()
                        .map(|piece| Piece::Part(json!({ "text": piece }), 1)),
                );
            }
            Item::Reasoning { text, tokens } => {
                let thought = |piece| Piece::Part(json!({ "text": piece, "thought": true }), 1);
                pieces.extend(split(text, *tokens).into_iter().map(thought));
            }
            Item::ToolCall { id, name, arguments } => {
                let id = id
                    .clone()
                    .unwrap_or_else(|| wire::letters(context.number * 1000 + calls, 8));
                let args: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                let (name, calls_before) = (json!(name), calls);
                let mut part = json!({ "functionCall": { "name": name, "args": args, "id": id } });
                if calls_before == 0 && is_third(&context.model) {
                    part["thoughtSignature"] = json!(signature(&context.model, &call_text(&name, &args)));
                }
                pieces.push(Piece::Part(part, 1));
                calls += 1;
            }
            wait @ (Item::Gate(_) | Item::Pause(_)) => pieces.push(Piece::Wait(wait)),
        }
    }
    if calls == 0 && !said.is_empty() && is_third(&context.model) {
        let proof = signature(&context.model, &said);
        pieces.push(Piece::Part(json!({ "text": "", "thoughtSignature": proof }), 0));
    }
    pieces
}

fn stream(context: &Context, reply: &Reply) -> Response {
    let counted = common::usage(context, reply);
    let mut body = Vec::new();
    let mut steps = Vec::new();
    let limit = reply
        .error_event
        .as_ref()
        .map_or(usize::MAX, |error| error.after_chunks);
    let mut pieces = pieces(context, reply);
    // The end comes with the last part.
    let last = match pieces.last() {
        Some(Piece::Part(..)) => pieces.pop(),
        Some(Piece::Wait(_)) | None => None,
    };
    let (end, end_tokens) = match last {
        Some(Piece::Part(part, tokens)) => (part, tokens),
        Some(Piece::Wait(_)) | None => (json!({ "text": "" }), 0),
    };
    let mut count = 0;
    let mut put = |value: &Value, tokens: u64, count: usize, steps: &mut Vec<Step>| {
        if count > 0 && reply.pace.between_ms > 0 {
            steps.push(Step::Pause(Duration::from_millis(reply.pace.between_ms)));
        }
        body.extend(format!("data: {value}\r\n\r\n").into_bytes());
        let end = body.len();
        steps.push(Step::Send { end, tokens });
    };
    for piece in &pieces {
        if count >= limit {
            break;
        }
        match piece {
            Piece::Part(part, tokens) => {
                put(
                    &chunk(context, std::slice::from_ref(part), &counted, None),
                    *tokens,
                    count,
                    &mut steps,
                );
                count += 1;
            }
            Piece::Wait(Item::Gate(name)) => steps.push(Step::Gate(name.clone())),
            Piece::Wait(Item::Pause(ms)) => steps.push(Step::Pause(Duration::from_millis(*ms))),
            Piece::Wait(_) => {}
        }
    }
    match reply.error_event.as_ref().filter(|_| count >= limit) {
        Some(event) => {
            let status = if event.code.starts_with("overloaded") { 503 } else { 500 };
            let error = VendorError::of_code(&event.code, status, &context.model);
            put(&error_value(&error), 0, count, &mut steps);
        }
        None => {
            let end = chunk(context, &[end], &counted, Some(finish_reason(reply)));
            put(&end, end_tokens, count, &mut steps);
        }
    }
    Response {
        headers: wire::headers(context.number, "text/event-stream"),
        body: Bytes::from(body),
        steps,
        sized: false,
        usage: counted,
        ..plain(context.number, wire::EVENT_STREAM, Vec::new())
    }
}

fn whole(context: &Context, reply: &Reply) -> Response {
    let counted = common::usage(context, reply);
    let pieces = pieces(context, reply).into_iter();
    let parts: Vec<Value> = pieces
        .filter_map(|piece| match piece {
            Piece::Part(part, _) => Some(part),
            Piece::Wait(_) => None,
        })
        .collect();
    let answer = chunk(context, &parts, &counted, Some(finish_reason(reply)));
    let body = wire::pretty(&answer, b"  ");
    let tokens = u64::try_from(counted.completion_tokens).unwrap_or(0);
    let end = body.len();
    Response {
        steps: vec![Step::Send { end, tokens }],
        usage: counted,
        ..plain(context.number, wire::JSON, body)
    }
}
