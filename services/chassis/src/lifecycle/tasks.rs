//! Named background tasks with a declared answer to "what if it ends?".

use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Shutdown;

/// What a task's end means while the process is not draining.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnEnd {
    /// It does its work and ends. A panic is logged.
    Expected,
    /// The service cannot do without it: its end is logged as an error, draining begins, and
    /// [`Tasks::failure`] names it.
    Fatal,
}

/// The background tasks of a process. Cheap to clone; clones share the tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: Shutdown,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: AtomicU64,
    running: Mutex<BTreeMap<u64, &'static str>>,
    failure: Mutex<Option<&'static str>>,
}

impl Tasks {
    /// No tasks yet. A fatal end drains `shutdown`.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            tracker: TaskTracker::new(),
            shutdown,
            state: Arc::default(),
        }
    }

    /// Runs `task` in the background, within the current span.
    pub fn spawn(
        &self,
        name: &'static str,
        on_end: OnEnd,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let entry = Entry::new(Arc::clone(&self.state), name);
        let shutdown = self.shutdown.clone();
        let watched = async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            entry.ended(on_end, outcome.is_err(), &shutdown);
        };
        self.tracker.spawn(watched.in_current_span()).abort_handle()
    }

    /// Names of the tasks still running, sorted by start.
    pub fn running(&self) -> Vec<&'static str> {
        lock(&self.state.running).values().copied().collect()
    }

    /// The first fatal task that ended too early, if any. A process with a failure exits non-zero.
    pub fn failure(&self) -> Option<&'static str> {
        *lock(&self.state.failure)
    }

    /// Waits up to `limit` for all tasks to end, those started meanwhile included.
    ///
    /// # Errors
    /// The names of the tasks still running then.
    pub async fn finish(&self, limit: Duration) -> Result<(), Vec<&'static str>> {
        self.tracker.close();
        let waited = tokio::time::timeout(limit, self.tracker.wait()).await;
        self.tracker.reopen();
        waited.map_err(|_| self.running())
    }
}

/// A running task's line in the list; leaves with the task, also when it is aborted.
struct Entry {
    state: Arc<State>,
    id: u64,
    name: &'static str,
}

impl Entry {
    fn new(state: Arc<State>, name: &'static str) -> Self {
        let id = state.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&state.running).insert(id, name);
        Self { state, id, name }
    }

    fn ended(&self, on_end: OnEnd, is_panic: bool, shutdown: &Shutdown) {
        let task = self.name;
        if is_panic {
            tracing::error!(task, "task panicked");
        }
        let is_too_early = on_end == OnEnd::Fatal && !shutdown.is_draining();
        if is_too_early {
            tracing::error!(task, "task ended, which the service cannot do without; draining");
            lock(&self.state.failure).get_or_insert(task);
            shutdown.drain();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.state.running).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn tasks() -> (Tasks, Shutdown) {
        let shutdown = Shutdown::new();
        (Tasks::new(shutdown.clone()), shutdown)
    }

    #[tokio::test]
    async fn an_expected_end_changes_nothing() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("once", OnEnd::Expected, async {});
        tasks.finish(LIMIT).await.unwrap();
        assert_eq!(tasks.failure(), None);
        assert!(!shutdown.is_draining());
        assert!(tasks.running().is_empty());
    }

    #[tokio::test]
    async fn a_fatal_end_drains_and_is_named() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("claims", OnEnd::Fatal, async {});
        shutdown.draining().await;
        assert_eq!(tasks.failure(), Some("claims"));
    }

    #[tokio::test]
    async fn a_fatal_panic_drains_too() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("claims", OnEnd::Fatal, async { panic!("on purpose") });
        shutdown.draining().await;
        assert_eq!(tasks.failure(), Some("claims"));
    }

    #[tokio::test]
    async fn a_fatal_end_while_draining_is_in_order() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("claims", OnEnd::Fatal, shutdown.draining());
        shutdown.drain();
        tasks.finish(LIMIT).await.unwrap();
        assert_eq!(tasks.failure(), None);
    }

    #[tokio::test]
    async fn finish_names_those_still_running() {
        let (tasks, _shutdown) = tasks();
        let handle = tasks.spawn("stuck", OnEnd::Expected, std::future::pending());
        let left = tasks.finish(Duration::from_millis(5)).await;
        assert_eq!(left, Err(vec!["stuck"]));

        handle.abort();
        tasks.finish(LIMIT).await.unwrap();
    }
}
