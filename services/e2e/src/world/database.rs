//! A PostgreSQL beside the system, which can die and come back without it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;

use super::process::{Plan, Process};

/// From start to the first accepted connection, recovery included.
const UP_LIMIT: Duration = Duration::from_secs(60);
/// A server told to end at once is gone within this time.
const GONE_LIMIT: Duration = Duration::from_secs(20);
/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(10);
/// How much of a statement is shown when it is refused.
const STATEMENT_CHARS: usize = 500;
/// Begins the line the command prints once its server accepts connections; the socket's directory follows.
const UP: &str = "psql -h ";

/// A server of one world's own, `tandem database`.
pub struct Database {
    process: Process,
    data: PathBuf,
    /// Directory of its Unix socket.
    sockets: PathBuf,
}

impl Database {
    pub(super) async fn start(program: &Path, data: &Path, logs: &Path) -> anyhow::Result<Self> {
        let plan = Plan {
            name: "database".to_owned(),
            program: program.to_owned(),
            arguments: vec!["database".to_owned()],
            environment: vec![("TANDEM_DATA_DIR".to_owned(), data.display().to_string())],
        };
        let mut database = Self {
            process: Process::new(plan, logs),
            data: data.join("postgres/data"),
            sockets: PathBuf::new(),
        };
        database.start_again().await?;
        Ok(database)
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.sockets.join(".s.PGSQL.5432")
    }

    /// Ends the server at once, as a crash would (its immediate mode), and waits until it is gone.
    ///
    /// # Errors
    /// When it outlives it.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).context("no database server runs")?;
        let id = text.lines().next().and_then(|line| line.trim().parse().ok());
        let id = id.and_then(Pid::from_raw).context("postmaster.pid names no process")?;
        kill_process(id, Signal::QUIT)?;
        let started = Instant::now();
        while is_running(id) {
            ensure!(started.elapsed() < GONE_LIMIT, "the database outlives its end");
            tokio::time::sleep(INTERVAL).await;
        }
        self.process.kill().await
    }

    /// Starts the server again and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not in time; with the end of its log.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let earlier = self.process.log().matches(UP).count();
        self.process.start()?;
        let started = Instant::now();
        loop {
            self.process.check_alive()?;
            let log = self.process.log();
            let mut lines = log.lines().filter_map(|line| line.split_once(UP));
            if let Some((_, command)) = lines.nth(earlier)
                && let Some((directory, _)) = command.split_once(" -U")
            {
                self.sockets = PathBuf::from(directory);
                return Ok(());
            }
            if started.elapsed() > UP_LIMIT {
                bail!("no database after {UP_LIMIT:?}\n{}", self.process.log_tail());
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Runs statements of any length beside the system, in one session; the rows, one a line, columns separated by `|`.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn sql(&self, statements: &str) -> anyhow::Result<String> {
        self.session(statements.to_owned()).await
    }

    /// The same as something to keep, for a session that stays.
    pub(super) fn session(&self, statements: String) -> impl Future<Output = anyhow::Result<String>> + Send + use<> {
        run(self.sockets.clone(), statements)
    }

    pub(super) fn kill_now(&mut self) {
        self.process.kill_now();
    }

    pub(super) fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// Whether the process runs, as opposed to being gone or waiting for its parent to notice.
fn is_running(id: Pid) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", id.as_raw_nonzero())).is_ok_and(|text| !text.is_empty())
}

/// `psql` for one session.
async fn run(sockets: PathBuf, statement: String) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::new("psql");
    command.arg("--host").arg(&sockets);
    command.args(["--username", "tandem", "--dbname", "tandem", "--no-psqlrc", "--quiet"]);
    command.args(["--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("could not run psql")?;
    let mut input = child.stdin.take().context("psql has no input")?;
    // Written beside reading: neither end may wait for the other.
    let write = async {
        // One that refuses the statement need not have read it all.
        input.write_all(statement.as_bytes()).await.ok();
        drop(input);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output.context("psql was lost")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let shown: String = statement.chars().take(STATEMENT_CHARS).collect();
    ensure!(output.status.success(), "psql did not run {shown:?}: {told}");
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
