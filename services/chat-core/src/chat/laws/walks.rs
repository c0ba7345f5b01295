//! Named walks: the races that the laws were written for, and any random walk that ever failed.

use super::*;
use Ask::*;

const CLAIM: Ask = Claim;
const SEND: Ask = Send(BusyBehavior::Queue);

fn work(act: Act) -> Ask {
    Work { lag: 0, act }
}

fn late(act: Act) -> Ask {
    Work { lag: 1, act }
}

fn end_of(steps: impl IntoIterator<Item = Ask>) -> Model {
    walk(steps).expect("the walk keeps every law")
}

#[test]
fn a_turn_with_tools_ends_waiting() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        work(Act::Commit(Calls::Open)),
        work(Act::Store(Calls::Answered)),
        work(Act::Begin),
        work(Act::Commit(Calls::Answered)),
        work(Act::Finish),
    ]);
    assert_eq!(model.state.status, Status::Waiting);
    assert_eq!(model.state.version.get(), 8);
}

#[test]
fn a_message_sent_while_running_is_answered_next() {
    let model = end_of([
        CLAIM,
        SEND,
        work(Act::Begin),
        work(Act::Commit(Calls::Answered)),
        work(Act::Finish),
    ]);
    assert_eq!(
        model.state.status,
        Status::Pending {
            progress: Progress::Between
        }
    );
    assert_eq!(model.seen_and_queued(), [0, 1]);
    assert!(model.queue.is_empty());
}

#[test]
fn an_interrupting_message_follows_the_partial_answer() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        Send(BusyBehavior::Interrupt),
        work(Act::Settle(Some(Calls::Open))),
        CLAIM,
    ]);
    assert_eq!(model.state.status.kind(), StatusKind::Running);
    assert_eq!(model.state.epoch, Epoch(2));
}

/// A worker that was paused while its lease ran out finds itself fenced off by whoever took over.
#[test]
fn a_zombie_changes_nothing_after_a_takeover() {
    let taken = [CLAIM, work(Act::Begin), Pass(10), CLAIM];
    let before = end_of(taken);
    let after =
        end_of(
            taken
                .into_iter()
                .chain([late(Act::Commit(Calls::Answered)), late(Act::Finish), late(Act::Fail)]),
        );
    assert_eq!(after.state, before.state);
    assert_eq!(
        after.state.status.progress(),
        Progress::Asking,
        "the new owner re-attaches to the recorded completion"
    );
}

#[test]
fn a_lease_not_taken_over_still_counts_after_it_expired() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        Pass(11),
        work(Act::Commit(Calls::Answered)),
        work(Act::Finish),
    ]);
    assert_eq!(model.state.status, Status::Waiting);
}

/// The stop was asked for this turn; a settlement that comes after an edit must not stop the edited one.
#[test]
fn an_edit_fences_the_old_worker_at_once() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        Interrupt,
        Edit(0),
        late(Act::Settle(None)),
        CLAIM,
    ]);
    assert_eq!(model.state.status.kind(), StatusKind::Running);
    assert_eq!(model.state.epoch, Epoch(3));
}

#[test]
fn a_drained_turn_keeps_its_progress_and_its_next_owner_gets_the_next_epoch() {
    let handed_back = end_of([CLAIM, work(Act::Begin), work(Act::Release)]);
    assert_eq!(
        handed_back.state.status,
        Status::Pending {
            progress: Progress::Asking
        }
    );
    assert_eq!(handed_back.state.epoch, Epoch(1));
    let taken = end_of([CLAIM, work(Act::Begin), work(Act::Release), CLAIM]);
    assert_eq!(taken.state.epoch, Epoch(2));
}

#[test]
fn an_archived_turn_settles_without_promoting_its_queue() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        SEND,
        Archive,
        work(Act::Settle(Some(Calls::Answered))),
    ]);
    assert_eq!(model.state.status, Status::Waiting);
    assert_eq!(model.queue.len(), 1);
    assert!(model.state.is_archived);
}

#[test]
fn an_archived_turn_whose_owner_died_is_settled_by_another() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        Archive,
        Pass(10),
        CLAIM,
        work(Act::Settle(None)),
    ]);
    assert_eq!(model.state.status, Status::Waiting);
    assert_eq!(model.state.epoch, Epoch(2));
}

#[test]
fn a_queue_kept_over_the_archive_goes_on_with_the_next_message() {
    let model = end_of([CLAIM, SEND, Archive, work(Act::Settle(None)), Unarchive, SEND]);
    assert_eq!(
        model.state.status,
        Status::Pending {
            progress: Progress::Between
        }
    );
    assert_eq!(model.seen_and_queued(), [0, 1, 2]);
    assert_eq!(model.queue.len(), 1);
}

#[test]
fn a_failed_turn_keeps_its_queue_and_the_next_message_resumes_it() {
    let failed = end_of([CLAIM, SEND, work(Act::Begin), work(Act::Fail)]);
    assert_eq!(failed.state.status, Status::Error);
    assert_eq!(failed.queue.len(), 1);
    let resumed = end_of([CLAIM, SEND, work(Act::Begin), work(Act::Fail), SEND]);
    assert_eq!(
        resumed.state.status,
        Status::Pending {
            progress: Progress::Between
        }
    );
    assert_eq!(resumed.queue.len(), 1);
}

#[test]
fn a_client_that_never_answers_ends_the_turn_in_error() {
    let parked = [
        CLAIM,
        work(Act::Begin),
        work(Act::Commit(Calls::Open)),
        work(Act::Require),
    ];
    assert_eq!(
        end_of(parked.into_iter().chain([Pass(9), Expire])).state.status.kind(),
        StatusKind::RequiresAction
    );
    assert_eq!(
        end_of(parked.into_iter().chain([Pass(10), Expire])).state.status,
        Status::Error
    );
}

#[test]
fn a_message_that_interrupts_a_waiting_client_is_answered_at_once() {
    let model = end_of([
        CLAIM,
        work(Act::Begin),
        work(Act::Commit(Calls::Open)),
        work(Act::Require),
        Send(BusyBehavior::Interrupt),
    ]);
    assert_eq!(
        model.state.status,
        Status::Pending {
            progress: Progress::Between
        }
    );
    assert!(model.queue.is_empty());
}

/// The worker ended its turn in the same instant as the stop was asked: the stop wins and is settled by that very command.
#[test]
fn a_stop_wins_over_every_other_end() {
    let asked = [CLAIM, work(Act::Begin), Interrupt, work(Act::Commit(Calls::Open))];
    for end in [Act::Finish, Act::Fail, Act::Require, Act::Settle(None)] {
        assert_eq!(
            end_of(asked.into_iter().chain([work(end)])).state.status,
            Status::Waiting,
            "{end:?}"
        );
    }
}

#[test]
fn the_twenty_first_queued_message_is_refused() {
    let model = end_of([CLAIM].into_iter().chain([SEND; 21]));
    assert_eq!(model.queue.len(), 20);
    let rejection = decide(
        &model.state,
        &Command::Send {
            behavior: BusyBehavior::Queue,
        },
    )
    .unwrap_err();
    assert_eq!(rejection.reason, Reason::QueueFull);
    assert_eq!(
        rejection.to_string(),
        "send refused while the chat is running: the queue is full"
    );
}
