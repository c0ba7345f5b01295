//! Gates: named places where replies wait until a test lets them go on.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// All gates of one server. A gate nobody mentioned yet is closed.
#[derive(Default)]
pub(super) struct Gates {
    states: Mutex<HashMap<String, State>>,
    changed: Notify,
}

#[derive(Default, Clone, Copy)]
struct State {
    is_open: bool,
    waiting: usize,
}

impl Gates {
    /// Lets everyone through who waits at the gate, now and later.
    pub fn open(&self, name: &str) {
        self.states().entry(name.to_owned()).or_default().is_open = true;
        self.changed.notify_waiters();
    }

    /// Makes those who come later wait again.
    pub fn close(&self, name: &str) {
        self.states().entry(name.to_owned()).or_default().is_open = false;
    }

    /// Closes every gate; whoever waits goes on waiting.
    pub fn reset(&self) {
        self.states().retain(|_, state| {
            state.is_open = false;
            state.waiting > 0
        });
    }

    /// Returns when the gate is open. Dropping the future leaves the queue.
    pub async fn pass(self: Arc<Self>, name: String) {
        let _place = Place::take(&self, &name);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state(&name).is_open {
                return;
            }
            changed.await;
        }
    }

    /// Returns when at least `count` replies wait at the gate.
    pub async fn waited_at(&self, name: &str, count: usize) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state(name).waiting >= count {
                return;
            }
            changed.await;
        }
    }

    fn state(&self, name: &str) -> State {
        self.states().get(name).copied().unwrap_or_default()
    }

    fn states(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue of a gate.
struct Place<'a> {
    gates: &'a Gates,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn take(gates: &'a Gates, name: &'a str) -> Self {
        gates.states().entry(name.to_owned()).or_default().waiting += 1;
        gates.changed.notify_waiters();
        Self { gates, name }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.gates.states().get_mut(self.name) {
            state.waiting = state.waiting.saturating_sub(1);
        }
    }
}
