//! Commands of the people and programs that talk in a chat: send, edit, interrupt, tool results and the word on calls that wait for it.
//!
//! Owns what each means in every status. Queue management is in `queue`, archiving in `family`.

use super::{FRESH, after_turn, require_live};
use crate::chat::command::BusyBehavior;
use crate::chat::decision::{AnswerReason, Decision, Effect};
use crate::chat::rejection::Reason;
use crate::chat::state::{MAX_QUEUED, Progress, State, Status};
use crate::id::MessageId;

pub(super) fn send(state: &State, behavior: BusyBehavior) -> Result<Decision, Reason> {
    require_live(state)?;
    match state.status {
        Status::Waiting => Ok(start_with_message(state, Decision::to(state, FRESH))),
        Status::Error => Ok(start_with_message(
            state,
            Decision::to(state, FRESH).then(Effect::ClearError),
        )),
        // A turn that is due but not begun is never replaced by a later message, not even by an interrupting one.
        Status::Pending { .. } | Status::Interrupting { .. } => enqueue(state, Decision::stay(state)),
        Status::Running { lease, progress } => match behavior {
            BusyBehavior::Queue => enqueue(state, Decision::stay(state)),
            // Queued first, then interrupted: the partial answer must come before this message in history.
            BusyBehavior::Interrupt => {
                let decision = enqueue(state, Decision::to(state, Status::Interrupting { lease, progress }))?;
                Ok(decision.then(Effect::CancelTurn { epoch: lease.epoch }))
            }
        },
        Status::RequiresAction { .. } => match behavior {
            BusyBehavior::Queue => enqueue(state, Decision::stay(state)),
            BusyBehavior::Interrupt => {
                let answered = Decision::to(state, FRESH).then(Effect::AnswerOpenCalls(AnswerReason::Interrupted));
                Ok(start_with_message(state, answered))
            }
        },
    }
}

/// Begins a turn on behalf of the new message without overtaking those that wait already.
///
/// With a queue the head goes first and the new message joins the end; a full queue has room because its head leaves.
fn start_with_message(state: &State, decision: Decision) -> Decision {
    let decision = if state.has_queue() {
        decision.then(Effect::PromoteHead).then(Effect::EnqueueMessage)
    } else {
        decision.then(Effect::InsertUserMessage)
    };
    decision.then(Effect::WakeWorkers)
}

fn enqueue(state: &State, decision: Decision) -> Result<Decision, Reason> {
    if state.queued_count >= MAX_QUEUED {
        return Err(Reason::QueueFull);
    }
    Ok(decision.then(Effect::EnqueueMessage))
}

pub(super) fn edit(state: &State, message: MessageId) -> Result<Decision, Reason> {
    require_live(state)?;
    let rewritten = Decision::to(state, FRESH)
        .then(Effect::TruncateFrom(message))
        .then_if(state.has_queue(), Effect::ClearQueue);
    // Truncation withdraws the calls with their message; what else hangs on the old history is undone by status.
    let decision = match state.status {
        Status::Waiting | Status::RequiresAction { .. } => rewritten.then(Effect::InsertUserMessage),
        Status::Error => rewritten.then(Effect::ClearError).then(Effect::InsertUserMessage),
        Status::Pending { progress } => rewritten.drop_intent_if_asked(progress).then(Effect::InsertUserMessage),
        Status::Running { lease, progress } | Status::Interrupting { lease, progress } => {
            let mut fenced = rewritten.drop_intent_if_asked(progress).then(Effect::InsertUserMessage);
            // The old worker can write nothing from here on, even before it hears that it should stop.
            fenced.next.epoch = state.epoch.next();
            fenced.then(Effect::CancelTurn { epoch: lease.epoch })
        }
    };
    Ok(decision.then(Effect::WakeWorkers))
}

pub(super) fn interrupt(state: &State) -> Result<Decision, Reason> {
    require_live(state)?;
    match state.status {
        Status::Waiting | Status::Interrupting { .. } => Ok(Decision::unchanged(state)),
        Status::Error => Ok(Decision::to(state, after_turn(state))
            .then(Effect::ClearError)
            .take_head_if_due(state)),
        Status::Pending { progress } => Ok(Decision::to(state, after_turn(state))
            .abandon(progress, AnswerReason::Interrupted)
            .take_head_if_due(state)),
        Status::Running { lease, progress } => Ok(Decision::to(state, Status::Interrupting { lease, progress })
            .then(Effect::CancelTurn { epoch: lease.epoch })),
        Status::RequiresAction { .. } => Ok(Decision::to(state, after_turn(state))
            .then(Effect::AnswerOpenCalls(AnswerReason::Interrupted))
            .take_head_if_due(state)),
    }
}

pub(super) fn submit_tool_results(state: &State) -> Result<Decision, Reason> {
    require_live(state)?;
    match state.status {
        Status::RequiresAction { .. } => Ok(Decision::to(state, FRESH)
            .then(Effect::StoreToolResults)
            .then(Effect::WakeWorkers)),
        Status::Waiting
        | Status::Pending { .. }
        | Status::Running { .. }
        | Status::Interrupting { .. }
        | Status::Error => Err(Reason::NoActionRequired),
    }
}

/// The turn goes on where it stands, with its calls still open: whoever claims it finds what was decided.
pub(super) fn decide_tool_calls(state: &State) -> Result<Decision, Reason> {
    require_live(state)?;
    match state.status {
        Status::RequiresAction { .. } => {
            let progress = Progress::Calling;
            Ok(Decision::to(state, Status::Pending { progress }).then(Effect::WakeWorkers))
        }
        Status::Waiting
        | Status::Pending { .. }
        | Status::Running { .. }
        | Status::Interrupting { .. }
        | Status::Error => Err(Reason::NoActionRequired),
    }
}
