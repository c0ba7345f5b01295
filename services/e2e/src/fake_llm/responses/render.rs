//! Scripted replies as the vendor's events, or as one response where no stream is asked for.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    super::{
        render::{self as common, ARGUMENT_DELTA_CHARS, Context, Response, Step, pieces, plain, split},
        reply::{Item, Reply, Usage},
        wire::{self, VendorError},
    },
    COMPUTER, PENDING, encrypted_reasoning,
};

/// The response for an accepted request.
pub(in super::super) fn reply(context: &Context, reply: &Reply) -> Response {
    let mut response = if let Some(failure) = &reply.failure {
        common::error(context.number, &VendorError::scripted(failure, &context.model))
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

/// What one output item is made of: its kind, and the script's items with the pauses among them.
struct Output<'a> {
    kind: Option<&'static str>,
    items: Vec<&'a Item>,
}

fn kind(item: &Item) -> Option<&'static str> {
    match item {
        Item::Text { .. } => Some("message"),
        Item::Reasoning { .. } => Some("reasoning"),
        Item::ToolCall { name, arguments, .. } if at_computer(name, arguments).is_some() => Some("computer_call"),
        Item::ToolCall { .. } => Some("function_call"),
        Item::Gate(_) | Item::Pause(_) => None,
    }
}

/// What a call asks for, if it is one of the vendor's tool for using a computer.
fn at_computer(name: &str, arguments: &str) -> Option<Map<String, Value>> {
    let Ok(Value::Object(arguments)) = serde_json::from_str(arguments) else {
        return None;
    };
    (name == COMPUTER && arguments.contains_key(PENDING)).then_some(arguments)
}

/// Neighbouring texts are one message, as are neighbouring thoughts; every call is its own item. Pauses belong to what they interrupt.
fn outputs(reply: &Reply) -> Vec<Output<'_>> {
    let mut outputs: Vec<Output<'_>> = Vec::new();
    for item in &reply.items {
        let kind = kind(item);
        match outputs.last_mut() {
            Some(last) if kind.is_none() => last.items.push(item),
            Some(last) if last.kind.is_none() || (last.kind == kind && !is_call(kind)) => {
                last.kind = kind;
                last.items.push(item);
            }
            Some(_) | None => outputs.push(Output {
                kind,
                items: vec![item],
            }),
        }
    }
    outputs
}

fn is_call(kind: Option<&str>) -> bool {
    matches!(kind, Some("function_call" | "computer_call"))
}

/// The item of an output, as far as it is known when it is `complete` or not.
fn item(context: &Context, index: usize, output: &Output<'_>, complete: bool) -> Value {
    let seed = context.number.wrapping_mul(1000).wrapping_add(index as u64);
    let suffix = wire::letters(seed, 32);
    let status = if complete { "completed" } else { "in_progress" };
    let words: String = output.items.iter().filter_map(|item| words(item)).collect();
    match output.kind {
        Some("reasoning") => {
            let id = format!("rs_{suffix}");
            let mut item = json!({ "id": id, "type": "reasoning", "summary": [] });
            if complete {
                item["summary"] = json!([{ "type": "summary_text", "text": words }]);
                item["encrypted_content"] = Value::from(encrypted_reasoning(&context.model, &id, &words));
            }
            item
        }
        Some(kind @ ("function_call" | "computer_call")) => {
            let call = output.items.iter().find_map(|item| match item {
                Item::ToolCall { id, name, arguments } => Some((id, name, arguments)),
                _ => None,
            });
            let Some((id, name, arguments)) = call else {
                return Value::Null;
            };
            let call_id = id.clone().unwrap_or_else(|| wire::call_id(context.number, index));
            if let Some(asked) = at_computer(name, arguments) {
                let mut item =
                    json!({ "id": format!("cu_{suffix}"), "type": kind, "call_id": call_id, "status": status });
                for (name, value) in asked.into_iter().filter(|(name, _)| complete || name == PENDING) {
                    item[name] = value;
                }
                return item;
            }
            let arguments = if complete { arguments.as_str() } else { "" };
            json!({
                "id": format!("fc_{suffix}"), "type": "function_call", "status": status, "arguments": arguments,
                "call_id": call_id, "name": name,
            })
        }
        _ => {
            let part = json!([part(&words)]);
            let content = if complete { part } else { json!([]) };
            json!({
                "id": format!("msg_{suffix}"), "type": "message", "status": status, "content": content, "role": "assistant",
            })
        }
    }
}

