//! Cuts a stream into its events, each with the bytes it came in.

use crate::bridge::refusal::{Reason, Refusal};

/// Longest event that is held.
const MAX_FRAME_BYTES: usize = 10 * 1024 * 1024;

/// A stream being cut.
#[derive(Default)]
pub(super) struct Frames {
    /// What has come of the next event.
    held: Vec<u8>,
    /// Where the line begins in it whose end has not come.
    line_from: usize,
}

/// One event, or a comment.
pub(super) struct Frame {
    /// As it came, with the blank line behind it.
    pub(super) raw: Vec<u8>,
    /// What it says; empty for a comment.
    pub(super) data: Vec<u8>,
}

impl Frames {
    /// The events a piece completes.
    ///
    /// # Errors
    /// One is too long.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<Frame>, Refusal> {
        let mut frames = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.held.extend_from_slice(part);
            if self.held.len() > MAX_FRAME_BYTES {
                let text = "The vendor sent an event that is too long.";
                return Err(Refusal::new(Reason::Upstream, text));
            }
            if !part.ends_with(b"\n") {
                continue;
            }
            let is_blank = self.held[self.line_from..].trim_ascii().is_empty();
            self.line_from = self.held.len();
            if is_blank {
                frames.extend(self.take());
            }
        }
        Ok(frames)
    }

    /// What came behind the last blank line.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        if self.held.trim_ascii().is_empty() {
            return None;
        }
        self.held.extend_from_slice(b"\n\n");
        self.take()
    }

    fn take(&mut self) -> Option<Frame> {
        self.line_from = 0;
        let raw = std::mem::take(&mut self.held);
        if raw.trim_ascii().is_empty() {
            return None;
        }
        let mut data = Vec::new();
        for line in raw.split(|byte| *byte == b'\n') {
            if let Some(said) = line.strip_prefix(b"data:") {
                if !data.is_empty() {
                    data.push(b'\n');
                }
                data.extend_from_slice(said.trim_ascii());
            }
        }
        Some(Frame { raw, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_stream_is_cut_makes_no_difference() {
        let stream = b": ping\n\nevent: e\ndata: {\"a\":\ndata: 1}\n\r\ndata:b\r\n\r\n\n\ndata: tail";
        let cut = |pieces: &[&[u8]]| {
            let mut frames = Frames::default();
            let mut all: Vec<Frame> = pieces.iter().flat_map(|piece| frames.push(piece).unwrap()).collect();
            all.extend(frames.finish());
            let data = all.iter().map(|frame| String::from_utf8(frame.data.clone()).unwrap());
            (
                data.collect::<Vec<_>>(),
                all.iter().map(|frame| frame.raw.len()).sum::<usize>(),
            )
        };
        let whole = cut(&[stream]);
        assert_eq!(whole.0, ["", "{\"a\":\n1}", "b", "tail"]);
        for at in 0..stream.len() {
            assert_eq!(cut(&[&stream[..at], &stream[at..]]), whole, "{at}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut frames = Frames::default();
        let piece = vec![b'x'; MAX_FRAME_BYTES];
        assert!(frames.push(&piece).is_ok());
        assert!(frames.push(b"x").is_err());
    }
}
