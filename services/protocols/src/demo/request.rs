//! What a person asks the demo model for, found by plain patterns.
//!
//! Owns the patterns. What is done about it is [`super::reply`]'s.

/// Things done for one message.
const MAX_ACTIONS: usize = 16;

/// How far it counts.
const MAX_COUNT: u32 = 2000;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Run a command.
    Run { command: String },
    /// Write a whole file.
    Write { path: String, content: String },
    /// Replace a piece of a file.
    Edit {
        path: String,
        search: String,
        replace: String,
    },
    /// Show a file.
    Read { path: String },
    /// Tell something long.
    Story,
    /// Count.
    Count { to: u32 },
    /// Say what it can do.
    Help,
}

/// A message understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// In order; empty if nothing was recognised.
    pub(super) actions: Vec<Action>,
    /// All at once instead of one after another.
    pub(super) is_parallel: bool,
    /// Show how thinking looks.
    pub(super) wants_thinking: bool,
}

/// Words that begin a request; a sentence is cut in front of them.
const VERBS: [&str; 26] = [
    "run",
    "execute",
    "create",
    "write",
    "make",
    "save",
    "add",
    "edit",
    "replace",
    "change",
    "substitute",
    "read",
    "show",
    "cat",
    "open",
    "print",
    "display",
    "view",
    "list",
    "count",
    "tell",
    "explain",
    "in",
    "append",
    "$",
    "start",
];

/// Understands a message.
pub(super) fn understand(text: &str) -> Wish {
    let (text, fences) = take_fences(text);
    let lower = text.to_lowercase();
    let mut actions: Vec<Action> = Vec::new();
    let mut fences = fences.as_slice();
    for clause in clauses(&text) {
        let written = actions.iter().rev().find_map(|action| match action {
            Action::Write { path, .. } => Some(path.clone()),
            _ => None,
        });
        let marks = clause.matches(FENCE_MARK).count().min(fences.len());
        let (own, later) = fences.split_at(marks);
        fences = later;
        let clause = Clause {
            text: clause.trim(),
            fences: own,
            written,
        };
        actions.extend(clause.action());
        if actions.len() == MAX_ACTIONS {
            break;
        }
    }
    Wish {
        actions,
        is_parallel: lower.contains("parallel") || lower.contains("at once") || lower.contains("at the same time"),
        wants_thinking: lower.split(|c: char| !c.is_alphanumeric()).any(|word| word == "think"),
    }
}

/// Where a fenced block stood.
const FENCE_MARK: char = '\u{1}';

/// Cuts fenced code out of a text; each leaves a mark.
fn take_fences(text: &str) -> (String, Vec<String>) {
    let mut plain = String::new();
    let mut fences = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("```") {
        let after = &rest[start + 3..];
        let Some(end) = after.find("```") else { break };
        plain.push_str(&rest[..start]);
        plain.push(FENCE_MARK);
        // The first line names the language.
        let block = after[..end].split_once('\n').map_or(&after[..end], |(_, block)| block);
        fences.push(block.to_owned());
        rest = &after[end + 3..];
    }
    plain.push_str(rest);
    // "with:" and its block are one sentence.
    let plain = plain.replace(&format!(":\n{FENCE_MARK}"), &format!(": {FENCE_MARK}"));
    (
        plain.replace(&format!("\n{FENCE_MARK}"), &format!(" {FENCE_MARK}")),
        fences,
    )
}

/// Cuts a text into single requests, never within quotes.
fn clauses(text: &str) -> Vec<String> {
    let mut clauses = vec![String::new()];
    let mut quote: Option<char> = None;
    let mut previous = ' ';
    for (place, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '`' | '"') || (c == '\'' && !previous.is_alphanumeric()) => {
                let is_closed = text[place + c.len_utf8()..].contains(c);
                quote = is_closed.then_some(c);
            }
            None => {}
        }
        let is_break =
            quote.is_none() && (c == '\n' || (c.is_whitespace() && begins_request(&text[place..], previous)));
        if is_break {
            clauses.push(String::new());
        } else if let Some(clause) = clauses.last_mut() {
            clause.push(c);
        }
        previous = c;
    }
    clauses.retain(|clause| !clause.trim().is_empty());
    clauses
}

/// Whether what follows a space is a further request: "and run", "then read", ". Show".
fn begins_request(rest: &str, previous: char) -> bool {
    let mut words = rest.split_whitespace().map(|word| word.to_lowercase());
    let Some(first) = words.next() else { return false };
    let is_verb = |word: Option<&String>| word.is_some_and(|word| VERBS.contains(&word.as_str()));
    match first.as_str() {
        "and" | "then" => {
            let second = words.next();
            let third = words.next();
            is_verb(second.as_ref())
                || (matches!(second.as_deref(), Some("then" | "please")) && is_verb(third.as_ref()))
        }
        // "in a.txt, replace x with y" is one request.
        "replace" | "change" | "substitute" => matches!(previous, '.' | ';' | '!'),
        _ => matches!(previous, '.' | ';' | ',' | '!') && is_verb(Some(&first)),
    }
}

