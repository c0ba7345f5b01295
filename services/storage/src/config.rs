//! What storage can be told. Every value has a default; `config.example.toml` lists them all.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tandem_chassis::config::Secret;
use tandem_chat_core::approval::ApprovalMode;

/// Settings of storage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where PostgreSQL is; unset in single-machine mode, which runs its own.
    pub database_url: Option<Secret>,
    /// Connections and their limits.
    pub pool: Pool,
    /// How long change records are kept for readers that come back.
    pub change_retention_days: u16,
    /// How long usage records are kept, which costs are added up from; 0 for ever. What spend limits of the present period count is never
    /// dropped.
    pub usage_retention_days: u16,
    /// How long a client's own tools may take before their turn fails.
    #[serde(with = "tandem_chassis::config::duration")]
    pub action_limit: Duration,
    /// What people are asked before tools run.
    pub approvals: Approvals,
    /// Start even if PostgreSQL may lose acknowledged commits at a power failure.
    pub allow_unsafe_postgres: bool,
}

/// Approvals of tool calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// The least that every chat asks: `never`, `risky` or `always`. Chats that ask less are changed at the start.
    #[serde(deserialize_with = "approval_mode")]
    pub minimum: ApprovalMode,
    /// How long a call waits for a person before its turn fails.
    #[serde(with = "tandem_chassis::config::duration")]
    pub limit: Duration,
}

fn approval_mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApprovalMode, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Connections to PostgreSQL.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Connections at once, besides one that listens to other replicas and one that asks whether PostgreSQL answers.
    pub max_connections: u32,
    /// How long a request waits for one.
    #[serde(with = "tandem_chassis::config::duration")]
    pub acquire_timeout: Duration,
    /// The longest statement.
    #[serde(with = "tandem_chassis::config::duration")]
    pub statement_timeout: Duration,
    /// The longest wait for a row lock.
    #[serde(with = "tandem_chassis::config::duration")]
    pub lock_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: None,
            pool: Pool::default(),
            change_retention_days: 7,
            usage_retention_days: 400,
            action_limit: Duration::from_secs(300),
            approvals: Approvals::default(),
            allow_unsafe_postgres: false,
        }
    }
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            minimum: ApprovalMode::Never,
            limit: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(5),
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
