//! What a provider gateway can be told. Every value has a default; `config.example.toml` lists them all.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tandem_chassis::{
    config::{Secret, byte_size, duration},
    tls,
    transport::Address,
};
use tandem_protocols::demo;
use url::Url;

use crate::{admission, breaker, bridge, completion, outbound, spend};

/// Settings of one provider gateway.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the services this one calls are reached.
    pub peers: Peers,
    /// TLS towards those services; matters for `https` addresses only.
    pub peer_tls: tls::ClientConfig,
    /// The key that seals provider keys: 32 bytes as hex or base64. Wins over `kek_file`.
    pub kek: Option<Secret>,
    /// File with that key, mode 0600.
    pub kek_file: Option<PathBuf>,
    /// Creates `kek_file` with a fresh key if it is missing. For a single machine: several would each make their own.
    pub create_kek_file: bool,
    /// Earlier sealing keys. They still open what they sealed and seal nothing new.
    pub previous_keks: Vec<Secret>,
    /// How long a provider or model as read from storage counts as current. Own changes are seen at once; `0s` always asks.
    #[serde(with = "duration")]
    pub cache_ttl: Duration,
    /// Bounds of completions.
    pub completions: Completions,
    /// How long a vendor may take.
    pub guards: Guards,
    /// When a vendor's model is left alone for a while.
    pub breaker: breaker::Config,
    /// How completions wait for providers that run only so many at once.
    pub admission: admission::Config,
    /// Users may bring their own keys, for providers that allow it.
    pub allow_user_keys: bool,
    /// How spending is watched.
    pub spend: spend::Config,
    /// The OpenAI- and Anthropic-compatible endpoints.
    pub bridge: bridge::Config,
    /// Which addresses may be called.
    pub outbound: outbound::Config,
    /// The built-in demo model.
    pub demo: demo::Config,
}

/// Addresses of the services this one calls.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peers {
    /// The room with SQL.
    pub storage: Address,
    /// Runs tools; only called if tools of MCP servers are given to programs.
    pub tool_runner: Address,
}

/// Bounds of completions and of what is kept of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Completions {
    /// Completions running at once; more are refused as overloaded.
    pub max_running: usize,
    /// What one completion may hold for readers that have not read it yet.
    #[serde(with = "byte_size")]
    pub max_buffer_bytes: usize,
    /// What all completions together may hold.
    #[serde(with = "byte_size")]
    pub max_total_bytes: usize,
    /// How long a completion goes on with nobody reading it.
    #[serde(with = "duration")]
    pub reader_grace: Duration,
    /// How long a finished completion stays readable.
    #[serde(with = "duration")]
    pub retention: Duration,
}

/// How long a vendor may take. Expiry is an error that may be tried again, except for `total`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guards {
    /// From the request to the first piece of the answer.
    #[serde(with = "duration")]
    pub startup: Duration,
    /// The same for servers on this machine, which may have to read a long prompt without a graphics card.
    #[serde(with = "duration")]
    pub local_startup: Duration,
    /// Between two pieces of the answer. Comments that only keep a connection open are no pieces.
    #[serde(with = "duration")]
    pub silence: Duration,
    /// From the request to the end of the answer.
    #[serde(with = "duration")]
    pub total: Duration,
}

impl Guards {
    /// How long the first piece of an answer from there may take.
    pub(crate) fn startup_at(&self, base_url: &Url) -> Duration {
        if outbound::is_loopback(base_url) {
            self.local_startup
        } else {
            self.startup
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peers: Peers::default(),
            peer_tls: tls::ClientConfig::default(),
            kek: None,
            kek_file: None,
            create_kek_file: false,
            previous_keks: Vec::new(),
            cache_ttl: Duration::from_secs(10),
            completions: Completions::default(),
            guards: Guards::default(),
            breaker: breaker::Config::default(),
            admission: admission::Config::default(),
            allow_user_keys: true,
            spend: spend::Config::default(),
            bridge: bridge::Config::default(),
            outbound: outbound::Config::default(),
            demo: demo::Config::default(),
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            storage: Address::Memory("storage".to_owned()),
            tool_runner: Address::Memory("tool-runner".to_owned()),
        }
    }
}

impl Default for Completions {
    fn default() -> Self {
        Self {
            max_running: completion::MAX_RUNNING,
            max_buffer_bytes: completion::MAX_BUFFER_BYTES,
            max_total_bytes: completion::MAX_TOTAL_BYTES,
            reader_grace: Duration::from_secs(60),
            retention: Duration::from_secs(60),
        }
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            startup: Duration::from_secs(60),
            local_startup: Duration::from_secs(5 * 60),
            silence: Duration::from_secs(10 * 60),
            total: Duration::from_secs(60 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_lists_every_default() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
        let read: Config = tandem_chassis::config::load_from(Some(file.as_ref()), "UNUSED__", []).unwrap();
        assert_eq!(read, Config::default());
    }

    #[test]
    fn the_sealing_key_can_come_from_the_environment() {
        let environment = [("TANDEM_PROVIDER_GATEWAY__KEK".into(), "ab".repeat(32).into())];
        let read: Config = tandem_chassis::config::load_from(None, "TANDEM_PROVIDER_GATEWAY__", environment).unwrap();
        assert_eq!(read.kek.unwrap().expose().len(), 64);
    }
}
