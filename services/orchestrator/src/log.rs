//! The live log of one turn: everything streamed that is not durable yet, append-only, with readers as cursors over it.
//!
//! Owns order, positions and merging. It knows neither readers nor the network: whoever appends also tells the room, and a reader
//! comes back with the position it has seen. A slow reader costs nothing here; it reads later and gets merged deltas.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_proto::common::v1::{LivePart, RetryEvent, live_part::Content};

mod merge;
mod mirror;
mod wire;

pub(crate) use mirror::{Page, Torn};

/// Bytes of parts one turn may hold that are not durable yet. A step's own output is bounded far below this.
pub(crate) const MAX_LOG_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of parts read at once. A reader that is far behind takes them in turns, so that it holds no copy of all it has missed.
const MAX_READ_BYTES: usize = 256 * 1024;

/// Bytes of text merged into one delta for a reader that lags.
pub(crate) const MAX_MERGED_BYTES: usize = 64 * 1024;

/// The place of an entry in a turn. The same output gets the same place after a takeover that re-attached to the completion, so a
/// reader's place stays good when the epoch changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) step: u32,
    pub(crate) attempt: u32,
    /// How many parts of this attempt have been seen, this one included; 0 for the withdrawal of the attempt before it.
    pub(crate) index: u64,
}

/// One thing that happened in a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Output of the model or of a tool.
    Part(LivePart),
    /// The attempt before this one failed, its parts are withdrawn, and this is when the next one starts.
    Retry(RetryEvent),
    /// The parts since the last durable message are withdrawn.
    Reset,
}

/// An event with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    /// A reader may see the entry once it has seen this version of the chat.
    pub(crate) after_version: i64,
    pub(crate) event: Event,
}

/// The log is full: the turn produced more than can be held.
#[derive(Debug, thiserror::Error)]
#[error("a turn's unfinished output exceeds {MAX_LOG_BYTES} bytes")]
pub(crate) struct Full;

/// The log of one epoch.
#[derive(Debug)]
pub(crate) struct Log {
    epoch: i64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    bytes: usize,
    place: Position,
    version: i64,
    /// Where the parts of the last durable message end; what lies before the one before that is dropped.
    sealed: Option<Position>,
    /// The last entry that is no longer kept. It is durable.
    dropped: Option<Position>,
}

