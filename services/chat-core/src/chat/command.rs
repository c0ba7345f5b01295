//! What can be asked of a chat: by people, by the worker that holds its lease, and by the clock.
//!
//! Owns the words and the facts they carry. Facts a decision needs beyond the state (does that queued message exist? what time is
//! it?) are looked up by storage under the row lock and travel in the command. Message contents do not: decisions never read them.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use crate::id::{Epoch, MessageId, QueuedId, ReplicaId};

/// One thing asked of a chat.
///
/// Commands with an `epoch` come from a worker and are refused unless the epoch is the current one (law 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A user message arrives.
    Send {
        /// What to do if the chat is busy.
        behavior: BusyBehavior,
    },
    /// A user message is replaced and everything after it withdrawn, the queue included.
    Edit {
        /// A live user message of this chat; storage has checked that.
        message: MessageId,
    },
    /// A queued message is taken back.
    DeleteQueued {
        /// The message as found under the lock; `None` if it is not in this chat's queue (any more).
        queued: Option<QueuedId>,
    },
    /// A queued message is to be answered next.
    PromoteQueued {
        /// The message as found under the lock; `None` if it is not in this chat's queue (any more).
        queued: Option<QueuedId>,
    },
    /// A queued message is moved within the queue.
    ReorderQueued {
        /// The queue as found under the lock, head first.
        current: Vec<QueuedId>,
        /// The message to move.
        queued: QueuedId,
        /// Its new place, from 0; beyond the end means the end.
        place: usize,
    },
    /// The turn is to stop, keeping what was said so far.
    Interrupt,
    /// A failed turn is to be tried again as it stands.
    Retry,
    /// History is to be replaced, for the model, by its summary.
    Compact,
    /// The model is to forget the history; people still see it.
    ClearContext,
    /// The client hands in the results of its dynamic tools; storage has checked that they match the open calls exactly.
    SubmitToolResults,
    /// A person has said of every call that waited for it whether it may run; storage has checked that. The open calls are gone through
    /// again: some run, some are answered, some may still be the client's.
    DecideToolCalls,
    /// The chat is set aside. For a family, one command per member that is not archived yet.
    Archive,
    /// The chat is taken back.
    Unarchive,
    /// Anything that describes the chat without touching its course: title, labels, pin, model, plan mode, workspace, read mark.
    UpdateMetadata {
        /// Whether the change pins the chat, which only unarchived roots can be.
        is_pinning: bool,
    },
    /// A replica wants to work on the chat.
    Claim {
        /// The replica.
        owner: ReplicaId,
        /// The database's clock.
        now: OffsetDateTime,
        /// How long the lease is to hold.
        ttl: Duration,
    },
    /// The holder is alive and goes on. Not a change: no version, no event.
    Renew {
        /// The epoch the worker holds.
        epoch: Epoch,
        /// The database's clock.
        now: OffsetDateTime,
        /// How long the lease is to hold from now on.
        ttl: Duration,
    },
    /// The holder drains and hands the turn back where it stands.
    Release {
        /// The epoch the worker holds.
        epoch: Epoch,
        /// The database's clock.
        now: OffsetDateTime,
    },
    /// The holder is about to call the model (intent before effect). Also for a further attempt of the same step.
    BeginStep {
        /// The epoch the worker holds.
        epoch: Epoch,
    },
    /// The model has answered; the assistant's message is to be stored.
    CommitStep {
        /// The epoch the worker holds.
        epoch: Epoch,
        /// Whether the answer contains calls that still need a result.
        calls: Calls,
    },
    /// Tools have finished; their results are to be stored.
    StoreResults {
        /// The epoch the worker holds.
        epoch: Epoch,
        /// Whether calls remain open, such as those only the client can run.
        calls: Calls,
    },
    /// Only the client can run the calls that are still open.
    RequireAction {
        /// The epoch the worker holds.
        epoch: Epoch,
        /// When waiting for the client ends.
        deadline: OffsetDateTime,
    },
    /// The turn has come to its natural end.
    FinishTurn {
        /// The epoch the worker holds.
        epoch: Epoch,
    },
    /// The stop that was asked is done.
    FinishInterruption {
        /// The epoch the worker holds.
        epoch: Epoch,
        /// The part of an answer the readers have seen, if any, and whether it contains calls.
        partial: Option<Calls>,
    },
    /// The turn cannot go on. Partial output worth keeping is committed by a `CommitStep` before it, in the same change.
    Fail {
        /// The epoch the worker holds.
        epoch: Epoch,
    },
    /// The clock looks whether the client has kept its tools waiting too long.
    ExpireAction {
        /// The database's clock.
        now: OffsetDateTime,
    },
}

