//! Named points at which a test can end or crash a process, to prove what happens then. Debug builds only: in a release build a point
//! is nothing.
//!
//! A test arms a point by writing the file `<point>.kill` or `<point>.panic` into the directory that `TANDEM_FAULTS` names; its content
//! is the subject it is meant for (a chat id), or empty for any. The first process that reaches the point renames the file to
//! `….fired`, so a fault fires exactly once, whoever is restarted, and the test can see that it did.

/// A place where a fault may be armed. `subject` is what is being worked on.
///
/// # Panics
/// When the armed fault is a panic.
#[cfg(debug_assertions)]
pub fn point(name: &str, subject: &str) {
    use std::sync::OnceLock;

    static DIRECTORY: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| std::env::var_os("TANDEM_FAULTS").map(Into::into));
    let Some(directory) = directory else { return };
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

/// Takes the fault, if it is armed for this subject; only one taker can have it.
#[cfg(debug_assertions)]
fn is_armed(directory: &std::path::Path, name: &str, action: &str, subject: &str) -> bool {
    let file = directory.join(format!("{name}.{action}"));
    let Ok(wanted) = std::fs::read_to_string(&file) else {
        return false;
    };
    (wanted.is_empty() || wanted == subject)
        && std::fs::rename(&file, file.with_extension(format!("{action}.fired"))).is_ok()
}

/// A place where a fault may be armed, in debug builds.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str, _: &str) {}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn an_armed_fault_is_taken_once_and_only_by_its_subject() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("here.panic"), "chat-1").unwrap();
        let take = |subject| is_armed(directory.path(), "here", "panic", subject);
        assert!(!take("chat-2"));
        assert!(take("chat-1"));
        assert!(!take("chat-1"));
        assert!(directory.path().join("here.panic.fired").exists());
    }
}
