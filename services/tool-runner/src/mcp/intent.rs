//! Calls that say what they are for: the tool's schema is put into a larger one, and taken out of the arguments again.

use serde_json::{Map, Value, json};

const INTENT: &str = "model_intent";
const ARGUMENTS: &str = "properties";

/// The schema a model is shown in place of the tool's own.
pub(crate) fn wrap(schema: Map<String, Value>) -> Map<String, Value> {
    let wrapped = json!({
        "type": "object",
        "properties": {
            INTENT: {
                "type": "string",
                "description": "What this call is for, in a few plain words that the person who reads along understands.",
            },
            ARGUMENTS: schema,
        },
        "required": [INTENT, ARGUMENTS],
    });
    match wrapped {
        Value::Object(wrapped) => wrapped,
        _ => Map::new(),
    }
}

/// The tool's own arguments. Models that pass over the larger schema are understood too.
pub(crate) fn unwrap(mut arguments: Map<String, Value>) -> Map<String, Value> {
    arguments.remove(INTENT);
    match arguments.remove(ARGUMENTS) {
        Some(Value::Object(own)) => own,
        Some(other) => {
            arguments.insert(ARGUMENTS.to_owned(), other);
            arguments
        }
        None => arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn the_tools_schema_stands_whole_inside_the_larger_one() {
        let own = object(json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}));
        let wrapped = wrap(own.clone());
        assert_eq!(wrapped["properties"]["properties"], Value::Object(own));
        assert_eq!(wrapped["required"], json!(["model_intent", "properties"]));
    }

    #[test]
    fn arguments_come_out_however_the_model_has_put_them_in() {
        for sent in [
            json!({"model_intent": "look", "properties": {"path": "a"}}),
            json!({"model_intent": "look", "path": "a"}),
            json!({"path": "a"}),
        ] {
            assert_eq!(unwrap(object(sent)), object(json!({"path": "a"})));
        }
        assert_eq!(
            unwrap(object(json!({"properties": "no object"}))),
            object(json!({"properties": "no object"}))
        );
    }
}
