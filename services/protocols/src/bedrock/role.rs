//! Credentials that AWS gives for a while: to whoever shows a token ([`web_identity`]), signs on ([`sign_on`]) or takes a role from another
//! ([`assumed`]), to this container or machine, asked of the endpoint that AWS puts beside it ([`endpoint`]), or by way of a program of
//! the operator's ([`process`]).
//!
//! [`chain`] says which of them a profile means. Without a profile it is [`Role`]: containers name their endpoint in the environment; a
//! machine's is at a fixed address (IMDSv2). This is the only code that reaches such an address, and only for a provider that has no key
//! of its own, when neither variables nor files have credentials. [`kept`] says when credentials are asked for again. Nothing is asked
//! when the service starts.

mod assumed;
mod chain;
mod endpoint;
#[cfg(test)]
mod fake;
mod kept;
mod process;
mod services;
mod sign_on;
mod sts;
mod web_identity;

use time::{Duration, OffsetDateTime};

pub(super) use self::chain::{Plan, Planned, Surroundings};
use self::{endpoint::Endpoint, kept::Kept};
use super::sign::Credentials;

/// How long credentials are taken to hold that do not say so.
const UNTOLD: Duration = Duration::hours(1);

/// What asking comes to; `None` where there is nobody to ask, or nothing to be had.
pub(super) type Answer = Result<Option<Grant>, Trouble>;

/// Credentials for a while.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) credentials: Credentials,
    /// Where the machine is, if its endpoint says so.
    pub(super) region: Option<String>,
    expires_at: OffsetDateTime,
}

impl Grant {
    /// Credentials that do not say how long they hold.
    fn untold(credentials: Credentials, now: OffsetDateTime) -> Self {
        Self {
            credentials,
            region: None,
            expires_at: now + UNTOLD,
        }
    }
}

/// Why there are no credentials, in words without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may pass by itself.
    Passing(String),
    /// Somebody has to do what the words say.
    Lasting(String),
}

impl Trouble {
    /// The same, with what it is about in front.
    fn about(self, what: &str) -> Self {
        match self {
            Self::Passing(why) => Self::Passing(format!("{what}: {why}")),
            Self::Lasting(why) => Self::Lasting(format!("{what}: {why}")),
        }
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Passing(why)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passing(why) | Self::Lasting(why) => f.write_str(why),
        }
    }
}

/// The role of this container or machine. Cheap to clone; clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    endpoint: Option<Endpoint>,
    kept: Kept,
}

impl Role {
    /// Reads from the environment where to ask. The address of machines is asked unless the environment forbids it.
    ///
    /// * `variable`: its value by name; blank counts as not set.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            endpoint: Endpoint::read(variable),
            kept: Kept::default(),
        }
    }

    /// The role's credentials, good for 30 seconds at least; `None` where there is no role.
    ///
    /// # Errors
    /// Why an endpoint that is there gave none.
    pub(super) async fn grant(&self, now: OffsetDateTime) -> Answer {
        let Some(endpoint) = &self.endpoint else {
            return Ok(None);
        };
        let endpoint = endpoint.clone();
        self.kept.grant(now, async move { endpoint.ask(now).await }).await
    }
}

#[cfg(test)]
mod tests;