struct Clause<'a> {
    text: &'a str,
    fences: &'a [String],
    /// The file the message had written before.
    written: Option<String>,
}

impl Clause<'_> {
    fn action(&self) -> Option<Action> {
        let text = without_politeness(self.text);
        if let Some(command) = text.strip_prefix("$ ") {
            return Some(Action::Run {
                command: command.trim().to_owned(),
            });
        }
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
        let first = *words.first()?;
        if first == "count" && words.get(1) == Some(&"to") {
            let to = words.get(2).and_then(|number| number.parse().ok()).unwrap_or(MAX_COUNT);
            return Some(Action::Count {
                to: to.clamp(1, MAX_COUNT),
            });
        }
        let is_about_files = has(&["file", "script"]) || find_path(text).is_some();
        match first {
            "run" | "execute" | "exec" | "start" => self.run(text),
            "replace" | "change" | "substitute" | "edit" | "update" | "in" if is_about_files => edit(text),
            "create" | "write" | "make" | "save" | "add" if is_about_files => self.write(text),
            "read" | "cat" | "open" | "show" | "print" | "display" | "view" | "list" | "ls" | "what" | "which"
                if find_path(text).is_none() && (has(&["files", "directory", "folder", "ls"])) =>
            {
                Some(list_files())
            }
            "read" | "cat" | "open" | "show" | "print" | "display" | "view" => {
                find_path(text).map(|path| Action::Read { path })
            }
            "tell" | "write" | "give" if has(&["story", "essay", "novel", "long"]) => Some(Action::Story),
            "hello" | "hi" | "hey" | "help" | "hallo" => Some(Action::Help),
            _ if lower.contains("you can do") || lower.contains("can you do") || lower.contains("are you") => {
                Some(Action::Help)
            }
            _ if has(&["run", "execute"]) => first_quoted(text).map(|(command, _)| Action::Run { command }),
            _ => None,
        }
    }

    fn run(&self, text: &str) -> Option<Action> {
        let rest = after_first_word(text);
        if rest.contains(FENCE_MARK) {
            let command = self.fences.first()?.trim().to_owned();
            return Some(Action::Run { command });
        }
        if let Some((command, _)) = first_quoted(rest) {
            return Some(Action::Run { command });
        }
        let first = rest.split_whitespace().next().unwrap_or_default().to_lowercase();
        let command = match first.trim_end_matches(['.', '!', '?']) {
            "it" | "that" | "this" => run_file(self.written.as_deref()?),
            "the" | "a" | "an" | "my" | "all" | "some" | "" => {
                let rest = rest
                    .trim_start_matches("the ")
                    .trim_start_matches("command")
                    .trim_start_matches(':');
                if !text.to_lowercase().contains("command") {
                    return None;
                }
                rest.trim().to_owned()
            }
            _ => rest.trim_start_matches("command ").trim().to_owned(),
        };
        let command = command.trim_end_matches(['.', '!', '?']).to_owned();
        (!command.is_empty()).then_some(Action::Run { command })
    }

    fn write(&self, text: &str) -> Option<Action> {
        let path = find_path(text)?;
        let content = self.content(text, &path);
        let content = if content.is_empty() || content.ends_with('\n') {
            content
        } else {
            content + "\n"
        };
        Some(Action::Write { path, content })
    }

    fn content(&self, text: &str, path: &str) -> String {
        if text.contains(FENCE_MARK)
            && let Some(fence) = self.fences.first()
        {
            return fence.clone();
        }
        // The quoted text that is not the file's own name: before or behind it.
        let mut rest = text;
        while let Some((quoted, after)) = first_quoted(rest) {
            if quoted != path {
                return quoted.replace("\\n", "\n");
            }
            rest = after;
        }
        let behind = text.split_once(path).map(|(_, behind)| behind).unwrap_or_default();
        let behind = behind.trim_start_matches(['`', '"', '\'']).trim_start();
        for lead in [
            "with the content",
            "with the text",
            "with content",
            "with",
            "containing",
            "saying",
            "that says",
            ":",
        ] {
            if let Some(content) = behind.strip_prefix(lead) {
                return content.trim_start_matches(':').trim().to_owned();
            }
        }
        "Written by Tandem's demo model.".to_owned()
    }
}

fn list_files() -> Action {
    Action::Run {
        command: "ls -la".to_owned(),
    }
}

