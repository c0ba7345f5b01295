//! The repositories each chat works in: told when they change, looked at when the chat has worked or somebody asks.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tandem_chassis::clock::Clock;
use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::{GitChanges, GitRepository, LinkRequest};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc, watch};

use super::command::Git;
use super::compare::compare;
use super::patch;
use super::paths::Paths;
use super::repository::{Head, Repository, root_of};
use crate::files::Root;

/// Between two looks at the same repositories, at least.
const COOLDOWN: Duration = Duration::from_secs(1);

/// Between two looks while somebody watches and nothing happens.
const POLL: Duration = Duration::from_secs(30);

/// Repositories of one chat.
const MAX_REPOSITORIES: usize = 50;

/// Repositories of one chat whose heads are told of to those who do not watch.
const MAX_HEADS: usize = 8;

/// Comparisons at once in this workspace.
const MAX_COMPARISONS: usize = 2;

/// Names in a directory among which new repositories are looked for.
const MAX_ENTRIES: usize = 1_000;

/// Chats whose heads a link remembers to have told of.
const MAX_TOLD: usize = 512;

/// Files' times lag behind the clock by a tick of the kernel's.
pub(super) const CLOCK_LAG: Duration = Duration::from_millis(20);

/// All repositories of the workspace. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Repositories(Arc<Shared>);

struct Shared {
    files: Arc<Root>,
    git: Option<Git>,
    paths: Mutex<Paths>,
    /// Somebody has worked.
    worked: watch::Sender<()>,
    permits: Semaphore,
    clock: Arc<dyn Clock>,
}

/// Whose work it is.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) chat_id: String,
    /// Chats above it, whose work it is too.
    pub(crate) ancestors: Vec<String>,
}

/// What a reader has been told of a repository.
#[derive(PartialEq)]
struct Told {
    head: Head,
    diff: u64,
}

impl Repositories {
    pub(crate) fn new(files: Arc<Root>, clock: Arc<dyn Clock>) -> Self {
        let git = Git::find();
        if git.is_none() {
            tracing::warn!("this workspace has no git; changes in repositories are not shown");
        }
        Self(Arc::new(Shared {
            files,
            git,
            paths: Mutex::default(),
            worked: watch::Sender::new(()),
            permits: Semaphore::new(MAX_COMPARISONS),
            clock,
        }))
    }

    /// The chat has written a file.
    pub(crate) fn wrote(&self, work: &Work, path: &str) {
        if let Ok(relative) = self.0.files.relative(path) {
            let path = self.0.files.home().join(relative);
            self.add(work, &[path.parent().unwrap_or(&path)]);
        }
    }

    /// A process of the chat, begun at `started_at`, has ended in this directory. Repositories that were born meanwhile right below it
    /// are the chat's, too.
    pub(crate) fn ran(&self, work: &Work, directory: &Path, started_at: OffsetDateTime) {
        let born = born_below(directory, started_at.into());
        let mut places = vec![directory];
        places.extend(born.iter().map(PathBuf::as_path));
        self.add(work, &places);
    }

    /// Look again.
    pub(crate) fn refresh(&self, chat_id: &str) {
        self.paths().stir(chat_id);
        self.0.worked.send_replace(());
    }

    fn add(&self, work: &Work, directories: &[&Path]) {
        let mut paths = self.paths();
        for chat_id in work.ancestors.iter().chain([&work.chat_id]) {
            paths.add(chat_id, directories.iter().copied());
        }
        drop(paths);
        self.0.worked.send_replace(());
    }

