//! How many requests a caller may make: the generic cell rate algorithm, one instant per caller, in memory of this
//! replica. A caller may burst through a whole minute's allowance and then gets it back evenly.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tandem_chassis::clock::Clock;
use tokio::time::Instant;
use uuid::Uuid;

/// Callers remembered at once. Those who owe nothing are forgotten first; then, for memory's sake, everybody.
const MAX_SUBJECTS: usize = 100_000;

const WINDOW: Duration = Duration::from_secs(60);

/// Who is counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    User(Uuid),
    /// IPv6 callers count by their /64, which one of them owns whole.
    Address(Option<IpAddr>),
}

/// A limit on requests per minute. Cheap to clone; clones share the count.
#[derive(Clone)]
pub struct Limiter(Arc<Parts>);

struct Parts {
    per_minute: u32,
    clock: Arc<dyn Clock>,
    /// When a caller would have its whole allowance back.
    restored_at: Mutex<HashMap<Subject, Instant>>,
}

impl Limiter {
    /// `per_minute` requests; 0 = as many as they like.
    pub fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts {
            per_minute,
            clock,
            restored_at: Mutex::default(),
        }))
    }

    /// Counts one request.
    ///
    /// # Errors
    /// How long to wait, when the allowance is spent; nothing was counted then.
    pub fn admit(&self, subject: &Subject) -> Result<(), Duration> {
        self.take(subject, true)
    }

    /// Whether a request would be admitted now, without counting it.
    ///
    /// # Errors
    /// As [`Limiter::admit`].
    pub fn look(&self, subject: &Subject) -> Result<(), Duration> {
        self.take(subject, false)
    }

    fn take(&self, subject: &Subject, is_counted: bool) -> Result<(), Duration> {
        if self.0.per_minute == 0 {
            return Ok(());
        }
        let subject = normal(subject);
        let cost = WINDOW / self.0.per_minute;
        let now = self.0.clock.monotonic();
        let mut restored_at = self.0.restored_at.lock().unwrap_or_else(PoisonError::into_inner);
        let restored = restored_at.get(&subject).copied().map_or(now, |at| at.max(now)) + cost;
        let debt = restored - now;
        if debt > WINDOW {
            return Err(debt - WINDOW);
        }
        if is_counted {
            make_room(&mut restored_at, now);
            restored_at.insert(subject, restored);
        }
        Ok(())
    }
}

fn make_room(restored_at: &mut HashMap<Subject, Instant>, now: Instant) {
    if restored_at.len() >= MAX_SUBJECTS {
        restored_at.retain(|_, at| *at > now);
    }
    if restored_at.len() >= MAX_SUBJECTS {
        restored_at.clear();
    }
}

fn normal(subject: &Subject) -> Subject {
    match subject {
        Subject::Address(Some(IpAddr::V6(address))) => match address.to_ipv4_mapped() {
            Some(v4) => Subject::Address(Some(IpAddr::V4(v4))),
            None => {
                let network = u128::from(*address) & (u128::MAX << 64);
                Subject::Address(Some(IpAddr::V6(network.into())))
            }
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use tandem_chassis::clock::Manual;
    use time::OffsetDateTime;

    use super::*;

    fn limiter(per_minute: u32) -> (Limiter, Arc<Manual>) {
        let clock = Arc::new(Manual::new(OffsetDateTime::UNIX_EPOCH));
        (Limiter::new(per_minute, Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    #[tokio::test]
    async fn a_minutes_allowance_may_be_spent_at_once_and_comes_back_evenly() {
        let (limiter, clock) = limiter(60);
        let ada = Subject::User(Uuid::from_u128(1));
        for _ in 0..60 {
            limiter.admit(&ada).unwrap();
        }
        assert_eq!(limiter.admit(&ada), Err(Duration::from_secs(1)));
        limiter.admit(&Subject::User(Uuid::from_u128(2))).unwrap();

        clock.advance(Duration::from_secs(1));

        assert_eq!(limiter.look(&ada), Ok(()));
        assert_eq!(limiter.admit(&ada), Ok(()));
        assert!(limiter.admit(&ada).is_err());
    }

    #[tokio::test]
    async fn zero_means_no_limit() {
        let (limiter, _) = limiter(0);
        for _ in 0..10_000 {
            limiter.admit(&Subject::Address(None)).unwrap();
        }
    }

    #[tokio::test]
    async fn addresses_of_one_network_count_together() {
        let (limiter, _) = limiter(1);
        let address = |text: &str| Subject::Address(Some(text.parse().unwrap()));
        limiter.admit(&address("2001:db8::1")).unwrap();
        assert!(limiter.admit(&address("2001:db8::2")).is_err());
        limiter.admit(&address("2001:db8:0:1::1")).unwrap();
        limiter.admit(&address("::ffff:10.0.0.1")).unwrap();
        assert!(limiter.admit(&address("10.0.0.1")).is_err());
    }
}
