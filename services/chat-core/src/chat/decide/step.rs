//! Commands within a turn: begin a step, store its answer, store tool results, wait for the client.
//!
//! Owns the order intent, answer, results (law 7). How a turn ends is in `settle`.

use time::OffsetDateTime;

use super::settle;
use crate::chat::command::Calls;
use crate::chat::decision::{Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{Progress, State, Status};

/// A further attempt of a step begins like the first; its record replaces the failed attempt's.
pub(super) fn begin(state: &State) -> Result<Decision, Reason> {
    match state.status {
        Status::Running { lease, progress } => match progress {
            Progress::Between | Progress::Asking => {
                let status = Status::Running {
                    lease,
                    progress: Progress::Asking,
                };
                Ok(Decision::to(state, status).then(Effect::RecordIntent))
            }
            Progress::Calling => Err(Reason::CallsOpen),
        },
        Status::Interrupting { .. } => Err(Reason::StopAsked),
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            Err(Reason::NotLeased)
        }
    }
}

/// An answer that is complete when the stop arrives is stored whole.
pub(super) fn commit(state: &State, calls: Calls) -> Result<Decision, Reason> {
    let advance = |progress| match progress {
        Progress::Asking => Ok(progress_with(calls)),
        Progress::Between => Err(Reason::NoStepBegun),
        Progress::Calling => Err(Reason::CallsOpen),
    };
    write_in_turn(state, advance, Effect::AppendStep)
}

/// Results that exist when the stop arrives are stored too.
pub(super) fn store_results(state: &State, calls: Calls) -> Result<Decision, Reason> {
    let advance = |progress| match progress {
        Progress::Calling => Ok(progress_with(calls)),
        Progress::Between | Progress::Asking => Err(Reason::NoCallsOpen),
    };
    write_in_turn(state, advance, Effect::StoreToolResults)
}

/// Parks the chat for its client, unless a stop was asked meanwhile: then that stop is settled instead.
pub(super) fn require_action(state: &State, deadline: OffsetDateTime) -> Result<Decision, Reason> {
    match state.status {
        Status::Running { lease: _, progress } => {
            require_open_calls(progress)?;
            Ok(Decision::to(state, Status::RequiresAction { deadline }))
        }
        Status::Interrupting { lease: _, progress } => {
            require_open_calls(progress)?;
            settle::finish_interruption(state, None)
        }
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            Err(Reason::NotLeased)
        }
    }
}

/// A write that moves the step along and leaves the status as it is.
fn write_in_turn(
    state: &State,
    advance: impl Fn(Progress) -> Result<Progress, Reason>,
    effect: Effect,
) -> Result<Decision, Reason> {
    let status = match state.status {
        Status::Running { lease, progress } => Status::Running {
            lease,
            progress: advance(progress)?,
        },
        Status::Interrupting { lease, progress } => Status::Interrupting {
            lease,
            progress: advance(progress)?,
        },
        Status::Waiting | Status::Pending { .. } | Status::RequiresAction { .. } | Status::Error => {
            return Err(Reason::NotLeased);
        }
    };
    Ok(Decision::to(state, status).then(effect))
}

fn progress_with(calls: Calls) -> Progress {
    match calls {
        Calls::Answered => Progress::Between,
        Calls::Open => Progress::Calling,
    }
}

fn require_open_calls(progress: Progress) -> Result<(), Reason> {
    match progress {
        Progress::Calling => Ok(()),
        Progress::Between | Progress::Asking => Err(Reason::NoCallsOpen),
    }
}
