//! The demo model's sentences.
//!
//! Owns wording only. What it says of results is quoted from them, at bounded length.

use std::fmt::Write as _;

use serde_json::Value;
use tandem_chat_core::part::ToolResultPart;

use super::request::Action;

/// Most lines and characters of a result that are quoted.
const MAX_QUOTED_LINES: usize = 40;
const MAX_QUOTED_CHARS: usize = 4000;

/// Most characters of the user's own words that are repeated.
const MAX_ECHO_CHARS: usize = 120;

/// Most words of a title.
const MAX_TITLE_WORDS: usize = 8;

/// Chapters of the story; about 1,000 words.
const CHAPTERS: usize = 12;

/// Shown when a message asks to think.
pub(super) const THINKING: &str = "No thinking happens here: this is a script. This text only shows where a model's thoughts \
                                   would appear, how they stream, and how they fold away once the answer begins.";

/// What it is and can do.
pub(super) fn help() -> String {
    format!(
        "Hello! I am **Tandem's built-in demo model**: a small script, not a language model. I need no key and no network, \
         and I use the real tools of your workspace.\n\n{}\n\nOne message may ask for several things; I do them in order. \
         Add a real provider under *Settings → Providers* when you are ready.",
        abilities()
    )
}

/// The answer to what it does not recognise.
pub(super) fn unknown(asked: &str) -> String {
    let mut echo: String = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    if echo.chars().count() > MAX_ECHO_CHARS {
        echo = echo.chars().take(MAX_ECHO_CHARS).chain(['…']).collect();
    }
    let heard = if echo.is_empty() {
        String::new()
    } else {
        format!("You wrote: “{echo}”\n\n")
    };
    format!(
        "{heard}I cannot answer that: I am **Tandem's built-in demo model**, a script that recognises a few requests, not a \
         language model.\n\n{}\n\nFor real answers, add a provider under *Settings → Providers*: an API key, or a model \
         server on this machine such as Ollama.",
        abilities()
    )
}

fn abilities() -> &'static str {
    "| Ask me to | For example |\n\
     | --- | --- |\n\
     | run a command | run `uname -a` |\n\
     | write a file | create hello.py with \"print('hello')\" and run it |\n\
     | edit a file | replace hello with goodbye in hello.py |\n\
     | read a file | show hello.py |\n\
     | list files | list the files |\n\
     | use several tools at once | run `date` and run `whoami` in parallel |\n\
     | say something long, to try the stop button | write a long story |\n\n\
     Commands can also be written as in a shell:\n\n\
     ```sh\n\
     $ echo \"hello from the workspace\"\n\
     ```"
}

/// What a conversation that begins with these actions is called; empty if there are none.
pub(super) fn title(actions: &[Action]) -> String {
    let mut steps = actions.iter().map(step);
    let Some(first) = steps.next() else {
        return String::new();
    };
    let mut title = capitalised(&first);
    if let Some(second) = steps.next() {
        let both = format!("{title} and {second}");
        if both.split_whitespace().count() <= MAX_TITLE_WORDS {
            title = both;
        }
    }
    title
}

