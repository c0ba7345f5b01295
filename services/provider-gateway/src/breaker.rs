//! Leaves a vendor's model alone for a while after it has shown, several times in a row or in half of its latest requests, that it cannot
//! answer.
//!
//! One breaker per (provider, model). It counts answers that mean "no capacity" (503, 504, 529) and failures to connect. A rate limit
//! (429) never counts: the key pool deals with it. What happens after a stream has begun does not count either.
//! State is in memory, per replica.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tandem_chassis::{clock::Clock, config::duration};
use tandem_chat_core::id::ProviderId;
use tokio::time::Instant;

/// Troubled pairs remembered; beyond it the oldest is forgotten, which closes its breaker.
const MAX_TROUBLED: usize = 4096;

/// How many of a model's latest requests are looked at together.
const RECENT: u32 = 20;

/// When a breaker opens and for how long.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Consecutive failures that open it.
    pub failure_threshold: u32,
    /// Failures among the latest 20 requests that open it too, though others are answered between them; more than 20: none do.
    pub recent_failures: u32,
    /// A run of failures whose first is older than this starts anew, and requests before a pause this long are forgotten.
    #[serde(with = "duration")]
    pub window: Duration,
    /// How long it rejects before it lets one probe through.
    #[serde(with = "duration")]
    pub open: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            recent_failures: 10,
            window: Duration::from_secs(60),
            open: Duration::from_secs(30),
        }
    }
}

/// What a request turned out to say about the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, be it with an error.
    Answered,
    /// It has no capacity, or is not there.
    Unavailable,
}

/// Whether a vendor's status means that it has no capacity, or is not there.
pub fn is_unavailable(status: u16) -> bool {
    matches!(status, 503 | 504 | 529)
}

/// The breaker is open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failures} of the latest requests failed, the last with: {last_failure}")]
pub struct Open {
    /// Until the next probe.
    pub retry_after: Duration,
    /// How many failures opened it.
    pub failures: u32,
    /// What the last of them was, without secrets.
    pub last_failure: String,
}

/// The state of one breaker.
///
/// | state | request | answered | unavailable | time over |
/// |---|---|---|---|---|
/// | closed | passes | run of failures ends | run + 1; at a threshold → open | run starts anew |
/// | open | rejected | – | – | half-open |
/// | half-open | one passes, others are rejected | → closed | → open | – |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Lets requests pass.
    Closed,
    /// Rejects requests.
    Open,
    /// Lets one probe pass.
    HalfOpen,
}

/// What is known of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The vendor's name for it.
    pub model: String,
    /// How its breaker stands.
    pub state: State,
    /// In a row, or among its latest requests if those opened it.
    pub failures: u32,
    /// What the last of them was, without secrets.
    pub last_failure: String,
    /// Until the next probe; `None` unless open.
    pub retry_after: Option<Duration>,
}

/// All breakers of this replica.
pub struct Breakers {
    config: Config,
    clock: Arc<dyn Clock>,
    troubled: Mutex<HashMap<Target, Trouble>>,
    on_change: OnChange,
}

type OnChange = Box<dyn Fn(&Target, State) + Send + Sync>;

/// What a breaker protects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The provider.
    pub provider: ProviderId,
    /// Its name, for metrics.
    pub provider_name: String,
    /// The vendor's model.
    pub model: String,
}

/// A pair that is not plainly closed. Without trouble there is no entry.
struct Trouble {
    phase: Phase,
    failures: u32,
    /// The latest requests while closed, the last one lowest; set if it failed.
    recent: u32,
    recent_at: Instant,
    last_failure: String,
    since: Instant,
    /// Raised with each change of phase; an outcome of an earlier phase says nothing about this one. Like "no entry", closed is 0.
    generation: u64,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { is_probing: bool },
}

/// A request on its way. Say how it went; dropped without a word it counts as nothing, and a probe can be sent again.
pub struct Permit {
    breakers: Arc<Breakers>,
    target: Target,
    generation: u64,
}

