//! Whether one command only reads: its program is in the list, and so is every option it is given.

use super::parse::{Command, Operator, Redirection, Word};
use super::programs::{Program, TABLE};
use super::reason::Reason;
use super::{special, version_control};

/// Where output may go, and input come from.
const NOWHERE: &str = "/dev/null";

/// Devices that only give bytes.
const PLAIN_DEVICES: [&str; 5] = ["null", "stdin", "zero", "random", "urandom"];

/// Checks a command in which the parser found no doubt.
///
/// # Errors
/// The first thing that is not known to be harmless.
pub(super) fn check(command: &Command) -> Result<(), Reason> {
    command.redirections.iter().try_for_each(redirection)?;
    let Some((name, arguments)) = command.words.split_first() else {
        return Err(Reason::Empty);
    };
    if name.text.contains('/') {
        return Err(Reason::Path);
    }
    if name.first_quote.is_some() || name.first_pattern.is_some() || name.is_home {
        return Err(Reason::HiddenName);
    }
    if arguments.iter().any(is_device) {
        return Err(Reason::Device);
    }
    arguments.iter().try_for_each(pattern)?;
    run(&name.text, arguments)
}

/// A program by its name, also one that another program runs.
pub(super) fn run(name: &str, arguments: &[Word]) -> Result<(), Reason> {
    if let Some(program) = find(name) {
        return known(program, arguments);
    }
    if name == "git" {
        return version_control::git(arguments);
    }
    special::run(name, arguments)
}

pub(super) fn find(name: &str) -> Option<&'static Program> {
    TABLE.iter().find(|program| program.names.contains(&name))
}

/// Whether names of files may stand anywhere in a program's arguments, also such as look like options.
pub(super) fn is_open(name: &str) -> bool {
    find(name).is_some_and(|program| program.is_open) || name == "echo"
}

/// Options and operands of a program of the table.
///
/// Words that begin with `-` must be options of the list wherever they stand, also as values of other options. So nothing depends on
/// this table and the program agreeing which options take a value.
fn known(program: &Program, arguments: &[Word]) -> Result<(), Reason> {
    let name = program.names.first().copied().unwrap_or_default();
    if !program.is_open {
        arguments.iter().try_for_each(closed_pattern)?;
    }
    let mut operands = 0_usize;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if text == "--" {
            operands += words.len();
            break;
        }
        let takes_next = match text.strip_prefix('-') {
            Some("") | None => {
                operands += 1;
                false
            }
            Some(option) => takes_next(program, option).ok_or_else(|| Reason::option(name))?,
        };
        if takes_next {
            match words.next() {
                Some(value) if is_value(&value.text) => {}
                _ => return Err(Reason::option(name)),
            }
        }
    }
    let has_pattern = arguments.iter().any(|word| word.first_pattern.is_some());
    if operands > program.max_operands || (has_pattern && program.max_operands != usize::MAX) {
        return Err(Reason::arguments(name));
    }
    Ok(())
}

/// Whether an option, without its first `-`, takes the next word; `None` for one that is not in the list.
fn takes_next(program: &Program, option: &str) -> Option<bool> {
    if let Some(long) = option.strip_prefix('-') {
        let (long, has_value) = long.split_once('=').map_or((long, false), |(long, _)| (long, true));
        if matches!(long, "help" | "version") || is_among(long, program.long) {
            return Some(false);
        }
        return is_among(long, program.long_valued).then_some(!has_value);
    }
    let mut rest = option.chars();
    while let Some(c) = rest.next() {
        if program.valued.contains(c) {
            return Some(rest.as_str().is_empty());
        }
        if !program.flags.contains(c) {
            return None;
        }
    }
    Some(false)
}

fn is_among(name: &str, list: &str) -> bool {
    !name.is_empty() && list.split(' ').any(|other| other == name)
}

/// Values of options; those that begin with `-` would be options to a program that expects no value, except numbers.
fn is_value(text: &str) -> bool {
    text.strip_prefix('-')
        .is_none_or(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What matches `--include=*` is always that option; what matches `-*` may be any.
fn pattern(word: &Word) -> Result<(), Reason> {
    match word.first_pattern {
        Some(at) if word.text.starts_with('-') && !word.text.get(..at).unwrap_or_default().contains('=') => {
            Err(Reason::Pattern)
        }
        Some(_) | None => Ok(()),
    }
}

/// For programs with options that do more than read: a pattern that begins with one may be any of them.
pub(super) fn closed_pattern(word: &Word) -> Result<(), Reason> {
    match word.first_pattern {
        Some(0) => Err(Reason::Pattern),
        Some(_) | None => Ok(()),
    }
}

/// No pattern at all, for programs to which words mean different things by their place.
pub(super) fn no_pattern(word: &Word) -> Result<(), Reason> {
    match word.first_pattern {
        Some(_) => Err(Reason::Pattern),
        None => Ok(()),
    }
}

fn redirection(redirection: &Redirection) -> Result<(), Reason> {
    let target = redirection.target.text.as_str();
    let descriptor = redirection.descriptor.as_str();
    match redirection.operator {
        Operator::Read if !matches!(descriptor, "" | "0") => Err(Reason::Input),
        // Some shells open connections under names in `/dev`.
        Operator::Read if is_device(&redirection.target) => Err(Reason::Input),
        Operator::Read => no_pattern(&redirection.target),
        Operator::Write if target == NOWHERE && matches!(descriptor, "" | "1" | "2") => Ok(()),
        Operator::DuplicateOutput if matches!(target, "1" | "2") && matches!(descriptor, "" | "1" | "2") => Ok(()),
        Operator::Write | Operator::DuplicateOutput => Err(Reason::Output),
        Operator::DuplicateInput => Err(Reason::Input),
        Operator::Text => Err(Reason::HereDocument),
    }
}

/// Whether a word, or the value in an option, is below `/dev`: opening a device may do things, and shells give some of the names a
/// meaning of their own.
fn is_device(word: &Word) -> bool {
    let text = word.text.as_str();
    let Some(at) = text.find('/') else {
        return false;
    };
    // `--file=/dev/x` and `-f/dev/x` too, but not `a/dev/x`.
    let is_path = at == 0 || text.starts_with('-');
    let mut parts = text
        .get(at..)
        .unwrap_or_default()
        .split('/')
        .filter(|part| !matches!(*part, "" | "."));
    let is_below = parts.next() == Some("dev") && is_path;
    is_below && parts.next().is_some_and(|device| !PLAIN_DEVICES.contains(&device))
}
