//! `tandem agent`: this machine as a workspace; and `tandem workspace-agent`, the small program inside those that Tandem starts.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use tandem_chassis::config::Secret;
use tandem_chassis::transport::Address;
use tandem_chassis::{telemetry, tls};
use tandem_workspace_agent::{Limits, Setup};
use tokio::signal::unix::{SignalKind, signal};

/// What the token of a workspace's agent begins with; the workspace's id and the secret follow.
const TOKEN_PREFIX: &str = "tandem_agent_";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the agent dials in, as shown with the token: https://host:port, http://host:port or unix:/path.
    #[arg(long, env = "TANDEM_AGENT_URL")]
    url: Address,
    /// The workspace's token. A newer one for the same workspace makes this one useless.
    #[arg(long, env = "TANDEM_AGENT_TOKEN", hide_env_values = true)]
    token: Secret,
    /// The directory chats work in. Commands may do whatever you may, wherever they like.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Trust the certificates in this PEM file instead of the system's.
    #[arg(long)]
    ca_file: Option<PathBuf>,
}

/// Runs until standard input closes.
pub(crate) async fn run() -> anyhow::Result<()> {
    tandem_workspace_agent::run(Setup::from_stdin()?).await?;
    Ok(())
}

/// Runs until a signal. A link that breaks is dialled again, for as long as that takes.
pub(crate) async fn run_on_host(arguments: Arguments) -> anyhow::Result<()> {
    let workspace_id = workspace_of(arguments.token.expose())?;
    let home = arguments
        .dir
        .canonicalize()
        .with_context(|| format!("{} cannot be used", arguments.dir.display()))?;
    let _telemetry = telemetry::init(&telemetry::Config::default(), "agent")?;
    let setup = Setup {
        link: arguments.url,
        workspace_id,
        token: arguments.token.into_inner(),
        home,
        writable: Vec::new(),
        limits: Limits::default(),
        is_users_host: true,
        memory: None,
        tls: tls::ClientConfig {
            ca_file: arguments.ca_file,
            ..tls::ClientConfig::default()
        },
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tandem_workspace_agent::run_until(setup, asked).await?;
    Ok(())
}

/// The workspace a token is for.
fn workspace_of(token: &str) -> anyhow::Result<String> {
    let named = token.strip_prefix(TOKEN_PREFIX).and_then(|rest| rest.split_once('_'));
    match named {
        Some((workspace_id, secret)) if !secret.is_empty() => Ok(workspace_id.to_owned()),
        _ => bail!("this is no token of a workspace's agent; ask for one at the workspace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_workspace() {
        let id = "0190b3a4-0000-7000-8000-000000000001";
        assert_eq!(workspace_of(&format!("tandem_agent_{id}_abc")).unwrap(), id);
        for bad in ["", "tandem_agent_", "tandem_agent_x_", "other_x_y"] {
            assert!(workspace_of(bad).is_err(), "{bad}");
        }
    }
}
