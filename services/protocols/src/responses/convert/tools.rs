//! The tools of a request, in an order that never changes by itself, so that the vendor's cache holds.

use serde_json::{Map, Value, json};

use crate::{
    call::{self, COMPUTER, ToolChoice},
    responses::{WEB_SEARCH, family::Computer, options::Settings, wire::Tool},
};

/// Longest name of a tool the vendor takes.
const MAX_NAME_BYTES: usize = 64;

/// What the display belongs to, for the older tool for using a computer.
const ENVIRONMENT: &str = "linux";

/// What the vendor does not take at the top of a schema.
const REFUSED_AT_TOP: [&str; 5] = ["oneOf", "anyOf", "allOf", "enum", "not"];

/// What an enforced schema must not have anywhere.
const NOT_ENFORCEABLE: [&str; 7] = [
    "oneOf",
    "allOf",
    "not",
    "if",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
];

/// How deep an enforced schema may be.
const MAX_DEPTH: usize = 10;

/// A name as the vendor takes it: letters, digits, `_` and `-`.
pub(super) fn name(name: &str) -> String {
    let plain: String = name
        .chars()
        .take(MAX_NAME_BYTES)
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
            _ => '_',
        })
        .collect();
    if plain.is_empty() { "unknown".to_owned() } else { plain }
}

/// What is on offer. The vendor's search is, unless a tool of ours has its name.
pub(super) fn offered(request: &call::Request, settings: &Settings) -> Vec<Tool> {
    let own = request
        .tools
        .iter()
        .map(|tool| match (tool.computer, settings.computer) {
            (Some(_), Some(Computer::Batches)) => Tool::Computer {},
            (Some(display), Some(Computer::Preview)) => Tool::ComputerUsePreview {
                display_width: display.width_px,
                display_height: display.height_px,
                environment: ENVIRONMENT,
            },
            (Some(_) | None, _) => function(tool, settings),
        });
    let is_taken = request.tools.iter().any(|tool| tool.name == WEB_SEARCH);
    let search = settings.web_search.clone().filter(|_| !is_taken);
    own.chain(search.map(Tool::WebSearch)).collect()
}

fn function(tool: &call::Tool, settings: &Settings) -> Tool {
    let parameters = schema(&tool.input_schema);
    Tool::Function {
        name: tool.name.clone(),
        description: tool.description.clone(),
        strict: settings.is_strict && is_enforceable(&parameters, 0),
        parameters,
    }
}

/// Whether the vendor's search is among them.
pub(super) fn searches(tools: &[Tool]) -> bool {
    tools.iter().any(|tool| matches!(tool, Tool::WebSearch(_)))
}

/// Whether they may be called; `None` where there are none.
pub(super) fn choice(request: &call::Request, tools: &[Tool]) -> Option<Value> {
    let of_vendor = |name: &str| {
        let mut tools = tools.iter().filter(|_| name == COMPUTER);
        tools.find_map(|tool| match tool {
            Tool::Computer {} => Some(Computer::Batches.tool()),
            Tool::ComputerUsePreview { .. } => Some(Computer::Preview.tool()),
            Tool::Function { .. } | Tool::WebSearch(_) => None,
        })
    };
    let choice = match &request.tool_choice {
        ToolChoice::Auto => Value::from("auto"),
        ToolChoice::None => Value::from("none"),
        ToolChoice::Required => Value::from("required"),
        ToolChoice::Named(name) => match of_vendor(name) {
            Some(kind) => json!({ "type": kind }),
            None => json!({ "type": "function", "name": name }),
        },
    };
    (!tools.is_empty()).then_some(choice)
}

/// A schema as the vendor takes it: an object at the top with its properties, without alternatives there.
fn schema(schema: &Value) -> Value {
    let mut fields = schema.as_object().cloned().unwrap_or_default();
    fields.retain(|name, _| !REFUSED_AT_TOP.contains(&name.as_str()));
    fields.insert("type".to_owned(), Value::from("object"));
    if !fields.get("properties").is_some_and(Value::is_object) {
        fields.insert("properties".to_owned(), json!({}));
    }
    Value::Object(fields)
}

/// Whether the vendor can enforce a schema: objects name all their properties as required and allow no others.
fn is_enforceable(schema: &Value, depth: usize) -> bool {
    let Some(fields) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
        return false;
    };
    let within = |schema: &Value| is_enforceable(schema, depth + 1);
    let all_of = |name: &str| {
        let schemas = fields.get(name).and_then(Value::as_object);
        schemas.is_none_or(|schemas| schemas.values().all(within))
    };
    let any_of = fields.get("anyOf").and_then(Value::as_array);
    !NOT_ENFORCEABLE.iter().any(|name| fields.contains_key(*name))
        && (fields.get("type") != Some(&json!("object")) || is_closed(fields))
        && all_of("properties")
        && all_of("$defs")
        && fields.get("items").is_none_or(within)
        && any_of.is_none_or(|schemas| schemas.iter().all(within))
}

fn is_closed(fields: &Map<String, Value>) -> bool {
    let required = fields.get("required").and_then(Value::as_array);
    let required = required.map_or(&[][..], Vec::as_slice);
    let is_required = |name: &String| required.iter().any(|required| required == name);
    let properties = fields.get("properties").and_then(Value::as_object);
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|properties| properties.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_schemas_are_enforced() {
        let closed = |inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": false});
        let is = |value: Value| is_enforceable(&value, 0);
        assert!(is(closed(json!({"type": "string"}))));
        assert!(is(closed(closed(
            json!({"type": "array", "items": {"type": "string"}})
        ))));
        assert!(
            !is(json!({"type": "object", "properties": {"a": {}}, "required": ["a"]})),
            "it allows others"
        );
        assert!(
            !is(json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false})),
            "it can be left out"
        );
        assert!(!is(closed(json!({"type": "object"}))), "it is open inside");
        assert!(!is(closed(json!({"oneOf": []}))));
        assert!(!is(closed(json!({"type": "array", "items": {"type": "object"}}))));
        let deep = (0..12).fold(json!({"type": "string"}), |inner, _| closed(inner));
        assert!(!is(deep));
    }

    #[test]
    fn a_schema_is_an_object_with_properties() {
        let object = json!({"type": "object", "properties": {}});
        assert_eq!(schema(&Value::Null), object);
        assert_eq!(schema(&json!({"anyOf": [], "type": "string"})), object);
        assert_eq!(
            schema(&json!({"properties": {"a": {}}, "required": ["a"]})),
            json!({"properties": {"a": {}}, "required": ["a"], "type": "object"})
        );
    }

    #[test]
    fn names_are_made_plain() {
        assert_eq!(name("mcp.read näme"), "mcp_read_n_me");
        assert_eq!(name(""), "unknown");
        assert_eq!(name(&"x".repeat(80)).len(), 64);
    }
}
