//! Cuts a stream into lines as it goes by, and leaves out those nobody asked for.

use bytes::Bytes;

/// Longest line that is understood. A longer one is handed on unread.
const MAX_LINE_BYTES: usize = 10 * 1024 * 1024;

/// The lines of a stream.
pub struct Lines {
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// The line is too long: the rest of it is not looked at.
    is_skipping: bool,
    /// Events may be left out, so that a line goes on only when it is whole.
    strips: bool,
    /// The blank line behind an event that was left out goes as well.
    drops_blank: bool,
}

impl Lines {
    /// No line yet.
    pub fn new(strips: bool) -> Self {
        Self {
            partial: Vec::new(),
            is_skipping: false,
            strips,
            drops_blank: false,
        }
    }

    /// Takes a piece in and gives out what goes on. `on_data` is told the data of each event and says whether it is left out, which
    /// counts only where that was asked for.
    pub fn push(&mut self, piece: Bytes, mut on_data: impl FnMut(&[u8]) -> bool) -> Bytes {
        // What goes on: `out`, and behind it the piece from `plain_from` on.
        let mut out = Vec::new();
        let (mut plain_from, mut line_start) = (0, 0);
        while let Some(length) = piece[line_start..].iter().position(|byte| *byte == b'\n') {
            let end = line_start + length + 1;
            if std::mem::take(&mut self.is_skipping) {
                line_start = end;
                continue;
            }
            if self.partial.is_empty() {
                if self.is_left_out(&piece[line_start..end], &mut on_data) {
                    out.extend_from_slice(&piece[plain_from..line_start]);
                    plain_from = end;
                }
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&piece[line_start..end]);
                let is_left_out = self.is_left_out(&line, &mut on_data);
                if self.strips {
                    if !is_left_out {
                        out.extend_from_slice(&line);
                    }
                    plain_from = end;
                }
                line.clear();
                self.partial = line;
            }
            line_start = end;
        }
        let held_from = self
            .hold(&piece[line_start..], &mut out)
            .map_or(piece.len(), |()| line_start);
        if out.is_empty() {
            return piece.slice(plain_from.min(held_from)..held_from);
        }
        out.extend_from_slice(&piece[plain_from.min(held_from)..held_from]);
        Bytes::from(out)
    }

    /// The end of the stream: gives out what was held back.
    pub fn finish(&mut self, mut on_data: impl FnMut(&[u8]) -> bool) -> Bytes {
        let line = std::mem::take(&mut self.partial);
        let is_left_out = !line.is_empty() && self.is_left_out(&line, &mut on_data);
        if self.strips && !is_left_out {
            Bytes::from(line)
        } else {
            Bytes::new()
        }
    }

    /// Remembers the beginning of a line; `Some` if it does not go on yet.
    fn hold(&mut self, beginning: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if beginning.is_empty() || self.is_skipping {
            return None;
        }
        if self.partial.len() + beginning.len() > MAX_LINE_BYTES {
            self.is_skipping = true;
            let line = std::mem::take(&mut self.partial);
            if self.strips {
                out.extend_from_slice(&line);
            }
            return None;
        }
        self.partial.extend_from_slice(beginning);
        self.strips.then_some(())
    }

    fn is_left_out(&mut self, line: &[u8], on_data: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let drops_blank = std::mem::take(&mut self.drops_blank);
        if line.is_empty() {
            return drops_blank;
        }
        let Some(data) = line.strip_prefix(b"data:") else {
            return false;
        };
        self.drops_blank = on_data(data.trim_ascii()) && self.strips;
        self.drops_blank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What went on and which data was seen; data `x` is left out.
    fn passed(pieces: &[&[u8]], strips: bool) -> (String, Vec<String>) {
        let mut lines = Lines::new(strips);
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let mut look = |data: &[u8]| {
            seen.push(String::from_utf8_lossy(data).into_owned());
            data == b"x"
        };
        for piece in pieces {
            out.extend_from_slice(&lines.push(Bytes::copy_from_slice(piece), &mut look));
        }
        out.extend_from_slice(&lines.finish(&mut look));
        (String::from_utf8(out).unwrap(), seen)
    }

    #[test]
    fn only_what_is_to_be_left_out_is() {
        let stream = b"data: a\n\n: ping\n\ndata: x\n\ndata:b\r\n\r\ndata: [DONE]\n\n";
        let (out, seen) = passed(&[stream], true);
        assert_eq!(out, "data: a\n\n: ping\n\ndata:b\r\n\r\ndata: [DONE]\n\n");
        assert_eq!(seen, ["a", "x", "b", "[DONE]"]);
        assert_eq!(
            passed(&[stream], false).0.as_bytes(),
            stream,
            "nothing, where nothing is"
        );
    }

    #[test]
    fn where_a_stream_is_cut_makes_no_difference() {
        let stream = b"event: e\ndata: a\n\ndata: x\n\ndata: b\r\n\r\ndata: x\n\ndata: tail";
        for strips in [false, true] {
            let whole = passed(&[stream], strips);
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(passed(&pieces, strips), whole, "{first} {second}");
                }
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(passed(&bytes, strips), whole);
        }
    }

    #[test]
    fn a_piece_without_anything_to_leave_out_is_the_very_same() {
        let mut lines = Lines::new(true);
        let piece = Bytes::from_static(b"data: a\n\n");
        assert_eq!(lines.push(piece.clone(), |_| false).as_ptr(), piece.as_ptr());
    }

    #[test]
    fn a_line_without_end_is_handed_on_and_not_kept() {
        for strips in [false, true] {
            let mut lines = Lines::new(strips);
            let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
            let mut out = 0;
            for _ in 0..24 {
                out += lines.push(piece.clone(), |_| false).len();
                assert!(lines.partial.len() <= MAX_LINE_BYTES);
            }
            assert_eq!(out, 24 * piece.len());
            let mut seen = 0;
            let rest = lines.push(Bytes::from_static(b"x\ndata: a\n\n"), |_| {
                seen += 1;
                false
            });
            assert_eq!((rest.len(), seen), (11, 1), "and the next line is read again");
        }
    }
}
