//! What a chat can be: its status with exactly the data that status has, the length of its queue, and its two counters.
//!
//! Owns the shape and its invariants. It does not own transitions (`decide`) nor the rows a state is read from.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::id::{Epoch, ReplicaId, Version};

/// Messages that may wait in one chat's queue.
pub const MAX_QUEUED: u8 = 20;

/// A chat as the machine sees it: everything a decision depends on and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// What the chat is doing.
    pub status: Status,
    /// Messages waiting for their turn, at most [`MAX_QUEUED`].
    pub queued_count: u8,
    /// Set aside by its owner: nothing starts any more.
    pub is_archived: bool,
    /// Its place in the family.
    pub lineage: Lineage,
    /// The last epoch handed out; 0 before the first claim.
    pub epoch: Epoch,
    /// Changes committed so far, the creation included.
    pub version: Version,
}

/// What a chat is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Idle: the next message starts a turn.
    Waiting,
    /// A turn is due and nobody has claimed it.
    Pending {
        /// How far the turn got before it was handed back.
        progress: Progress,
    },
    /// A replica holds the lease and works; the lease may have expired unnoticed.
    Running {
        /// Who may write.
        lease: Lease,
        /// How far the turn got.
        progress: Progress,
    },
    /// A stop was asked. The owner, or whoever takes over after the lease expired, stores the partial answer and settles.
    Interrupting {
        /// Who may write.
        lease: Lease,
        /// How far the turn got.
        progress: Progress,
    },
    /// The client must run dynamic tools, or a person must say whether tools may run. Their calls are open.
    RequiresAction {
        /// When waiting for the client ends.
        deadline: OffsetDateTime,
    },
    /// The last turn failed; the queue is kept.
    Error,
}

/// The right to work on a chat until a time, fenced by its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The fencing number every write of the holder carries.
    pub epoch: Epoch,
    /// The holder.
    pub owner: ReplicaId,
    /// From then on anybody may claim the chat. Until somebody does, the holder's writes still count.
    pub expires_at: OffsetDateTime,
}

impl Lease {
    /// Whether another replica may take the chat at `now`.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        now >= self.expires_at
    }
}

/// How far a turn got within its current step. Survives hand-over, so that the next owner re-attaches instead of repeating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is under way: every stored call is answered and no completion is recorded.
    #[default]
    Between,
    /// A completion was recorded and its answer is not stored yet.
    Asking,
    /// The answer is stored and contains tool calls without results.
    Calling,
}

/// A chat's place in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// A chat a person or program started.
    Root,
    /// A subagent's chat.
    Child {
        /// Whether the parent is archived now, read under the same lock order as the family: child, then parent.
        is_parent_archived: bool,
    },
}

impl State {
    /// A chat just created with its first message: pending, version 1.
    pub fn created(lineage: Lineage) -> Self {
        Self {
            status: Status::Pending {
                progress: Progress::Between,
            },
            queued_count: 0,
            is_archived: false,
            lineage,
            epoch: Epoch(0),
            version: Version(1),
        }
    }

    /// Checks a state that was read from outside.
    ///
    /// # Errors
    /// [`IllegalState`] names the first law broken; such a row must not be decided upon.
    pub fn check(&self) -> Result<(), IllegalState> {
        let illegal = |what| Err(IllegalState { what });
        if self.queued_count > MAX_QUEUED {
            return illegal("more messages queued than the cap allows");
        }
        if self.version < Version(1) || self.epoch < Epoch(0) {
            return illegal("version or epoch out of range");
        }
        if self.status.lease().is_some_and(|lease| lease.epoch != self.epoch) {
            return illegal("the lease's epoch is not the last one handed out");
        }
        if self.is_archived {
            match self.status {
                Status::Waiting | Status::Interrupting { .. } | Status::Error => {}
                Status::Pending { .. } | Status::Running { .. } | Status::RequiresAction { .. } => {
                    return illegal("an archived chat has work");
                }
            }
        }
        Ok(())
    }

