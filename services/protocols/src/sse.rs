//! Cuts a byte stream into server-sent events, within bounds and wherever the bytes were cut in transit.
//!
//! Owns lines, fields and the end of events. It knows only `data` and the event name; ids and retry times are for clients that
//! reconnect, which a POST must not. What data means is the protocols'.
//!
//! Source: WHATWG HTML, "Server-sent events", section 9.2.6.

/// Longest event, its unfinished line included.
pub const MAX_EVENT_BYTES: usize = 10 * 1024 * 1024;

/// How much memory of a line is kept for the next one.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// An event is longer than [`MAX_EVENT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT_BYTES} bytes")]
pub struct TooLong;

/// One event that has data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its name; empty for the usual ones.
    pub name: String,
    /// Its data; lines joined by a line feed, bytes that are no UTF-8 replaced.
    pub data: String,
}

/// The cutter. Feed it bytes as they come.
#[derive(Debug, Default)]
pub struct Cutter {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    name: String,
    /// The last byte was a carriage return, so that a line feed right after it ends no further line.
    was_return: bool,
    is_past_start: bool,
}

impl Cutter {
    /// Takes bytes in and hands each completed event to `on_event`.
    ///
    /// # Errors
    /// [`TooLong`]; the stream cannot be understood from here on.
    pub fn push(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(SseEvent)) -> Result<(), TooLong> {
        // Nothing has come, so nothing has followed the carriage return either.
        if bytes.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.was_return) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.append(&bytes[..end])?;
            let is_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if is_return {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.was_return = true,
                }
            }
            if let Some(event) = self.end_line() {
                on_event(event);
            }
        }
        self.append(bytes)
    }

    /// The event that the end of the stream cut off, if there is data for one. Whether it is whole, its reader must see.
    pub fn finish(mut self) -> Option<SseEvent> {
        if !self.line.is_empty()
            && let Some(event) = self.end_line()
        {
            return Some(event);
        }
        self.dispatch()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + self.data.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.is_past_start, true) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            self.line = line;
            return self.dispatch();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value_start = match line.get(colon + 1) {
            Some(b' ') => colon + 2,
            _ => (colon + 1).min(line.len()),
        };
        match &line[..colon] {
            b"data" if !self.has_data => {
                // The usual case, one line an event: the line's own memory becomes the data.
                line.drain(..value_start);
                self.data = line;
                self.has_data = true;
                return None;
            }
            b"data" => {
                self.data.push(b'\n');
                self.data.extend_from_slice(&line[value_start..]);
            }
            b"event" => self.name = String::from_utf8_lossy(&line[value_start..]).into_owned(),
            // Comments (an empty field name), ids, retry times and whatever else.
            _ => {}
        }
        // The next line takes its memory: a vendor may send nothing but comments.
        if line.capacity() <= MAX_KEPT_BYTES {
            line.clear();
            self.line = line;
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        let data = String::from_utf8(std::mem::take(&mut self.data))
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Some(SseEvent { name, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut cutter = Cutter::default();
        let mut events = Vec::new();
        for piece in pieces {
            cutter.push(piece, |event| events.push(event)).unwrap();
        }
        events.extend(cutter.finish());
        events
    }

    fn data(texts: &[&str]) -> Vec<SseEvent> {
        let event = |text: &&str| SseEvent {
            name: String::new(),
            data: (*text).to_owned(),
        };
        texts.iter().map(event).collect()
    }

    #[test]
    fn every_line_end_ends_a_line() {
        for text in [
            "data: a\n\ndata:b\n\n",
            "data: a\r\n\r\ndata:b\r\n\r\n",
            "data: a\r\rdata:b\r\r",
            "data: a\n\r\ndata:b\r\n\n",
        ] {
            assert_eq!(cut(&[text.as_bytes()]), data(&["a", "b"]), "{text:?}");
        }
    }

    #[test]
    fn nothing_between_carriage_return_and_line_feed_makes_no_second_line() {
        let named = SseEvent {
            name: "e".to_owned(),
            data: "a".to_owned(),
        };
        assert_eq!(cut(&[b"event: e\r", b"", b"\ndata: a\r", b"", b"\n\r\n"]), [named]);
    }

    #[test]
    fn comments_ids_and_empty_events_are_passed_over() {
        let text = b": ping\n\n:\n\nid: 7\nretry: 10\ndata: a\n\nevent: x\n\ndata\n\n";
        assert_eq!(cut(&[text]), data(&["a", ""]));
    }

    #[test]
    fn names_and_several_lines_belong_to_one_event() {
        let expected = SseEvent {
            name: "error".to_owned(),
            data: "{\n}".to_owned(),
        };
        assert_eq!(cut(&[b"event: error\ndata: {\ndata: }\n\n"]), [expected]);
    }

    #[test]
    fn the_last_event_needs_no_blank_line_and_a_byte_order_mark_is_no_text() {
        assert_eq!(cut(&[b"\xef\xbb\xbfdata: a\n\ndata: b"]), data(&["a", "b"]));
        assert_eq!(cut(&[b"data: a\n"]), data(&["a"]));
        assert_eq!(cut(&[b"", b""]), []);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(cut(&[b"data: a\xffb\n\n"]), data(&["a\u{fffd}b"]));
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_bound() {
        let mut cutter = Cutter::default();
        let piece = vec![b'x'; 1024 * 1024];
        let results: Vec<bool> = (0..12).map(|_| cutter.push(&piece, |_| {}).is_ok()).collect();
        assert_eq!(results.iter().filter(|is_ok| **is_ok).count(), 10);
        let mut cutter = Cutter::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let results: Vec<bool> = (0..12).map(|_| cutter.push(&line, |_| {}).is_ok()).collect();
        assert!(results.contains(&false), "many lines of one event count together");
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_makes_no_difference(
            text in "(data: [a-z{}é]{0,8}|:|event: e|\r|\n|\r\n|\n\n){0,24}",
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|index| index.index(bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&pieces), cut(&[bytes]));
        }
    }
}
