//! Reading lines of a text file within the bounds a model can digest.

use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;

use tandem_proto::workspace::v1::{OperationErrorKind, ReadBytes, ReadBytesResult, ReadFile, ReadFileResult};

use super::path::real_path;
use super::{Root, without_nul};
use crate::error::Failure;

/// Largest file that is read as bytes.
const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// Largest file whose lines are read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Most lines in one answer.
const MAX_LINES: i64 = 2_000;

/// Longest part of one line that is shown, in bytes.
const MAX_LINE_BYTES: usize = 1_024;

/// Longest answer, line numbers included, in bytes.
const MAX_CONTENT_BYTES: usize = 32 * 1024;

const LINE_CUT: &str = "... [truncated]";

/// Lines `offset`.. of a file, numbered.
///
/// # Errors
/// Anything but a small enough regular file inside the workspace; an answer over the bounds, which is refused rather than cut.
pub(crate) fn read(root: &Root, request: &ReadFile) -> Result<ReadFileResult, Failure> {
    let path = &request.path;
    let too_large = || {
        let message = format!(
            "{path}: the file is larger than {MAX_FILE_BYTES} bytes. Look at parts of it with grep, sed or awk instead."
        );
        Failure::new(OperationErrorKind::TooLarge, message)
    };
    let bytes = whole(root, path, MAX_FILE_BYTES)?.ok_or_else(too_large)?.0;
    let text = without_nul(String::from_utf8_lossy(&bytes).into_owned());
    number(&text, bytes.len(), request.offset, request.limit)
}

/// A whole file as it is, and where it really is.
///
/// # Errors
/// Anything but a small enough regular file inside the workspace.
pub(crate) fn read_bytes(root: &Root, request: &ReadBytes) -> Result<ReadBytesResult, Failure> {
    let path = &request.path;
    let most = match u64::try_from(request.max_bytes) {
        Ok(0) | Err(_) => MAX_BYTES,
        Ok(asked) => asked.min(MAX_BYTES),
    };
    let too_large = || {
        let message = format!("{path}: the file is larger than {most} bytes");
        Failure::new(OperationErrorKind::TooLarge, message)
    };
    let (content, resolved) = whole(root, path, most)?.ok_or_else(too_large)?;
    Ok(ReadBytesResult {
        content,
        resolved_path: resolved.to_string_lossy().into_owned(),
    })
}

/// All bytes of a file and its real path; `None` when there are more than `most`.
fn whole(root: &Root, path: &str, most: u64) -> Result<Option<(Vec<u8>, PathBuf)>, Failure> {
    let (file, size) = root.open_file(path)?;
    if size > most {
        return Ok(None);
    }
    let real = real_path(&file).unwrap_or_else(|| root.home().join(path));
    let mut bytes = Vec::new();
    // The file may grow meanwhile.
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(path, &error))?;
    let is_small = bytes.len() as u64 <= most;
    Ok(is_small.then_some((bytes, real)))
}

fn number(text: &str, size: usize, offset: i64, limit: i64) -> Result<ReadFileResult, Failure> {
    let file_size = i64::try_from(size).unwrap_or(i64::MAX);
    if text.is_empty() {
        return Ok(ReadFileResult {
            file_size,
            ..ReadFileResult::default()
        });
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let total_lines = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let offset = offset.max(1);
    if offset > total_lines {
        return Err(Failure::invalid(format!(
            "offset {offset} is beyond the file's {total_lines} lines"
        )));
    }
    let limit = if limit <= 0 { MAX_LINES } else { limit };
    let wanted = limit.min(total_lines - offset + 1);
    if wanted > MAX_LINES {
        let message = format!("{wanted} lines are more than {MAX_LINES}. Read fewer with offset and limit.");
        return Err(Failure::new(OperationErrorKind::TooLarge, message));
    }
    let first = usize::try_from(offset - 1).unwrap_or(0);
    let count = usize::try_from(wanted).unwrap_or(0);
    let mut content = String::new();
    for (index, line) in lines.iter().enumerate().skip(first).take(count) {
        if index > first {
            content.push('\n');
        }
        let number = index + 1;
        // Writing to a String cannot fail.
        let _ = write!(content, "{number}\t{}", cut(line));
        if line.len() > MAX_LINE_BYTES {
            content.push_str(LINE_CUT);
        }
        if content.len() > MAX_CONTENT_BYTES {
            let message = format!(
                "lines {offset} to {} are more than {MAX_CONTENT_BYTES} bytes. Read fewer at a time with offset and limit.",
                offset + wanted - 1
            );
            return Err(Failure::new(OperationErrorKind::TooLarge, message));
        }
    }
    Ok(ReadFileResult {
        content,
        file_size,
        total_lines,
        lines_read: wanted,
    })
}

fn cut(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_LINE_BYTES.min(line.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str, offset: i64, limit: i64) -> String {
        number(text, text.len(), offset, limit).unwrap().content
    }

    #[test]
    fn lines_are_numbered_and_a_final_newline_counts_as_an_empty_line() {
        let result = number("a\nb\n", 4, 0, 0).unwrap();
        assert_eq!(result.content, "1\ta\n2\tb\n3\t");
        assert_eq!((result.total_lines, result.lines_read, result.file_size), (3, 3, 4));
    }

    #[test]
    fn an_empty_file_has_nothing() {
        assert_eq!(number("", 0, 1, 0).unwrap(), ReadFileResult::default());
    }

    #[test]
    fn offset_and_limit_choose_lines() {
        assert_eq!(content("a\nb\nc\nd", 2, 2), "2\tb\n3\tc");
        assert_eq!(content("a\nb\nc\nd", -5, 1), "1\ta");
        assert!(number("a", 1, 2, 0).unwrap_err().message.contains("beyond"));
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let text = format!("{}é", "x".repeat(MAX_LINE_BYTES - 1));
        assert_eq!(
            content(&text, 1, 0),
            format!("1\t{}{LINE_CUT}", "x".repeat(MAX_LINE_BYTES - 1))
        );
    }

    #[test]
    fn the_default_shows_the_first_lines_and_more_must_be_asked_for() {
        let text = "\n".repeat(3_000);
        assert_eq!(number(&text, 3_000, 1, 0).unwrap().lines_read, MAX_LINES);
        assert_eq!(
            number(&text, 3_000, 1, 2_500).unwrap_err().kind,
            OperationErrorKind::TooLarge
        );
    }

    #[test]
    fn an_answer_over_the_bound_is_refused_whole() {
        let text = format!("{}\n", "x".repeat(1_000)).repeat(40);
        assert_eq!(
            number(&text, text.len(), 1, 0).unwrap_err().kind,
            OperationErrorKind::TooLarge
        );
        assert_eq!(number(&text, text.len(), 1, 10).unwrap().lines_read, 10);
    }
}
