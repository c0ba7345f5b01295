//! Turns any stored history into one that every vendor accepts as a prompt.
//!
//! Owns pairing: each local tool call gets exactly one result, directly after its message; nothing is left without its other half. It
//! does not alter stored rows, and what only one vendor demands (signatures, merged roles, id lengths) is done in its own module.

mod ids;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::chat::AnswerReason;
use crate::id::ToolCallId;
use crate::message::{Message, Role};
use crate::part::{Part, ProviderMetadata, ReasoningPart, ToolCallPart, ToolResultPart};
use ids::CallIds;

/// Longest name of a tool that every vendor takes; nobody offers longer ones.
const MAX_TOOL_NAME_CHARS: usize = 64;

/// The prompt sequence of a history in conversation order. Linear in its length.
///
/// What comes out:
/// * only messages the model may see, none empty, blank texts and unsigned reasoning dropped;
/// * after each assistant message its tool results, one message each, in call order; a missing result becomes an "interrupted" error;
/// * call ids unique and of letters, digits, `_` and `-`, renamed together with their result where they were not; tool names likewise;
/// * results whose call is unknown behind a call made up for them; second results of one call dropped;
/// * provider-executed calls and results only in pairs within one assistant message.
///
/// The same history always gives the same prompt, and a longer one begins with the same messages unless a late result arrived, so
/// vendors' prompt caches keep working. Repairing twice changes nothing.
pub fn repair(messages: impl IntoIterator<Item = Message>) -> Vec<Message> {
    repair_counted(messages).0
}

/// As [`repair`], and how much there was to repair.
pub fn repair_counted(messages: impl IntoIterator<Item = Message>) -> (Vec<Message>, Repairs) {
    let mut pairing = Pairing::default();
    for message in messages {
        if message.visibility.is_for_model() {
            pairing.take(message);
        }
    }
    pairing.finish()
}

/// What was wrong with the calls and results of a history. What every history leaves out, such as unsigned reasoning, is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Calls that got an "interrupted" error for want of a result.
    pub results_made_up: usize,
    /// Results that got a call for want of their own.
    pub calls_made_up: usize,
    /// Calls and results that had to go: second results, halves of pairs, whatever stood where it cannot be sent.
    pub dropped: usize,
    /// Ids and names that no vendor takes, or that were there before.
    pub renamed: usize,
}

impl Repairs {
    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An entry of the prompt to be: a message, and what its local calls were answered.
struct Entry {
    message: Message,
    /// In call order; `None` until a result turns up.
    results: Vec<Option<ToolResultPart>>,
}

/// Finds for every result its call.
#[derive(Default)]
struct Pairing {
    entries: Vec<Entry>,
    /// Calls without a result by the id they were stored with: places as (entry, call), the latest last.
    unanswered: HashMap<ToolCallId, Vec<(usize, usize)>>,
    known: HashSet<ToolCallId>,
    repairs: Repairs,
}

impl Pairing {
    fn take(&mut self, message: Message) {
        let Message {
            role,
            visibility,
            parts,
        } = message;
        let (results, parts): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_local_result);
        let calls_before = count_calls(&parts);
        let misnamed = |call: &&ToolCallPart| !is_tool_name(&call.tool_name);
        self.repairs.renamed += parts.iter().filter_map(local_call).filter(misnamed).count();
        let parts = match role {
            Role::System => parts.into_iter().filter(is_words).collect(),
            Role::User => parts.into_iter().filter(is_for_user_role).collect(),
            Role::Assistant => assistant_parts(parts),
            Role::Tool => Vec::new(),
        };
        self.repairs.dropped += calls_before.saturating_sub(count_calls(&parts));
        if !parts.is_empty() {
            self.push(Message {
                role,
                visibility,
                parts,
            });
        }
        for result in results {
            if let Part::ToolResult(result) = result {
                self.answer(result);
            }
        }
    }

    fn push(&mut self, message: Message) {
        let entry = self.entries.len();
        let mut count = 0;
        for call in message.parts.iter().filter_map(local_call) {
            self.unanswered
                .entry(call.tool_call_id.clone())
                .or_default()
                .push((entry, count));
            self.known.insert(call.tool_call_id.clone());
            count += 1;
        }
        self.entries.push(Entry {
            message,
            results: vec![None; count],
        });
    }

    /// Gives a result to the latest call of that id that has none.
    fn answer(&mut self, result: ToolResultPart) {
        if !self.known.contains(&result.tool_call_id) {
            self.repairs.calls_made_up += 1;
            self.push(Message::new(
                Role::Assistant,
                vec![Part::ToolCall(made_up_call(&result))],
            ));
        }
        let place = self.unanswered.get_mut(&result.tool_call_id).and_then(Vec::pop);
        match place {
            Some((entry, call)) => self.entries[entry].results[call] = Some(result),
            None => self.repairs.dropped += 1,
        }
    }

    fn finish(self) -> (Vec<Message>, Repairs) {
        let mut repairs = self.repairs;
        let mut ids = CallIds::default();
        let mut prompt = Vec::with_capacity(self.entries.len());
        for Entry { mut message, results } in self.entries {
            ids.reserve(message.parts.iter().filter_map(provider_call_id));
            let mut answers = Vec::with_capacity(results.len());
            for (call, result) in message.parts.iter_mut().filter_map(local_call_mut).zip(results) {
                repairs.results_made_up += usize::from(result.is_none());
                let id = ids.unique(&call.tool_call_id);
                repairs.renamed += usize::from(id != call.tool_call_id);
                call.tool_call_id = id;
                answers.push(answer_to(call, result));
            }
            prompt.push(message);
            prompt.extend(
                answers
                    .into_iter()
                    .map(|answer| Message::new(Role::Tool, vec![Part::ToolResult(answer)])),
            );
        }
        (prompt, repairs)
    }
}

