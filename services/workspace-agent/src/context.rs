//! What the workspace tells the model: instruction files and skills, found afresh each time, and what its processes add by hand.
//!
//! Files are read and nothing else: a repository that was just cloned runs nothing here and connects to nothing. Every path goes
//! through [`Root`], so links out of the workspace are refused.

mod desk;
mod discover;
mod places;
mod skills;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_proto::workspace::v1::{
    DiscoverContextResult, ReadSkill, ReadSkillFile, ReadSkillFileResult, ReadSkillResult,
};

pub(crate) use places::Places;
pub(crate) use socket::{SOCKET, serve};

use crate::error::Failure;
use crate::files::Root;
use desk::Desk;

/// Skills that processes have added, at most.
const MAX_ADDED_SKILLS: usize = 100;

/// Where context is looked for, and who asks for changes of it.
#[derive(Debug)]
pub(crate) struct Context {
    places: Places,
    /// Directories of skills outside of the usual places, relative to the home directory. Forgotten when the agent ends.
    added: Mutex<Vec<PathBuf>>,
    pub(crate) desk: Desk,
}

impl Context {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            added: Mutex::default(),
            desk: Desk::default(),
        }
    }

    /// Everything there is now.
    pub(crate) fn discover(&self, root: &Root) -> DiscoverContextResult {
        discover::all(root, &self.places)
    }

    /// A skill's instructions.
    ///
    /// # Errors
    /// There is no skill of that name, or it cannot be read.
    pub(crate) fn read_skill(&self, root: &Root, request: &ReadSkill) -> Result<ReadSkillResult, Failure> {
        skills::read(root, &self.skill(root, &request.name)?)
    }

    /// A file of a skill's directory.
    ///
    /// # Errors
    /// There is no such skill or file, or the path leads somewhere else.
    pub(crate) fn read_skill_file(&self, root: &Root, request: &ReadSkillFile) -> Result<ReadSkillFileResult, Failure> {
        skills::read_file(root, &self.skill(root, &request.name)?, &request.path)
    }

    /// The skill's directory with its meta file.
    fn skill(&self, root: &Root, name: &str) -> Result<skills::Found, Failure> {
        let usual = self.places.skills.iter().map(|directory| directory.join(name));
        let added = self.added().clone();
        let added = added.into_iter().filter(|directory| directory.ends_with(name));
        skills::first(root, name, usual.chain(added), &self.places.meta_file)
    }

    /// Remembers where a skill is that a process has added.
    fn remember(&self, directory: &Path) {
        let mut added = self.added();
        if !added.iter().any(|known| known == directory) {
            if added.len() == MAX_ADDED_SKILLS {
                added.remove(0);
            }
            added.push(directory.to_owned());
        }
    }

    fn added(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
