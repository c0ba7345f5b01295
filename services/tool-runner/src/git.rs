//! Repositories of chats: watched for readers, their branches recorded, their pull requests asked for; and the credentials for all that.
//!
//! Credentials are opened here alone, and go only to the forge they are for, or to a git process that asks for its host.

mod credentials;
mod forge;
mod heads;
mod refresh;
mod watch;

use std::sync::Arc;

use serde::Deserialize;
use tandem_chassis::clock::Clock;
use tandem_chassis::outbound::Outbound;
use tandem_chassis::seal::keyring::Keyring;

pub(crate) use credentials::{Credentials, host};
pub(crate) use forge::{Failure as ForgeFailure, Forges};
pub(crate) use heads::Heads;
pub(crate) use watch::{Reader, Watches};

pub use forge::{Config as ForgeConfig, Kind as ForgeKind};

use crate::agents::Agents;
use crate::clients::Clients;
use crate::metrics::Metrics;

/// How repositories are dealt with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Forges besides those that are known by their names, at most 32.
    pub forges: Vec<ForgeConfig>,
}

/// Everything about git. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Git {
    pub(crate) clients: Clients,
    pub(crate) agents: Agents,
    pub(crate) credentials: Credentials,
    pub(crate) forges: Forges,
    pub(crate) heads: Heads,
    pub(crate) watches: Watches,
    clock: Arc<dyn Clock>,
}

impl Git {
    pub(crate) fn new(
        config: &Config,
        clients: Clients,
        agents: Agents,
        keyring: Arc<Keyring>,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Self {
        agents.git_heads().set_clock(Arc::clone(&clock));
        Self {
            credentials: Credentials::new(clients.clone(), keyring),
            forges: Forges::new(config, outbound, Arc::clone(&clock)),
            heads: agents.git_heads().clone(),
            watches: Watches::new(agents.clone(), metrics.clone()),
            clients,
            agents,
            clock,
        }
    }

    /// Records what agents see, answers what they ask, and asks forges, until the future is dropped.
    pub(crate) async fn run(self) {
        let recording = self.heads.record(&self.clients);
        let answering = credentials::answer(&self.credentials, &self.clients, self.agents.git_questions());
        let refreshing = refresh::keep(&self);
        tokio::join!(recording, answering, refreshing);
    }
}
