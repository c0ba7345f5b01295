//! The fake LLM server as a program, for tests and benchmarks in other processes; driven over `/__control/`.

use std::io::Write as _;

use clap::Parser;
use tandem_e2e::fake_llm::{DEFAULT_KEY, FakeLlm};

/// A scriptable OpenAI Chat Completions server for tests.
#[derive(Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Accept requests without a key.
    #[arg(long)]
    without_keys: bool,
    /// Accept any model name.
    #[arg(long)]
    any_model: bool,
    /// Refuse requests of more messages than this.
    #[arg(long)]
    max_messages: Option<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut builder = FakeLlm::builder().port(arguments.port);
    if arguments.without_keys {
        builder = builder.without_keys();
    }
    if arguments.any_model {
        builder = builder.models(Vec::<String>::new());
    }
    if let Some(max) = arguments.max_messages {
        builder = builder.max_messages(max);
    }
    let fake = builder.start().await?;
    // One line, so that the program that started this one can read where to go.
    let mut stdout = std::io::stdout();
    writeln!(stdout, "base_url={} api_key={DEFAULT_KEY}", fake.base_url())?;
    stdout.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
