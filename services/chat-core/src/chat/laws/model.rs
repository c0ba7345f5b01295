//! Storage in miniature: carries out effects on plain vectors and knows what must hold afterwards.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::*;
use super::{Act, START, TTL, behaviors, calls};
use crate::id::{Epoch, MessageId, QueuedId, ReplicaId, Version};

/// A chat with its rows. A user message keeps the number under which it was sent; queued, that number is its queue id.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) state: State,
    pub(super) now: OffsetDateTime,
    pub(super) queue: Vec<QueuedId>,
    history: Vec<Row>,
    withdrawn: BTreeSet<i64>,
    sent_count: i64,
    has_intent: bool,
    has_error: bool,
}

/// A chat as it was, history aside.
pub(super) struct Before {
    pub(super) state: State,
    queue: Vec<QueuedId>,
}

#[derive(Clone, Debug, PartialEq)]
enum Row {
    User {
        sent: i64,
    },
    /// How many results each of its calls has.
    Assistant {
        results: Vec<u8>,
    },
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            state: State::created(Lineage::Root),
            now: START,
            queue: Vec::new(),
            history: vec![Row::User { sent: 0 }],
            withdrawn: BTreeSet::new(),
            sent_count: 1,
            has_intent: false,
            has_error: false,
        }
    }

    /// What the laws compare with after a change.
    pub(super) fn before(&self) -> Before {
        Before {
            state: self.state,
            queue: self.queue.clone(),
        }
    }

    /// Message ids are places in history, from 1.
    pub(super) fn nth_user_message(&self, n: usize) -> Option<MessageId> {
        let is_user = |row: &Row| matches!(row, Row::User { .. });
        let place = self
            .history
            .iter()
            .enumerate()
            .filter(|(_, row)| is_user(row))
            .nth(n)?
            .0;
        i64::try_from(place).ok().map(|place| MessageId(place + 1))
    }

    /// Every message ever accepted.
    pub(super) fn sent(&self) -> Vec<i64> {
        (0..self.sent_count).collect()
    }

    /// User messages in history, then those that wait.
    pub(super) fn seen_and_queued(&self) -> Vec<i64> {
        let seen = self.history.iter().filter_map(|row| match row {
            Row::User { sent } => Some(*sent),
            Row::Assistant { .. } => None,
        });
        seen.chain(self.queue.iter().map(|id| id.get())).collect()
    }

    pub(super) fn apply(&mut self, command: &Command, decision: &Decision) {
        for effect in &decision.effects {
            self.apply_effect(command, effect);
        }
        self.state = decision.next;
    }

    fn apply_effect(&mut self, command: &Command, effect: &Effect) {
        match effect {
            Effect::InsertUserMessage => {
                let sent = self.take_number();
                self.insert_user_row(sent);
            }
            Effect::EnqueueMessage => {
                let sent = self.take_number();
                self.queue.push(QueuedId(sent));
            }
            Effect::PromoteHead => {
                let head = self.queue.remove(0);
                self.insert_user_row(head.get());
            }
            Effect::PromoteQueued(id) => {
                self.remove_queued(*id);
                self.insert_user_row(id.get());
            }
            Effect::MoveToFront(id) => {
                self.remove_queued(*id);
                self.queue.insert(0, *id);
            }
            Effect::SetQueueOrder(order) => self.queue.clone_from(order),
            Effect::DeleteQueued(id) => {
                self.remove_queued(*id);
                self.withdrawn.insert(id.get());
            }
            Effect::ClearQueue => {
                assert!(!self.queue.is_empty(), "an empty queue is not cleared");
                self.withdrawn.extend(self.queue.drain(..).map(QueuedId::get));
            }
            Effect::TruncateFrom(message) => self.truncate_from(*message),
            Effect::AppendStep | Effect::AppendPartial => {
                assert!(self.has_intent, "an answer without intent");
                self.has_intent = false;
                let results = if brings_calls(command) { vec![0; 3] } else { Vec::new() };
                self.history.push(Row::Assistant { results });
            }
            Effect::StoreToolResults => {
                let keeps_some_open = matches!(command, Command::StoreResults { calls: Calls::Open, .. });
                let open = self.open_calls();
                assert!(!open.is_empty(), "results without calls");
                // While calls stay open, at least the last one does.
                let answered = open.len() - usize::from(keeps_some_open);
                self.answer(&open[..answered]);
            }
            Effect::AnswerOpenCalls(_) => {
                let open = self.open_calls();
                assert!(!open.is_empty(), "synthetic results without calls");
                self.answer(&open);
            }
            Effect::RecordIntent => self.has_intent = true,
            Effect::DropIntent => {
                assert!(self.has_intent, "dropped an intent that was not there");
                self.has_intent = false;
            }
            Effect::SetError => self.has_error = true,
            Effect::ClearError => {
                assert!(self.has_error, "cleared an error that was not there");
                self.has_error = false;
            }
            Effect::InsertBoundary => assert!(self.open_calls().is_empty(), "a boundary between a call and its result"),
            Effect::RequestCompaction
            | Effect::ApplyMetadata
            | Effect::ClearPin
            | Effect::OpenLog { .. }
            | Effect::CancelTurn { .. }
            | Effect::WakeWorkers => {}
        }
    }

    fn take_number(&mut self) -> i64 {
        self.sent_count += 1;
        self.sent_count - 1
    }

    fn insert_user_row(&mut self, sent: i64) {
        assert!(
            self.open_calls().is_empty(),
            "a user message between a call and its result"
        );
        self.history.push(Row::User { sent });
    }

    fn remove_queued(&mut self, id: QueuedId) {
        let place = self
            .queue
            .iter()
            .position(|queued| *queued == id)
            .expect("the message is queued");
        self.queue.remove(place);
    }

    fn truncate_from(&mut self, message: MessageId) {
        let place = usize::try_from(message.get() - 1).expect("message ids are positive");
        for row in self.history.drain(place..) {
            if let Row::User { sent } = row {
                self.withdrawn.insert(sent);
            }
        }
    }

    fn open_calls(&self) -> Vec<usize> {
        match self.history.last() {
            Some(Row::Assistant { results }) => (0..results.len()).filter(|&call| results[call] == 0).collect(),
            Some(Row::User { .. }) | None => Vec::new(),
        }
    }

    fn answer(&mut self, calls: &[usize]) {
        if let Some(Row::Assistant { results }) = self.history.last_mut() {
            for &call in calls {
                results[call] += 1;
            }
        }
    }

    /// Every law that can be seen from the rows.
    pub(super) fn check(&self, before: &Before, command: &Command, decision: &Decision) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.state.check(), Ok(()));
        self.check_rows()?;
        self.check_against(before, command)?;
        check_hints(before, command, decision)
    }

    fn check_rows(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(usize::from(self.state.queued_count), self.queue.len());
        prop_assert_eq!(self.state.status.progress() == Progress::Asking, self.has_intent);
        prop_assert_eq!(
            self.state.status.progress() == Progress::Calling,
            !self.open_calls().is_empty()
        );
        prop_assert_eq!(self.state.status == Status::Error, self.has_error);
        for row in &self.history {
            if let Row::Assistant { results } = row {
                prop_assert!(results.iter().all(|count| *count <= 1), "a call was answered twice");
            }
        }
        let mut kept = self.seen_and_queued();
        kept.extend(&self.withdrawn);
        kept.sort_unstable();
        prop_assert_eq!(kept, self.sent(), "a user message was lost or doubled");
        Ok(())
    }

    fn check_against(&self, before: &Before, command: &Command) -> Result<(), TestCaseError> {
        let may_reorder = matches!(command, Command::PromoteQueued { .. } | Command::ReorderQueued { .. });
        if !may_reorder {
            let is_kept = |id: &&QueuedId| self.queue.contains(id);
            let expected: Vec<_> = before.queue.iter().filter(is_kept).collect();
            let actual: Vec<_> = self.queue.iter().filter(|id| before.queue.contains(id)).collect();
            prop_assert_eq!(actual, expected, "the queue changed its order");
        }
        if before.state.is_archived {
            prop_assert_eq!(&self.queue, &before.queue, "an archived queue moved");
        }
        if matches!(before.state.status, Status::Interrupting { .. }) {
            let after = self.state.status.kind();
            prop_assert!(
                after != StatusKind::Error && after != StatusKind::RequiresAction,
                "a stop was overruled"
            );
            prop_assert!(after != StatusKind::Running, "a stopped turn ran on");
        }
        Ok(())
    }
}

