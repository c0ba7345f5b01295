//! The memory of the fake. Bounded by number and by bytes; the oldest requests are forgotten first and counted.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use super::record::{Counters, Outcome, RecordedRequest};

/// Requests kept.
pub(super) const MAX_REQUESTS: usize = 10_000;
/// Bytes of request bodies kept.
const MAX_BODY_BYTES: usize = 256 << 20;
/// Conversations counted apart; further ones are counted together under [`OTHER_CONVERSATIONS`].
const MAX_CONVERSATIONS: usize = 10_000;
/// Where conversations are counted that came after the limit.
const OTHER_CONVERSATIONS: &str = "(other conversations)";
/// Looking at the whole log costs time, so a waiter looks at most this often.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// The log of one server.
pub(super) struct Log {
    state: Mutex<State>,
    numbers: AtomicU64,
    changed: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    body_bytes: usize,
    forgotten: u64,
    conversations: HashMap<String, Arc<Tally>>,
}

/// A request as it is stored: what changes while it is answered is atomic.
struct Entry {
    fixed: Arrival,
    state: Mutex<Progress>,
    tokens_sent: AtomicU64,
    bytes_sent: AtomicU64,
    tally: Arc<Tally>,
}

/// What is known of a request when it has arrived.
#[derive(Default)]
pub(super) struct Arrival {
    pub number: u64,
    pub received_ms: u64,
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
    pub key_hint: String,
    pub script: String,
    pub conversation: String,
    pub prompt_tokens: u64,
    pub rejection: Option<String>,
}

struct Progress {
    status: u16,
    outcome: Outcome,
}

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    completed: AtomicU64,
    disconnected: AtomicU64,
    rejected: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
}

impl Tally {
    fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Counters {
            requests: read(&self.requests),
            completed: read(&self.completed),
            disconnected: read(&self.disconnected),
            rejected: read(&self.rejected),
            prompt_tokens: read(&self.prompt_tokens),
            completion_tokens: read(&self.completion_tokens),
        }
    }
}

impl Log {
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            numbers: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    /// The number of the next request.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Takes a request into the log; its progress is told through the ticket.
    pub fn enter(self: &Arc<Self>, arrival: Arrival) -> Ticket {
        let mut state = self.state();
        let tally = state.tally(&arrival.conversation);
        if arrival.rejection.is_some() {
            tally.rejected.fetch_add(1, Ordering::AcqRel);
        } else {
            tally.requests.fetch_add(1, Ordering::AcqRel);
            let tokens = arrival.prompt_tokens;
            tally.prompt_tokens.fetch_add(tokens, Ordering::AcqRel);
        }
        state.body_bytes += arrival.body.len();
        let entry = Arc::new(Entry {
            fixed: arrival,
            state: Mutex::new(Progress {
                status: 0,
                outcome: Outcome::InProgress,
            }),
            tokens_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            tally,
        });
        state.entries.push_back(Arc::clone(&entry));
        while state.entries.len() > MAX_REQUESTS || state.body_bytes > MAX_BODY_BYTES {
            let Some(oldest) = state.entries.pop_front() else {
                break;
            };
            state.body_bytes -= oldest.fixed.body.len();
            state.forgotten += 1;
        }
        drop(state);
        self.changed.notify_waiters();
        Ticket {
            log: Arc::clone(self),
            entry,
        }
    }

    /// The newest `limit` requests, oldest first, and how many older ones exist or existed.
    pub fn requests(&self, limit: usize) -> (Vec<RecordedRequest>, u64) {
        let state = self.state();
        let skipped = state.entries.len().saturating_sub(limit);
        let entries: Vec<_> = state.entries.iter().skip(skipped).cloned().collect();
        let older = state.forgotten + skipped as u64;
        drop(state);
        (entries.iter().map(|entry| entry.record()).collect(), older)
    }

    /// The counters of a conversation; zeros when it is unknown.
    pub fn counters(&self, conversation: &str) -> Counters {
        self.state()
            .conversations
            .get(conversation)
            .map_or_else(Counters::default, |tally| tally.counters())
    }

    /// The counters of all conversations.
    pub fn all_counters(&self) -> BTreeMap<String, Counters> {
        self.state()
            .conversations
            .iter()
            .map(|(name, tally)| (name.clone(), tally.counters()))
            .collect()
    }

    /// Forgets everything but the numbering.
    pub fn reset(&self) {
        *self.state() = State::default();
    }

    /// Returns when `met` holds of the log; it is asked again after each change.
    pub async fn wait(&self, met: impl Fn(&[RecordedRequest]) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if met(&self.requests(MAX_REQUESTS).0) {
                return;
            }
            changed.await;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tally(&mut self, conversation: &str) -> Arc<Tally> {
        if let Some(tally) = self.conversations.get(conversation) {
            return Arc::clone(tally);
        }
        let name = match self.conversations.len() < MAX_CONVERSATIONS {
            true => conversation,
            false => OTHER_CONVERSATIONS,
        };
        Arc::clone(self.conversations.entry(name.to_owned()).or_default())
    }
}

impl Entry {
    fn record(&self) -> RecordedRequest {
        let progress = self.progress();
        let fixed = &self.fixed;
        RecordedRequest {
            number: fixed.number,
            received_ms: fixed.received_ms,
            method: fixed.method.clone(),
            path: fixed.path.clone(),
            headers: fixed.headers.clone(),
            body: serde_json::from_slice(&fixed.body).unwrap_or(Value::Null),
            key_hint: fixed.key_hint.clone(),
            script: fixed.script.clone(),
            conversation: fixed.conversation.clone(),
            status: progress.status,
            rejection: fixed.rejection.clone(),
            outcome: progress.outcome,
            tokens_sent: self.tokens_sent.load(Ordering::Acquire),
            bytes_sent: self.bytes_sent.load(Ordering::Acquire),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to report one request's progress. Dropped unreported, the client went away.
pub(super) struct Ticket {
    log: Arc<Log>,
    entry: Arc<Entry>,
}

impl Ticket {
    /// The answer begins with this status.
    pub fn begins(&self, status: u16) {
        self.entry.progress().status = status;
        self.log.changed.notify_waiters();
    }

    /// So much more was handed to the socket.
    pub fn sent(&self, tokens: u64, bytes: usize) {
        let entry = &self.entry;
        entry.tokens_sent.fetch_add(tokens, Ordering::AcqRel);
        entry.bytes_sent.fetch_add(bytes as u64, Ordering::AcqRel);
        let billed = &entry.tally.completion_tokens;
        billed.fetch_add(tokens, Ordering::AcqRel);
        self.log.changed.notify_waiters();
    }

    /// The answer is over. Only the first report counts.
    pub fn close(&self, outcome: Outcome) {
        let mut progress = self.entry.progress();
        if progress.outcome != Outcome::InProgress {
            return;
        }
        progress.outcome = match self.entry.fixed.rejection {
            Some(_) if outcome == Outcome::Completed => Outcome::Rejected,
            _ => outcome,
        };
        drop(progress);
        let tally = &self.entry.tally;
        match outcome {
            Outcome::Completed if self.entry.fixed.rejection.is_none() => {
                tally.completed.fetch_add(1, Ordering::AcqRel);
            }
            Outcome::Disconnected => {
                tally.disconnected.fetch_add(1, Ordering::AcqRel);
            }
            Outcome::Completed | Outcome::Rejected | Outcome::Cut | Outcome::InProgress => {}
        }
        self.log.changed.notify_waiters();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.close(Outcome::Disconnected);
    }
}
