//! Responses that the vendor keeps, for requests that go on from one.
//!
//! Kept is what later checks need to know of a whole conversation. Bounded: the oldest is forgotten first, as at the vendor after some
//! weeks.

use std::collections::VecDeque;

use serde_json::Value;

use super::super::{render::Context, reply::Reply, validate::Accepted};

/// Responses kept.
const MAX_KEPT: usize = 10_000;

/// All kept responses of one server.
#[derive(Debug, Default)]
pub(in super::super) struct Kept(VecDeque<(String, Before)>);

/// What came before a request that goes on from a response.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Before {
    pub(super) conversation: String,
    /// All that was said, in order, the response included.
    pub(super) texts: Vec<String>,
    /// Calls of the response, which the next request must answer.
    pub(super) calls: Vec<String>,
    pub(super) tokens: u64,
}

impl Kept {
    /// What came before, if it is kept.
    pub(in super::super) fn find(&self, id: &str) -> Option<&Before> {
        self.0
            .iter()
            .rev()
            .find(|(kept, _)| kept == id)
            .map(|(_, before)| before)
    }

    /// Keeps a response, unless the request says that it is not to be kept or the reply has none.
    pub(in super::super) fn keep(&mut self, context: &Context, body: &[u8], accepted: &Accepted, reply: &Reply) {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_whole = reply.failure.is_none() && reply.raw.is_none() && reply.error_event.is_none();
        if request["store"] == false || !is_whole {
            return;
        }
        let said = reply.items.iter().filter_map(super::render::words);
        let said: String = said.collect();
        let before = Before {
            conversation: accepted.conversation.clone(),
            tokens: accepted.prompt_tokens + (said.len() / 4) as u64,
            texts: accepted.texts.iter().cloned().chain([said]).collect(),
            calls: super::render::call_ids(context, reply),
        };
        if self.0.len() == MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((super::id(context.number), before));
    }

    /// Forgets all of them.
    pub(in super::super) fn forget(&mut self) {
        self.0.clear();
    }
}
