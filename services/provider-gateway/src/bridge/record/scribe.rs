//! The end of the recorder that speaks to storage: gathers, tells, and keeps what storage does not take, for a while.

use std::{collections::VecDeque, future::Future, pin::Pin, time::Duration};

use tandem_chassis::{
    client::Outbound,
    status::{Code, Fault},
};
use tandem_proto::storage::v1::{RecordInterceptionsRequest, interception_service_client::InterceptionServiceClient};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tonic::transport::Channel;

use super::{Entry, Held};
use crate::bridge::metrics::Metrics;

/// Beginnings and ends that wait here. Behind that nothing more is taken out of the queue; while storage fails, the oldest are given up.
const MAX_WAITING: usize = 16_384;

/// Time for storage to take them.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long they are gathered.
const GATHER: Duration = Duration::from_millis(500);

/// Records told at once; storage takes 1,024.
const MAX_RECORDS: usize = 768;

/// Bytes told at once; storage takes 8 MiB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Before what storage did not take is told again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Time for the last of it when the service stops.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// Tells storage what went through.
pub struct Scribe {
    pub(super) outbound: Outbound,
    pub(super) interceptions: InterceptionServiceClient<Channel>,
    pub(super) metrics: Metrics,
    pub(super) queue: mpsc::Receiver<Entry>,
}

/// How many records a message has.
pub(super) fn count(records: &RecordInterceptionsRequest) -> usize {
    records.starts.len()
        + records.ends.len()
        + records.token_usages.len()
        + records.user_prompts.len()
        + records.tool_usages.len()
        + records.model_thoughts.len()
}

/// Records that are told together.
struct Batch {
    message: RecordInterceptionsRequest,
    held: Vec<Held>,
}

type Telling = Pin<Box<dyn Future<Output = (Batch, Result<(), Fault>)> + Send>>;

/// What storage has not heard of.
#[derive(Default)]
struct Untold {
    waiting: VecDeque<(Box<RecordInterceptionsRequest>, Held)>,
    /// What storage did not take the last time.
    again: Option<Batch>,
    /// When it is to be told.
    due: Option<Instant>,
    /// Only the first of a row of failures is a warning.
    has_failed: bool,
}

impl Scribe {
    /// Tells storage what comes, until the recorder is closed.
    pub async fn run(mut self) {
        let mut untold = Untold::default();
        let mut telling: Option<Telling> = None;
        loop {
            let takes = untold.waiting.len() < MAX_WAITING || untold.has_failed;
            tokio::select! {
                next = self.queue.recv(), if takes => match next {
                    Some(Entry::Records(records, held)) => untold.waiting.push_back((records, held)),
                    Some(Entry::Close(told)) => return self.close(untold, telling, told).await,
                    None => return,
                },
                (batch, outcome) = running(&mut telling) => {
                    telling = None;
                    self.judge(&mut untold, batch, outcome);
                }
                () = until(untold.due), if telling.is_none() => {
                    untold.due = None;
                    telling = untold.take().map(|batch| self.tell(batch));
                }
            }
            self.give_up(&mut untold, MAX_WAITING);
            if telling.is_none() && (untold.again.is_some() || !untold.waiting.is_empty()) {
                let pause = if untold.has_failed { RETRY_PAUSE } else { GATHER };
                let due = *untold.due.get_or_insert_with(|| Instant::now() + pause);
                if !untold.has_failed && untold.is_much() {
                    untold.due = Some(due.min(Instant::now()));
                }
            }
        }
    }

    fn tell(&self, batch: Batch) -> Telling {
        let mut client = self.interceptions.clone();
        let message = self.outbound.request(None, DEADLINE, batch.message.clone());
        Box::pin(async move {
            let outcome = client.record_interceptions(message).await;
            (batch, outcome.map(|_| ()).map_err(Fault::from))
        })
    }

    fn judge(&self, untold: &mut Untold, batch: Batch, outcome: Result<(), Fault>) {
        let count = count(&batch.message);
        match outcome {
            Ok(()) => {
                untold.has_failed = false;
                self.metrics.recorded(count);
            }
            Err(fault) if fault.code == Code::Invalid => {
                // It would be refused for ever.
                self.metrics.records_lost(count);
                tracing::error!(count, error = %fault, "storage refuses records of bridged exchanges; they are given up");
            }
            Err(fault) => {
                if !std::mem::replace(&mut untold.has_failed, true) {
                    tracing::warn!(count, error = %fault, "bridged exchanges could not be recorded; they are kept for a while");
                }
                untold.again = Some(batch);
            }
        }
    }

    /// Keeps only the newest.
    fn give_up(&self, untold: &mut Untold, kept: usize) {
        let mut lost = 0;
        // Bytes run out before entries where they are large; while storage only is slow, exchanges wait instead.
        let is_much =
            |untold: &Untold| untold.has_failed && untold.waiting.front().is_some_and(|(_, held)| held.is_much());
        while untold.waiting.len() > kept || is_much(untold) {
            if let Some((records, _)) = untold.waiting.pop_front() {
                lost += count(&records);
            }
        }
        if lost > 0 {
            self.metrics.records_lost(lost);
            tracing::error!(
                count = lost,
                "records of bridged exchanges were given up, since storage did not take them in time"
            );
        }
    }

