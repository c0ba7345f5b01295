//! Listens to an answer on its way to the client: what it used, which tools it calls, what the model lets see of its thoughts.
//!
//! The bytes go by as they are. Of a stream only lines that can matter are understood, found by one pass over each line; a document is
//! kept, by reference, until its end. One thing may be taken out: the usage of a stream whose client has not asked for it.

mod chat;
mod heard;
mod lines;
mod messages;
mod responses;
mod scan;

use bytes::Bytes;

pub use self::heard::{Heard, Keep, cut};
use self::lines::Lines;
use super::dialect::Dialect;

/// Longest document that is understood. A longer one is handed on all the same.
const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// An answer being listened to.
pub struct Sniffer {
    dialect: Dialect,
    form: Form,
    heard: Heard,
}

enum Form {
    Events(Lines),
    Document {
        pieces: Vec<Bytes>,
        length: usize,
    },
    /// Compressed, or of no form that is known.
    Opaque {
        length: usize,
    },
}

impl Sniffer {
    /// Listens to a stream.
    ///
    /// * `keeps_texts`: calls and thoughts are wanted, not only counts.
    /// * `strips_usage`: the event that tells nothing but the usage is left out.
    pub fn events(dialect: Dialect, keeps_texts: bool, strips_usage: bool) -> Self {
        Self {
            dialect,
            form: Form::Events(Lines::new(strips_usage)),
            heard: Heard::new(Keep::of(keeps_texts)),
        }
    }

    /// Listens to one JSON document.
    pub fn document(dialect: Dialect, keeps_texts: bool) -> Self {
        let pieces = Vec::new();
        Self {
            dialect,
            form: Form::Document { pieces, length: 0 },
            heard: Heard::new(Keep::of(keeps_texts)),
        }
    }

    /// Counts bytes only.
    pub fn opaque(dialect: Dialect) -> Self {
        Self {
            dialect,
            form: Form::Opaque { length: 0 },
            heard: Heard::new(Keep::Counts),
        }
    }

    /// Whether the answer is a stream of events.
    pub fn is_stream(&self) -> bool {
        matches!(self.form, Form::Events(_))
    }

    /// Takes a piece in, cut anywhere, and gives out what goes on to the client: usually the very same.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        let (dialect, heard) = (self.dialect, &mut self.heard);
        match &mut self.form {
            Form::Events(lines) => lines.push(piece, |data| event(dialect, data, heard)),
            Form::Document { pieces, length } => {
                *length += piece.len();
                if *length <= MAX_DOCUMENT_BYTES {
                    pieces.push(piece.clone());
                } else {
                    pieces.clear();
                }
                piece
            }
            Form::Opaque { length } => {
                *length += piece.len();
                piece
            }
        }
    }

    /// The end of the bytes; gives out what was held back.
    pub fn finish(&mut self) -> Bytes {
        let (dialect, heard) = (self.dialect, &mut self.heard);
        match &mut self.form {
            Form::Events(lines) => lines.finish(|data| event(dialect, data, heard)),
            Form::Document { pieces, length } => {
                let pieces = std::mem::take(pieces);
                match pieces.as_slice() {
                    [] => {}
                    [whole] => document(dialect, whole, heard),
                    _ => document(dialect, &pieces.concat(), heard),
                }
                estimate(heard, *length);
                Bytes::new()
            }
            Form::Opaque { length } => {
                estimate(heard, *length);
                Bytes::new()
            }
        }
    }

    /// What was heard so far.
    pub fn heard(&mut self) -> &mut Heard {
        &mut self.heard
    }
}

/// Where a document does not tell what it used, its length has to.
fn estimate(heard: &mut Heard, length: usize) {
    if heard.usage.is_empty() {
        heard.said_bytes = u64::try_from(length).unwrap_or(u64::MAX);
    }
}

/// One event's data. True if it tells the usage and nothing else.
fn event(dialect: Dialect, data: &[u8], heard: &mut Heard) -> bool {
    if data == b"[DONE]" {
        heard.is_complete = true;
        return false;
    }
    let marks = scan::scan(dialect, data, heard.keeps());
    heard.said_bytes = heard.said_bytes.saturating_add(marks.said_bytes);
    if !marks.matters && heard.is_named() {
        return false;
    }
    match dialect {
        Dialect::ChatCompletions => chat::event(data, heard),
        Dialect::Responses => {
            // Its first events carry the whole request once more; the last one has all there is to know.
            if marks.matters {
                responses::event(data, heard);
            }
            false
        }
        Dialect::Messages => {
            messages::event(data, heard);
            false
        }
    }
}

fn document(dialect: Dialect, body: &[u8], heard: &mut Heard) {
    match dialect {
        Dialect::ChatCompletions => chat::document(body, heard),
        Dialect::Responses => responses::document(body, heard),
        Dialect::Messages => messages::document(body, heard),
    }
}

#[cfg(test)]
mod tests;
