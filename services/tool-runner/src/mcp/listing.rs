//! What a server says it offers, within bounds: the names, words and schemas models are shown.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rmcp::model::Tool;
use serde_json::{Map, Value};

use super::result::cut;
use super::server::Server;
use super::{intent, name};

/// Tools of one server.
pub(crate) const MAX_TOOLS: usize = 128;

/// Bytes of one tool: its description and its schema.
const MAX_TOOL_BYTES: usize = 64 * 1024;

/// Bytes of all tools of one server.
const MAX_TOTAL_BYTES: usize = 512 * 1024;

/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 8 * 1024;

/// Longest name as the server gives it, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Four bytes to a token, as prompts are estimated elsewhere.
const BYTES_PER_TOKEN: usize = 4;

/// Tools of a server by the name under which they are offered.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Listing {
    tools: BTreeMap<String, Listed>,
    /// Why tools are missing; empty when none is.
    pub(crate) left_out: String,
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    /// As the server names it.
    pub(crate) name: String,
    pub(crate) description: String,
    /// As models are shown it.
    pub(crate) schema_json: String,
    /// The server's lists let it pass.
    pub(crate) is_allowed: bool,
}

impl Listed {
    fn bytes(&self) -> usize {
        self.description.len() + self.schema_json.len()
    }

    /// What it takes of a model's context, roughly.
    pub(crate) fn estimated_tokens(&self) -> i64 {
        i64::try_from(self.bytes() / BYTES_PER_TOKEN).unwrap_or(i64::MAX)
    }
}

impl Listing {
    /// Makes a list of what the server has said. Tools that are too large, or too many, are left out.
    pub(crate) fn new(server: &Server, said: Vec<Tool>, is_more: bool) -> Self {
        let mut listing = Self::default();
        let mut notes: Vec<String> = Vec::new();
        let (mut total, mut surplus) = (0, 0);
        for tool in said {
            if tool.name.is_empty() || tool.name.len() > MAX_NAME_BYTES {
                notes.push("a tool with an unusable name was left out".to_owned());
                continue;
            }
            let offered = name::offered(&server.slug, &tool.name);
            let listed = listed(server, tool);
            if listing.tools.len() >= MAX_TOOLS || total + listed.bytes() > MAX_TOTAL_BYTES {
                surplus += 1;
            } else if listed.bytes() > MAX_TOOL_BYTES {
                notes.push(format!(
                    "{offered} was left out: it is larger than {MAX_TOOL_BYTES} bytes"
                ));
            } else {
                match listing.tools.entry(offered) {
                    Entry::Vacant(place) => {
                        total += listed.bytes();
                        place.insert(listed);
                    }
                    Entry::Occupied(place) => {
                        notes.push(format!("{} was left out: another tool gets the same name", place.key()));
                    }
                }
            }
        }
        if surplus > 0 || is_more {
            notes.insert(
                0,
                format!("tools were left out: at most {MAX_TOOLS} with {MAX_TOTAL_BYTES} bytes are taken"),
            );
        }
        listing.left_out = cut(notes.join("; "), 400);
        listing
    }

    /// A tool by the name under which it is offered, if chats may use it.
    pub(crate) fn get(&self, offered: &str) -> Option<&Listed> {
        self.tools.get(offered).filter(|tool| tool.is_allowed)
    }

    /// All tools by the name under which they are offered, those that chats may not use included.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Listed)> {
        self.tools.iter()
    }

    /// The tools chats may use.
    pub(crate) fn allowed(&self) -> impl Iterator<Item = (&String, &Listed)> {
        self.all().filter(|(_, tool)| tool.is_allowed)
    }
}

fn listed(server: &Server, tool: Tool) -> Listed {
    let own = plain(tool.input_schema.as_ref().clone());
    let schema = if server.has_model_intent {
        intent::wrap(own)
    } else {
        own
    };
    let description = tool.description.or(tool.title.map(Into::into)).unwrap_or_default();
    Listed {
        is_allowed: server.allows(&tool.name),
        name: tool.name.into_owned(),
        description: cut(description.into_owned(), MAX_DESCRIPTION_BYTES),
        schema_json: Value::Object(schema).to_string(),
    }
}

