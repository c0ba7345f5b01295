//! A conversation as turns the vendor accepts.
//!
//! Owns order and pairing: the user first and last, the model's calls followed at once by a turn with their results and nothing else,
//! nothing empty. Histories usually come repaired; what still does not fit is made to fit, so that no history is refused.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use tandem_chat_core::{
    chat::AnswerReason,
    id::ToolCallId,
    message::{Message as Entry, Role as Speaker},
    part::{Part as Piece, ToolCallPart, ToolResultPart},
};

use super::{media, signature, tools::Names};
use crate::{
    google::{
        family::Family,
        wire::{Content, Data, Inline, OwnPart, Part, Role},
    },
    words,
};

/// Said for a user where the vendor wants one to begin.
const BEGIN: &str = "Begin.";

/// Said for a user where the vendor wants one behind the model's turn.
const CONTINUE: &str = "Continue.";

/// Said before a picture of the model's own, to models that take pictures from users only.
const MADE: &str = "[The picture you made:]";

/// Whom a prompt is for.
pub(super) struct Target<'a> {
    /// The vendor's model.
    pub(super) model: &'a str,
    pub(super) family: Family,
    pub(super) names: &'a Names,
    /// Whether instructions have a place of their own; else the user says them.
    pub(super) takes_instructions: bool,
}

/// Instructions and conversation.
pub(super) struct Prompt {
    pub(super) system: Vec<Part>,
    pub(super) turns: Vec<Content>,
}

/// Puts a conversation into turns.
pub(super) fn write(messages: &[Entry], target: &Target<'_>) -> Prompt {
    let mut writer = Writer {
        target,
        prompt: Prompt {
            system: Vec::new(),
            turns: Vec::new(),
        },
        open: Vec::new(),
        asides: Vec::new(),
        used: HashSet::new(),
    };
    for message in messages {
        match message.role {
            Speaker::System => writer.system(&message.parts),
            Speaker::User => writer.user(&message.parts),
            Speaker::Assistant => writer.assistant(&message.parts),
            Speaker::Tool => writer.results(&message.parts),
        }
    }
    writer.finish()
}

/// A call that waits for its result.
struct OpenCall {
    id: ToolCallId,
    /// As the vendor is told it.
    sent_id: String,
    sent_name: String,
    outcome: Option<(Map<String, Value>, Option<Inline>)>,
}

struct Writer<'a> {
    target: &'a Target<'a>,
    prompt: Prompt,
    /// Calls of the last turn, in order.
    open: Vec<OpenCall>,
    /// What follows the results in a turn of its own: results without an open call, in words, and pictures the model sees nowhere else.
    asides: Vec<Part>,
    /// Ids of calls so far, as the vendor is told them.
    used: HashSet<String>,
}

