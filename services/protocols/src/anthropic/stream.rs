//! Understands a Messages answer as it comes: events in, increments out.
//!
//! Pure: no IO and no clock. It accepts what servers are known to send (see the tests), passes over what it does not know, and turns
//! everything else into a failure that says what was wrong. [`block`] has one block's life; reading the socket is
//! [`crate::http`]'s.

mod block;
mod citations;

use std::collections::HashSet;

use serde_json::Value;
use tandem_chat_core::{
    classify::Cause,
    id::{CompletionId, ToolCallId},
    message::Usage,
};

use self::{block::Open, citations::Citations};
use super::{
    pause::Record,
    wire::event::{self, Event, measure},
};
use crate::{
    Delta, Failure, Finish,
    body::{self, garbage, truncated},
    call::FinishReason,
    sse::SseEvent,
    tool_call::CallIds,
};

/// Blocks that are open at once. The vendor opens one at a time.
const MAX_OPEN: usize = 64;

/// An answer being understood.
pub(super) type Parser = body::Parser<Answer>;

/// What has been understood of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The vendor's model, without which thinking cannot be sent back.
    model: String,
    ids: CallIds,
    /// By index.
    open: Vec<(u64, Open)>,
    citations: Citations,
    has_calls: bool,
    has_content: bool,
    usage: Usage,
    response_id: String,
    finish: Option<FinishReason>,
    is_done: bool,
    /// The vendor wants to be asked to go on.
    is_paused: bool,
    /// The answer in the vendor's words, where it may be interrupted.
    record: Option<Record>,
}

/// Why the model stopped, where it has not.
const PAUSED: &str = "pause_turn";

impl Parser {
    /// Ready for the first byte.
    ///
    /// * `model`: as it was asked.
    /// * `completion`, `used`: see [`CallIds::new`].
    /// * `record`: where the answer may be interrupted.
    pub(super) fn new(
        model: &str,
        completion: CompletionId,
        used: HashSet<ToolCallId>,
        record: Option<Record>,
    ) -> Self {
        Self::of(Answer {
            model: model.to_owned(),
            ids: CallIds::new(completion, used),
            open: Vec::new(),
            citations: Citations::default(),
            has_calls: false,
            has_content: false,
            usage: Usage::default(),
            response_id: String::new(),
            finish: None,
            is_done: false,
            is_paused: false,
            record,
        })
    }
}

impl body::Answer for Answer {
    const FORMAT: &'static str = "Messages";

    fn event(&mut self, event: &SseEvent, is_whole: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        if self.is_done || data.is_empty() {
            return Ok(());
        }
        if let Some(record) = &mut self.record {
            record.event(data);
        }
        match serde_json::from_str::<Event>(data) {
            Ok(understood) => self.understood(understood, &event.name, data, deltas),
            Err(_) if event.name == "error" => Err(reported(data, &Value::Null)),
            // The end mark of other protocols, which some gateways add.
            Err(_) if data == "[DONE]" => Ok(()),
            Err(error) if is_whole => Err(garbage::<Self>(&error)),
            // What was cut off is not missed once the model has said that it stopped.
            Err(_) if self.finish.is_some() => Ok(()),
            Err(_) => Err(truncated("the stream was cut off within an event")),
        }
    }

