//! What a server says it offers, within bounds.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};
use tandem_mcp::model::Tool;

/// Tools of one server, and the bytes they take.
const MAX_TOOLS: usize = 128;
const MAX_BYTES: usize = 512 * 1024;

/// Bytes of one tool's schema.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// Longest description and longest name, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 8 * 1024;
const MAX_NAME_BYTES: usize = 256;

/// The tools of one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tools {
    pub(super) all: Vec<Listed>,
    bytes: usize,
    /// Tools are missing.
    pub(super) is_cut: bool,
}

/// One tool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) input_schema_json: String,
}

impl Tools {
    /// Takes a page of what a server says. Breaks when no more are wanted.
    pub(super) fn add(&mut self, page: Vec<Tool>) -> ControlFlow<()> {
        for tool in page {
            let Some(tool) = listed(tool) else {
                self.is_cut = true;
                continue;
            };
            let bytes = tool.description.len() + tool.input_schema_json.len();
            if self.all.len() >= MAX_TOOLS || self.bytes + bytes > MAX_BYTES {
                self.is_cut = true;
                return ControlFlow::Break(());
            }
            if self.all.iter().all(|known| known.name != tool.name) {
                self.bytes += bytes;
                self.all.push(tool);
            }
        }
        ControlFlow::Continue(())
    }
}

fn listed(tool: Tool) -> Option<Listed> {
    let input_schema_json = Value::Object(plain(&tool.input_schema)).to_string();
    let is_fine = (1..=MAX_NAME_BYTES).contains(&tool.name.len()) && input_schema_json.len() <= MAX_SCHEMA_BYTES;
    let description = tool.description.or(tool.title.map(Into::into)).unwrap_or_default();
    let end = description.floor_char_boundary(MAX_DESCRIPTION_BYTES);
    is_fine.then(|| Listed {
        name: tool.name.into_owned(),
        description: description.get(..end).unwrap_or_default().replace('\0', ""),
        input_schema_json,
    })
}

/// Type, properties and what is required; properties are there even if there are none, which some vendors insist on.
fn plain(schema: &Map<String, Value>) -> Map<String, Value> {
    let mut plain = Map::new();
    plain.insert("type".to_owned(), "object".into());
    let properties = schema.get("properties").filter(|properties| properties.is_object());
    plain.insert(
        "properties".to_owned(),
        properties.cloned().unwrap_or_else(|| json!({})),
    );
    if let Some(required) = schema.get("required").filter(|required| required.is_array()) {
        plain.insert("required".to_owned(), required.clone());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, schema: Value) -> Tool {
        serde_json::from_value(json!({"name": name, "description": "d", "inputSchema": schema})).unwrap()
    }

    #[test]
    fn schemas_have_what_every_vendor_takes_and_nothing_else() {
        let mut tools = Tools::default();
        let schema = json!({"$schema": "x", "properties": null, "required": ["a"], "additionalProperties": false});
        assert!(tools.add(vec![tool("a", schema), tool("a", json!({}))]).is_continue());
        let [only] = tools.all.as_slice() else {
            panic!("{tools:?}");
        };
        assert_eq!(
            only.input_schema_json,
            r#"{"properties":{},"required":["a"],"type":"object"}"#
        );
    }

    #[test]
    fn servers_that_offer_without_end_are_cut() {
        let mut tools = Tools::default();
        let many = (0..10_000).map(|n| tool(&format!("t{n}"), json!({})));
        assert!(tools.add(many.collect()).is_break());
        assert_eq!((tools.all.len(), tools.is_cut), (MAX_TOOLS, true));
        let mut tools = Tools::default();
        let large = json!({"properties": {"a": {"description": "x".repeat(MAX_SCHEMA_BYTES)}}});
        assert!(tools.add(vec![tool("large", large), tool("", json!({}))]).is_continue());
        assert!(tools.all.is_empty() && tools.is_cut);
    }
}
