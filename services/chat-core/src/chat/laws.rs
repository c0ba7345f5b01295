//! The laws of the machine, walked with random commands against a model of history and queue.
//!
//! The model carries out effects the way storage does, on plain vectors. Each law is one assertion, made after every command.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::id::{Epoch, ReplicaId};

mod model;
mod walks;

use model::Model;

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const TTL: Duration = Duration::from_secs(10);

/// A step of a walk: what to ask, with its facts left open until the state is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Send(BusyBehavior),
    /// Edits the n-th live user message.
    Edit(usize),
    /// Takes back the n-th queued message; beyond the end means an unknown id.
    Delete(usize),
    /// Promotes the n-th queued message; beyond the end means an unknown id.
    Promote(usize),
    /// Asks a queued message from one place to another.
    Move {
        from: usize,
        to: usize,
    },
    Interrupt,
    Retry,
    Compact,
    Clear,
    Submit,
    Decide,
    Archive,
    Unarchive,
    Rename,
    Pin,
    Claim,
    /// A worker's command, under an epoch that lags the current one by `lag`.
    Work {
        lag: i64,
        act: Act,
    },
    Expire,
    /// Lets seconds pass.
    Pass(u8),
}

/// What a worker may ask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Renew,
    Release,
    Begin,
    Commit(Calls),
    Store(Calls),
    Require,
    Finish,
    Settle(Option<Calls>),
    Fail,
}

impl Ask {
    /// The command, with its facts looked up in the model as storage would look them up under the lock.
    fn command(self, model: &Model) -> Option<Command> {
        let now = model.now;
        Some(match self {
            Self::Send(behavior) => Command::Send { behavior },
            Self::Edit(n) => Command::Edit {
                message: model.nth_user_message(n)?,
            },
            Self::Delete(n) => Command::DeleteQueued {
                queued: model.queue.get(n).copied(),
            },
            Self::Promote(n) => Command::PromoteQueued {
                queued: model.queue.get(n).copied(),
            },
            Self::Move { from, to } => Command::ReorderQueued {
                current: model.queue.clone(),
                queued: model.queue.get(from).copied()?,
                place: to,
            },
            Self::Interrupt => Command::Interrupt,
            Self::Retry => Command::Retry,
            Self::Compact => Command::Compact,
            Self::Clear => Command::ClearContext,
            Self::Submit => Command::SubmitToolResults,
            Self::Decide => Command::DecideToolCalls,
            Self::Archive => Command::Archive,
            Self::Unarchive => Command::Unarchive,
            Self::Rename => Command::UpdateMetadata { is_pinning: false },
            Self::Pin => Command::UpdateMetadata { is_pinning: true },
            Self::Claim => Command::Claim {
                owner: ReplicaId::new(Uuid::nil()),
                now,
                ttl: TTL,
            },
            Self::Work { lag, act } => act.command(Epoch(model.state.epoch.get() - lag), now),
            Self::Expire => Command::ExpireAction { now },
            Self::Pass(_) => return None,
        })
    }
}

impl Act {
    fn command(self, epoch: Epoch, now: OffsetDateTime) -> Command {
        match self {
            Self::Renew => Command::Renew { epoch, now, ttl: TTL },
            Self::Release => Command::Release { epoch, now },
            Self::Begin => Command::BeginStep { epoch },
            Self::Commit(calls) => Command::CommitStep { epoch, calls },
            Self::Store(calls) => Command::StoreResults { epoch, calls },
            Self::Require => Command::RequireAction {
                epoch,
                deadline: now + TTL,
            },
            Self::Finish => Command::FinishTurn { epoch },
            Self::Settle(partial) => Command::FinishInterruption { epoch, partial },
            Self::Fail => Command::Fail { epoch },
        }
    }
}

fn behaviors() -> impl Strategy<Value = BusyBehavior> {
    prop_oneof![Just(BusyBehavior::Queue), Just(BusyBehavior::Interrupt)]
}

fn calls() -> impl Strategy<Value = Calls> {
    prop_oneof![Just(Calls::Answered), Just(Calls::Open)]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Renew),
        1 => Just(Act::Release),
        6 => Just(Act::Begin),
        6 => calls().prop_map(Act::Commit),
        4 => calls().prop_map(Act::Store),
        2 => Just(Act::Require),
        2 => Just(Act::Finish),
        2 => proptest::option::of(calls()).prop_map(Act::Settle),
        1 => Just(Act::Fail),
    ]
}