fn step(action: &Action) -> String {
    match action {
        Action::Run { command } if command.split_whitespace().count() < MAX_TITLE_WORDS && !command.contains('\n') => {
            format!("run {command}")
        }
        Action::Run { .. } => "run a command".to_owned(),
        Action::Write { path, .. } => format!("write {path}"),
        Action::Edit { path, .. } => format!("edit {path}"),
        Action::Read { path } => format!("read {path}"),
        Action::Story => "tell a long story".to_owned(),
        Action::Count { to } => format!("count to {to}"),
        Action::Help => "see what the demo does".to_owned(),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

/// What is said before a tool runs.
pub(super) fn announce(action: &Action) -> String {
    match action {
        Action::Run { command } => format!("I run {} in the workspace.", code(command)),
        Action::Write { path, .. } => format!("I write {}.", code(path)),
        Action::Edit { path, .. } => format!("I edit {}.", code(path)),
        Action::Read { path } => format!("I read {}.", code(path)),
        Action::Story | Action::Count { .. } | Action::Help => String::new(),
    }
}

/// What is said when nothing can be done.
pub(super) fn no_tool(action: &Action, tool: &str) -> String {
    let wanted = match action {
        Action::Run { command } => format!("run {}", code(command)),
        Action::Write { path, .. } => format!("write {}", code(path)),
        Action::Edit { path, .. } => format!("edit {}", code(path)),
        Action::Read { path } => format!("read {}", code(path)),
        Action::Story | Action::Count { .. } | Action::Help => "do that".to_owned(),
    };
    format!("I would {wanted}, but this chat does not offer me the tool `{tool}`, so nothing was done.")
}

/// What came of an action, as its tool reports it.
pub(super) fn outcome(action: &Action, result: Option<&ToolResultPart>) -> String {
    let Some(result) = result else {
        return format!("{} I have not seen a result.", announce(action));
    };
    if result.is_error {
        let text = match &result.result {
            Value::String(text) => text.clone(),
            other => other
                .get("error")
                .and_then(Value::as_str)
                .map_or_else(|| other.to_string(), str::to_owned),
        };
        return format!(
            "{} did not work. The tool says:\n\n{}",
            subject(action),
            block("", &text)
        );
    }
    match action {
        Action::Run { command } => ran(command, &result.result),
        Action::Write { path, content } => format!("{} is written ({} bytes).", code(path), content.len()),
        Action::Edit { path, .. } => edited(path, &result.result),
        Action::Read { path } => shown(path, &result.result),
        Action::Story | Action::Count { .. } | Action::Help => String::new(),
    }
}

fn subject(action: &Action) -> String {
    match action {
        Action::Run { command } => format!("Running {}", code(command)),
        Action::Write { path, .. } => format!("Writing {}", code(path)),
        Action::Edit { path, .. } => format!("Editing {}", code(path)),
        Action::Read { path } => format!("Reading {}", code(path)),
        Action::Story | Action::Count { .. } | Action::Help => "That".to_owned(),
    }
}

fn ran(command: &str, result: &Value) -> String {
    let number = |name: &str| result.get(name).and_then(Value::as_i64);
    let words = |name: &str| {
        result
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.trim().is_empty())
    };
    let command = code(command);
    let mut text = match (words("background_process_id"), words("error"), number("exit_code")) {
        (Some(process), None, _) => format!("{command} runs in the background as process `{process}`."),
        (_, Some(error), _) => format!("{command} did not finish: {error}."),
        (None, None, Some(0)) => format!("{command} finished with exit code 0."),
        (None, None, Some(exit_code)) => format!("{command} **failed with exit code {exit_code}**."),
        (None, None, None) => format!("{command} ran."),
    };
    match words("output") {
        // The string is its own sink and cannot fail.
        Some(output) => _ = write!(text, " It printed:\n\n{}", block("", output)),
        None => text.push_str(" It printed nothing."),
    }
    text
}

fn edited(path: &str, result: &Value) -> String {
    let diffs: Vec<&str> = result
        .get("files")
        .and_then(Value::as_array)
        .map(|files| files.iter().filter_map(|file| file.get("diff")?.as_str()).collect())
        .unwrap_or_default();
    let diff = diffs.concat();
    if diff.trim().is_empty() {
        return format!("{} is edited; the tool shows no difference.", code(path));
    }
    format!("{} is edited:\n\n{}", code(path), block("diff", &diff))
}

fn shown(path: &str, result: &Value) -> String {
    let numbered = result.get("content").and_then(Value::as_str);
    // Each line begins with its number and a tab. Where another tool read the file, there is only output.
    let content = numbered.map(|content| {
        let lines: Vec<&str> = content
            .lines()
            .map(|line| line.split_once('\t').map_or(line, |(_, text)| text))
            .collect();
        lines.join("\n")
    });
    let content = content.or_else(|| result.get("output").and_then(Value::as_str).map(str::to_owned));
    match content {
        Some(content) if !content.is_empty() => {
            let language = path.rsplit_once('.').map_or("", |(_, extension)| extension);
            format!("{} contains:\n\n{}", code(path), block(language, &content))
        }
        Some(_) | None => format!("{} is empty.", code(path)),
    }
}

/// Text as inline code; back ticks inside are taken out of its way.
fn code(text: &str) -> String {
    let text = text.replace('\n', " ");
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

/// Text as a block, cut to what is bearable to read.
fn block(language: &str, text: &str) -> String {
    let text = text.trim_end();
    let mut shown: String = text.lines().take(MAX_QUOTED_LINES).collect::<Vec<_>>().join("\n");
    if shown.chars().count() > MAX_QUOTED_CHARS {
        shown = shown.chars().take(MAX_QUOTED_CHARS).collect();
    }
    let note = if shown.len() < text.len() {
        "\n\n(The rest is left out here; the tool's own result has more.)"
    } else {
        ""
    };
    let fence = if shown.contains("```") { "````" } else { "```" };
    format!("{fence}{language}\n{shown}\n{fence}{note}")
}

/// Something long, made of a few sentences.
pub(super) fn story() -> String {
    const SENTENCES: [&str; 6] = [
        "The lighthouse keeper wrote one line in the log and let the ink dry.",
        "Far out, a small boat turned its bow into the wind and waited for the light.",
        "Nobody on the shore knew how long the storm would last, and nobody asked.",
        "The lamp turned, as it had turned every night, once in twelve seconds.",
        "A gull sat on the railing and looked as if it had read the weather report.",
        "When the fog came, the horn answered it, low and patient and never in a hurry.",
    ];
    let mut text =
        "# The lighthouse\n\nA long text from the demo model, so that there is something to stop.\n".to_owned();
    for chapter in 1..=CHAPTERS {
        // The string is its own sink and cannot fail.
        _ = write!(text, "\n## Night {chapter}\n\n");
        let sentences: Vec<&str> = (0..SENTENCES.len())
            .map(|place| SENTENCES[(place * 5 + chapter) % SENTENCES.len()])
            .collect();
        text.push_str(&sentences.join(" "));
        text.push('\n');
    }
    text.push_str("\nIn the morning the boat was in the harbour, and the log had one line more.");
    text
}

/// Numbers from 1.
pub(super) fn count(to: u32) -> String {
    let numbers: Vec<String> = (1..=to).map(|number| number.to_string()).collect();
    format!("{}\n\nDone: counted to {to}.", numbers.join(", "))
}
