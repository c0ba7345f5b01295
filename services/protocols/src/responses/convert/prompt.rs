//! A conversation as items the vendor accepts.
//!
//! Owns order and pairing: each call's output right behind the calls of its turn, reasoning before something of the model's, no id
//! twice, nothing empty. Histories usually come repaired; what still does not fit is made to fit, so that no history is refused.

use std::collections::HashSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tandem_chat_core::{
    chat::AnswerReason,
    id::ToolCallId,
    message::{Message, Role as Speaker},
    part::{Part, ToolCallPart},
};

use super::{
    computer::{Screen, Screens},
    media,
    search::Replay,
    thinking, tools,
};
use crate::{
    call::COMPUTER,
    responses::{
        Origin,
        family::Computer,
        wire::{Item, Output, Piece, Role},
    },
    words,
};

/// Longest id of a call the vendor takes.
const MAX_CALL_ID_BYTES: usize = 64;

/// Said for a user where there is nothing to answer.
const BEGIN: &str = "Begin.";

/// Whom a prompt is for.
pub(super) struct Target {
    pub(super) origin: Origin,
    /// Whether the model reasons.
    pub(super) reasons: bool,
    /// Whether the vendor's search is on offer, without which its earlier results are told in words.
    pub(super) offers_search: bool,
    /// The tool for using a computer that is on offer, without which its earlier calls are like those of tools of ours.
    pub(super) computer: Option<Computer>,
}

/// Puts a conversation into items; at least one.
pub(super) fn write(messages: &[Message], target: &Target) -> Vec<Item> {
    let mut writer = Writer {
        target,
        items: Vec::with_capacity(messages.len()),
        open: Vec::new(),
        asides: Vec::new(),
        call_ids: HashSet::new(),
        item_ids: HashSet::new(),
    };
    for (place, message) in messages.iter().enumerate() {
        match message.role {
            Speaker::System => writer.system(&message.parts),
            Speaker::User => writer.user(&message.parts),
            Speaker::Assistant => writer.assistant(&message.parts, &messages[place + 1..]),
            Speaker::Tool => writer.results(&message.parts),
        }
    }
    writer.answer();
    if writer.items.is_empty() {
        writer.say(Role::User, vec![Piece::told(BEGIN)]);
    }
    writer.items
}

/// A call that waits for its output.
struct OpenCall {
    id: ToolCallId,
    /// As the vendor is told it.
    sent_id: String,
    is_answered: bool,
    outcome: Outcome,
}

/// What came of a call.
enum Outcome {
    /// Known from the messages behind it.
    Seen(Screen),
    /// Whatever its result says; interrupted until there is one.
    Told(Option<Output>),
}

struct Writer<'a> {
    target: &'a Target,
    items: Vec<Item>,
    /// Calls of the last turn, in order.
    open: Vec<OpenCall>,
    /// Results without an open call, in words; they follow those that have one.
    asides: Vec<Piece>,
    /// Ids of calls so far, as the vendor is told them.
    call_ids: HashSet<String>,
    /// Ids of items so far.
    item_ids: HashSet<String>,
}