impl Breakers {
    /// All closed. `on_change` is told each change of state.
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        on_change: impl Fn(&Target, State) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            clock,
            troubled: Mutex::default(),
            on_change: Box::new(on_change),
        })
    }

    /// Lets a request pass, or says how long to leave the vendor alone.
    ///
    /// # Errors
    /// [`Open`].
    pub fn admit(self: &Arc<Self>, target: &Target) -> Result<Permit, Open> {
        let now = self.clock.monotonic();
        let mut troubled = self.lock();
        let generation = match troubled.get_mut(target) {
            None => 0,
            Some(trouble) => {
                match trouble.phase {
                    Phase::Closed => {}
                    Phase::Open { until } if until > now => return Err(trouble.rejection(until - now)),
                    Phase::Open { .. } => {
                        trouble.enter(Phase::HalfOpen { is_probing: true }, now);
                        (self.on_change)(target, State::HalfOpen);
                    }
                    Phase::HalfOpen { is_probing: true } => return Err(trouble.rejection(PROBE_PAUSE)),
                    Phase::HalfOpen { is_probing: false } => trouble.phase = Phase::HalfOpen { is_probing: true },
                }
                trouble.generation
            }
        };
        Ok(Permit {
            breakers: Arc::clone(self),
            target: target.clone(),
            generation,
        })
    }

    /// What is known of a provider's models that have had trouble, by model. All others are closed.
    pub fn list(&self, provider: ProviderId) -> Vec<Report> {
        let now = self.clock.monotonic();
        let troubled = self.lock();
        let of_provider = troubled.iter().filter(|(target, _)| target.provider == provider);
        let mut reports: Vec<Report> = of_provider
            .filter_map(|(target, trouble)| trouble.report(&target.model, &self.config, now))
            .collect();
        reports.sort_by(|a, b| a.model.cmp(&b.model));
        reports
    }

    /// The state for `target`.
    #[cfg(test)]
    pub fn state(&self, target: &Target) -> State {
        match self.lock().get(target).map(|trouble| trouble.phase) {
            None | Some(Phase::Closed) => State::Closed,
            Some(Phase::Open { .. }) => State::Open,
            Some(Phase::HalfOpen { .. }) => State::HalfOpen,
        }
    }

    fn record(&self, permit: &Permit, outcome: Outcome, reason: &str) {
        let now = self.clock.monotonic();
        let mut troubled = self.lock();
        if troubled.get(&permit.target).map_or(0, |trouble| trouble.generation) != permit.generation {
            return;
        }
        match outcome {
            Outcome::Answered => {
                let Some(trouble) = troubled.get_mut(&permit.target) else {
                    return;
                };
                if let Phase::Closed = trouble.phase
                    && trouble.add_answer(&self.config, now)
                {
                    return;
                }
                let was = troubled.remove(&permit.target).map(|trouble| trouble.phase);
                if let Some(Phase::HalfOpen { .. }) = was {
                    (self.on_change)(&permit.target, State::Closed);
                }
            }
            Outcome::Unavailable => {
                make_room(&mut troubled, &permit.target);
                let trouble = troubled
                    .entry(permit.target.clone())
                    .or_insert_with(|| Trouble::new(now));
                if trouble.add_failure(&self.config, reason, now) {
                    (self.on_change)(&permit.target, State::Open);
                }
            }
        }
    }

    /// A probe that ended without an outcome makes place for another.
    fn release(&self, permit: &Permit) {
        let mut troubled = self.lock();
        if let Some(trouble) = troubled.get_mut(&permit.target)
            && trouble.generation == permit.generation
            && let Phase::HalfOpen { is_probing } = &mut trouble.phase
        {
            *is_probing = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, Trouble>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long those who meet a probe in flight should wait.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

impl Trouble {
    fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Closed,
            failures: 0,
            recent: 0,
            recent_at: now,
            last_failure: String::new(),
            since: now,
            generation: 0,
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
        self.generation += 1;
    }

    /// Takes a request of the closed state among the latest.
    fn remember(&mut self, has_failed: bool, config: &Config, now: Instant) {
        if now - self.recent_at > config.window {
            self.recent = 0;
        }
        self.recent = (self.recent << 1 | u32::from(has_failed)) & ((1 << RECENT) - 1);
        self.recent_at = now;
    }

    /// An answer while closed ends the run of failures; returns whether any is left among the latest requests.
    fn add_answer(&mut self, config: &Config, now: Instant) -> bool {
        self.remember(false, config, now);
        self.failures = 0;
        self.since = now;
        self.recent != 0
    }

    /// Counts a failure; returns whether the breaker opened by it.
    fn add_failure(&mut self, config: &Config, reason: &str, now: Instant) -> bool {
        if let Phase::Closed = self.phase {
            self.remember(true, config, now);
        }
        match self.phase {
            // The first of a run.
            Phase::Closed if self.failures == 0 => {
                self.failures = 1;
                self.since = now;
            }
            Phase::Closed if now - self.since > config.window => {
                self.failures = 1;
                self.since = now;
            }
            Phase::Closed | Phase::HalfOpen { .. } => self.failures = self.failures.saturating_add(1),
            Phase::Open { .. } => return false,
        }
        reason.clone_into(&mut self.last_failure);
        let recent = self.recent.count_ones();
        let is_over = match self.phase {
            Phase::HalfOpen { .. } => true,
            Phase::Closed | Phase::Open { .. } => {
                self.failures >= config.failure_threshold || recent >= config.recent_failures
            }
        };
        if is_over {
            self.failures = self.failures.max(recent);
            self.recent = 0;
            self.enter(
                Phase::Open {
                    until: now + config.open,
                },
                now,
            );
        }
        is_over
    }

    /// Nothing for a run of failures that has ended by itself.
    fn report(&self, model: &str, config: &Config, now: Instant) -> Option<Report> {
        let (state, retry_after) = match self.phase {
            Phase::Closed if self.failures == 0 || now - self.since > config.window => return None,
            Phase::Closed => (State::Closed, None),
            // It is half-open from the next request on.
            Phase::Open { until } => (State::Open, Some(until.saturating_duration_since(now))),
            Phase::HalfOpen { .. } => (State::HalfOpen, None),
        };
        Some(Report {
            model: model.to_owned(),
            state,
            failures: self.failures,
            last_failure: self.last_failure.clone(),
            retry_after,
        })
    }

    fn rejection(&self, retry_after: Duration) -> Open {
        Open {
            retry_after,
            failures: self.failures,
            last_failure: self.last_failure.clone(),
        }
    }
}

/// Forgets the oldest trouble when there is no room for another one.
fn make_room(troubled: &mut HashMap<Target, Trouble>, target: &Target) {
    if troubled.len() < MAX_TROUBLED || troubled.contains_key(target) {
        return;
    }
    let oldest = troubled.iter().min_by_key(|(_, trouble)| trouble.since);
    if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
        troubled.remove(&oldest);
    }
}

impl Permit {
    /// Says how the request went. `reason` is what an [`Outcome::Unavailable`] looked like, without secrets.
    pub fn record(&self, outcome: Outcome, reason: &str) {
        self.breakers.record(self, outcome, reason);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breakers.release(self);
    }
}

#[cfg(test)]
mod tests;
