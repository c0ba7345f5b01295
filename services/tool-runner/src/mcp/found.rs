//! Tools that are searched for: where all definitions would take too much of what a model can be told, one tool that finds the others
//! stands in their place, and those it has found are offered in the chat from then on.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};
use tandem_proto::common::v1::ToolDefinition;

use super::listing::estimated_tokens;
use super::{Offered, name};

/// The tool that finds the others.
pub(crate) const FIND_TOOLS: &str = "find_tools";

/// Tools in one answer, unless asked for otherwise, and at most.
const DEFAULT_LIMIT: usize = 5;
const MAX_LIMIT: usize = 20;

/// Longest query, in bytes.
const MAX_QUERY_BYTES: usize = 1_024;

/// Servers that are named in the description.
const MAX_NAMED: usize = 24;

/// How much a word counts, depending on where it is.
const IN_NAME: usize = 4;
const IN_SCHEMA: usize = 1;
const IN_DESCRIPTION: usize = 2;

/// Whether these tools take more than `percent` of `context_tokens`; never for models of unknown size.
pub(super) fn is_too_much(offered: &[Offered], context_tokens: i64, percent: u8) -> bool {
    let bytes = |tool: &Offered| {
        let definition = &tool.definition;
        definition.name.len() + definition.description.len() + definition.input_schema_json.len()
    };
    let tokens = estimated_tokens(offered.iter().map(bytes).sum());
    context_tokens > 0 && tokens > context_tokens.saturating_mul(i64::from(percent)) / 100
}

/// What stands in the place of `all`: the tool that finds them, and those of them that were found before.
pub(super) fn instead(all: Vec<Offered>, found: &HashSet<String>) -> Vec<Offered> {
    let finder = Offered {
        definition: definition(&all),
        server_id: None,
    };
    let known = all.into_iter().filter(|tool| found.contains(&tool.definition.name));
    std::iter::once(finder).chain(known).collect()
}

fn definition(all: &[Offered]) -> ToolDefinition {
    let mut servers: BTreeMap<&str, usize> = BTreeMap::new();
    for tool in all {
        *servers
            .entry(name::slug(&tool.definition.name).unwrap_or_default())
            .or_default() += 1;
    }
    let count = servers.len();
    let mut named: Vec<String> = servers
        .into_iter()
        .take(MAX_NAMED)
        .map(|(server, count)| format!("{server} ({count})"))
        .collect();
    if count > MAX_NAMED {
        named.push("others".to_owned());
    }
    let description = format!(
        "Finds tools that are not listed here. There are {} of them, of these servers: {}. Say in a few words what you want to do; the \
         answer has names, descriptions and schemas, and the tools in it can be called from your next step on.",
        all.len(),
        named.join(", ")
    );
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "Words that the tool's name or description would have."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "description": "How many at most; 5 unless given."},
        },
        "required": ["query"],
    });
    ToolDefinition {
        name: FIND_TOOLS.to_owned(),
        description,
        input_schema_json: schema.to_string(),
        computer: None,
    }
}

/// The tools a model has asked for, best first.
///
/// # Errors
/// What is wrong with the arguments, for the model.
pub(super) fn search<'a>(all: &'a [Offered], arguments: &Map<String, Value>) -> Result<Vec<&'a Offered>, String> {
    let query = arguments
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim();
    if query.is_empty() || query.len() > MAX_QUERY_BYTES {
        return Err(format!("query must be a text of at most {MAX_QUERY_BYTES} bytes"));
    }
    let limit = match arguments.get("limit") {
        None | Some(Value::Null) => DEFAULT_LIMIT,
        Some(limit) => limit
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| format!("limit must be a number from 1 to {MAX_LIMIT}"))?,
    };
    let words = words(query);
    let mut scored: Vec<(usize, &Offered)> = all
        .iter()
        .map(|tool| (score(tool, &words, query), tool))
        .filter(|(score, _)| *score > 0)
        .collect();
    scored.sort_by(|(one, left), (other, right)| (other, &left.definition.name).cmp(&(one, &right.definition.name)));
    scored.truncate(limit);
    Ok(scored.into_iter().map(|(_, tool)| tool).collect())
}