/// Weighted so that walks get deep: workers mostly hold the right epoch, and chats are mostly live.
fn asks() -> impl Strategy<Value = Ask> {
    prop_oneof![
        12 => behaviors().prop_map(Ask::Send),
        1 => (0..6_usize).prop_map(Ask::Edit),
        2 => (0..6_usize).prop_map(Ask::Delete),
        2 => (0..6_usize).prop_map(Ask::Promote),
        1 => (0..6_usize, 0..6_usize).prop_map(|(from, to)| Ask::Move { from, to }),
        2 => Just(Ask::Interrupt),
        2 => Just(Ask::Retry),
        1 => Just(Ask::Compact),
        1 => Just(Ask::Clear),
        2 => Just(Ask::Submit),
        2 => Just(Ask::Decide),
        1 => Just(Ask::Archive),
        3 => Just(Ask::Unarchive),
        1 => Just(Ask::Rename),
        1 => Just(Ask::Pin),
        8 => Just(Ask::Claim),
        24 => (prop_oneof![6 => Just(0_i64), 1 => 1..3_i64], acts()).prop_map(|(lag, act)| Ask::Work { lag, act }),
        1 => Just(Ask::Expire),
        3 => (1..12_u8).prop_map(Ask::Pass),
    ]
}

/// Takes one step and checks every law.
fn walk_one(model: &mut Model, step: Ask) -> Result<(), TestCaseError> {
    if let Ask::Pass(seconds) = step {
        model.now += Duration::from_secs(seconds.into());
    }
    let Some(command) = step.command(model) else {
        return Ok(());
    };
    let before = model.before();
    match decide(&before.state, &command) {
        Err(rejection) => {
            prop_assert_eq!(rejection.from, before.state.status.kind());
            prop_assert_eq!(rejection.command, command.kind());
        }
        Ok(decision) => {
            let is_stale = command.held_epoch().is_some_and(|held| held != before.state.epoch);
            prop_assert!(!is_stale, "a stale epoch was accepted: {:?}", command);
            check_version(&before.state, &command, &decision)?;
            model.apply(&command, &decision);
            model.check(&before, &command, &decision)?;
        }
    }
    Ok(())
}

fn check_version(state: &State, command: &Command, decision: &Decision) -> Result<(), TestCaseError> {
    let is_renewal = command.kind() == CommandKind::Renew;
    if is_renewal || *decision == Decision::unchanged(state) {
        prop_assert_eq!(decision.next.version, state.version);
        prop_assert!(decision.effects.is_empty());
    } else {
        prop_assert_eq!(decision.next.version, state.version.next());
    }
    Ok(())
}

fn walk(steps: impl IntoIterator<Item = Ask>) -> Result<Model, TestCaseError> {
    let mut model = Model::new();
    for step in steps {
        walk_one(&mut model, step)?;
    }
    Ok(model)
}

proptest! {
    // A failing seed is printed and then kept as a plain test in `walks`, where it has a name and a cause.
    #![proptest_config(Config {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    })]

    #[test]
    fn random_commands_keep_every_law(steps in proptest::collection::vec(asks(), 200)) {
        walk(steps)?;
    }

    /// Without promotion, reordering, edits and deletions the queue is invisible: messages enter history as they were sent.
    #[test]
    fn messages_are_answered_in_the_order_they_were_sent(steps in proptest::collection::vec(asks(), 200)) {
        let in_order = steps.into_iter().filter(|step| match step {
            Ask::Edit(_) | Ask::Delete(_) | Ask::Promote(_) | Ask::Move { .. } => false,
            Ask::Send(_) | Ask::Interrupt | Ask::Retry | Ask::Compact | Ask::Clear | Ask::Submit | Ask::Decide | Ask::Archive | Ask::Unarchive | Ask::Rename | Ask::Pin
            | Ask::Claim | Ask::Work { .. } | Ask::Expire | Ask::Pass(_) => true,
        });
        let model = walk(in_order)?;
        let (seen, sent) = (model.seen_and_queued(), model.sent());
        prop_assert_eq!(seen, sent);
    }

    /// Whatever the commands, taking them in one transaction leads where taking them one by one does, at the price of one version.
    #[test]
    fn commands_in_one_transaction_are_one_change(
        state in model::states(),
        commands in proptest::collection::vec(model::commands(), 0..4),
    ) {
        let mut next = state;
        let mut effects = Vec::new();
        let one_by_one = commands.iter().try_for_each(|command| {
            let decision = decide(&next, command)?;
            next = decision.next;
            effects.extend(decision.effects);
            Ok::<_, Rejection>(())
        });
        if next.version != state.version {
            next.version = state.version.next();
        }
        prop_assert_eq!(decide_all(&state, &commands), one_by_one.map(|()| Decision { next, effects }));
    }

    #[test]
    fn any_legal_state_answers_any_command_legally(
        state in model::states(),
        command in model::commands(),
    ) {
        match decide(&state, &command) {
            Ok(decision) => {
                prop_assert_eq!(decision.next.check(), Ok(()));
                check_version(&state, &command, &decision)?;
                prop_assert!(decision.next.epoch >= state.epoch, "an epoch never goes back");
            }
            Err(rejection) => prop_assert_eq!(rejection.command, command.kind()),
        }
    }
}
