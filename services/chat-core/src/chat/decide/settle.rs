//! How a turn ends: naturally, stopped, failed, or because the client never answered.
//!
//! Owns settlement. A stop that was asked wins over every other outcome of the same turn, so an interrupted chat never ends in
//! `error` or `requires_action`.

use time::OffsetDateTime;

use super::after_turn;
use crate::chat::command::Calls;
use crate::chat::decision::{AnswerReason, Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{Progress, State, Status};

/// A completion without any content leaves nothing to commit, so its record may still be open.
pub(super) fn finish_turn(state: &State) -> Result<Decision, Reason> {
    match state.status {
        Status::Running { lease: _, progress } => match progress {
            Progress::Between | Progress::Asking => Ok(Decision::to(state, after_turn(state))
                .drop_intent_if_asked(progress)
                .take_head_if_due(state)),
            Progress::Calling => Err(Reason::CallsOpen),
        },
        Status::Interrupting { .. } => finish_interruption(state, None),
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            Err(Reason::NotLeased)
        }
    }
}

pub(super) fn finish_interruption(state: &State, partial: Option<Calls>) -> Result<Decision, Reason> {
    match state.status {
        Status::Interrupting { lease: _, progress } => {
            let settled = Decision::to(state, after_turn(state));
            let stored = match partial {
                None => settled.abandon(progress, AnswerReason::Interrupted),
                Some(calls) => {
                    require_asking(progress)?;
                    let has_calls = calls == Calls::Open;
                    settled
                        .then(Effect::AppendPartial)
                        .then_if(has_calls, Effect::AnswerOpenCalls(AnswerReason::Interrupted))
                }
            };
            Ok(stored.take_head_if_due(state))
        }
        Status::Running { .. } => Err(Reason::NoStopAsked),
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            Err(Reason::NotLeased)
        }
    }
}

/// A partial answer belongs to a recorded completion whose answer is not stored yet.
fn require_asking(progress: Progress) -> Result<(), Reason> {
    match progress {
        Progress::Asking => Ok(()),
        Progress::Between => Err(Reason::NoStepBegun),
        Progress::Calling => Err(Reason::CallsOpen),
    }
}

/// The queue is kept and not promoted: what made this turn fail would most likely fail the next one.
pub(super) fn fail(state: &State) -> Result<Decision, Reason> {
    match state.status {
        Status::Running { lease: _, progress } => Ok(Decision::to(state, Status::Error)
            .abandon(progress, AnswerReason::Failed)
            .then(Effect::SetError)),
        Status::Interrupting { .. } => finish_interruption(state, None),
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            Err(Reason::NotLeased)
        }
    }
}

/// The clock looks at candidates that may have moved on since it chose them; finding nothing to do is no error.
pub(super) fn expire_action(state: &State, now: OffsetDateTime) -> Result<Decision, Reason> {
    match state.status {
        Status::RequiresAction { deadline } if now >= deadline => Ok(Decision::to(state, Status::Error)
            .then(Effect::AnswerOpenCalls(AnswerReason::TimedOut))
            .then(Effect::SetError)),
        Status::RequiresAction { .. }
        | Status::Waiting
        | Status::Pending { .. }
        | Status::Running { .. }
        | Status::Interrupting { .. }
        | Status::Error => Ok(Decision::unchanged(state)),
    }
}