fn check_hints(before: &Before, command: &Command, decision: &Decision) -> Result<(), TestCaseError> {
    let (from, next) = (&before.state, &decision.next);
    let became_pending = next.status.kind() == StatusKind::Pending && from.status.kind() != StatusKind::Pending;
    if became_pending {
        prop_assert!(
            decision.effects.contains(&Effect::WakeWorkers),
            "work nobody was told of"
        );
    }
    let is_claim = command.kind() == CommandKind::Claim;
    let opens_log = decision.effects.contains(&Effect::OpenLog { epoch: next.epoch });
    prop_assert_eq!(is_claim, opens_log);
    for effect in &decision.effects {
        if let Effect::CancelTurn { epoch } = effect {
            prop_assert_eq!(
                from.status.lease().map(|lease| lease.epoch),
                Some(*epoch),
                "a cancellation missed its turn"
            );
        }
    }
    // Whoever takes the lease itself away fences the worker off.
    if from.status.lease().is_some() && next.status.lease().is_none() && command.held_epoch().is_none() {
        prop_assert!(next.epoch > from.epoch, "an unfenced worker");
    }
    // Whoever takes a running turn from its worker tells that worker.
    if let (Status::Running { lease, .. }, None) = (from.status, command.held_epoch()) {
        let taken = next.status.kind() != StatusKind::Running && !is_claim;
        prop_assert_eq!(
            taken,
            decision.effects.contains(&Effect::CancelTurn { epoch: lease.epoch })
        );
    }
    Ok(())
}

