//! The form of an answer: who keeps a model to it, and how the OpenAI protocols write it.
//!
//! Owns refusals, since a form that nobody keeps a model to is worse than none: programs parse what they get. Where no vendor enforces it,
//! [`crate::by_tool`] asks for it by a tool.

use serde_json::{Map, Value, json};

use super::{Protocol, anthropic, bedrock, by_tool, google};
use crate::{
    Model,
    call::{OutputFormat, OutputSchema},
};

const SCHEMA_ONLY: &str = "This model's provider enforces a schema only. Send the schema that the JSON must have.";
const NOBODY: &str = "This model's provider neither enforces the form of answers nor lets the model be made to call a tool. Ask another model for it.";
const OBJECTS_ONLY: &str = "This model is held to a form as the input of a tool, which is an object: at its top the schema must have the type object and none of anyOf, oneOf, allOf, $ref, enum and const. Put the value into a field of an object.";
const THINKING: &str = "This model cannot think while it is held to a form. Leave out what asks for thinking (effort, thinking), or the form of the answer.";
const SEARCHING: &str =
    "This model cannot search the web while it is held to a form. Leave out the search, or the form of the answer.";
const KEPT: &str = "This model's provider does not enforce the form of answers while tools are on offer, and the model answers behind a prefix with tools of its own. Leave the tools out.";
const DEMO: &str = "The demo model says what it says. Leave the form of the answer out.";

/// What else a request asks for that is to be answered in a form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Tools are on offer.
    pub has_tools: bool,
    /// Whoever asks wants the model to think. What an administrator has set for it gives way to the form.
    pub thinks: bool,
    /// Whoever asks wants the vendor's search. What an administrator has set gives way as well.
    pub searches: bool,
}

/// Who keeps a model to a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The vendor, in its protocol's own words.
    Vendor,
    /// Nobody but a tool whose input is the form: [`by_tool`].
    Tool,
    /// Nobody, and why, as sentences.
    Nobody(&'static str),
}

/// Why a model cannot be held to a form of its answers, as sentences; `None` where it can.
pub fn refused(format: &OutputFormat, model: &Model, beside: Beside) -> Option<&'static str> {
    let protocol = Protocol::of(model);
    match keeper(protocol, format, model, beside.has_tools) {
        Keeper::Vendor => None,
        Keeper::Nobody(why) => Some(why),
        Keeper::Tool => {
            // These models do not think where they must call something, and would have to search before they call.
            let is_claude = matches!(protocol, Protocol::Messages | Protocol::Bedrock);
            if is_claude && beside.thinks && anthropic::thinks(&model.model) {
                Some(THINKING)
            } else {
                (is_claude && beside.searches).then_some(SEARCHING)
            }
        }
    }
}

