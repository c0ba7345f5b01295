//! The file in which a workspace names MCP servers: read within bounds, never trusted, and never acted on here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tandem_proto::workspace::v1::ReadBytes;

use crate::error::Failure;
use crate::files::{self, Root};

/// Its name, below the home directory.
const FILE: &str = ".mcp.json";

/// Longest file, in bytes.
const MAX_FILE_BYTES: i64 = 256 * 1024;

/// Servers in it; more are passed over.
pub(super) const MAX_SERVERS: usize = 64;

/// Longest name of a server, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Longest text that a person is shown for approval. What does not fit is refused, because it could not be read in full.
const MAX_SHOWN_BYTES: usize = 4_000;

/// Arguments, variables or headers of one server.
const MAX_ITEMS: usize = 128;

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    /// SHA-256 of name and entry.
    pub(super) digest: Vec<u8>,
    /// What a person is shown.
    pub(super) shown: String,
    /// How it is reached, or why it cannot be.
    pub(super) target: Result<Target, String>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Stdio {
        command: String,
        arguments: Vec<String>,
        variables: BTreeMap<String, String>,
    },
    Http {
        url: String,
        headers: BTreeMap<String, String>,
        /// Over the older transport.
        is_sse: bool,
    },
}

impl Definition {
    /// "stdio", "http" or "sse"; empty for entries that cannot be used.
    pub(super) fn transport(&self) -> &'static str {
        match &self.target {
            Ok(Target::Stdio { .. }) => "stdio",
            Ok(Target::Http { is_sse: false, .. }) => "http",
            Ok(Target::Http { is_sse: true, .. }) => "sse",
            Err(_) => "",
        }
    }
}

/// What the file says, by name. No file names no servers.
///
/// # Errors
/// It cannot be read, or is no JSON of that shape.
pub(super) fn read(root: &Root) -> Result<Vec<Definition>, Failure> {
    let asked = ReadBytes {
        path: FILE.to_owned(),
        max_bytes: MAX_FILE_BYTES,
    };
    let content = match files::read_bytes(root, &asked) {
        Ok(found) => found.content,
        Err(failure) if failure.kind == tandem_proto::workspace::v1::OperationErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        Err(failure) => return Err(failure),
    };
    parse(&content).ok_or_else(|| Failure::invalid(format!("{FILE} is not a JSON object with mcpServers")))
}

fn parse(content: &[u8]) -> Option<Vec<Definition>> {
    let file: Value = serde_json::from_slice(content).ok()?;
    let servers = match file.as_object()?.get("mcpServers") {
        Some(servers) => servers.as_object()?,
        None => return Some(Vec::new()),
    };
    let by_name: BTreeMap<&String, &Value> = servers.iter().collect();
    let definitions = by_name.into_iter().take(MAX_SERVERS);
    Some(definitions.map(|(name, entry)| definition(name, entry)).collect())
}

