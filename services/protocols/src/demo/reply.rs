//! What the demo model answers: it plans from the last user message, looks at which tool results are there, and says or does the next
//! thing.
//!
//! It keeps nothing between calls: the conversation is its state. It reports results as they are and never claims what no tool did.

use std::collections::HashMap;

use serde_json::{Value, json};
use tandem_chat_core::{
    id::ToolCallId,
    message::{Message, Role},
    part::{Part, ToolResultPart, text_of},
};

use super::{
    request::{Action, Wish, quoted_for_shell, understand},
    words,
};
use crate::call::{Purpose, Tool, ToolChoice};

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub(super) reasoning: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<ToolUse>,
}

/// A tool call to make.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToolUse {
    pub(super) tool: &'static str,
    pub(super) arguments: Value,
}

/// A tool call made since the last user message, with what came of it.
struct Done<'a> {
    result: Option<&'a ToolResultPart>,
}

/// How far one action has come.
enum Progress<'a> {
    /// This call is due.
    Due(ToolUse),
    /// Over, with this result.
    Over(Option<&'a ToolResultPart>),
    /// The tool it needs is not offered.
    NoTool(&'static str),
}

/// The answer to a conversation.
pub(super) fn to(messages: &[Message], tools: &[Tool], choice: &ToolChoice) -> Reply {
    let last_user = messages.iter().rposition(|message| message.role == Role::User);
    let (asked, since) = match last_user {
        Some(place) => (text_of(&messages[place].parts), &messages[place + 1..]),
        None => (String::new(), messages),
    };
    let wish = understand(&asked);
    if wish.actions.is_empty() {
        return spoken(&wish, words::unknown(&asked));
    }
    if let [action] = wish.actions.as_slice()
        && let Some(text) = talk(action)
    {
        return spoken(&wish, text);
    }
    // What must be called is what is wished for: it calls nothing without a reason.
    let tools = match choice {
        ToolChoice::Auto | ToolChoice::Required | ToolChoice::Named(_) => tools,
        ToolChoice::None => &[],
    };
    work(&wish, tools, since)
}

/// The answer to a question beside the conversation, if it is one: a title says what is to be done, and is empty where that is not known.
/// Turns are not labelled, since an answer here says no more than its first line.
pub(super) fn aside(purpose: Purpose, messages: &[Message]) -> Option<Reply> {
    let text = match purpose {
        Purpose::Answer | Purpose::Bridge => return None,
        Purpose::TurnSummary => String::new(),
        Purpose::Title => {
            let parts = messages
                .last()
                .map(|message| message.parts.as_slice())
                .unwrap_or_default();
            let asked = parts.get(1).map(std::slice::from_ref).map(text_of).unwrap_or_default();
            words::title(&understand(&asked).actions)
        }
    };
    Some(Reply {
        text,
        ..Reply::default()
    })
}

fn spoken(wish: &Wish, text: String) -> Reply {
    Reply {
        reasoning: wish.wants_thinking.then(|| words::THINKING.to_owned()),
        text,
        calls: Vec::new(),
    }
}

/// What needs no tool.
fn talk(action: &Action) -> Option<String> {
    match action {
        Action::Story => Some(words::story()),
        Action::Count { to } => Some(words::count(*to)),
        Action::Help => Some(words::help()),
        Action::Run { .. } | Action::Write { .. } | Action::Edit { .. } | Action::Read { .. } => None,
    }
}

fn work(wish: &Wish, tools: &[Tool], since: &[Message]) -> Reply {
    let done = done(since);
    let is_first = done.is_empty();
    let mut done = done.into_iter();
    let mut report = Vec::new();
    let mut due: Vec<(&Action, ToolUse)> = Vec::new();
    for action in &wish.actions {
        if let Some(text) = talk(action) {
            report.push(text);
            continue;
        }
        match progress(action, tools, &mut done) {
            Progress::Due(tool_use) => {
                due.push((action, tool_use));
                if !wish.is_parallel {
                    break;
                }
            }
            Progress::Over(result) => report.push(words::outcome(action, result)),
            Progress::NoTool(tool) => report.push(words::no_tool(action, tool)),
        }
    }
    if due.is_empty() {
        return Reply {
            text: report.join("\n\n"),
            ..Reply::default()
        };
    }
    let announcements: Vec<String> = due.iter().map(|(action, _)| words::announce(action)).collect();
    let reasoning = (is_first && wish.wants_thinking).then(|| words::THINKING.to_owned());
    Reply {
        reasoning,
        text: announcements.join(" "),
        calls: due.into_iter().map(|(_, tool_use)| tool_use).collect(),
    }
}

/// Calls and results behind the last user message, in call order.
fn done(since: &[Message]) -> Vec<Done<'_>> {
    let parts = || since.iter().flat_map(|message| &message.parts);
    let results: HashMap<&ToolCallId, &ToolResultPart> = parts()
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some((&result.tool_call_id, result)),
            _ => None,
        })
        .collect();
    parts()
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(Done {
                result: results.get(&call.tool_call_id).copied(),
            }),
            _ => None,
        })
        .collect()
}

