//! One process of the system under test: its start, its log file, its end.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// Bytes of a log shown when a test fails.
const LOG_TAIL_BYTES: u64 = 16 << 10;
/// A killed process is gone at once; this only guards against waiting for ever.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How a process is started, every time the same.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The service's name, or `tandem` for all of them.
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

/// A process, running or not.
pub(super) struct Process {
    pub plan: Plan,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Prepares a process; its output will be appended to a file in `logs`.
    pub fn new(plan: Plan, logs: &Path) -> Self {
        let log = logs.join(format!("{}.log", plan.name));
        Self { plan, log, child: None }
    }

    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.plan.program);
        command
            .args(&self.plan.arguments)
            // Nothing of the developer's own settings may leak into a test.
            .env_clear()
            .envs(kept_environment())
            .envs(self.plan.environment.iter().cloned())
            .env("TANDEM_FAULTS_PROCESS", &self.plan.name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("could not start {}", self.plan.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Fails when the process has ended by itself.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            bail!("{} ended with {status}\n{}", self.plan.name, self.log_tail());
        }
        Ok(())
    }

    /// Sends a signal; an error when the process is not running.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .with_context(|| format!("{} is not running", self.plan.name))?;
        kill_process(id, signal).with_context(|| format!("could not signal {}", self.plan.name))
    }

    /// `kill -9`, and waits until the process is gone.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.start_kill().ok();
            timeout(KILL_LIMIT, child.wait())
                .await
                .context("a killed process did not end")??;
        }
        Ok(())
    }

    /// SIGTERM, and the exit status if it ends within `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let child = self.child.as_mut().context("not running")?;
        let status = timeout(limit, child.wait()).await;
        let status = status.with_context(|| {
            format!(
                "{} did not end within {limit:?} of SIGTERM\n{}",
                self.plan.name,
                self.log_tail()
            )
        })??;
        self.child = None;
        Ok(status)
    }

    /// `kill -9` for destructors, which cannot wait asynchronously.
    pub fn kill_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.start_kill().ok();
            for _ in 0..500 {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// The end of the log, for messages of failed tests.
    pub fn log_tail(&self) -> String {
        let tail = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let text = match tail() {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(no log: {error})"),
        };
        format!("--- end of the log of {} ---\n{text}\n---", self.plan.name)
    }

    /// The whole log.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What processes need of the environment around the test.
fn kept_environment() -> Vec<(String, String)> {
    ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE", "RUST_LOG"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// The program under test: `TANDEM_BIN`, else `tandem` beside the directory of the test executable.
pub(super) fn program() -> anyhow::Result<PathBuf> {
    let program = match std::env::var_os("TANDEM_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let test = std::env::current_exe()?;
            let deps = test.parent().context("a test has a directory")?;
            deps.parent().unwrap_or(deps).join("tandem")
        }
    };
    if !program.is_file() {
        bail!(
            "{} is missing: build it with `cargo build --workspace`, or name another in TANDEM_BIN",
            program.display()
        );
    }
    Ok(program)
}