    /// Whether messages wait in the queue.
    pub fn has_queue(&self) -> bool {
        self.queued_count > 0
    }
}

impl Status {
    /// The status without its data.
    pub fn kind(&self) -> StatusKind {
        match self {
            Self::Waiting => StatusKind::Waiting,
            Self::Pending { .. } => StatusKind::Pending,
            Self::Running { .. } => StatusKind::Running,
            Self::Interrupting { .. } => StatusKind::Interrupting,
            Self::RequiresAction { .. } => StatusKind::RequiresAction,
            Self::Error => StatusKind::Error,
        }
    }

    /// The lease of a chat somebody works on.
    pub fn lease(&self) -> Option<Lease> {
        match *self {
            Self::Running { lease, .. } | Self::Interrupting { lease, .. } => Some(lease),
            Self::Waiting | Self::Pending { .. } | Self::RequiresAction { .. } | Self::Error => None,
        }
    }

    /// How far the current turn got; a chat without a turn, or one that waits for its client, is [`Progress::Between`] or
    /// [`Progress::Calling`] by definition.
    pub fn progress(&self) -> Progress {
        match *self {
            Self::Pending { progress } | Self::Running { progress, .. } | Self::Interrupting { progress, .. } => {
                progress
            }
            Self::RequiresAction { .. } => Progress::Calling,
            Self::Waiting | Self::Error => Progress::Between,
        }
    }
}

/// The name of a status, as stored and as logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusKind {
    /// See [`Status::Waiting`].
    Waiting,
    /// See [`Status::Pending`].
    Pending,
    /// See [`Status::Running`].
    Running,
    /// See [`Status::Interrupting`].
    Interrupting,
    /// See [`Status::RequiresAction`].
    RequiresAction,
    /// See [`Status::Error`].
    Error,
}

impl StatusKind {
    /// Every status, in the order of a chat's life.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Pending,
        Self::Running,
        Self::Interrupting,
        Self::RequiresAction,
        Self::Error,
    ];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Interrupting => "interrupting",
            Self::RequiresAction => "requires_action",
            Self::Error => "error",
        }
    }

    /// The name clients see: they know no `interrupting`, and for them a chat runs until the stop has settled.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Interrupting => Self::Running.as_str(),
            Self::Waiting | Self::Pending | Self::Running | Self::RequiresAction | Self::Error => self.as_str(),
        }
    }
}

impl Progress {
    /// Every progress, in the order of a step.
    pub const ALL: [Self; 3] = [Self::Between, Self::Asking, Self::Calling];

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Between => "between",
            Self::Asking => "asking",
            Self::Calling => "calling",
        }
    }
}

impl fmt::Display for StatusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StatusKind {
    type Err = IllegalState;

    fn from_str(text: &str) -> Result<Self, IllegalState> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(IllegalState { what: "unknown status" })
    }
}

impl FromStr for Progress {
    type Err = IllegalState;

    fn from_str(text: &str) -> Result<Self, IllegalState> {
        Self::ALL
            .into_iter()
            .find(|progress| progress.as_str() == text)
            .ok_or(IllegalState {
                what: "unknown progress",
            })
    }
}

/// A state no sequence of commands leads to: the row was damaged or written by something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("illegal chat state: {what}")]
pub struct IllegalState {
    /// The law that is broken.
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for kind in StatusKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for progress in Progress::ALL {
            assert_eq!(progress.as_str().parse(), Ok(progress));
        }
        assert!("paused".parse::<StatusKind>().is_err());
    }

    #[test]
    fn clients_see_an_interrupting_chat_as_running() {
        assert_eq!(StatusKind::Interrupting.wire_name(), "running");
        assert_eq!(StatusKind::RequiresAction.wire_name(), "requires_action");
    }

    #[test]
    fn an_archived_chat_with_work_is_illegal() {
        let state = State {
            is_archived: true,
            ..State::created(Lineage::Root)
        };
        assert_eq!(
            state.check(),
            Err(IllegalState {
                what: "an archived chat has work"
            })
        );
    }
}
