//! How a working tree differs from the last commit, with files nobody has added yet.
//!
//! A repository's settings name programs: filters, converters, watchers, hooks. So git is never given these settings. It works in a
//! directory of our own that borrows nothing of the repository but its objects and, to read, its index: first it names what differs,
//! then it takes in the few files that are to be shown, and compares those.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access;
use tokio::time::{Instant, timeout_at};

use super::command::{Error, Git, Run};
use super::patch::{self, Unread};
use super::repository::Repository;

/// Time for one comparison.
pub(super) const COMPARE_TIME: Duration = Duration::from_secs(10);

/// Larger files are not read, in bytes.
const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;

/// Of all files of one comparison, how much is read.
const MAX_READ_BYTES: u64 = 32 * 1024 * 1024;

/// Paths that differ, beyond which nothing is compared.
const MAX_PATHS: usize = 5_000;

/// What git may print about paths, and what of a diff is looked at.
const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;
const MAX_PATCH_BYTES: usize = 4 * patch::MAX_DIFF_BYTES;

/// Largest list of ignored paths that is minded, in bytes.
const MAX_EXCLUDE_BYTES: u64 = 1024 * 1024;

/// The tree without entries, by the length of ids.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const LONG_EMPTY_TREE: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

const TOO_MANY: &str = "Too many files differ to be shown.";
const TOO_LATE: &str = "The repository is too large to be compared in time.";

/// A path that differs.
#[derive(Debug)]
struct Changed {
    path: Vec<u8>,
    /// Mode and id in the last commit; empty for new files.
    before: Vec<u8>,
    is_gone: bool,
}

/// The diff of a working tree, or a sentence why it is left out.
///
/// # Errors
/// Something that may be over at the next attempt.
pub(super) async fn compare(git: &Git, repository: &Repository, home: &Path) -> Result<String, Error> {
    let deadline = Instant::now() + COMPARE_TIME;
    let compared = timeout_at(deadline, async {
        let room = Room::new(git, repository, home).await?;
        room.compare().await
    });
    match compared.await {
        Ok(Err(Error::TooLong)) => Ok(TOO_MANY.to_owned()),
        Err(_) | Ok(Err(Error::Late)) => Ok(TOO_LATE.to_owned()),
        Ok(outcome) => outcome,
    }
}

/// Where git works, with nothing of the repository's but what it is given.
struct Room<'a> {
    git: &'a Git,
    repository: &'a Repository,
    directory: Directory,
    objects: PathBuf,
    base: String,
    /// Temporary files of the workspace are nobody's work.
    is_home: bool,
}

impl<'a> Room<'a> {
    async fn new(git: &'a Git, repository: &'a Repository, home: &Path) -> Result<Self, Error> {
        let commit = repository.commit(git).await?;
        let has_long_ids = match &commit {
            Some(commit) => commit.len() == LONG_EMPTY_TREE.len(),
            None => repository.has_long_ids(git).await?,
        };
        let empty = if has_long_ids { LONG_EMPTY_TREE } else { EMPTY_TREE };
        let directory = Directory::new(home)?;
        let path = &directory.0;
        for name in ["objects", "refs", "info"] {
            std::fs::create_dir(path.join(name))?;
        }
        std::fs::write(path.join("HEAD"), "ref: refs/heads/none\n")?;
        let mut settings = String::from(
            "[core]\n\tquotePath = false\n\tbigFileThreshold = 2m\n\tcompression = 0\n\tfsync = none\n\tpreloadIndex = true\n",
        );
        if has_long_ids {
            settings.push_str("\trepositoryFormatVersion = 1\n[extensions]\n\tobjectFormat = sha256\n");
        }
        std::fs::write(path.join("config"), settings)?;
        copy(&repository.common_dir.join("info/exclude"), &path.join("info/exclude"))?;
        Ok(Self {
            git,
            repository,
            objects: repository.common_dir.join("objects"),
            base: commit.unwrap_or_else(|| empty.to_owned()),
            is_home: repository.root == home,
            directory,
        })
    }

