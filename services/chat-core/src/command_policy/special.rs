//! Programs whose arguments are more than options and operands.

use super::harmless::{self, closed_pattern, no_pattern};
use super::parse::Word;
use super::reason::Reason;
use super::wrappers::options;

/// Programs that print their version and do nothing else when that is all they are asked, not even read a file that could tell them to.
/// That leaves out `curl`, whose `~/.curlrc` names files to write, and those that files of the directory can exchange (`EXCHANGED`).
const VERSIONED: [&str; 9] = [
    "bash", "clang", "cmake", "g++", "gcc", "make", "node", "python", "python3",
];

/// Programs that another may stand in for: `rust-toolchain.toml` names a directory of compilers, `go.mod` a toolchain that is
/// downloaded, `package.json` and `.yarnrc.yml` a script.
const EXCHANGED: [&str; 11] = [
    "cargo",
    "rustc",
    "rustfmt",
    "rustup",
    "rust-analyzer",
    "go",
    "gofmt",
    "npm",
    "npx",
    "pnpm",
    "yarn",
];

/// What `find` may be asked without an argument, and with one. Everything else runs, writes or removes, or is not known.
const FIND_TESTS: [&str; 32] = [
    "!",
    "(",
    ")",
    ",",
    "-a",
    "-and",
    "-d",
    "-daystart",
    "-depth",
    "-empty",
    "-executable",
    "-false",
    "-follow",
    "-ignore_readdir_race",
    "-ls",
    "-mount",
    "-nogroup",
    "-noleaf",
    "-not",
    "-nouser",
    "-o",
    "-or",
    "-print",
    "-print0",
    "-prune",
    "-quit",
    "-readable",
    "-true",
    "-writable",
    "-xdev",
    "--help",
    "--version",
];
const FIND_VALUED: [&str; 36] = [
    "-amin",
    "-anewer",
    "-atime",
    "-cmin",
    "-cnewer",
    "-ctime",
    "-fstype",
    "-gid",
    "-group",
    "-ilname",
    "-iname",
    "-inum",
    "-ipath",
    "-iregex",
    "-links",
    "-lname",
    "-maxdepth",
    "-mindepth",
    "-mmin",
    "-mtime",
    "-name",
    "-newer",
    "-newermt",
    "-path",
    "-perm",
    "-printf",
    "-regex",
    "-samefile",
    "-size",
    "-type",
    "-uid",
    "-user",
    "-wholename",
    "-iwholename",
    "-regextype",
    "-xtype",
];

/// Operators of `test`. Not `-v` and `-R`: bash runs commands that the names behind them contain.
const TEST_OPERATORS: [&str; 33] = [
    "-a", "-b", "-c", "-d", "-e", "-ef", "-eq", "-f", "-g", "-G", "-ge", "-gt", "-h", "-k", "-L", "-le", "-lt", "-n",
    "-N", "-ne", "-nt", "-o", "-O", "-ot", "-p", "-r", "-s", "-S", "-t", "-u", "-w", "-x", "-z",
];

/// A program that is not in the table.
///
/// # Errors
/// It is not known, or what it is given is not.
pub(super) fn run(name: &str, arguments: &[Word]) -> Result<(), Reason> {
    match name {
        "echo" => Ok(()),
        "cd" => cd(arguments),
        "exit" => exit(arguments),
        "sleep" => sleep(arguments),
        "printf" => printf(arguments),
        "test" => test(name, arguments),
        "[" => match arguments.split_last() {
            Some((last, operands)) if last.text == "]" => test(name, operands),
            Some(_) | None => Err(Reason::Syntax),
        },
        "date" => date(arguments),
        "find" => find(arguments),
        "sed" => sed(arguments),
        "xargs" => xargs(arguments),
        "command" => command(arguments),
        _ if EXCHANGED.contains(&name) => Err(Reason::exchanged(name)),
        _ if VERSIONED.contains(&name) => match (name, arguments) {
            (_, [only]) if only.text == "--version" => Ok(()),
            ("node", [only]) if only.text == "-v" => Ok(()),
            ("python" | "python3", [only]) if only.text == "-V" => Ok(()),
            _ => Err(Reason::arguments(name)),
        },
        _ => Err(Reason::program(name)),
    }
}