fn brings_calls(command: &Command) -> bool {
    matches!(
        command,
        Command::CommitStep { calls: Calls::Open, .. }
            | Command::FinishInterruption {
                partial: Some(Calls::Open),
                ..
            }
    )
}

/// Any legal state, reachable or not.
pub(super) fn states() -> impl Strategy<Value = State> {
    let progress = prop_oneof![Just(Progress::Between), Just(Progress::Asking), Just(Progress::Calling)];
    let lease = Lease {
        epoch: Epoch(3),
        owner: ReplicaId::new(Uuid::nil()),
        expires_at: START + TTL,
    };
    let status = (0..6_usize, progress).prop_map(move |(kind, progress)| match StatusKind::ALL[kind] {
        StatusKind::Waiting => Status::Waiting,
        StatusKind::Pending => Status::Pending { progress },
        StatusKind::Running => Status::Running { lease, progress },
        StatusKind::Interrupting => Status::Interrupting { lease, progress },
        StatusKind::RequiresAction => Status::RequiresAction { deadline: START + TTL },
        StatusKind::Error => Status::Error,
    });
    let lineage = prop_oneof![
        Just(Lineage::Root),
        any::<bool>().prop_map(|is_parent_archived| Lineage::Child { is_parent_archived }),
    ];
    (status, 0..=MAX_QUEUED, any::<bool>(), lineage)
        .prop_map(|(status, queued_count, is_archived, lineage)| State {
            status,
            queued_count,
            is_archived,
            lineage,
            epoch: Epoch(3),
            version: Version(9),
        })
        .prop_filter("illegal", |state| state.check().is_ok())
}

/// Any command, whether or not it fits.
pub(super) fn commands() -> impl Strategy<Value = Command> {
    let times = prop_oneof![Just(START), Just(START + TTL), Just(START + TTL * 2)];
    let owner = ReplicaId::new(Uuid::max());
    let queued = || proptest::option::of((1..4_i64).prop_map(QueuedId));
    let ids = || proptest::collection::vec((1..4_i64).prop_map(QueuedId), 0..4);
    prop_oneof![
        behaviors().prop_map(|behavior| Command::Send { behavior }),
        Just(Command::Edit { message: MessageId(1) }),
        queued().prop_map(|queued| Command::DeleteQueued { queued }),
        queued().prop_map(|queued| Command::PromoteQueued { queued }),
        (ids(), 1..4_i64, 0..4_usize).prop_map(|(current, queued, place)| Command::ReorderQueued {
            current,
            queued: QueuedId(queued),
            place,
        }),
        Just(Command::Interrupt),
        Just(Command::Retry),
        Just(Command::Compact),
        Just(Command::ClearContext),
        Just(Command::SubmitToolResults),
        Just(Command::DecideToolCalls),
        Just(Command::Archive),
        Just(Command::Unarchive),
        any::<bool>().prop_map(|is_pinning| Command::UpdateMetadata { is_pinning }),
        times
            .clone()
            .prop_map(move |now| Command::Claim { owner, now, ttl: TTL }),
        (1..5_i64, any_act(), times.clone()).prop_map(|(epoch, act, now)| act.command(Epoch(epoch), now)),
        times.prop_map(|now| Command::ExpireAction { now }),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Renew),
        Just(Act::Release),
        Just(Act::Begin),
        calls().prop_map(Act::Commit),
        calls().prop_map(Act::Store),
        Just(Act::Require),
        Just(Act::Finish),
        proptest::option::of(calls()).prop_map(Act::Settle),
        Just(Act::Fail),
    ]
}
