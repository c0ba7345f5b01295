//! One repository: where it is, and where its head stands.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Error, Git, Run};
use super::remote;

/// Bytes of a small file of a repository's own that are read.
const MAX_FILE_BYTES: u64 = 4 * 1024;

/// Time for a question about the head.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// What an answer about the head may be long.
const MAX_ANSWER_BYTES: usize = 8 * 1024;

/// Longest name of a branch that is passed on, in bytes; git allows no longer ones where they are files.
const MAX_BRANCH_BYTES: usize = 1_024;

/// A working tree with its repository, both in the workspace.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// The working tree.
    pub(super) root: PathBuf,
    /// What belongs to this working tree.
    pub(super) git_dir: PathBuf,
    /// What all working trees of the repository share.
    pub(super) common_dir: PathBuf,
}

/// Where a repository stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Empty when the head is detached.
    pub(super) branch: String,
    /// Without credentials; empty when there is none.
    pub(super) origin: String,
}

/// The working tree that `path` lies in, if there is one at or below `home`. The path needs not exist.
pub(super) fn root_of(home: &Path, path: &Path) -> Option<PathBuf> {
    let existing = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok())?;
    if !existing.starts_with(home) {
        return None;
    }
    let up = existing.ancestors().take_while(|ancestor| ancestor.starts_with(home));
    let mut roots = up.filter(|ancestor| ancestor.join(".git").symlink_metadata().is_ok());
    // What lies in a repository's own directory is no part of the working tree.
    roots
        .find(|root| !existing.starts_with(root.join(".git")))
        .map(Path::to_owned)
}

impl Repository {
    /// The repository of a working tree. `None` when there is none, or when it lies outside of `home`.
    pub(super) fn open(home: &Path, root: &Path) -> Option<Self> {
        let dot_git = root.join(".git");
        let kind = dot_git.metadata().ok()?;
        let git_dir = if kind.is_dir() {
            dot_git
        } else {
            // A further working tree, or a part of another repository, says where its repository is.
            let text = small_file(&dot_git)?;
            root.join(path_of(text.strip_prefix(b"gitdir:")?))
        };
        let git_dir = git_dir.canonicalize().ok().filter(|path| path.starts_with(home))?;
        let common_dir = match small_file(&git_dir.join("commondir")) {
            Some(text) => git_dir.join(path_of(&text)).canonicalize().ok()?,
            None => git_dir.clone(),
        };
        let is_one = git_dir.join("HEAD").symlink_metadata().is_ok() && common_dir.join("objects").is_dir();
        (is_one && common_dir.starts_with(home)).then(|| Self {
            root: root.to_owned(),
            git_dir,
            common_dir,
        })
    }

    /// Where the repository stands.
    ///
    /// # Errors
    /// Git cannot say.
    pub(super) async fn head(&self, git: &Git) -> Result<Head, Error> {
        let branch = self.ask(git, &["symbolic-ref", "--quiet", "--short", "HEAD"]).await?;
        let origin = self.ask(git, &["config", "--get", "remote.origin.url"]).await?;
        Ok(Head {
            branch: Some(branch)
                .filter(|name| name.len() <= MAX_BRANCH_BYTES)
                .unwrap_or_default(),
            origin: remote::without_credentials(&origin),
        })
    }

    /// The commit the head stands at; `None` before the first one.
    ///
    /// # Errors
    /// Git cannot say.
    pub(super) async fn commit(&self, git: &Git) -> Result<Option<String>, Error> {
        let commit = self
            .ask(git, &["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])
            .await?;
        let is_id = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(Some(commit).filter(|_| is_id))
    }

    /// Whether objects have ids of 256 bits.
    ///
    /// # Errors
    /// Git cannot say.
    pub(super) async fn has_long_ids(&self, git: &Git) -> Result<bool, Error> {
        Ok(self.ask(git, &["rev-parse", "--show-object-format"]).await? == "sha256")
    }

    /// One line; empty where there is none.
    async fn ask(&self, git: &Git, words: &[&str]) -> Result<String, Error> {
        let run = Run {
            directory: Some(&self.root),
            git_dir: Some(&self.git_dir),
            arguments: words.iter().map(OsStr::new).collect(),
            max_output: MAX_ANSWER_BYTES,
            ..Run::default()
        };
        match git.run(&run, HEAD_TIME).await {
            Ok(line) => Ok(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned()),
            // As it says that there is no such thing.
            Err(Error::Failed) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

/// A regular file's beginning. Anything else is not opened: it might never end, or never begin.
fn small_file(path: &Path) -> Option<Vec<u8>> {
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

fn path_of(text: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(text.trim_ascii()))
}
