//! Files of the workspace. Every path goes through [`Root`], which never leaves the home directory; all functions here block.

mod edit;
mod list;
mod path;
mod read;
mod write;

pub(crate) use edit::edit_files;
pub(crate) use list::list;
pub(crate) use path::Root;
pub(crate) use read::{read, read_bytes};
pub(crate) use write::write;

/// Largest file that is written or edited, in bytes.
pub(crate) const MAX_WRITE_BYTES: usize = 8 * 1024 * 1024;

/// NUL becomes a replacement character: it does not survive in JSON columns.
fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
