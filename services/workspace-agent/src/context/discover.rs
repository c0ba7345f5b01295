//! Looking for instruction files and skills.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;
use tandem_chat_core::context::{self as core, clean, skill};
use tandem_proto::workspace::v1::{ContextFile, DiscoverContextResult, OperationErrorKind, Skill, SkippedContext};

use super::places::Places;
use super::skills;
use crate::error::Failure;
use crate::files::Root;

/// Names looked at in one directory; the rest is left out.
const MAX_ENTRIES: usize = 10_000;

/// Reasons why something cannot be used, at most.
const MAX_SKIPPED: usize = 100;

/// A file of instructions for other programs, which people are told of.
const OTHER_FILE: &str = "CLAUDE.md";

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) files: Vec<ContextFile>,
    pub(super) skills: Vec<Skill>,
    pub(super) skipped: Vec<SkippedContext>,
    bytes: usize,
}

/// Everything in the usual places.
pub(super) fn all(root: &Root, places: &Places) -> DiscoverContextResult {
    let mut findings = Findings::default();
    for directory in &places.instructions {
        findings.instructions(root, directory, &places.instructions_file);
    }
    let mut names = HashSet::new();
    for directory in &places.skills {
        findings.skills(root, directory, &places.meta_file, &mut names);
    }
    findings.skills.sort_by(|one, other| one.name.cmp(&other.name));
    DiscoverContextResult {
        os: std::env::consts::OS.to_owned(),
        working_directory: root.home().to_string_lossy().into_owned(),
        files: findings.files,
        skills: findings.skills,
        skipped: findings.skipped,
    }
}

impl Findings {
    /// The instruction file of a directory, if it has one.
    pub(super) fn instructions(&mut self, root: &Root, directory: &Path, file_name: &str) {
        let names = match names(root, directory) {
            Ok(names) => names,
            Err(failure) => return self.skip_unless_missing(root, directory, &failure),
        };
        let fits = |name: &&String| name.eq_ignore_ascii_case(file_name);
        let exact = names.iter().find(|name| *name == file_name);
        match exact.or_else(|| names.iter().find(fits)) {
            Some(name) => self.file(root, &directory.join(name)),
            None if names.iter().any(|name| name == OTHER_FILE) => {
                let reason = format!("only {file_name} is read; add this one with `tandem context add`");
                self.skip(root, &directory.join(OTHER_FILE), reason);
            }
            None => {}
        }
    }

    /// A file as instructions. One with nothing in it is passed over.
    pub(super) fn file(&mut self, root: &Root, path: &Path) {
        let (text, is_cut) = match beginning(root, path, core::MAX_FILE_BYTES) {
            Ok(read) => read,
            Err(failure) => return self.skip_unless_missing(root, path, &failure),
        };
        let cleaned = clean::text(&text);
        let (content, is_cut_too) = clean::cut(&cleaned, core::MAX_FILE_BYTES);
        if content.is_empty() {
            return;
        }
        if self.files.len() == core::MAX_FILES || self.bytes + content.len() > core::MAX_TOTAL_BYTES {
            return self.skip(root, path, "there are too many instructions already".to_owned());
        }
        self.bytes += content.len();
        self.files.push(ContextFile {
            path: shown(root, path),
            content: content.to_owned(),
            is_truncated: is_cut || is_cut_too,
        });
    }

    /// The skills that are children of a directory, as far as their names are not taken.
    pub(super) fn skills(&mut self, root: &Root, directory: &Path, meta_file: &str, taken: &mut HashSet<String>) {
        let names = match names(root, directory) {
            Ok(names) => names,
            Err(failure) => return self.skip_unless_missing(root, directory, &failure),
        };
        for name in names {
            let path = directory.join(&name);
            // What is no directory with a meta file is none of ours; hidden names are other programs' business.
            if name.starts_with('.') || !self.may_be_skill(root, &path, meta_file) {
                continue;
            }
            if taken.contains(&name) {
                self.skip(root, &path, "another skill has this name".to_owned());
            } else if self.skills.len() == core::MAX_SKILLS {
                self.skip(root, &path, "there are too many skills already".to_owned());
            } else if self.skill(root, &path, meta_file) {
                taken.insert(name);
            }
        }
    }

    /// One directory as a skill; whether it is one.
    pub(super) fn skill(&mut self, root: &Root, directory: &Path, meta_file: &str) -> bool {
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
        match skills::first(root, &name.unwrap_or_default(), [directory.to_owned()], meta_file) {
            Ok(found) => {
                self.skills.push(Skill {
                    description: clean::line(&found.skill.description, skill::MAX_DESCRIPTION_BYTES),
                    name: found.skill.name,
                    directory: shown(root, &found.directory),
                    meta_file: meta_file.to_owned(),
                });
                true
            }
            Err(failure) => {
                self.skip(root, &directory.join(meta_file), failure.message);
                false
            }
        }
    }

    fn may_be_skill(&mut self, root: &Root, directory: &Path, meta_file: &str) -> bool {
        match names(root, directory) {
            Ok(names) => names.iter().any(|name| name == meta_file),
            Err(failure) => {
                if failure.kind == OperationErrorKind::OutsideWorkspace {
                    self.skip(root, directory, failure.message);
                }
                false
            }
        }
    }

    fn skip_unless_missing(&mut self, root: &Root, path: &Path, failure: &Failure) {
        if failure.kind != OperationErrorKind::NotFound {
            self.skip(root, path, failure.message.clone());
        }
    }

    fn skip(&mut self, root: &Root, path: &Path, reason: String) {
        if self.skipped.len() < MAX_SKIPPED {
            let path = clean::line(&shown(root, path), 4_096);
            self.skipped.push(SkippedContext { path, reason });
        }
    }
}

/// Where a path is, for people and the model.
pub(super) fn shown(root: &Root, path: &Path) -> String {
    let path: PathBuf = root.home().join(path).components().collect();
    path.to_string_lossy().into_owned()
}

/// Names in a directory, sorted. Those that are not UTF-8 are left out.
pub(super) fn names(root: &Root, directory: &Path) -> Result<Vec<String>, Failure> {
    let text = directory.to_string_lossy();
    let failed = |errno: Errno| Failure::system(&text, errno);
    let relative = root.relative(&text)?;
    let opened = root
        .open_beneath(&relative, OFlags::RDONLY | OFlags::DIRECTORY)
        .map_err(failed)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened).map_err(failed)?.take(MAX_ENTRIES) {
        let entry = entry.map_err(failed)?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    names.sort();
    Ok(names)
}

/// The first `max_bytes` of a regular file as text, without NUL, and whether there is more.
pub(super) fn beginning(root: &Root, path: &Path, max_bytes: usize) -> Result<(String, bool), Failure> {
    let text = path.to_string_lossy();
    let (file, _) = root.open_file(&text)?;
    let mut bytes = Vec::new();
    file.take(max_bytes as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(&text, &error))?;
    let is_cut = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    let mut read = String::from_utf8_lossy(&bytes).replace('\0', "\u{FFFD}");
    if is_cut && read.ends_with('\u{FFFD}') {
        // Half a character.
        read.pop();
    }
    Ok((read, is_cut))
}
