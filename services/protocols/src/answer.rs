//! The one shape in which answers come back.

use std::time::Duration;

use futures::stream::BoxStream;
use tandem_chat_core::{
    classify::Cause,
    error::ErrorKind,
    message::Usage,
    part::{Part, ReasoningPart},
};

use crate::call::{FinishReason, ToolCallDelta};

/// One increment of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Appends to the open text.
    Text(String),
    /// Appends to the open reasoning.
    Reasoning(String),
    /// The open reasoning is complete.
    ReasoningDone(ReasoningPart),
    /// Opens a tool call or appends to its arguments.
    ToolCall(ToolCallDelta),
    /// A complete tool call, source or file.
    Part(Part),
    /// One of several requests that an answer takes is over and has used this. [`Finish`] tells only of the last one, so all of them add
    /// up, and what was told stands when a later one fails.
    Spent(Usage),
    /// The vendor has accepted the next request of the same answer.
    Resumed,
    /// The end; nothing follows.
    Finish(Finish),
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Why.
    pub reason: FinishReason,
    /// What the vendor measured, without what [`Delta::Spent`] has told.
    pub usage: Usage,
    /// The vendor's name for the response; may be empty.
    pub response_id: String,
}

/// Why a vendor's answer did not come, or broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The vendor's HTTP status, if it answered with one that says something.
    pub status: Option<u16>,
    /// Its body, or what happened. May hold secrets: redact it before anybody sees it.
    pub text: String,
    /// The vendor's wish; zero if it has none.
    pub retry_after: Duration,
    /// What is known by type.
    pub cause: Cause,
    /// There was no connection at all.
    pub is_connect: bool,
}

impl Failure {
    /// A failure known by its cause.
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self {
            status: None,
            text: text.into(),
            retry_after: Duration::ZERO,
            cause,
            is_connect: false,
        }
    }

    /// A failure whose kind is plain where it happens.
    pub fn known(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::new(Cause::Known(kind), text)
    }
}

/// The increments of one answer, until [`Delta::Finish`] or a failure. Dropping them drops the connection.
pub type Deltas = BoxStream<'static, Result<Delta, Failure>>;
