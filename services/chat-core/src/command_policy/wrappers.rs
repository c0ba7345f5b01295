//! Programs that run other programs: what is run in the end.
//!
//! Only used to find what is forbidden; a harmless command has none of these, except those that `special` knows.

use super::parse::Word;

/// Programs that run each other, one after another.
const MAX_WRAPPERS: usize = 16;

/// What a command runs.
#[derive(Debug)]
pub(super) enum Run<'a> {
    /// A program, by the last part of its path, with its arguments.
    Program(&'a str, &'a [Word]),
    /// A text that a shell reads. The word it is, if it is one.
    Text(String, Option<&'a Word>),
}

/// The last part of a program's path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a program is a shell that reads scripts as `sh` does, more or less.
pub(super) fn is_shell(name: &str) -> bool {
    matches!(
        name,
        "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "rbash" | "fish"
    )
}

/// What is run in the end; `None` if that is nothing or too far away.
///
/// Source of each program's options: its manual in GNU coreutils, util-linux, findutils, sudo; POSIX for the shell's own.
pub(super) fn resolve(words: &[Word]) -> Option<Run<'_>> {
    let mut words = words;
    for _ in 0..MAX_WRAPPERS {
        let (first, arguments) = words.split_first()?;
        let name = base_name(&first.text);
        words = match name {
            "sudo" | "doas" => assignments(options(arguments, "ughpCrtTUDRca", &["user", "group", "host", "chdir"])),
            "env" => match split_text(arguments) {
                Some(text) => return Some(Run::Text(text, None)),
                None => assignments(options(arguments, "uC", &["unset", "chdir"])),
            },
            "nohup" | "setsid" | "builtin" | "busybox" | "toybox" => options(arguments, "", &[]),
            "command"
                if arguments
                    .first()
                    .is_some_and(|word| matches!(word.text.as_str(), "-v" | "-V")) =>
            {
                return Some(Run::Program(name, arguments));
            }
            "command" => options(arguments, "", &[]),
            "exec" => options(arguments, "a", &[]),
            "time" => options(arguments, "fo", &["format", "output"]),
            "nice" => options(arguments, "n", &["adjustment"]),
            "ionice" => options(arguments, "cn", &["class", "classdata"]),
            "stdbuf" => options(arguments, "ioe", &["input", "output", "error"]),
            "timeout" => options(arguments, "sk", &["signal", "kill-after"]).get(1..)?,
            "xargs" => options(
                arguments,
                "nILPsdEa",
                &["max-args", "replace", "max-lines", "max-procs", "delimiter", "arg-file"],
            ),
            "eval" => return Some(Run::Text(join(arguments), arguments.first())),
            "watch" => return Some(Run::Text(join(options(arguments, "n", &["interval"])), None)),
            "su" => {
                let at = arguments
                    .iter()
                    .position(|word| matches!(word.text.as_str(), "-c" | "--command"))?;
                let script = arguments.get(at + 1)?;
                return Some(Run::Text(script.text.clone(), Some(script)));
            }
            shell if is_shell(shell) => {
                return Some(match script(arguments) {
                    Some(script) => Run::Text(script.text.clone(), Some(script)),
                    None => Run::Program(shell, arguments),
                });
            }
            program => return Some(Run::Program(program, arguments)),
        };
    }
    None
}

/// What follows a program's own options. Those in `valued`, and the long ones, take the next word if they have no value of their own.
pub(super) fn options<'a>(words: &'a [Word], valued: &str, long_valued: &[&str]) -> &'a [Word] {
    let mut rest = words;
    while let Some((first, behind)) = rest.split_first() {
        let Some(option) = first.text.strip_prefix('-') else {
            return rest;
        };
        let takes_next = match option.strip_prefix('-') {
            Some("") => return behind,
            Some(long) => long_valued.contains(&long),
            None => option
                .find(|c| valued.contains(c))
                .is_some_and(|at| at + 1 == option.len()),
        };
        rest = if takes_next {
            behind.get(1..).unwrap_or_default()
        } else {
            behind
        };
    }
    rest
}

fn assignments(words: &[Word]) -> &[Word] {
    let count = words.iter().take_while(|word| word.text.contains('=')).count();
    words.get(count..).unwrap_or_default()
}

/// The script a shell is given with `-c`.
fn script(arguments: &[Word]) -> Option<&Word> {
    let is_script = |word: &Word| {
        let option = word.text.strip_prefix('-').filter(|option| !option.starts_with('-'));
        option.is_some_and(|option| option.contains('c'))
    };
    let behind = options(arguments, "oO", &["rcfile", "init-file"]);
    let own = arguments.get(..arguments.len().saturating_sub(behind.len()))?;
    own.iter().any(is_script).then(|| behind.first()).flatten()
}

/// What `env -S` takes apart itself, with what follows it.
fn split_text(arguments: &[Word]) -> Option<String> {
    let at = arguments
        .iter()
        .position(|word| word.text.starts_with("-S") || word.text.starts_with("--split-string"))?;
    let before = arguments.get(..at)?;
    if before
        .iter()
        .any(|word| !word.text.starts_with('-') && !word.text.contains('='))
    {
        return None;
    }
    let own = arguments.get(at)?.text.as_str();
    let own = own.strip_prefix("--split-string").or_else(|| own.strip_prefix("-S"))?;
    let own = own.strip_prefix('=').unwrap_or(own);
    Some(format!("{own} {}", join(arguments.get(at + 1..)?)))
}

pub(super) fn join(words: &[Word]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    texts.join(" ")
}
