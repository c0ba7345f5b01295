//! The agent as a program of its own: reads its setup from standard input and lives until that closes.

use std::error::Error as _;
use std::process::ExitCode;

use tandem_workspace_agent::{Error, Setup, answer_if_asked, run};

fn main() -> ExitCode {
    answer_if_asked().unwrap_or_else(serve)
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> ExitCode {
    let outcome = match Setup::from_stdin() {
        Ok(setup) => run(setup).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Says why, with every cause, to whoever started the agent.
#[expect(
    clippy::print_stderr,
    reason = "the agent logs nowhere; whoever started it reads this"
)]
fn fail(error: &Error) -> ExitCode {
    let mut text = format!("workspace agent: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    eprintln!("{text}");
    ExitCode::FAILURE
}
