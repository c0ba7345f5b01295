//! What a server says it offers, within bounds: the names, words and schemas models are shown.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tandem_mcp::model::Tool;

use super::result::cut;
use super::server::Server;
use super::{intent, name};

/// Tools of one server that chats may use.
const MAX_TOOLS: usize = 128;

/// Tools of one server that chats may not use, for those who look after it.
const MAX_DENIED: usize = 128;

/// Bytes of one tool: its description and its schema.
const MAX_TOOL_BYTES: usize = 64 * 1024;

/// Bytes of all tools of one server that chats may use; and, apart, of those they may not.
const MAX_TOTAL_BYTES: usize = 512 * 1024;

/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 8 * 1024;

/// Longest name as the server gives it, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Notes on what was left out.
const MAX_NOTES: usize = 8;

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
    /// The server's own.
    pub(crate) own_schema_json: String,
    /// As models are shown it, where that is another.
    wrapped_schema_json: Option<String>,
    /// The server's lists let it pass.
    pub(crate) is_allowed: bool,
}

impl Listed {
    /// As models are shown it.
    pub(crate) fn schema_json(&self) -> &str {
        self.wrapped_schema_json.as_deref().unwrap_or(&self.own_schema_json)
    }

    /// What is accepted of a tool: SHA-256 of its description and its own schema.
    pub(crate) fn digest(&self) -> Vec<u8> {
        let mut hasher = Sha256::new();
        hasher.update((self.description.len() as u64).to_be_bytes());
        hasher.update(&self.description);
        hasher.update(&self.own_schema_json);
        hasher.finalize().to_vec()
    }

    fn bytes(&self) -> usize {
        self.description.len() + self.schema_json().len()
    }

    /// What it takes of a model's context, roughly.
    pub(crate) fn estimated_tokens(&self) -> i64 {
        estimated_tokens(self.bytes())
    }
}

/// What so many bytes of a definition take of a model's context, roughly.
pub(crate) fn estimated_tokens(bytes: usize) -> i64 {
    i64::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(i64::MAX)
}

/// A list in the making, page by page.
pub(crate) struct Builder<'a> {
    server: &'a Server,
    listing: Listing,
    notes: Vec<String>,
    /// Number and bytes of tools that chats may use, and of those they may not.
    allowed: (usize, usize),
    denied: (usize, usize),
    has_surplus: bool,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        Self {
            server,
            listing: Listing::default(),
            notes: Vec::new(),
            allowed: (0, 0),
            denied: (0, 0),
            has_surplus: false,
        }
    }

    /// Takes what the server has said. Tools that are too large, or too many, are left out. Breaks when no more are wanted.
    pub(crate) fn add(&mut self, page: Vec<Tool>) -> ControlFlow<()> {
        for tool in page {
            if tool.name.is_empty() || tool.name.len() > MAX_NAME_BYTES {
                self.note("a tool with an unusable name was left out".to_owned());
                continue;
            }
            self.place(listed(self.server, tool));
        }
        match self.has_surplus {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn place(&mut self, tool: Listed) {
        let plain = name::offered(&self.server.slug, &tool.name);
        let bytes = tool.bytes();
        if bytes > MAX_TOOL_BYTES {
            return self.note(format!(
                "{plain} was left out: it is larger than {MAX_TOOL_BYTES} bytes"
            ));
        }
        let (taken, max_count) = match tool.is_allowed {
            true => (self.allowed, MAX_TOOLS),
            false => (self.denied, MAX_DENIED),
        };
        if taken.0 >= max_count || taken.1 + bytes > MAX_TOTAL_BYTES {
            self.has_surplus |= tool.is_allowed;
            return;
        }
        let mut offered = plain;
        if self.listing.tools.contains_key(&offered) {
            let other = name::told_apart(&self.server.slug, &tool.name);
            if self.listing.tools.contains_key(&other) {
                return self.note(format!("{offered} was left out: it is listed twice"));
            }
            let note = format!("two tools would be named {offered}: one of them is {other}");
            offered = other;
            self.note(note);
        }
        let taken = match tool.is_allowed {
            true => &mut self.allowed,
            false => &mut self.denied,
        };
        taken.0 += 1;
        taken.1 += bytes;
        self.listing.tools.insert(offered, tool);
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(text);
        }
    }

    /// The list; `is_more`: the server had more to say.
    pub(crate) fn finish(mut self, is_more: bool) -> Listing {
        if self.has_surplus || is_more {
            let text = format!("tools were left out: at most {MAX_TOOLS} with {MAX_TOTAL_BYTES} bytes are taken");
            self.notes.insert(0, text);
        }
        self.listing.left_out = cut(self.notes.join("; "), 400);
        self.listing
    }
}

