//! One skill: finding it by its name, its instructions, and the files beside them.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags};
use tandem_chat_core::context::skill;
use tandem_proto::workspace::v1::{OperationErrorKind, ReadSkillFileResult, ReadSkillResult};

use super::discover::{beginning, names, shown};
use crate::error::Failure;
use crate::files::Root;

/// Longest file that is read of a skill's directory, in bytes.
const MAX_FILE_BYTES: usize = 512 * 1024;

/// Names beside a skill's instructions, at most.
const MAX_FILES: usize = 1_000;

/// A skill and where it is.
pub(super) struct Found {
    /// Relative to the home directory.
    pub(super) directory: PathBuf,
    pub(super) meta_file: String,
    pub(super) skill: skill::Skill,
}

/// The first of these directories that is the skill of this name.
///
/// # Errors
/// None is, or the first that could be cannot be read.
pub(super) fn first(
    root: &Root,
    name: &str,
    directories: impl IntoIterator<Item = PathBuf>,
    meta_file: &str,
) -> Result<Found, Failure> {
    // The name becomes part of a path.
    if !skill::is_name(name) {
        return Err(Failure::invalid(format!("{name:?} is no name of a skill")));
    }
    for directory in directories {
        let (text, is_cut) = match beginning(root, &directory.join(meta_file), skill::MAX_BYTES) {
            Err(failure) if failure.kind == OperationErrorKind::NotFound => continue,
            read => read?,
        };
        if is_cut {
            let text = format!("a skill's {meta_file} may have {} bytes", skill::MAX_BYTES);
            return Err(Failure::new(OperationErrorKind::TooLarge, text));
        }
        let skill = skill::parse(&text).map_err(|error| Failure::invalid(error.to_string()))?;
        if skill.name != name {
            let text = format!("the skill calls itself {:?}, but its directory is {name:?}", skill.name);
            return Err(Failure::invalid(text));
        }
        return Ok(Found {
            directory,
            meta_file: meta_file.to_owned(),
            skill,
        });
    }
    let text = format!("skill {name:?} not found");
    Err(Failure::new(OperationErrorKind::NotFound, text))
}

/// The skill's instructions and what is beside them.
pub(super) fn read(root: &Root, found: &Found) -> Result<ReadSkillResult, Failure> {
    let entries = names(root, &found.directory)?;
    let entries = entries
        .into_iter()
        .filter(|name| *name != found.meta_file && !name.starts_with('.'));
    let files = entries.take(MAX_FILES).map(|name| {
        if is_directory(root, &found.directory.join(&name)) {
            format!("{name}/")
        } else {
            name
        }
    });
    Ok(ReadSkillResult {
        name: found.skill.name.clone(),
        body: found.skill.body.clone(),
        files: files.collect(),
        directory: shown(root, &found.directory),
    })
}

/// A file of the skill's directory, cut where it is longer than may be shown.
pub(super) fn read_file(root: &Root, found: &Found, path: &str) -> Result<ReadSkillFileResult, Failure> {
    if !skill::is_file_path(path) {
        let text = "path must be relative, without .. and without names that begin with a dot";
        return Err(Failure::invalid(text));
    }
    let (content, is_truncated) = beginning(root, &found.directory.join(path), MAX_FILE_BYTES)?;
    Ok(ReadSkillFileResult { content, is_truncated })
}

/// Links count as what they are: where they lead is seen when they are read.
fn is_directory(root: &Root, path: &Path) -> bool {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    let Ok(directory) = root.open_beneath(parent, OFlags::PATH | OFlags::DIRECTORY) else {
        return false;
    };
    let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
