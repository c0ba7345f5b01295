//! What an orchestrator can be told. Every value has a default; `config.example.toml` lists them all.

use std::time::Duration;

use serde::Deserialize;
use tandem_chassis::tls;
use tandem_chassis::transport::Address;

/// Settings of one orchestrator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the services this one calls are reached.
    pub peers: Peers,
    /// Certificates for `https:` peers, other replicas included.
    pub peer_tls: tls::ClientConfig,
    /// Where other replicas reach this one, and no other, to read live logs; unset when there are none. Without it their readers see the
    /// answers of turns that run here only when these are durable.
    pub advertised_address: Option<Address>,
    /// How chats are owned.
    pub lease: Lease,
    /// How turns are run.
    pub turns: Turns,
    /// What models do beside the turns.
    pub side_jobs: SideJobs,
}

/// Addresses of the services this one calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peers {
    /// The room with SQL.
    pub storage: Address,
    /// The replicas of the room with LLM credentials. A host name stands for every replica it resolves to. Each completion is found
    /// again at the replica that holds it, so a balancer must not stand between.
    pub provider_gateway: Vec<Address>,
    /// The room that runs tools.
    pub tool_runner: Address,
}

/// Ownership of chats. Expiry must leave room for a few lost renewals.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lease {
    /// How long a chat stays ours without a renewal.
    #[serde(with = "tandem_chassis::config::duration")]
    pub ttl: Duration,
    /// How often leases are renewed.
    #[serde(with = "tandem_chassis::config::duration")]
    pub renew_interval: Duration,
    /// How often the database is asked for work that no hint announced.
    #[serde(with = "tandem_chassis::config::duration")]
    pub poll_interval: Duration,
}

/// Bounds of turns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turns {
    /// Turns this replica runs at once; more stay pending.
    pub max_running: usize,
    /// Model calls in one turn; reaching it ends the turn with an error.
    pub max_steps: u32,
    /// Attempts of one model call, the first included.
    pub max_attempts: u32,
}

/// What models do beside the turns. Each costs a model call, counted with the chat.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SideJobs {
    /// New chats are named by a model. Without it they keep the first words of their first message; a person can still ask for a title.
    pub titles: bool,
    /// Turns that end well are labelled by a model, where a fast one is configured.
    pub summaries: bool,
}

impl Default for SideJobs {
    fn default() -> Self {
        Self {
            titles: true,
            summaries: true,
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        let memory = |name: &str| Address::Memory(name.to_owned());
        Self {
            storage: memory("storage"),
            provider_gateway: vec![memory("provider-gateway")],
            tool_runner: memory("tool-runner"),
        }
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            renew_interval: Duration::from_secs(3),
            poll_interval: Duration::from_secs(1),
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            max_running: 5_000,
            max_steps: 1_200,
            max_attempts: 25,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_lists_every_key_at_its_default() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        let example: Config = tandem_chassis::config::load_from(Some(&file), "UNUSED_", []).unwrap();
        assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
    }
}