/// Changes where the rest of the command runs, and nothing behind it.
fn cd(arguments: &[Word]) -> Result<(), Reason> {
    match arguments {
        [] => Ok(()),
        [directory] if !directory.text.starts_with('-') => no_pattern(directory),
        _ => Err(Reason::arguments("cd")),
    }
}

/// Shells calculate what they are given: only a number.
fn exit(arguments: &[Word]) -> Result<(), Reason> {
    match arguments {
        [] => Ok(()),
        [code] if code.text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => Err(Reason::arguments("exit")),
    }
}

fn sleep(arguments: &[Word]) -> Result<(), Reason> {
    let is_time = |byte: u8| byte.is_ascii_digit() || b".smhd".contains(&byte);
    if arguments.iter().all(|word| word.text.bytes().all(is_time)) {
        Ok(())
    } else {
        Err(Reason::arguments("sleep"))
    }
}

/// Not `-v` and not `%n`, which set variables and run what is in the names' brackets. Numbers are calculated by some shells, so nothing
/// may be in them that runs a command.
fn printf(arguments: &[Word]) -> Result<(), Reason> {
    let Some((format, values)) = arguments.split_first() else {
        return Err(Reason::arguments("printf"));
    };
    no_pattern(format)?;
    values.iter().try_for_each(closed_pattern)?;
    let is_plain = !format.text.starts_with('-') && is_format(&format.text) && !arguments.iter().any(can_calculate);
    if is_plain {
        Ok(())
    } else {
        Err(Reason::arguments("printf"))
    }
}

fn can_calculate(word: &Word) -> bool {
    word.text.contains(['$', '`'])
}

/// Whether each `%` of a format begins a conversion that only prints.
fn is_format(format: &str) -> bool {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let behind = rest.get(at + 1..).unwrap_or_default();
        let conversion = behind.trim_start_matches(|c: char| c.is_ascii_digit() || "-+ #.*'".contains(c));
        match conversion.chars().next() {
            Some(c) if "diouxXeEfgGcsbq%".contains(c) => rest = conversion.get(1..).unwrap_or_default(),
            Some(_) | None => return false,
        }
    }
    true
}

fn test(name: &str, arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(no_pattern)?;
    let is_known = |word: &Word| {
        let text = word.text.as_str();
        let is_number = text
            .strip_prefix('-')
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        (!text.starts_with('-') || is_number || TEST_OPERATORS.contains(&text))
            && !can_calculate(word)
            && !text.contains('[')
    };
    if arguments.iter().all(is_known) {
        Ok(())
    } else {
        Err(Reason::option(name))
    }
}

/// An operand without `+` is the time it sets.
fn date(arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(no_pattern)?;
    let mut words = arguments.iter().map(|word| word.text.as_str());
    while let Some(word) = words.next() {
        let is_known = match word {
            "-u" | "--utc" | "--universal" | "-R" | "--rfc-email" | "-I" | "--iso-8601" | "--help" | "--version" => {
                true
            }
            "-d" | "--date" | "-r" | "--reference" => words.next().is_some_and(|value| !value.starts_with('-')),
            _ => ["+", "-I", "--iso-8601=", "--rfc-3339=", "--date=", "--reference="]
                .iter()
                .any(|prefix| word.starts_with(prefix)),
        };
        if !is_known {
            return Err(Reason::option("date"));
        }
    }
    Ok(())
}

/// Values that begin with `-` may be numbers, sizes and rights only, so that no value can be an action.
fn find(arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(closed_pattern)?;
    let mut words = arguments.iter().map(|word| word.text.as_str());
    while let Some(word) = words.next() {
        let is_known = if FIND_VALUED.contains(&word) {
            words.next().is_some_and(|value| {
                let rest = value.strip_prefix('-').unwrap_or_default();
                !value.starts_with('-')
                    || rest.starts_with(|c: char| c.is_ascii_digit())
                    || (word == "-perm" && !FIND_TESTS.contains(&value) && rest.contains(['=', '+']))
            })
        } else {
            FIND_TESTS.contains(&word) || matches!(word, "-H" | "-L" | "-P") || !word.starts_with('-')
        };
        if !is_known {
            return Err(Reason::option("find"));
        }
    }
    Ok(())
}