    /// Tells what is left, if storage takes it in time.
    async fn close(&mut self, mut untold: Untold, telling: Option<Telling>, told: oneshot::Sender<()>) {
        while let Ok(Entry::Records(records, held)) = self.queue.try_recv() {
            untold.waiting.push_back((records, held));
        }
        let telling_all = async {
            let mut telling = telling;
            while let Some(next) = telling.take().or_else(|| untold.take().map(|batch| self.tell(batch))) {
                let (batch, outcome) = next.await;
                self.judge(&mut untold, batch, outcome);
                if untold.again.is_some() {
                    return;
                }
            }
        };
        // Whatever the outcome, this was the last attempt.
        let _ = timeout(CLOSING_TIME, telling_all).await;
        if let Some(batch) = untold.again.take() {
            self.metrics.records_lost(count(&batch.message));
        }
        self.give_up(&mut untold, 0);
        // Nobody may be waiting any more.
        let _ = told.send(());
    }
}

impl Untold {
    /// As much as is told at once.
    fn take(&mut self) -> Option<Batch> {
        if let Some(batch) = self.again.take() {
            return Some(batch);
        }
        let mut batch = Batch {
            message: RecordInterceptionsRequest::default(),
            held: Vec::new(),
        };
        let mut bytes = 0;
        while let Some((records, held)) = self.waiting.front() {
            let is_more = count(&batch.message) + count(records) > MAX_RECORDS || bytes + held.bytes > MAX_BYTES;
            if is_more && !batch.held.is_empty() {
                break;
            }
            bytes += held.bytes;
            if let Some((records, held)) = self.waiting.pop_front() {
                add(&mut batch.message, *records);
                batch.held.push(held);
            }
        }
        (!batch.held.is_empty()).then_some(batch)
    }

    /// Whether it is worth telling before its time.
    fn is_much(&self) -> bool {
        self.again.is_none() && self.waiting.len() >= MAX_RECORDS / 2
    }
}

fn add(message: &mut RecordInterceptionsRequest, records: RecordInterceptionsRequest) {
    message.starts.extend(records.starts);
    message.ends.extend(records.ends);
    message.token_usages.extend(records.token_usages);
    message.user_prompts.extend(records.user_prompts);
    message.tool_usages.extend(records.tool_usages);
    message.model_thoughts.extend(records.model_thoughts);
}

async fn running(telling: &mut Option<Telling>) -> (Batch, Result<(), Fault>) {
    match telling {
        Some(telling) => telling.await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

    use tandem_chassis::{
        Runtime, client,
        identity::{ServiceName, ServiceSecret},
        tls::ClientConfig,
        transport::Address,
    };
    use tandem_proto::storage::v1::Interception;

    use super::{super::MAX_HELD_BYTES, *};

    /// A scribe whom nobody hears.
    fn scribe() -> Scribe {
        let address = Address::Memory("nobody".to_owned());
        let channel = client::channel(&address, &ClientConfig::default()).unwrap();
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        Scribe {
            outbound: runtime.outbound(ServiceName::ProviderGateway),
            interceptions: InterceptionServiceClient::new(channel),
            metrics: Metrics::new(&runtime.registry),
            queue: mpsc::channel(1).1,
        }
    }

    /// What waits: beginnings of so many bytes, the oldest first.
    fn untold(held: &Arc<AtomicUsize>, sizes: &[usize]) -> Untold {
        let record = |(place, bytes): (usize, &usize)| {
            let start = Interception {
                id: place.to_string(),
                ..Interception::default()
            };
            let records = RecordInterceptionsRequest {
                starts: vec![start],
                ..RecordInterceptionsRequest::default()
            };
            (Box::new(records), Held::new(held, *bytes))
        };
        Untold {
            waiting: sizes.iter().enumerate().map(record).collect(),
            ..Untold::default()
        }
    }

    fn left(untold: &Untold) -> Vec<&str> {
        let ids = untold.waiting.iter().map(|(records, _)| records.starts[0].id.as_str());
        ids.collect()
    }

    #[tokio::test]
    async fn while_storage_fails_the_oldest_are_given_up_from_half_the_bytes_on() {
        let scribe = scribe();
        let half = MAX_HELD_BYTES / 2;
        for (sizes, has_failed, expected) in [
            (&[half - 10, 10][..], true, &["0", "1"][..]),
            (&[half - 10, 11], true, &["1"]),
            (&[10, half - 10, 1], true, &["1", "2"]),
            (&[1, half, 1], true, &["2"]),
            (&[half, half], false, &["0", "1"]),
        ] {
            let mut untold = untold(&Arc::default(), sizes);
            untold.has_failed = has_failed;
            scribe.give_up(&mut untold, MAX_WAITING);
            assert_eq!(left(&untold), expected, "{sizes:?} {has_failed}");
        }
    }

    #[tokio::test]
    async fn the_oldest_are_given_up_by_their_number_too() {
        let scribe = scribe();
        for (kept, expected) in [(3, &["0", "1", "2"][..]), (2, &["1", "2"])] {
            let mut untold = untold(&Arc::default(), &[1, 1, 1]);
            scribe.give_up(&mut untold, kept);
            assert_eq!(left(&untold), expected);
        }
    }
}
