//! Cuts a byte stream into AWS's frames, within bounds and wherever the bytes were cut in transit, and tells them as the events of the
//! Messages protocol.
//!
//! A frame is its length and that of its headers (4 bytes each, big-endian), a checksum of those, headers, payload, and a checksum of
//! everything before. Checksums are CRC-32 as in IEEE 802.3.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Failure, body::truncated, sse::SseEvent};

/// Longest frame that is believed.
const MAX_FRAME_BYTES: usize = 10 * 1024 * 1024;

/// Lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// The checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// The cutter. Feed it bytes as they come.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    held: Vec<u8>,
}

impl Cutter {
    /// Takes bytes in and hands what each completed frame says to `on_event`.
    ///
    /// # Errors
    /// A frame that is damaged, or too long; the stream cannot be understood from here on. It is worth another try.
    pub(crate) fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(SseEvent)) -> Result<(), Failure> {
        self.held.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(length) = frame_length(&self.held[start..])? {
            let Some(frame) = self.held[start..].get(..length) else {
                break;
            };
            if let Some(event) = event(frame)? {
                on_event(event);
            }
            start += length;
        }
        self.held.drain(..start);
        Ok(())
    }
}

/// The length of the frame that begins here, once it is known.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(prelude) = bytes.get(..PRELUDE_BYTES) else {
        return Ok(None);
    };
    let (lengths, checksum) = prelude.split_at(PRELUDE_BYTES - CHECKSUM_BYTES);
    let total = number(lengths, 0);
    let headers = number(lengths, 4);
    if crc32(lengths) != checksum_in(checksum) {
        return Err(damaged());
    }
    let least = PRELUDE_BYTES + CHECKSUM_BYTES;
    if total > MAX_FRAME_BYTES || headers > total || total - headers < least {
        return Err(damaged());
    }
    Ok(Some(total))
}

/// What a whole frame says; nothing if it is of a kind that says nothing here.
fn event(frame: &[u8]) -> Result<Option<SseEvent>, Failure> {
    let (content, checksum) = frame.split_at(frame.len() - CHECKSUM_BYTES);
    if crc32(content) != checksum_in(checksum) {
        return Err(damaged());
    }
    let headers_end = PRELUDE_BYTES + number(content, 4);
    let headers = headers(&content[PRELUDE_BYTES..headers_end]).ok_or_else(damaged)?;
    let payload: Value = serde_json::from_slice(&content[headers_end..]).unwrap_or_default();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    match header(":message-type") {
        "event" if header(":event-type") == "chunk" => {
            let data = payload["bytes"].as_str().and_then(|bytes| STANDARD.decode(bytes).ok());
            let data = String::from_utf8(data.ok_or_else(damaged)?).map_err(|_| damaged())?;
            Ok(Some(SseEvent {
                name: String::new(),
                data,
            }))
        }
        "exception" => Ok(Some(failed(header(":exception-type"), payload["message"].as_str()))),
        "error" => Ok(Some(failed(header(":error-code"), Some(header(":error-message"))))),
        _ => Ok(None),
    }
}

/// A failure of AWS's as the Messages protocol tells failures.
fn failed(kind: &str, message: Option<&str>) -> SseEvent {
    let data = json!({
        "type": "error",
        "error": { "type": error_type(kind), "message": message.unwrap_or(kind) },
    });
    SseEvent {
        name: "error".to_owned(),
        data: data.to_string(),
    }
}

fn error_type(kind: &str) -> &'static str {
    match kind {
        "throttlingException" => "rate_limit_error",
        "validationException" => "invalid_request_error",
        "accessDeniedException" => "permission_error",
        "resourceNotFoundException" => "not_found_error",
        "modelTimeoutException" | "serviceUnavailableException" | "modelNotReadyException" => "timeout_error",
        _ => "api_error",
    }
}

