//! What a shell command may do, as far as its text tells: nothing but reading, something nobody wants, or nobody knows.
//!
//! Owns the reading of commands and the lists of programs and options. It is for people who want to be asked before a command runs; what
//! a command can reach is decided by the confinement it runs in, which relies on none of this.
//!
//! Commands are parsed as `sh -c` reads them, never searched for patterns. Whatever is not understood completely is unknown, also what
//! shells that stand in for `sh` (dash, bash, busybox, ksh) read differently. What a harmless command reads is not weighed: reading
//! secrets is what a workspace's file system and environment must not make possible.
//!
//! Two things are taken as given and are not of the command's text: that the program found under a name is the one that is meant, and
//! that the environment is as the workspace's agent makes it. Writing where programs are found is therefore not an ordinary change of a
//! file (`approval::risk`).

mod forbidden;
mod harmless;
mod parse;
mod programs;
mod reason;
mod special;
mod version_control;
mod wrappers;

pub use reason::Reason;

#[cfg(test)]
mod tests;

/// Longest command that is looked at, in bytes.
pub const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// Words of a command, those of commands inside of it included.
const MAX_WORDS: usize = 4_096;

/// Commands inside of commands: substitutions, groups, scripts given to shells. Each level is read once, so reading stays linear.
const MAX_DEPTH: usize = 8;

/// What is said of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each of its programs only reads, and shows what it read.
    Harmless,
    /// It may do anything.
    Unknown(Reason),
    /// It does what nobody wants.
    Forbidden(Reason),
}

/// Looks at a command as `sh -c` would be given it. Linear in its length, no IO, never panics.
///
/// * Harmless only if every program of it is known, with every option it is given.
/// * Forbidden also behind `sudo` and its like and inside of `sh -c '…'`, up to a depth; no list of disguises is complete.
///
/// Source: POSIX.1-2017 Shell Command Language, 2.2 to 2.10; where dash, bash, busybox and ksh differ, their manuals.
pub fn classify(command: &str) -> Verdict {
    classify_in(command, false)
}

/// The same for a command that may start in the root directory.
pub(crate) fn classify_in(command: &str, is_in_root: bool) -> Verdict {
    if command.len() > MAX_COMMAND_BYTES {
        return Verdict::Unknown(Reason::TooLong);
    }
    if command.chars().any(is_deceiving) {
        return Verdict::Unknown(Reason::Characters);
    }
    let script = parse::script(command, 0);
    match forbidden::find(&script, 0, is_in_root) {
        // Many tools tell people to install them so.
        Some(Reason::RunsDownload) => return Verdict::Unknown(Reason::RunsDownload),
        Some(reason) => return Verdict::Forbidden(reason),
        None => {}
    }
    if let Some(doubt) = script.doubt {
        return Verdict::Unknown(doubt);
    }
    if script.commands.is_empty() {
        return Verdict::Unknown(Reason::Empty);
    }
    let doubts = script.commands.iter().map(harmless::check);
    match doubts.collect() {
        Ok(()) => Verdict::Harmless,
        Err(doubt) => Verdict::Unknown(doubt),
    }
}

/// Characters that people do not see, that turn the text around, or that look like a space and are none.
fn is_deceiving(c: char) -> bool {
    match c {
        '\n' | '\t' | ' ' => false,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{2800}'
        | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' => true,
        '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{E000}'..='\u{F8FF}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFF0}'..='\u{FFFD}'
        | '\u{E0000}'..='\u{10FFFF}' => true,
        other => other.is_control() || other.is_whitespace(),
    }
}
