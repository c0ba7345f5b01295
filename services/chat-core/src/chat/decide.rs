//! The one function that gives commands their meaning, and the steps its parts share.
//!
//! Owns the fence and the dispatch; each group of commands is decided in its own file, every status written out. It performs
//! nothing: no clock, no IO, no randomness.

mod context;
mod family;
mod lease;
mod people;
mod queue;
mod settle;
mod step;

use super::command::Command;
use super::decision::{AnswerReason, Decision, Effect};
use super::rejection::{Reason, Rejection};
use super::state::{Progress, State, Status};

/// What `command` means for a chat in `state`. Pure; `now` comes with the command. Constant cost.
///
/// The complete table is `docs/state-machine.md`, rendered from this function by [`super::table::render`].
///
/// # Errors
/// [`Rejection`] names the status, the command and the reason; the chat stays as it is.
pub fn decide(state: &State, command: &Command) -> Result<Decision, Rejection> {
    fence(state, command)
        .and_then(|()| dispatch(state, command))
        .map_err(|reason| Rejection {
            from: state.status.kind(),
            command: command.kind(),
            reason,
        })
}

/// Several commands as one change: decided one after the other, effects in that order, one version.
///
/// For what belongs into one transaction, such as the last step of a turn (`CommitStep`, `FinishTurn`), a request of the client's
/// tools (`StoreResults`, `RequireAction`) or a change of title that also archives.
///
/// # Errors
/// The first command that is refused refuses them all.
pub fn decide_all(state: &State, commands: &[Command]) -> Result<Decision, Rejection> {
    let mut whole = Decision::unchanged(state);
    for command in commands {
        let part = decide(&whole.next, command)?;
        whole.next = part.next;
        whole.effects.extend(part.effects);
    }
    if whole.next.version != state.version {
        whole.next.version = state.version.next();
    }
    Ok(whole)
}

/// Refuses a worker whose epoch is over, whatever it asks (law 3).
fn fence(state: &State, command: &Command) -> Result<(), Reason> {
    match command.held_epoch() {
        Some(held) if held != state.epoch => Err(Reason::StaleEpoch {
            held,
            current: state.epoch,
        }),
        Some(_) | None => Ok(()),
    }
}

fn dispatch(state: &State, command: &Command) -> Result<Decision, Reason> {
    match command {
        Command::Send { behavior } => people::send(state, *behavior),
        Command::Edit { message } => people::edit(state, *message),
        Command::Interrupt => people::interrupt(state),
        Command::Retry => context::retry(state),
        Command::Compact => context::compact(state),
        Command::ClearContext => context::clear(state),
        Command::SubmitToolResults => people::submit_tool_results(state),
        Command::DecideToolCalls => people::decide_tool_calls(state),
        Command::DeleteQueued { queued } => queue::delete(state, *queued),
        Command::PromoteQueued { queued } => queue::promote(state, *queued),
        Command::ReorderQueued { current, queued, place } => queue::reorder(state, current, *queued, *place),
        Command::Archive => family::archive(state),
        Command::Unarchive => family::unarchive(state),
        Command::UpdateMetadata { is_pinning } => family::update_metadata(state, *is_pinning),
        Command::Claim { owner, now, ttl } => lease::claim(state, *owner, *now, *ttl),
        Command::Renew { epoch: _, now, ttl } => lease::renew(state, *now, *ttl),
        Command::Release { epoch: _, now } => lease::release(state, *now),
        Command::BeginStep { epoch: _ } => step::begin(state),
        Command::CommitStep { epoch: _, calls } => step::commit(state, *calls),
        Command::StoreResults { epoch: _, calls } => step::store_results(state, *calls),
        Command::RequireAction { epoch: _, deadline } => step::require_action(state, *deadline),
        Command::FinishTurn { epoch: _ } => settle::finish_turn(state),
        Command::FinishInterruption { epoch: _, partial } => settle::finish_interruption(state, *partial),
        Command::Fail { epoch: _ } => settle::fail(state),
        Command::ExpireAction { now } => settle::expire_action(state, *now),
    }
}

/// A turn that nobody has begun.
const FRESH: Status = Status::Pending {
    progress: Progress::Between,
};

/// Refuses commands that would bring an archived chat to life.
fn require_live(state: &State) -> Result<(), Reason> {
    if state.is_archived {
        Err(Reason::Archived)
    } else {
        Ok(())
    }
}

/// Where a turn leads that ends now: to the next queued message, or to rest. An archived chat keeps its queue and rests.
fn after_turn(state: &State) -> Status {
    if goes_on(state) { FRESH } else { Status::Waiting }
}

fn goes_on(state: &State) -> bool {
    state.has_queue() && !state.is_archived
}

impl Decision {
    /// Leaves the current step behind: open calls are answered, a recorded completion is void.
    fn abandon(self, progress: Progress, reason: AnswerReason) -> Self {
        match progress {
            Progress::Between => self,
            Progress::Asking => self.then(Effect::DropIntent),
            Progress::Calling => self.then(Effect::AnswerOpenCalls(reason)),
        }
    }

    /// Voids a recorded completion whose prompt no longer exists.
    fn drop_intent_if_asked(self, progress: Progress) -> Self {
        self.then_if(progress == Progress::Asking, Effect::DropIntent)
    }

    /// Promotes the head if [`after_turn`] led to the next queued message.
    fn take_head_if_due(self, state: &State) -> Self {
        let due = goes_on(state);
        self.then_if(due, Effect::PromoteHead).then_if(due, Effect::WakeWorkers)
    }
}
