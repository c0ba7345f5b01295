//! A conversation as turns the vendor accepts.
//!
//! Owns order and pairing: user and assistant in turns, the user first and last, each call's result at the start of the turn right
//! behind it, nothing empty. Histories usually come repaired; what still does not fit is made to fit, so that no history is refused.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};
use tandem_chat_core::{
    chat::AnswerReason,
    id::ToolCallId,
    message::{Message as Entry, Role as Speaker},
    part::{Part, ToolCallPart, ToolResultPart},
};

use super::{
    media::{self, Oversized},
    search::Pairs,
    thinking, tools,
};
use crate::{
    anthropic::wire::{Block, Content, Message, Role},
    words,
};

/// Longest id of a call that is sent as it is.
const MAX_CALL_ID_BYTES: usize = 64;

/// Said for a user where the vendor wants one to begin.
const BEGIN: &str = "Begin.";

/// Said for a user where the vendor wants one between or behind the assistant's turns.
const CONTINUE: &str = "Continue.";

/// Whom a prompt is for.
pub(super) struct Target<'a> {
    /// The vendor's model.
    pub(super) model: &'a str,
    /// Its window in tokens.
    pub(super) context_limit: Option<i64>,
    /// Whether earlier thinking is sent back.
    pub(super) sends_reasoning: bool,
    /// Whether the vendor's search is on offer, without which its earlier results are told in words.
    pub(super) offers_search: bool,
}

/// Instructions and conversation.
pub(super) struct Prompt {
    pub(super) system: Vec<Block>,
    pub(super) turns: Vec<Message>,
}

/// Puts a conversation into turns.
///
/// # Errors
/// [`Oversized`]: a file of the newest message is larger than the vendor takes.
pub(super) fn write(messages: &[Entry], target: &Target<'_>) -> Result<Prompt, Oversized> {
    let is_answered = |message: &Entry| message.role == Speaker::Assistant;
    let newest = messages.iter().rposition(is_answered).map_or(0, |last| last + 1);
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
    for (place, message) in messages.iter().enumerate() {
        match message.role {
            Speaker::System => writer.system(&message.parts),
            Speaker::User => writer.user(&message.parts, place >= newest)?,
            Speaker::Assistant => writer.assistant(&message.parts),
            Speaker::Tool => writer.results(&message.parts),
        }
    }
    Ok(writer.finish())
}

/// A call that waits for its result.
struct OpenCall {
    id: ToolCallId,
    /// As the vendor is told it.
    sent_id: String,
    result: Option<Block>,
}

struct Writer<'a> {
    target: &'a Target<'a>,
    prompt: Prompt,
    /// Calls of the last turn, in order.
    open: Vec<OpenCall>,
    /// Results without an open call, in words; they follow those that have one.
    asides: Vec<Block>,
    /// Ids of calls so far, as the vendor is told them.
    used: HashSet<String>,
}

