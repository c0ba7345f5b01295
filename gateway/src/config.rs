//! What a gateway can be told. Every value has a default; `config.example.toml` lists them all. The listener is not
//! here: who starts the gateway binds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_chassis::{
    config::{Secret, duration},
    tls,
    transport::Address,
};
use url::Url;

/// Settings of one gateway.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the services this one calls are reached.
    pub peers: Peers,
    /// Certificates for `https:` peers.
    pub peer_tls: tls::ClientConfig,
    /// Where browsers reach this gateway, for example `https://tandem.example.com`. Unset: the listener's own address.
    pub public_url: Option<Url>,
    /// Further origins whose pages may use cookies here, for example `http://localhost:5173` of a development server.
    pub allowed_origins: Vec<Url>,
    /// Token text that the first administrator shall own; used at the first start only.
    pub bootstrap_token: Option<Secret>,
    pub sessions: Sessions,
    pub rate_limit: RateLimit,
    pub limits: Limits,
}

/// Addresses of the services this one calls.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peers {
    pub orchestrator: Address,
    pub storage: Address,
    pub provider_gateway: Address,
    pub tool_runner: Address,
}

/// How callers are remembered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// Whether cookies travel over HTTPS only. Unset: when `public_url` or the listener says `https`.
    pub cookie_secure: Option<bool>,
    /// How long a checked token is taken as good without asking again; a revoked one lives this much longer elsewhere.
    #[serde(with = "duration")]
    pub cache: Duration,
    /// How often open sockets ask again whether their token still holds.
    #[serde(with = "duration")]
    pub recheck: Duration,
}

/// Requests a caller may make. A caller is a user, or an address while nobody is signed in. 0 switches a limit off.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// All requests, sockets counted once.
    pub requests_per_minute: u32,
    /// File uploads.
    pub uploads_per_minute: u32,
    /// Failed attempts to sign in, by address.
    pub failed_logins_per_minute: u32,
}

/// Bounds of the listener.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections, sockets included; more wait to be accepted.
    pub max_connections: usize,
    /// Time a connection has to send the headers of its next request.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// Time a request has to send its body.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
}

impl Default for Peers {
    fn default() -> Self {
        let memory = |name: &str| Address::Memory(name.to_owned());
        Self {
            orchestrator: memory("orchestrator"),
            storage: memory("storage"),
            provider_gateway: memory("provider-gateway"),
            tool_runner: memory("tool-runner"),
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            cookie_secure: None,
            cache: Duration::from_secs(5),
            recheck: Duration::from_secs(4),
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests_per_minute: 6_000,
            uploads_per_minute: 120,
            failed_logins_per_minute: 10,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            header_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn example_file_shows_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        let config: Config = tandem_chassis::config::load_from(Some(&file), "TANDEM_GATEWAY__", []).unwrap();
        assert_eq!(config, Config::default());
    }
}
