//! Commands on the queue: take back, promote, reorder.
//!
//! Owns what each means in every status. Whether an id is in the queue is a fact the command brings.

use super::{FRESH, require_live};
use crate::chat::decision::{AnswerReason, Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{State, Status};
use crate::id::QueuedId;

/// Deleting what is gone already is what the caller wanted.
pub(super) fn delete(state: &State, queued: Option<QueuedId>) -> Result<Decision, Reason> {
    require_live(state)?;
    Ok(match queued {
        Some(id) => Decision::stay(state).then(Effect::DeleteQueued(id)),
        None => Decision::unchanged(state),
    })
}

pub(super) fn promote(state: &State, queued: Option<QueuedId>) -> Result<Decision, Reason> {
    require_live(state)?;
    let id = queued.ok_or(Reason::UnknownQueued)?;
    let begin = |decision: Decision| Ok(decision.then(Effect::PromoteQueued(id)).then(Effect::WakeWorkers));
    match state.status {
        Status::Waiting => begin(Decision::to(state, FRESH)),
        Status::Error => begin(Decision::to(state, FRESH).then(Effect::ClearError)),
        // The turn that is due will answer both; a completion asked before this message existed may not.
        Status::Pending { progress } => begin(Decision::to(state, FRESH).abandon(progress, AnswerReason::Superseded)),
        Status::RequiresAction { .. } => {
            begin(Decision::to(state, FRESH).then(Effect::AnswerOpenCalls(AnswerReason::Superseded)))
        }
        // The partial answer must come before the message in history, so the settlement promotes it.
        Status::Running { lease, progress } => Ok(Decision::to(state, Status::Interrupting { lease, progress })
            .then(Effect::MoveToFront(id))
            .then(Effect::CancelTurn { epoch: lease.epoch })),
        Status::Interrupting { .. } => Ok(Decision::stay(state).then(Effect::MoveToFront(id))),
    }
}

pub(super) fn reorder(state: &State, current: &[QueuedId], queued: QueuedId, place: usize) -> Result<Decision, Reason> {
    require_live(state)?;
    let mut wanted: Vec<QueuedId> = current.iter().copied().filter(|id| *id != queued).collect();
    if wanted.len() == current.len() {
        return Err(Reason::UnknownQueued);
    }
    wanted.insert(place.min(wanted.len()), queued);
    if wanted == current {
        return Ok(Decision::unchanged(state));
    }
    Ok(Decision::stay(state).then(Effect::SetQueueOrder(wanted)))
}