    async fn compare(&self) -> Result<String, Error> {
        let mut changed = self.tracked().await?;
        changed.extend(self.untracked().await?);
        if changed.is_empty() {
            return Ok(String::new());
        }
        if changed.len() > MAX_PATHS {
            return Ok(TOO_MANY.to_owned());
        }
        let root = self.repository.root.clone();
        let sorted = tokio::task::spawn_blocking(move || sort(&root, changed)).await;
        let (shown, unread) = sorted.map_err(std::io::Error::other)?;
        let tree = self.tree(&shown).await?;
        let printed = match self.patch(&tree, &shown, None).await {
            // What the repository says about its files' encodings may be wrong. Then they are compared as they are.
            Err(Error::Failed) => self.patch(&tree, &shown, Some(self.empty_tree())).await?,
            other => other?,
        };
        Ok(patch::assemble(&printed, &unread))
    }

    fn empty_tree(&self) -> &'static str {
        if self.base.len() == LONG_EMPTY_TREE.len() {
            LONG_EMPTY_TREE
        } else {
            EMPTY_TREE
        }
    }

    /// Files of the last commit, or of the index, that are not as they were.
    async fn tracked(&self) -> Result<Vec<Changed>, Error> {
        let own = self.repository.git_dir.join("index");
        let index = if own.symlink_metadata().is_ok_and(|found| found.is_file()) {
            own
        } else {
            let made = self.directory.0.join("index");
            self.run(&["read-tree", &self.base], &made, Vec::new(), &[]).await?;
            made
        };
        let words = [
            "diff-index",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules=all",
            &self.base,
            "--",
        ];
        let printed = self.run(&words, &index, Vec::new(), &[]).await?;
        let mut fields = printed.split(|byte| *byte == 0);
        let mut changed: Vec<Changed> = Vec::new();
        while let (Some(facts), Some(path)) = (fields.next(), fields.next()) {
            if facts.is_empty() {
                break;
            }
            let facts: Vec<&[u8]> = facts.split(|byte| *byte == b' ').collect();
            let [mode, new_mode, id, _, status] = facts[..] else {
                return Err(Error::Failed);
            };
            // A conflict is named beside what it leads to; another repository's place holds no file.
            let is_module = |mode: &[u8]| mode.ends_with(b"160000");
            if status.starts_with(b"U") || is_module(mode) || is_module(new_mode) {
                continue;
            }
            let mode = mode.strip_prefix(b":").unwrap_or(mode);
            let is_new = mode.iter().all(|digit| *digit == b'0');
            changed.push(Changed {
                path: path.to_vec(),
                before: if is_new { Vec::new() } else { [mode, b" ", id].concat() },
                is_gone: status.starts_with(b"D"),
            });
        }
        Ok(changed)
    }

    /// Files nobody has added, and nobody ignores.
    async fn untracked(&self) -> Result<Vec<Changed>, Error> {
        let own = self.repository.git_dir.join("index");
        let index = if own.symlink_metadata().is_ok_and(|found| found.is_file()) {
            own
        } else {
            self.directory.0.join("index")
        };
        let mut words = vec!["ls-files", "--others", "--exclude-standard", "-z"];
        if self.is_home {
            words.push("--exclude=/.tmp/");
        }
        let printed = self.run(&words, &index, Vec::new(), &[]).await?;
        // A directory among them is a repository of its own.
        let paths = printed.split(|byte| *byte == 0);
        let files = paths.filter(|path| !path.is_empty() && !path.ends_with(b"/"));
        let changed = files.map(|path| Changed {
            path: path.to_vec(),
            before: Vec::new(),
            is_gone: false,
        });
        Ok(changed.collect())
    }

    /// A tree of the files as they were.
    async fn tree(&self, shown: &[Changed]) -> Result<String, Error> {
        let mut lines = Vec::new();
        for changed in shown.iter().filter(|changed| !changed.before.is_empty()) {
            lines.extend_from_slice(&changed.before);
            lines.push(b'\t');
            lines.extend_from_slice(&changed.path);
            lines.push(0);
        }
        let index = self.directory.0.join("before");
        self.run(&["update-index", "-z", "--index-info"], &index, lines, &[])
            .await?;
        let id = self
            .run(&["write-tree", "--missing-ok"], &index, Vec::new(), &[])
            .await?;
        Ok(String::from_utf8_lossy(&id).trim().to_owned())
    }

    /// The files as they are, compared with how they were.
    async fn patch(&self, tree: &str, shown: &[Changed], attributes: Option<&str>) -> Result<Vec<u8>, Error> {
        let mut paths = Vec::new();
        for changed in shown.iter().filter(|changed| !changed.is_gone) {
            paths.extend_from_slice(&changed.path);
            paths.push(0);
        }
        let index = self.directory.0.join("after");
        // What a failed attempt has left would keep this one out.
        for left in [index.clone(), self.directory.0.join("after.lock")] {
            if let Err(error) = std::fs::remove_file(left)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error.into());
            }
        }
        let source: Vec<(&str, &OsStr)> = attributes
            .iter()
            .map(|tree| ("GIT_ATTR_SOURCE", OsStr::new(*tree)))
            .collect();
        let take_in = ["update-index", "--add", "--remove", "-z", "--stdin"];
        self.run(&take_in, &index, paths, &source).await?;
        let words = [
            "diff-index",
            "--cached",
            "--patch",
            "--find-renames",
            "-l400",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            tree,
            "--",
        ];
        self.run(&words, &index, Vec::new(), &source).await
    }

    async fn run(
        &self,
        words: &[&str],
        index: &Path,
        input: Vec<u8>,
        more: &[(&str, &OsStr)],
    ) -> Result<Vec<u8>, Error> {
        let own_objects = self.directory.0.join("objects");
        // In quotes, since a colon would end the path.
        let objects = quoted(&self.objects);
        let mut environment = vec![
            ("GIT_DIR", self.directory.0.as_os_str()),
            ("GIT_WORK_TREE", self.repository.root.as_os_str()),
            ("GIT_INDEX_FILE", index.as_os_str()),
            ("GIT_OBJECT_DIRECTORY", own_objects.as_os_str()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects.as_os_str()),
        ];
        environment.extend_from_slice(more);
        let is_patch = words.contains(&"--patch");
        let run = Run {
            directory: Some(&self.repository.root),
            git_dir: None,
            arguments: words.iter().map(OsStr::new).collect(),
            environment,
            input,
            max_output: if is_patch { MAX_PATCH_BYTES } else { MAX_LIST_BYTES },
        };
        match self.git.run(&run, COMPARE_TIME).await {
            Err(Error::TooLong) if is_patch => Ok(too_long()),
            other => other,
        }
    }
}

