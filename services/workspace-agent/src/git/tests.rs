//! Real repositories, made with the git program.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_chassis::clock;
use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::{GitChanges, LinkRequest};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::command::Git;
use super::compare::compare;
use super::repository::{Head, Repository, root_of};
use super::{Repositories, Work, repositories};
use crate::files::Root;

/// Limit of every wait.
const TIME: Duration = Duration::from_secs(30);

/// A home directory with a repository in it.
struct World {
    _directory: TempDir,
    home: PathBuf,
    root: PathBuf,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap();
        let root = home.join("work");
        std::fs::create_dir(&root).unwrap();
        let world = Self {
            _directory: directory,
            home,
            root,
        };
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world
    }

    /// A repository with a commit of these files.
    fn with(files: &[(&str, &str)]) -> Self {
        let world = Self::new();
        for (name, text) in files {
            world.write(name, text);
        }
        world.commit();
        world
    }

    fn git(&self, words: &[&str]) {
        git_in(&self.root, words);
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
    }

    fn repository(&self) -> Repository {
        Repository::open(&self.home, &self.root).unwrap()
    }

    async fn diff(&self) -> String {
        compare(&Git::find().unwrap(), &self.repository(), &self.home)
            .await
            .unwrap()
    }

    async fn head(&self) -> Head {
        self.repository().head(&Git::find().unwrap()).await.unwrap()
    }

    fn repositories(&self) -> Repositories {
        let files = Arc::new(Root::open(&self.home).unwrap());
        Repositories::new(files, Arc::new(clock::System))
    }
}

