//! What a build tells its reader: lines of our own, and among them what its startup script printed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of our own lines, before the script's output and after it.
const MAX_LINES_BYTES: usize = 8 * 1024;

/// Most bytes of the script's output; the agent keeps its beginning and its end within less.
const MAX_OUTPUT_BYTES: usize = 40 * 1024;

/// A log that is written while others read it.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    before: String,
    output: Option<String>,
    after: String,
}

impl Log {
    /// Adds a line of our own.
    pub(super) fn line(&self, text: &str) {
        let mut kept = self.lock();
        let place = if kept.output.is_some() {
            &mut kept.after
        } else {
            &mut kept.before
        };
        if place.len() + text.len() < MAX_LINES_BYTES {
            place.push_str(text);
            place.push('\n');
        }
    }

    /// What the script has printed so far, in place of what it had printed before.
    pub(super) fn output(&self, text: &str) {
        let text = text.replace('\0', "\u{fffd}");
        let end = text.floor_char_boundary(MAX_OUTPUT_BYTES);
        let mut text = text[..end].to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.lock().output = Some(text);
    }

    /// All of it, at most 64 KiB.
    pub(super) fn text(&self) -> String {
        let kept = self.lock();
        let output = kept.output.as_deref().unwrap_or_default();
        format!("{}{output}{}", kept.before, kept.after)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_stands_between_what_was_said_before_and_after_it() {
        let log = Log::default();
        log.line("begins");
        log.output("on");
        log.output("one\0");
        log.line("ends");
        assert_eq!(log.text(), "begins\none\u{fffd}\nends\n");
    }

    #[test]
    fn a_log_has_an_end() {
        let log = Log::default();
        for _ in 0..1_000 {
            log.line(&"x".repeat(100));
        }
        log.output(&"ä".repeat(100_000));
        log.line("end");
        assert!(log.text().len() <= 64 * 1024 && log.text().ends_with("end\n"));
    }
}