/// What the model is answered.
pub(super) fn answer(found: &[&Offered], total: usize) -> Value {
    let tools = found.iter().map(|tool| {
        let schema: Value = serde_json::from_str(&tool.definition.input_schema_json).unwrap_or_default();
        json!({"name": tool.definition.name, "description": tool.definition.description, "input_schema": schema})
    });
    json!({"tools": tools.collect::<Vec<_>>(), "total": total})
}

fn score(tool: &Offered, query: &HashSet<String>, whole: &str) -> usize {
    let definition = &tool.definition;
    let (name, description) = (words(&definition.name), words(&definition.description));
    let schema = words(&definition.input_schema_json);
    let parts = |known: &HashSet<String>, word: &str| {
        known.contains(word) || (word.len() >= 4 && known.iter().any(|other| other.starts_with(word)))
    };
    let of_words = query.iter().map(|word| {
        usize::from(parts(&name, word)) * IN_NAME
            + usize::from(parts(&description, word)) * IN_DESCRIPTION
            + usize::from(schema.contains(word)) * IN_SCHEMA
    });
    // A model that knows the name gets that tool first.
    let is_named = definition.name == whole;
    of_words.sum::<usize>() + usize::from(is_named) * 1_000
}

fn words(text: &str) -> HashSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 1)
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, description: &str) -> Offered {
        Offered {
            definition: ToolDefinition {
                name: name.to_owned(),
                description: description.to_owned(),
                input_schema_json: r#"{"type":"object","properties":{"path":{}}}"#.to_owned(),
                computer: None,
            },
            server_id: None,
        }
    }

    fn names(all: &[Offered], arguments: Value) -> Result<Vec<String>, String> {
        let found = search(all, arguments.as_object().unwrap())?;
        Ok(found.into_iter().map(|tool| tool.definition.name.clone()).collect())
    }

    fn some() -> Vec<Offered> {
        vec![
            tool("git__create_branch", "Creates a branch."),
            tool("git__list_branches", "Shows the branches of a repository."),
            tool("mail__send", "Sends a message, for example about a branch."),
            tool("weather__today", "Tells the weather."),
        ]
    }

    #[test]
    fn tools_are_found_by_words_of_their_names_before_those_of_their_descriptions() {
        let all = some();
        let found = names(&all, json!({"query": "create a branch"})).unwrap();
        assert_eq!(found[0], "git__create_branch");
        assert!(!found.contains(&"weather__today".to_owned()), "{found:?}");
        assert_eq!(names(&all, json!({"query": "branch", "limit": 1})).unwrap().len(), 1);
        assert_eq!(names(&all, json!({"query": "mail__send"})).unwrap()[0], "mail__send");
        assert!(names(&all, json!({"query": "zzz"})).unwrap().is_empty());
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_with_words() {
        for (arguments, words) in [
            (json!({}), "query must be"),
            (json!({"query": "  "}), "query must be"),
            (json!({"query": "x".repeat(2_000)}), "query must be"),
            (json!({"query": "a", "limit": 0}), "limit must be"),
            (json!({"query": "a", "limit": "many"}), "limit must be"),
            (json!({"query": "a", "limit": 21}), "limit must be"),
        ] {
            let refused = names(&some(), arguments.clone()).unwrap_err();
            assert!(refused.contains(words), "{arguments}: {refused}");
        }
    }

    #[test]
    fn one_tool_stands_for_all_that_were_not_found_yet() {
        let all = some();
        assert!(is_too_much(&all, 100, 10) && !is_too_much(&all, 100_000, 10));
        assert!(!is_too_much(&all, 0, 10), "a size that is not known limits nothing");
        let found = HashSet::from(["mail__send".to_owned(), "gone__tool".to_owned()]);
        let shown = instead(all, &found);
        let names: Vec<&str> = shown.iter().map(|tool| tool.definition.name.as_str()).collect();
        assert_eq!(names, [FIND_TOOLS, "mail__send"]);
        assert!(
            shown[0]
                .definition
                .description
                .contains("git (2), mail (1), weather (1)")
        );
    }
}
