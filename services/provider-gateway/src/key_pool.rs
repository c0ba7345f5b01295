//! Which of a provider's keys to use next, which to leave alone for a while, and how each of them does.
//!
//! The first healthy key in the administrator's order is used. One that the vendor limits (429) or refuses (401, 403) rests while the
//! next ones work; when all rest, the caller is told for how long. A provider's only key never rests: there is nothing to turn to, and
//! the caller's own pause is enough. Users' own keys are no pool: they are used as they are and nothing of them is remembered.
//! State is in memory, per replica. What is done with a key is the protocols' business.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem_chassis::clock::Clock;
use tandem_chat_core::id::{KeyId, ProviderId};
use time::OffsetDateTime;
use tokio::time::Instant;

use tandem_protocols::ApiKey;

/// How long a limited key rests when the vendor does not say.
const LIMITED_REST: Duration = Duration::from_secs(10);

/// How long a refused key rests.
const REFUSED_REST: Duration = Duration::from_secs(60);

/// Longest rest, whatever a vendor asks for.
const MAX_REST: Duration = Duration::from_secs(60 * 60);

/// Providers remembered; far more than anybody configures. Beyond it all rests are forgotten.
const MAX_PROVIDERS: usize = 4096;

/// What is kept of a vendor's words.
const MAX_ERROR_CHARS: usize = 500;

/// Why a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The vendor limits its rate.
    Limited,
    /// The vendor does not accept it.
    Refused,
}

impl Why {
    /// What a vendor's status says against the key it was shown; `None` if nothing.
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            429 => Some(Self::Limited),
            401 | 403 => Some(Self::Refused),
            _ => None,
        }
    }

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

/// How a key does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What is wrong with it; `None` for a healthy key. A limit counts as over with its time, a refusal only when the vendor accepts the
    /// key again.
    pub why: Option<Why>,
    /// Until it is tried again; `None` unless it rests.
    pub resting_until: Option<OffsetDateTime>,
    /// What the vendor said last against it, and when. At most 500 characters.
    pub last_error: Option<(String, OffsetDateTime)>,
}

/// The pools of all providers.
pub struct KeyPools {
    clock: Arc<dyn Clock>,
    pools: Mutex<HashMap<ProviderId, Pool>>,
}

/// Only keys that have had trouble.
type Pool = HashMap<KeyId, Trouble>;

struct Trouble {
    /// `None` when it is over.
    why: Option<Why>,
    until: Instant,
    /// It is left alone until then; an only key is not.
    is_resting: bool,
    said: String,
    at: OffsetDateTime,
}

impl KeyPools {
    /// All keys healthy.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            pools: Mutex::default(),
        }
    }

    /// The healthy keys in the order in which they are to be tried.
    ///
    /// # Errors
    /// [`AllResting`] if there are keys and none is healthy.
    pub fn in_turn(&self, provider: ProviderId, keys: &[ApiKey]) -> Result<Vec<ApiKey>, AllResting> {
        let now = self.clock.monotonic();
        let pools = self.lock();
        let Some(pool) = pools.get(&provider) else {
            return Ok(keys.to_vec());
        };
        let rests = |key: &&ApiKey| pool.get(&key.id).is_some_and(|trouble| trouble.rests(now));
        let healthy: Vec<ApiKey> = keys.iter().filter(|key| !rests(key)).cloned().collect();
        if healthy.is_empty() && !keys.is_empty() {
            return Err(all_resting(pool, keys, now));
        }
        Ok(healthy)
    }

    /// Lets a key rest, if the provider has others.
    ///
    /// * `wish`: the vendor's own, zero if it has none; a longer rest already begun stays.
    /// * `said`: what the vendor said, without secrets.
    pub fn rest(&self, provider: ProviderId, keys: &[ApiKey], key: KeyId, why: Why, wish: Duration, said: &str) {
        if keys.iter().any(ApiKey::is_users) {
            return;
        }
        let length = match (why, wish) {
            (Why::Limited, Duration::ZERO) => LIMITED_REST,
            (Why::Limited, wish) => wish.min(MAX_REST),
            (Why::Refused, _) => REFUSED_REST,
        };
        let until = self.clock.monotonic() + length;
        let trouble = Trouble {
            why: Some(why),
            until,
            is_resting: keys.len() > 1,
            said: said.chars().take(MAX_ERROR_CHARS).collect(),
            at: self.clock.now(),
        };
        let mut pools = self.lock();
        if pools.len() >= MAX_PROVIDERS && !pools.contains_key(&provider) {
            pools.clear();
        }
        let pool = pools.entry(provider).or_default();
        // Keys that are gone are forgotten.
        pool.retain(|id, _| keys.iter().any(|key| key.id == *id));
        match pool.get_mut(&key) {
            Some(known) if known.why.is_some() && known.until >= until => {
                (known.said, known.at) = (trouble.said, trouble.at);
            }
            _ => {
                pool.insert(key, trouble);
            }
        }
    }

    /// The vendor has accepted a key. A rest that has begun meanwhile stays.
    pub fn accepted(&self, provider: ProviderId, key: KeyId) {
        let mut pools = self.lock();
        if let Some(trouble) = pools.get_mut(&provider).and_then(|pool| pool.get_mut(&key))
            && !trouble.rests(self.clock.monotonic())
        {
            trouble.why = None;
        }
    }

    /// How many of the keys rest now.
    pub fn resting_count(&self, provider: ProviderId, keys: &[ApiKey]) -> usize {
        let now = self.clock.monotonic();
        let pools = self.lock();
        let Some(pool) = pools.get(&provider) else { return 0 };
        let troubles = keys.iter().filter_map(|key| pool.get(&key.id));
        troubles.filter(|trouble| trouble.rests(now)).count()
    }

    /// How a key does.
    pub fn health(&self, provider: ProviderId, key: KeyId) -> Health {
        let now = self.clock.monotonic();
        let pools = self.lock();
        let Some(trouble) = pools.get(&provider).and_then(|pool| pool.get(&key)) else {
            return Health::default();
        };
        let is_over = trouble.until <= now && trouble.why == Some(Why::Limited);
        let left = trouble.until.saturating_duration_since(now);
        Health {
            why: trouble.why.filter(|_| !is_over),
            resting_until: trouble.rests(now).then(|| self.clock.now() + left),
            last_error: Some((trouble.said.clone(), trouble.at)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderId, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn rests(&self, now: Instant) -> bool {
        self.is_resting && self.why.is_some() && self.until > now
    }
}

/// * `keys`: all of them rest.
fn all_resting(pool: &Pool, keys: &[ApiKey], now: Instant) -> AllResting {
    let troubles = || keys.iter().filter_map(|key| pool.get(&key.id));
    let first_back = troubles().map(|trouble| trouble.until - now).min();
    let is_any_limited = troubles().any(|trouble| trouble.why == Some(Why::Limited));
    AllResting {
        retry_after: first_back.unwrap_or_default(),
        why: if is_any_limited { Why::Limited } else { Why::Refused },
    }
}

#[cfg(test)]
mod tests;