    fn document(&mut self, text: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let whole: Event = match serde_json::from_str(text) {
            Ok(whole) => whole,
            Err(error) if error.is_eof() => return Err(truncated("the answer was cut off")),
            Err(error) => return Err(garbage::<Self>(&error)),
        };
        let Some(blocks) = whole.content else {
            return Err(reported(text, &whole.error));
        };
        self.response_id = whole.id.unwrap_or_default();
        measure(&mut self.usage, &whole.usage);
        for (index, block) in (0..).zip(blocks) {
            self.start(index, block, deltas)?;
            self.stop(Some(index), deltas);
        }
        if let Some(reason) = whole.stop_reason {
            self.stopped(&reason);
        }
        if let Some(record) = &mut self.record {
            record.document(text);
        }
        self.is_done = true;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_finished(&self) -> bool {
        self.is_done || self.finish.is_some()
    }

    fn finish(mut self, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if !body::Answer::is_finished(&self) {
            return Err(truncated("the stream closed before message_stop"));
        }
        if self.finish.is_none() && !self.has_content {
            return Err(truncated("the vendor ended the stream without an answer"));
        }
        while !self.open.is_empty() {
            self.stop(None, deltas);
        }
        self.citations.flush(deltas);
        if let Some(record) = self.record.filter(|_| self.is_paused) {
            record.pause();
        }
        deltas.push(Delta::Finish(Finish {
            reason: FinishReason::settled(self.finish, self.has_calls),
            usage: self.usage,
            response_id: self.response_id,
        }));
        Ok(())
    }
}

impl Answer {
    fn understood(&mut self, event: Event, name: &str, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let kind = event.kind.as_deref().unwrap_or(name);
        if kind == "error" || !matches!(event.error, Value::Null) {
            return Err(reported(data, &event.error));
        }
        match kind {
            "message_start" => {
                let id = event.message.get("id").and_then(Value::as_str);
                id.unwrap_or_default().clone_into(&mut self.response_id);
                if let Some(usage) = event.message.get("usage") {
                    measure(&mut self.usage, usage);
                }
            }
            "content_block_start" => {
                let index = event.index.unwrap_or(self.open.len() as u64);
                self.start(index, event.content_block.unwrap_or_default(), deltas)?;
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    self.add(event.index, &delta, deltas)?;
                }
            }
            "content_block_stop" => self.stop(event.index, deltas),
            "message_delta" => {
                measure(&mut self.usage, &event.usage);
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    self.stopped(&reason);
                }
            }
            "message_stop" => self.is_done = true,
            "" => return Err(no_event()),
            // Pings, and whatever the vendor adds.
            _ => {}
        }
        Ok(())
    }

    fn stopped(&mut self, reason: &str) {
        self.is_paused = reason == PAUSED;
        self.finish = Some(finish_reason(reason));
    }

    fn start(&mut self, index: u64, block: event::Block, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        // One that was not closed is closed by its successor.
        self.stop(Some(index), deltas);
        if self.open.len() >= MAX_OPEN {
            return Err(no_event());
        }
        let open = Open::start(block, &mut self.ids, &mut self.citations, deltas)?;
        self.has_content |= open.is_content();
        self.open.push((index, open));
        Ok(())
    }

    fn add(&mut self, index: Option<u64>, delta: &event::Delta, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if self.place(index).is_none() {
            // Some servers stream text without saying that it begins.
            let kind = match delta.kind.as_deref() {
                Some("text_delta") => "text",
                Some("thinking_delta" | "signature_delta") => "thinking",
                Some(_) | None => return Ok(()),
            };
            let block = event::Block {
                kind: kind.to_owned(),
                ..event::Block::default()
            };
            self.start(index.unwrap_or(0), block, deltas)?;
        }
        if let Some(place) = self.place(index) {
            self.open[place].1.add(delta, &mut self.citations, deltas);
        }
        Ok(())
    }

    /// Where a block stands; without an index it is the last one that is open.
    fn place(&self, index: Option<u64>) -> Option<usize> {
        match index {
            Some(index) => self.open.iter().position(|(place, _)| *place == index),
            None => self.open.len().checked_sub(1),
        }
    }

    fn stop(&mut self, index: Option<u64>, deltas: &mut Vec<Delta>) {
        if let Some(place) = self.place(index) {
            let (_, open) = self.open.remove(place);
            self.has_calls |= open.stop(&self.model, deltas);
        }
    }
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

/// JSON that is none of the vendor's events.
fn no_event() -> Failure {
    let error = <serde_json::Error as serde::de::Error>::custom("not an event of it");
    garbage::<Answer>(&error)
}

/// An error the vendor reports inside a successful answer, with the status it stands for.
fn reported(data: &str, error: &Value) -> Failure {
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
    let status = match kind {
        "invalid_request_error" => Some(400),
        "authentication_error" => Some(401),
        "billing_error" => Some(402),
        "permission_error" => Some(403),
        "not_found_error" => Some(404),
        "request_too_large" => Some(413),
        "rate_limit_error" => Some(429),
        "api_error" => Some(500),
        "timeout_error" => Some(504),
        "overloaded_error" => Some(529),
        _ => None,
    };
    Failure {
        status,
        ..Failure::new(Cause::Reported, data)
    }
}

#[cfg(test)]
mod tests;
