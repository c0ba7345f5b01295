//! The form of an answer that a vendor enforces: who can be held to one, and how the OpenAI protocols write it.
//!
//! Owns refusals, since a form that is not enforced is worse than none: programs parse what they get.

use serde_json::{Map, Value, json};

use super::{Protocol, anthropic, google};
use crate::{
    Model,
    call::{OutputFormat, OutputSchema},
};

const BY_TOOL: &str =
    "This model's provider does not enforce the form of answers. Offer a tool with that schema and require it.";
const SCHEMA_ONLY: &str = "This model's provider enforces a schema only. Send the schema that the JSON must have.";
const BESIDE_TOOLS: &str =
    "This model's provider does not enforce the form of answers while tools are on offer. Leave the tools out.";
const DEMO: &str = "The demo model says what it says. Leave the form of the answer out.";

/// Why a model cannot be held to a form of its answers, as sentences; `None` where it can.
pub fn refused(format: &OutputFormat, model: &Model, has_tools: bool) -> Option<&'static str> {
    match (Protocol::of(model), format) {
        (Protocol::ChatCompletions | Protocol::Responses, _) => None,
        (Protocol::Messages, _) if !anthropic::enforces_schemas(&model.model) => Some(BY_TOOL),
        (Protocol::Messages, OutputFormat::Schema(_)) => None,
        (Protocol::Messages, OutputFormat::Json) => Some(SCHEMA_ONLY),
        (Protocol::Bedrock, _) => Some(BY_TOOL),
        (Protocol::Gemini, _) if has_tools && !google::is_third(&model.model) => Some(BESIDE_TOOLS),
        (Protocol::Gemini, _) => None,
        (Protocol::Demo, _) => Some(DEMO),
    }
}

/// The value of Chat Completions' `response_format`.
pub(super) fn chat_completions(format: &OutputFormat) -> Value {
    match format {
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::Schema(schema) => json!({ "type": "json_schema", "json_schema": fields(schema) }),
    }
}

/// The value of Responses' `text.format`.
pub(super) fn responses(format: &OutputFormat) -> Value {
    match format {
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::Schema(schema) => {
            let mut written = fields(schema);
            written.insert("type".to_owned(), "json_schema".into());
            Value::Object(written)
        }
    }
}

fn fields(schema: &OutputSchema) -> Map<String, Value> {
    let mut fields = Map::from_iter([
        ("name".to_owned(), Value::from(schema.name.as_str())),
        ("schema".to_owned(), schema.schema.clone()),
        // Vendors differ in what its absence means.
        ("strict".to_owned(), schema.is_strict.into()),
    ]);
    if !schema.description.is_empty() {
        fields.insert("description".to_owned(), schema.description.as_str().into());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, test_support as catalog};

    fn model(kind: Kind, name: &str) -> Model {
        Model {
            model: name.to_owned(),
            ..catalog::model(kind, json!({}))
        }
    }

    fn schema() -> OutputFormat {
        OutputFormat::Schema(OutputSchema {
            name: "weather".to_owned(),
            description: "Of a city.".to_owned(),
            schema: json!({"type": "object"}),
            is_strict: true,
        })
    }

    #[test]
    fn a_form_is_refused_where_nobody_would_enforce_it() {
        for (kind, name, by_schema, as_json) in [
            (Kind::OpenAi, "gpt-5.2", None, None),
            (Kind::OpenAiCompat, "any", None, None),
            (Kind::Anthropic, "claude-sonnet-4-5", None, Some(SCHEMA_ONLY)),
            (Kind::Anthropic, "claude-opus-4-1", Some(BY_TOOL), Some(BY_TOOL)),
            (
                Kind::Bedrock,
                "anthropic.claude-sonnet-4-5",
                Some(BY_TOOL),
                Some(BY_TOOL),
            ),
            (Kind::Google, "gemini-2.5-flash", None, None),
            (Kind::Demo, "demo", Some(DEMO), Some(DEMO)),
        ] {
            let model = model(kind, name);
            assert_eq!(refused(&schema(), &model, false), by_schema, "{name}");
            assert_eq!(refused(&OutputFormat::Json, &model, false), as_json, "{name}");
        }
        let gemini = |name| refused(&schema(), &model(Kind::Google, name), true);
        assert_eq!(gemini("gemini-2.5-flash"), Some(BESIDE_TOOLS));
        assert_eq!(gemini("gemini-3-pro-preview"), None);
    }

    #[test]
    fn both_protocols_write_it_in_their_place() {
        let expected =
            json!({"name": "weather", "description": "Of a city.", "schema": {"type": "object"}, "strict": true});
        let written = chat_completions(&schema());
        assert_eq!(written, json!({"type": "json_schema", "json_schema": expected}));
        let mut flat = expected;
        flat["type"] = "json_schema".into();
        assert_eq!(responses(&schema()), flat);
        for written in [chat_completions(&OutputFormat::Json), responses(&OutputFormat::Json)] {
            assert_eq!(written, json!({"type": "json_object"}));
        }
    }
}
