//! What completions may cost and have cost: a reservation before a limited user's completion, a record after each.
//!
//! Amounts, limits and sums are storage's; [`crate::meter`] knows prices. [`ledger`] and [`teller`] are what is told to storage and how,
//! [`estimate`] is how much a completion may come to.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tandem_chassis::config::duration;
use tandem_chat_core::{
    id::{ChatId, CompletionId, ModelConfigId, UserId},
    message::Usage,
};
use tandem_protocols::call::{Purpose, Request};

use crate::{completion::Event, meter};

pub mod estimate;
pub mod ledger;
mod teller;

/// How spending is watched.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Refuses completions of limited users when storage cannot say what they have spent. Otherwise they go on unwatched.
    pub fail_closed: bool,
    /// After this time a reservation counts no more, if whoever made it is gone.
    #[serde(with = "duration")]
    pub reservation_ttl: Duration,
    /// How long records of completions nobody waits for are gathered, to be told to storage together.
    #[serde(with = "duration")]
    pub gather: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fail_closed: false,
            reservation_ttl: Duration::from_secs(10 * 60),
            gather: Duration::from_secs(2),
        }
    }
}

/// Who pays for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// The user.
    pub owner: UserId,
    /// The root of the chat's family; absent for calls outside chats.
    pub root_chat: Option<ChatId>,
    /// They pay the vendor themselves, with a credential that came with the request: no limit holds for it, and it costs nothing here.
    pub brings_key: bool,
}

/// What is asked for, as far as it has to be paid.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Names its record.
    pub id: CompletionId,
    /// The model as configured.
    pub model_config_id: ModelConfigId,
    /// Absent for calls outside chats.
    pub chat_id: Option<ChatId>,
    /// What it is for.
    pub purpose: Purpose,
    /// What the model has to read.
    pub prompt: Prompt<'a>,
    /// The longest answer asked for; `None` as configured for the model.
    pub max_output_tokens: Option<u32>,
}

/// What a model has to read, as something that can be estimated.
#[derive(Clone, Copy, Debug)]
pub enum Prompt<'a> {
    /// A request in neutral terms.
    Neutral(&'a Request),
    /// A body of so many bytes in a vendor's own words.
    Bytes(usize),
}

impl<'a> From<&'a Request> for Order<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            id: request.id,
            model_config_id: request.model_config_id,
            chat_id: request.chat_id,
            purpose: request.purpose,
            prompt: Prompt::Neutral(request),
            max_output_tokens: request.max_output_tokens,
        }
    }
}

/// What is known of a completion's bill while it runs.
#[derive(Debug, Default)]
pub struct Account {
    is_reserved: AtomicBool,
    has_started: AtomicBool,
    said_bytes: AtomicU64,
    spent: Mutex<Spent>,
}

/// What the vendor has told of requests that are over, while another one of the same answer may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    usage: Usage,
    /// How much of the answer they said.
    said_bytes: u64,
}

impl Account {
    /// An amount may be set aside for it.
    pub fn reserve(&self) {
        self.is_reserved.store(true, Ordering::Relaxed);
    }

    /// The vendor has accepted it, so it costs something.
    pub fn start(&self) {
        self.has_started.store(true, Ordering::Relaxed);
    }

    /// A piece of its answer has come. What is whole came in pieces before.
    pub fn say(&self, event: &Event) {
        let bytes = match event {
            Event::TextDelta(text) | Event::ReasoningDelta(text) => text.len(),
            Event::ToolCallDelta(delta) => delta.arguments.len(),
            Event::Started(_) | Event::ReasoningDone(_) | Event::Part(_) | Event::Finished(_) | Event::Failed(_) => 0,
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.said_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes of texts and arguments have come.
    pub fn say_bytes(&self, bytes: u64) {
        self.said_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The request is over and has used this; whatever follows is another request, which has not been accepted yet.
    pub fn spend(&self, mut usage: Usage) {
        meter::forget_impossible(&mut usage);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        meter::add(&mut spent.usage, &usage);
        spent.said_bytes = self.said_bytes();
        self.has_started.store(false, Ordering::Relaxed);
    }

    /// All requests together, of which the last one used `last`.
    pub fn total(&self, last: &Usage) -> Usage {
        let Spent { usage: mut total, .. } = self.spent();
        let is_several = !total.is_empty();
        meter::add(&mut total, last);
        // Each request sent what was said before once more: the window holds the last one, not all of them.
        total.context_tokens = is_several.then(|| last.window_tokens()).flatten();
        total
    }

    fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_reserved(&self) -> bool {
        self.is_reserved.load(Ordering::Relaxed)
    }

    fn has_started(&self) -> bool {
        self.has_started.load(Ordering::Relaxed)
    }

    fn said_bytes(&self) -> u64 {
        self.said_bytes.load(Ordering::Relaxed)
    }
}
