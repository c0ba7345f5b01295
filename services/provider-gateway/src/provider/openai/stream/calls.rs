//! Tool calls being assembled from their pieces.
//!
//! Owns which piece belongs to which call, ids that are unique, and what happens to arguments that are no JSON object.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tandem_chat_core::{
    error::ErrorKind,
    id::{CompletionId, ToolCallId},
    part::{Part, ToolCallPart},
};

use crate::{
    completion::ToolCallDelta,
    provider::{Delta, Failure, openai::wire::FunctionDelta},
};

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

/// All calls of one answer.
#[derive(Debug)]
pub(super) struct Calls {
    completion: CompletionId,
    used: HashSet<ToolCallId>,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    index: Option<i64>,
    /// As the server sent it; empty if it sent none.
    vendor_id: String,
    id: ToolCallId,
    /// Empty until it is known; deltas wait for it.
    name: String,
    arguments: String,
    is_too_long: bool,
    /// How much of the arguments has been streamed; nothing before the name is known.
    announced: Option<usize>,
}

impl Calls {
    pub(super) fn new(completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self {
            completion,
            used,
            calls: Vec::new(),
        }
    }

    /// Takes one piece in.
    ///
    /// # Errors
    /// Too many calls.
    pub(super) fn add(
        &mut self,
        index: Option<i64>,
        vendor_id: Option<&str>,
        function: Option<&FunctionDelta>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Failure> {
        let name = function.and_then(FunctionDelta::name);
        let place = match self.find(index, vendor_id, name) {
            Some(place) => place,
            None => self.open(index, vendor_id.unwrap_or_default())?,
        };
        let call = &mut self.calls[place];
        if let Some(name) = name
            && call.name.is_empty()
        {
            name[..name.floor_char_boundary(MAX_NAME_BYTES)].clone_into(&mut call.name);
        }
        if let Some(arguments) = function.and_then(FunctionDelta::arguments) {
            call.append(&arguments);
        }
        deltas.extend(call.delta());
        Ok(())
    }

    /// The call a piece belongs to: the one with its index, unless a new id and a name say that another one begins. Servers that do
    /// not count send calls whole or one after another.
    fn find(&self, index: Option<i64>, vendor_id: Option<&str>, name: Option<&str>) -> Option<usize> {
        let place = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None => match vendor_id {
                Some(id) => self.calls.iter().rposition(|call| call.vendor_id == id)?,
                None => self.calls.len().checked_sub(1)?,
            },
        };
        let call = &self.calls[place];
        let is_other_id = vendor_id.is_some_and(|id| !call.vendor_id.is_empty() && call.vendor_id != id);
        let is_next = match index {
            Some(_) => is_other_id && name.is_some(),
            None => is_other_id || (name.is_some() && !call.name.is_empty()),
        };
        (!is_next).then_some(place)
    }

    fn open(&mut self, index: Option<i64>, vendor_id: &str) -> Result<usize, Failure> {
        let place = self.calls.len();
        if place >= MAX_CALLS {
            let text = format!("the model asked for more than {MAX_CALLS} tools at once");
            return Err(Failure::known(ErrorKind::Generic, text));
        }
        let id = self.unique_id(vendor_id, place)?;
        self.calls.push(Call {
            index,
            vendor_id: vendor_id.to_owned(),
            id,
            name: String::new(),
            arguments: String::new(),
            is_too_long: false,
            announced: None,
        });
        Ok(place)
    }

    /// The server's id if nobody else has it, else one made from the completion's.
    fn unique_id(&mut self, vendor_id: &str, place: usize) -> Result<ToolCallId, Failure> {
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

    /// Appends the complete calls in order; returns whether there are any. Pieces without a name were no calls.
    pub(super) fn finish(self, deltas: &mut Vec<Delta>) -> bool {
        let before = deltas.len();
        let named = self.calls.into_iter().filter(|call| !call.name.is_empty());
        deltas.extend(named.map(|call| Delta::Part(Part::ToolCall(call.into_part()))));
        deltas.len() > before
    }
}

impl Call {
    fn append(&mut self, arguments: &str) {
        if self.is_too_long || self.arguments.len() + arguments.len() > MAX_ARGUMENTS_BYTES {
            self.is_too_long = true;
            return;
        }
        self.arguments.push_str(arguments);
    }

    /// What has not been streamed yet.
    fn delta(&mut self) -> Option<Delta> {
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

    fn into_part(self) -> ToolCallPart {
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