/// Names and texts of the headers; `None` if they make no sense. Values of other types are left out.
fn headers(mut bytes: &[u8]) -> Option<Vec<(String, String)>> {
    const TEXT: u8 = 7;
    let mut headers = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (kind, rest) = rest.split_first()?;
        let (value, rest) = match kind {
            0 | 1 => (&[][..], rest),
            2 => rest.split_at_checked(1)?,
            3 => rest.split_at_checked(2)?,
            4 => rest.split_at_checked(4)?,
            5 | 8 => rest.split_at_checked(8)?,
            6 | 7 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?
            }
            9 => rest.split_at_checked(16)?,
            _ => return None,
        };
        if *kind == TEXT {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            headers.push((text(name), text(value)));
        }
        bytes = rest;
    }
    Some(headers)
}

fn damaged() -> Failure {
    truncated("a frame of the stream arrived damaged")
}

/// Four bytes from `place` on, as a number.
fn number(bytes: &[u8], place: usize) -> usize {
    let bytes = bytes.get(place..place + 4).unwrap_or_default();
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn checksum_in(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// CRC-32 with the reflected polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                0xedb8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame with these headers and this payload.
    pub(in crate::bedrock) fn framed(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut written = Vec::new();
        for (name, value) in headers {
            written.push(u8::try_from(name.len()).unwrap());
            written.extend(name.as_bytes());
            written.push(7);
            written.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            written.extend(value.as_bytes());
        }
        let total = PRELUDE_BYTES + written.len() + payload.len() + CHECKSUM_BYTES;
        let mut frame = Vec::new();
        frame.extend(u32::try_from(total).unwrap().to_be_bytes());
        frame.extend(u32::try_from(written.len()).unwrap().to_be_bytes());
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend(written);
        frame.extend(payload);
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    }

    /// A frame that carries an event of the Messages protocol.
    pub(in crate::bedrock) fn chunk(data: &str) -> Vec<u8> {
        let payload = json!({"bytes": STANDARD.encode(data), "p": "abcd"}).to_string();
        let headers = [
            (":event-type", "chunk"),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        framed(&headers, payload.as_bytes())
    }

    fn cut(pieces: &[&[u8]]) -> Result<Vec<SseEvent>, Failure> {
        let mut cutter = Cutter::default();
        let mut events = Vec::new();
        for piece in pieces {
            cutter.push(piece, |event| events.push(event))?;
        }
        Ok(events)
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn an_empty_frame_has_the_published_bytes() {
        // From the published test cases of the format: no headers, no payload.
        let empty = [
            0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
        ];
        assert_eq!(framed(&[], b""), empty);
        assert_eq!(cut(&[&empty]), Ok(Vec::new()));
    }

    #[test]
    fn frames_are_cut_wherever_bytes_are() {
        let exception = [
            (":message-type", "exception"),
            (":exception-type", "throttlingException"),
        ];
        let bytes = [
            chunk("{\"type\":\"ping\"}"),
            framed(
                &[(":message-type", "event"), (":event-type", "initial-response")],
                b"{}",
            ),
            framed(&exception, b"{\"message\":\"Slow down.\"}"),
        ]
        .concat();
        let whole = cut(&[&bytes]).unwrap();
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0].data, "{\"type\":\"ping\"}");
        assert_eq!(whole[1].name, "error");
        assert!(whole[1].data.contains("rate_limit_error") && whole[1].data.contains("Slow down."));
        for place in 0..=bytes.len() {
            assert_eq!(
                cut(&[&bytes[..place], &bytes[place..]]).unwrap(),
                whole,
                "split at {place}"
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(cut(&single).unwrap(), whole);
    }

    #[test]
    fn no_damaged_byte_goes_unnoticed() {
        let bytes = chunk("{\"type\":\"ping\"}");
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x01;
            assert!(cut(&[&damaged]).is_err(), "byte {place}");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_not_waited_for() {
        let mut prelude = u32::try_from(MAX_FRAME_BYTES + 1).unwrap().to_be_bytes().to_vec();
        prelude.extend([0; 4]);
        prelude.extend(crc32(&prelude).to_be_bytes());
        assert!(cut(&[&prelude]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..256)) {
            let _ = cut(&[&bytes]);
            let _ = headers(&bytes);
            let _ = cut(&[&framed(&[], &bytes)]);
        }
    }
}
