//! An answer's events as blocks that come one after another.
//!
//! Vendors' calls may run side by side and end only with the answer; some dialects want each block to end before the next begins. A
//! call whose arguments are complete ends by itself when something else comes. What comes while they are not waits until they are.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;
use tandem_chat_core::{
    id::ToolCallId,
    part::{FilePart, Part, ReasoningPart, SourcePart, ToolCallPart, ToolResultPart},
};
use tandem_protocols::call::ToolCallDelta;

use crate::completion::Event;

/// What becomes of an answer. Between a beginning and its end only additions to that block come.
pub(super) enum Step<'a> {
    /// Words begin.
    Text,
    /// Thinking that can be read begins.
    Reasoning,
    /// A call begins.
    Call { id: &'a ToolCallId, name: &'a str },
    /// More of what has begun; not empty.
    Add(&'a str),
    /// What the words that have begun are taken from.
    Cite(&'a SourcePart),
    /// What has begun ends. Thinking ends with what proves it, if that is known.
    End(Option<&'a ReasoningPart>),
    /// Thinking of which nothing can be read, as a whole.
    Hidden(&'a ReasoningPart),
    /// A search that the vendor ran, as a whole.
    Searched {
        call: &'a ToolCallPart,
        result: &'a ToolResultPart,
    },
}

/// A block that has begun.
#[derive(Debug)]
enum Open {
    Text,
    Reasoning,
    Call(OpenCall),
}

#[derive(Debug)]
struct OpenCall {
    id: ToolCallId,
    arguments: String,
    /// Whether `arguments` are a whole object; `None` until somebody asks.
    is_complete: Option<bool>,
}

/// The order of blocks.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    open: Option<Open>,
    /// What waits for the open call to be complete.
    held: VecDeque<Event>,
    ended: HashSet<ToolCallId>,
    /// A search of the vendor's without its result.
    search: Option<Box<ToolCallPart>>,
}

impl Sequence {
    /// Takes an event in; the last one is not for here but for [`Sequence::finish`].
    pub(super) fn push(&mut self, event: &Event, out: &mut impl FnMut(Step<'_>)) {
        match (event, &self.open) {
            // Nearly all events are more of the same text.
            (Event::TextDelta(text), Some(Open::Text)) => return add(text, out),
            (Event::ReasoningDelta(text), Some(Open::Reasoning)) => return add(text, out),
            _ => {}
        }
        if self.waits(event) {
            self.hold(event);
        } else {
            self.apply(event, out);
            self.release(out);
        }
    }

    /// Ends what has begun and hands out what still waits.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(Step<'_>)) {
        loop {
            self.end(None, out);
            if self.held.is_empty() {
                return;
            }
            self.release(out);
        }
    }

    /// Whether an event has to wait for the open call.
    fn waits(&mut self, event: &Event) -> bool {
        let Some(Open::Call(call)) = &mut self.open else {
            return false;
        };
        call_of(event) != Some(&call.id) && !call.is_complete()
    }

    fn hold(&mut self, event: &Event) {
        match (event, self.held.back_mut()) {
            (Event::TextDelta(more), Some(Event::TextDelta(text)))
            | (Event::ReasoningDelta(more), Some(Event::ReasoningDelta(text))) => text.push_str(more),
            (Event::ToolCallDelta(more), _) => {
                let same = self.held.iter_mut().find_map(|held| match held {
                    Event::ToolCallDelta(delta) if delta.tool_call_id == more.tool_call_id => Some(delta),
                    _ => None,
                });
                match same {
                    Some(delta) => delta.arguments.push_str(&more.arguments),
                    None => self.held.push_back(event.clone()),
                }
            }
            _ => self.held.push_back(event.clone()),
        }
    }

    /// Hands out what waited, up to the next call that is not complete. What is about that call goes first.
    fn release(&mut self, out: &mut impl FnMut(Step<'_>)) {
        loop {
            let awaited = match &mut self.open {
                Some(Open::Call(call)) => (!call.is_complete()).then_some(&call.id),
                _ => None,
            };
            let next = match awaited {
                Some(id) => self.held.iter().position(|held| call_of(held) == Some(id)),
                None => (!self.held.is_empty()).then_some(0),
            };
            let Some(event) = next.and_then(|place| self.held.remove(place)) else {
                return;
            };
            self.apply(&event, out);
        }
    }

    fn apply(&mut self, event: &Event, out: &mut impl FnMut(Step<'_>)) {
        match event {
            Event::Started(_) | Event::Finished(_) | Event::Failed(_) => {}
            Event::TextDelta(text) => self.say(text, out),
            Event::ReasoningDelta(text) => {
                if !text.is_empty() {
                    self.begin(Open::Reasoning, Step::Reasoning, out);
                    out(Step::Add(text));
                }
            }
            Event::ReasoningDone(part) => {
                if matches!(self.open, Some(Open::Reasoning)) {
                    self.end(Some(part), out);
                } else if !part.signature.is_empty() || !part.provider_metadata.is_empty() {
                    self.end(None, out);
                    out(Step::Hidden(part));
                }
            }
            Event::ToolCallDelta(delta) => self.call(delta, out),
            Event::Part(part) => self.part(part, out),
        }
    }

    fn say(&mut self, text: &str, out: &mut impl FnMut(Step<'_>)) {
        if !text.is_empty() {
            self.begin_text(out);
            out(Step::Add(text));
        }
    }

    fn begin_text(&mut self, out: &mut impl FnMut(Step<'_>)) {
        self.begin(Open::Text, Step::Text, out);
    }

    /// Begins a block unless one of its kind has begun. Two calls are never of one kind.
    fn begin(&mut self, open: Open, step: Step<'_>, out: &mut impl FnMut(Step<'_>)) {
        let is_open = matches!(
            (&self.open, &open),
            (Some(Open::Text), Open::Text) | (Some(Open::Reasoning), Open::Reasoning)
        );
        if !is_open {
            self.end(None, out);
            self.open = Some(open);
            out(step);
        }
    }

    fn end(&mut self, done: Option<&ReasoningPart>, out: &mut impl FnMut(Step<'_>)) {
        match self.open.take() {
            None => return,
            Some(Open::Call(call)) => {
                self.ended.insert(call.id);
            }
            Some(Open::Text | Open::Reasoning) => {}
        }
        out(Step::End(done));
    }

    fn call(&mut self, delta: &ToolCallDelta, out: &mut impl FnMut(Step<'_>)) {
        if self.ended.contains(&delta.tool_call_id) {
            return;
        }
        self.begin_call(&delta.tool_call_id, &delta.tool_name, out);
        if let Some(Open::Call(call)) = &mut self.open {
            call.append(&delta.arguments);
        }
        add(&delta.arguments, out);
    }

    fn begin_call(&mut self, id: &ToolCallId, name: &str, out: &mut impl FnMut(Step<'_>)) {
        if !matches!(&self.open, Some(Open::Call(call)) if call.id == *id) {
            let call = OpenCall {
                id: id.clone(),
                arguments: String::new(),
                is_complete: None,
            };
            self.begin(Open::Call(call), Step::Call { id, name }, out);
        }
    }

    fn part(&mut self, part: &Part, out: &mut impl FnMut(Step<'_>)) {
        match part {
            Part::ToolCall(call) if call.provider_executed => self.search = Some(Box::new(call.clone())),
            Part::ToolCall(call) if self.ended.contains(&call.tool_call_id) => {}
            Part::ToolCall(call) => {
                self.begin_call(&call.tool_call_id, &call.tool_name, out);
                if matches!(&self.open, Some(Open::Call(open)) if open.arguments.is_empty()) {
                    out(Step::Add(&Value::Object(call.arguments()).to_string()));
                }
                self.end(None, out);
            }
            Part::ToolResult(result) => {
                let is_own = |call: &mut Box<ToolCallPart>| call.tool_call_id == result.tool_call_id;
                if let Some(call) = self.search.take_if(is_own) {
                    self.end(None, out);
                    out(Step::Searched { call: &call, result });
                }
            }
            Part::Source(source) => {
                self.begin_text(out);
                out(Step::Cite(source));
            }
            Part::File(file) => self.say(&shown(file), out),
            Part::Text(text) => self.say(&text.text, out),
            // Nothing a model answers with.
            Part::Reasoning(_) | Part::FileReference(_) | Part::ContextFile(_) | Part::Skill(_) => {}
        }
    }
}

impl OpenCall {
    fn append(&mut self, arguments: &str) {
        self.arguments.push_str(arguments);
        self.is_complete = None;
    }

    /// Whether the arguments are a whole JSON object, to which nothing can be added.
    fn is_complete(&mut self) -> bool {
        let arguments = &self.arguments;
        *self.is_complete.get_or_insert_with(|| {
            let is_object = arguments.trim_start().starts_with('{') && arguments.trim_end().ends_with('}');
            is_object && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
        })
    }
}

fn add(text: &str, out: &mut impl FnMut(Step<'_>)) {
    if !text.is_empty() {
        out(Step::Add(text));
    }
}

/// Which call of the client's an event is about.
pub(super) fn call_of(event: &Event) -> Option<&ToolCallId> {
    match event {
        Event::ToolCallDelta(delta) => Some(&delta.tool_call_id),
        Event::Part(part) => match &**part {
            Part::ToolCall(call) if !call.provider_executed => Some(&call.tool_call_id),
            _ => None,
        },
        _ => None,
    }
}

/// A file that the model made, as words with the file in them: no dialect has another place for it.
pub(super) fn shown(file: &FilePart) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let sign = if file.media_type.starts_with("image/") { "!" } else { "" };
    let data = STANDARD.encode(&file.data);
    format!("\n\n{sign}[{}](data:{};base64,{data})\n\n", file.name, file.media_type)
}
