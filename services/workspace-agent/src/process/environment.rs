//! What a process finds in its environment: only what is listed here, so that nothing of Tandem's can leak into it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where programs are found.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Nobody sits at a terminal: programs must not open editors, ask for passwords, page or colour.
const FIXED: [(&str, &str); 14] = [
    // The user has a number and no name on the host.
    ("USER", "tandem"),
    ("LOGNAME", "tandem"),
    ("LANG", "C.UTF-8"),
    ("SHELL", "/bin/sh"),
    ("TANDEM_CHAT_AGENT", "true"),
    ("GIT_EDITOR", "true"),
    ("GIT_SEQUENCE_EDITOR", "true"),
    ("EDITOR", "true"),
    ("VISUAL", "true"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("NO_COLOR", "1"),
    ("TERM", "dumb"),
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
];

/// Name of the directory for temporary files, below the home directory.
pub(super) const TEMPORARY: &str = ".tmp";

/// The whole environment of a process: ours, then what was asked for, then the chat's id, which nobody overrides.
pub(crate) fn environment(home: &Path, chat_id: &str, asked: &HashMap<String, String>) -> HashMap<String, String> {
    let local = home.join(".local/bin");
    let mut all: HashMap<String, String> = FIXED
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let own = own_directory().map(|directory| format!(":{}", directory.display()));
    let path = format!("{}:{PATH}{}", local.display(), own.unwrap_or_default());
    all.insert("PATH".to_owned(), path);
    let socket = home.join(crate::context::SOCKET);
    all.insert("TANDEM_AGENT_SOCKET".to_owned(), socket.display().to_string());
    all.insert("HOME".to_owned(), home.display().to_string());
    all.insert("TMPDIR".to_owned(), home.join(TEMPORARY).display().to_string());
    all.extend(asked.iter().map(|(name, value)| (name.clone(), value.clone())));
    all.insert("TANDEM_CHAT_ID".to_owned(), chat_id.to_owned());
    all
}

/// Where the agent's own program is: processes talk to the agent with it.
fn own_directory() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.parent().map(Path::to_owned)
}
