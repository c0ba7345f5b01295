//! JSON Schema as the vendor enforces it: every object is closed.
//!
//! What else the vendor does not know of a schema, it refuses by name.

use serde_json::Value;

/// The schema with all objects closed that do not say whether they are.
pub(super) fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_object = match fields.get("type") {
                Some(Value::String(kind)) => kind == "object",
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
                _ => false,
            };
            if is_object {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            for (name, value) in fields.iter_mut() {
                // Values of these are data, not schemas.
                if !matches!(name.as_str(), "enum" | "const" | "default" | "examples") {
                    close(value);
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_closed_wherever_they_stand() {
        let open = json!({
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["object"]},
                "place": {"type": ["object", "null"], "properties": {}},
                "many": {"type": "array", "items": {"anyOf": [{"type": "object"}, {"type": "string"}]}},
                "free": {"type": "object", "additionalProperties": true},
            },
            "$defs": {"one": {"type": "object"}},
            "default": {"type": "object"},
        });
        let schema = closed(open);
        for path in ["", "/properties/place", "/properties/many/items/anyOf/0", "/$defs/one"] {
            let object = schema.pointer(path).unwrap();
            assert_eq!(object["additionalProperties"], false, "{path}");
        }
        assert_eq!(schema["properties"]["free"]["additionalProperties"], true, "as it says");
        assert_eq!(schema["default"], json!({"type": "object"}), "that is data");
        assert_eq!(schema["properties"]["type"].as_object().unwrap().len(), 2);
    }
}
