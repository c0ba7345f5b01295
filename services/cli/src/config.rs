//! The configuration of a process: one section for each service, from a file, then from `TANDEM_<SERVICE>__…` variables.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use tandem_chassis::config::Secret;
use tandem_chassis::{telemetry, tls};

use crate::data_dir::DataDir;

/// What a process can be told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) telemetry: telemetry::Config,
    /// Certificate of the process's listener.
    pub(crate) tls: Option<tls::ServerConfig>,
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
        let tools = &mut config.tool_runner;
        if tools.kek.is_none() && tools.kek_file.is_none() {
            tools.kek_file = Some(data.secret("mcp-envelope-key"));
            tools.create_kek_file = true;
        }
        Ok(config)
    }
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable sets a key of a section. Plain ones (`TANDEM_LISTEN`) and the services' own listeners (`TANDEM_STORAGE__LISTEN`) are
/// read on their own; further listeners of a service (`TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN`) are keys like others.
fn is_section(name: &OsString) -> bool {
    let is_key = |name: &str| name.split_once("__").is_some_and(|(_, key)| key != "LISTEN");
    name.to_str()
        .and_then(|name| name.strip_prefix("TANDEM_"))
        .is_some_and(is_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sections_are_taken_from_the_environment() {
        for key in [
            "TANDEM_STORAGE__POOL__MAX_CONNECTIONS",
            "TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN",
        ] {
            assert!(is_section(&OsString::from(key)), "{key}");
        }
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
