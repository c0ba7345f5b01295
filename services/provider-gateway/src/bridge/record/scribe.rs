//! The end of the recorder that speaks to storage: gathers, tells, and keeps what storage does not take, for a while.

use std::{collections::VecDeque, future::Future, pin::Pin, time::Duration};

use prost::Message as _;
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

use super::{Entry, Held, Records};
use crate::bridge::metrics::Metrics;

/// Beginnings and ends that wait here. Behind that nothing more is taken out of the queue; while storage fails, the oldest are given up.
const MAX_WAITING: usize = 16_384;

/// Time for storage to take them.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long they are gathered.
const GATHER: Duration = Duration::from_millis(500);

/// Records told at once. Storage takes 1,024, which would keep PostgreSQL busy for longer than those like who share its core.
const MAX_RECORDS: usize = 512;

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

/// Records that are told together.
struct Batch {
    message: RecordInterceptionsRequest,
    /// How many they are.
    count: usize,
    held: Vec<Held>,
}

/// A batch on its way. It is kept as bytes meanwhile: copying each of its texts would cost more, for what is hardly ever needed.
struct Told {
    bytes: Vec<u8>,
    count: usize,
    held: Vec<Held>,
}

type Telling = Pin<Box<dyn Future<Output = (Told, Result<(), Fault>)> + Send>>;

/// What storage has not heard of.
#[derive(Default)]
struct Untold {
    waiting: VecDeque<(Box<Records>, Held)>,
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
                (told, outcome) = running(&mut telling) => {
                    telling = None;
                    self.judge(&mut untold, told, outcome);
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
        let Batch { message, count, held } = batch;
        let bytes = message.encode_to_vec();
        let told = Told { bytes, count, held };
        let message = self.outbound.request(None, DEADLINE, message);
        Box::pin(async move {
            let outcome = client.record_interceptions(message).await;
            (told, outcome.map(|_| ()).map_err(Fault::from))
        })
    }

    fn judge(&self, untold: &mut Untold, told: Told, outcome: Result<(), Fault>) {
        let count = told.count;
        let fault = match outcome {
            Ok(()) => {
                untold.has_failed = false;
                return self.metrics.recorded(count);
            }
            Err(fault) => fault,
        };
        match RecordInterceptionsRequest::decode(&*told.bytes) {
            Ok(message) if fault.code != Code::Invalid => {
                if !std::mem::replace(&mut untold.has_failed, true) {
                    tracing::warn!(count, error = %fault, "bridged exchanges could not be recorded; they are kept for a while");
                }
                let held = told.held;
                untold.again = Some(Batch { message, count, held });
            }
            Ok(_) | Err(_) => {
                // It would be refused for ever.
                self.metrics.records_lost(count);
                tracing::error!(count, error = %fault, "storage refuses records of bridged exchanges; they are given up");
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
                lost += records.count();
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
                let (told, outcome) = next.await;
                self.judge(&mut untold, told, outcome);
                if untold.again.is_some() {
                    return;
                }
            }
        };
        // Whatever the outcome, this was the last attempt.
        let _ = timeout(CLOSING_TIME, telling_all).await;
        if let Some(batch) = untold.again.take() {
            self.metrics.records_lost(batch.count);
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
            count: 0,
            held: Vec::new(),
        };
        let mut bytes = 0;
        while let Some((records, held)) = self.waiting.front() {
            let is_more = batch.count + records.count() > MAX_RECORDS || bytes + held.bytes > MAX_BYTES;
            if is_more && !batch.held.is_empty() {
                break;
            }
            bytes += held.bytes;
            if let Some((records, held)) = self.waiting.pop_front() {
                batch.count += records.count();
                records.add_to(&mut batch.message);
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

async fn running(telling: &mut Option<Telling>) -> (Told, Result<(), Fault>) {
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
            let records = Records::Began { start, prompt: None };
            (Box::new(records), Held::new(held, *bytes))
        };
        Untold {
            waiting: sizes.iter().enumerate().map(record).collect(),
            ..Untold::default()
        }
    }

    fn left(untold: &Untold) -> Vec<String> {
        let id = |(records, _): &(Box<Records>, Held)| match &**records {
            Records::Began { start, .. } => start.id.clone(),
            Records::Ended { end, .. } => end.interception_id.clone(),
        };
        untold.waiting.iter().map(id).collect()
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
