//! Understands a Chat Completions answer as it comes: bytes in, increments out.
//!
//! Pure: no IO and no clock. It accepts what servers are known to send (see the tests) and turns everything else into a failure that
//! says what was wrong; it never panics and never waits. Reading the socket is [`crate::http`]'s.

use std::collections::HashSet;

use serde_json::Value;
use tandem_chat_core::{
    classify::Cause,
    id::{CompletionId, ToolCallId},
    message::Usage,
    part::ReasoningPart,
};

use super::wire::{Chunk, Delta as WireDelta};
use crate::{
    Delta, Failure, Finish,
    body::{self, garbage, truncated},
    call::FinishReason,
    sse::SseEvent,
};

mod calls;

use calls::Calls;

/// An answer being understood.
pub(super) type Parser = body::Parser<Answer>;

/// What has been understood of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    calls: Calls,
    is_reasoning: bool,
    has_content: bool,
    usage: Usage,
    response_id: String,
    finish: Option<FinishReason>,
    is_done: bool,
}

impl Parser {
    /// Ready for the first byte.
    ///
    /// * `completion`: ids for calls whose server gives none are made from it.
    /// * `used`: call ids that the prompt has already; a server that counts from 0 in each answer would repeat them.
    pub(super) fn new(completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self::of(Answer {
            calls: Calls::new(completion, used),
            is_reasoning: false,
            has_content: false,
            usage: Usage::default(),
            response_id: String::new(),
            finish: None,
            is_done: false,
        })
    }
}

impl body::Answer for Answer {
    const FORMAT: &'static str = "Chat Completions";

    fn event(&mut self, event: &SseEvent, is_whole: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        if self.is_done || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        // A list would pass for a chunk whose fields come without their names.
        if data.starts_with('[') && is_whole {
            let error = <serde_json::Error as serde::de::Error>::custom("not a chunk of it");
            return Err(garbage::<Self>(&error));
        }
        match serde_json::from_str::<Chunk>(data) {
            Ok(chunk) if event.name == "error" && chunk.error().is_none() => Err(reported(data, &Value::Null)),
            Ok(chunk) => self.chunk(&chunk, data, deltas),
            // Several documents in one event: lines that some servers forget to separate.
            Err(_) if is_whole && data.contains('\n') => data.lines().try_for_each(|line| self.line(line, deltas)),
            Err(_) if event.name == "error" => Err(reported(data, &Value::Null)),
            Err(error) if is_whole => Err(garbage::<Self>(&error)),
            // What was cut off is not missed once the model has said that it stopped.
            Err(_) if self.finish.is_some() => Ok(()),
            Err(_) => Err(truncated("the stream was cut off within an event")),
        }
    }

    fn document(&mut self, text: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let chunk: Chunk = match serde_json::from_str(text) {
            Ok(chunk) => chunk,
            Err(error) if error.is_eof() => return Err(truncated("the answer was cut off")),
            Err(error) => return Err(garbage::<Self>(&error)),
        };
        if chunk.error().is_none() && chunk.first_choice().is_none() {
            return Err(reported(text, &Value::Null));
        }
        self.chunk(&chunk, text, deltas)?;
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
        if self.finish.is_none() && !self.is_done {
            return Err(truncated("the stream ended before the model had finished"));
        }
        self.end_reasoning(deltas);
        let has_calls = self.calls.finish(deltas);
        if self.finish.is_none() && !has_calls && !self.has_content {
            return Err(truncated("the vendor ended the stream without an answer"));
        }
        deltas.push(Delta::Finish(Finish {
            reason: FinishReason::settled(self.finish, has_calls),
            usage: self.usage,
            response_id: self.response_id,
        }));
        Ok(())
    }
}

impl Answer {
    fn line(&mut self, line: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let event = SseEvent {
            name: String::new(),
            data: line.to_owned(),
        };
        body::Answer::event(self, &event, true, deltas)
    }

    fn chunk(&mut self, chunk: &Chunk, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if let Some(error) = chunk.error() {
            return Err(reported(data, error));
        }
        if chunk.is_bare_error() {
            return Err(reported(data, &serde_json::from_str(data).unwrap_or_default()));
        }
        if let Some(id) = chunk.id()
            && self.response_id.is_empty()
        {
            id.clone_into(&mut self.response_id);
        }
        if let Some(usage) = chunk.usage() {
            self.usage = usage;
        }
        let Some(choice) = chunk.first_choice() else {
            return Ok(());
        };
        if let Some(delta) = choice.delta() {
            self.delta(delta, deltas)?;
        }
        if let Some(reason) = choice.finish_reason() {
            self.finish = Some(finish_reason(reason));
        }
        Ok(())
    }

    fn delta(&mut self, delta: &WireDelta, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if let Some(reasoning) = delta.reasoning() {
            self.is_reasoning = true;
            deltas.push(Delta::Reasoning(reasoning));
        }
        if let Some(text) = delta.text() {
            self.end_reasoning(deltas);
            self.has_content = true;
            deltas.push(Delta::Text(text));
        }
        if let Some(call) = delta.function_call() {
            self.end_reasoning(deltas);
            self.calls.add(Some(0), None, Some(call), deltas)?;
        }
        for call in delta.tool_calls() {
            self.end_reasoning(deltas);
            self.calls.add(call.index(), call.id(), call.function(), deltas)?;
        }
        Ok(())
    }

    fn end_reasoning(&mut self, deltas: &mut Vec<Delta>) {
        if std::mem::take(&mut self.is_reasoning) {
            self.has_content = true;
            deltas.push(Delta::ReasoningDone(ReasoningPart::default()));
        }
    }
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "length" | "max_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter" | "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

/// An error the vendor reports inside a successful answer, with the status it stands for.
fn reported(data: &str, error: &Value) -> Failure {
    let numbers = [error.get("code"), error.get("status"), error.get("status_code")];
    let status = numbers
        .into_iter()
        .flatten()
        .find_map(|number| match number {
            Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        })
        .filter(|status| (400..600).contains(status));
    Failure {
        status,
        ..Failure::new(Cause::Reported, data)
    }
}

#[cfg(test)]
mod tests;