/// How a script is run.
fn run_file(path: &str) -> String {
    let interpreter = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("py") => "python3",
        Some("js" | "mjs") => "node",
        Some("rb") => "ruby",
        Some("pl") => "perl",
        _ => "sh",
    };
    format!("{interpreter} {}", quoted_for_shell(path))
}

/// A path as one word of a command.
pub(super) fn quoted_for_shell(path: &str) -> String {
    let is_plain = path
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
    if is_plain {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

/// "replace X with Y in FILE", "change X to Y in FILE", "edit FILE: replace X with Y", "in FILE, change X to Y".
fn edit(text: &str) -> Option<Action> {
    let lower = text.to_ascii_lowercase();
    let verb = ["replace ", "change ", "substitute "]
        .into_iter()
        .find_map(|verb| lower.find(verb).map(|place| place + verb.len()))?;
    let rest = &text[verb..];
    let (search, rest) = operand(rest, &[" with ", " by ", " to ", " for "])?;
    let (replace, rest) = operand(rest, &[" in "]).unwrap_or_else(|| (unquoted(rest.trim()), ""));
    let path = find_path(rest).or_else(|| find_path(&text[..verb]))?;
    let is_real = !search.is_empty();
    is_real.then_some(Action::Edit { path, search, replace })
}

/// A quoted text, or everything up to one of `ends`; and what follows the end.
fn operand<'a>(text: &'a str, ends: &[&str]) -> Option<(String, &'a str)> {
    let text = text.trim_start();
    let is_quoted = text.starts_with(['`', '"', '\'']);
    if is_quoted && let Some((quoted, rest)) = first_quoted(text) {
        let after = ends
            .iter()
            .filter_map(|end| rest.find(end).map(|place| place + end.len()))
            .min()
            .unwrap_or(0);
        return Some((quoted, &rest[after..]));
    }
    let (place, end) = ends.iter().filter_map(|end| Some((text.find(end)?, end))).min()?;
    Some((text[..place].trim().to_owned(), &text[place + end.len()..]))
}

fn unquoted(text: &str) -> String {
    match first_quoted(text) {
        Some((quoted, _)) if text.starts_with(['`', '"', '\'']) => quoted,
        _ => text.trim_end_matches('.').to_owned(),
    }
}

/// The first quoted text and what follows it.
fn first_quoted(text: &str) -> Option<(String, &str)> {
    let mut previous = ' ';
    for (start, c) in text.char_indices() {
        let is_quote = matches!(c, '`' | '"') || (c == '\'' && !previous.is_alphanumeric());
        let inner = &text[start + c.len_utf8()..];
        if is_quote
            && let Some(end) = inner.find(c)
            && end > 0
        {
            return Some((inner[..end].to_owned(), &inner[end + c.len_utf8()..]));
        }
        previous = c;
    }
    None
}

/// The first word that looks like a file: has a dot or a slash inside, or is a usual name without one.
fn find_path(text: &str) -> Option<String> {
    const USUAL: [&str; 4] = ["Makefile", "Dockerfile", "README", "LICENSE"];
    text.split(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | ',' | '(' | ')'))
        .map(|word| word.trim_end_matches([':', '.', '!', '?', ';']))
        .find(|word| {
            let has_extension = word.rsplit_once('.').is_some_and(|(name, extension)| {
                !name.is_empty()
                    && extension.len() <= 8
                    && extension.starts_with(|c: char| c.is_ascii_alphabetic())
                    && extension.chars().all(|c| c.is_ascii_alphanumeric())
            });
            let is_path = word.len() > 1 && word.contains('/') && !word.contains("//");
            has_extension || is_path || USUAL.contains(word)
        })
        .map(str::to_owned)
}

fn after_first_word(text: &str) -> &str {
    text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim())
}

