//! Credentials of the role that AWS gives to whoever shows a token ([`web_identity`]), or has given to this container or machine, asked of
//! the endpoint that AWS puts beside it.
//!
//! Containers name their endpoint in the environment; a machine's is at a fixed address (IMDSv2). This is the only code that reaches
//! such an address, and only for a provider that has no key of its own, when neither variables nor files have credentials. Credentials
//! are asked for once for all who wait, and again some minutes before they expire; the old ones serve until then. Owns when that is.
//! Nothing is asked when the service starts.

mod endpoint;
mod web_identity;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};

use self::endpoint::Endpoint;
use super::sign::Credentials;

/// How long before they expire credentials are asked for anew, as AWS's own tools do.
const AHEAD: Duration = Duration::minutes(5);

/// How long before they expire credentials are not used any more.
const MARGIN: Duration = Duration::seconds(30);

/// How long nobody asks again after the endpoint had no credentials or did not answer.
const PAUSE: Duration = Duration::seconds(30);

/// The role of this container or machine. Cheap to clone; clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Role(Option<Arc<State>>);

#[derive(Debug)]
struct State {
    endpoint: Endpoint,
    known: Mutex<Known>,
    /// Held by whoever asks.
    asking: tokio::sync::Mutex<()>,
}

/// What was found out so far.
#[derive(Debug, Default)]
struct Known {
    grant: Option<Grant>,
    /// Until when nobody asks again, and what the last question came to.
    rest: Option<(OffsetDateTime, Result<(), String>)>,
}

/// What an endpoint gives.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) credentials: Credentials,
    /// Where the machine is, if its endpoint says so.
    pub(super) region: Option<String>,
    expires_at: OffsetDateTime,
}

/// How good a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Fresh,
    /// It is time to ask for another, but it can be used.
    Old,
    Over,
}

impl Grant {
    fn age(&self, now: OffsetDateTime) -> Age {
        match self.expires_at - now {
            left if left <= MARGIN => Age::Over,
            left if left <= AHEAD => Age::Old,
            _ => Age::Fresh,
        }
    }
}

impl Role {
    /// Reads from the environment where to ask. The address of machines is asked unless the environment forbids it.
    ///
    /// * `variable`: its value by name; blank counts as not set.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let state = |endpoint| {
            Arc::new(State {
                endpoint,
                known: Mutex::default(),
                asking: tokio::sync::Mutex::default(),
            })
        };
        Self(Endpoint::read(variable).map(state))
    }

    /// The role's credentials, good for 30 seconds at least; `None` where there is no role.
    ///
    /// # Errors
    /// Words on why an endpoint that is there gave none.
    pub(super) async fn grant(&self, now: OffsetDateTime) -> Result<Option<Grant>, String> {
        let Some(state) = &self.0 else { return Ok(None) };
        let usable = state.usable(now);
        let _turn = match &usable {
            Some((grant, Age::Fresh)) => return Ok(Some(grant.clone())),
            // Whoever comes while somebody asks takes what there is.
            Some((grant, _)) => match state.asking.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(Some(grant.clone())),
            },
            None => state.asking.lock().await,
        };
        // Somebody else may have asked meanwhile.
        if let Some((grant, Age::Fresh)) = state.usable(now) {
            return Ok(Some(grant));
        }
        let asked = state.ask(now).await;
        match usable {
            Some((grant, _)) if !matches!(asked, Ok(Some(_))) => Ok(Some(grant)),
            Some(_) | None => asked,
        }
    }
}

impl State {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self, now: OffsetDateTime) -> Option<(Grant, Age)> {
        let grant = self.known().grant.clone()?;
        let age = grant.age(now);
        (age != Age::Over).then_some((grant, age))
    }

    /// Asks, unless it was in vain a moment ago.
    async fn ask(&self, now: OffsetDateTime) -> Result<Option<Grant>, String> {
        if let Some((until, outcome)) = &self.known().rest
            && now < *until
        {
            return outcome.clone().map(|()| None);
        }
        let asked = self.endpoint.ask(now).await;
        let mut known = self.known();
        known.rest = match &asked {
            Ok(Some(grant)) => {
                known.grant = Some(grant.clone());
                // The same again, since there are no newer ones yet: they need not be asked for with every request.
                (grant.age(now) != Age::Fresh).then(|| (now + PAUSE, Ok(())))
            }
            Ok(None) => Some((now + PAUSE, Ok(()))),
            Err(trouble) => {
                tracing::warn!(trouble, "the credentials of this machine's AWS role could not be had");
                Some((now + PAUSE, Err(trouble.clone())))
            }
        };
        asked
    }
}

#[cfg(test)]
mod tests;