fn git_in(directory: &Path, words: &[&str]) {
    let done = Command::new("git")
        .args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(words)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

#[tokio::test]
async fn a_clean_tree_has_no_diff() {
    let world = World::with(&[("a", "1\n")]);
    assert_eq!(world.diff().await, "");
    // Touched, and as it was.
    world.write("a", "1\n");
    assert_eq!(world.diff().await, "");
}

#[tokio::test]
async fn edits_new_files_and_lost_files_are_shown_in_order() {
    let world = World::with(&[("edited", "1\n"), ("lost", "2\n"), (".gitignore", "ignored\n")]);
    world.write("edited", "1\n3\n");
    std::fs::remove_file(world.root.join("lost")).unwrap();
    world.write("new", "4\n");
    world.write("added", "5\n");
    world.write("ignored", "6\n");
    world.git(&["add", "added"]);
    let diff = world.diff().await;
    let headers: Vec<&str> = diff.lines().filter(|line| line.starts_with("diff ")).collect();
    let names = ["added", "edited", "lost", "new"];
    let expected: Vec<String> = names
        .iter()
        .map(|name| format!("diff --git a/{name} b/{name}"))
        .collect();
    assert_eq!(headers, expected, "{diff}");
    for line in [
        "+3",
        "-2",
        "+4",
        "+5",
        "new file mode 100644",
        "deleted file mode 100644",
    ] {
        assert!(diff.lines().any(|found| found == line), "{line}: {diff}");
    }
}

#[tokio::test]
async fn a_file_that_moved_is_shown_as_moved_whoever_moved_it() {
    let text: String = (0..50).map(|line| format!("line {line}\n")).collect();
    let world = World::with(&[("before", &text)]);
    std::fs::rename(world.root.join("before"), world.root.join("after")).unwrap();
    let diff = world.diff().await;
    assert!(diff.contains("rename from before\nrename to after\n"), "{diff}");
}

#[tokio::test]
async fn before_the_first_commit_everything_is_new() {
    let world = World::new();
    world.write("a", "1\n");
    assert!(world.diff().await.contains("new file mode"), "{}", world.diff().await);
    assert_eq!(world.head().await.branch, "main");
}

#[tokio::test]
async fn a_conflict_is_shown() {
    let world = World::with(&[("a", "1\n")]);
    world.git(&["checkout", "--quiet", "-b", "other"]);
    world.write("a", "2\n");
    world.commit();
    world.git(&["checkout", "--quiet", "main"]);
    world.write("a", "3\n");
    world.commit();
    let merge = Command::new("git")
        .args(["merge", "other"])
        .current_dir(&world.root)
        .output()
        .unwrap();
    assert!(!merge.status.success());
    assert!(world.diff().await.contains("+>>>>>>> other"), "{}", world.diff().await);
}

#[tokio::test]
async fn repositories_with_long_ids_are_compared() {
    let world = World::new();
    std::fs::remove_dir_all(world.root.join(".git")).unwrap();
    world.git(&["init", "--quiet", "--object-format=sha256"]);
    world.write("a", "1\n");
    assert!(world.diff().await.contains("+1"));
    world.commit();
    assert_eq!(world.diff().await, "");
    world.write("a", "2\n");
    assert!(world.diff().await.contains("-1\n+2\n"));
}

#[tokio::test]
async fn further_working_trees_are_repositories() {
    let mut world = World::with(&[("a", "1\n")]);
    world.git(&["worktree", "add", "--quiet", "../second", "-b", "second"]);
    world.root = world.home.join("second");
    world.write("a", "2\n");
    assert!(world.diff().await.contains("-1\n+2\n"));
    assert_eq!(world.head().await.branch, "second");
}

#[tokio::test]
async fn large_binary_and_odd_files_are_named_and_not_read() {
    let world = World::with(&[("large", "1\n"), ("binary", "2\n"), ("pipe", "3\n")]);
    world.write("large", "x".repeat(3 * 1024 * 1024));
    world.write("binary", [0, 159, 146, 150]);
    world.write("long", "new line\n".repeat(40_000));
    std::fs::remove_file(world.root.join("pipe")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, world.root.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    symlink("/etc/passwd", world.root.join("link")).unwrap();
    let started = Instant::now();
    let diff = world.diff().await;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    for line in [
        "This file is too large to be read: 3145728 bytes, of which 2097152 would be read.",
        "Binary files a/binary and b/binary differ",
        "This is no regular file, and is not read.",
        "+/etc/passwd",
    ] {
        assert!(diff.lines().any(|found| found == line), "{line}: {diff}");
    }
    assert!(
        diff.contains("diff --git a/long b/long\nThe diff of this file is too large to show"),
        "{diff}"
    );
    assert!(!diff.contains("root:"));
}

#[tokio::test]
async fn a_diff_that_is_too_large_altogether_is_a_sentence() {
    let world = World::with(&[("a", "1\n")]);
    for number in 0..20 {
        world.write(
            &format!("{number}"),
            format!("{number} {}\n", "x".repeat(80)).repeat(2_500),
        );
    }
    assert!(world.diff().await.starts_with("The diff is too large to show: "));
}

#[tokio::test]
async fn too_many_files_are_a_sentence() {
    let world = World::new();
    for number in 0..5_001 {
        world.write(&format!("{number}"), "x");
    }
    assert_eq!(world.diff().await, "Too many files differ to be shown.");
}

#[tokio::test]
async fn odd_names_and_encodings_are_survived() {
    let world = World::with(&[("a", "1\n")]);
    world.write("new\nline", "1\n");
    world.write("quo\"te", "1\n");
    world.write(&"n".repeat(255), "1\n");
    world.write("not-utf8", [b'a', 0xff, b'\n']);
    // Whoever says so is wrong, and must not keep the rest from being shown.
    world.write(".gitattributes", "*.txt working-tree-encoding=UTF-16\n");
    world.write("b.txt", "x");
    let diff = world.diff().await;
    assert!(diff.contains("b.txt") && diff.contains("not-utf8"), "{diff}");
    assert_eq!(diff.matches("diff --git ").count(), 6, "{diff}");
}

#[tokio::test]
async fn a_git_that_never_ends_is_ended_with_all_it_started() {
    let world = World::with(&[("a", "1\n")]);
    let (program, pids) = (world.home.join("git"), world.home.join("pids"));
    let script = format!("#!/bin/sh\nsleep 600 &\necho $$ $! >> {}\nwait\n", pids.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let compared = compare(&Git::of(program), &world.repository(), &world.home)
        .await
        .unwrap();
    assert_eq!(compared, "The repository is too large to be compared in time.");
    let pids = std::fs::read_to_string(pids).unwrap();
    let started: Vec<i32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(started.len(), 2);
    let is_running = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    let ending = async {
        while started.iter().any(is_running) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIME, ending).await.unwrap();
}

/// Whatever a repository names runs a program that leaves a trace.
#[tokio::test]
async fn nothing_that_a_repository_names_is_run() {
    let world = World::with(&[("a.txt", "1\n"), ("b.bin", "2\n")]);
    let trace = world.home.join("trace");
    let trap = world.home.join("trap");
    std::fs::write(
        &trap,
        format!("#!/bin/sh\necho \"$0 $@\" >> {}\ncat\n", trace.display()),
    )
    .unwrap();
    std::fs::set_permissions(&trap, std::fs::Permissions::from_mode(0o755)).unwrap();
    let trap = trap.to_str().unwrap();
    for (name, value) in [
        ("core.fsmonitor", trap),
        ("core.pager", trap),
        ("core.editor", trap),
        ("core.sshCommand", trap),
        ("core.askPass", trap),
        ("core.alternateRefsCommand", trap),
        ("core.gitProxy", trap),
        ("diff.external", trap),
        ("diff.trap.command", trap),
        ("diff.trap.textconv", trap),
        ("filter.trap.clean", trap),
        ("filter.trap.smudge", trap),
        ("filter.trap.process", trap),
        ("filter.trap.required", "true"),
        ("credential.helper", trap),
        ("gpg.program", trap),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", trap),
        ("remote.origin.url", "ext::sh -c trap"),
        ("alias.diff-index", "!trap"),
    ] {
        world.git(&["config", name, value]);
    }
    world.write(".gitattributes", "* filter=trap diff=trap\n");
    for hook in [
        "post-index-change",
        "fsmonitor-watchman",
        "pre-commit",
        "post-checkout",
        "reference-transaction",
    ] {
        let path = world.root.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(trap, path).unwrap();
    }
    let _ = std::fs::remove_file(&trace);
    world.write("a.txt", "3\n");
    world.write("new.txt", "4\n");
    // Objects that are not there would be fetched.
    let objects = world.root.join(".git/objects");
    let first = std::fs::read_dir(&objects)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().len() == 2)
        .unwrap();
    let moved = world.home.join("moved");
    std::fs::rename(first.path(), &moved).unwrap();
    let _ = compare(&Git::find().unwrap(), &world.repository(), &world.home).await;
    std::fs::rename(&moved, first.path()).unwrap();
    let diff = world.diff().await;
    world.head().await;
    assert!(diff.contains("-1\n+3\n") && diff.contains("+4"), "{diff}");
    assert!(!trace.exists(), "{}", std::fs::read_to_string(&trace).unwrap());
    // The trap does work: the same with the repository's own settings leaves a trace.
    let _ = Command::new("git").args(["status"]).current_dir(&world.root).output();
    assert!(trace.exists());
}

#[tokio::test]
async fn nothing_of_a_comparison_stays_and_nothing_in_the_repository_changes() {
    let world = World::with(&[("a", "1\n")]);
    world.write("a", "2\n");
    world.write("b", "3\n");
    let listing = || {
        let list = Command::new("find")
            .arg(world.root.join(".git"))
            .arg("-ls")
            .output()
            .unwrap();
        String::from_utf8(list.stdout).unwrap()
    };
    let before = listing();
    world.diff().await;
    assert_eq!(listing(), before);
    assert_eq!(std::fs::read_dir(world.home.join(".tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_branch_and_its_origin_are_told_without_credentials() {
    let world = World::with(&[("a", "1\n")]);
    world.git(&["remote", "add", "origin", "https://me:s3cret@git.example.com/a/b.git"]);
    world.git(&["checkout", "--quiet", "-b", "fix/a"]);
    let expected = Head {
        branch: "fix/a".to_owned(),
        origin: "https://git.example.com/a/b.git".to_owned(),
    };
    assert_eq!(world.head().await, expected);
    world.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(world.head().await.branch, "");
}

#[test]
fn a_repository_is_found_above_a_path_and_within_the_home_only() {
    let world = World::new();
    let (home, root) = (&world.home, &world.root);
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    assert_eq!(root_of(home, &root.join("a/b/none/c")), Some(root.clone()));
    assert_eq!(root_of(home, home), None);
    assert_eq!(root_of(&root.join("a"), &root.join("a/b")), None);
    assert_eq!(root_of(home, &root.join(".git/hooks")), None);
    symlink("/usr", home.join("out")).unwrap();
    assert_eq!(root_of(home, &home.join("out/bin")), None);
}

#[test]
fn a_repository_outside_of_the_home_is_none() {
    let world = World::new();
    let inner = world.home.join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(
        inner.join(".git"),
        format!("gitdir: {}\n", world.root.join(".git").display()),
    )
    .unwrap();
    assert!(Repository::open(&world.home, &inner).is_some());
    assert!(Repository::open(&inner, &inner).is_none());
}

/// A reader of one chat.
struct Watching {
    changes: mpsc::Receiver<LinkRequest>,
    task: AbortHandle,
}

impl Watching {
    fn new(repositories: &Repositories, chat_id: &str) -> Self {
        let (sender, changes) = mpsc::channel(16);
        let (repositories, chat_id) = (repositories.clone(), chat_id.to_owned());
        let task = tokio::spawn(async move { repositories.watch(7, &chat_id, &sender).await });
        Self {
            changes,
            task: task.abort_handle(),
        }
    }

    async fn next(&mut self) -> GitChanges {
        let message = tokio::time::timeout(TIME, self.changes.recv()).await.unwrap().unwrap();
        match message.message {
            Some(Message::GitChanges(changes)) => changes,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn work(chat_id: &str) -> Work {
    Work {
        chat_id: chat_id.to_owned(),
        ancestors: Vec::new(),
    }
}

#[tokio::test]
async fn a_reader_is_told_of_changes_and_of_their_end() {
    let world = World::with(&[("a", "1\n")]);
    let repositories = world.repositories();
    let mut watching = Watching::new(&repositories, "chat");
    assert_eq!(watching.next().await.repositories, []);

    world.write("a", "2\n");
    repositories.wrote(&work("chat"), "work/a");
    let changes = watching.next().await;
    assert_eq!((changes.operation_id, changes.chat_id.as_str()), (7, "chat"));
    let found = &changes.repositories[0];
    assert_eq!(
        (found.root.as_str(), found.branch.as_str()),
        (world.root.to_str().unwrap(), "main")
    );
    assert!(found.unified_diff.contains("-1\n+2\n"));

    world.commit();
    repositories.refresh("chat");
    let changes = watching.next().await;
    assert_eq!(changes.repositories[0].unified_diff, "");

    std::fs::remove_dir_all(world.root.join(".git")).unwrap();
    repositories.refresh("chat");
    let changes = watching.next().await;
    assert!(changes.repositories[0].is_removed);
}

#[tokio::test]
async fn a_chat_is_told_of_its_own_repositories_and_of_those_below_it() {
    let world = World::with(&[("a", "1\n")]);
    let repositories = world.repositories();
    world.write("a", "2\n");
    let below = Work {
        chat_id: "child".to_owned(),
        ancestors: vec!["parent".to_owned()],
    };
    repositories.wrote(&below, "work/a");
    for (chat_id, count) in [("child", 1), ("parent", 1), ("sibling", 0)] {
        let changes = Watching::new(&repositories, chat_id).next().await;
        assert_eq!(changes.repositories.len(), count, "{chat_id}");
    }
}

#[tokio::test]
async fn a_repository_that_a_process_made_is_its_chats() {
    let world = World::with(&[("a", "1\n")]);
    let found = world.repositories();
    // What is as old as the clocks may differ counts as born meanwhile: begin just behind that.
    let work_born_at = world.home.join("work/.git").metadata().unwrap().created().unwrap();
    let started_at = OffsetDateTime::from(work_born_at + repositories::CLOCK_LAG) + Duration::from_millis(1);
    found.ran(&work("other"), &world.home, started_at);
    git_in(&world.home, &["clone", "--quiet", "work", "copy"]);
    found.ran(&work("chat"), &world.home, started_at);
    let changes = Watching::new(&found, "chat").next().await;
    let roots: Vec<&str> = changes.repositories.iter().map(|found| found.root.as_str()).collect();
    assert_eq!(roots, [world.home.join("copy").to_str().unwrap()]);
    assert_eq!(Watching::new(&found, "other").next().await.repositories, []);
}

#[tokio::test]
async fn where_a_chat_works_is_told_when_it_changes() {
    let world = World::with(&[("a", "1\n")]);
    let repositories = world.repositories();
    let (sender, mut heads) = mpsc::channel(16);
    let telling = repositories.clone();
    let task = tokio::spawn(async move { telling.tell(&sender).await });
    let mut next = async || {
        let message = tokio::time::timeout(TIME, heads.recv()).await.unwrap().unwrap();
        match message.message {
            Some(Message::GitChanges(changes)) => changes,
            other => panic!("{other:?}"),
        }
    };
    repositories.wrote(&work("chat"), "work/a");
    let told = next().await;
    assert_eq!((told.operation_id, told.repositories[0].branch.as_str()), (0, "main"));
    world.git(&["checkout", "--quiet", "-b", "other"]);
    // What does not change it is not told of.
    repositories.wrote(&work("second"), "work/a");
    repositories.wrote(&work("chat"), "work/a");
    let mut told = [next().await, next().await];
    told.sort_by(|one, other| one.chat_id.cmp(&other.chat_id));
    let told: Vec<(&str, &str)> = told
        .iter()
        .map(|told| (told.chat_id.as_str(), told.repositories[0].branch.as_str()))
        .collect();
    assert_eq!(told, [("chat", "other"), ("second", "other")]);
    task.abort();
}
