//! The configuration of a process: one section for each service, from a file, then from `TANDEM_<SERVICE>__…` variables.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use tandem_chassis::config::Secret;
use tandem_chassis::telemetry;
use tandem_chassis::transport::Address;

use crate::data_dir::DataDir;
use crate::services::Name;

/// Where browsers find Tandem unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:7080";

/// What a process can be told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) telemetry: telemetry::Config,
    pub(crate) storage: tandem_storage::Config,
    pub(crate) provider_gateway: tandem_provider_gateway::Config,
    pub(crate) tool_runner: tandem_tool_runner::Config,
    pub(crate) orchestrator: tandem_orchestrator::Config,
    pub(crate) gateway: tandem_gateway::Config,
}

impl Config {
    /// Reads file and environment, then fills in what follows from the data directory and from the few plain variables.
    pub(crate) fn load(file: Option<&Path>, data: &DataDir) -> anyhow::Result<Self> {
        let sections = std::env::vars_os().filter(|(name, _)| is_section(name));
        let mut config: Self = tandem_chassis::config::load_from(file, "TANDEM_", sections)?;
        if let Some(url) = variable("DATABASE_URL") {
            config.storage.database_url = Some(Secret::from(url));
        }
        if let Some(token) = variable("TANDEM_BOOTSTRAP_TOKEN") {
            config.gateway.bootstrap_token = Some(Secret::from(token));
        }
        let gateway = &mut config.provider_gateway;
        if gateway.kek.is_none() && gateway.kek_file.is_none() {
            gateway.kek_file = Some(data.secret("envelope-key"));
            gateway.create_kek_file = true;
        }
        config.tool_runner.workspaces_dir = data.workspaces();
        Ok(config)
    }
}

/// Where a service listens: the gateway at `TANDEM_LISTEN`, others at `TANDEM_<SERVICE>__LISTEN`.
pub(crate) fn listen_address(name: Name) -> anyhow::Result<Address> {
    if name == Name::Gateway {
        let listen = variable("TANDEM_LISTEN").unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let text = if listen.contains("://") {
            listen
        } else {
            format!("http://{listen}")
        };
        let address = text
            .parse()
            .context("TANDEM_LISTEN is not an address such as 127.0.0.1:7080")?;
        return without_tls(address, "TANDEM_LISTEN");
    }
    let variable_name = format!("TANDEM_{}__LISTEN", name.variable());
    let text = variable(&variable_name).with_context(|| {
        format!(
            "set {variable_name} to where {} shall listen, for example http://127.0.0.1:7090",
            name.as_str()
        )
    })?;
    let address = text
        .parse()
        .with_context(|| format!("{variable_name} is not an address"))?;
    without_tls(address, &variable_name)
}

/// No listener speaks TLS yet; one that was asked to must not silently speak without.
fn without_tls(address: Address, variable_name: &str) -> anyhow::Result<Address> {
    if matches!(address, Address::Https { .. }) {
        anyhow::bail!(
            "{variable_name} asks for https, which Tandem does not serve by itself: put a proxy that ends TLS in front of an http address"
        );
    }
    Ok(address)
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable sets a key of a section. Plain ones (`TANDEM_LISTEN`) and listeners are read on their own.
fn is_section(name: &OsString) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("TANDEM_") && name.contains("__") && !name.ends_with("__LISTEN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_shall_speak_tls_is_refused_rather_than_served_without() {
        assert!(without_tls("https://127.0.0.1:7080".parse().unwrap(), "X").is_err());
        assert!(without_tls("http://127.0.0.1:7080".parse().unwrap(), "X").is_ok());
    }

    #[test]
    fn only_sections_are_taken_from_the_environment() {
        assert!(is_section(&OsString::from("TANDEM_STORAGE__POOL__MAX_CONNECTIONS")));
        for plain in [
            "TANDEM_LISTEN",
            "TANDEM_DATA_DIR",
            "TANDEM_STORAGE__LISTEN",
            "HOME",
            "X__Y",
        ] {
            assert!(!is_section(&OsString::from(plain)), "{plain}");
        }
    }
}
