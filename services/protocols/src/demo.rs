//! The built-in demo model: a script that needs no network and no key, and really uses the tools it is offered.
//!
//! It owns its words and its pace. It is no language model and says so; the same conversation always gets the same answer.

use std::{collections::VecDeque, time::Duration};

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tandem_chassis::config::duration;
use tandem_chat_core::{
    id::ToolCallId,
    message::Usage,
    part::{Part, ProviderMetadata, ReasoningPart, ToolCallPart},
};

use super::{Call, Delta, Deltas, Finish};
use crate::call::{FinishReason, Request, ToolCallDelta};

mod reply;
mod request;
mod words;

use reply::{Reply, ToolUse};

/// The model's name in the catalogue; any name is answered.
pub const MODEL: &str = "tandem-demo";

/// Characters of a tool call's arguments sent at once.
const ARGUMENT_CHARS: usize = 24;

/// The demo model's pace.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Pause after each word.
    #[serde(with = "duration")]
    pub word_pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            word_pause: Duration::from_millis(25),
        }
    }
}

/// The demo model.
#[derive(Clone, Debug)]
pub struct Model {
    word_pause: Duration,
}

impl Model {
    /// A demo model of that pace.
    pub fn new(config: &Config) -> Self {
        Self {
            word_pause: config.word_pause,
        }
    }

    /// Answers a call.
    pub fn open(&self, call: &Call) -> Deltas {
        let request = &call.request;
        let reply = reply::aside(request.purpose, &request.messages)
            .unwrap_or_else(|| reply::to(&request.messages, &request.tools, &request.tool_choice));
        let deltas = deltas(&reply, &call.request);
        let pause = self.word_pause;
        futures::stream::unfold(deltas, move |mut deltas| async move {
            let delta = deltas.pop_front()?;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Some((Ok(delta), deltas))
        })
        .boxed()
    }
}

/// A reply in the pieces in which it is sent.
fn deltas(reply: &Reply, request: &Request) -> VecDeque<Delta> {
    let mut deltas = VecDeque::new();
    if let Some(reasoning) = &reply.reasoning {
        deltas.extend(words_of(reasoning).map(Delta::Reasoning));
        deltas.push_back(Delta::ReasoningDone(ReasoningPart::default()));
    }
    deltas.extend(words_of(&reply.text).map(Delta::Text));
    let calls: Vec<(ToolCallId, &ToolUse)> = reply
        .calls
        .iter()
        .enumerate()
        .filter_map(|(place, tool_use)| Some((call_id(request, place)?, tool_use)))
        .collect();
    for (id, tool_use) in &calls {
        deltas.extend(call_deltas(id, tool_use));
    }
    deltas.extend(calls.iter().map(|(id, tool_use)| whole_call(id, tool_use)));
    deltas.push_back(Delta::Finish(Finish {
        reason: if calls.is_empty() {
            FinishReason::Stop
        } else {
            FinishReason::ToolCalls
        },
        usage: usage(reply, request),
        response_id: String::new(),
    }));
    deltas
}

fn call_id(request: &Request, place: usize) -> Option<ToolCallId> {
    let completion = request.id.uuid().simple().to_string();
    ToolCallId::new(format!("demo_{}_{place}", &completion[8..])).ok()
}

fn call_deltas(id: &ToolCallId, tool_use: &ToolUse) -> Vec<Delta> {
    let arguments = tool_use.arguments.to_string();
    let chars: Vec<char> = arguments.chars().collect();
    let pieces = chars
        .chunks(ARGUMENT_CHARS)
        .map(|piece| piece.iter().collect::<String>());
    std::iter::once(String::new())
        .chain(pieces)
        .map(|arguments| {
            Delta::ToolCall(ToolCallDelta {
                tool_call_id: id.clone(),
                tool_name: tool_use.tool.to_owned(),
                arguments,
            })
        })
        .collect()
}

fn whole_call(id: &ToolCallId, tool_use: &ToolUse) -> Delta {
    Delta::Part(Part::ToolCall(ToolCallPart {
        tool_call_id: id.clone(),
        tool_name: tool_use.tool.to_owned(),
        args: tool_use.arguments.clone(),
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: ProviderMetadata::new(),
    }))
}

/// Words with the white space behind them; together the text.
fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word_end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let end = rest[word_end..]
            .find(|c: char| !c.is_whitespace())
            .map_or(rest.len(), |gap| word_end + gap);
        let (word, behind) = rest.split_at(end);
        rest = behind;
        Some(word.to_owned())
    })
}

/// Counted in words, since nothing here has tokens.
fn usage(reply: &Reply, request: &Request) -> Usage {
    let count = |text: &str| i64::try_from(text.split_whitespace().count()).unwrap_or(i64::MAX);
    let input: i64 = request
        .messages
        .iter()
        .map(|message| count(&tandem_chat_core::part::text_of(&message.parts)))
        .sum();
    let arguments: i64 = reply
        .calls
        .iter()
        .map(|tool_use| count(&tool_use.arguments.to_string()))
        .sum();
    let output = count(&reply.text) + arguments;
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        total_tokens: Some(input + output),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests;
