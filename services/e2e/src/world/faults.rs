//! Faults at named points of the system's own code: armed by a test, fired once, seen to have fired.

use std::{fmt::Display, path::PathBuf, time::Duration};

use anyhow::bail;

/// Pause between two looks at whether a fault has fired.
const INTERVAL: Duration = Duration::from_millis(5);

/// Where faults of one world are armed.
pub struct Faults {
    directory: PathBuf,
}

impl Faults {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// `kill -9` of the process that reaches `point` next, working on this chat; on any if empty.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kill_at(&self, point: &str, chat_id: &str) -> anyhow::Result<()> {
        self.arm(point, "kill", chat_id)
    }

    /// A panic at `point`, working on this chat; on any if empty.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn panic_at(&self, point: &str, chat_id: &str) -> anyhow::Result<()> {
        self.arm(point, "panic", chat_id)
    }

    /// Waits until the armed fault has fired, and forgets it.
    ///
    /// # Errors
    /// When it does not fire in time.
    pub async fn fired(&self, point: &str, limit: Duration) -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        while started.elapsed() < limit {
            for action in ["kill", "panic"] {
                if std::fs::remove_file(self.directory.join(format!("{point}.{action}.fired"))).is_ok() {
                    return Ok(());
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
        bail!("nobody came to {point} within {limit:?}")
    }

    /// The `n`-th call of `method` from now on, 1 and up, is answered as unavailable: before anything was done, or after all was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn fail_call(&self, moment: &str, method: &str, n: usize) -> anyhow::Result<()> {
        self.arm("call", moment, &format!("{method} {n}"))
    }

    /// Takes an armed call back; whether it had fired.
    pub fn take_back_call(&self, moment: &str) -> bool {
        std::fs::remove_file(self.directory.join(format!("call.{moment}"))).ok();
        std::fs::remove_file(self.directory.join(format!("call.{moment}.fired"))).is_ok()
    }

    /// Sets the wall clock of a process wrong: by seconds, ahead if positive, or to another rate from now on, such as `x2`. The process is
    /// a service, or a later replica such as `orchestrator-2`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_clock(&self, process: &str, error: impl Display) -> anyhow::Result<()> {
        let aside = self.directory.join(format!("{process}.clock.new"));
        std::fs::write(&aside, error.to_string())?;
        Ok(std::fs::rename(aside, self.directory.join(format!("{process}.clock")))?)
    }

    /// Waits until the process has read its clock while it was wrong in this way.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn clock_was_read(&self, process: &str, error: impl Display, limit: Duration) -> anyhow::Result<()> {
        let file = self.directory.join(format!("{process}.clock.fired"));
        let error = error.to_string();
        let started = std::time::Instant::now();
        while started.elapsed() < limit {
            if std::fs::read_to_string(&file).is_ok_and(|text| text == error) {
                return Ok(());
            }
            tokio::time::sleep(INTERVAL).await;
        }
        bail!("{process} did not look at its clock within {limit:?}")
    }

    /// Switches a safety off, or on again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn switch_off(&self, safety: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.directory.join(format!("{safety}.off")), "")?)
    }

    /// Records the methods of all calls from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record_calls(&self) -> anyhow::Result<()> {
        Ok(std::fs::write(self.directory.join("calls.log"), "")?)
    }

    /// What was recorded, in order; recording ends.
    ///
    /// # Errors
    /// When nothing was recorded.
    pub fn recorded_calls(&self) -> anyhow::Result<Vec<String>> {
        let file = self.directory.join("calls.log");
        let calls = std::fs::read_to_string(&file)?;
        std::fs::remove_file(file)?;
        Ok(calls.lines().map(str::to_owned).collect())
    }

    fn arm(&self, point: &str, action: &str, subject: &str) -> anyhow::Result<()> {
        // Written aside first: a process must not read half a subject.
        let aside = self.directory.join(format!("{point}.{action}.new"));
        std::fs::write(&aside, subject)?;
        std::fs::rename(aside, self.directory.join(format!("{point}.{action}")))?;
        Ok(())
    }
}
