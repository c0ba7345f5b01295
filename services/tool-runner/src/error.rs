//! Why a tool-runner could not start. Failures of tools are results, failures of calls are faults.

use std::path::PathBuf;

/// Why [`crate::run`] ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address or certificate that cannot be used.
    #[error("a peer's address cannot be used")]
    Peer(#[from] tandem_chassis::client::Error),
    /// A server could not start or ended.
    #[error("the server could not run")]
    Server(#[from] tandem_chassis::server::Error),
    /// Agents cannot dial in.
    #[error("could not listen for agents on {address}")]
    Link {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A directory could not be made or opened up.
    #[error("directory {path} cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Workspaces were to have no network, and have one.
    #[error(
        "workspaces cannot be cut off from the network on this host: install bubblewrap (bwrap) and allow namespaces, or set \
         limits.network = \"open\""
    )]
    Network,
    /// The program to run as agent is not known.
    #[error("the agent's program is not known; set agent_command")]
    Agent(#[source] std::io::Error),
    /// The cluster in which workspaces are pods.
    #[error("workspaces cannot be pods")]
    Kubernetes(#[from] tandem_kubernetes::Error),
    /// The key that seals secrets of MCP servers.
    #[error("the key-encryption key cannot be used")]
    Kek(#[from] tandem_chassis::seal::keyring::Error),
    /// TLS towards MCP servers.
    #[error("no HTTP client could be made")]
    Http(#[from] reqwest::Error),
    /// No thread could be started.
    #[error("no thread could be started")]
    Thread(#[source] std::io::Error),
}
