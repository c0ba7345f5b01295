//! What a tool-runner can be told. Every value has a default; `config.example.toml` lists them all.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tandem_chassis::config::Secret;
use tandem_chassis::seal::keyring::Sources;
use tandem_chassis::transport::Address;
use tandem_chassis::{outbound, tls};
use tandem_kubernetes::Config as Kubernetes;

use crate::{git, mcp};

/// Settings of one tool-runner.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the services this one calls are reached.
    pub peers: Peers,
    /// Certificates for `https:` peers.
    pub peer_tls: tls::ClientConfig,
    /// Holds one home directory for each local workspace.
    pub workspaces_dir: PathBuf,
    /// Where agents dial in; unset: a socket in `link/` beside `workspaces_dir`. Agents are other processes, so `memory:` cannot be
    /// used.
    pub link_listen: Option<Address>,
    /// Where agents on hosts of users' own dial in.
    pub agent: Agent,
    /// Workspaces as pods.
    pub kubernetes: Kubernetes,
    /// The program that is an agent, and its arguments; unset: this program with the argument `workspace-agent`.
    pub agent_command: Option<Vec<String>>,
    /// An agent nobody has used for this long is stopped, with everything that runs in its workspace.
    #[serde(with = "tandem_chassis::config::duration")]
    pub idle_timeout: Duration,
    /// Bounds of what runs in one workspace.
    pub limits: Limits,
    /// The key that seals secrets of MCP servers: 32 bytes as hex or base64. Wins over `kek_file`.
    pub kek: Option<Secret>,
    /// File with that key, mode 0600.
    pub kek_file: Option<PathBuf>,
    /// Creates `kek_file` with a fresh key if it is missing. For a single machine: several would each make their own.
    pub create_kek_file: bool,
    /// Earlier sealing keys. They still open what they sealed and seal nothing new.
    pub previous_keks: Vec<Secret>,
    /// Which addresses of MCP servers may be called.
    pub outbound: outbound::Config,
    /// How MCP servers are asked.
    pub mcp: mcp::Config,
    /// How repositories are dealt with.
    pub git: git::Config,
}

/// Where agents on hosts of users' own dial in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// A listener of its own for them; unset: they can only come from this machine.
    pub listen: Option<Address>,
    /// What users are told to dial, where that differs from `listen`: the name of a load balancer, for example.
    pub url: Option<Address>,
    /// Certificate of an `https:` listener.
    pub tls: Option<tls::ServerConfig>,
}

/// Addresses of the services this one calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peers {
    /// The room with SQL.
    pub storage: Address,
}

/// Bounds the kernel enforces in a workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Processes and threads of the workspace's user.
    pub max_processes: u64,
    /// Data of one process, in bytes.
    pub max_data_bytes: u64,
    /// Largest file that can be written, in bytes.
    pub max_file_bytes: u64,
    /// Open files of one process.
    pub max_open_files: u64,
    /// Memory of everything in the workspace together, in bytes. Needs control groups.
    pub max_memory_bytes: u64,
    /// Processor time of everything in the workspace together, in percent of one processor; 0: all there is. Needs control groups.
    pub max_cpu_percent: u32,
    /// What processes reach of the network.
    pub network: Network,
}

/// What processes in a workspace reach of the network.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Whatever this machine reaches.
    #[default]
    Open,
    /// Nothing. A host that cannot keep this does not start.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peers: Peers::default(),
            peer_tls: tls::ClientConfig::default(),
            workspaces_dir: PathBuf::from("/var/lib/tandem/workspaces"),
            link_listen: None,
            agent: Agent::default(),
            kubernetes: Kubernetes::default(),
            agent_command: None,
            idle_timeout: Duration::from_secs(30 * 60),
            limits: Limits::default(),
            kek: None,
            kek_file: None,
            create_kek_file: false,
            previous_keks: Vec::new(),
            outbound: outbound::Config::default(),
            mcp: mcp::Config::default(),
            git: git::Config::default(),
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            storage: Address::Memory("storage".to_owned()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_processes: 1_024,
            max_data_bytes: 4 * 1024 * 1024 * 1024,
            max_file_bytes: 2 * 1024 * 1024 * 1024,
            max_open_files: 4_096,
            max_memory_bytes: 8 * 1024 * 1024 * 1024,
            max_cpu_percent: 0,
            network: Network::Open,
        }
    }
}

impl Config {
    /// Where the keys that seal secrets are.
    pub(crate) fn keys(&self) -> Sources<'_> {
        Sources {
            kek: self.kek.as_ref(),
            kek_file: self.kek_file.as_deref(),
            create_kek_file: self.create_kek_file,
            previous_keks: &self.previous_keks,
        }
    }

    /// Where agents dial in.
    pub(crate) fn link_address(&self) -> Address {
        self.link_listen.clone().unwrap_or_else(|| {
            let beside = self.workspaces_dir.parent().unwrap_or(&self.workspaces_dir);
            Address::Unix(beside.join("link").join("agents.sock"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_default() {
        let file = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml"));
        let example: Config = tandem_chassis::config::load_from(Some(file), "TANDEM_TOOL_RUNNER__", []).unwrap();
        assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn agents_dial_in_beside_the_workspaces_unless_told_otherwise() {
        assert_eq!(
            Config::default().link_address().to_string(),
            "unix:/var/lib/tandem/link/agents.sock"
        );
    }
}
