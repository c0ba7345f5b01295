//! The end of the ledger that speaks to storage: gathers what was used, tells it together, and keeps what storage does not take.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tandem_chassis::{
    client::Outbound,
    clock::Clock,
    status::{Code, Fault},
};
use tandem_proto::storage::v1::{SettleSpendRequest, UsageRecord, usage_service_client::UsageServiceClient};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tonic::transport::Channel;

use crate::metrics::Metrics;

/// Ends of completions on their way to the teller, and as many that storage has not taken yet. Behind that the oldest are given up.
pub(super) const MAX_WAITING: usize = 8_192;

/// Time for storage to take them.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);

/// What is told at once. Storage takes four times as many, but PostgreSQL would be busy with them for some milliseconds without a pause, for
/// which all others wait who share its core.
const MAX_BATCH: usize = 128;

/// Before what storage did not take is told again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long one waits for storage to know: an attempt that is under way may run out of its time, and behind the pause comes the one that
/// tells of what is waited for.
pub(super) const SETTLED_DEADLINE: Duration = SETTLE_DEADLINE.saturating_mul(2).saturating_add(RETRY_PAUSE);

/// Time for the last of it when the service stops.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// Tells storage how completions ended.
pub struct Teller {
    pub(super) outbound: Outbound,
    pub(super) usage: UsageServiceClient<Channel>,
    /// How long what nobody waits for is gathered.
    pub(super) gather: Duration,
    pub(super) metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) queue: mpsc::Receiver<Entry>,
}

/// What comes to the teller.
pub(super) enum Entry {
    Ended(Ended),
    /// Somebody waits for what came before: answered when storage has taken it, or it was given up.
    Tell(oneshot::Sender<()>),
    /// No more will come; answered when all is told, or given up.
    Close(oneshot::Sender<()>),
}

/// How a completion ended.
pub(super) struct Ended {
    pub(super) completion_id: String,
    /// Absent when it used nothing.
    pub(super) record: Option<Box<UsageRecord>>,
    pub(super) at: Instant,
    /// Something was set aside for it, which others may be waiting for.
    pub(super) is_urgent: bool,
}

/// What storage has not heard of.
#[derive(Default)]
struct Untold {
    ended: VecDeque<Ended>,
    /// Who waits for it.
    waiting: Vec<oneshot::Sender<()>>,
    /// When it is to be told.
    due: Option<Instant>,
    /// Storage did not take it the last time; then nothing is pressed on it before the time.
    has_failed: bool,
}

impl Teller {
    /// Tells storage what comes, until the ledger is closed.
    pub async fn run(mut self) {
        let mut untold = Untold::default();
        while let Ok(next) = self.next(untold.due).await {
            let mut is_due = untold.due.is_some_and(|due| due <= Instant::now());
            let mut closing = None;
            let mut next = next;
            while let Some(entry) = next {
                match entry {
                    Entry::Ended(ended) => {
                        is_due |= ended.is_urgent && !untold.has_failed;
                        untold.ended.push_back(ended);
                    }
                    Entry::Tell(told) => {
                        is_due |= !untold.has_failed;
                        untold.waiting.push(told);
                    }
                    Entry::Close(told) => closing = Some(told),
                }
                next = self.queue.try_recv().ok();
            }
            self.give_up(&mut untold, MAX_WAITING);
            if let Some(told) = closing {
                // Whatever the outcome, this was the last attempt.
                let _ = timeout(CLOSING_TIME, self.tell_all(&mut untold.ended)).await;
                self.give_up(&mut untold, 0);
                // Nobody may be waiting any more.
                let _ = told.send(());
                return;
            }
            if is_due || (untold.ended.len() >= MAX_BATCH && !untold.has_failed) {
                untold.has_failed = self.tell_all(&mut untold.ended).await.is_err();
                untold.due = None;
            }
            if untold.ended.is_empty() {
                for told in untold.waiting.drain(..) {
                    // Nobody may be waiting any more.
                    let _ = told.send(());
                }
            } else {
                // Those who waited too long do not pile up while storage is away.
                untold.waiting.retain(|told| !told.is_closed());
                let pause = if untold.has_failed { RETRY_PAUSE } else { self.gather };
                untold.due.get_or_insert_with(|| Instant::now() + pause);
            }
        }
    }

    /// What comes next; `None` when the time has come. An error when nothing can come any more.
    async fn next(&mut self, due: Option<Instant>) -> Result<Option<Entry>, ()> {
        let next = match due {
            None => self.queue.recv().await,
            Some(due) => match timeout_at(due, self.queue.recv()).await {
                Ok(next) => next,
                Err(_) => return Ok(None),
            },
        };
        next.map(Some).ok_or(())
    }

    /// The first that storage does not take ends it.
    async fn tell_all(&self, ended: &mut VecDeque<Ended>) -> Result<(), ()> {
        while !ended.is_empty() {
            let count = ended.len().min(MAX_BATCH);
            match self.tell(ended.iter().take(count)).await {
                Ok(()) => {}
                Err(fault) if fault.code == Code::Invalid => {
                    // It would be refused for ever.
                    self.metrics.usage_lost(count);
                    tracing::error!(count, error = %fault, "storage refuses usage records; they are given up");
                }
                Err(fault) => {
                    tracing::warn!(count, error = %fault, "usage records could not be told to storage; they are kept");
                    return Err(());
                }
            }
            ended.drain(..count);
        }
        Ok(())
    }

    async fn tell(&self, ended: impl Iterator<Item = &Ended>) -> Result<(), Fault> {
        let now = self.clock.monotonic();
        let mut message = SettleSpendRequest::default();
        for ended in ended {
            match &ended.record {
                Some(record) => message.records.push(UsageRecord {
                    age: prost_types::Duration::try_from(now.saturating_duration_since(ended.at)).ok(),
                    ..(**record).clone()
                }),
                None => message.released_completion_ids.push(ended.completion_id.clone()),
            }
        }
        let message = self.outbound.request(None, SETTLE_DEADLINE, message);
        self.usage.clone().settle_spend(message).await.map_err(Fault::from)?;
        Ok(())
    }

    /// Keeps only the newest.
    fn give_up(&self, untold: &mut Untold, kept: usize) {
        let count = untold.ended.len().saturating_sub(kept);
        if count > 0 {
            untold.ended.drain(..count);
            self.metrics.usage_lost(count);
            tracing::error!(
                count,
                "usage records were given up, since storage did not take them in time"
            );
        }
    }
}
