//! The streamed form: one chunk per delta, waits between them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    super::{
        reply::{Item, Reply},
        wire::{self, Frame, VendorError},
    },
    ARGUMENT_DELTA_CHARS, Context, Response, Step, calls, finish, pieces, plain, split, usage,
};

/// `obfuscation` fills the delta up to a multiple of this many bytes.
const PADDING_BYTES: usize = 16;

/// The deltas of a reply and the waits between them.
enum Beat<'a> {
    Delta { json: String, tokens: u64 },
    Wait(&'a Item),
}

pub(super) fn render(context: &Context, reply: &Reply) -> Response {
    let beats = beats(context, reply);
    let usage = usage(context, reply);
    let id = wire::completion_id(context.number);
    let frame = Frame::new(&id, context.created, &context.model, context.include_usage);
    let obfuscate = reply.obfuscated && context.may_obfuscate;
    let between = Duration::from_millis(reply.pace.between_ms);

    let mut timeline = Timeline::default();
    let padding = |seed: usize, length: usize| match obfuscate {
        true => wire::letters(seed as u64, PADDING_BYTES - length % PADDING_BYTES),
        false => String::new(),
    };
    for beat in &beats {
        if cut_short(reply, timeline.chunks) {
            break;
        }
        match beat {
            Beat::Delta { json, tokens } => {
                timeline.pace(between);
                let padding = padding(timeline.chunks, json.len());
                frame.chunk(&mut timeline.body, json, None, &padding);
                timeline.mark(*tokens);
            }
            Beat::Wait(Item::Gate(name)) => timeline.steps.push(Step::Gate(name.clone())),
            Beat::Wait(Item::Pause(ms)) => timeline.steps.push(Step::Pause(Duration::from_millis(*ms))),
            Beat::Wait(_) => {}
        }
    }
    if !cut_short(reply, timeline.chunks) {
        timeline.pace(between);
        let padding_last = padding(timeline.chunks, 2);
        frame.chunk(&mut timeline.body, "{}", Some(finish(reply)), &padding_last);
        timeline.mark(0);
    }
    if context.include_usage && !cut_short(reply, timeline.chunks) {
        let padding_usage = padding(timeline.chunks, 0);
        frame.usage(&mut timeline.body, &usage, &padding_usage);
        timeline.mark(0);
    }
    if let Some(event) = reply.error_event.as_ref().filter(|_| cut_short(reply, timeline.chunks)) {
        let error = VendorError::of_code(&event.code, 500, &context.model);
        timeline.body.extend(error.event());
    } else if !reply.no_done {
        timeline.body.extend(b"data: [DONE]\n\n");
    }
    timeline.mark(0);

    Response {
        headers: wire::headers(context.number, wire::EVENT_STREAM),
        body: Bytes::from(timeline.body),
        steps: timeline.steps,
        sized: false,
        usage,
        ..plain(context.number, wire::EVENT_STREAM, Vec::new())
    }
}

fn cut_short(reply: &Reply, chunks: usize) -> bool {
    reply
        .error_event
        .as_ref()
        .is_some_and(|event| chunks >= event.after_chunks)
}

#[derive(Default)]
struct Timeline {
    body: Vec<u8>,
    steps: Vec<Step>,
    chunks: usize,
}

impl Timeline {
    /// The regular delay, before every chunk but the first.
    fn pace(&mut self, between: Duration) {
        if self.chunks > 0 && !between.is_zero() {
            self.steps.push(Step::Pause(between));
        }
    }

    /// Everything put into the body so far is to be sent now.
    fn mark(&mut self, tokens: u64) {
        self.chunks += 1;
        self.steps.push(Step::Send {
            end: self.body.len(),
            tokens,
        });
    }
}

/// Lays a reply out as the vendor does: the role first, joined with the call when a single call is all there is.
fn beats<'a>(context: &Context, reply: &'a Reply) -> Vec<Beat<'a>> {
    let text = |key: &str, piece: &str| Beat::Delta {
        json: format!(r#"{{"{key}":{}}}"#, Value::from(piece)),
        tokens: 1,
    };
    let calls = calls(reply).count();
    let says = |item: &Item| matches!(item, Item::Text { .. } | Item::Reasoning { .. });
    let only_calls = calls > 0 && !reply.items.iter().any(says);
    let joined = only_calls && calls == 1;

    let mut beats = Vec::new();
    if !only_calls {
        beats.push(Beat::Delta {
            json: r#"{"role":"assistant","content":"","refusal":null}"#.to_owned(),
            tokens: 0,
        });
    } else if !joined {
        beats.push(Beat::Delta {
            json: r#"{"role":"assistant","content":null}"#.to_owned(),
            tokens: 0,
        });
    }
    let mut index = 0;
    for item in &reply.items {
        match item {
            Item::Text { text: said, tokens } => {
                beats.extend(split(said, *tokens).into_iter().map(|piece| text("content", piece)));
            }
            Item::Reasoning { text: thought, tokens } => {
                let pieces = split(thought, *tokens).into_iter();
                beats.extend(pieces.map(|piece| text("reasoning_content", piece)));
            }
            Item::ToolCall { id, name, arguments } => {
                let id = id.clone().unwrap_or_else(|| wire::call_id(context.number, index));
                let (id, name) = (Value::from(id), Value::from(name.as_str()));
                let call = format!(
                    r#""tool_calls":[{{"index":{index},"id":{id},"type":"function","function":{{"name":{name},"arguments":""}}}}]"#
                );
                let json = if joined {
                    format!(r#"{{"role":"assistant","content":null,{call},"refusal":null}}"#)
                } else {
                    format!("{{{call}}}")
                };
                beats.push(Beat::Delta { json, tokens: 1 });
                beats.extend(
                    pieces(arguments, ARGUMENT_DELTA_CHARS)
                        .into_iter()
                        .map(|piece| Beat::Delta {
                            json: format!(
                                r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]}}"#,
                                Value::from(piece)
                            ),
                            tokens: 1,
                        }),
                );
                index += 1;
            }
            Item::Gate(_) | Item::Pause(_) => beats.push(Beat::Wait(item)),
        }
    }
    beats
}
