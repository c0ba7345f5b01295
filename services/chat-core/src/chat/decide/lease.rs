//! Commands on the lease: claim, renew, release.
//!
//! Owns who may work. The fence that refuses a stale epoch stands before all of these (`decide`).

use std::time::Duration;

use time::OffsetDateTime;

use crate::chat::decision::{Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{Lease, State, Status};
use crate::id::ReplicaId;

/// A due turn, or one whose owner has let its lease expire. An interruption stays one: the new owner settles it, archived or not.
pub(super) fn claim(state: &State, owner: ReplicaId, now: OffsetDateTime, ttl: Duration) -> Result<Decision, Reason> {
    let lease = Lease {
        epoch: state.epoch.next(),
        owner,
        expires_at: after(now, ttl),
    };
    let status = match state.status {
        Status::Pending { progress } => Status::Running { lease, progress },
        Status::Running { lease: old, progress } => {
            require_expired(old, now)?;
            Status::Running { lease, progress }
        }
        Status::Interrupting { lease: old, progress } => {
            require_expired(old, now)?;
            Status::Interrupting { lease, progress }
        }
        Status::Waiting | Status::RequiresAction { .. } | Status::Error => return Err(Reason::NotDue),
    };
    let mut decision = Decision::to(state, status);
    decision.next.epoch = lease.epoch;
    Ok(decision.then(Effect::OpenLog { epoch: lease.epoch }))
}

/// Extends the lease and nothing else; nobody but the holder and its rivals need know, so the version stays.
pub(super) fn renew(state: &State, now: OffsetDateTime, ttl: Duration) -> Result<Decision, Reason> {
    let extended = |lease: Lease| Lease {
        expires_at: after(now, ttl),
        ..lease
    };
    let status = match state.status {
        Status::Running { lease, progress } => Status::Running {
            lease: extended(lease),
            progress,
        },
        Status::Interrupting { lease, progress } => Status::Interrupting {
            lease: extended(lease),
            progress,
        },
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            return Err(Reason::NotLeased);
        }
    };
    let mut decision = Decision::unchanged(state);
    decision.next.status = status;
    Ok(decision)
}

/// Hands the turn back where it stands; a stop that was asked is handed on by letting the lease expire at once.
pub(super) fn release(state: &State, now: OffsetDateTime) -> Result<Decision, Reason> {
    let status = match state.status {
        Status::Running { lease: _, progress } => Status::Pending { progress },
        Status::Interrupting { lease, progress } => Status::Interrupting {
            lease: Lease {
                expires_at: now,
                ..lease
            },
            progress,
        },
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            return Err(Reason::NotLeased);
        }
    };
    Ok(Decision::to(state, status).then(Effect::WakeWorkers))
}

fn require_expired(lease: Lease, now: OffsetDateTime) -> Result<(), Reason> {
    if lease.is_expired(now) {
        Ok(())
    } else {
        Err(Reason::LeaseHeld {
            owner: lease.owner,
            expires_at: lease.expires_at,
        })
    }
}

fn after(now: OffsetDateTime, ttl: Duration) -> OffsetDateTime {
    now.saturating_add(time::Duration::try_from(ttl).unwrap_or(time::Duration::MAX))
}
