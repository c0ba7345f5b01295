//! What nobody wants: a short list, recognised also behind programs that run programs and in scripts given to shells.
//!
//! What is forbidden is never run where people are asked, so nobody can allow it: each rule must meet nothing that has a use. The one that
//! has, a download that is run, is asked about with its reason (`classify`). It is no boundary, since whoever wants to deceive it finds a way; what is not recognised is unknown, and people are asked.
//!
//! Source: the commands that agents are known to have destroyed machines and homes with (LLM06, excessive agency), and what
//! `rm --preserve-root` was made for.

use super::MAX_DEPTH;
use super::parse::{self, Command, Operator, Script, Word};
use super::reason::Reason;
use super::wrappers::{Run, base_name, is_shell, resolve};

/// Programs that run each other through `find`.
const MAX_FINDS: usize = 4;

/// The first forbidden thing in a script that is `depth` levels inside of another.
///
/// * `is_in_root`: it starts in the root directory.
pub(super) fn find(script: &Script, depth: usize, is_in_root: bool) -> Option<Reason> {
    if is_fork_bomb(script) {
        return Some(Reason::ForkBomb);
    }
    let mut place = Place {
        depth,
        root_level: is_in_root.then_some(0),
    };
    // Pipelines in which something was downloaded by now.
    let mut downloads: Vec<usize> = Vec::new();
    for command in &script.commands {
        if command.redirections.iter().any(|redirection| {
            matches!(redirection.operator, Operator::Write | Operator::DuplicateOutput) && is_disk(&redirection.target)
        }) {
            return Some(Reason::WritesDisk);
        }
        if place.root_level.is_some_and(|level| command.level < level) {
            place.root_level = None;
        }
        let found = run(&command.words, script, &place, 0);
        if found.is_some() {
            return found;
        }
        match resolve(&command.words) {
            Some(Run::Program("cd", arguments)) => {
                let target = arguments.iter().find(|word| !word.text.starts_with('-'));
                place.root_level = target.is_some_and(is_root).then_some(command.level);
            }
            Some(Run::Program(name, _)) if is_download(name) => downloads.push(command.pipeline),
            Some(Run::Program(name, arguments))
                if downloads.contains(&command.pipeline) && runs_its_input(name, arguments) =>
            {
                return Some(Reason::RunsDownload);
            }
            _ => {}
        }
        // Only the latest can still be open, and those around it.
        if downloads.len() > MAX_DEPTH {
            downloads.remove(0);
        }
    }
    None
}

/// Where a command stands.
struct Place {
    depth: usize,
    /// The level of the `cd /` before it.
    root_level: Option<usize>,
}

fn run(words: &[Word], script: &Script, place: &Place, finds: usize) -> Option<Reason> {
    match resolve(words)? {
        Run::Text(text, word) => {
            if word.is_some_and(|word| has_download(word, script)) {
                return Some(Reason::RunsDownload);
            }
            let depth = place.depth + 1;
            if depth > MAX_DEPTH {
                return None;
            }
            find(&parse::script(&text, depth), depth, place.root_level.is_some())
        }
        Run::Program("find", arguments) => search(arguments, script, place, finds),
        Run::Program(name, arguments) => program(name, arguments, script, place),
    }
}

