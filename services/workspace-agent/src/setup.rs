//! What an agent is told at start: one line of JSON on standard input, so that the token is in no command line and no environment.

use std::io::BufRead;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use tandem_chassis::tls;
use tandem_chassis::transport::Address;

use crate::error::Error;

/// Longest setup line, in bytes.
const MAX_SETUP_BYTES: u64 = 64 * 1024;

/// Everything an agent needs to know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Where tool-runner's link is reached.
    pub link: Address,
    /// The workspace's id, as the link knows it.
    pub workspace_id: String,
    /// Proves to the link that this is the workspace's agent.
    pub token: SecretString,
    /// Absolute path of the working directory; must exist.
    pub home: PathBuf,
    /// Directories besides the home that may be written, for example a private `/tmp`.
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// Bounds of what runs in the workspace.
    #[serde(default)]
    pub limits: Limits,
    /// The host is its user's own: what runs there may do what that user may, and a refused link is dialled again, since a workspace that
    /// is stopped may be started.
    #[serde(default)]
    pub is_users_host: bool,
    /// Where it is counted what the kernel kills for want of memory; without it the agent looks for its own control group.
    #[serde(default)]
    pub memory: Option<Memory>,
    /// Certificates for an `https:` link.
    #[serde(default)]
    pub tls: tls::ClientConfig,
}

/// The memory of the workspace as a whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The file with the counter `oom_kill` of the workspace's control group, of either version.
    pub events: PathBuf,
    /// What the workspace may use, in bytes; 0: not known.
    pub limit_bytes: u64,
}

/// Bounds the kernel enforces on the agent and everything it starts.
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_processes: 1_024,
            max_data_bytes: 4 * 1024 * 1024 * 1024,
            max_file_bytes: 2 * 1024 * 1024 * 1024,
            max_open_files: 4_096,
        }
    }
}

impl Setup {
    /// Reads the setup from the first line of standard input. Blocks until it is there.
    ///
    /// # Errors
    /// Input that cannot be read, or is no setup.
    pub fn from_stdin() -> Result<Self, Error> {
        let mut line = String::new();
        let mut input = std::io::Read::take(std::io::stdin().lock(), MAX_SETUP_BYTES);
        input.read_line(&mut line).map_err(Error::Input)?;
        // The parser's message may quote the line, which holds the token.
        serde_json::from_str(&line).map_err(|error| Error::Setup {
            line: error.line(),
            column: error.column(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_has_defaults_and_never_prints_its_token() {
        let text = r#"{"link":"unix:/run/link.sock","workspace_id":"w","token":"s3cret","home":"/home/w"}"#;
        let setup: Setup = serde_json::from_str(text).unwrap();
        assert_eq!(setup.limits.max_open_files, 4_096);
        assert!(!format!("{setup:?}").contains("s3cret"));
    }
}