/// The schema as every vendor takes it: of an object, whose properties are there even if there are none.
fn plain(mut schema: Map<String, Value>) -> Map<String, Value> {
    schema.insert("type".to_owned(), "object".into());
    let has_properties = schema.get("properties").is_some_and(Value::is_object);
    if !has_properties {
        schema.insert("properties".to_owned(), Value::Object(Map::new()));
    }
    if schema.get("required").is_some_and(|required| !required.is_array()) {
        schema.remove("required");
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tandem_chassis::seal::keyring::Keyring;
    use tandem_proto::storage::v1::{McpAuthType, McpServer};
    use uuid::Uuid;

    use super::*;

    fn server(change: impl FnOnce(&mut McpServer)) -> Server {
        let mut row = McpServer {
            id: Uuid::from_u128(1).to_string(),
            slug: "s".to_owned(),
            url: "http://localhost/mcp".to_owned(),
            auth_type: McpAuthType::None.into(),
            ..McpServer::default()
        };
        change(&mut row);
        Server::open(row, &Keyring::default()).unwrap()
    }

    fn tool(name: &str, schema: Value) -> Tool {
        serde_json::from_value(json!({"name": name, "description": "d", "inputSchema": schema})).unwrap()
    }

    #[test]
    fn tools_come_by_name_with_object_schemas() {
        let said = vec![
            tool("b", json!({"type": "object", "properties": null, "required": null})),
            tool("a", json!({"properties": {"x": {"type": "string"}}, "required": ["x"]})),
        ];
        let listing = Listing::new(&server(|_| {}), said, false);
        let names: Vec<&String> = listing.allowed().map(|(name, _)| name).collect();
        assert_eq!(names, ["s__a", "s__b"]);
        let empty = &listing.get("s__b").unwrap().schema_json;
        assert_eq!(empty, r#"{"properties":{},"type":"object"}"#);
        assert_eq!(listing.left_out, "");
    }

    #[test]
    fn a_server_that_offers_without_end_is_cut_and_named() {
        let many = (0..MAX_TOOLS + 10).map(|n| tool(&format!("t{n}"), json!({"type": "object"})));
        let listing = Listing::new(&server(|_| {}), many.collect(), false);
        assert_eq!(listing.all().count(), MAX_TOOLS);
        assert!(
            listing.left_out.starts_with("tools were left out"),
            "{}",
            listing.left_out
        );

        let large = json!({"type": "object", "description": "x".repeat(MAX_TOOL_BYTES)});
        let listing = Listing::new(&server(|_| {}), vec![tool("large", large), tool("", json!({}))], false);
        assert_eq!(listing.all().count(), 0);
        assert!(
            listing.left_out.contains("s__large was left out"),
            "{}",
            listing.left_out
        );

        let near = json!({"type": "object", "description": "x".repeat(MAX_TOOL_BYTES - 1_000)});
        let many = (0..20).map(|n| tool(&format!("t{n}"), near.clone()));
        let listing = Listing::new(&server(|_| {}), many.collect(), false);
        assert!(listing.all().map(|(_, tool)| tool.bytes()).sum::<usize>() <= MAX_TOTAL_BYTES);
    }

    #[test]
    fn denied_tools_are_known_and_not_offered() {
        let server = server(|row| row.tool_deny_list = vec!["b".to_owned()]);
        let listing = Listing::new(&server, vec![tool("a", json!({})), tool("b", json!({}))], false);
        assert!(listing.get("s__a").is_some() && listing.get("s__b").is_none());
        assert_eq!(listing.all().count(), 2);
    }

    #[test]
    fn of_two_tools_that_get_one_name_the_first_stays() {
        let said = vec![tool("a.b", json!({})), tool("a_b", json!({}))];
        let listing = Listing::new(&server(|_| {}), said, false);
        assert_eq!(listing.get("s__a_b").map(|tool| tool.name.as_str()), Some("a.b"));
        assert_eq!(listing.left_out, "s__a_b was left out: another tool gets the same name");
    }

    #[test]
    fn with_intent_each_call_says_what_it_is_for() {
        let server = server(|row| row.has_model_intent = true);
        let listing = Listing::new(&server, vec![tool("a", json!({}))], false);
        assert!(listing.get("s__a").unwrap().schema_json.contains("model_intent"));
    }
}
