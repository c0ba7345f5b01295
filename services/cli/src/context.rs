//! `tandem context`: what the model of this chat is told beside the conversation, seen and changed from inside its workspace.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// Time for an answer; the agent gives up before.
const ANSWER_TIME: Duration = Duration::from_secs(35);

/// Where the agent listens, below the home directory, unless it has said something else.
const SOCKET: &str = ".tandem/agent.sock";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The chat that is meant, where it is not the one that started this process.
    #[arg(long, global = true, env = "TANDEM_CHAT_ID")]
    chat: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Adds instruction files and skills: files, skills' directories, or directories that hold an AGENTS.md or skills.
    Add {
        /// The current directory when there is none.
        paths: Vec<PathBuf>,
    },
    /// Takes back all that was added. What is found by itself stays.
    Clear,
    /// Lists what the model is told.
    Show,
}

/// What the agent answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    #[serde(default)]
    chat_id: String,
    #[serde(default)]
    count: i32,
    #[serde(default)]
    files: Vec<Named>,
    #[serde(default)]
    skills: Vec<Named>,
    #[serde(default)]
    skipped: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    note: String,
}

/// Asks the agent of this workspace.
///
/// # Errors
/// There is no agent here, or it refuses; its words say why.
#[expect(clippy::print_stdout, reason = "the answer is for whoever ran the command")]
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let chat_id = arguments.chat.unwrap_or_default();
    let request = match &arguments.command {
        Command::Add { paths } => json!({ "command": "add", "chat_id": chat_id, "paths": absolute(paths)? }),
        Command::Clear => json!({ "command": "clear", "chat_id": chat_id }),
        Command::Show => json!({ "command": "show", "chat_id": chat_id }),
    };
    let answer = ask(&request)?;
    if !answer.error.is_empty() {
        bail!("{}", answer.error);
    }
    match arguments.command {
        Command::Add { .. } => println!("Added {} to chat {}.", answer.count, answer.chat_id),
        Command::Clear => println!("Cleared what was added to chat {}.", answer.chat_id),
        Command::Show => {}
    }
    for (title, all) in [
        ("file", answer.files),
        ("skill", answer.skills),
        ("not used", answer.skipped),
    ] {
        for Named { name, note } in all {
            let note = if note.is_empty() { note } else { format!(" ({note})") };
            println!("{title}: {name}{note}");
        }
    }
    Ok(())
}

fn absolute(paths: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let here = std::env::current_dir().context("there is no current directory")?;
    let paths = if paths.is_empty() {
        &[PathBuf::from(".")][..]
    } else {
        paths
    };
    let absolute = paths.iter().map(|path| {
        let path: PathBuf = here.join(path).components().collect();
        let path = path.to_str().context("a path is not UTF-8")?;
        Ok(path.to_owned())
    });
    absolute.collect()
}

fn ask(request: &serde_json::Value) -> anyhow::Result<Answer> {
    let socket = match std::env::var_os("TANDEM_AGENT_SOCKET") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(SOCKET),
    };
    let mut stream = UnixStream::connect(&socket)
        .with_context(|| format!("there is no agent at {}; run this inside a workspace", socket.display()))?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_ANSWER_BYTES))
        .read_line(&mut line)
        .context("the agent does not answer")?;
    serde_json::from_str(&line).context("the agent's answer cannot be read")
}