impl Writer<'_> {
    fn system(&mut self, parts: &[Part]) {
        let text = words::join(parts.iter().filter_map(words::text_of));
        let role = if self.target.reasons {
            Role::Developer
        } else {
            Role::System
        };
        if !text.is_empty() {
            self.say(role, vec![Piece::told(text)]);
        }
    }

    fn user(&mut self, parts: &[Part]) {
        self.results(parts);
        let pieces = parts.iter().filter_map(|part| match part {
            Part::File(file) => Some(media::file(file)),
            other => words::text_of(other).map(Piece::told),
        });
        self.say(Role::User, pieces.collect());
    }

    /// * `rest`: the messages behind it.
    fn assistant(&mut self, parts: &[Part], rest: &[Message]) {
        self.answer();
        let target = self.target;
        let origin = &target.origin;
        let mut screens = Screens::of(parts, rest, origin, target.computer);
        let replay = Replay::of(
            parts,
            origin,
            target.reasons,
            target.offers_search,
            &screens,
            &mut self.item_ids,
        );
        let start = self.items.len();
        let mut open = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) if !text.text.trim().is_empty() => self.reply(&text.text),
                Part::Reasoning(reasoning) => {
                    let id = thinking::sendable_id(reasoning, origin).filter(|id| replay.has_thought(id));
                    // Of two parts with one id only the first is sent.
                    if let Some(id) = id.filter(|id| !self.has_thought_since(start, id)) {
                        self.items.push(thinking::item(reasoning, id));
                    }
                }
                Part::ToolCall(call) if call.provider_executed => {
                    let item = replay.call(call, origin, |id| self.has_thought_since(start, id));
                    if let Some(item) = item.filter(|item| !self.items.contains(item)) {
                        self.items.push(item);
                    }
                }
                Part::ToolResult(result) if result.provider_executed => {
                    if let Some(text) = replay.told(result) {
                        self.reply(&text);
                    }
                }
                Part::ToolCall(call) => {
                    let sent_id = self.unique_id(&call.tool_call_id);
                    let screen = screens.take(call).filter(|(native, _)| {
                        let has_thought = |id: &str| self.has_thought_since(start, id);
                        replay.has_call(native.id)
                            && native.needs.is_none_or(has_thought)
                            && !self.has_called_since(start, native.id)
                    });
                    let (item, outcome) = match screen {
                        Some((native, screen)) => (native.item(&sent_id), Outcome::Seen(screen)),
                        None => (function_call(call, &sent_id), Outcome::Told(None)),
                    };
                    self.items.push(item);
                    open.push(OpenCall {
                        id: call.tool_call_id.clone(),
                        sent_id,
                        is_answered: false,
                        outcome,
                    });
                }
                Part::Text(_)
                | Part::ToolResult(_)
                | Part::Source(_)
                | Part::File(_)
                | Part::FileReference(_)
                | Part::ContextFile(_)
                | Part::Skill(_) => {}
            }
        }
        // The vendor refuses reasoning that leads to nothing.
        while self.items.len() > start && matches!(self.items.last(), Some(Item::Reasoning { .. })) {
            self.items.pop();
        }
        self.open = open;
        self.results(parts);
    }

    fn has_thought_since(&self, start: usize, wanted: &str) -> bool {
        self.items[start..]
            .iter()
            .any(|item| matches!(item, Item::Reasoning { id, .. } if id == wanted))
    }

    fn has_called_since(&self, start: usize, wanted: &str) -> bool {
        self.items[start..]
            .iter()
            .any(|item| matches!(item, Item::ComputerCall { id, .. } if id == wanted))
    }

    /// Gives local results to their calls. One whose call is not open is told in words.
    fn results(&mut self, parts: &[Part]) {
        for part in parts {
            let Part::ToolResult(result) = part else { continue };
            if result.provider_executed {
                continue;
            }
            let waiting = |call: &&mut OpenCall| !call.is_answered && call.id == result.tool_call_id;
            if let Some(call) = self.open.iter_mut().find(waiting) {
                call.is_answered = true;
                if let Outcome::Told(output) = &mut call.outcome {
                    *output = Some(media::output(result));
                }
                continue;
            }
            self.asides.push(Piece::told(returned(&result.tool_name)));
            match media::output(result) {
                Output::Text(text) => self.asides.push(Piece::told(text)),
                Output::Pieces(pieces) => self.asides.extend(pieces),
            }
        }
    }

    /// Ends the calls of the last turn with their outputs, in order. A call without one was interrupted.
    fn answer(&mut self) {
        for call in std::mem::take(&mut self.open) {
            let interrupted = || Output::Text(media::outcome(true, AnswerReason::Interrupted.text()));
            let item = match call.outcome {
                Outcome::Seen(mut screen) => {
                    if let Some(text) = screen.text.take() {
                        self.asides.extend([returned(COMPUTER), text].map(Piece::told));
                    }
                    screen.item(call.sent_id)
                }
                Outcome::Told(output) => Item::FunctionCallOutput {
                    call_id: call.sent_id,
                    output: output.unwrap_or_else(interrupted),
                },
            };
            self.items.push(item);
        }
        let content = std::mem::take(&mut self.asides);
        if !content.is_empty() {
            let role = Role::User;
            self.items.push(Item::Message { role, content });
        }
    }

    /// Adds what somebody says to the model, behind outputs that are due.
    fn say(&mut self, role: Role, content: Vec<Piece>) {
        if !content.is_empty() {
            self.answer();
            self.items.push(Item::Message { role, content });
        }
    }

    /// Adds what the model said.
    fn reply(&mut self, text: &str) {
        self.items.push(Item::Message {
            role: Role::Assistant,
            content: vec![Piece::said(text)],
        });
    }

    /// The id of a call as the vendor takes it, once in a prompt: its own where that will do, else a fixed digest of it.
    fn unique_id(&mut self, id: &ToolCallId) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let will_do = |id: &String| id.len() <= MAX_CALL_ID_BYTES && id.bytes().all(is_plain);
        let digests = (0_u64..).map(|count| {
            let digest = Sha256::digest(format!("{count} {id}").as_bytes());
            let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("call_{hex}")
        });
        let own = Some(id.to_string()).filter(will_do);
        let mut wanted = own.into_iter().chain(digests);
        loop {
            // Digests never run out, and each is another.
            let sent = wanted.next().unwrap_or_default();
            if self.call_ids.insert(sent.clone()) {
                return sent;
            }
        }
    }
}

/// Said before what a tool returned, where its call has no place for it.
fn returned(tool_name: &str) -> String {
    format!("[What the tool {tool_name} returned:]")
}

fn function_call(call: &ToolCallPart, sent_id: &str) -> Item {
    Item::FunctionCall {
        call_id: sent_id.to_owned(),
        name: tools::name(&call.tool_name),
        arguments: Value::Object(call.arguments()).to_string(),
    }
}