fn definition(name: &str, entry: &Value) -> Definition {
    let mut hasher = Sha256::new();
    hasher.update(canonical(&Value::from(name)));
    hasher.update([0]);
    hasher.update(canonical(entry));
    let target = match check_name(name) {
        Ok(()) => target(entry),
        Err(problem) => Err(problem),
    };
    let shown = target.as_ref().map(shown).unwrap_or_default();
    let target = match target {
        Ok(_) if shown.len() > MAX_SHOWN_BYTES => Err("it is too long to be shown for approval".to_owned()),
        target => target,
    };
    Definition {
        name: visible(name).chars().take(MAX_NAME_BYTES).collect(),
        digest: hasher.finalize().to_vec(),
        shown: if target.is_ok() { shown } else { String::new() },
        target,
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_fine = (1..=MAX_NAME_BYTES).contains(&name.len())
        && !name.contains("__")
        && !name.starts_with('_')
        && !name.ends_with('_')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
    is_fine
        .then_some(())
        .ok_or_else(|| "its name must have letters, digits and single separators only".to_owned())
}

fn target(entry: &Value) -> Result<Target, String> {
    let entry = entry.as_object().ok_or("it is not an object")?;
    let kind = text(entry, "type")?;
    let (command, url) = (text(entry, "command")?, text(entry, "url")?);
    let kind = match kind.as_deref() {
        Some(kind) => kind,
        None if command.is_some() => "stdio",
        None => "http",
    };
    match kind {
        "stdio" => Ok(Target::Stdio {
            command: command.filter(|text| !text.is_empty()).ok_or("it has no command")?,
            arguments: list(entry, "args")?,
            variables: texts(entry, "env")?,
        }),
        "http" | "streamable_http" | "streamable-http" | "sse" => {
            let url = url.ok_or("it has neither a command nor a url")?;
            let is_http = url.starts_with("http://") || url.starts_with("https://");
            if !is_http {
                return Err("its url must begin with http:// or https://".to_owned());
            }
            Ok(Target::Http {
                url,
                headers: texts(entry, "headers")?,
                is_sse: kind == "sse",
            })
        }
        _ => Err("its type must be stdio, http or sse".to_owned()),
    }
}

fn text(entry: &Map<String, Value>, field: &str) -> Result<Option<String>, String> {
    match entry.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text.clone())),
        Some(_) => Err(format!("its {field} must be a text")),
    }
}

fn list(entry: &Map<String, Value>, field: &str) -> Result<Vec<String>, String> {
    let bad = || format!("its {field} must be a list of texts");
    let items = match entry.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => items,
        Some(_) => return Err(bad()),
    };
    let texts = items
        .iter()
        .map(|item| item.as_str().filter(|text| !text.contains('\0')));
    texts.map(|text| text.map(str::to_owned).ok_or_else(bad)).collect()
}

fn texts(entry: &Map<String, Value>, field: &str) -> Result<BTreeMap<String, String>, String> {
    let bad = || format!("its {field} must be an object of texts");
    let items = match entry.get(field) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(items)) if items.len() <= MAX_ITEMS => items,
        Some(_) => return Err(bad()),
    };
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    items
        .iter()
        .map(|(name, value)| match value.as_str() {
            Some(text) if is_name(name) && !text.contains('\0') => Ok((name.clone(), text.to_owned())),
            _ => Err(bad()),
        })
        .collect()
}

/// What a person approves: everything that decides what is started or called, with names of variables and headers but not their
/// values, and nothing that could hide the rest.
fn shown(target: &Target) -> String {
    match target {
        Target::Stdio {
            command,
            arguments,
            variables,
        } => {
            let variables = variables.keys().map(|name| format!("{}=…", visible(name)));
            let words = std::iter::once(command).chain(arguments).map(|word| quoted(word));
            variables.chain(words).collect::<Vec<_>>().join(" ")
        }
        Target::Http { url, headers, .. } => {
            let plain = url.split(['?', '#']).next().unwrap_or_default();
            let names: Vec<String> = headers.keys().map(|name| visible(name)).collect();
            match names.is_empty() {
                true => visible(plain),
                false => format!("{} (headers: {})", visible(plain), names.join(", ")),
            }
        }
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", visible(word)),
    }
}

/// Characters that move, hide or turn text around are written out.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| -> Vec<char> {
            let is_hidden = c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
            match is_hidden {
                true => c.escape_unicode().collect(),
                false => vec![c],
            }
        })
        .collect()
}

/// `${NAME}` in a text, by what the variables say; nothing for those there are not.
pub(super) fn expanded(text: &str, variables: &HashMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            expanded.push_str("${");
            rest = after;
            continue;
        };
        expanded.push_str(variables.get(name).map_or("", String::as_str));
        rest = behind;
    }
    expanded.push_str(rest);
    expanded
}

/// JSON with the members of objects in order, so that the same always has the same bytes.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let names: BTreeSet<&String> = members.keys().collect();
            let members = names.into_iter().filter_map(|name| {
                let value = members.get(name)?;
                Some(format!("{}:{}", Value::from(name.as_str()), canonical(value)))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
