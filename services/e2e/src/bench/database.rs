//! What the system asks its private PostgreSQL: the server logs every statement for a while, and the log is read back.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};

/// Begins every record of the log; statements never hold it.
const RECORD: &str = "@@statement@@ ";
/// Longest text by which a statement is shown.
const SHOWN_CHARS: usize = 110;

/// The log of a running server.
pub struct StatementLog {
    directory: PathBuf,
    /// Where the part begins that was not read yet.
    offset: u64,
}

/// How often a statement ran.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    pub count: u64,
    /// Time of the server for it, planning included.
    pub time: Duration,
}

/// Statements by their text.
pub type Statements = BTreeMap<String, Tally>;

impl StatementLog {
    /// Makes the server of this data directory log every statement.
    ///
    /// # Errors
    /// When `psql` is missing or not let in.
    pub async fn start(data: &Path) -> anyhow::Result<Self> {
        let directory = data.join("postgres");
        ensure!(
            directory.is_dir(),
            "{} is not there: the database is somewhere else",
            directory.display()
        );
        let mut log = Self { directory, offset: 0 };
        log.sql(&format!("ALTER SYSTEM SET log_line_prefix = '{RECORD}'"))
            .await?;
        log.sql("ALTER SYSTEM SET log_min_duration_statement = 0").await?;
        log.sql("SELECT pg_reload_conf()").await?;
        // Backends read their configuration between two statements.
        tokio::time::sleep(Duration::from_millis(500)).await;
        log.read()?;
        Ok(log)
    }

    /// Ends the logging.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn stop(self) -> anyhow::Result<()> {
        self.sql("ALTER SYSTEM RESET ALL").await?;
        self.sql("SELECT pg_reload_conf()").await
    }

    /// The statements since the last call.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(&mut self) -> anyhow::Result<Statements> {
        let path = self.directory.join("postgres.log");
        let mut file = File::open(&path).with_context(|| format!("could not open {}", path.display()))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        self.offset += file.read_to_end(&mut bytes)? as u64;
        Ok(tally(&String::from_utf8_lossy(&bytes)))
    }

    async fn sql(&self, statement: &str) -> anyhow::Result<()> {
        psql(&self.directory, statement).await.map(drop)
    }
}

/// Runs a statement in the private PostgreSQL of this data directory; its rows, one a line, columns separated by `|`.
///
/// # Errors
/// When `psql` is missing, not let in, or refuses the statement.
pub async fn sql(data: &Path, statement: &str) -> anyhow::Result<String> {
    psql(&data.join("postgres"), statement).await
}

async fn psql(directory: &Path, statement: &str) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::new("psql");
    command.arg("--host").arg(directory.join("run"));
    command.args(["--username", "tandem", "--dbname", "tandem", "--quiet", "--no-psqlrc"]);
    command.args([
        "--tuples-only",
        "--no-align",
        "--set",
        "ON_ERROR_STOP=1",
        "--command",
        statement,
    ]);
    let output = command
        .output()
        .await
        .context("could not run psql, which comes with PostgreSQL's client")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "psql did not run {statement:?}: {told}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Counts executions in a piece of the log. Records look like `LOG:  duration: 0.1 ms  execute name: text`; `parse` and
/// `bind` records of the same statement add to its time, not to its count.
fn tally(log: &str) -> Statements {
    let mut statements = Statements::new();
    for record in log.split(RECORD) {
        let Some((duration, rest)) = record
            .strip_prefix("LOG:  duration: ")
            .and_then(|rest| rest.split_once(" ms  "))
        else {
            continue;
        };
        let Some((kind, text)) = rest.split_once(": ") else {
            continue;
        };
        let is_execution = kind == "statement" || kind.starts_with("execute ");
        let milliseconds: f64 = duration.parse().unwrap_or(0.0);
        let tally = statements.entry(shown(text)).or_default();
        tally.count += u64::from(is_execution);
        tally.time += Duration::from_secs_f64(milliseconds / 1_000.0);
    }
    statements
}

/// A statement in one line, without the comment and whitespace around it.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether a statement only opens or ends a transaction.
pub fn is_bracket(statement: &str) -> bool {
    matches!(statement, "BEGIN" | "COMMIT" | "ROLLBACK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_counted_and_their_times_added_up() {
        let record = |text: &str| format!("{RECORD}LOG:  {text}\n");
        let log = [
            record("duration: 0.010 ms  statement: BEGIN"),
            record("duration: 0.500 ms  parse sqlx_s_1: SELECT 1\n\tFROM chats"),
            record("duration: 0.100 ms  bind sqlx_s_1: SELECT 1\n\tFROM chats"),
            record("duration: 0.400 ms  execute sqlx_s_1: SELECT 1\n\tFROM chats"),
            record("duration: 0.400 ms  execute sqlx_s_1: SELECT 1 FROM chats"),
            record("checkpoint starting: time"),
        ];
        let seen = tally(&log.concat());
        let tally = |count, micros| Tally {
            count,
            time: Duration::from_micros(micros),
        };
        let expected = [
            ("BEGIN".to_owned(), tally(1, 10)),
            ("SELECT 1 FROM chats".to_owned(), tally(2, 1_400)),
        ];
        assert_eq!(seen, Statements::from(expected));
    }

    #[test]
    fn long_statements_are_cut_between_characters() {
        let text = "ä".repeat(SHOWN_CHARS + 1);
        assert_eq!(shown(&text), format!("{}…", "ä".repeat(SHOWN_CHARS)));
    }
}
