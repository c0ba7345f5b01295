//! A log as another replica sees it: read entry by entry there, appended entry by entry here, with the same places.
//!
//! The one thing a mirror must never do is to go on behind a hole. It takes what follows exactly, passes over what it has, and
//! refuses the rest.

use super::{Entry, Event, Log, MAX_LOG_BYTES, Position, size_of_part};

/// Bytes of entries handed to a peer at once, unless one alone is larger.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Entries of a log for a peer.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    /// As they were appended, nothing joined.
    pub(crate) entries: Vec<Entry>,
    /// More is there behind the last of them.
    pub(crate) has_more: bool,
    /// Entries up to here are durable and no longer kept.
    pub(crate) dropped: Option<Position>,
}

/// The mirror cannot go on from what it has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Torn {
    /// Something is missing between its end and what came.
    #[error("{next:?} does not follow {last:?}")]
    Gap {
        /// Where the mirror ends.
        last: Position,
        /// What came.
        next: Position,
    },
    /// The origin has the same bound and drops at the same places, so this is a fault.
    #[error("more than {MAX_LOG_BYTES} bytes")]
    Full,
}

impl Log {
    /// Up to `limit` entries behind `after`, whatever version they wait for.
    pub(crate) fn page(&self, after: Option<Position>, limit: usize) -> Page {
        let inner = self.lock();
        let start = after.map_or(0, |after| {
            inner.entries.partition_point(|entry| entry.position <= after)
        });
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in inner.entries.range(start..).take(limit) {
            if let Event::Part(part) = &entry.event {
                bytes += size_of_part(part);
            }
            if bytes > MAX_PAGE_BYTES && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Page {
            has_more: start + entries.len() < inner.entries.len(),
            entries,
            dropped: inner.dropped,
        }
    }

    /// An empty log that mirrors the one of this epoch elsewhere.
    pub(crate) fn mirror(epoch: i64) -> Self {
        Self::new(epoch, 0)
    }

    /// Takes over that the origin no longer keeps entries up to `dropped`: the mirror goes on behind them.
    pub(crate) fn pass_over(&self, dropped: Position) {
        let mut inner = self.lock();
        inner.place = inner.place.max(dropped);
    }

    /// Appends an entry of the origin. One that is here already changes nothing.
    ///
    /// # Errors
    /// [`Torn`]; nothing was appended, and nothing can be from now on.
    pub(crate) fn append(&self, entry: Entry) -> Result<(), Torn> {
        let mut inner = self.lock();
        let (last, next) = (inner.place, entry.position);
        if next <= last {
            return Ok(());
        }
        if !follows(last, next) {
            return Err(Torn::Gap { last, next });
        }
        if entry.after_version > inner.version {
            // The first entry behind a durable message: the origin sealed all before it with that version.
            inner.seal(last, entry.after_version);
        }
        if let Event::Part(part) = &entry.event {
            let size = size_of_part(part);
            if inner.bytes + size > MAX_LOG_BYTES {
                return Err(Torn::Full);
            }
            inner.bytes += size;
        }
        inner.place = next;
        inner.entries.push_back(entry);
        Ok(())
    }
}

/// Whether nothing can lie between the two places: an attempt counts without gaps from the withdrawal of the one before it, or from
/// its first part where there was none.
fn follows(last: Position, next: Position) -> bool {
    let is_same_attempt = (last.step, last.attempt) == (next.step, next.attempt);
    if is_same_attempt {
        next.index == last.index + 1
    } else {
        next.index == u64::from(next.attempt == 0)
    }
}

#[cfg(test)]
mod tests;
