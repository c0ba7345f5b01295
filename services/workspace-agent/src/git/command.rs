//! Running the `git` program of this system, so that nothing a repository says makes it run another program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Tries of a command whose end somebody else took notice of first: whoever collects what ended shells left behind.
const MAX_TRIES: usize = 3;

/// Given with every command. They win over what the repository's own settings say.
const SETTINGS: [&str; 8] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.pager=cat",
    "credential.helper=",
    "diff.external=",
    "protocol.allow=never",
    "protocol.ext.allow=never",
];

/// The whole environment but for the search path: no settings of this system or of a user, no network, no questions.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_ALLOW_PROTOCOL", ""),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_EDITOR", "true"),
    ("GIT_PAGER", "cat"),
];

/// Where programs are found when the environment does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("git took too long")]
    Late,
    #[error("git printed more than is looked at")]
    TooLong,
    /// As it does where there is nothing to say, too.
    #[error("git failed")]
    Failed,
    #[error("git could not be run")]
    Io(#[from] io::Error),
}

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Git {
    program: PathBuf,
    path: OsString,
}

/// One command.
#[derive(Default)]
pub(super) struct Run<'a> {
    /// Where it runs.
    pub(super) directory: Option<&'a Path>,
    /// The repository's own directory.
    pub(super) git_dir: Option<&'a Path>,
    pub(super) arguments: Vec<&'a OsStr>,
    pub(super) environment: Vec<(&'a str, &'a OsStr)>,
    pub(super) input: Vec<u8>,
    /// Bytes it may print.
    pub(super) max_output: usize,
}

impl Git {
    /// The program, if this system has it.
    pub(super) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
        let program = std::env::split_paths(&path)
            .map(|directory| directory.join("git"))
            .find(|program| program.is_file())?;
        Some(Self { program, path })
    }

    /// Another program in its place.
    #[cfg(test)]
    pub(super) fn of(program: PathBuf) -> Self {
        Self {
            program,
            path: PATH.into(),
        }
    }

    /// Runs a command to its end; what it printed.
    ///
    /// # Errors
    /// [`Error`]; the command runs no more.
    pub(super) async fn run(&self, run: &Run<'_>, limit: Duration) -> Result<Vec<u8>, Error> {
        for _ in 1..MAX_TRIES {
            match self.once(run, limit).await {
                Err(Error::Io(error)) if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) => {}
                other => return other,
            }
        }
        self.once(run, limit).await
    }

    async fn once(&self, run: &Run<'_>, limit: Duration) -> Result<Vec<u8>, Error> {
        let mut command = Command::new(&self.program);
        command
            .arg("--no-pager")
            .env_clear()
            .env("PATH", &self.path)
            .envs(ENVIRONMENT);
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        if let Some(git_dir) = run.git_dir {
            let mut argument = OsString::from("--git-dir=");
            argument.push(git_dir);
            command.arg(argument);
        }
        if let Some(directory) = run.directory {
            command.current_dir(directory);
        }
        command
            .args(&run.arguments)
            .envs(run.environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = Group(command.spawn()?);
        let exchange = tokio::time::timeout(limit, exchange(&mut child.0, run));
        exchange.await.map_err(|_| Error::Late)?
    }
}

async fn exchange(child: &mut Child, run: &Run<'_>) -> Result<Vec<u8>, Error> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::Io(io::ErrorKind::BrokenPipe.into()));
    };
    let writing = async move {
        // Who ends without reading all of it says so with its exit code.
        let _ = input.write_all(&run.input).await;
    };
    let reading = async {
        let mut printed = Vec::new();
        let most = u64::try_from(run.max_output).unwrap_or(u64::MAX);
        output.take(most.saturating_add(1)).read_to_end(&mut printed).await?;
        Ok::<_, io::Error>(printed)
    };
    let ((), printed) = tokio::join!(writing, reading);
    let printed = printed?;
    if printed.len() > run.max_output {
        return Err(Error::TooLong);
    }
    if child.wait().await?.success() {
        Ok(printed)
    } else {
        Err(Error::Failed)
    }
}

/// A command with whatever it started; dropping it ends all of them.
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