/// Ids of the calls of a reply.
pub(super) fn call_ids(context: &Context, reply: &Reply) -> Vec<String> {
    let outputs = outputs(reply);
    let outputs = outputs.iter().filter(|output| output.kind.is_some()).enumerate();
    let items = outputs.map(|(index, output)| item(context, index, output, true));
    items
        .filter_map(|item| item["call_id"].as_str().map(str::to_owned))
        .collect()
}

/// What an item says.
pub(super) fn words(item: &Item) -> Option<&str> {
    match item {
        Item::Text { text, .. } | Item::Reasoning { text, .. } => Some(text),
        Item::ToolCall { .. } | Item::Gate(_) | Item::Pause(_) => None,
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

/// The response itself, with what is known of it at its `status`.
fn response(context: &Context, status: &str, reason: Option<&str>, output: &[Value], usage: Option<&Usage>) -> Value {
    let usage = usage.map(|counted| {
        json!({
            "input_tokens": counted.prompt_tokens,
            "input_tokens_details": { "cached_tokens": counted.cached_tokens },
            "output_tokens": counted.completion_tokens,
            "output_tokens_details": { "reasoning_tokens": counted.reasoning_tokens },
            "total_tokens": counted.prompt_tokens + counted.completion_tokens,
        })
    });
    json!({
        "id": super::id(context.number), "object": "response", "created_at": context.created,
        "status": status, "background": false, "error": null, "incomplete_details": reason.map(|reason| json!({ "reason": reason })),
        "instructions": null, "max_output_tokens": null, "max_tool_calls": null, "model": context.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": { "effort": null, "summary": null },
        "service_tier": "default", "store": true, "temperature": 1.0, "text": { "format": { "type": "text" }, "verbosity": "medium" },
        "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null,
        "metadata": {},
    })
}

/// How the response ends: the last event's name behind `response.`, which is the status too, and why if that is not as intended.
fn ending(reply: &Reply) -> (&'static str, Option<&str>) {
    match reply.finish.as_deref() {
        Some("length") => ("incomplete", Some("max_output_tokens")),
        Some("content_filter") => ("incomplete", Some("content_filter")),
        Some(_) | None => ("completed", None),
    }
}

/// An answer on its way.
struct Timeline<'a> {
    reply: &'a Reply,
    obfuscates: bool,
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
    fn event(&mut self, kind: &str, fields: Value, tokens: u64) {
        if self.is_cut_short() {
            return;
        }
        let between = self.reply.pace.between_ms;
        if self.events > 0 && between > 0 && tokens > 0 {
            self.steps.push(Step::Pause(Duration::from_millis(between)));
        }
        self.put(kind, fields, tokens);
    }

    fn put(&mut self, kind: &str, mut fields: Value, tokens: u64) {
        fields["type"] = Value::from(kind);
        fields["sequence_number"] = Value::from(self.events);
        if self.obfuscates && tokens > 0 {
            fields["obfuscation"] = Value::from(wire::letters(self.events as u64, 8));
        }
        self.body
            .extend(format!("event: {kind}\ndata: {fields}\n\n").into_bytes());
        self.events += 1;
        self.steps.push(Step::Send {
            end: self.body.len(),
            tokens,
        });
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
        obfuscates: reply.obfuscated && context.may_obfuscate,
        body: Vec::new(),
        steps: Vec::new(),
        events: 0,
    };
    for kind in ["response.created", "response.in_progress"] {
        let begun = response(context, "in_progress", None, &[], None);
        timeline.event(kind, json!({ "response": begun }), 0);
    }
    let mut done = Vec::new();
    for output in outputs(reply) {
        if output.kind.is_none() {
            output.items.iter().for_each(|item| timeline.wait(item));
            continue;
        }
        stream_output(context, done.len(), &output, &mut timeline);
        done.push(item(context, done.len(), &output, true));
    }
    let (status, reason) = ending(reply);
    if !reply.no_done {
        let ended = response(context, status, reason, &done, Some(&counted));
        timeline.event(&format!("response.{status}"), json!({ "response": ended }), 0);
    }
    if let Some(event) = reply.error_event.as_ref().filter(|_| timeline.is_cut_short()) {
        let error = VendorError::of_code(&event.code, 500, &context.model);
        let fields = json!({ "code": error.code, "message": error.message, "param": error.param });
        timeline.put("error", fields, 0);
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

/// What an item's deltas are called and where they say they belong, by its kind.
struct Form {
    delta: &'static str,
    place: Option<&'static str>,
    part: Option<(&'static str, Value)>,
}

fn stream_output(context: &Context, index: usize, output: &Output<'_>, timeline: &mut Timeline<'_>) {
    let whole = item(context, index, output, true);
    let begins = item(context, index, output, false);
    let text: String = output.items.iter().filter_map(|item| words(item)).collect();
    let form = match output.kind {
        Some("reasoning") => Form {
            delta: "reasoning_summary_text",
            place: Some("summary_index"),
            part: Some(("reasoning_summary_part", json!({ "type": "summary_text", "text": "" }))),
        },
        Some("function_call") => Form {
            delta: "function_call_arguments",
            place: None,
            part: None,
        },
        _ => Form {
            delta: "output_text",
            place: Some("content_index"),
            part: Some(("content_part", part(""))),
        },
    };
    let at = |mut fields: Value| {
        fields["item_id"] = whole["id"].clone();
        fields["output_index"] = Value::from(index);
        if let Some(place) = form.place {
            fields[place] = Value::from(0);
        }
        fields
    };
    timeline.event(
        "response.output_item.added",
        json!({ "output_index": index, "item": begins }),
        0,
    );
    // What is asked for at a computer comes as a whole.
    if output.kind == Some("computer_call") {
        output.items.iter().for_each(|item| timeline.wait(item));
        timeline.event(
            "response.output_item.done",
            json!({ "output_index": index, "item": whole }),
            1,
        );
        return;
    }
    if let Some((name, part)) = &form.part {
        timeline.event(&format!("response.{name}.added"), at(json!({ "part": part })), 0);
    }
    for item in &output.items {
        let deltas = match item {
            Item::Text { text, tokens } | Item::Reasoning { text, tokens } => split(text, *tokens),
            Item::ToolCall { arguments, .. } => pieces(arguments, ARGUMENT_DELTA_CHARS),
            Item::Gate(_) | Item::Pause(_) => {
                timeline.wait(item);
                continue;
            }
        };
        for delta in deltas {
            timeline.event(
                &format!("response.{}.delta", form.delta),
                at(json!({ "delta": delta })),
                1,
            );
        }
    }
    let ends = match output.kind {
        Some("function_call") => json!({ "arguments": whole["arguments"] }),
        _ => json!({ "text": text }),
    };
    timeline.event(&format!("response.{}.done", form.delta), at(ends), 0);
    if let Some((name, mut part)) = form.part.clone() {
        part["text"] = Value::from(text);
        timeline.event(&format!("response.{name}.done"), at(json!({ "part": part })), 0);
    }
    timeline.event(
        "response.output_item.done",
        json!({ "output_index": index, "item": whole }),
        0,
    );
}

fn whole(context: &Context, reply: &Reply) -> Response {
    let counted = common::usage(context, reply);
    let outputs = outputs(reply);
    let outputs = outputs.iter().filter(|output| output.kind.is_some());
    let output: Vec<Value> = outputs
        .enumerate()
        .map(|(index, output)| item(context, index, output, true))
        .collect();
    let (status, reason) = ending(reply);
    let body = response(context, status, reason, &output, Some(&counted));
    let body = wire::pretty(&body, b"  ");
    let tokens = u64::try_from(counted.completion_tokens).unwrap_or(0);
    let end = body.len();
    Response {
        steps: vec![Step::Send { end, tokens }],
        usage: counted,
        ..plain(context.number, wire::JSON, body)
    }
}
