//! Understands a Chat Completions answer as it comes: bytes in, increments out.
//!
//! Pure: no IO and no clock. It accepts what servers are known to send (see the tests) and turns everything else into a failure that
//! says what was wrong; it never panics and never waits. Reading the socket is [`super::client`]'s.

use std::collections::HashSet;

use serde_json::Value;
use tandem_chat_core::{
    classify::Cause,
    error::ErrorKind,
    id::{CompletionId, ToolCallId},
    message::Usage,
    part::ReasoningPart,
};

use super::{
    sse::{Cutter, SseEvent},
    wire::{Chunk, Delta as WireDelta},
};
use crate::{
    completion::FinishReason,
    provider::{Delta, Failure, Finish},
};

mod calls;

use calls::Calls;

/// Largest answer that is not streamed.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// How much of a page that is no answer is kept for the error.
const MAX_PAGE_BYTES: usize = 2048;

/// An answer being understood.
#[derive(Debug)]
pub struct Parser {
    form: Form,
    answer: Answer,
}

/// How the answer comes. Known with its first visible byte, whatever the headers say.
#[derive(Debug)]
enum Form {
    /// White space so far.
    Unknown,
    Events(Cutter),
    /// One JSON document, from servers that do not stream.
    Document(Vec<u8>),
    /// A web page: a proxy, or an address that is no API.
    Page(Vec<u8>),
}

#[derive(Debug)]
struct Answer {
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
    pub fn new(completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self {
            form: Form::Unknown,
            answer: Answer {
                calls: Calls::new(completion, used),
                is_reasoning: false,
                has_content: false,
                usage: Usage::default(),
                response_id: String::new(),
                finish: None,
                is_done: false,
            },
        }
    }

    /// Takes bytes in, cut anywhere; appends what they say to `deltas`.
    ///
    /// # Errors
    /// A [`Failure`] after which nothing more is understood; what was appended before it stands.
    pub fn push(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let bytes = match self.form {
            Form::Unknown => self.recognise(bytes),
            Form::Events(_) | Form::Document(_) | Form::Page(_) => bytes,
        };
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Events(cutter) => {
                let answer = &mut self.answer;
                let mut outcome = Ok(());
                let cut = cutter.push(bytes, |event| {
                    if outcome.is_ok() {
                        outcome = answer.event(&event, true, deltas);
                    }
                });
                outcome?;
                cut.map_err(|too_long| Failure::known(ErrorKind::Generic, too_long.to_string()))
            }
            Form::Document(document) => {
                if document.len() + bytes.len() > MAX_BODY_BYTES {
                    let text = format!("the answer is longer than {MAX_BODY_BYTES} bytes");
                    return Err(Failure::known(ErrorKind::Generic, text));
                }
                document.extend_from_slice(bytes);
                Ok(())
            }
            Form::Page(page) => {
                let room = MAX_PAGE_BYTES.saturating_sub(page.len());
                page.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if page.len() < MAX_PAGE_BYTES {
                    Ok(())
                } else {
                    Err(not_an_api(page))
                }
            }
        }
    }

    /// Whether the vendor has said that nothing follows.
    pub fn is_done(&self) -> bool {
        self.answer.is_done
    }

    /// Whether the model has said why it stopped; only usage and the end can follow.
    pub fn is_finished(&self) -> bool {
        self.answer.is_done || self.answer.finish.is_some()
    }

    /// The end of the bytes: appends the last increments, [`Delta::Finish`] as the very last.
    ///
    /// # Errors
    /// A [`Failure`] if the answer was not complete; cut off, it is worth another try.
    pub fn finish(mut self, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        match self.form {
            Form::Unknown => return Err(truncated("the vendor closed the connection without an answer")),
            Form::Events(cutter) => {
                if !self.answer.is_done
                    && let Some(event) = cutter.finish()
                {
                    self.answer.event(&event, false, deltas)?;
                }
            }
            Form::Document(document) => self.answer.document(&document, deltas)?,
            Form::Page(page) => return Err(not_an_api(&page)),
        }
        self.answer.finish(deltas)
    }

    /// Decides the form by the first visible byte and returns what of `bytes` belongs to it.
    fn recognise<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(byte);
        let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        self.form = match bytes.first() {
            None => return bytes,
            Some(b'{' | b'[') => Form::Document(Vec::new()),
            Some(b'<') => Form::Page(Vec::new()),
            Some(_) => Form::Events(Cutter::default()),
        };
        bytes
    }
}

impl Answer {
    /// * `is_whole`: a blank line ended the event; otherwise the stream broke off, possibly within it.
    fn event(&mut self, event: &SseEvent, is_whole: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        if self.is_done || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        match serde_json::from_str::<Chunk>(data) {
            Ok(chunk) if event.name == "error" && chunk.error().is_none() => Err(reported(data, &Value::Null)),
            Ok(chunk) => self.chunk(&chunk, data, deltas),
            // Several documents in one event: lines that some servers forget to separate.
            Err(_) if is_whole && data.contains('\n') => data.lines().try_for_each(|line| self.line(line, deltas)),
            Err(_) if event.name == "error" => Err(reported(data, &Value::Null)),
            Err(error) if is_whole => Err(garbage(&error)),
            // What was cut off is not missed once the model has said that it stopped.
            Err(_) if self.finish.is_some() => Ok(()),
            Err(_) => Err(truncated("the stream was cut off within an event")),
        }
    }

    fn line(&mut self, line: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let event = SseEvent {
            name: String::new(),
            data: line.to_owned(),
        };
        self.event(&event, true, deltas)
    }

    fn document(&mut self, document: &[u8], deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(document);
        let chunk: Chunk = match serde_json::from_str(&text) {
            Ok(chunk) => chunk,
            Err(error) if error.is_eof() => return Err(truncated("the answer was cut off")),
            Err(error) => return Err(garbage(&error)),
        };
        if chunk.error().is_none() && chunk.first_choice().is_none() {
            return Err(reported(&text, &Value::Null));
        }
        self.chunk(&chunk, &text, deltas)?;
        self.is_done = true;
        Ok(())
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

    fn finish(mut self, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if self.finish.is_none() && !self.is_done {
            return Err(truncated("the stream ended before the model had finished"));
        }
        self.end_reasoning(deltas);
        let has_calls = self.calls.finish(deltas);
        let reason = match self.finish {
            Some(FinishReason::Stop | FinishReason::ToolCalls) | None if has_calls => FinishReason::ToolCalls,
            // Announced but not there: an ordinary end.
            Some(FinishReason::ToolCalls) | None => FinishReason::Stop,
            Some(reason) => reason,
        };
        if self.finish.is_none() && !has_calls && !self.has_content {
            return Err(truncated("the vendor ended the stream without an answer"));
        }
        deltas.push(Delta::Finish(Finish {
            reason,
            usage: self.usage,
            response_id: self.response_id,
        }));
        Ok(())
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

fn truncated(text: &str) -> Failure {
    Failure::new(Cause::Truncated, text)
}

/// An event or document that is no JSON of the expected shape. The parser's message quotes nothing of the answer.
fn garbage(error: &serde_json::Error) -> Failure {
    let text = format!("the answer is not in the Chat Completions format: {error}");
    Failure::known(ErrorKind::Generic, text)
}

fn not_an_api(page: &[u8]) -> Failure {
    let page = String::from_utf8_lossy(page);
    let title = page
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"))
        .map(|(title, _)| format!(" (\"{}\")", title.trim()))
        .unwrap_or_default();
    let text =
        format!("the address answered with a web page{title}, not with the Chat Completions API; check the base URL");
    Failure::known(ErrorKind::Config, text)
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