fn answer_to(call: &ToolCallPart, result: Option<ToolResultPart>) -> ToolResultPart {
    match result {
        Some(result) => ToolResultPart {
            tool_call_id: call.tool_call_id.clone(),
            tool_name: call.tool_name.clone(),
            ..result
        },
        None => ToolResultPart::synthetic_error(call, AnswerReason::Interrupted.text(), None),
    }
}

/// A call for a result whose own call is nowhere to be found.
fn made_up_call(result: &ToolResultPart) -> ToolCallPart {
    ToolCallPart {
        tool_call_id: result.tool_call_id.clone(),
        tool_name: tool_name(&result.tool_name),
        args: Value::Object(serde_json::Map::new()),
        provider_executed: false,
        mcp_server_config_id: result.mcp_server_config_id,
        created_at: result.created_at,
        provider_metadata: ProviderMetadata::new(),
    }
}

/// A name every vendor accepts. Models make up names nobody offered, and one that is refused would be refused in every later prompt too.
fn tool_name(name: &str) -> String {
    if name.is_empty() {
        return "unknown".to_owned();
    }
    let plain = name.chars().map(|c| if ids::is_plain(c) { c } else { '_' });
    plain.take(MAX_TOOL_NAME_CHARS).collect()
}

fn is_tool_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_TOOL_NAME_CHARS && name.chars().all(ids::is_plain)
}

fn count_calls(parts: &[Part]) -> usize {
    let is_half = |part: &&Part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_));
    parts.iter().filter(is_half).count()
}

/// What of an assistant message may be sent back. Empty if there is no more to it than reasoning, which no vendor takes alone.
fn assistant_parts(parts: Vec<Part>) -> Vec<Part> {
    let pairs = provider_pairs(&parts);
    let mut unseen = pairs.clone();
    let kept: Vec<Part> = parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Text(_) => is_words(&part).then_some(part),
            Part::Reasoning(reasoning) => can_be_replayed(&reasoning).then_some(Part::Reasoning(reasoning)),
            Part::ToolCall(call) if call.provider_executed => {
                unseen.remove(&call.tool_call_id).then_some(Part::ToolCall(call))
            }
            Part::ToolCall(call) => Some(Part::ToolCall(ToolCallPart {
                args: Value::Object(call.arguments()),
                tool_name: tool_name(&call.tool_name),
                ..call
            })),
            // The result follows its call, so the call has been taken from `unseen` by now; a second result finds nothing to take.
            Part::ToolResult(result) => {
                let is_answer = pairs.contains(&result.tool_call_id) && unseen.insert(result.tool_call_id.clone());
                is_answer.then_some(Part::ToolResult(result))
            }
            // A picture that a model made has its bytes with it; for vendors that take none back, their modules leave it out.
            Part::File(file) => (!file.data.is_empty()).then_some(Part::File(file)),
            Part::Source(_) | Part::FileReference(_) | Part::ContextFile(_) | Part::Skill(_) => None,
        })
        .collect();
    let is_reasoning_only = kept.iter().all(|part| matches!(part, Part::Reasoning(_)));
    if is_reasoning_only { Vec::new() } else { kept }
}

/// The ids of provider-executed calls that are followed by their result.
fn provider_pairs(parts: &[Part]) -> HashSet<ToolCallId> {
    let mut called = HashSet::new();
    let mut paired = HashSet::new();
    for part in parts {
        match part {
            Part::ToolCall(call) if call.provider_executed => {
                called.insert(&call.tool_call_id);
            }
            Part::ToolResult(result) if called.contains(&result.tool_call_id) => {
                paired.insert(result.tool_call_id.clone());
            }
            _ => {}
        }
    }
    paired
}

/// Vendors take reasoning back only if they can verify or identify it.
fn can_be_replayed(reasoning: &ReasoningPart) -> bool {
    !reasoning.signature.is_empty() || !reasoning.provider_metadata.is_empty()
}

fn is_words(part: &Part) -> bool {
    matches!(part, Part::Text(text) if !text.text.trim().is_empty())
}

fn is_for_user_role(part: &Part) -> bool {
    match part {
        Part::Text(_) => is_words(part),
        Part::File(_) | Part::FileReference(_) | Part::ContextFile(_) | Part::Skill(_) => true,
        Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Source(_) => false,
    }
}

fn is_local_result(part: &Part) -> bool {
    matches!(part, Part::ToolResult(result) if !result.provider_executed)
}

fn local_call(part: &Part) -> Option<&ToolCallPart> {
    match part {
        Part::ToolCall(call) if !call.provider_executed => Some(call),
        _ => None,
    }
}

fn local_call_mut(part: &mut Part) -> Option<&mut ToolCallPart> {
    match part {
        Part::ToolCall(call) if !call.provider_executed => Some(call),
        _ => None,
    }
}

fn provider_call_id(part: &Part) -> Option<&ToolCallId> {
    match part {
        Part::ToolCall(call) if call.provider_executed => Some(&call.tool_call_id),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
