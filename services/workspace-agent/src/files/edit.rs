//! Editing files: all edits of all files are worked out in memory first, and only then written, or none is.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use similar::TextDiff;
use tandem_proto::workspace::v1::{EditFiles, EditFilesResult, FileDiff, FileEdits, OperationErrorKind};

use super::path::Place;
use super::write::{check_size, replace};
use super::{MAX_WRITE_BYTES, Root, without_nul};
use crate::error::Failure;

mod diagnosis;
mod indent;
mod lines;
mod loose;
mod replacement;
mod splice;

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
    let places: Vec<Result<Place, Failure>> = request.files.iter().map(|file| root.place(&file.path, false)).collect();
    // Two entries for one file would each start from the old content, and the second would undo the first.
    if let Some(failure) = duplicate(&request.files, &places) {
        return Err(failure);
    }
    let mut failures = Vec::new();
    let mut changes = Vec::new();
    for (file, place) in request.files.iter().zip(places) {
        match place.and_then(|place| work_out(root, file, place)) {
            Ok(change) => changes.push(change),
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(worst) = failures
        .iter()
        .map(|failure| failure.kind)
        .max_by_key(|kind| severity(*kind))
    {
        let messages: Vec<String> = failures.into_iter().map(|failure| failure.message).collect();
        let message = format!("{}\nNo edits were applied.", messages.join("\n"));
        return Err(Failure::new(worst, message));
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

/// Which of several failures names the whole: what is wrong with the system before what is wrong with the request.
fn severity(kind: OperationErrorKind) -> u8 {
    match kind {
        OperationErrorKind::Io | OperationErrorKind::NoSpace | OperationErrorKind::Limit => 3,
        OperationErrorKind::NotFound => 2,
        OperationErrorKind::Permission | OperationErrorKind::OutsideWorkspace => 1,
        OperationErrorKind::Unspecified
        | OperationErrorKind::Invalid
        | OperationErrorKind::TooLarge
        | OperationErrorKind::Conflict => 0,
    }
}

/// Two entries for one file, whatever links lead to it.
fn duplicate(files: &[FileEdits], places: &[Result<Place, Failure>]) -> Option<Failure> {
    let mut seen: HashMap<&PathBuf, &str> = HashMap::new();
    for (file, place) in files.iter().zip(places) {
        let Ok(place) = place else { continue };
        let Some(earlier) = seen.insert(&place.identity, &file.path) else {
            continue;
        };
        let message = if earlier == file.path {
            format!("{earlier} is listed twice. Put all edits of a file into one entry. No edits were applied.")
        } else {
            format!(
                "{earlier} and {} are the same file. Use one path for it. No edits were applied.",
                file.path
            )
        };
        return Some(Failure::invalid(message));
    }
    None
}

fn work_out(root: &Root, file: &FileEdits, place: Place) -> Result<Change, Failure> {
    let path = &file.path;
    if file.edits.is_empty() || file.edits.len() > MAX_EDITS {
        return Err(Failure::invalid(format!(
            "{path}: edits must have 1 to {MAX_EDITS} entries"
        )));
    }
    let (content, _) = root.open_place(path, &place)?;
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
        let text = diff
            .unified_diff()
            .context_radius(3)
            .header(&self.path, &self.path)
            .to_string();
        let mut text = without_nul(text);
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
