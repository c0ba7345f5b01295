//! `tandem workspace-agent`: the small program inside a workspace.

use tandem_workspace_agent::Setup;

/// Runs until standard input closes.
pub(crate) async fn run() -> anyhow::Result<()> {
    tandem_workspace_agent::run(Setup::from_stdin()?).await?;
    Ok(())
}
