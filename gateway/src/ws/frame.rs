//! How events are put into frames: a JSON array of up to 256 of them and a newline, and no frame so long that a client's
//! read limit cuts it.

use serde::Serialize;

use crate::json;

/// Events in one frame.
const MAX_EVENTS: usize = 256;

/// A frame is closed once it is this long, in bytes. Clients read up to 4 MiB; one event alone may be longer than this.
const FULL_BYTES: usize = 1024 * 1024;

/// `events` as frames, in order; none for no events.
pub fn arrays<T: Serialize>(events: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut frames = Vec::new();
    let mut frame = Vec::new();
    let mut count = 0;
    for event in events {
        frame.push(if count == 0 { b'[' } else { b',' });
        json::write(&mut frame, &event);
        count += 1;
        if count == MAX_EVENTS || frame.len() >= FULL_BYTES {
            frames.push(closed(std::mem::take(&mut frame)));
            count = 0;
        }
    }
    if count > 0 {
        frames.push(closed(frame));
    }
    frames
}

fn closed(mut frame: Vec<u8>) -> String {
    frame.extend_from_slice(b"]\n");
    text(frame)
}

/// One event as a frame of its own.
pub fn single<T: Serialize>(event: &T) -> String {
    text(json::to_vec(event))
}

/// One event as the data of a server-sent event.
pub fn data<T: Serialize>(event: &T) -> String {
    let mut bytes = Vec::new();
    json::write(&mut bytes, event);
    text(bytes)
}

fn text(bytes: Vec<u8>) -> String {
    // The serializer writes UTF-8 only.
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hold_at_most_256_events_in_order() {
        let frames = arrays(0..600);
        let lengths: Vec<usize> = frames
            .iter()
            .map(|frame| serde_json::from_str::<Vec<u32>>(frame).unwrap().len())
            .collect();
        assert_eq!(lengths, [256, 256, 88]);
        assert!(frames.iter().all(|frame| frame.ends_with("]\n")));
        assert_eq!(frames[2].split(',').next(), Some("[512"));
        assert!(arrays(Vec::<u32>::new()).is_empty());
    }

    #[test]
    fn long_events_get_frames_of_their_own() {
        let long = "x".repeat(FULL_BYTES);
        let frames = arrays(["a", &long, "b", "c"]);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[1], "[\"b\",\"c\"]\n");
    }
}
