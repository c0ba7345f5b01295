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

    /// The text to show, at most 32 KiB of it, and how much was left out. What is no text grows when it is shown as text, so less of it
    /// is.
    pub(crate) fn text(&self) -> (String, Option<Truncation>) {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.total == (self.head.len() + tail.len()) as u64 {
            // Nothing is missing between them: a character across the boundary is one character.
            let all = [self.head.as_slice(), &tail].concat();
            let text = decode(&all);
            if text.len() <= HEAD_BYTES + TAIL_BYTES {
                return (cut_lines(&text), None);
            }
            let (head, rest) = all.split_at(all.len().min(HEAD_BYTES));
            return self.parts(head, rest);
        }
        self.parts(trim_end(&self.head), trim_start(&tail))
    }

    /// A beginning and an end with something missing between them.
    fn parts(&self, head: &[u8], tail: &[u8]) -> (String, Option<Truncation>) {
        let (head, tail) = (first(head, HEAD_BYTES), last(tail, TAIL_BYTES));
        let kept = (head.len() + tail.len()) as u64;
        let omitted = self.total - kept;
        let truncation = Truncation {
            original_bytes: clamp(self.total),
            retained_bytes: clamp(kept),
            omitted_bytes: clamp(omitted),
        };
        let (head, tail) = (cut_lines(&decode(head)), cut_lines(&decode(tail)));
        let text = format!("{head}\n\n... [omitted {omitted} bytes] ...\n\n{tail}");
        (text, Some(truncation))
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

/// Pieces of `bytes` with the length each has as text: a character, or bytes that are none.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let replaced = char::REPLACEMENT_CHARACTER.len_utf8();
    bytes.utf8_chunks().flat_map(move |chunk| {
        let characters = chunk.valid().chars().map(move |character| {
            let length = character.len_utf8();
            (length, if character == '\0' { replaced } else { length })
        });
        let invalid = (!chunk.invalid().is_empty()).then_some((chunk.invalid().len(), replaced));
        characters.chain(invalid)
    })
}

/// The longest beginning of `bytes` that has at most `most` bytes as text.
fn first(bytes: &[u8], most: usize) -> &[u8] {
    let (mut kept, mut shown) = (0, 0);
    for (length, as_text) in pieces(bytes) {
        if shown + as_text > most {
            break;
        }
        kept += length;
        shown += as_text;
    }
    &bytes[..kept]
}