impl Writer<'_> {
    /// Instructions at the start are instructions; the vendor has no place for later ones, so they are told within a user's turn.
    fn system(&mut self, parts: &[Part]) {
        let text = words::join(parts.iter().filter_map(words::text_of));
        if text.is_empty() {
            return;
        }
        if self.prompt.turns.is_empty() {
            self.prompt.system.push(Block::text(text));
        } else {
            self.say(vec![Block::text(format!("<instructions>\n{text}\n</instructions>"))]);
        }
    }

    fn user(&mut self, parts: &[Part], is_new: bool) -> Result<(), Oversized> {
        self.results(parts);
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::File(file) => blocks.push(media::file(file, is_new, self.target.context_limit)?),
                other => blocks.extend(words::text_of(other).map(Block::text)),
            }
        }
        self.say(blocks);
        Ok(())
    }

    fn assistant(&mut self, parts: &[Part]) {
        self.answer();
        let pairs = if self.target.offers_search {
            Pairs::of(parts, &mut self.used)
        } else {
            Pairs::default()
        };
        let mut blocks = Vec::with_capacity(parts.len());
        let mut open = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) if !text.text.trim().is_empty() => blocks.push(Block::text(&text.text)),
                Part::Reasoning(reasoning) if self.target.sends_reasoning => {
                    blocks.extend(thinking::replayed(reasoning, self.target.model));
                }
                Part::ToolCall(call) if call.provider_executed => blocks.extend(pairs.call(call)),
                Part::ToolResult(result) if result.provider_executed => blocks.extend(pairs.result(result)),
                Part::ToolCall(call) => {
                    let sent_id = self.unique_id(&call.tool_call_id);
                    blocks.push(tool_use(call, &sent_id));
                    open.push(OpenCall {
                        id: call.tool_call_id.clone(),
                        sent_id,
                        result: None,
                    });
                }
                Part::Text(_)
                | Part::Reasoning(_)
                | Part::ToolResult(_)
                | Part::Source(_)
                | Part::File(_)
                | Part::FileReference(_)
                | Part::ContextFile(_)
                | Part::Skill(_) => {}
            }
        }
        // The vendor refuses a turn that ends with thinking.
        while blocks.last().is_some_and(Block::is_thinking) {
            blocks.pop();
        }
        self.reply(blocks);
        self.open = open;
        self.results(parts);
    }

    /// Gives local results to their calls. One whose call is not open is told in words.
    fn results(&mut self, parts: &[Part]) {
        for part in parts {
            let Part::ToolResult(result) = part else { continue };
            if result.provider_executed {
                continue;
            }
            let call = self
                .open
                .iter_mut()
                .find(|call| call.id == result.tool_call_id && call.result.is_none());
            match call {
                Some(call) => call.result = Some(tool_result(result, &call.sent_id)),
                None => {
                    let said = format!("[What the tool {} returned:]", result.tool_name);
                    self.asides.push(Block::text(said));
                    self.asides.extend(media::result(result));
                }
            }
        }
    }

    /// Ends the calls of the last turn: their results, in order, begin the user's turn. A call without one was interrupted.
    fn answer(&mut self) {
        let open = std::mem::take(&mut self.open);
        let result = |call: OpenCall| {
            call.result.unwrap_or_else(|| {
                Block::new(Content::ToolResult {
                    tool_use_id: call.sent_id,
                    content: vec![Block::text(AnswerReason::Interrupted.text())],
                    is_error: true,
                })
            })
        };
        let results: Vec<Block> = open.into_iter().map(result).collect();
        self.add(Role::User, results);
        let asides = std::mem::take(&mut self.asides);
        self.add(Role::User, asides);
    }

    /// Adds to what the user says, behind results that are due.
    fn say(&mut self, blocks: Vec<Block>) {
        if !blocks.is_empty() {
            self.answer();
            self.add(Role::User, blocks);
        }
    }

    /// Adds a turn of the assistant. Turns with thinking are sent back as they were, so nothing is joined to one.
    fn reply(&mut self, blocks: Vec<Block>) {
        let is_thought = |blocks: &[Block]| blocks.iter().any(Block::is_thinking);
        if blocks.is_empty() {
            return;
        }
        match self.prompt.turns.last() {
            None => self.add(Role::User, vec![Block::text(BEGIN)]),
            Some(last) if last.role == Role::Assistant && (is_thought(&last.content) || is_thought(&blocks)) => {
                self.add(Role::User, vec![Block::text(CONTINUE)]);
            }
            Some(_) => {}
        }
        self.add(Role::Assistant, blocks);
    }

    fn add(&mut self, role: Role, blocks: Vec<Block>) {
        if blocks.is_empty() {
            return;
        }
        match self.prompt.turns.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            Some(_) | None => self.prompt.turns.push(Message { role, content: blocks }),
        }
    }

    fn finish(mut self) -> Prompt {
        self.answer();
        match self.prompt.turns.last() {
            None => self.add(Role::User, vec![Block::text(BEGIN)]),
            Some(last) if last.role == Role::Assistant => self.add(Role::User, vec![Block::text(CONTINUE)]),
            Some(_) => {}
        }
        self.prompt
    }

    /// The id of a call as the vendor takes it, once in a prompt: its own where that will do, else a fixed digest of it.
    fn unique_id(&mut self, id: &ToolCallId) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let own = id.as_str();
        let mut sent = own.to_owned();
        let mut count = 0_u64;
        while sent.len() > MAX_CALL_ID_BYTES || !sent.bytes().all(is_plain) || self.used.contains(&sent) {
            let digest = Sha256::digest(format!("{count} {own}").as_bytes());
            let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            sent = format!("call_{hex}");
            count += 1;
        }
        self.used.insert(sent.clone());
        sent
    }
}

fn tool_use(call: &ToolCallPart, sent_id: &str) -> Block {
    Block::new(Content::ToolUse {
        id: sent_id.to_owned(),
        name: tools::name(&call.tool_name),
        input: call.arguments(),
    })
}

fn tool_result(result: &ToolResultPart, sent_id: &str) -> Block {
    Block::new(Content::ToolResult {
        tool_use_id: sent_id.to_owned(),
        content: media::result(result),
        is_error: result.is_error,
    })
}
