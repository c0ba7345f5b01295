//! Replacing whole files: what readers see is the old content or the new, never a part.

use std::fs::File;
use std::io::Write;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tandem_proto::workspace::v1::{OperationErrorKind, WriteFile};
use uuid::Uuid;

use super::path::Place;
use super::{MAX_WRITE_BYTES, Root};
use crate::error::Failure;

/// Mode of new files, before the umask.
const NEW_FILE_MODE: u32 = 0o666;

/// Writes a file, making its parent directories.
///
/// # Errors
/// The content is too large, or the place cannot be written; an existing file is as it was then.
pub(crate) fn write(root: &Root, request: &WriteFile) -> Result<(), Failure> {
    check_size(&request.path, request.content.len())?;
    let place = root.place(&request.path, true)?;
    replace(&request.path, &place, &request.content)
}

pub(super) fn check_size(path: &str, size: usize) -> Result<(), Failure> {
    if size <= MAX_WRITE_BYTES {
        return Ok(());
    }
    let message = format!("{path}: {size} bytes are more than {MAX_WRITE_BYTES}");
    Err(Failure::new(OperationErrorKind::TooLarge, message))
}

/// Puts `content` at `place`, keeping the mode of what was there.
pub(super) fn replace(path: &str, place: &Place, content: &[u8]) -> Result<(), Failure> {
    // The name must fit beside the longest names; the end of the id keeps it unique.
    let id = Uuid::new_v4().simple().to_string();
    let temporary = format!(".{}.tmp.{}", shortened(&place.name), &id[..8]);
    let outcome = fill(place, &temporary, content)
        .and_then(|()| rename(place, &temporary))
        .map_err(|error| Failure::io(path, &error));
    if outcome.is_err() {
        // It may not even have been made.
        let _ = rustix::fs::unlinkat(&place.directory, &temporary, rustix::fs::AtFlags::empty());
    }
    outcome
}

fn fill(place: &Place, temporary: &str, content: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&place.directory, temporary, flags, Mode::from_raw_mode(NEW_FILE_MODE))?;
    let mut file = File::from(file);
    file.write_all(content)?;
    if let Some(mode) = place.mode {
        rustix::fs::fchmod(&file, mode)?;
    }
    Ok(())
}

fn rename(place: &Place, temporary: &str) -> std::io::Result<()> {
    match rustix::fs::renameat(&place.directory, temporary, &place.directory, &place.name) {
        // A directory appeared at the place meanwhile.
        Err(Errno::EXIST | Errno::NOTEMPTY) => Err(Errno::ISDIR.into()),
        other => Ok(other?),
    }
}

fn shortened(name: &str) -> &str {
    const MAX_NAME_BYTES: usize = 200;
    &name[..name.floor_char_boundary(MAX_NAME_BYTES.min(name.len()))]
}