fn program(name: &str, arguments: &[Word], script: &Script, place: &Place) -> Option<Reason> {
    let has = |text: &str| arguments.iter().any(|word| word.text == text);
    let operands = || arguments.iter().filter(|word| !word.text.starts_with('-'));
    let first_is = |texts: &[&str]| {
        operands()
            .next()
            .is_some_and(|word| texts.contains(&word.text.as_str()))
    };
    match name {
        "rm" => {
            let is_recursive = is_recursive(arguments);
            let is_lost = |word: &Word| is_all(word) || (place.root_level.is_some() && is_here(word));
            (is_recursive && operands().any(is_lost)).then_some(Reason::Removes)
        }
        "chmod" | "chown" | "chgrp" => {
            let is_lost = |word: &Word| is_root(word) || (place.root_level.is_some() && is_here(word));
            (is_recursive(arguments) && operands().any(is_lost)).then_some(Reason::ChangesRights)
        }
        "mkfs" | "mke2fs" => Some(Reason::Formats),
        _ if name.starts_with("mkfs.") => Some(Reason::Formats),
        "wipefs" if !has("-a") && !has("--all") => None,
        "wipefs" | "blkdiscard" | "shred" => operands().any(is_disk).then_some(Reason::Formats),
        "dd" => {
            let outputs = arguments.iter().filter_map(|word| word.text.strip_prefix("of="));
            outputs.into_iter().any(is_device_path).then_some(Reason::WritesDisk)
        }
        "tee" => operands().any(is_disk).then_some(Reason::WritesDisk),
        "cp" | "mv" => operands()
            .next_back()
            .is_some_and(is_disk)
            .then_some(Reason::WritesDisk),
        "shutdown" | "reboot" | "halt" | "poweroff" => Some(Reason::EndsMachine),
        "init" | "telinit" => first_is(&["0", "6"]).then_some(Reason::EndsMachine),
        "systemctl" => first_is(&["poweroff", "reboot", "halt", "kexec"]).then_some(Reason::EndsMachine),
        "kill" => is_kill_of_all(arguments).then_some(Reason::EndsEverything),
        "." | "source" => arguments
            .first()
            .is_some_and(|word| has_download(word, script))
            .then_some(Reason::RunsDownload),
        shell if is_shell(shell) && !has("-s") => operands()
            .next()
            .is_some_and(|word| has_download(word, script))
            .then_some(Reason::RunsDownload),
        _ => None,
    }
}

