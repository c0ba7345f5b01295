//! Editing files: all edits of all files are worked out in memory first, and only then written, or none is.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use similar::TextDiff;
use tandem_proto::workspace::v1::{EditFiles, EditFilesResult, FileDiff, FileEdits, OperationErrorKind};

use super::path::Place;
use super::write::{check_size, replace};
use super::{MAX_WRITE_BYTES, Root};
use crate::error::Failure;

mod lines;
mod loose;
mod replacement;

/// Most files in one request, and most edits of one file.
const MAX_FILES: usize = 100;
const MAX_EDITS: usize = 100;

/// Longest diff that is reported, in bytes.
const MAX_DIFF_BYTES: usize = 64 * 1024;

/// Time for one diff; a coarser one is reported when it is over.
const DIFF_TIME: Duration = Duration::from_secs(1);

/// One file's edits worked out.
struct Change {
    path: String,
    place: Place,
    before: String,
    after: String,
}

/// Edits files and tells what changed.
///
/// # Errors
/// Everything that is wrong, in one message; no file has been touched then. A disk that fails while writing can leave earlier files
/// written, and the message says which.
pub(crate) fn edit_files(root: &Root, request: &EditFiles) -> Result<EditFilesResult, Failure> {
    if request.files.is_empty() || request.files.len() > MAX_FILES {
        return Err(Failure::invalid(format!("files must have 1 to {MAX_FILES} entries")));
    }
    let mut failures = Vec::new();
    let mut changes = Vec::new();
    for file in &request.files {
        match work_out(root, file) {
            Ok(change) => changes.push(change),
            Err(failure) => failures.push(failure),
        }
    }
    // Two entries for one file would each start from the old content, and the second would undo the first.
    if let Some(failure) = duplicate(&changes) {
        return Err(failure);
    }
    if let Some(first) = failures.first() {
        let kind = first.kind;
        let messages: Vec<String> = failures.into_iter().map(|failure| failure.message).collect();
        return Err(Failure::new(
            kind,
            format!("{}\nNo edits were applied.", messages.join("\n")),
        ));
    }
    let mut written: Vec<&str> = Vec::new();
    for change in &changes {
        replace(&change.path, &change.place, change.after.as_bytes()).map_err(|failure| {
            let done = if written.is_empty() {
                "none".to_owned()
            } else {
                written.join(", ")
            };
            Failure::new(
                failure.kind,
                format!("{}\nFiles written before: {done}.", failure.message),
            )
        })?;
        written.push(&change.path);
    }
    let files = changes.iter().map(Change::diff).collect();
    Ok(EditFilesResult { files })
}

fn duplicate(changes: &[Change]) -> Option<Failure> {
    let mut seen: HashMap<&PathBuf, &str> = HashMap::new();
    for change in changes {
        let Some(earlier) = seen.insert(&change.place.identity, &change.path) else {
            continue;
        };
        let message = if earlier == change.path {
            format!("{earlier} is listed twice. Put all edits of a file into one entry. No edits were applied.")
        } else {
            format!(
                "{earlier} and {} are the same file. Use one path for it. No edits were applied.",
                change.path
            )
        };
        return Some(Failure::invalid(message));
    }
    None
}

fn work_out(root: &Root, file: &FileEdits) -> Result<Change, Failure> {
    let path = &file.path;
    if file.edits.is_empty() || file.edits.len() > MAX_EDITS {
        return Err(Failure::invalid(format!(
            "{path}: edits must have 1 to {MAX_EDITS} entries"
        )));
    }
    let place = root.place(path, false)?;
    let (content, _) = root.open_file(path)?;
    let mut bytes = Vec::new();
    content
        .take(MAX_WRITE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(path, &error))?;
    check_size(path, bytes.len())?;
    let before =
        String::from_utf8(bytes).map_err(|_| Failure::invalid(format!("{path}: the file is not UTF-8 text")))?;
    let mut after = before.clone();
    for (index, edit) in file.edits.iter().enumerate() {
        after = replacement::apply(&after, &edit.search, &edit.replace, edit.replace_all).map_err(|problem| {
            Failure::new(
                OperationErrorKind::Conflict,
                format!("{path}: edit {}: {problem}", index + 1),
            )
        })?;
        check_size(path, after.len())?;
    }
    Ok(Change {
        path: path.clone(),
        place,
        before,
        after,
    })
}

impl Change {
    fn diff(&self) -> FileDiff {
        let diff = TextDiff::configure()
            .timeout(DIFF_TIME)
            .diff_lines(&self.before, &self.after);
        let mut text = diff
            .unified_diff()
            .context_radius(3)
            .header(&self.path, &self.path)
            .to_string();
        if text.len() > MAX_DIFF_BYTES {
            text.truncate(text.floor_char_boundary(MAX_DIFF_BYTES));
            text.push_str("\n... [diff truncated]\n");
        }
        FileDiff {
            path: self.path.clone(),
            diff: text,
        }
    }
}