/// What a message does to a busy chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BusyBehavior {
    /// Wait for its turn.
    #[default]
    Queue,
    /// Wait at the end of the queue too, but stop the turn that runs now.
    Interrupt,
}

/// Whether tool calls are without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Every call has its result, or there was none.
    Answered,
    /// At least one call waits for its result.
    Open,
}

impl Command {
    /// The epoch a worker claims to hold; `None` for everybody else.
    pub fn held_epoch(&self) -> Option<Epoch> {
        match *self {
            Self::Renew { epoch, .. }
            | Self::Release { epoch, .. }
            | Self::BeginStep { epoch }
            | Self::CommitStep { epoch, .. }
            | Self::StoreResults { epoch, .. }
            | Self::RequireAction { epoch, .. }
            | Self::FinishTurn { epoch }
            | Self::FinishInterruption { epoch, .. }
            | Self::Fail { epoch } => Some(epoch),
            Self::Send { .. }
            | Self::Edit { .. }
            | Self::DeleteQueued { .. }
            | Self::PromoteQueued { .. }
            | Self::ReorderQueued { .. }
            | Self::Interrupt
            | Self::Retry
            | Self::Compact
            | Self::ClearContext
            | Self::SubmitToolResults
            | Self::DecideToolCalls
            | Self::Archive
            | Self::Unarchive
            | Self::UpdateMetadata { .. }
            | Self::Claim { .. }
            | Self::ExpireAction { .. } => None,
        }
    }

    /// The command without its data.
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::Send { .. } => CommandKind::Send,
            Self::Edit { .. } => CommandKind::Edit,
            Self::DeleteQueued { .. } => CommandKind::DeleteQueued,
            Self::PromoteQueued { .. } => CommandKind::PromoteQueued,
            Self::ReorderQueued { .. } => CommandKind::ReorderQueued,
            Self::Interrupt => CommandKind::Interrupt,
            Self::Retry => CommandKind::Retry,
            Self::Compact => CommandKind::Compact,
            Self::ClearContext => CommandKind::ClearContext,
            Self::SubmitToolResults => CommandKind::SubmitToolResults,
            Self::DecideToolCalls => CommandKind::DecideToolCalls,
            Self::Archive => CommandKind::Archive,
            Self::Unarchive => CommandKind::Unarchive,
            Self::UpdateMetadata { .. } => CommandKind::UpdateMetadata,
            Self::Claim { .. } => CommandKind::Claim,
            Self::Renew { .. } => CommandKind::Renew,
            Self::Release { .. } => CommandKind::Release,
            Self::BeginStep { .. } => CommandKind::BeginStep,
            Self::CommitStep { .. } => CommandKind::CommitStep,
            Self::StoreResults { .. } => CommandKind::StoreResults,
            Self::RequireAction { .. } => CommandKind::RequireAction,
            Self::FinishTurn { .. } => CommandKind::FinishTurn,
            Self::FinishInterruption { .. } => CommandKind::FinishInterruption,
            Self::Fail { .. } => CommandKind::Fail,
            Self::ExpireAction { .. } => CommandKind::ExpireAction,
        }
    }
}

/// The name of a command, for logs, rejections and the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant names the `Command` variant of the same name")]
pub enum CommandKind {
    Send,
    Edit,
    DeleteQueued,
    PromoteQueued,
    ReorderQueued,
    Interrupt,
    Retry,
    Compact,
    ClearContext,
    SubmitToolResults,
    DecideToolCalls,
    Archive,
    Unarchive,
    UpdateMetadata,
    Claim,
    Renew,
    Release,
    BeginStep,
    CommitStep,
    StoreResults,
    RequireAction,
    FinishTurn,
    FinishInterruption,
    Fail,
    ExpireAction,
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Edit => "edit",
            Self::DeleteQueued => "delete_queued",
            Self::PromoteQueued => "promote_queued",
            Self::ReorderQueued => "reorder_queued",
            Self::Interrupt => "interrupt",
            Self::Retry => "retry",
            Self::Compact => "compact",
            Self::ClearContext => "clear_context",
            Self::SubmitToolResults => "submit_tool_results",
            Self::DecideToolCalls => "decide_tool_calls",
            Self::Archive => "archive",
            Self::Unarchive => "unarchive",
            Self::UpdateMetadata => "update_metadata",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Release => "release",
            Self::BeginStep => "begin_step",
            Self::CommitStep => "commit_step",
            Self::StoreResults => "store_results",
            Self::RequireAction => "require_action",
            Self::FinishTurn => "finish_turn",
            Self::FinishInterruption => "finish_interruption",
            Self::Fail => "fail",
            Self::ExpireAction => "expire_action",
        })
    }
}
