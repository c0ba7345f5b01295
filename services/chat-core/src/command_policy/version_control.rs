//! Git: which of its commands cannot start a program that a repository names.
//!
//! Whoever writes a repository's configuration writes programs that git runs, and no option turns all of them off:
//!
//! * `status`, `diff`, `ls-files`, whatever reads the index: `core.fsmonitor`; and to compare with files, `filter.<name>.clean`;
//! * `diff`, `show`, `log -p`, `blame`: `diff.external`, `diff.<name>.command`, `diff.<name>.textconv`;
//! * `log`, `show`: `gpg.program`, through `log.showSignature`, or `%G?` in `format.pretty`; lists of branches and tags through
//!   `branch.sort=signature`;
//! * whatever reads an object that is not there: `remote.<name>.uploadpack` of a partial clone. A short object name reads objects too.
//!
//! So these are unknown. What is left reads references and configuration only.
//!
//! Source: git 2.47, `git-config(1)`, `gitattributes(5)`, `partial-clone(7)`, and running them in a hostile repository.

use super::harmless::no_pattern;
use super::parse::Word;
use super::reason::Reason;

/// Questions of `rev-parse` that read no object. Not `--show-superproject-working-tree`, which reads an index.
const QUESTIONS: [&str; 13] = [
    "--show-toplevel",
    "--git-dir",
    "--absolute-git-dir",
    "--git-common-dir",
    "--is-inside-work-tree",
    "--is-inside-git-dir",
    "--is-bare-repository",
    "--is-shallow-repository",
    "--show-prefix",
    "--show-cdup",
    "--show-object-format",
    "--abbrev-ref",
    "HEAD",
];

/// Commands that are known to have a form that only reads, and may all start a program.
const READING: [&str; 19] = [
    "rev-parse",
    "branch",
    "status",
    "diff",
    "log",
    "show",
    "blame",
    "ls-files",
    "ls-tree",
    "grep",
    "shortlog",
    "describe",
    "tag",
    "stash",
    "reflog",
    "cat-file",
    "diff-tree",
    "diff-index",
    "rev-list",
];

/// `git` with its arguments.
///
/// # Errors
/// Why it may do more than read.
pub(super) fn git(arguments: &[Word]) -> Result<(), Reason> {
    arguments.iter().try_for_each(no_pattern)?;
    let texts: Vec<&str> = arguments.iter().map(|word| word.text.as_str()).collect();
    // Without a terminal nothing is paged; saying so changes nothing.
    let texts = match texts.as_slice() {
        ["--no-pager", rest @ ..] => rest,
        all => all,
    };
    let is_harmless = match texts {
        ["--version" | "version" | "--exec-path"] => true,
        ["rev-parse", questions @ ..] => questions.iter().all(|question| QUESTIONS.contains(question)),
        ["branch", "--show-current"] | ["symbolic-ref", "--short", "HEAD"] | ["symbolic-ref", "HEAD"] => true,
        ["remote"] | ["remote", "-v" | "--verbose"] => true,
        ["remote", "get-url", options @ .., name] => {
            options.iter().all(|option| matches!(*option, "--all" | "--push")) && !name.starts_with('-')
        }
        ["config", rest @ ..] => is_config_query(rest),
        _ => false,
    };
    match texts {
        _ if is_harmless => Ok(()),
        [command, ..] if READING.contains(command) => Err(Reason::GitConfiguration),
        _ => Err(Reason::arguments("git")),
    }
}

/// Asks for values. Without one of these options a second operand would be set; behind the first operand nothing is an option any more.
fn is_config_query(arguments: &[&str]) -> bool {
    let options = arguments.iter().take_while(|word| word.starts_with('-')).count();
    let (options, operands) = arguments.split_at(options);
    let is_asking = |word: &&str| matches!(*word, "--get" | "--get-all" | "--get-regexp" | "--list" | "-l");
    let is_known = |word: &&str| {
        matches!(
            *word,
            "--show-origin" | "--show-scope" | "--name-only" | "--local" | "--global" | "--system" | "-z" | "--null"
        ) || is_asking(word)
    };
    let are_operands = operands.iter().all(|word| !word.starts_with('-'));
    options.iter().any(is_asking) && options.iter().all(is_known) && are_operands
}
