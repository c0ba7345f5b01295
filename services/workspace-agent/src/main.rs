//! The agent as a program of its own: reads its setup from standard input and lives until that closes.

use std::process::ExitCode;

use tandem_workspace_agent::{Setup, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Setup::from_stdin() {
        Ok(setup) => run(setup).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "workspace agent ended");
            ExitCode::FAILURE
        }
    }
}