impl Listing {
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
    let own_schema_json = Value::Object(own.clone()).to_string();
    let wrapped = server.has_model_intent.then(|| intent::wrap(own));
    let description = tool.description.or(tool.title.map(Into::into)).unwrap_or_default();
    Listed {
        is_allowed: server.allows(&tool.name),
        name: tool.name.into_owned(),
        description: cut(description.into_owned(), MAX_DESCRIPTION_BYTES),
        own_schema_json,
        wrapped_schema_json: wrapped.map(|schema| Value::Object(schema).to_string()),
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

    fn listing_of(server: &Server, said: Vec<Tool>) -> Listing {
        let mut builder = Builder::new(server);
        let more = builder.add(said);
        builder.finish(more.is_break())
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
        let listing = listing_of(&server(|_| {}), said);
        let names: Vec<&String> = listing.allowed().map(|(name, _)| name).collect();
        assert_eq!(names, ["s__a", "s__b"]);
        let empty = listing.get("s__b").unwrap().schema_json();
        assert_eq!(empty, r#"{"properties":{},"type":"object"}"#);
        assert_eq!(listing.left_out, "");
    }

    #[test]
    fn a_server_that_offers_without_end_is_cut_and_named() {
        let many = (0..MAX_TOOLS + 10).map(|n| tool(&format!("t{n}"), json!({"type": "object"})));
        let listing = listing_of(&server(|_| {}), many.collect());
        assert_eq!(listing.all().count(), MAX_TOOLS);
        assert!(
            listing.left_out.starts_with("tools were left out"),
            "{}",
            listing.left_out
        );

        let large = json!({"type": "object", "description": "x".repeat(MAX_TOOL_BYTES)});
        let listing = listing_of(&server(|_| {}), vec![tool("large", large), tool("", json!({}))]);
        assert_eq!(listing.all().count(), 0);
        assert!(
            listing.left_out.contains("s__large was left out"),
            "{}",
            listing.left_out
        );

        let near = json!({"type": "object", "description": "x".repeat(MAX_TOOL_BYTES - 1_000)});
        let many = (0..20).map(|n| tool(&format!("t{n}"), near.clone()));
        let listing = listing_of(&server(|_| {}), many.collect());
        assert!(listing.all().map(|(_, tool)| tool.bytes()).sum::<usize>() <= MAX_TOTAL_BYTES);
    }

    #[test]
    fn denied_tools_are_known_and_not_offered() {
        let server = server(|row| row.tool_deny_list = vec!["b".to_owned()]);
        let listing = listing_of(&server, vec![tool("a", json!({})), tool("b", json!({}))]);
        assert!(listing.get("s__a").is_some() && listing.get("s__b").is_none());
        assert_eq!(listing.all().count(), 2);
    }

    #[test]
    fn tools_that_chats_may_not_use_take_no_room_from_those_they_may() {
        let server = server(|row| row.tool_allow_list = vec!["wanted".to_owned()]);
        let many = (0..MAX_TOOLS * 3).map(|n| tool(&format!("t{n}"), json!({})));
        let said = many.chain([tool("wanted", json!({}))]).collect();
        let listing = listing_of(&server, said);
        assert!(listing.get("s__wanted").is_some());
        assert_eq!(listing.all().count(), MAX_DENIED + 1);
        assert_eq!(listing.left_out, "", "nothing that is wanted is missing");
    }

    #[test]
    fn two_tools_that_get_one_name_are_told_apart_and_it_is_said() {
        let said = vec![tool("a.b", json!({})), tool("a_b", json!({})), tool("a_b", json!({}))];
        let listing = listing_of(&server(|_| {}), said);
        assert_eq!(listing.get("s__a_b").map(|tool| tool.name.as_str()), Some("a.b"));
        let (other, tool) = listing.all().find(|(name, _)| *name != "s__a_b").unwrap();
        assert!(other.starts_with("s__a_b_") && tool.name == "a_b", "{other}");
        assert!(
            listing.left_out.contains("two tools would be named s__a_b"),
            "{}",
            listing.left_out
        );
        assert!(listing.left_out.contains("listed twice"), "{}", listing.left_out);
    }

    #[test]
    fn what_is_accepted_of_a_tool_is_its_description_and_its_own_schema() {
        let digest = |server: &Server, description: &str, schema: Value| {
            let mut tool = tool("a", schema);
            tool.description = Some(description.to_owned().into());
            listing_of(server, vec![tool]).get("s__a").unwrap().digest()
        };
        let (plain, wrapped) = (server(|_| {}), server(|row| row.has_model_intent = true));
        let before = digest(&plain, "d", json!({"type": "object"}));
        assert_eq!(digest(&wrapped, "d", json!({})), before, "however it is shown");
        assert_ne!(digest(&plain, "D", json!({})), before);
        assert_ne!(digest(&plain, "d", json!({"properties": {"bcc": {}}})), before);
    }

    #[test]
    fn with_intent_each_call_says_what_it_is_for() {
        let server = server(|row| row.has_model_intent = true);
        let listing = listing_of(&server, vec![tool("a", json!({}))]);
        assert!(listing.get("s__a").unwrap().schema_json().contains("model_intent"));
    }
}
