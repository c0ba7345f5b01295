//! Faults that a test arms in a running process, to prove what happens then. Debug builds only: in a release build all of this is
//! nothing.
//!
//! `TANDEM_FAULTS` names a directory. A file in it arms a fault; the first process that meets it renames the file to `….fired`, so a
//! fault fires exactly once, whoever is restarted, and the test can see that it did.
//!
//! | file | its content | what happens |
//! |---|---|---|
//! | `<point>.kill` | the subject it is meant for, or nothing | the process ends as by `kill -9` at [`point`] |
//! | `<point>.panic` | the same | the task panics there |
//! | `call.before`, `call.after` | a method and which call of it, as `BeginStep 2` | that call is answered `unavailable`, before or after it was carried out |
//! | `<safety>.off` | – | [`is_off`] says so for as long as the file is there |
//! | `<process>.clock` | seconds, or a rate such as `x2` | the wall clock of the process whose `TANDEM_FAULTS_PROCESS` this is goes wrong by that much, or that fast since the file was written, for as long as the file is there |
//! | `calls.log` | – | every call that is served adds its method as a line |

#[cfg(debug_assertions)]
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done.
    Before,
    /// All was done, and the caller does not hear of it.
    After,
}

#[cfg(debug_assertions)]
fn directory() -> Option<&'static Path> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIRECTORY
        .get_or_init(|| std::env::var_os("TANDEM_FAULTS").map(Into::into))
        .as_deref()
}

/// A place where a fault may be armed. `subject` is what is being worked on.
///
/// # Panics
/// When the armed fault is a panic.
#[cfg(debug_assertions)]
pub fn point(name: &str, subject: &str) {
    let Some(directory) = directory() else { return };
    if is_armed(directory, name, "kill", subject) {
        // As `kill -9` would: no destructor runs, nothing is flushed.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
    assert!(
        !is_armed(directory, name, "panic", subject),
        "the fault armed at {name}"
    );
}

/// Whether a safety is switched off, to see that its drill notices.
#[cfg(debug_assertions)]
pub fn is_off(safety: &str) -> bool {
    directory().is_some_and(|directory| directory.join(format!("{safety}.off")).exists())
}

/// How far this process's wall clock is wrong at the moment.
#[cfg(debug_assertions)]
pub(crate) fn clock_error() -> time::Duration {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let process = std::env::var("TANDEM_FAULTS_PROCESS").ok()?;
        Some(directory()?.join(format!("{process}.clock")))
    });
    let Some(file) = file else { return time::Duration::ZERO };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let error = match text.trim().strip_prefix('x') {
        Some(rate) => since_written(file) * (rate.parse().unwrap_or(1.0) - 1.0),
        None => time::Duration::seconds(text.trim().parse().unwrap_or_default()),
    };
    if !error.is_zero() {
        // For the test to see that the wrong time was really told to somebody.
        let _ = std::fs::write(fired(file), text);
    }
    error
}

#[cfg(debug_assertions)]
fn since_written(file: &Path) -> time::Duration {
    let written = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    let since = written.ok().and_then(|written| written.elapsed().ok());
    since.and_then(|since| since.try_into().ok()).unwrap_or_default()
}

/// Whether this call of `path` (`/package.Service/Method`) is to fail now.
#[cfg(debug_assertions)]
pub(crate) fn fails(path: &str, moment: Moment) -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let Some(directory) = directory() else { return false };
    let method = path.rsplit('/').next().unwrap_or_default();
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if moment == Moment::Before
        && let Ok(mut log) = std::fs::OpenOptions::new()
            .append(true)
            .open(directory.join("calls.log"))
    {
        let _ = writeln!(log, "{method}");
    }
    let file = directory.join(match moment {
        Moment::Before => "call.before",
        Moment::After => "call.after",
    });
    let Ok(armed) = std::fs::read_to_string(&file) else {
        return false;
    };
    let Some((wanted, count)) = armed.trim().split_once(' ') else {
        return false;
    };
    match count.parse::<u32>() {
        Ok(count) if wanted == method && count > 1 => {
            let _ = std::fs::write(&file, format!("{wanted} {}", count - 1));
            false
        }
        Ok(_) if wanted == method => std::fs::rename(&file, fired(&file)).is_ok(),
        _ => false,
    }
}

/// Takes the fault, if it is armed for this subject; only one taker can have it.
#[cfg(debug_assertions)]
fn is_armed(directory: &Path, name: &str, action: &str, subject: &str) -> bool {
    let file = directory.join(format!("{name}.{action}"));
    let Ok(wanted) = std::fs::read_to_string(&file) else {
        return false;
    };
    (wanted.is_empty() || wanted == subject) && std::fs::rename(&file, fired(&file)).is_ok()
}

#[cfg(debug_assertions)]
fn fired(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".fired");
    name.into()
}

/// A place where a fault may be armed, in debug builds.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str, _: &str) {}

/// Whether a safety is switched off; never in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn is_off(_: &str) -> bool {
    false
}

/// How far this process's wall clock is wrong; never in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn clock_error() -> time::Duration {
    time::Duration::ZERO
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn fails(_: &str, _: Moment) -> bool {
    false
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn an_armed_fault_is_taken_once_and_only_by_its_subject() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("turn.here.panic"), "chat-1").unwrap();
        let take = |subject| is_armed(directory.path(), "turn.here", "panic", subject);
        assert!(!take("chat-2"));
        assert!(take("chat-1"));
        assert!(!take("chat-1"));
        assert!(directory.path().join("turn.here.panic.fired").exists());
    }
}
