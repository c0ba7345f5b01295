//! Chats' repositories, watched once for all readers. What is known is a log of versions, and readers are cursors over it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tandem_proto::tool::v1::{WatchGitResponse, WatchedRepository};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::{GitChanges, GitRepository, WatchGit};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::agents::{Agents, Connection, MAX_DIFF_BYTES};
use crate::metrics::{Counted, Metrics};

/// One watch is begun anew after this long; readers do not notice.
const WATCH_TIME: Duration = Duration::from_secs(6 * 60 * 60);

/// Time for an agent whose link broke to come back.
const RETURN_TIME: Duration = Duration::from_secs(30);

/// Pause before an agent that refused is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Changes of an agent that wait to be taken in.
const QUEUE: usize = 8;

/// Repositories of one chat, those that are gone included.
const MAX_REPOSITORIES: usize = 100;

/// More than the sentence has that stands in place of a diff, in bytes.
const MAX_NOTE_BYTES: usize = 256;

/// Watches by chat and workspace.
type Open = HashMap<(String, String), Weak<Watch>>;

/// All watches. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Watches {
    agents: Agents,
    metrics: Metrics,
    open: Arc<Mutex<Open>>,
}

/// One chat's repositories as they stand. Dropping the last reader ends it.
struct Watch {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    task: Mutex<Option<AbortHandle>>,
    _counted: Counted,
}

#[derive(Default)]
struct State {
    version: u64,
    scanned_at: Option<prost_types::Timestamp>,
    /// By root, with the version that changed it.
    repositories: BTreeMap<String, (u64, WatchedRepository)>,
    has_ended: bool,
}

/// A cursor over one chat's repositories.
pub(crate) struct Reader {
    watch: Arc<Watch>,
    version: watch::Receiver<u64>,
    seen: u64,
}

impl Watches {
    pub(crate) fn new(agents: Agents, metrics: Metrics) -> Self {
        Self {
            agents,
            metrics,
            open: Arc::default(),
        }
    }

    /// Joins the watch of a chat, or begins it.
    pub(crate) fn read(&self, chat_id: &str, workspace_id: &str, connection: Connection) -> Reader {
        let key = (chat_id.to_owned(), workspace_id.to_owned());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, watch| watch.strong_count() > 0);
        let living = open
            .get(&key)
            .and_then(Weak::upgrade)
            .filter(|watch| !watch.state().has_ended);
        let watch = living.unwrap_or_else(|| {
            let watch = Arc::new(Watch {
                state: Mutex::default(),
                version: watch::Sender::new(0),
                task: Mutex::new(None),
                _counted: self.metrics.git_watched(),
            });
            let task = tokio::spawn(keep(
                Arc::downgrade(&watch),
                self.agents.clone(),
                key.clone(),
                connection,
            ));
            *watch.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
            open.insert(key, Arc::downgrade(&watch));
            watch
        });
        Reader {
            version: watch.version.subscribe(),
            watch,
            seen: 0,
        }
    }
}

impl Reader {
    /// What differs from what this reader was told before, once something does. `None` when there is nothing to watch any more.
    pub(crate) async fn next(&mut self) -> Option<WatchGitResponse> {
        let seen = self.seen;
        // The sender is in the watch, which this reader keeps.
        let _ = self.version.wait_for(|version| *version > seen).await;
        let state = self.watch.state();
        if state.has_ended {
            return None;
        }
        let is_news =
            |(version, repository): &&(u64, WatchedRepository)| *version > seen && (seen > 0 || !repository.is_removed);
        let changed = state.repositories.values().filter(is_news);
        let answer = WatchGitResponse {
            scanned_at: state.scanned_at,
            repositories: changed.map(|(_, repository)| repository.clone()).collect(),
        };
        self.seen = state.version;
        drop(state);
        Some(answer)
    }
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, changes: GitChanges, is_first: bool) {
        let mut state = self.state();
        state.take(changes, is_first);
        let version = state.version;
        drop(state);
        self.version.send_replace(version);
    }

    fn end(&self) {
        let mut state = self.state();
        state.has_ended = true;
        state.version += 1;
        let version = state.version;
        drop(state);
        self.version.send_replace(version);
    }
}

impl State {
    /// Takes in what an agent tells. The first news of a link has all repositories there are.
    fn take(&mut self, changes: GitChanges, is_first: bool) {
        self.version += 1;
        self.scanned_at = changes.scanned_at;
        let version = self.version;
        let told: Vec<WatchedRepository> = changes.repositories.into_iter().map(known).collect();
        if is_first {
            for (changed, repository) in self.repositories.values_mut() {
                if !repository.is_removed && !told.iter().any(|other| other.root == repository.root) {
                    *changed = version;
                    *repository = gone(&repository.root);
                }
            }
        }
        for repository in told {
            let known = self.repositories.get(&repository.root);
            if known.is_none_or(|(_, known)| *known != repository) {
                self.repositories.insert(repository.root.clone(), (version, repository));
            }
        }
        while self.repositories.len() > MAX_REPOSITORIES {
            let oldest = self
                .repositories
                .iter()
                .min_by_key(|(_, (changed, other))| (!other.is_removed, *changed));
            let Some(root) = oldest.map(|(root, _)| root.clone()) else {
                break;
            };
            self.repositories.remove(&root);
        }
        self.cut();
    }

