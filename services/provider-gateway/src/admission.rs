//! How many completions a provider runs at once on this replica. More than its limit wait in a line in which owners take turns; the line
//! and the wait are bounded, and whoever stops waiting leaves it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tandem_chassis::config::duration;
use tandem_chat_core::id::{ProviderId, UserId};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use self::line::{Full, Line};
use crate::{catalog::Provider, metrics::Metrics};

mod line;

/// When to come back to a provider whose line is full.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How completions wait.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Completions that wait for one provider; more are refused as overloaded.
    pub max_queued: usize,
    /// How long one waits before it is refused as overloaded.
    #[serde(with = "duration")]
    pub max_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_queued: 256,
            max_wait: Duration::from_secs(60),
        }
    }
}

/// The provider has no room for a completion now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Too many wait already.
    #[error("{queued} completions wait for this provider already")]
    Full {
        /// How many.
        queued: usize,
    },
    /// Its turn did not come in time.
    #[error("its turn did not come within {} seconds", waited.as_secs())]
    TooLong {
        /// How long it has waited.
        waited: Duration,
    },
    /// It gave its place to somebody who waits for fewer.
    #[error("too many completions of the same user wait for this provider")]
    Displaced,
}

impl Busy {
    /// When it may be worth another try.
    pub fn retry_after(&self) -> Duration {
        RETRY_AFTER
    }

    /// The name in metrics.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::TooLong { .. } => "too_long",
            Self::Displaced => "displaced",
        }
    }
}

/// What goes on at a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Completions under way.
    pub running: usize,
    /// Completions that wait.
    pub queued: usize,
}

/// The lines at all providers. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Admission(Arc<Parts>);

struct Parts {
    config: Config,
    metrics: Metrics,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// Only those where something goes on.
    known: HashMap<ProviderId, Line<oneshot::Sender<Call>>>,
    next_number: u64,
}

/// What somebody hears who waits.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Enter,
    Displaced,
}

/// The right to run one completion. Dropping it makes room for the next one.
#[must_use = "the room is given up when this is dropped"]
pub struct Slot {
    admission: Admission,
    provider: ProviderId,
}

/// A place in a line. Dropping it gives it up, even if it has just been called.
struct Ticket {
    admission: Admission,
    provider: ProviderId,
    number: u64,
    call: oneshot::Receiver<Call>,
}

impl Admission {
    /// Nobody anywhere.
    pub fn new(config: Config, metrics: Metrics) -> Self {
        Self(Arc::new(Parts {
            config,
            metrics,
            lines: Mutex::default(),
        }))
    }

    /// Waits for the right to run a completion of `owner` at `provider`. Dropping the future leaves the line.
    ///
    /// # Errors
    /// [`Busy`] when too many wait, or this one has waited too long.
    pub async fn enter(&self, provider: &Provider, owner: Option<UserId>) -> Result<Slot, Busy> {
        let Parts { config, metrics, .. } = &*self.0;
        let entered = match self.queue(provider, owner) {
            Ok(None) => Ok(()),
            Ok(Some(ticket)) => {
                metrics.set_queued(&provider.name, self.load(provider.id).queued);
                let since = Instant::now();
                let called = ticket.called(config.max_wait).await;
                metrics.set_queued(&provider.name, self.load(provider.id).queued);
                metrics.waited(&provider.name, since.elapsed());
                called
            }
            Err(busy) => Err(busy),
        };
        match entered {
            Ok(()) => Ok(Slot {
                admission: self.clone(),
                provider: provider.id,
            }),
            Err(busy) => {
                metrics.refused(&provider.name, busy.as_str());
                Err(busy)
            }
        }
    }

    /// What goes on at a provider.
    pub fn load(&self, provider: ProviderId) -> Load {
        let lines = self.lock();
        let load = |line: &Line<_>| Load {
            running: line.inside(),
            queued: line.queued(),
        };
        lines.known.get(&provider).map(load).unwrap_or_default()
    }

    /// A place in the line; `None` for whoever enters at once.
    fn queue(&self, provider: &Provider, owner: Option<UserId>) -> Result<Option<Ticket>, Busy> {
        let mut lines = self.lock();
        let number = lines.next_number;
        lines.next_number += 1;
        let line = lines.known.entry(provider.id).or_default();
        line.limit = provider.max_concurrent;
        // A limit that was raised meanwhile.
        call_in(line);
        if line.enter() {
            return Ok(None);
        }
        let (waiter, call) = oneshot::channel();
        match line.queue(self.0.config.max_queued, owner, number, waiter) {
            Ok(displaced) => {
                if let Some(displaced) = displaced {
                    // Whoever has stopped waiting need not be told.
                    let _ = displaced.send(Call::Displaced);
                }
                Ok(Some(Ticket {
                    admission: self.clone(),
                    provider: provider.id,
                    number,
                    call,
                }))
            }
            Err(Full) => Err(Busy::Full { queued: line.queued() }),
        }
    }

    fn leave(&self, provider: ProviderId) {
        let mut lines = self.lock();
        if let Some(line) = lines.known.get_mut(&provider) {
            line.leave();
            call_in(line);
            if line.inside() == 0 && line.queued() == 0 {
                lines.known.remove(&provider);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls those in for whom there is room. One who has stopped waiting gives the room back: see [`Ticket`].
fn call_in(line: &mut Line<oneshot::Sender<Call>>) {
    while let Some(next) = line.advance() {
        if next.send(Call::Enter).is_err() {
            line.leave();
        }
    }
}

impl Ticket {
    async fn called(mut self, max_wait: Duration) -> Result<(), Busy> {
        match timeout(max_wait, &mut self.call).await {
            Ok(Ok(Call::Enter)) => Ok(()),
            // The line lives as long as somebody waits in it.
            Ok(Ok(Call::Displaced) | Err(_)) => Err(Busy::Displaced),
            Err(_) => Err(Busy::TooLong { waited: max_wait }),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let has_given_up = {
            let mut lines = self.admission.lock();
            let line = lines.known.get_mut(&self.provider);
            line.is_some_and(|line| line.give_up(self.number))
        };
        // Called in, but not heard.
        if !has_given_up && self.call.try_recv() == Ok(Call::Enter) {
            self.admission.leave(self.provider);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.leave(self.provider);
    }
}

#[cfg(test)]
mod tests;