/// Prints and leaves out lines by number or by a simple pattern. Its scripts can also write files and run commands.
fn sed(arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(closed_pattern)?;
    let mut has_script = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let script = match word.text.as_str() {
            "-n" | "--quiet" | "--silent" | "-E" | "-r" | "--regexp-extended" | "-u" | "--help" | "--version" => {
                continue;
            }
            "-e" | "--expression" | "-ne" => words.next(),
            option if option.starts_with('-') => return Err(Reason::option("sed")),
            _ if has_script => continue,
            _ => Some(word),
        };
        has_script = true;
        let is_plain = |script: &Word| script.first_pattern.is_none() && script.text.split(';').all(is_line_command);
        if !script.is_some_and(is_plain) {
            return Err(Reason::arguments("sed"));
        }
    }
    if has_script {
        Ok(())
    } else {
        Err(Reason::arguments("sed"))
    }
}

/// `10p`, `1,20p`, `$d`, `/text/,/other/p`, `5q`, `=`.
fn is_line_command(command: &str) -> bool {
    let Some(addresses) = command.trim().strip_suffix(['p', 'd', 'q', '=']) else {
        return false;
    };
    let mut addresses = addresses.trim_end_matches(['!', ' ']);
    let mut count = 0_usize;
    while !addresses.is_empty() {
        count += 1;
        let rest = if let Some(pattern) = addresses.strip_prefix('/') {
            pattern
                .split_once('/')
                .filter(|(text, _)| !text.contains(['\\', '[']))
                .map(|(_, rest)| rest)
        } else if let Some(rest) = addresses.strip_prefix('$') {
            Some(rest)
        } else {
            let rest = addresses.trim_start_matches(|c: char| c.is_ascii_digit());
            (rest.len() < addresses.len()).then_some(rest)
        };
        addresses = match rest {
            Some("") => "",
            Some(rest) if count == 1 => match rest.strip_prefix(',').filter(|second| !second.is_empty()) {
                Some(second) => second,
                None => return false,
            },
            Some(_) | None => return false,
        };
    }
    true
}

/// Runs a program with words nobody has seen, so only programs that no word can make do more than read.
fn xargs(arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(closed_pattern)?;
    let behind = options(arguments, "nLPsd", &["max-args", "max-lines", "max-procs", "delimiter"]);
    let own = arguments.len() - behind.len();
    let mut words = arguments.iter().take(own).map(|word| word.text.as_str());
    while let Some(word) = words.next() {
        let is_known = match word {
            "-0" | "-r" | "-t" | "-x" | "--null" | "--no-run-if-empty" => true,
            "-n" | "-L" | "-P" | "-s" | "--max-args" | "--max-lines" | "--max-procs" => {
                words.next().is_some_and(is_count)
            }
            "-d" | "--delimiter" => words.next().is_some_and(|value| !value.starts_with('-')),
            _ => word
                .strip_prefix("-n")
                .or_else(|| word.strip_prefix("-P"))
                .or_else(|| word.strip_prefix("-L"))
                .is_some_and(is_count),
        };
        if !is_known {
            return Err(Reason::option("xargs"));
        }
    }
    match behind.split_first() {
        None => Ok(()),
        Some((name, arguments)) if harmless::is_open(&name.text) => harmless::run(&name.text, arguments),
        Some((name, _)) => Err(Reason::program(&name.text)),
    }
}

fn is_count(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Only asks what a name stands for; without `-v` it runs it.
fn command(arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(no_pattern)?;
    match arguments.split_first() {
        Some((option, names)) if matches!(option.text.as_str(), "-v" | "-V") => {
            let is_name = |word: &Word| !word.text.starts_with('-');
            if names.iter().all(is_name) {
                Ok(())
            } else {
                Err(Reason::option("command"))
            }
        }
        Some(_) | None => Err(Reason::arguments("command")),
    }
}