    /// Each message is bounded, and so is what they come to: a new reader is told all of it at once. Of what was told just now the largest
    /// diffs are left out until the rest fits; what was there before has fitted, and its readers have it.
    fn cut(&mut self) {
        let mut bytes: usize = self
            .repositories
            .values()
            .map(|(_, known)| known.unified_diff.len())
            .sum();
        let version = self.version;
        while bytes > MAX_DIFF_BYTES {
            let told = self
                .repositories
                .values_mut()
                .filter(|(changed, _)| *changed == version);
            let Some((_, largest)) = told.max_by_key(|(_, known)| known.unified_diff.len()) else {
                return;
            };
            let size = largest.unified_diff.len();
            let note = format!(
                "The diff is too large to show: {size} bytes; those of all repositories together would be more than {MAX_DIFF_BYTES}."
            );
            if size <= MAX_NOTE_BYTES {
                return;
            }
            bytes -= size - note.len();
            largest.unified_diff = note;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// Keeps an agent watching as long as there are readers.
async fn keep(watch: Weak<Watch>, agents: Agents, (chat_id, workspace_id): (String, String), first: Connection) {
    let mut connection = Some(first);
    loop {
        let Some(agent) = connection.take() else {
            connection = agents.wait(&workspace_id, RETURN_TIME).await;
            if connection.is_none() {
                if let Some(watch) = watch.upgrade() {
                    watch.end();
                }
                return;
            }
            continue;
        };
        let (sender, mut changes) = mpsc::channel(QUEUE);
        let _listening = agent.git().listen(&chat_id, sender);
        let asking = agent.call(&chat_id, Operation::WatchGit(WatchGit {}), WATCH_TIME, None);
        let mut asking = std::pin::pin!(asking);
        let mut is_first = true;
        let has_broken = loop {
            tokio::select! {
                ended = &mut asking => break ended.is_err(),
                news = changes.recv() => {
                    let Some(news) = news else { break true };
                    let Some(watch) = watch.upgrade() else { return };
                    watch.take(news, std::mem::replace(&mut is_first, false));
                }
            }
        };
        if has_broken {
            tracing::debug!(chat_id, "a watch of repositories broke");
        }
        // An agent that ends each watch at once is not asked in a circle.
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

fn gone(root: &str) -> WatchedRepository {
    WatchedRepository {
        root: root.to_owned(),
        is_removed: true,
        ..WatchedRepository::default()
    }
}

fn known(repository: GitRepository) -> WatchedRepository {
    WatchedRepository {
        root: repository.root,
        branch: repository.branch,
        remote_origin: repository.remote_origin,
        unified_diff: repository.unified_diff,
        is_removed: repository.is_removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(repositories: &[(&str, usize)]) -> GitChanges {
        let repository = |(root, bytes): &(&str, usize)| GitRepository {
            root: (*root).to_owned(),
            unified_diff: "d".repeat(*bytes),
            ..GitRepository::default()
        };
        GitChanges {
            repositories: repositories.iter().map(repository).collect(),
            ..GitChanges::default()
        }
    }

    fn sizes(state: &State) -> Vec<(&str, usize)> {
        let known = state.repositories.values();
        known
            .map(|(_, known)| (known.root.as_str(), known.unified_diff.len()))
            .collect()
    }

    #[test]
    fn diffs_of_many_messages_are_bounded_together_and_what_is_left_out_is_named() {
        let mut state = State::default();
        let most = MAX_DIFF_BYTES - 10_000;
        state.take(told(&[("a", most), ("b", 1_000)]), true);
        assert_eq!(sizes(&state), [("a", most), ("b", 1_000)]);
        state.take(told(&[("c", most), ("d", 2_000)]), false);
        assert_eq!(
            state.repositories["a"].1.unified_diff.len(),
            most,
            "readers have it already"
        );
        assert_eq!(
            state.repositories["d"].1.unified_diff.len(),
            2_000,
            "it fits beside the others"
        );
        let note = &state.repositories["c"].1.unified_diff;
        assert!(
            note.starts_with(&format!("The diff is too large to show: {most} bytes")),
            "{note}"
        );
        // What has room again is shown when it is told the next time.
        state.take(told(&[("a", 1), ("c", most)]), false);
        assert_eq!(sizes(&state), [("a", 1), ("b", 1_000), ("c", most), ("d", 2_000)]);
        for index in 0..MAX_REPOSITORIES * 2 {
            state.take(told(&[(&format!("r{index}"), MAX_DIFF_BYTES)]), false);
            let sum: usize = sizes(&state).iter().map(|(_, bytes)| bytes).sum();
            assert!(sum <= MAX_DIFF_BYTES + 64 * 1_024, "{sum}");
        }
    }
}
