//! Which of a provider's keys to use next, and which to leave alone for a while.
//!
//! Keys take turns. One that the vendor limits (429) or refuses (401, 403) rests while the others work; when all rest, the caller
//! is told for how long. A provider's only key never rests: there is nothing to turn to, and the caller's own pause is enough.
//! State is in memory, per replica. What is done with a key is the protocols' business.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem_chassis::clock::Clock;
use tandem_chat_core::id::{KeyId, ProviderId};
use tokio::time::Instant;

use crate::secret::ApiKey;

/// How long a limited key rests when the vendor does not say.
const LIMITED_REST: Duration = Duration::from_secs(10);

/// How long a refused key rests.
const REFUSED_REST: Duration = Duration::from_secs(60);

/// Longest rest, whatever a vendor asks for.
const MAX_REST: Duration = Duration::from_secs(60 * 60);

/// Providers remembered; far more than anybody configures. Beyond it all rests are forgotten.
const MAX_PROVIDERS: usize = 4096;

/// Why a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The vendor limits its rate.
    Limited,
    /// The vendor does not accept it.
    Refused,
}

impl Why {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }
}

/// All keys of a provider rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllResting {
    /// Until the first is back.
    pub retry_after: Duration,
    /// Limited if any of them is, for then waiting helps.
    pub why: Why,
}

/// The pools of all providers.
pub struct KeyPools {
    clock: Arc<dyn Clock>,
    pools: Mutex<HashMap<ProviderId, Pool>>,
}

#[derive(Default)]
struct Pool {
    turn: usize,
    resting: HashMap<KeyId, Rest>,
}

struct Rest {
    until: Instant,
    why: Why,
}

