//! What a process printed: its beginning and its end, whatever lies between is counted and dropped.

use std::collections::VecDeque;

use tandem_proto::workspace::v1::Truncation;

/// Bytes kept of the beginning.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;

/// Bytes kept of the end.
pub(crate) const TAIL_BYTES: usize = 16 * 1024;

/// Longest line that is shown whole, in bytes.
const MAX_LINE_BYTES: usize = 2_048;

const LINE_CUT: &str = " ... [truncated]";

/// Head and tail of a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Output {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let to_head = bytes.len().min(HEAD_BYTES - self.head.len());
        let (head, rest) = bytes.split_at(to_head);
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(TAIL_BYTES)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// How many bytes were written in all.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The text to show, and how much of it is missing. Set also when everything fits but head and tail were shown apart.
    pub(crate) fn text(&self) -> (String, Option<Truncation>) {
        if self.tail.is_empty() {
            return (cut_lines(&decode(&self.head)), None);
        }
        let kept = (self.head.len() + self.tail.len()) as u64;
        let omitted = self.total - kept;
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let (head, tail) = if omitted == 0 {
            // Nothing is missing between them: a character across the boundary is one character.
            let both = [self.head.as_slice(), &tail].concat();
            (cut_lines(&decode(&both)), String::new())
        } else {
            (
                cut_lines(&decode(trim_end(&self.head))),
                cut_lines(&decode(trim_start(&tail))),
            )
        };
        let gap = if omitted > 0 {
            format!("\n\n... [omitted {omitted} bytes] ...\n\n")
        } else {
            String::new()
        };
        let truncation = (omitted > 0).then(|| Truncation {
            original_bytes: clamp(self.total),
            retained_bytes: clamp(kept),
            omitted_bytes: clamp(omitted),
        });
        (format!("{head}{gap}{tail}"), truncation)
    }

    /// What is still kept of the bytes from `position` on, and the position after them. At most `limit` bytes; skips what is gone.
    pub(crate) fn since(&self, position: u64, limit: usize) -> (Vec<u8>, u64) {
        let head_end = self.head.len() as u64;
        if position < head_end {
            let start = usize::try_from(position).unwrap_or(0);
            let end = self.head.len().min(start + limit);
            return (self.head[start..end].to_vec(), end as u64);
        }
        let tail_start = self.total - self.tail.len() as u64;
        let start = position.max(tail_start);
        let skip = usize::try_from(start - tail_start).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = self.tail.iter().copied().skip(skip).take(limit).collect();
        let end = start + bytes.len() as u64;
        (bytes, end)
    }
}

fn clamp(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Bytes as text; NUL and what is no UTF-8 become replacement characters, because neither survives in JSON columns.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text.into_owned()
    }
}

/// How many bytes at the end belong to a character whose rest has not come yet.
pub(crate) fn incomplete_tail(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        if byte & 0b1100_0000 == 0b1000_0000 {
            continue;
        }
        let needed = match byte {
            0xf0..=0xf7 => 4,
            0xe0..=0xef => 3,
            0xc0..=0xdf => 2,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - incomplete_tail(bytes)]
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let continuation = bytes
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000)
        .count();
    &bytes[continuation..]
}

fn cut_lines(text: &str) -> String {
    if text.len() <= MAX_LINE_BYTES {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if line.len() > MAX_LINE_BYTES {
            out.push_str(&line[..line.floor_char_boundary(MAX_LINE_BYTES - LINE_CUT.len())]);
            out.push_str(LINE_CUT);
        } else {
            out.push_str(line);
        }
    }
    out
}