fn without_politeness(text: &str) -> &str {
    const POLITE: [&str; 16] = [
        "please",
        "can you",
        "could you",
        "would you",
        "will you",
        "i want you to",
        "i would like you to",
        "now",
        "then",
        "and",
        "also",
        "next",
        "first",
        "finally",
        "just",
        "ok",
    ];
    let mut text = text.trim().trim_start_matches(['-', '*', ',']).trim_start();
    loop {
        let lower = text.to_ascii_lowercase();
        let found = POLITE.iter().find(|words| {
            lower
                .strip_prefix(**words)
                .is_some_and(|rest| rest.starts_with([' ', ',', ':']))
        });
        match found {
            // The question "can you do" is about ability, not politeness.
            Some(words) if !lower[words.len()..].trim_start().starts_with("do") => {
                text = text[words.len()..].trim_start_matches([' ', ',', ':']);
            }
            Some(_) | None => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str) -> Vec<Action> {
        understand(text).actions
    }

    fn run(command: &str) -> Action {
        Action::Run {
            command: command.to_owned(),
        }
    }

    fn write(path: &str, content: &str) -> Action {
        Action::Write {
            path: path.to_owned(),
            content: content.to_owned(),
        }
    }

    fn edit(path: &str, search: &str, replace: &str) -> Action {
        Action::Edit {
            path: path.to_owned(),
            search: search.to_owned(),
            replace: replace.to_owned(),
        }
    }

    fn read(path: &str) -> Action {
        Action::Read { path: path.to_owned() }
    }

    #[test]
    fn commands_are_found_however_they_are_asked_for() {
        for text in [
            "run `uname -a`",
            "Please run the command `uname -a`.",
            "$ uname -a",
            "execute \"uname -a\"",
            "run uname -a",
            "Could you execute: `uname -a`?",
            "I think you should run `uname -a` for me",
            "run this:\n```sh\nuname -a\n```",
        ] {
            assert_eq!(actions(text), [run("uname -a")], "{text}");
        }
        assert_eq!(actions("list the files"), [run("ls -la")]);
        assert_eq!(actions("What files are here?"), [run("ls -la")]);
        assert_eq!(actions("run the tests"), []);
    }

    #[test]
    fn files_are_written_with_what_was_said() {
        for (text, content) in [
            ("create a file notes.txt with \"hello world\"", "hello world\n"),
            ("write the file `notes.txt` containing hello world", "hello world\n"),
            ("Write \"hello world\" to notes.txt.", "hello world\n"),
            ("create notes.txt with:\n```\na\nb\n```", "a\nb\n"),
            ("make a new file called notes.txt", "Written by Tandem's demo model.\n"),
            ("save 'it works' in notes.txt", "it works\n"),
        ] {
            assert_eq!(actions(text), [write("notes.txt", content)], "{text}");
        }
    }

    #[test]
    fn edits_name_what_why_and_where() {
        for text in [
            "replace hello with goodbye in notes.txt",
            "Replace \"hello\" with \"goodbye\" in `notes.txt`.",
            "change hello to goodbye in notes.txt",
            "edit notes.txt: replace hello with goodbye",
            "in notes.txt, change `hello` to `goodbye`",
            "edit the file notes.txt, replace 'hello' by 'goodbye'",
        ] {
            assert_eq!(actions(text), [edit("notes.txt", "hello", "goodbye")], "{text}");
        }
    }

    #[test]
    fn files_are_shown() {
        for text in [
            "read notes.txt",
            "show me notes.txt",
            "cat `notes.txt`",
            "Open the file notes.txt, please.",
            "print notes.txt",
        ] {
            assert_eq!(actions(text), [read("notes.txt")], "{text}");
        }
        assert_eq!(actions("read /etc/os-release"), [read("/etc/os-release")]);
    }

    #[test]
    fn several_requests_are_taken_one_by_one() {
        assert_eq!(
            actions(
                "Create hello.py with \"print('hi')\" and run it. Then replace hi with ho in hello.py, then show hello.py"
            ),
            [
                write("hello.py", "print('hi')\n"),
                run("python3 hello.py"),
                edit("hello.py", "hi", "ho"),
                read("hello.py"),
            ]
        );
        assert_eq!(
            actions("run `a`\nrun `b and run c`\n- read x.md"),
            [run("a"), run("b and run c"), read("x.md")]
        );
        assert!(understand("run `a` and run `b` in parallel").is_parallel);
        assert_eq!(actions("run `a` and run `b` in parallel"), [run("a"), run("b")]);
    }

    #[test]
    fn talk_is_told_from_work() {
        assert_eq!(actions("Hello!"), [Action::Help]);
        assert_eq!(actions("What can you do?"), [Action::Help]);
        assert_eq!(actions("explain what you can do"), [Action::Help]);
        assert_eq!(actions("write a long story"), [Action::Story]);
        assert_eq!(actions("tell me a story about a dog"), [Action::Story]);
        assert_eq!(actions("count to 200"), [Action::Count { to: 200 }]);
        assert_eq!(actions("count to 99999999999"), [Action::Count { to: MAX_COUNT }]);
        assert_eq!(actions("Why is the sky blue?"), []);
        assert_eq!(actions(""), []);
        assert!(understand("think hard").wants_thinking && !understand("nothing").wants_thinking);
    }

    #[test]
    fn a_flood_of_requests_is_bounded() {
        assert_eq!(actions(&"run `a`\n".repeat(1000)).len(), MAX_ACTIONS);
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "(run|edit|replace|write|read|in|with| |`|\"|'|\n|```|ü|a\\.b|\\PC){0,24}") {
            understand(&text);
        }
    }
}