/// `find / -delete`, and programs that `find` runs.
fn search(arguments: &[Word], script: &Script, place: &Place, finds: usize) -> Option<Reason> {
    let is_only = |word: &Word| {
        matches!(
            word.text.as_str(),
            "-delete" | "-xdev" | "-mount" | "-depth" | "-mindepth" | "-print"
        ) || word.text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let starts = arguments.iter().take_while(|word| !word.text.starts_with('-')).count();
    let (starts, expression) = arguments.split_at(starts);
    let is_deleting = expression.iter().any(|word| word.text == "-delete") && expression.iter().all(is_only);
    if is_deleting && starts.iter().any(is_all) {
        return Some(Reason::Removes);
    }
    if finds >= MAX_FINDS {
        return None;
    }
    let mut rest = expression;
    while let Some(at) = rest.iter().position(is_action) {
        rest = rest.get(at + 1..)?;
        let length = rest.iter().position(|word| matches!(word.text.as_str(), ";" | "+"));
        let length = length.unwrap_or(rest.len());
        let found = run(rest.get(..length)?, script, place, finds + 1);
        if found.is_some() {
            return found;
        }
        rest = rest.get(length..)?;
    }
    None
}

fn is_action(word: &Word) -> bool {
    matches!(word.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir")
}

/// `-r`, `-R`, `--recursive` and what it may be shortened to.
fn is_recursive(arguments: &[Word]) -> bool {
    let own = arguments.iter().take_while(|word| word.text != "--");
    own.into_iter().any(|word| match word.text.strip_prefix("--") {
        Some(long) => long.len() > 2 && "recursive".starts_with(long),
        None => word
            .text
            .strip_prefix('-')
            .is_some_and(|option| option.contains(['r', 'R'])),
    })
}

/// `-1` as a process, behind a signal, a `-s SIGNAL` or a `--`.
fn is_kill_of_all(arguments: &[Word]) -> bool {
    let mut rest = arguments.iter().map(|word| word.text.as_str());
    match rest.next() {
        Some("-s" | "-n" | "--signal") => drop(rest.next()),
        Some(first) if first.starts_with('-') => {}
        _ => return false,
    }
    rest.any(|process| process == "-1")
}

/// The root directory, what is in it, the home directory, what is in it, or what is above the directory.
fn is_all(word: &Word) -> bool {
    let text = word.text.as_str();
    if word.is_home {
        return text.strip_prefix('~').is_some_and(|rest| is_nowhere(rest, word));
    }
    is_root(word) || (!text.starts_with('/') && is_above(text, word))
}

fn is_root(word: &Word) -> bool {
    !word.is_home && word.text.starts_with('/') && is_nowhere(&word.text, word)
}

/// Whether the rest of a path leads no further down than to all that is there. Going up from the root leads to the root; from elsewhere,
/// to what is above it.
fn is_nowhere(path: &str, word: &Word) -> bool {
    let mut depth = 0_usize;
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
    while let Some(part) = parts.next() {
        match part {
            ".." => depth = depth.saturating_sub(1),
            _ if depth == 0 && parts.peek().is_none() && is_everything(part, word) => return true,
            _ => depth += 1,
        }
    }
    depth == 0
}

/// `..`, `../..`, `../*`.
fn is_above(path: &str, word: &Word) -> bool {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.last().is_some_and(|last| is_everything(last, word)) {
        parts.pop();
    }
    !parts.is_empty() && parts.iter().all(|part| *part == "..")
}

/// `*`, `.`, and the like: all of the directory.
fn is_here(word: &Word) -> bool {
    let mut parts = word.text.split('/').filter(|part| !matches!(*part, "" | "."));
    let is_relative = !word.is_home && !word.text.starts_with('/') && !word.text.is_empty();
    is_relative && parts.next().is_none_or(|part| is_everything(part, word)) && parts.next().is_none()
}

/// A pattern that all names match, or all hidden ones.
fn is_everything(part: &str, word: &Word) -> bool {
    word.first_pattern.is_some() && part.contains(['*', '?']) && part.chars().all(|c| matches!(c, '*' | '?' | '.'))
}

fn is_device_path(path: &str) -> bool {
    let rest = path.strip_prefix("/dev/").map(|rest| rest.trim_start_matches('/'));
    rest.is_some_and(|rest| {
        let is_harmless = matches!(rest, "" | "null" | "zero" | "full" | "stdout" | "stderr" | "tty");
        let is_below = ["shm/", "fd/", "pts/", "mqueue/"]
            .iter()
            .any(|prefix| rest.starts_with(prefix));
        !is_harmless && !is_below
    })
}

/// A block device, by the names that Linux gives them.
fn is_disk(word: &Word) -> bool {
    let rest = word.text.strip_prefix("/dev/").map(|rest| rest.trim_start_matches('/'));
    rest.is_some_and(|rest| {
        [
            "sd", "hd", "vd", "xvd", "nvme", "mmcblk", "disk/", "mapper/", "dm-", "md", "loop",
        ]
        .iter()
        .any(|prefix| rest.starts_with(prefix))
    })
}

fn is_download(name: &str) -> bool {
    matches!(name, "curl" | "wget" | "fetch" | "aria2c" | "lwp-download")
}

/// Whether the word is all that a download gives.
fn has_download(word: &Word, script: &Script) -> bool {
    let commands = word.substitution.clone().and_then(|range| script.commands.get(range));
    commands
        .unwrap_or_default()
        .iter()
        .any(|command| matches!(resolve(&command.words), Some(Run::Program(name, _)) if is_download(name)))
}

/// Whether a program takes what it is to do from its input.
fn runs_its_input(name: &str, arguments: &[Word]) -> bool {
    let is_input = |word: &&Word| matches!(word.text.as_str(), "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0");
    let first = arguments
        .iter()
        .find(|word| word.text == "-" || !word.text.starts_with('-'));
    if is_shell(name) {
        return arguments.iter().any(|word| word.text == "-s") || first.is_none_or(|word| is_input(&word));
    }
    let stem = base_name(name).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_interpreter = matches!(
        stem,
        "python" | "perl" | "ruby" | "node" | "php" | "lua" | "deno" | "bun"
    );
    // Any option may be a program of its own, which then only reads the download.
    let is_bare = arguments.iter().all(|word| is_input(&word));
    is_interpreter && is_bare
}

/// A function that calls itself twice at once. Source: the classic `:(){ :|:& };:`.
fn is_fork_bomb(script: &Script) -> bool {
    script.functions.iter().any(|name| {
        let is_own = |command: &&Command| command.words.first().is_some_and(|word| word.text == *name);
        let own: Vec<&Command> = script.commands.iter().filter(is_own).collect();
        own.windows(2).any(|pair| match pair {
            [one, two] => one.pipeline == two.pipeline || (one.is_background && two.is_background),
            _ => false,
        })
    })
}
