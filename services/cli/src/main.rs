#![doc = include_str!("../README.md")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod agent;
mod alone;
mod config;
mod context;
mod data_dir;
mod doctor;
mod listen;
mod serve;
mod services;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Self-hosted agent chats.
#[derive(Parser)]
#[command(name = "tandem", version, about)]
struct Arguments {
    /// A TOML file with one section for each service.
    #[arg(long, global = true, env = "TANDEM_CONFIG")]
    config: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All services in one process, with a PostgreSQL of its own unless DATABASE_URL is set.
    Serve,
    /// The storage service alone.
    Storage,
    /// The provider gateway alone.
    ProviderGateway,
    /// The tool runner alone.
    ToolRunner,
    /// The orchestrator alone.
    Orchestrator,
    /// The REST and WebSocket gateway alone.
    Gateway,
    /// The private PostgreSQL alone, for development; prints how to reach it.
    Database,
    /// Says what this machine offers Tandem, and what to do about what it lacks.
    Doctor,
    /// Inside a workspace: what the model of this chat is told of it.
    Context(context::Arguments),
    /// Lets chats work on this machine, as a workspace of an external template. Runs until it is interrupted.
    Agent(agent::Arguments),
    /// The program inside a workspace; started by the tool runner.
    #[command(hide = true)]
    WorkspaceAgent,
}

fn main() -> ExitCode {
    if let Some(code) = tandem_workspace_agent::answer_if_asked() {
        return code;
    }
    let arguments = Arguments::parse();
    // The agent confines its own thread before it starts others, so it gets no runtime of many threads.
    let is_agent = matches!(arguments.command, Command::WorkspaceAgent);
    let mut builder = if is_agent {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::from(error).context("could not start")),
    };
    // A task runs where the others do: on this thread, each of its wake-ups would take two switches between threads.
    match runtime.block_on(async { tokio::spawn(run(arguments)).await }) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error),
        Err(crash) => match crash.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => fail(&cancelled.into()),
        },
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    tandem_chassis::tls::install_default_provider();
    let file = arguments.config.as_deref();
    match arguments.command {
        Command::Serve => serve::run(file).await,
        Command::Storage => alone::run(file, services::Name::Storage).await,
        Command::ProviderGateway => alone::run(file, services::Name::ProviderGateway).await,
        Command::ToolRunner => alone::run(file, services::Name::ToolRunner).await,
        Command::Orchestrator => alone::run(file, services::Name::Orchestrator).await,
        Command::Gateway => alone::run(file, services::Name::Gateway).await,
        Command::Database => alone::database().await,
        Command::Doctor => doctor::run(file).await,
        Command::Context(arguments) => context::run(arguments),
        Command::Agent(arguments) => agent::run_on_host(arguments).await,
        Command::WorkspaceAgent => agent::run().await,
    }
}

/// Says why, with every cause, and with the exit code that belongs to it.
#[expect(
    clippy::print_stderr,
    reason = "the last words of a command are for the person at the terminal"
)]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("tandem: {error:#}");
    let is_config = error
        .chain()
        .any(|cause| cause.is::<tandem_chassis::config::Error>() || cause.is::<listen::Error>());
    ExitCode::from(if is_config {
        tandem_chassis::config::EX_CONFIG
    } else {
        1
    })
}
