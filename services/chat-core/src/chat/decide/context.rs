//! Commands about what the model remembers, and the second try of a failed turn.
//!
//! Owns what they mean in every status. All of them need a chat at rest: what a running turn knows changes only by its own steps.

use super::{FRESH, after_turn, require_live};
use crate::chat::decision::{Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{State, Status};

/// The turn begins anew on the history as it stands.
pub(super) fn retry(state: &State) -> Result<Decision, Reason> {
    require_live(state)?;
    match state.status {
        Status::Error => Ok(Decision::to(state, FRESH)
            .then(Effect::ClearError)
            .then(Effect::WakeWorkers)),
        Status::Waiting
        | Status::Pending { .. }
        | Status::Running { .. }
        | Status::Interrupting { .. }
        | Status::RequiresAction { .. } => Err(Reason::NotFailed),
    }
}

/// A turn that only compacts. A queue that an error held back goes on behind it.
pub(super) fn compact(state: &State) -> Result<Decision, Reason> {
    let rested = at_rest(state, FRESH)?;
    Ok(rested.then(Effect::RequestCompaction).then(Effect::WakeWorkers))
}

/// Done at once. A queue that an error held back goes on with a model that remembers nothing.
pub(super) fn clear(state: &State) -> Result<Decision, Reason> {
    let rested = at_rest(state, after_turn(state))?;
    Ok(rested.then(Effect::InsertBoundary).take_head_if_due(state))
}

fn at_rest(state: &State, next: Status) -> Result<Decision, Reason> {
    require_live(state)?;
    match state.status {
        Status::Waiting => Ok(Decision::to(state, next)),
        Status::Error => Ok(Decision::to(state, next).then(Effect::ClearError)),
        Status::Pending { .. }
        | Status::Running { .. }
        | Status::Interrupting { .. }
        | Status::RequiresAction { .. } => Err(Reason::Busy),
    }
}
