//! The tools of a request, in an order that never changes by itself, and what they are called on the way there and back.

use std::collections::HashMap;

use super::schema;
use crate::{call::Tool, google::wire::Function};

/// Longest name of a function the vendor takes.
const MAX_NAME_BYTES: usize = 64;

/// Names that had to be changed. The vendor's begin with a letter or `_`; ours may begin with a digit.
#[derive(Clone, Debug, Default)]
pub(in crate::google) struct Names {
    /// What was sent, and what we call it.
    ours: HashMap<String, String>,
    /// The other way round.
    sent: HashMap<String, String>,
}

impl Names {
    /// The names of the tools on offer.
    pub(in crate::google) fn of(tools: &[Tool]) -> Self {
        let mut names = Self::default();
        for tool in tools {
            let plain = plain(&tool.name);
            if plain == tool.name {
                continue;
            }
            let is_taken =
                |name: &String| names.ours.contains_key(name) || tools.iter().any(|other| other.name == *name);
            let unique = std::iter::once(plain.clone())
                .chain((2..).map(|count: u32| numbered(&plain, count)))
                .find(|name| !is_taken(name));
            if let Some(unique) = unique {
                names.ours.insert(unique.clone(), tool.name.clone());
                names.sent.insert(tool.name.clone(), unique);
            }
        }
        names
    }

    /// What the vendor is told.
    pub(super) fn sent(&self, name: &str) -> String {
        self.sent.get(name).cloned().unwrap_or_else(|| plain(name))
    }

    /// What it means by a name.
    pub(in crate::google) fn ours<'a>(&'a self, sent: &'a str) -> &'a str {
        self.ours.get(sent).map_or(sent, String::as_str)
    }
}

/// The tools as the vendor takes them.
pub(super) fn functions(tools: &[Tool], names: &Names) -> Vec<Function> {
    let function = |tool: &Tool| Function {
        name: names.sent(&tool.name),
        description: tool.description.clone(),
        parameters_json_schema: schema::parameters(&tool.input_schema),
    };
    tools.iter().map(function).collect()
}

/// A name as the vendor takes it: letters, digits, `_` and `-`, none of the latter two kinds first.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let prefix = if begins { "" } else { "_" };
    let rest = name.chars().map(|c| if is_plain(c) { c } else { '_' });
    prefix.chars().chain(rest).take(MAX_NAME_BYTES).collect()
}

fn numbered(name: &str, count: u32) -> String {
    let suffix = format!("_{count}");
    let kept = name.floor_char_boundary(MAX_NAME_BYTES - suffix.len());
    format!("{}{suffix}", &name[..kept])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::tool;

    #[test]
    fn names_the_vendor_does_not_take_are_changed_and_changed_back() {
        let long = format!("1{}", "x".repeat(63));
        let tools = [tool("read_file"), tool("1password"), tool("_1password"), tool(&long)];
        let names = Names::of(&tools);
        let sent: Vec<String> = tools.iter().map(|tool| names.sent(&tool.name)).collect();
        assert_eq!(sent[..3], ["read_file", "_1password_2", "_1password"]);
        assert_eq!(sent[3].len(), MAX_NAME_BYTES);
        for (sent, tool) in sent.iter().zip(&tools) {
            assert_eq!(names.ours(sent), tool.name);
        }
        assert_eq!(names.sent(""), "_");
        assert_eq!(names.sent("mcp/odd näme"), "mcp_odd_n_me");
    }
}
