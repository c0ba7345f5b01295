//! How a provider does, as administrators see it.

use tandem_chassis::status::Fault;
use tandem_chat_core::{
    id::{KeyId, ProviderId},
    wire::time_to_wire,
};
use tandem_proto::{
    provider::v1::{BreakerHealth, BreakerState, KeyHealth, KeyState, ProviderHealth},
    storage::v1 as storage,
};

use super::{super::convert, Admin};
use crate::{
    breaker,
    key_pool::Why,
    secret::envelope::{self, Row},
};

impl Admin {
    /// * `row`: with its ciphertexts.
    pub(super) fn health_of(&self, row: &storage::Provider) -> Result<ProviderHealth, Fault> {
        let provider: ProviderId = convert::id(&row.id, "id")?;
        let keys = row.keys.iter().map(|key| self.health_of_key(provider, key));
        let breakers = self.health.breakers.list(provider).into_iter();
        let load = self.health.admission.load(provider);
        Ok(ProviderHealth {
            provider_id: row.id.clone(),
            keys: keys.collect::<Result<_, _>>()?,
            breakers: breakers.map(|report| self.breaker(report)).collect(),
            running: count(load.running),
            max_running: row.max_concurrent,
            queued: count(load.queued),
        })
    }

    fn health_of_key(&self, provider: ProviderId, key: &storage::ProviderKey) -> Result<KeyHealth, Fault> {
        let id: KeyId = convert::id(&key.id, "keys.id")?;
        let row = Row {
            provider,
            key: id,
            user: None,
        };
        let health = self.health.pools.health(provider, id);
        let (state, last_error) = match (envelope::open(self.catalog.keyring(), row, &key.sealed), health.why) {
            (Err(error), _) => (KeyState::Unreadable, Some((error.to_string(), None))),
            (Ok(_), why) => {
                let state = match why {
                    None => KeyState::Healthy,
                    Some(Why::Limited) => KeyState::Limited,
                    Some(Why::Refused) => KeyState::Refused,
                };
                (state, health.last_error.map(|(said, at)| (said, Some(at))))
            }
        };
        let (last_error, last_error_at) = last_error.unwrap_or_default();
        Ok(KeyHealth {
            id: key.id.clone(),
            masked: key.masked.clone(),
            state: state.into(),
            resting_until: health.resting_until.map(time_to_wire),
            last_error,
            last_error_at: last_error_at.map(time_to_wire),
        })
    }

    fn breaker(&self, report: breaker::Report) -> BreakerHealth {
        let state = match report.state {
            breaker::State::Closed => BreakerState::Closed,
            breaker::State::Open => BreakerState::Open,
            breaker::State::HalfOpen => BreakerState::HalfOpen,
        };
        let retry_at = report.retry_after.map(|after| self.clock.now() + after);
        BreakerHealth {
            model: report.model,
            state: state.into(),
            failures: i32::try_from(report.failures).unwrap_or(i32::MAX),
            last_failure: report.last_failure,
            retry_at: retry_at.map(time_to_wire),
        }
    }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
