//! Commands that set a chat aside, take it back, or describe it.
//!
//! Owns what each means for one member. Storage applies archive and unarchive to the whole family in one transaction, parent first.

use super::require_live;
use crate::chat::decision::{AnswerReason, Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{Lineage, State, Status};

pub(super) fn archive(state: &State) -> Result<Decision, Reason> {
    require_live(state)?;
    let mut decision = match state.status {
        // The error and the queue are kept: the chat comes back as it was.
        Status::Waiting | Status::Error => Decision::stay(state),
        Status::Pending { progress } => Decision::to(state, Status::Waiting).abandon(progress, AnswerReason::Archived),
        Status::Running { lease, progress } => Decision::to(state, Status::Interrupting { lease, progress })
            .then(Effect::CancelTurn { epoch: lease.epoch }),
        Status::Interrupting { .. } => Decision::stay(state),
        Status::RequiresAction { .. } => {
            Decision::to(state, Status::Waiting).then(Effect::AnswerOpenCalls(AnswerReason::Archived))
        }
    };
    decision.next.is_archived = true;
    Ok(decision.then(Effect::ClearPin))
}

/// Nothing starts by itself afterwards: a kept queue waits for the owner's next word.
pub(super) fn unarchive(state: &State) -> Result<Decision, Reason> {
    if !state.is_archived {
        return Err(Reason::NotArchived);
    }
    match state.lineage {
        Lineage::Child {
            is_parent_archived: true,
        } => return Err(Reason::ParentArchived),
        Lineage::Root
        | Lineage::Child {
            is_parent_archived: false,
        } => {}
    }
    let mut decision = Decision::stay(state);
    decision.next.is_archived = false;
    Ok(decision)
}

pub(super) fn update_metadata(state: &State, is_pinning: bool) -> Result<Decision, Reason> {
    if is_pinning {
        require_live(state)?;
        match state.lineage {
            Lineage::Child { .. } => return Err(Reason::NotPinnable),
            Lineage::Root => {}
        }
    }
    Ok(Decision::stay(state).then(Effect::ApplyMetadata))
}
