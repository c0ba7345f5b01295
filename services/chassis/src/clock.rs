//! The time, as something a service is given. Whatever time *decides* asks here, so that tests can decide the time.
//! Pure waiting (`tokio::time::sleep`) is not wrapped: tests pause Tokio's own clock for that.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::time::Instant;

/// A source of the current time. Shared as `Arc<dyn Clock>`.
pub trait Clock: Send + Sync {
    /// Wall-clock time in UTC, for what is stored, shown or signed. May jump.
    fn now(&self) -> OffsetDateTime;

    /// A clock that never goes back, for measuring and for deadlines within this process.
    fn monotonic(&self) -> Instant;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else is given")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + crate::fault::clock_error()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct Manual {
    start: OffsetDateTime,
    start_monotonic: Instant,
    elapsed: Mutex<Duration>,
    set_by: Mutex<time::Duration>,
}

impl Manual {
    /// A clock standing at `start`.
    pub fn new(start: OffsetDateTime) -> Self {
        Self {
            start,
            start_monotonic: Instant::now(),
            elapsed: Mutex::new(Duration::ZERO),
            set_by: Mutex::new(time::Duration::ZERO),
        }
    }

    /// Moves both readings forward by `by`.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Sets the wall clock forward, or back if negative; time itself does not pass.
    pub fn set(&self, by: time::Duration) {
        *self.set_by.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Manual {
    fn now(&self) -> OffsetDateTime {
        self.start + self.elapsed() + *self.set_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn monotonic(&self) -> Instant {
        self.start_monotonic + self.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_advanced() {
        let clock = Manual::new(OffsetDateTime::UNIX_EPOCH);
        let before = clock.monotonic();

        clock.advance(Duration::from_secs(90));

        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH + Duration::from_secs(90));
        assert_eq!(clock.monotonic() - before, Duration::from_secs(90));
    }
}
