//! Answers that the vendor interrupts (`pause_turn`): its own tools have run for long, and it wants to be asked to go on.
//!
//! What the model has said is sent back exactly as it came, behind the conversation, and what follows is the rest of the same answer:
//! nobody else hears of it. Only the vendor's own tools lead to this, so only requests that offer one are prepared for it. Owns the
//! record of an answer in the vendor's words, and how often the vendor is asked to go on.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, future::BoxFuture, stream};
use serde_json::{Map, Value, json};

use super::wire::{Request, Tool};
use crate::{Delta, Deltas, Failure};

/// How often one answer may be interrupted.
const MAX_PAUSES: usize = 16;

/// How much of one answer is kept to be sent back, as JSON.
const MAX_RECORDED_BYTES: usize = 8 * 1024 * 1024;

/// Where an answer that was interrupted leaves what it has said. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Paused(Arc<Mutex<Option<Vec<Value>>>>);

impl Paused {
    fn set(&self, blocks: Vec<Value>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(blocks);
    }

    fn take(&self) -> Option<Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An answer in the vendor's own words, while it comes.
#[derive(Debug)]
pub(super) struct Record {
    paused: Paused,
    /// By index, with the input of a call as far as it has come.
    blocks: Vec<(u64, Value, String)>,
    bytes: usize,
}

impl Record {
    /// * `paused`: where it is left.
    pub(super) fn new(paused: Paused) -> Self {
        Self {
            paused,
            blocks: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes an event in. What makes no sense is passed over; the parser says what is wrong with it.
    pub(super) fn event(&mut self, data: &str) {
        self.bytes = self.bytes.saturating_add(data.len());
        let event: Value = match serde_json::from_str(data) {
            Ok(event) if self.bytes <= MAX_RECORDED_BYTES => event,
            Ok(_) | Err(_) => return,
        };
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str() {
            Some("content_block_start") if event["content_block"].is_object() => {
                let block = event["content_block"].clone();
                self.blocks.push((index, block, String::new()));
            }
            Some("content_block_delta") => self.add(index, &event["delta"]),
            _ => {}
        }
    }

    /// Takes a whole answer in.
    pub(super) fn document(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(text.len());
        let whole: Value = serde_json::from_str(text).unwrap_or_default();
        let blocks = whole["content"].as_array().into_iter().flatten();
        self.blocks.extend(
            (0..)
                .zip(blocks)
                .map(|(index, block)| (index, block.clone(), String::new())),
        );
    }

    fn add(&mut self, index: u64, delta: &Value) {
        let Some((_, block, input)) = self.blocks.iter_mut().rev().find(|(place, ..)| *place == index) else {
            return;
        };
        let mut append = |field: &str| {
            let more = delta[field].as_str().unwrap_or_default();
            match &mut block[field] {
                Value::String(text) => text.push_str(more),
                nothing => *nothing = Value::from(more),
            }
        };
        match delta["type"].as_str() {
            Some("text_delta") => append("text"),
            Some("thinking_delta") => append("thinking"),
            Some("signature_delta") => append("signature"),
            Some("input_json_delta") => input.push_str(delta["partial_json"].as_str().unwrap_or_default()),
            Some("citations_delta") => match &mut block["citations"] {
                Value::Array(citations) => citations.push(delta["citation"].clone()),
                nothing => *nothing = json!([delta["citation"]]),
            },
            _ => {}
        }
    }

    /// The answer was interrupted. One that is too long to be sent back ends here.
    pub(super) fn pause(self) {
        if self.bytes > MAX_RECORDED_BYTES {
            tracing::warn!("an interrupted answer is too long to be continued");
            return;
        }
        let mut blocks: Vec<Value> = self.blocks.into_iter().filter_map(whole).collect();
        // The vendor takes no blanks at the end of words that it shall continue.
        if let Some(last) = blocks.last_mut()
            && let Some(text) = last["text"].as_str()
        {
            last["text"] = Value::from(text.trim_end());
        }
        if !blocks.is_empty() {
            self.paused.set(blocks);
        }
    }
}

/// A block as it is sent back; `None` for words that say nothing.
fn whole((_, mut block, input): (u64, Value, String)) -> Option<Value> {
    if !input.is_empty() {
        block["input"] = serde_json::from_str(&input).unwrap_or_else(|_| json!({}));
    }
    let is_blank = block["type"] == "text" && block["text"].as_str().is_none_or(|text| text.trim().is_empty());
    (!is_blank).then_some(block)
}

/// Whether a request offers one of the vendor's own tools.
pub(super) fn is_possible(request: &Request) -> bool {
    request.tools.iter().any(|tool| match tool {
        Tool::WebSearch(_) => true,
        Tool::Own { .. } | Tool::Computer { .. } => false,
    })
}

/// Asks with a body.
pub(super) type Ask = Box<dyn Fn(&Map<String, Value>) -> BoxFuture<'static, Result<Deltas, Failure>> + Send>;

/// An answer that goes on behind its interruptions.
struct Resumed {
    deltas: Deltas,
    paused: Paused,
    body: Map<String, Value>,
    ask: Ask,
    pauses: usize,
    step: Step,
}

/// Where an answer is that goes on behind its interruptions.
#[derive(Clone, Copy)]
enum Step {
    /// The vendor speaks.
    Reading,
    /// It was interrupted; the vendor is to be asked to go on.
    Asking,
}

/// The whole of an answer whose beginning is `deltas`: where it was interrupted, the vendor is asked to go on. Each request is paid for, so
/// the usage of those that were interrupted is told as soon as it is known.
///
/// * `body`: what was asked; it is kept while the answer comes.
pub(super) fn resumed(deltas: Deltas, paused: Paused, body: Map<String, Value>, ask: Ask) -> Deltas {
    let resumed = Resumed {
        deltas,
        paused,
        body,
        ask,
        pauses: 0,
        step: Step::Reading,
    };
    let next = |mut resumed: Resumed| async move {
        let next = resumed.next().await?;
        Some((next, resumed))
    };
    stream::unfold(resumed, next).boxed()
}

impl Resumed {
    async fn next(&mut self) -> Option<Result<Delta, Failure>> {
        if matches!(self.step, Step::Asking) {
            self.step = Step::Reading;
            return Some(match (self.ask)(&self.body).await {
                Ok(deltas) => {
                    self.deltas = deltas;
                    Ok(Delta::Resumed)
                }
                Err(failure) => Err(failure),
            });
        }
        let finish = match self.deltas.next().await? {
            Ok(Delta::Finish(finish)) => finish,
            other => return Some(other),
        };
        let blocks = self.paused.take().filter(|_| self.pauses < MAX_PAUSES);
        let Some(blocks) = blocks else {
            return Some(Ok(Delta::Finish(finish)));
        };
        self.pauses += 1;
        self.append(blocks);
        self.step = Step::Asking;
        Some(Ok(Delta::Spent(finish.usage)))
    }

    /// Puts what the model has said behind the conversation; what it said after an earlier interruption behind that.
    fn append(&mut self, blocks: Vec<Value>) {
        let Some(Value::Array(messages)) = self.body.get_mut("messages") else {
            return;
        };
        match messages.last_mut() {
            Some(last) if last["role"] == "assistant" => {
                if let Some(content) = last["content"].as_array_mut() {
                    content.extend(blocks);
                }
            }
            Some(_) | None => messages.push(json!({ "role": "assistant", "content": blocks })),
        }
    }
}

#[cfg(test)]
mod tests;