/// What stands for a diff that was not read to its end: so large that it is replaced.
fn too_long() -> Vec<u8> {
    let file = |number: usize| {
        let mut text = format!("diff --git a/{number} b/{number}\n").into_bytes();
        text.resize(patch::MAX_FILE_DIFF_BYTES, b'+');
        text.push(b'\n');
        text
    };
    (0..=patch::MAX_DIFF_BYTES / patch::MAX_FILE_DIFF_BYTES)
        .flat_map(file)
        .collect()
}

/// Which files are shown, and which are only named.
fn sort(root: &Path, changed: Vec<Changed>) -> (Vec<Changed>, Vec<Unread>) {
    let mut left = MAX_READ_BYTES;
    let mut unread = Vec::new();
    let mut shown = Vec::new();
    for file in changed {
        match judge(root, &file, &mut left) {
            None => shown.push(file),
            Some(reason) => unread.push(Unread {
                path: file.path,
                reason,
            }),
        }
    }
    (shown, unread)
}

/// Why a file is not read.
fn judge(root: &Path, file: &Changed, left: &mut u64) -> Option<String> {
    if file.is_gone {
        return None;
    }
    let path = root.join(OsStr::from_bytes(&file.path));
    // A file that vanishes meanwhile is gone.
    let found = path.symlink_metadata().ok()?;
    if found.is_symlink() {
        return None;
    }
    if !found.is_file() {
        return Some("This is no regular file, and is not read.".to_owned());
    }
    let size = found.len();
    if size > MAX_FILE_BYTES {
        return Some(format!(
            "This file is too large to be read: {size} bytes, of which {MAX_FILE_BYTES} would be read."
        ));
    }
    if rustix::fs::access(&path, Access::READ_OK).is_err() {
        return Some("This file may not be read.".to_owned());
    }
    if size > *left {
        return Some("This file is not read: too many others differ.".to_owned());
    }
    *left -= size;
    None
}

/// Copies the beginning of a regular file, if there is one.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.metadata().is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    let mut text = Vec::new();
    std::fs::File::open(from)?
        .take(MAX_EXCLUDE_BYTES)
        .read_to_end(&mut text)?;
    std::fs::File::create(to)?.write_all(&text)
}

/// A path as lists of paths have it.
fn quoted(path: &Path) -> OsString {
    let mut text = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
    OsString::from_vec(text)
}

/// A directory that goes with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new(home: &Path) -> std::io::Result<Self> {
        let temporary = home.join(".tmp");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&temporary)?;
        let path = temporary.join(format!("compare-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "a directory of a comparison is left");
        }
    }
}