/// Who keeps a model to a form where it is asked by that protocol.
pub(crate) fn keeper(protocol: Protocol, format: &OutputFormat, model: &Model, has_tools: bool) -> Keeper {
    let name = model.model.as_str();
    let (is_schema, by_tool) = match format {
        OutputFormat::Json => (false, Keeper::Tool),
        OutputFormat::Schema(wanted) if by_tool::is_input(&wanted.schema) => (true, Keeper::Tool),
        OutputFormat::Schema(_) => (true, Keeper::Nobody(OBJECTS_ONLY)),
    };
    match protocol {
        Protocol::ChatCompletions | Protocol::Responses => Keeper::Vendor,
        Protocol::Messages if is_schema && anthropic::enforces_schemas(name) => Keeper::Vendor,
        Protocol::Messages if anthropic::can_be_made_to_call(name) => by_tool,
        Protocol::Messages => Keeper::Nobody(SCHEMA_ONLY),
        Protocol::Bedrock if bedrock::address::is_compatible(&model.provider.base_url) => Keeper::Vendor,
        Protocol::Bedrock if is_schema && bedrock::enforces_schemas(name) => Keeper::Vendor,
        Protocol::Bedrock if anthropic::can_be_made_to_call(name) => by_tool,
        Protocol::Bedrock => Keeper::Nobody(NOBODY),
        Protocol::Gemini if !has_tools || google::is_third(name) => Keeper::Vendor,
        Protocol::Gemini if google::has_kept_prefix(model) => Keeper::Nobody(KEPT),
        Protocol::Gemini => by_tool,
        Protocol::Demo => Keeper::Nobody(DEMO),
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
        of(json!({"type": "object"}))
    }

    fn of(schema: Value) -> OutputFormat {
        OutputFormat::Schema(OutputSchema {
            name: "weather".to_owned(),
            description: "Of a city.".to_owned(),
            schema,
            is_strict: true,
        })
    }

    fn kept(format: &OutputFormat, model: &Model, has_tools: bool) -> Keeper {
        keeper(Protocol::of(model), format, model, has_tools)
    }

    #[test]
    fn each_model_is_kept_to_a_form_by_whoever_can() {
        const SONNET: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let (vendor, tool) = (Keeper::Vendor, Keeper::Tool);
        for (kind, name, by_schema, as_json) in [
            (Kind::OpenAi, "gpt-5.2", vendor, vendor),
            (Kind::OpenAiCompat, "any", vendor, vendor),
            (Kind::Anthropic, "claude-sonnet-4-5", vendor, tool),
            (Kind::Anthropic, "claude-sonnet-5", vendor, tool),
            (
                Kind::Anthropic,
                "claude-sonnet-5-5",
                vendor,
                Keeper::Nobody(SCHEMA_ONLY),
            ),
            (Kind::Anthropic, "claude-opus-4-1", tool, tool),
            (Kind::Bedrock, SONNET, vendor, tool),
            (Kind::Bedrock, "anthropic.claude-opus-4-6-v1", vendor, tool),
            (Kind::Bedrock, "anthropic.claude-haiku-4-5-20251001-v1:0", tool, tool),
            (Kind::Bedrock, "anthropic.claude-opus-4-1-20250805-v1:0", tool, tool),
            (Kind::Bedrock, "anthropic.claude-opus-4-7", tool, tool),
            (
                Kind::Bedrock,
                "anthropic.claude-fable-5-1",
                Keeper::Nobody(NOBODY),
                Keeper::Nobody(NOBODY),
            ),
            (Kind::Google, "gemini-2.5-flash", vendor, vendor),
            (Kind::Demo, "demo", Keeper::Nobody(DEMO), Keeper::Nobody(DEMO)),
        ] {
            let model = model(kind, name);
            assert_eq!(kept(&schema(), &model, false), by_schema, "{name}");
            assert_eq!(kept(&OutputFormat::Json, &model, false), as_json, "{name}");
        }
        let gemini = |name| kept(&schema(), &model(Kind::Google, name), true);
        assert_eq!(
            (gemini("gemini-2.5-flash"), gemini("gemini-3-pro-preview")),
            (tool, vendor)
        );
        let mut compatible = model(Kind::Bedrock, "openai.gpt-oss-120b");
        let mut provider = crate::Provider::clone(&compatible.provider);
        provider.base_url = "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1"
            .parse()
            .unwrap();
        compatible.provider = provider.into();
        assert_eq!(
            kept(&OutputFormat::Json, &compatible, true),
            vendor,
            "in that protocol's words"
        );
    }

    #[test]
    fn a_form_is_refused_where_nobody_would_keep_the_model_to_it() {
        let beside = |thinks, searches| Beside {
            thinks,
            searches,
            ..Beside::default()
        };
        for (kind, name, wants, why) in [
            (Kind::Anthropic, "claude-opus-4-1", beside(false, false), None),
            (Kind::Anthropic, "claude-opus-4-1", beside(true, false), Some(THINKING)),
            (Kind::Anthropic, "claude-3-5-haiku-latest", beside(true, false), None),
            (Kind::Anthropic, "claude-opus-4-1", beside(false, true), Some(SEARCHING)),
            (Kind::Anthropic, "claude-sonnet-4-5", beside(true, true), None),
            (
                Kind::Bedrock,
                "anthropic.claude-opus-4-7",
                beside(true, false),
                Some(THINKING),
            ),
            (Kind::Google, "gemini-2.5-flash", beside(true, true), None),
            (Kind::Demo, "demo", beside(false, false), Some(DEMO)),
        ] {
            assert_eq!(refused(&schema(), &model(kind, name), wants), why, "{name} {wants:?}");
        }
        let has_tools = Beside {
            has_tools: true,
            ..Beside::default()
        };
        let options = json!({"provider_options": {"google": {"cached_content": "cachedContents/1"}}});
        let kept = Model {
            model: "gemini-2.5-flash".to_owned(),
            ..catalog::model(Kind::Google, options)
        };
        assert_eq!(refused(&schema(), &kept, has_tools), Some(KEPT));
        assert_eq!(refused(&schema(), &kept, Beside::default()), None);
    }

    #[test]
    fn what_is_no_object_is_refused_where_a_tool_takes_the_answer() {
        let list = of(json!({"type": "array", "items": {"type": "string"}}));
        for (kind, name, why) in [
            (Kind::Anthropic, "claude-opus-4-1", Some(OBJECTS_ONLY)),
            (Kind::Anthropic, "claude-sonnet-4-5", None),
            (Kind::OpenAi, "gpt-5.2", None),
        ] {
            assert_eq!(refused(&list, &model(kind, name), Beside::default()), why, "{name}");
        }
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
