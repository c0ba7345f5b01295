//! What follows from a command: the next state and the effects, as data.
//!
//! Owns the effects' meaning and order. It does not carry them out: storage writes state and effects in one transaction and, once
//! that is committed, sends the hints.

use super::state::{State, Status};
use crate::id::{Epoch, MessageId, QueuedId};

/// The answer to an accepted command.
///
/// The caller writes `next` into the chat's row (status, lease, queue length, archived, epoch, version), carries out `effects` in
/// order in the same transaction, and after the commit acts on those for which [`Effect::is_after_commit`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The state to store. Its version is one higher, except for no-ops and renewals.
    pub next: State,
    /// What else to write, in this order.
    pub effects: Vec<Effect>,
}

impl Decision {
    /// Nothing to do and nothing to tell anybody.
    pub fn unchanged(state: &State) -> Self {
        Self {
            next: *state,
            effects: Vec::new(),
        }
    }

    /// Whether this is a change that readers must hear of, so that the transaction writes a change record.
    pub fn is_change(&self, from: &State) -> bool {
        self.next.version != from.version
    }

    /// A change to `status`, with nothing else yet.
    pub(super) fn to(state: &State, status: Status) -> Self {
        Self {
            next: State {
                status,
                version: state.version.next(),
                ..*state
            },
            effects: Vec::new(),
        }
    }

    /// A change that leaves the status alone.
    pub(super) fn stay(state: &State) -> Self {
        Self::to(state, state.status)
    }

    /// Adds an effect behind those already there and keeps the queue's length in step with it.
    pub(super) fn then(mut self, effect: Effect) -> Self {
        match effect {
            Effect::EnqueueMessage => self.next.queued_count += 1,
            Effect::PromoteHead | Effect::PromoteQueued(_) | Effect::DeleteQueued(_) => {
                self.next.queued_count = self.next.queued_count.saturating_sub(1);
            }
            Effect::ClearQueue => self.next.queued_count = 0,
            Effect::InsertUserMessage
            | Effect::MoveToFront(_)
            | Effect::SetQueueOrder(_)
            | Effect::TruncateFrom(_)
            | Effect::AppendStep
            | Effect::AppendPartial
            | Effect::StoreToolResults
            | Effect::AnswerOpenCalls(_)
            | Effect::RecordIntent
            | Effect::DropIntent
            | Effect::SetError
            | Effect::ClearError
            | Effect::RequestCompaction
            | Effect::InsertBoundary
            | Effect::ApplyMetadata
            | Effect::ClearPin
            | Effect::OpenLog { .. }
            | Effect::CancelTurn { .. }
            | Effect::WakeWorkers => {}
        }
        self.effects.push(effect);
        self
    }

    /// Adds an effect only if `condition` holds.
    pub(super) fn then_if(self, condition: bool, effect: Effect) -> Self {
        if condition { self.then(effect) } else { self }
    }
}

/// One thing the transaction does besides storing the next state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write the command's message into history as a user message.
    InsertUserMessage,
    /// Write the command's message at the end of the queue.
    EnqueueMessage,
    /// Move the head of the queue into history as a user message, with the model it was queued with.
    PromoteHead,
    /// Move this queued message into history as a user message, with the model it was queued with.
    PromoteQueued(QueuedId),
    /// Put this queued message before all others. Its id stays.
    MoveToFront(QueuedId),
    /// Give the queue this order, head first.
    SetQueueOrder(Vec<QueuedId>),
    /// Remove this queued message.
    DeleteQueued(QueuedId),
    /// Remove all queued messages.
    ClearQueue,
    /// Withdraw this message and all later ones.
    TruncateFrom(MessageId),
    /// Write the command's assistant message. The recorded intent is thereby fulfilled.
    AppendStep,
    /// Write the command's partial assistant message. The recorded intent is thereby fulfilled.
    AppendPartial,
    /// Write the command's tool results, one message each, in call order.
    StoreToolResults,
    /// Write an error result for every call of the last assistant message that has none and is not provider-executed.
    AnswerOpenCalls(AnswerReason),
    /// Record the command's completion id, and where it will run, before it starts. Replaces an earlier attempt's record.
    RecordIntent,
    /// The recorded completion is void: nobody may attach to it or store its answer.
    DropIntent,
    /// Store the command's error as the chat's last error.
    SetError,
    /// Forget the last error.
    ClearError,
    /// Note that the turn to come is to compact the history and do nothing else.
    RequestCompaction,
    /// Write the line behind which the model's memory begins.
    InsertBoundary,
    /// Write the command's description of the chat.
    ApplyMetadata,
    /// Unpin the chat and close the gap in its owner's order.
    ClearPin,
    /// The claimer opens the live log of this epoch before it lets anybody know that the chat runs.
    OpenLog {
        /// The new epoch.
        epoch: Epoch,
    },
    /// After the commit: the worker of exactly this epoch, if it still lives, is to stop. Addressed, so it can never hit a later turn.
    CancelTurn {
        /// The epoch to stop.
        epoch: Epoch,
    },
    /// After the commit: tell every replica that there is work.
    WakeWorkers,
}

impl Effect {
    /// Whether the effect is a hint to be sent after the commit rather than a row to be written.
    pub fn is_after_commit(&self) -> bool {
        match self {
            Self::CancelTurn { .. } | Self::WakeWorkers => true,
            Self::InsertUserMessage
            | Self::EnqueueMessage
            | Self::PromoteHead
            | Self::PromoteQueued(_)
            | Self::MoveToFront(_)
            | Self::SetQueueOrder(_)
            | Self::DeleteQueued(_)
            | Self::ClearQueue
            | Self::TruncateFrom(_)
            | Self::AppendStep
            | Self::AppendPartial
            | Self::StoreToolResults
            | Self::AnswerOpenCalls(_)
            | Self::RecordIntent
            | Self::DropIntent
            | Self::SetError
            | Self::ClearError
            | Self::RequestCompaction
            | Self::InsertBoundary
            | Self::ApplyMetadata
            | Self::ClearPin
            | Self::OpenLog { .. } => false,
        }
    }
}

/// Why a tool call gets a result nobody computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerReason {
    /// The turn was stopped.
    Interrupted,
    /// A newer message was promoted over the turn.
    Superseded,
    /// The chat was archived.
    Archived,
    /// The client did not hand in its results in time.
    TimedOut,
    /// The turn failed before the call was answered.
    Failed,
}

impl AnswerReason {
    /// The result's text for the model. The outcome is called unknown because the call may have begun.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Interrupted => "Interrupted by the user before a result was recorded; the outcome is unknown.",
            Self::Superseded => "Set aside for a newer message before a result was recorded; the outcome is unknown.",
            Self::Archived => "The chat was archived before a result was recorded; the outcome is unknown.",
            Self::TimedOut => "The client did not return a result in time; the outcome is unknown.",
            Self::Failed => "The turn failed before a result was recorded; the outcome is unknown.",
        }
    }

    /// The same of a call that a person had not allowed yet: it has not begun.
    pub const fn text_unapproved(self) -> &'static str {
        match self {
            Self::Interrupted => "Interrupted by the user before the call was allowed; it did not run.",
            Self::Superseded => "Set aside for a newer message before the call was allowed; it did not run.",
            Self::Archived => "The chat was archived before the call was allowed; it did not run.",
            Self::TimedOut => "Nobody allowed the call in time; it did not run.",
            Self::Failed => "The turn failed before the call was allowed; it did not run.",
        }
    }
}