/// Takes from `done` what belongs to `action` and says what is left to do.
fn progress<'a>(action: &Action, tools: &[Tool], done: &mut impl Iterator<Item = Done<'a>>) -> Progress<'a> {
    let wanted = tool_use(action, None, tools);
    if !is_offered(wanted.tool, tools) {
        return Progress::NoTool(wanted.tool);
    }
    let Some(first) = done.next() else {
        return Progress::Due(wanted);
    };
    let can_find_directory = is_offered("execute", tools);
    match relative_path(action) {
        Some(path) if wants_absolute(first.result) && can_find_directory => with_directory(action, path, tools, done),
        Some(_) | None => Progress::Over(first.result),
    }
}

/// The tool wants an absolute path: asks the workspace where it is, then tries again.
fn with_directory<'a>(
    action: &Action,
    path: &str,
    tools: &[Tool],
    done: &mut impl Iterator<Item = Done<'a>>,
) -> Progress<'a> {
    let Some(asked) = done.next() else {
        return Progress::Due(ToolUse {
            tool: "execute",
            arguments: json!({"command": "pwd"}),
        });
    };
    let directory = asked
        .result
        .and_then(|result| result.result.get("output")?.as_str())
        .map(str::trim);
    let Some(directory) = directory.filter(|directory| directory.starts_with('/')) else {
        return Progress::Over(asked.result);
    };
    match done.next() {
        Some(again) => Progress::Over(again.result),
        None => {
            let path = format!("{}/{}", directory.trim_end_matches('/'), path.trim_start_matches("./"));
            Progress::Due(tool_use(action, Some(&path), tools))
        }
    }
}

fn wants_absolute(result: Option<&ToolResultPart>) -> bool {
    result.is_some_and(|result| result.is_error && result.result.to_string().contains("absolute"))
}

fn relative_path(action: &Action) -> Option<&str> {
    match action {
        Action::Write { path, .. } | Action::Edit { path, .. } | Action::Read { path } => {
            Some(path.as_str()).filter(|path| !path.starts_with('/'))
        }
        Action::Run { .. } | Action::Story | Action::Count { .. } | Action::Help => None,
    }
}

fn is_offered(name: &str, tools: &[Tool]) -> bool {
    tools.iter().any(|tool| tool.name == name)
}

/// The call that does `action`, on `path` if that differs from the action's own.
fn tool_use(action: &Action, path: Option<&str>, tools: &[Tool]) -> ToolUse {
    match action {
        Action::Write { path: own, content } => ToolUse {
            tool: "write_file",
            arguments: json!({"path": path.unwrap_or(own), "content": content}),
        },
        Action::Edit {
            path: own,
            search,
            replace,
        } => ToolUse {
            tool: "edit_files",
            arguments: edit_arguments(path.unwrap_or(own), search, replace, tools),
        },
        Action::Read { path: own } if is_offered("read_file", tools) => ToolUse {
            tool: "read_file",
            arguments: json!({"path": path.unwrap_or(own)}),
        },
        Action::Read { path: own } => execute(&format!("cat {}", quoted_for_shell(own))),
        Action::Run { command } => execute(command),
        // Never asked for: talk needs no tool.
        Action::Story | Action::Count { .. } | Action::Help => execute("true"),
    }
}

fn execute(command: &str) -> ToolUse {
    ToolUse {
        tool: "execute",
        arguments: json!({ "command": command }),
    }
}

/// The tool has had two shapes; its schema says which one is meant.
fn edit_arguments(path: &str, search: &str, replace: &str, tools: &[Tool]) -> Value {
    let schema = tools
        .iter()
        .find(|tool| tool.name == "edit_files")
        .map(|tool| &tool.input_schema);
    let schema_text = schema.map(Value::to_string).unwrap_or_default();
    let (old, new) = if schema_text.contains("\"old_text\"") {
        ("old_text", "new_text")
    } else {
        ("search", "replace")
    };
    let mut edit = json!({old: search, new: replace});
    // "Replace a with b" means every a.
    if schema_text.contains("\"replace_all\"") {
        edit["replace_all"] = true.into();
    }
    let is_nested = schema.is_none_or(|schema| schema.pointer("/properties/files").is_some());
    if is_nested {
        json!({"files": [{"path": path, "edits": [edit]}]})
    } else {
        edit["path"] = path.into();
        json!({ "edits": [edit] })
    }
}
