//! Names in a directory.

use rustix::fs::{Dir, FileType, OFlags};
use tandem_proto::workspace::v1::{DirectoryEntry, ListDirectory, ListDirectoryResult};

use super::Root;
use super::path::real_path;
use crate::error::Failure;

/// Most names in one answer; the rest is left out.
const MAX_ENTRIES: usize = 10_000;

/// The names in a directory, sorted. Names that are not UTF-8 are shown as well as they can be.
///
/// # Errors
/// No directory inside the workspace.
pub(crate) fn list(root: &Root, request: &ListDirectory) -> Result<ListDirectoryResult, Failure> {
    let path = if request.path.is_empty() { "." } else { &request.path };
    let failed = |errno| Failure::system(path, errno);
    let relative = root.relative(path)?;
    let directory = root
        .open_beneath(&relative, OFlags::RDONLY | OFlags::DIRECTORY)
        .map_err(failed)?;
    let mut entries = Vec::new();
    for entry in Dir::read_from(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." {
            continue;
        }
        entries.push(DirectoryEntry {
            name: name.into_owned(),
            is_directory: entry.file_type() == FileType::Directory,
        });
        if entries.len() == MAX_ENTRIES {
            break;
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    // Links followed, so that a caller sees where a path really leads.
    let absolute_path = real_path(&directory).unwrap_or_else(|| root.home().join(&relative).components().collect());
    Ok(ListDirectoryResult {
        absolute_path: absolute_path.to_string_lossy().into_owned(),
        entries,
    })
}