    /// Tells of a chat's repositories until the link is gone: all of them first, then those that differ.
    pub(crate) async fn watch(&self, operation_id: u64, chat_id: &str, link: &mpsc::Sender<LinkRequest>) {
        let mut worked = self.paths().subscribe(chat_id);
        let mut told = HashMap::new();
        let mut is_first = true;
        loop {
            worked.borrow_and_update();
            let changes = self.scan(operation_id, chat_id, &mut told).await;
            if is_first || !changes.repositories.is_empty() {
                is_first = false;
                if send(link, changes).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(COOLDOWN).await;
            // The sender is kept as long as somebody watches; without it the poll goes on.
            let _ = tokio::time::timeout(POLL - COOLDOWN, worked.changed()).await;
        }
    }

    /// Tells where chats work, whenever that changes, until the link is gone.
    pub(crate) async fn tell(&self, link: &mpsc::Sender<LinkRequest>) {
        let mut worked = self.0.worked.subscribe();
        let mut told: HashMap<String, Vec<GitRepository>> = HashMap::new();
        let mut seen = 0;
        loop {
            worked.borrow_and_update();
            let (chats, now) = self.paths().since(seen);
            seen = now;
            for chat_id in chats {
                let scanned_at = self.0.clock.now();
                let heads = self.heads(&chat_id).await;
                if heads.is_empty() || told.get(&chat_id) == Some(&heads) {
                    continue;
                }
                let changes = GitChanges {
                    operation_id: 0,
                    scanned_at: Some(timestamp(scanned_at)),
                    repositories: heads.clone(),
                    chat_id: chat_id.clone(),
                };
                if send(link, changes).await.is_err() {
                    return;
                }
                if told.len() >= MAX_TOLD {
                    told.clear();
                }
                told.insert(chat_id, heads);
            }
            if worked.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(COOLDOWN).await;
        }
    }

    /// What differs from what was told before.
    async fn scan(&self, operation_id: u64, chat_id: &str, told: &mut HashMap<PathBuf, Told>) -> GitChanges {
        let scanned_at = self.0.clock.now();
        let roots = self.roots(chat_id, MAX_REPOSITORIES).await;
        let mut changed = Vec::new();
        let mut left = patch::MAX_DIFF_BYTES;
        for root in &roots {
            let Some((head, mut diff)) = self.look(root).await else {
                continue;
            };
            if diff.len() > left {
                diff = patch::too_large(Some(diff.len()));
            }
            left = left.saturating_sub(diff.len());
            let now = Told {
                diff: digest(&diff),
                head,
            };
            if told.get(root) == Some(&now) {
                continue;
            }
            if told.get(root).is_some_and(|before| before.head != now.head) {
                self.refresh(chat_id);
            }
            changed.push(GitRepository {
                root: root.to_string_lossy().into_owned(),
                branch: now.head.branch.clone(),
                remote_origin: now.head.origin.clone(),
                unified_diff: diff,
                is_removed: false,
            });
            told.insert(root.clone(), now);
        }
        let is_gone = |root: &PathBuf| !roots.contains(root) && root.join(".git").symlink_metadata().is_err();
        let gone: Vec<PathBuf> = told.keys().filter(|root| is_gone(root)).cloned().collect();
        for root in gone {
            told.remove(&root);
            changed.push(GitRepository {
                root: root.to_string_lossy().into_owned(),
                is_removed: true,
                ..GitRepository::default()
            });
        }
        changed.sort_by(|one, other| one.root.cmp(&other.root));
        GitChanges {
            operation_id,
            scanned_at: Some(timestamp(scanned_at)),
            repositories: changed,
            chat_id: chat_id.to_owned(),
        }
    }

    /// One repository as it stands; `None` when that cannot be said now.
    async fn look(&self, root: &Path) -> Option<(Head, String)> {
        let git = self.0.git.as_ref()?;
        let home = self.0.files.home();
        let repository = Repository::open(home, root)?;
        let _permit = self.0.permits.acquire().await.ok()?;
        let looked = async {
            let head = repository.head(git).await?;
            Ok::<_, super::command::Error>((head, compare(git, &repository, home).await?))
        };
        looked
            .await
            .inspect_err(|error| tracing::debug!(root = %root.display(), %error, "a repository is not told of now"))
            .ok()
    }

    /// Where the chat's repositories stand, the one last worked in first.
    async fn heads(&self, chat_id: &str) -> Vec<GitRepository> {
        let Some(git) = &self.0.git else {
            return Vec::new();
        };
        let mut heads = Vec::new();
        for root in self.roots(chat_id, MAX_HEADS).await {
            let Some(repository) = Repository::open(self.0.files.home(), &root) else {
                continue;
            };
            if let Ok(head) = repository.head(git).await {
                heads.push(GitRepository {
                    root: root.to_string_lossy().into_owned(),
                    branch: head.branch,
                    remote_origin: head.origin,
                    ..GitRepository::default()
                });
            }
        }
        heads
    }

    /// The chat's working trees, the one last worked in first.
    async fn roots(&self, chat_id: &str, most: usize) -> Vec<PathBuf> {
        let directories = self.paths().of(chat_id);
        let home = self.0.files.home().to_owned();
        let find = move || {
            let mut roots = Vec::new();
            for directory in directories {
                if let Some(root) = root_of(&home, &directory)
                    && !roots.contains(&root)
                {
                    roots.push(root);
                    if roots.len() >= most {
                        break;
                    }
                }
            }
            roots
        };
        tokio::task::spawn_blocking(find).await.unwrap_or_default()
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        self.0.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Working trees right below a directory whose repository was made after `since`.
fn born_below(directory: &Path, since: SystemTime) -> Vec<PathBuf> {
    let since = since.checked_sub(CLOCK_LAG).unwrap_or(since);
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.take(MAX_ENTRIES).flatten().map(|entry| entry.path());
    let is_born = |path: &PathBuf| {
        let found = path.join(".git").symlink_metadata();
        found.and_then(|found| found.created()).is_ok_and(|born| born >= since)
    };
    paths.filter(is_born).take(MAX_REPOSITORIES).collect()
}

async fn send(
    link: &mpsc::Sender<LinkRequest>,
    changes: GitChanges,
) -> Result<(), mpsc::error::SendError<LinkRequest>> {
    let message = Some(Message::GitChanges(changes));
    link.send(LinkRequest { message }).await
}

fn digest(diff: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    diff.hash(&mut hasher);
    hasher.finish()
}

fn timestamp(at: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or_default(),
    }
}
