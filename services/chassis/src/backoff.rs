//! Growing pauses between attempts: exponential with full jitter. Decides how long to wait, never whether to retry.

use std::time::Duration;

/// An endless iterator of pauses, each uniform between zero and a ceiling that doubles from `base` up to `cap`.
///
/// Full jitter spreads retries of many clients over the whole interval, so they do not come back in waves.
///
/// Source: Brooker 2015, "Exponential Backoff and Jitter" (AWS Architecture Blog).
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// Pauses starting below `base` and never longer than `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, attempt: 0 }
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempt = self.attempt.saturating_add(1);
        ceiling.mul_f64(random_fraction())
    }

    /// Sleeps for the next pause.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_pause()).await;
    }

    /// Starts again at `base`; called after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many pauses were given since the start or the last [`Backoff::reset`].
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_pause())
    }
}

/// Uniform in `[0, 1]`. Without an entropy source the middle is as good as any: only the spreading is lost.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_stay_below_a_doubling_ceiling_and_the_cap() {
        for _ in 0..200 {
            let pauses: Vec<_> = Backoff::new(BASE, CAP).take(80).collect();
            for (attempt, pause) in pauses.into_iter().enumerate() {
                let doubled = BASE.saturating_mul(1 << attempt.min(20));
                assert!(pause <= doubled.min(CAP), "attempt {attempt}: {pause:?}");
            }
        }
    }

    #[test]
    fn pauses_differ_from_each_other() {
        let mut pauses: Vec<_> = (0..20).map(|_| Backoff::new(CAP, CAP).next_pause()).collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 10);
    }

    #[test]
    fn reset_starts_again_at_the_base() {
        let mut backoff = Backoff::new(BASE, CAP);
        backoff.by_ref().take(10).for_each(drop);
        assert_eq!(backoff.attempts(), 10);

        backoff.reset();

        assert!(backoff.next_pause() <= BASE);
    }
}
