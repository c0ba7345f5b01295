//! Why a command was refused: for logs and for the caller's error.
//!
//! Owns the reasons. It does not own their gRPC or HTTP codes: each door maps [`Reason`] by one exhaustive match.

use time::OffsetDateTime;

use super::{CommandKind, StatusKind};
use crate::id::{Epoch, ReplicaId};

/// A command that means nothing in this state. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{command} refused while the chat is {from}: {reason}")]
pub struct Rejection {
    /// The status the chat was in.
    pub from: StatusKind,
    /// What was asked.
    pub command: CommandKind,
    /// Why not.
    pub reason: Reason,
}

/// The reasons a caller would treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The chat is archived and the command would bring it to life.
    #[error("the chat is archived")]
    Archived,
    /// Only an archived chat can be taken back.
    #[error("the chat is not archived")]
    NotArchived,
    /// A subagent's chat cannot come back before its parent.
    #[error("the parent chat is archived")]
    ParentArchived,
    /// Subagent chats have no place of their own in the list, so they cannot be pinned.
    #[error("only root chats can be pinned")]
    NotPinnable,
    /// The queue holds [`super::MAX_QUEUED`] messages.
    #[error("the queue is full")]
    QueueFull,
    /// There is no such queued message (any more).
    #[error("no such queued message")]
    UnknownQueued,
    /// The chat does not wait for tool results; somebody was faster or nobody asked.
    #[error("the chat does not wait for tool results")]
    NoActionRequired,
    /// Only a failed turn can be tried again.
    #[error("the last turn has not failed")]
    NotFailed,
    /// A turn is under way; what it remembers cannot be changed from outside.
    #[error("a turn is under way; wait for its end or stop it")]
    Busy,
    /// There is no turn to claim.
    #[error("no turn is due")]
    NotDue,
    /// Another replica works on the chat.
    #[error("replica {owner} holds the lease until {expires_at}")]
    LeaseHeld {
        /// The holder.
        owner: ReplicaId,
        /// When it may be taken over.
        expires_at: OffsetDateTime,
    },
    /// The worker's epoch is over: somebody else has taken the chat, or an edit fenced the worker off. It must stop.
    #[error("the caller holds epoch {held}, the chat is at {current}")]
    StaleEpoch {
        /// What the worker holds.
        held: Epoch,
        /// What the chat is at.
        current: Epoch,
    },
    /// The worker's own turn has already ended or was handed back.
    #[error("no turn is running under this epoch any more")]
    NotLeased,
    /// A stop was asked, so no new effect may begin.
    #[error("a stop was asked")]
    StopAsked,
    /// Nobody asked for a stop.
    #[error("no stop was asked")]
    NoStopAsked,
    /// An answer without its recorded intent: the step was never begun, or already committed.
    #[error("no step was begun")]
    NoStepBegun,
    /// Tool calls must be answered first.
    #[error("tool calls are open")]
    CallsOpen,
    /// There is no open tool call to which this could belong.
    #[error("no tool call is open")]
    NoCallsOpen,
}
