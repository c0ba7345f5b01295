//! What can go wrong in this room, and how each of it looks from outside.

use tandem_chassis::status::{Fault, Violation};
use tandem_chat_core::chat::{Reason, Rejection};
use tandem_chat_core::wire::InvalidWire;
use tonic::Status;

use crate::db::sqlstate;

/// Why a request was not carried out. Nothing was written, whatever the reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is told exactly this.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The state machine refuses the command in the chat's present state.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// The database refused or did not answer.
    #[error("database failed")]
    Database(#[from] sqlx::Error),
    /// A row that this release cannot read.
    #[error("row of {table} cannot be read: {problem}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No failure: an earlier attempt was carried out, and this is its encoded answer. See `idempotency::respond`.
    #[error("carried out by an earlier attempt")]
    Replayed(Vec<u8>),
    /// A message of the contract that is none.
    #[error("{0}")]
    Invalid(#[from] InvalidWire),
}

impl Error {
    /// A row that this release cannot read.
    pub(crate) fn damaged(table: &'static str, problem: impl ToString) -> Self {
        Self::Damaged {
            table,
            problem: problem.to_string(),
        }
    }

    /// How the error looks from outside.
    pub(crate) fn outside(self) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Rejected(rejection) => rejected(&rejection),
            Self::Database(error) => sqlstate::fault(&error),
            Self::Damaged { .. } => Fault::internal("DAMAGED_ROW", self),
            Self::Replayed(_) => Fault::internal("REPLAY_NOT_ANSWERED", self),
            Self::Invalid(error) => {
                Fault::invalid("INVALID_MESSAGE", "The message is not valid.").violation(error.field, error.problem)
            }
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.outside().into()
    }
}

fn rejected(rejection: &Rejection) -> Fault {
    let message = rejection.reason.to_string();
    match rejection.reason {
        Reason::Archived => Fault::wrong_state("CHAT_ARCHIVED", "The chat is archived. Unarchive it first."),
        Reason::QueueFull => Fault::rate_limited(
            "QUEUE_FULL",
            "20 messages are waiting already. Wait for the chat to catch up.",
        ),
        Reason::StaleEpoch { held, current } => Fault::conflict("STALE_EPOCH", message)
            .with("held", held)
            .with("current", current),
        Reason::UnknownQueued => Fault::not_found("QUEUED_MESSAGE_NOT_FOUND", "There is no such message in the queue."),
        Reason::Busy => Fault::conflict(
            "CHAT_BUSY",
            "The chat is at work. Wait for the end of its turn, or stop it.",
        ),
        Reason::NotFailed => Fault::conflict(
            "NOT_FAILED",
            "The last turn has not failed, so there is nothing to try again.",
        ),
        _ => Fault::wrong_state("WRONG_STATE", message),
    }
}

/// A request that breaks rules, each named with its field.
pub(crate) fn violations(message: &str, violations: Vec<Violation>) -> Error {
    let mut fault = Fault::invalid("INVALID_REQUEST", message);
    fault.violations = violations;
    fault.into()
}

/// The chat does not exist, or not for this caller.
pub(crate) fn chat_not_found() -> Error {
    Fault::not_found("CHAT_NOT_FOUND", "There is no such chat.").into()
}

/// The caller's epoch is over.
pub(crate) fn stale_epoch(held: i64, current: i64) -> Error {
    Fault::conflict("STALE_EPOCH", "The turn belongs to another owner now.")
        .with("held", held)
        .with("current", current)
        .into()
}
