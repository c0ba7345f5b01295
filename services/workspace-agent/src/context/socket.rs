//! The socket through which processes of the workspace change the context of their chat: one JSON line each way.
//!
//! Whoever can connect is the workspace's own user. Such a process may be hostile; what it reaches is what its chat's model is told,
//! within the bounds of storage and of `desk`, and files are read as the agent reads them: beneath the home directory.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_proto::workspace::v1::context_command::Command;
use tandem_proto::workspace::v1::{AddContext, ClearContext, ShowContext};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::Context;
use super::discover::Findings;
use crate::error::Failure;
use crate::files::Root;

/// Where the socket is, relative to the home directory.
pub(crate) const SOCKET: &str = ".tandem/agent.sock";

/// Longest request, in bytes.
const MAX_REQUEST_BYTES: u64 = 512 * 1024;

/// Paths in one request.
const MAX_PATHS: usize = 100;

/// Connections at once.
const MAX_CONNECTIONS: usize = 16;

/// Time for one exchange, tool-runner's answer included.
const EXCHANGE_TIME: Duration = Duration::from_secs(30);

/// What a process asks.
#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
enum Asked {
    Add {
        #[serde(default)]
        chat_id: String,
        paths: Vec<String>,
    },
    Clear {
        #[serde(default)]
        chat_id: String,
    },
    Show {
        #[serde(default)]
        chat_id: String,
    },
}

/// What it is answered.
#[derive(Debug, Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    chat_id: String,
    count: i32,
    files: Vec<Named>,
    skills: Vec<Named>,
    skipped: Vec<Named>,
}

/// A file, a skill or what is none, with a word about it.
#[derive(Debug, Serialize)]
struct Named {
    name: String,
    note: String,
}

/// Serves the socket until the agent ends. A workspace without one works all the same.
pub(crate) async fn serve(root: Arc<Root>, context: Arc<Context>) {
    let listener = match bind(&root.home().join(SOCKET)) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "processes of this workspace cannot change their context");
            return std::future::pending().await;
        }
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a process could not be heard");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (root, context) = (Arc::clone(&root), Arc::clone(&context));
        tokio::spawn(async move {
            let _place = place;
            // A process that does not read its answer only hurts itself.
            let _ = tokio::time::timeout(EXCHANGE_TIME, exchange(stream, root, context)).await;
        });
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    UnixListener::bind(path)
}

async fn exchange(mut stream: UnixStream, root: Arc<Root>, context: Arc<Context>) -> io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::getuid().as_raw() {
        return Ok(());
    }
    let mut line = String::new();
    BufReader::new((&mut stream).take(MAX_REQUEST_BYTES))
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str(&line) {
        Ok(asked) => answer(asked, root, context).await,
        Err(error) => Err(Failure::invalid(format!("the request cannot be read: {error}"))),
    };
    let answer = answer.unwrap_or_else(|failure| Answer {
        error: failure.message,
        ..Answer::default()
    });
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.shutdown().await
}

async fn answer(asked: Asked, root: Arc<Root>, context: Arc<Context>) -> Result<Answer, Failure> {
    let (chat_id, command, skipped) = match asked {
        Asked::Add { chat_id, paths } => {
            let (adds, reader) = (root, Arc::clone(&context));
            let findings = blocking(move || gather(&adds, &reader, &paths)).await??;
            let command = Command::Add(AddContext {
                files: findings.files,
                skills: findings.skills,
            });
            (chat_id, command, findings.skipped)
        }
        Asked::Clear { chat_id } => (chat_id, Command::Clear(ClearContext {}), Vec::new()),
        Asked::Show { chat_id } => {
            let looker = Arc::clone(&context);
            let found = blocking(move || looker.discover(&root)).await?;
            (chat_id, Command::Show(ShowContext {}), found.skipped)
        }
    };
    let result = context.desk.ask(chat_id, command).await?;
    let truncated = |is_truncated| if is_truncated { "truncated" } else { "" };
    Ok(Answer {
        error: String::new(),
        chat_id: result.chat_id,
        count: result.count,
        files: named(result.files, |file| {
            (file.path, truncated(file.is_truncated).to_owned())
        }),
        skills: named(result.skills, |skill| (skill.name, skill.description)),
        skipped: named(skipped, |skipped| (skipped.path, skipped.reason)),
    })
}

fn named<T>(all: Vec<T>, of: impl Fn(T) -> (String, String)) -> Vec<Named> {
    all.into_iter()
        .map(|one| {
            let (name, note) = of(one);
            Named { name, note }
        })
        .collect()
}

/// What is at these paths: a file; a skill; or a directory with instructions and skills.
fn gather(root: &Root, context: &Context, paths: &[String]) -> Result<Findings, Failure> {
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Err(Failure::invalid(format!("1 to {MAX_PATHS} paths can be added at once")));
    }
    let places = &context.places;
    let mut findings = Findings::default();
    let mut taken = HashSet::new();
    for path in paths {
        let below: PathBuf = root.relative(path)?.components().collect();
        let before = findings.files.len() + findings.skills.len() + findings.skipped.len();
        match super::discover::names(root, &below) {
            Ok(names) if names.contains(&places.meta_file) => {
                findings.skill(root, &below, &places.meta_file);
            }
            Ok(_) => {
                findings.instructions(root, &below, &places.instructions_file);
                for skills in [".agents/skills", "skills"] {
                    findings.skills(root, &below.join(skills), &places.meta_file, &mut taken);
                }
            }
            Err(_) => {
                // Not a directory: then its own error counts.
                root.open_file(&below.to_string_lossy())?;
                findings.file(root, &below);
            }
        }
        if findings.files.len() + findings.skills.len() + findings.skipped.len() == before {
            let text = format!("{path}: there is nothing to add, neither instructions nor skills");
            return Err(Failure::invalid(text));
        }
    }
    if findings.files.is_empty() && findings.skills.is_empty() {
        let reason = findings
            .skipped
            .first()
            .map(|skipped| format!("{}: {}", skipped.path, skipped.reason));
        return Err(Failure::invalid(reason.unwrap_or_default()));
    }
    for skill in &findings.skills {
        context.remember(&root.relative(&skill.directory)?);
    }
    Ok(findings)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failure::limit("the agent is stopping"))
}
