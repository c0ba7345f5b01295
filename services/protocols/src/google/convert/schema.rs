//! JSON Schema as the vendor reads it: a subset, of which unknown words are left out and some others said differently.

use serde_json::{Map, Value, json};

/// Words that are kept as they are.
const KNOWN: [&str; 13] = [
    "$ref",
    "type",
    "format",
    "title",
    "description",
    "default",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
];

/// Where definitions are, here and in older schemas.
const DEFINITIONS: &str = "$defs";
const OLD_DEFINITIONS: &str = "definitions";

/// The parameters of a tool; `None` if it has none, since the vendor wants nothing said of those.
pub(super) fn parameters(schema: &Value) -> Option<Value> {
    let Value::Object(fields) = schema else { return None };
    let mut fields = fields.clone();
    // The vendor takes an object at the top, without alternatives.
    fields.retain(|name, _| !matches!(name.as_str(), "oneOf" | "anyOf" | "allOf" | "$ref" | "enum" | "const"));
    fields.insert("type".to_owned(), Value::from("object"));
    let has_some = |value: &Value| value.as_object().is_some_and(|properties| !properties.is_empty());
    let is_open = fields
        .get("additionalProperties")
        .is_some_and(|more| more == &json!(true) || has_some(more));
    let has_properties = fields.get("properties").is_some_and(has_some);
    (has_properties || is_open).then(|| node(&Value::Object(fields)))
}

/// The schema of an answer.
pub(super) fn answer(schema: &Value) -> Value {
    node(schema)
}

fn node(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        // `true` allows everything; nothing is worth forbidding everything.
        return json!({});
    };
    let mut kept = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "$ref" => {
                let moved = value.as_str().map(|text| text.replace("#/definitions/", "#/$defs/"));
                kept.extend(moved.map(|text| (name.clone(), Value::from(text))));
            }
            known if KNOWN.contains(&known) => {
                kept.insert(name.clone(), value.clone());
            }
            "enum" => kept.extend(choices(value).map(|choices| (name.clone(), choices))),
            "const" => kept.extend(choices(&json!([value])).map(|choices| ("enum".to_owned(), choices))),
            "properties" => {
                kept.insert(name.clone(), nodes(value));
            }
            DEFINITIONS | OLD_DEFINITIONS => {
                kept.insert(DEFINITIONS.to_owned(), nodes(value));
            }
            "items" => {
                // A list of schemas, one for each place, is called something else by now.
                let name = if value.is_array() { "prefixItems" } else { name };
                kept.insert(name.to_owned(), many(value));
            }
            "additionalProperties" if value.is_boolean() => {
                kept.insert(name.clone(), value.clone());
            }
            "additionalProperties" => {
                kept.insert(name.clone(), node(value));
            }
            "anyOf" | "oneOf" => {
                kept.insert("anyOf".to_owned(), many(value));
            }
            "allOf" => merge(value, &mut kept),
            "prefixItems" => {
                kept.insert(name.clone(), many(value));
            }
            // Not in the subset: the model reads what is left.
            _ => {}
        }
    }
    require(fields.get("required"), &mut kept);
    if kept.get("type") == Some(&json!("array")) {
        kept.entry("items").or_insert_with(|| json!({}));
    }
    Value::Object(kept)
}

/// One or several schemas.
fn many(value: &Value) -> Value {
    match value {
        Value::Array(schemas) => schemas.iter().map(node).collect(),
        other => node(other),
    }
}

/// Schemas by name.
fn nodes(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, schema)| (name.clone(), node(schema))).collect())
}

/// The vendor lists texts and numbers only.
fn choices(value: &Value) -> Option<Value> {
    let choices = value.as_array()?.iter();
    let choices: Vec<Value> = choices
        .filter(|choice| choice.is_string() || choice.is_number())
        .cloned()
        .collect();
    (!choices.is_empty()).then_some(Value::Array(choices))
}

/// Everything that must hold at once, as one schema; what was said first stays.
fn merge(value: &Value, kept: &mut Map<String, Value>) {
    for schema in value.as_array().into_iter().flatten() {
        let Value::Object(fields) = node(schema) else { continue };
        for (name, value) in fields {
            match (kept.get_mut(&name), value) {
                (Some(Value::Object(known)), Value::Object(more)) => {
                    for (name, value) in more {
                        known.entry(name).or_insert(value);
                    }
                }
                (Some(_), _) => {}
                (None, value) => {
                    kept.insert(name, value);
                }
            }
        }
    }
}

/// The vendor refuses to require what is not among the properties.
fn require(required: Option<&Value>, kept: &mut Map<String, Value>) {
    let properties = kept.get("properties").and_then(Value::as_object);
    let is_known = |name: &&Value| {
        let name = name.as_str();
        name.is_some_and(|name| properties.is_some_and(|properties| properties.contains_key(name)))
    };
    let names = required.and_then(Value::as_array).into_iter().flatten();
    let names: Vec<Value> = names.filter(is_known).cloned().collect();
    if !names.is_empty() {
        kept.insert("required".to_owned(), Value::Array(names));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_schema_stays_as_it_is() {
        let schema = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Where."},
                "lines": {"type": ["integer", "null"], "minimum": 1},
                "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            },
            "required": ["path"],
            "additionalProperties": false,
        });
        assert_eq!(parameters(&schema), Some(schema));
    }

    #[test]
    fn what_the_vendor_does_not_read_is_said_differently_or_left_out() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "anyOf": [{"required": ["a"]}],
            "properties": {
                "a": {"oneOf": [{"const": "x"}, {"type": "integer", "exclusiveMinimum": 0}]},
                "b": {"$ref": "#/definitions/b"},
                "c": {"type": "array"},
                "d": {"allOf": [{"type": "object", "properties": {"e": true}}, {"description": "D.", "required": ["e"]}]},
                "f": {"enum": [true, null], "items": [{"type": "string"}]},
            },
            "patternProperties": {"^x": {}},
            "definitions": {"b": {"not": {}, "type": "string"}},
            "required": ["a", "gone", 7],
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "a": {"anyOf": [{"enum": ["x"]}, {"type": "integer"}]},
                "b": {"$ref": "#/$defs/b"},
                "c": {"type": "array", "items": {}},
                "d": {"type": "object", "properties": {"e": {}}, "description": "D."},
                "f": {"prefixItems": [{"type": "string"}]},
            },
            "$defs": {"b": {"type": "string"}},
            "required": ["a"],
        });
        assert_eq!(parameters(&schema), Some(expected));
    }

    #[test]
    fn a_tool_without_parameters_has_no_schema() {
        for schema in [
            json!({}),
            json!({"type": "object", "properties": {}}),
            json!(true),
            Value::Null,
        ] {
            assert_eq!(parameters(&schema), None, "{schema}");
        }
        assert!(parameters(&json!({"additionalProperties": {"type": "string"}})).is_some());
    }
}