impl KeyPools {
    /// All keys healthy.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            pools: Mutex::default(),
        }
    }

    /// The healthy keys in the order in which this request should try them; each call begins one further.
    ///
    /// # Errors
    /// [`AllResting`] if there are keys and none is healthy.
    pub fn in_turn(&self, provider: ProviderId, keys: &[ApiKey]) -> Result<Vec<ApiKey>, AllResting> {
        let now = self.clock.monotonic();
        let mut pools = self.lock();
        let pool = pool(&mut pools, provider);
        pool.wake(now, keys);
        let turn = pool.turn;
        pool.turn = turn.wrapping_add(1);
        let start = turn.checked_rem(keys.len()).unwrap_or(0);
        let healthy: Vec<ApiKey> = keys[start..]
            .iter()
            .chain(&keys[..start])
            .filter(|key| !pool.resting.contains_key(&key.id))
            .cloned()
            .collect();
        if healthy.is_empty() && !keys.is_empty() {
            return Err(pool.all_resting(now));
        }
        Ok(healthy)
    }

    /// Lets a key rest, if the provider has others. `wish` is the vendor's own, zero if it has none; a longer rest already begun stays.
    pub fn rest(&self, provider: ProviderId, keys: &[ApiKey], key: KeyId, why: Why, wish: Duration) {
        if keys.len() < 2 {
            return;
        }
        let length = match (why, wish) {
            (Why::Limited, Duration::ZERO) => LIMITED_REST,
            (Why::Limited, wish) => wish.min(MAX_REST),
            (Why::Refused, _) => REFUSED_REST,
        };
        let until = self.clock.monotonic() + length;
        let mut pools = self.lock();
        let rest = pool(&mut pools, provider)
            .resting
            .entry(key)
            .or_insert(Rest { until, why });
        if rest.until < until {
            *rest = Rest { until, why };
        }
    }

    /// How many of the keys rest now.
    pub fn resting_count(&self, provider: ProviderId, keys: &[ApiKey]) -> usize {
        let now = self.clock.monotonic();
        let mut pools = self.lock();
        let pool = pool(&mut pools, provider);
        pool.wake(now, keys);
        pool.resting.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderId, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pool(pools: &mut HashMap<ProviderId, Pool>, provider: ProviderId) -> &mut Pool {
    if pools.len() >= MAX_PROVIDERS && !pools.contains_key(&provider) {
        pools.clear();
    }
    pools.entry(provider).or_default()
}

impl Pool {
    /// Ends rests that are over and forgets keys that are gone.
    fn wake(&mut self, now: Instant, keys: &[ApiKey]) {
        self.resting
            .retain(|id, rest| rest.until > now && keys.iter().any(|key| key.id == *id));
    }

    fn all_resting(&self, now: Instant) -> AllResting {
        let first_back = self.resting.values().map(|rest| rest.until - now).min();
        let is_any_limited = self.resting.values().any(|rest| rest.why == Why::Limited);
        AllResting {
            retry_after: first_back.unwrap_or_default(),
            why: if is_any_limited { Why::Limited } else { Why::Refused },
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_chassis::clock;
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    const PROVIDER: ProviderId = ProviderId::new(Uuid::nil());

    fn keys(count: u128) -> Vec<ApiKey> {
        (0..count)
            .map(|number| ApiKey::new(KeyId::new(Uuid::from_u128(number)), format!("key-{number}")))
            .collect()
    }

    fn pools() -> (Arc<clock::Manual>, KeyPools) {
        let clock = Arc::new(clock::Manual::new(OffsetDateTime::UNIX_EPOCH));
        (clock.clone(), KeyPools::new(clock))
    }

    fn order(pools: &KeyPools, keys: &[ApiKey]) -> Vec<u128> {
        let keys = pools.in_turn(PROVIDER, keys).unwrap();
        keys.iter().map(|key| key.id.uuid().as_u128()).collect()
    }

    #[test]
    fn keys_take_turns() {
        let (_, pools) = pools();
        let keys = keys(3);
        assert_eq!(order(&pools, &keys), [0, 1, 2]);
        assert_eq!(order(&pools, &keys), [1, 2, 0]);
        assert_eq!(order(&pools, &keys), [2, 0, 1]);
        assert_eq!(order(&pools, &[]), [0_u128; 0]);
    }

    #[test]
    fn a_resting_key_is_passed_over_until_its_time_is_over() {
        let (clock, pools) = pools();
        let keys = keys(2);
        pools.rest(PROVIDER, &keys, keys[0].id, Why::Limited, Duration::from_secs(7));
        assert_eq!(order(&pools, &keys), [1]);
        assert_eq!(pools.resting_count(PROVIDER, &keys), 1);
        clock.advance(Duration::from_secs(7));
        assert_eq!(order(&pools, &keys).len(), 2);
    }

    #[test]
    fn a_shorter_rest_does_not_end_a_longer_one() {
        let (clock, pools) = pools();
        let keys = keys(2);
        pools.rest(PROVIDER, &keys, keys[0].id, Why::Refused, Duration::ZERO);
        pools.rest(PROVIDER, &keys, keys[0].id, Why::Limited, Duration::from_secs(1));
        clock.advance(Duration::from_secs(59));
        assert_eq!(order(&pools, &keys), [1]);
    }

    #[test]
    fn when_all_rest_the_first_to_be_back_is_told() {
        let (_, pools) = pools();
        let keys = keys(2);
        pools.rest(PROVIDER, &keys, keys[0].id, Why::Refused, Duration::ZERO);
        pools.rest(PROVIDER, &keys, keys[1].id, Why::Limited, Duration::from_secs(20));
        let expected = AllResting {
            retry_after: Duration::from_secs(20),
            why: Why::Limited,
        };
        assert_eq!(pools.in_turn(PROVIDER, &keys).unwrap_err(), expected);
    }

    #[test]
    fn the_only_key_never_rests() {
        let (_, pools) = pools();
        let keys = keys(1);
        pools.rest(PROVIDER, &keys, keys[0].id, Why::Refused, Duration::ZERO);
        assert_eq!(order(&pools, &keys), [0]);
    }

    #[test]
    fn a_replaced_key_starts_healthy_and_the_old_one_is_forgotten() {
        let (_, pools) = pools();
        let all = keys(4);
        pools.rest(PROVIDER, &all[..2], all[0].id, Why::Refused, Duration::ZERO);
        assert_eq!(order(&pools, &all[2..]).len(), 2);
        assert_eq!(pools.resting_count(PROVIDER, &all), 0);
    }
}
