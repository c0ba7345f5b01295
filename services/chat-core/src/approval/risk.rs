//! What a tool call may do, from its name and its arguments, and why, in words for people.
//!
//! Owns the judgement only. A call that is assessed here is run, asked about or refused elsewhere.

use serde_json::{Map, Value};

use super::ToolRisk;
use crate::command_policy::{Verdict, classify_in};
use crate::context::clean;
use crate::tool_policy::BuiltinTool;

#[cfg(test)]
mod tests;

/// Longest reason, in bytes.
pub const MAX_RISK_REASON_BYTES: usize = 300;

/// Longest name of a tool or a server in a reason, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Between the name of an MCP server and that of its tool.
const SEPARATOR: &str = "__";

/// What is said of a call that cannot be read. It is not going to run as it is, but nobody should have to rely on that.
const MALFORMED: &str = "Its arguments are not what the tool expects";

/// A call's risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// What it may do.
    pub risk: ToolRisk,
    /// Why, as a sentence without its full stop: 1 to [`MAX_RISK_REASON_BYTES`] bytes, one line, nothing in it that is not seen.
    pub reason: String,
}

impl Assessment {
    fn new(risk: ToolRisk, reason: &str) -> Self {
        Self {
            risk,
            reason: clean::line(reason, MAX_RISK_REASON_BYTES),
        }
    }

    fn unknown(reason: &str) -> Self {
        Self::new(ToolRisk::Unknown, reason)
    }
}

/// Assesses a call of the tool with that name. Linear in the size of its arguments; never panics.
///
/// * `arguments`: as the tool would get them, fields given twice already refused.
/// * Calls of tools that are not built in are unknown: their names and descriptions are what others say of them.
pub fn risk_of(tool: &str, arguments: &Value) -> Assessment {
    use BuiltinTool as Tool;
    let Ok(builtin) = tool.parse::<BuiltinTool>() else {
        return foreign(tool);
    };
    let empty = Map::new();
    let fields = match arguments {
        Value::Object(fields) => fields,
        // Nothing at all counts as an empty object.
        Value::Null => &empty,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Assessment::unknown(MALFORMED);
        }
    };
    let reads = |reason| Assessment::new(ToolRisk::None, reason);
    let changes = |reason| Assessment::new(ToolRisk::Changes, reason);
    match builtin {
        Tool::Execute => execute(fields),
        Tool::WriteFile => text(fields, "path").map_or_else(malformed, |path| write(&[path], "It writes to a file")),
        Tool::EditFiles => paths(fields).map_or_else(malformed, |paths| {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            write(&paths, "It changes files")
        }),
        Tool::AttachFile => changes("It adds a file of the workspace to the chat"),
        Tool::ProcessSignal => changes("It ends a process that this chat started"),
        Tool::CreateWorkspace => changes("It creates a workspace"),
        Tool::StartWorkspace => changes("It starts the workspace"),
        Tool::StopWorkspace => changes("It stops the workspace"),
        // What an agent does then is assessed call by call; that it works at all costs money.
        Tool::SpawnAgent => changes("It starts an agent"),
        Tool::MessageAgent => changes("It gives an agent more to do"),
        Tool::CloseAgent => changes("It stops an agent"),
        Tool::ReadFile => reads("It reads a file"),
        Tool::ProcessOutput | Tool::ProcessList => reads("It looks at processes that this chat started"),
        Tool::ListTemplates | Tool::ReadTemplate => reads("It looks at templates of workspaces"),
        Tool::ReadSkill | Tool::ReadSkillFile => reads("It reads a skill"),
        Tool::AskUserQuestion => reads("It asks the user a question"),
        Tool::ProposePlan => reads("It shows the user a plan"),
        Tool::WaitAgent => reads("It waits for an agent"),
        Tool::Advisor => reads("It asks another model for advice"),
    }
}

fn malformed() -> Assessment {
    Assessment::unknown(MALFORMED)
}

/// A field with text that is not blank.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = fields.get(name)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// A command is judged by its text. Its other arguments may not change what that text means: the directory decides what `*` is, and
/// fields that are not known could decide anything.
fn execute(fields: &Map<String, Value>) -> Assessment {
    let is_expected = |(name, value): (&String, &Value)| match name.as_str() {
        "command" => value.is_string(),
        "timeout" | "workdir" => value.is_string() || value.is_null(),
        "run_in_background" => value.is_boolean() || value.is_null(),
        _ => value.is_null(),
    };
    let Some(command) = text(fields, "command").filter(|_| fields.iter().all(is_expected)) else {
        return malformed();
    };
    let directory = text(fields, "workdir").unwrap_or_default();
    match classify_in(command, directory.starts_with('/') && components(directory).is_empty()) {
        Verdict::Harmless => Assessment::new(ToolRisk::None, "It runs a command that only reads"),
        Verdict::Unknown(reason) => Assessment::unknown(&reason.to_string()),
        Verdict::Forbidden(reason) => Assessment::new(ToolRisk::Forbidden, &reason.to_string()),
    }
}

/// Writing a file changes that file. In some places that is not all it does: what is written there is run or obeyed by the next program,
/// also by one that only reads.
fn write(paths: &[&str], reason: &str) -> Assessment {
    if paths.iter().any(|path| is_obeyed(path)) {
        Assessment::unknown("It writes to a place from which programs are run or configured")
    } else {
        Assessment::new(ToolRisk::Changes, reason)
    }
}

/// `.local/bin`, which is the first place where programs are looked for, git's own directory, and the configuration of git and of shells
/// in a home directory. Links and mounts may lead there under other names.
fn is_obeyed(path: &str) -> bool {
    let components = components(path.trim());
    let is_file = |name: &&str| {
        matches!(
            *name,
            ".git" | ".gitconfig" | ".profile" | ".bashrc" | ".bash_profile" | ".bash_login" | ".zshenv" | ".zshrc"
        )
    };
    let is_directory = |pair: &[&str]| matches!(pair, [".local", "bin"] | [".config", "git"]);
    components.iter().any(is_file) || components.windows(2).any(is_directory)
}

/// The parts of a path, without those that lead nowhere.
fn components(path: &str) -> Vec<&str> {
    let mut components = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(components.pop()),
            _ => components.push(part),
        }
    }
    components
}

/// The paths of an `edit_files`: of its files, or of its edits, either of which models also send as JSON in a text.
fn paths(fields: &Map<String, Value>) -> Option<Vec<String>> {
    let given = |name| fields.get(name).filter(|value| !value.is_null());
    let list = match (given("files"), given("edits")) {
        (Some(list), None) | (None, Some(list)) => list,
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let items = match list {
        Value::Array(items) => items.clone(),
        Value::String(text) => serde_json::from_str(text).ok()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let path = |item: Value| item.as_object().and_then(|item| text(item, "path")).map(str::to_owned);
    items.into_iter().map(path).collect()
}

fn foreign(tool: &str) -> Assessment {
    match tool.split_once(SEPARATOR).filter(|(server, _)| !server.is_empty()) {
        Some((server, _)) => Assessment::unknown(&format!("It calls a tool of the MCP server {}", shown(server))),
        None => Assessment::unknown(&format!("It calls {}, a tool that is not Tandem's own", shown(tool))),
    }
}

/// What of a name people can be shown.
fn shown(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.:/".contains(*c);
    let plain: String = name.chars().filter(is_plain).take(MAX_NAME_BYTES).collect();
    if plain.is_empty() {
        "without a name".to_owned()
    } else {
        plain
    }
}
