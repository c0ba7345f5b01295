//! Credentials that a program of the operator's prints (`credential_process`).
//!
//! The program gets this service's environment without what concerns this service alone, and neither input nor a shell: its line is cut into
//! words, as AWS's own tools do, and nothing in it is replaced. What it prints beside its answer is read by nobody, since secrets may stand in it.
//!
//! Source: AWS, "Sourcing credentials with an external process" (the line, the answer).

use std::{ffi::OsStr, process::Stdio, time::Duration as Limit};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

use super::{super::sign::Credentials, Grant, Trouble};

/// How long a program may run.
const LIMIT: Limit = Limit::from_secs(60);

/// Longest answer that is read.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;

/// How the names of variables begin that are ours alone; the sealing key and the database's password may be among them.
const OURS: [&str; 2] = ["TANDEM_", "DATABASE_URL"];

/// The only form of an answer there is.
const VERSION: u64 = 1;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Arguments may be secrets.
    line: SecretString,
    limit: Limit,
}

/// What a program prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    version: u64,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        self.line.expose_secret() == other.line.expose_secret() && self.limit == other.limit
    }
}

impl Process {
    pub(super) fn new(line: SecretString) -> Self {
        Self { line, limit: LIMIT }
    }

    /// Runs the program. It ends with whoever waits for it.
    ///
    /// # Errors
    /// Words on what went wrong, without any of the program's.
    pub(super) async fn ask(&self, now: OffsetDateTime) -> Result<Grant, Trouble> {
        let about = |trouble: Trouble| trouble.about("credential_process");
        let late = |_| Trouble::Passing(format!("the program did not end within {:?}", self.limit));
        let running = tokio::time::timeout(self.limit, self.run());
        let printed = running.await.map_err(late).flatten().map_err(about)?;
        granted(&printed, now).map_err(Trouble::from).map_err(about)
    }

    async fn run(&self) -> Result<Vec<u8>, Trouble> {
        let words = words(self.line.expose_secret())?;
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| Trouble::Lasting("no program is named".to_owned()))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        let started = command.spawn();
        let mut child =
            Group(started.map_err(|error| Trouble::Lasting(format!("the program cannot be started: {error}")))?);
        let broken = |error: std::io::Error| Trouble::Passing(format!("the program cannot be read: {error}"));
        let mut printed = Vec::new();
        if let Some(output) = child.0.stdout.take() {
            let mut output = output.take(MAX_OUTPUT_BYTES + 1);
            output.read_to_end(&mut printed).await.map_err(broken)?;
        }
        if printed.len() as u64 > MAX_OUTPUT_BYTES {
            return Err(format!("the program printed more than {MAX_OUTPUT_BYTES} bytes").into());
        }
        match child.0.wait().await.map_err(broken)? {
            status if status.success() => Ok(printed),
            status => Err(format!("the program ended with {status}; run it by hand to see why").into()),
        }
    }
}

/// Whether a variable is withheld from programs.
fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    OURS.iter().any(|ours| name.starts_with(ours))
}

/// A program with whatever it started; dropping it ends all of them, unless the program has ended by itself.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody has waited for it yet, so the number is still its own.
        let id = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            // It may have ended meanwhile.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// The words of a line. Quotes of both kinds hold words together, and a backslash takes the next character as it is, except within single
/// quotes.
///
/// # Errors
/// A quote, or a backslash, that is not finished.
fn words(line: &str) -> Result<Vec<String>, Trouble> {
    let unfinished = || Trouble::Lasting("a quotation mark or backslash is not finished".to_owned());
    let mut words = Vec::new();
    // Quotes make a word even if nothing stands between them.
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or_else(unfinished)? {
                        end if end == character => break,
                        '\\' if character == '"' => match characters.next().ok_or_else(unfinished)? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        inside => word.push(inside),
                    }
                }
            }
            '\\' => {
                let escaped = characters.next().ok_or_else(unfinished)?;
                word.get_or_insert_default().push(escaped);
            }
            space if space.is_whitespace() => words.extend(word.take()),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Credentials out of an answer. Nothing of it is repeated in words.
fn granted(printed: &[u8], now: OffsetDateTime) -> Result<Grant, String> {
    let unreadable = || "the program printed no JSON object with Version, AccessKeyId and SecretAccessKey".to_owned();
    let written: Written = serde_json::from_slice(printed).map_err(|_| unreadable())?;
    if written.version != VERSION {
        return Err(format!("the program printed a Version other than {VERSION}"));
    }
    if written.access_key_id.is_empty() || written.secret_access_key.is_empty() {
        return Err(unreadable());
    }
    let credentials = Credentials {
        access_key_id: written.access_key_id,
        secret: written.secret_access_key.into(),
        session_token: written.session_token.filter(|token| !token.is_empty()).map(Into::into),
    };
    let mut grant = Grant::untold(credentials, now);
    if let Some(text) = written.expiration {
        grant.expires_at = OffsetDateTime::parse(&text, &Rfc3339)
            .map_err(|_| "the program printed an Expiration that is no time (2026-01-31T12:00:00Z)".to_owned())?;
    }
    Ok(grant)
}

#[cfg(test)]
mod tests;