impl Writer<'_> {
    /// Instructions at the start are instructions; the vendor has no place for later ones, so they are told within a user's turn.
    fn system(&mut self, parts: &[Piece]) {
        let text = words::join(parts.iter().filter_map(words::text_of));
        if text.is_empty() {
            return;
        }
        if self.prompt.turns.is_empty() && self.target.takes_instructions {
            self.prompt.system.push(Part::text(text));
        } else {
            self.say(vec![Part::text(format!("<instructions>\n{text}\n</instructions>"))]);
        }
    }

    fn user(&mut self, parts: &[Piece]) {
        self.results(parts);
        let shown = parts.iter().filter_map(|part| match part {
            Piece::File(file) => Some(media::file(file)),
            other => words::text_of(other).map(Part::text),
        });
        self.say(shown.collect());
    }

    fn assistant(&mut self, parts: &[Piece]) {
        self.answer();
        let pairs = self.native_pairs(parts);
        let mut written = Vec::with_capacity(parts.len());
        let mut open: Vec<OpenCall> = Vec::new();
        for part in parts {
            match part {
                Piece::Text(text) if !text.text.trim().is_empty() => written.push(Part::text(&text.text)),
                Piece::Reasoning(reasoning) => signature::put_back(reasoning, self.target.model, &mut written),
                Piece::ToolCall(call) if call.provider_executed => {
                    written.extend(
                        pairs
                            .get(&call.tool_call_id)
                            .map(|(call, _)| Part::Native((*call).clone())),
                    );
                }
                Piece::ToolResult(result) if result.provider_executed => {
                    written.extend(
                        pairs
                            .get(&result.tool_call_id)
                            .map(|(_, result)| Part::Native((*result).clone())),
                    );
                }
                Piece::ToolCall(call) => {
                    let sent_id = self.unique_id(&call.tool_call_id);
                    let sent_name = self.target.names.sent(&call.tool_name);
                    written.push(self.call(call, &sent_id, &sent_name, open.is_empty()));
                    open.push(OpenCall {
                        id: call.tool_call_id.clone(),
                        sent_id,
                        sent_name,
                        outcome: None,
                    });
                }
                Piece::File(file) => {
                    let Some(picture) = media::made(file) else { continue };
                    match self.target.family.makes_pictures() {
                        true => written.push(picture),
                        false => self.asides.extend([Part::text(MADE), picture]),
                    }
                }
                Piece::Text(_)
                | Piece::ToolResult(_)
                | Piece::Source(_)
                | Piece::FileReference(_)
                | Piece::ContextFile(_)
                | Piece::Skill(_) => {}
            }
        }
        if written.iter().all(is_thinking) {
            written.clear();
        }
        self.reply(written);
        self.open = open;
        self.results(parts);
    }

    /// A call of ours. The third generation wants the first call of each turn to be signed, those of other models by a stand-in.
    fn call(&self, call: &ToolCallPart, sent_id: &str, sent_name: &str, is_first: bool) -> Part {
        let own = signature::call(&call.provider_metadata, self.target.model);
        let wants_one = is_first && self.target.family.is_third();
        let thought_signature = match own {
            "" if wants_one => signature::FOREIGN,
            own => own,
        };
        Part::Own(OwnPart {
            thought: false,
            data: Data::FunctionCall {
                id: sent_id.to_owned(),
                name: sent_name.to_owned(),
                args: call.arguments(),
            },
            thought_signature: thought_signature.to_owned(),
        })
    }

    /// Calls of the vendor's own tools with their results behind them, both as this model wrote them.
    fn native_pairs<'p>(&self, parts: &'p [Piece]) -> HashMap<&'p ToolCallId, (&'p Value, &'p Value)> {
        let mut calls = HashMap::new();
        let mut pairs = HashMap::new();
        let mut spoilt = HashSet::new();
        let model = self.target.model;
        for part in parts {
            match part {
                Piece::ToolCall(call) if call.provider_executed => {
                    match signature::native(&call.provider_metadata, model, "toolCall") {
                        Some(piece) if !calls.contains_key(&call.tool_call_id) => {
                            calls.insert(&call.tool_call_id, piece);
                        }
                        Some(_) | None => {
                            spoilt.insert(&call.tool_call_id);
                        }
                    }
                }
                Piece::ToolResult(result) if result.provider_executed => {
                    let id = &result.tool_call_id;
                    let native = signature::native(&result.provider_metadata, model, "toolResponse");
                    match (calls.get(id), native) {
                        (Some(call), Some(piece)) if !pairs.contains_key(id) => {
                            pairs.insert(id, (*call, piece));
                        }
                        _ => {
                            spoilt.insert(id);
                        }
                    }
                }
                _ => {}
            }
        }
        pairs.retain(|id, _| !spoilt.contains(id));
        pairs
    }

    /// Gives local results to their calls. One whose call is not open is told in words.
    fn results(&mut self, parts: &[Piece]) {
        for part in parts {
            let Piece::ToolResult(result) = part else { continue };
            if !result.provider_executed {
                self.result(result);
            }
        }
    }

    fn result(&mut self, result: &ToolResultPart) {
        let sees_media = self.target.family.is_third();
        let outcome = media::outcome(result);
        let call = self
            .open
            .iter_mut()
            .find(|call| call.id == result.tool_call_id && call.outcome.is_none());
        let aside = match call {
            Some(call) if sees_media => {
                call.outcome = Some((outcome.response, outcome.media));
                return;
            }
            Some(call) => {
                call.outcome = Some((outcome.response, None));
                let Some(media) = outcome.media else { return };
                vec![
                    Part::text(format!("The file that {} returned:", result.tool_name)),
                    Part::new(Data::Inline(media.inline_data)),
                ]
            }
            None => {
                let said = outcome.response.into_values().next().unwrap_or_default();
                let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
                let mut aside = vec![Part::text(format!(
                    "[What the tool {} returned:]\n{said}",
                    result.tool_name
                ))];
                let media = outcome.media.map(|media| Part::new(Data::Inline(media.inline_data)));
                aside.extend(media);
                aside
            }
        };
        self.asides.extend(aside);
    }

    /// Ends the calls of the last turn with a turn of their results, in order. A call without one was interrupted.
    fn answer(&mut self) {
        let open = std::mem::take(&mut self.open);
        let response = |call: OpenCall| {
            let interrupted = || {
                let text = Value::from(AnswerReason::Interrupted.text());
                (Map::from_iter([("error".to_owned(), text)]), None)
            };
            let (response, media) = call.outcome.unwrap_or_else(interrupted);
            Part::new(Data::FunctionResponse {
                id: call.sent_id,
                name: call.sent_name,
                response,
                parts: media.into_iter().collect(),
            })
        };
        let results: Vec<Part> = open.into_iter().map(response).collect();
        self.push(Role::User, results);
        let asides = std::mem::take(&mut self.asides);
        self.add(Role::User, asides);
    }

    /// Adds to what the user says, behind results that are due.
    fn say(&mut self, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.answer();
            self.add(Role::User, parts);
        }
    }

    fn reply(&mut self, parts: Vec<Part>) {
        if !parts.is_empty() && self.prompt.turns.is_empty() {
            self.add(Role::User, vec![Part::text(BEGIN)]);
        }
        self.add(Role::Model, parts);
    }

    /// Adds to the last turn, if it is that speaker's and holds no results, else a turn.
    fn add(&mut self, role: Role, parts: Vec<Part>) {
        match self.prompt.turns.last_mut() {
            Some(last) if last.role == role && !last.parts.iter().any(is_result) => last.parts.extend(parts),
            Some(_) | None => self.push(role, parts),
        }
    }

    fn push(&mut self, role: Role, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.prompt.turns.push(Content { role, parts });
        }
    }

    fn finish(mut self) -> Prompt {
        self.answer();
        match self.prompt.turns.last() {
            None => self.add(Role::User, vec![Part::text(BEGIN)]),
            Some(last) if last.role == Role::Model => self.add(Role::User, vec![Part::text(CONTINUE)]),
            Some(_) => {}
        }
        self.prompt
    }

    /// The id of a call, once in a prompt.
    fn unique_id(&mut self, id: &ToolCallId) -> String {
        let own = id.as_str();
        let mut sent = own.to_owned();
        let mut count = 1_u64;
        while !self.used.insert(sent.clone()) {
            count += 1;
            sent = format!("{own}_{count}");
        }
        sent
    }
}

fn is_result(part: &Part) -> bool {
    matches!(
        part,
        Part::Own(OwnPart {
            data: Data::FunctionResponse { .. },
            ..
        })
    )
}

/// Whether a piece says nothing: thinking, or a signature without words.
fn is_thinking(part: &Part) -> bool {
    match part {
        Part::Own(OwnPart { thought: true, .. }) => true,
        Part::Own(OwnPart {
            data: Data::Text(text), ..
        }) => text.is_empty(),
        Part::Own(_) | Part::Native(_) => false,
    }
}
