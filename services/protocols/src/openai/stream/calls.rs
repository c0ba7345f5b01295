//! Tool calls being assembled from their pieces.
//!
//! Owns which piece belongs to which call: servers number them, name them, or do neither. What a call is, once its pieces are known,
//! is [`crate::tool_call`]'s.

use std::collections::HashSet;

use tandem_chat_core::{
    id::{CompletionId, ToolCallId},
    part::Part,
};

use crate::{
    Delta, Failure,
    openai::wire::FunctionDelta,
    tool_call::{CallIds, OpenCall},
};

/// All calls of one answer.
#[derive(Debug)]
pub(super) struct Calls {
    ids: CallIds,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    index: Option<i64>,
    /// As the server sent it; empty if it sent none.
    vendor_id: String,
    call: OpenCall,
}

impl Calls {
    pub(super) fn new(completion: CompletionId, used: HashSet<ToolCallId>) -> Self {
        Self {
            ids: CallIds::new(completion, used),
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
        let call = &mut self.calls[place].call;
        if let Some(name) = name {
            call.name_once(name);
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
            None => is_other_id || (name.is_some() && call.call.is_named()),
        };
        (!is_next).then_some(place)
    }

    fn open(&mut self, index: Option<i64>, vendor_id: &str) -> Result<usize, Failure> {
        let id = self.ids.unique(vendor_id)?;
        self.calls.push(Call {
            index,
            vendor_id: vendor_id.to_owned(),
            call: OpenCall::new(id),
        });
        Ok(self.calls.len() - 1)
    }

    /// Appends the complete calls in order; returns whether there are any. Pieces without a name were no calls.
    pub(super) fn finish(self, deltas: &mut Vec<Delta>) -> bool {
        let before = deltas.len();
        let named = self.calls.into_iter().filter(|call| call.call.is_named());
        deltas.extend(named.map(|call| Delta::Part(Part::ToolCall(call.call.into_part()))));
        deltas.len() > before
    }
}