/// The longest end of `bytes` that has at most `most` bytes as text.
fn last(bytes: &[u8], most: usize) -> &[u8] {
    let all: usize = pieces(bytes).map(|(_, as_text)| as_text).sum();
    let (mut dropped, mut hidden) = (0, 0);
    for (length, as_text) in pieces(bytes) {
        if all - hidden <= most {
            break;
        }
        dropped += length;
        hidden += as_text;
    }
    &bytes[dropped..]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn output(chunks: &[&[u8]]) -> Output {
        let mut output = Output::default();
        chunks.iter().for_each(|chunk| output.write(chunk));
        output
    }

    #[test]
    fn little_output_is_shown_as_it_is() {
        assert_eq!(output(&[]).text(), (String::new(), None));
        assert_eq!(output(&[b"a", b"b\n"]).text(), ("ab\n".to_owned(), None));
    }

    #[test]
    fn output_that_fits_into_head_and_tail_is_whole() {
        let text = "0123456789abcde\n".repeat((HEAD_BYTES + TAIL_BYTES) / 16);
        assert_eq!(output(&[text.as_bytes()]).text(), (text, None));
    }

    #[test]
    fn a_character_across_the_boundary_stays_one() {
        let text = format!("{}é\n", "x\n".repeat(HEAD_BYTES / 2 - 1) + "y");
        assert_eq!(output(&[text.as_bytes()]).text().0, text);
    }

    #[test]
    fn the_middle_is_counted_and_left_out_however_it_was_written() {
        let bytes: Vec<u8> = (0..200_000_u32)
            .flat_map(|number| format!("{number}\n").into_bytes())
            .collect();
        let whole = output(&[&bytes]).text();
        for size in [1, 7, 4_096, HEAD_BYTES, HEAD_BYTES + 1, 100_000] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(output(&chunks).text(), whole, "{size}");
        }
        let (text, truncation) = whole;
        let truncation = truncation.unwrap();
        assert_eq!(truncation.original_bytes, i64::try_from(bytes.len()).unwrap());
        assert_eq!(
            truncation.retained_bytes + truncation.omitted_bytes,
            truncation.original_bytes
        );
        assert!(text.starts_with("0\n1\n") && text.ends_with("\n199999\n"));
        assert!(text.contains(&format!("... [omitted {} bytes] ...", truncation.omitted_bytes)));
        assert!(text.len() < HEAD_BYTES + TAIL_BYTES + 100);
    }

    #[test]
    fn long_lines_are_cut_within_the_bound() {
        let text = output(&[&[b'x'; 5_000], b"\nend"]).text().0;
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first.len(), MAX_LINE_BYTES);
        assert!(first.ends_with(LINE_CUT) && rest == "end");
    }

    #[test]
    fn what_is_no_text_is_shown_as_text() {
        assert_eq!(output(&[b"a\0b\xff"]).text().0, "a\u{fffd}b\u{fffd}");
        let flood = output(&["é".repeat(100_000).as_bytes()]);
        assert!(!flood.text().0.contains('\u{fffd}'));
    }

    #[test]
    fn what_grows_as_text_is_cut_and_counted() {
        let most = HEAD_BYTES + TAIL_BYTES + 100;
        for (piece, count) in [
            (&b"\xff\n"[..], 10_000),
            (b"\0\n", 10_000),
            (b"\xff\n", 500_000),
            (b"ab\xff\n", 9_000),
        ] {
            let bytes = piece.repeat(count);
            let (text, truncation) = output(&[&bytes]).text();
            let truncation = truncation.unwrap();
            assert!(
                text.len() <= most && text.len() > most / 2,
                "{} of {}",
                text.len(),
                bytes.len()
            );
            assert_eq!(
                truncation.retained_bytes + truncation.omitted_bytes,
                i64::try_from(bytes.len()).unwrap()
            );
            assert!(text.starts_with(&decode(piece)) && text.ends_with(&decode(piece)));
        }
        // As long as it fits nothing is left out.
        assert_eq!(output(&[&b"\xff\n".repeat(8_000)]).text().1, None);
    }

    #[test]
    fn a_reader_gets_every_byte_that_is_still_there() {
        let bytes: Vec<u8> = (0..60_000_u32)
            .map(|number| u8::try_from(number % 251).unwrap())
            .collect();
        let mut output = Output::default();
        let (mut position, mut seen) = (0, Vec::new());
        for chunk in bytes.chunks(5_000) {
            output.write(chunk);
            loop {
                let (read, next) = output.since(position, 1_000);
                if next == position {
                    break;
                }
                assert_eq!(next, position + read.len() as u64);
                position = next;
                seen.extend(read);
            }
        }
        assert_eq!(seen, bytes);
    }

    #[test]
    fn a_reader_that_was_away_goes_on_with_what_is_left() {
        let output = output(&[&[b'h'; HEAD_BYTES], &[b'm'; 100_000], &[b't'; TAIL_BYTES]]);
        let (head, position) = output.since(0, usize::MAX / 2);
        assert_eq!(head, [b'h'; HEAD_BYTES]);
        assert_eq!(
            output.since(position, usize::MAX / 2),
            (vec![b't'; TAIL_BYTES], output.total())
        );
        assert_eq!(output.since(output.total(), 10), (Vec::new(), output.total()));
    }

    #[test]
    fn the_beginning_of_a_character_is_recognised() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 0),
            ("é".as_bytes(), 0),
            (b"\xc3", 1),
            (b"\xe2\x82", 2),
            (b"\xf0\x9f\x99", 3),
            (b"\xff", 0),
        ] {
            assert_eq!(incomplete_tail(bytes), expected, "{bytes:?}");
        }
    }
}
