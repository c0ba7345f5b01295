//! Completions by id: those running, and those finished but still readable.
//!
//! Owns that an id runs at most once, and how many are kept. Running them is [`super::task`]'s.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tandem_chat_core::id::CompletionId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::buffer::{Budget, Buffer};
use crate::config::Completions as Limits;

/// One completion, from its start until it is forgotten.
#[derive(Debug)]
pub struct Completion {
    /// Its id.
    pub id: CompletionId,
    /// Its events.
    pub buffer: Arc<Buffer>,
    /// Stops it at once.
    pub cancel: CancellationToken,
    /// It counts among the finished ones.
    has_finished: AtomicBool,
}

/// All completions of this replica.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    budget: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<CompletionId, Arc<Completion>>,
    /// In the order in which they finished, with when that was.
    finished: VecDeque<(CompletionId, Instant)>,
}

/// What came of asking for a completion.
#[derive(Debug)]
pub enum Entry {
    /// It is new and the caller must run it.
    New(Arc<Completion>),
    /// It runs, or has finished, already.
    Known(Arc<Completion>),
}

/// No more completions can run here now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{max_running} completions are running")]
pub struct Overloaded {
    /// The limit.
    pub max_running: usize,
}

impl Registry {
    /// No completions.
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Budget::new(limits.max_total_bytes),
            limits,
            state: Mutex::default(),
        }
    }

    /// The completion of that id, made if there is none.
    ///
    /// # Errors
    /// [`Overloaded`] if a new one would be too many.
    pub fn enter(&self, id: CompletionId) -> Result<Entry, Overloaded> {
        let mut state = self.lock();
        if let Some(known) = state.known.get(&id) {
            return Ok(Entry::Known(Arc::clone(known)));
        }
        if state.known.len() - state.finished.len() >= self.limits.max_running {
            return Err(Overloaded {
                max_running: self.limits.max_running,
            });
        }
        let completion = Arc::new(Completion {
            id,
            buffer: Buffer::new(self.limits.max_buffer_bytes, Arc::clone(&self.budget)),
            cancel: CancellationToken::new(),
            has_finished: AtomicBool::new(false),
        });
        state.known.insert(id, Arc::clone(&completion));
        Ok(Entry::New(completion))
    }

    /// The completion of that id, if it is held here.
    pub fn find(&self, id: CompletionId) -> Option<Arc<Completion>> {
        self.lock().known.get(&id).map(Arc::clone)
    }

    /// Says that a completion runs no more. It stays readable until it is forgotten.
    pub fn finish(&self, id: CompletionId, now: Instant) {
        let mut state = self.lock();
        let is_first = |completion: &Arc<Completion>| !completion.has_finished.swap(true, Ordering::Relaxed);
        if state.known.get(&id).is_some_and(is_first) {
            state.finished.push_back((id, now));
        }
        // As many finished ones are kept as may run.
        while state.finished.len() > self.limits.max_running {
            forget_oldest(&mut state);
        }
    }

    /// How long finished ones stay readable.
    pub fn retention(&self) -> Duration {
        self.limits.retention
    }

    /// Forgets those that finished longer ago than they are kept; readers that have one keep it.
    pub fn forget_expired(&self, now: Instant) {
        let mut state = self.lock();
        while let Some((_, finished_at)) = state.finished.front()
            && now.saturating_duration_since(*finished_at) >= self.limits.retention
        {
            forget_oldest(&mut state);
        }
    }

    /// Forgets the completion that finished first, to gain room. False if there is none.
    pub fn forget_oldest(&self) -> bool {
        forget_oldest(&mut self.lock())
    }

    /// Stops all.
    pub fn cancel_all(&self) {
        for completion in self.lock().known.values() {
            completion.cancel.cancel();
        }
    }

    /// How many run now.
    pub fn running_count(&self) -> usize {
        let state = self.lock();
        state.known.len() - state.finished.len()
    }

    /// What all hold now.
    pub fn held_bytes(&self) -> usize {
        self.budget.used_bytes()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_oldest(state: &mut State) -> bool {
    match state.finished.pop_front() {
        Some((oldest, _)) => {
            state.known.remove(&oldest);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> CompletionId {
        CompletionId::new(Uuid::from_u128(number))
    }

    fn registry(max_running: usize) -> Registry {
        Registry::new(Limits {
            max_running,
            ..Limits::default()
        })
    }

    #[test]
    fn an_id_is_entered_once() {
        let registry = registry(2);
        let Ok(Entry::New(first)) = registry.enter(id(1)) else {
            panic!("is new")
        };
        let Ok(Entry::Known(again)) = registry.enter(id(1)) else {
            panic!("is known")
        };
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn only_so_many_run_and_finished_ones_do_not_count() {
        let registry = registry(1);
        registry.enter(id(1)).unwrap();
        assert_eq!(registry.enter(id(2)).unwrap_err(), Overloaded { max_running: 1 });
        registry.finish(id(1), Instant::now());
        registry.enter(id(2)).unwrap();
        assert!(registry.find(id(1)).is_some());
        assert_eq!(registry.running_count(), 1);
    }

    #[test]
    fn finished_ones_are_forgotten_oldest_first_when_there_are_too_many() {
        let registry = registry(1);
        for number in 1..=3 {
            registry.enter(id(number)).unwrap();
            registry.finish(id(number), Instant::now());
        }
        assert!(registry.find(id(1)).is_none() && registry.find(id(2)).is_none());
        assert!(registry.find(id(3)).is_some());
        assert!(registry.forget_oldest() && !registry.forget_oldest());
    }

    #[test]
    fn finished_ones_are_forgotten_when_their_time_is_over() {
        let registry = registry(2);
        registry.enter(id(1)).unwrap();
        registry.enter(id(2)).unwrap();
        let finished_at = Instant::now();
        registry.finish(id(1), finished_at);
        let over = finished_at + registry.retention();
        registry.forget_expired(over - Duration::from_nanos(1));
        assert!(registry.find(id(1)).is_some());
        registry.forget_expired(over);
        assert!(registry.find(id(1)).is_none() && registry.find(id(2)).is_some());
        assert_eq!(registry.running_count(), 1);
    }

    #[test]
    fn finishing_and_forgetting_are_harmless_twice() {
        let registry = registry(1);
        registry.enter(id(1)).unwrap();
        let now = Instant::now();
        registry.finish(id(1), now);
        registry.finish(id(1), now);
        assert_eq!(registry.running_count(), 0);
        let over = now + registry.retention();
        registry.forget_expired(over);
        registry.forget_expired(over);
        registry.finish(id(1), over);
        assert_eq!(registry.running_count(), 0);
    }
}
