//! Entries and places in the contract's shape.

use tandem_proto::common::v1::PreviewReset;
use tandem_proto::orchestrator::v1::{LogEntry, LogPosition, log_entry};

use super::{Entry, Event, Position};

impl Position {
    /// The contract's shape.
    pub(crate) fn to_wire(self) -> LogPosition {
        LogPosition {
            step: i32::try_from(self.step).unwrap_or(i32::MAX),
            attempt: i32::try_from(self.attempt).unwrap_or(i32::MAX),
            index: i64::try_from(self.index).unwrap_or(i64::MAX),
        }
    }

    /// Numbers below 0, which nobody sends, count as 0.
    pub(crate) fn from_wire(position: LogPosition) -> Self {
        Self {
            step: u32::try_from(position.step).unwrap_or(0),
            attempt: u32::try_from(position.attempt).unwrap_or(0),
            index: u64::try_from(position.index).unwrap_or(0),
        }
    }
}

impl Entry {
    /// The contract's shape.
    pub(crate) fn into_wire(self) -> LogEntry {
        let entry = match self.event {
            Event::Part(part) => log_entry::Entry::Part(part),
            Event::Retry(retry) => log_entry::Entry::Retry(retry),
            Event::Reset => log_entry::Entry::Reset(PreviewReset {}),
        };
        LogEntry {
            position: Some(self.position.to_wire()),
            entry: Some(entry),
            after_version: self.after_version,
        }
    }

    /// `None` for an entry of a kind, or without a place, that this release does not know.
    pub(crate) fn from_wire(entry: LogEntry) -> Option<Self> {
        let event = match entry.entry? {
            log_entry::Entry::Part(part) => Event::Part(part),
            log_entry::Entry::Retry(retry) => Event::Retry(retry),
            log_entry::Entry::Reset(PreviewReset {}) => Event::Reset,
        };
        Some(Self {
            position: Position::from_wire(entry.position?),
            after_version: entry.after_version,
            event,
        })
    }
}
