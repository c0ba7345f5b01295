//! One tool call being assembled: its id, its streamed arguments, and what becomes of arguments that are no JSON object.
//!
//! Which piece of an answer belongs to which call is each protocol's to know.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tandem_chat_core::{
    error::ErrorKind,
    id::{CompletionId, ToolCallId},
    message::Message,
    part::{Part, ToolCallPart},
};

use super::{Delta, Failure};
use crate::call::ToolCallDelta;

/// Calls in one answer.
const MAX_CALLS: usize = 128;

/// Longest arguments that are kept, as the contract has it.
const MAX_ARGUMENTS_BYTES: usize = 1024 * 1024;

/// How much of broken arguments is kept, for the error the model gets.
const MAX_INVALID_BYTES: usize = 16 * 1024;

/// Longest name of a tool that is passed on; nobody offers longer ones.
const MAX_NAME_BYTES: usize = 256;

/// The key under which broken arguments travel with the call.
const INVALID_ARGUMENTS: &str = "invalid_arguments";

/// Whether the arguments of a call are no JSON object, or longer than is kept.
pub(super) fn is_invalid(call: &ToolCallPart) -> bool {
    call.provider_metadata.contains_key(INVALID_ARGUMENTS)
}

/// Ids of all calls in a prompt.
pub(super) fn used_call_ids(messages: &[Message]) -> HashSet<ToolCallId> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.tool_call_id.clone()),
            _ => None,
        })
        .collect()
}

/// Gives each call of an answer an id that neither the answer nor its prompt has twice.
#[derive(Debug)]
pub(super) struct CallIds {
    completion: CompletionId,
    used: HashSet<ToolCallId>,
    given: usize,
}

impl CallIds {
    /// * `completion`: ids for calls whose server gives none are made from it.
    /// * `used`: those the prompt has already; a server that counts from 0 in each answer would repeat them.
    pub(super) fn new(completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self {
            completion,
            used,
            given: 0,
        }
    }

    /// The server's id if nobody else has it, else one made from the completion's.
    ///
    /// # Errors
    /// Too many calls.
    pub(super) fn unique(&mut self, vendor_id: &str) -> Result<ToolCallId, Failure> {
        let place = self.given;
        if place >= MAX_CALLS {
            let text = format!("the model asked for more than {MAX_CALLS} tools at once");
            return Err(Failure::known(ErrorKind::Generic, text));
        }
        self.given += 1;
        if let Ok(id) = ToolCallId::new(vendor_id)
            && self.used.insert(id.clone())
        {
            return Ok(id);
        }
        let completion = self.completion.uuid().simple().to_string();
        // The end of a uuid of version 7 is its random part; the whole would be longer than vendors take.
        let made = format!("call_{}_{place}", &completion[8..]);
        ToolCallId::new(made).map_err(|error| Failure::known(ErrorKind::Generic, error.to_string()))
    }
}

/// A call whose arguments still come.
#[derive(Debug)]
pub(super) struct OpenCall {
    id: ToolCallId,
    /// Empty until it is known; deltas wait for it.
    name: String,
    arguments: String,
    is_too_long: bool,
    /// How much of the arguments has been streamed; nothing before the name is known.
    announced: Option<usize>,
}

impl OpenCall {
    pub(super) fn new(id: ToolCallId) -> Self {
        Self {
            id,
            name: String::new(),
            arguments: String::new(),
            is_too_long: false,
            announced: None,
        }
    }

    pub(super) fn is_named(&self) -> bool {
        !self.name.is_empty()
    }

    /// Sets the name unless it is known.
    pub(super) fn name_once(&mut self, name: &str) {
        if self.name.is_empty() {
            name[..name.floor_char_boundary(MAX_NAME_BYTES)].clone_into(&mut self.name);
        }
    }

    /// Whether no argument has come yet.
    pub(super) fn has_no_arguments(&self) -> bool {
        self.arguments.is_empty() && !self.is_too_long
    }

    /// Appends to the arguments, up to their bound.
    pub(super) fn append(&mut self, arguments: &str) {
        if self.is_too_long || self.arguments.len() + arguments.len() > MAX_ARGUMENTS_BYTES {
            self.is_too_long = true;
            return;
        }
        self.arguments.push_str(arguments);
    }

    /// What has not been streamed yet.
    pub(super) fn delta(&mut self) -> Option<Delta> {
        if self.name.is_empty() {
            return None;
        }
        let is_first = self.announced.is_none();
        let start = self.announced.replace(self.arguments.len()).unwrap_or(0);
        let arguments = self.arguments[start..].to_owned();
        (is_first || !arguments.is_empty()).then(|| {
            Delta::ToolCall(ToolCallDelta {
                tool_call_id: self.id.clone(),
                tool_name: self.name.clone(),
                arguments,
            })
        })
    }

    /// The complete call. Arguments that are no JSON object travel beside an empty one.
    pub(super) fn into_part(self) -> ToolCallPart {
        let (args, provider_metadata) = if self.is_too_long {
            invalid(&format!("longer than {MAX_ARGUMENTS_BYTES} bytes"))
        } else if self.arguments.trim().is_empty() {
            // A tool without parameters, called without arguments.
            (Value::Object(Map::new()), Map::new())
        } else {
            match serde_json::from_str(&self.arguments) {
                Ok(args @ Value::Object(_)) => (args, Map::new()),
                Ok(_) | Err(_) => invalid(&self.arguments),
            }
        };
        ToolCallPart {
            tool_call_id: self.id,
            tool_name: self.name,
            args,
            provider_executed: false,
            mcp_server_config_id: None,
            created_at: None,
            provider_metadata,
        }
    }
}

/// An empty object, with what stood in its place.
fn invalid(text: &str) -> (Value, Map<String, Value>) {
    let text = &text[..text.floor_char_boundary(MAX_INVALID_BYTES)];
    let metadata = Map::from_iter([(INVALID_ARGUMENTS.to_owned(), Value::from(text))]);
    (Value::Object(Map::new()), metadata)
}