impl Log {
    /// An empty log; its entries become visible to readers that have seen `version`.
    pub(crate) fn new(epoch: i64, version: i64) -> Self {
        Self {
            epoch,
            inner: Mutex::new(Inner {
                version,
                ..Inner::default()
            }),
        }
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Goes on with this attempt of this step. Places only grow. An attempt that is not the step's first withdraws those before it:
    /// after a takeover this log has not heard of them, but a reader may have seen them in another.
    pub(crate) fn begin(&self, step: u32, attempt: u32) {
        let place = Position {
            step,
            attempt,
            index: 0,
        };
        if place <= self.lock().place {
            return;
        }
        if attempt > 0 {
            self.withdrawn(place, Event::Reset);
        } else {
            self.lock().place = place;
        }
    }

    /// Appends output.
    ///
    /// # Errors
    /// [`Full`] beyond [`MAX_LOG_BYTES`]; nothing was appended.
    pub(crate) fn push(&self, part: LivePart) -> Result<(), Full> {
        let mut inner = self.lock();
        let size = size_of_part(&part);
        if inner.bytes + size > MAX_LOG_BYTES {
            return Err(Full);
        }
        inner.bytes += size;
        inner.place.index += 1;
        let (position, after_version) = (inner.place, inner.version);
        inner.entries.push_back(Entry {
            position,
            after_version,
            event: Event::Part(part),
        });
        Ok(())
    }

    /// Withdraws what this step has streamed and is not durable, and goes on with `attempt`.
    pub(crate) fn withdraw(&self, attempt: u32, retry: Option<RetryEvent>) {
        // The withdrawal has index 0, so that an attempt's parts count from 1 whether or not another one failed before it.
        let position = Position {
            step: self.position().step,
            attempt,
            index: 0,
        };
        self.withdrawn(position, retry.map_or(Event::Reset, Event::Retry));
    }

    fn withdrawn(&self, position: Position, event: Event) {
        let mut inner = self.lock();
        inner.place = position;
        let after_version = inner.version;
        // A place has one entry: an attempt withdraws those before it once.
        if inner.entries.back().is_some_and(|last| last.position == position) {
            inner.entries.pop_back();
        }
        inner.entries.push_back(Entry {
            position,
            after_version,
            event,
        });
    }

    /// Where the log stands: the place of its last entry.
    pub(crate) fn position(&self) -> Position {
        self.lock().place
    }

    /// Everything up to `position` became durable with `version` of the chat; later entries come after it.
    pub(crate) fn seal(&self, position: Position, version: i64) {
        self.lock().seal(position, version);
    }

    /// Up to `limit` entries behind `after` that a reader who has seen `version` may see, adjacent deltas merged.
    pub(crate) fn read(&self, after: Option<Position>, version: i64, limit: usize) -> Vec<Entry> {
        let inner = self.lock();
        let start = after.map_or(0, |after| {
            inner.entries.partition_point(|entry| entry.position <= after)
        });
        let visible = inner
            .entries
            .range(start..)
            .take_while(|entry| entry.after_version <= version);
        merge::merged(visible, limit, MAX_READ_BYTES)
    }

    /// Like [`Log::read`], up to and including `until` whatever version it waits for.
    pub(crate) fn read_until(&self, after: Option<Position>, until: Position) -> Vec<Entry> {
        let inner = self.lock();
        let start = after.map_or(0, |after| {
            inner.entries.partition_point(|entry| entry.position <= after)
        });
        let wanted = inner.entries.range(start..).take_while(|entry| entry.position <= until);
        merge::merged(wanted, usize::MAX, usize::MAX)
    }

    /// Where a reader begins who has seen everything durable up to `sealed`: behind it, and behind attempts that were withdrawn since.
    pub(crate) fn snapshot_start(&self, sealed: Option<Position>, version: i64) -> Option<Position> {
        let inner = self.lock();
        let mut start = sealed;
        let live = || {
            inner
                .entries
                .iter()
                .filter(|entry| Some(entry.position) > sealed && entry.after_version <= version)
        };
        let Some(last) = live().next_back() else { return start };
        let attempt = (last.position.step, last.position.attempt);
        for entry in live() {
            let is_same = (entry.position.step, entry.position.attempt) == attempt;
            let is_over = !is_same || (!matches!(entry.event, Event::Part(_)) && last.position > entry.position);
            if is_over {
                start = Some(entry.position);
            }
        }
        start
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn seal(&mut self, position: Position, version: i64) {
        if let Some(older) = self.sealed {
            while self.entries.front().is_some_and(|entry| entry.position <= older) {
                let Some(entry) = self.entries.pop_front() else { break };
                self.dropped = Some(entry.position);
                if let Event::Part(part) = entry.event {
                    self.bytes -= size_of_part(&part);
                }
            }
        }
        self.sealed = Some(position);
        self.version = self.version.max(version);
    }
}

/// What a part weighs in the log; the fixed share covers the entry itself.
fn size_of_part(part: &LivePart) -> usize {
    const ENTRY_BYTES: usize = 128;
    let content = match &part.content {
        Some(Content::TextDelta(text) | Content::ReasoningDelta(text)) => text.len(),
        Some(Content::ToolCallDelta(delta)) => delta.arguments_delta.len(),
        Some(Content::ToolResultDelta(delta)) => delta.output_delta.len(),
        Some(Content::Part(part)) => prost::Message::encoded_len(part),
        None => 0,
    };
    ENTRY_BYTES + content
}

#[cfg(test)]
mod tests;
