//! Files of the workspace. Every path goes through [`Root`], which never leaves the home directory; all functions here block.

mod edit;
mod list;
mod path;
mod read;
mod write;

pub(crate) use edit::edit_files;
pub(crate) use list::list;
pub(crate) use path::Root;
pub(crate) use read::read;
pub(crate) use write::write;

/// Largest file that is written or edited, in bytes.
pub(crate) const MAX_WRITE_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;
