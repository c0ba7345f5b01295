//! What an administrator set for a model, as fields of a Chat Completions request.
//!
//! Fields of other protocols (Responses, web search) are passed over; a field of the wrong type is an error that names it.

use serde_json::{Map, Value};

use crate::provider::{
    Kind,
    options::{Field, InvalidOption, Shape, copy, own},
};

const GENERAL: [Field; 4] = [
    ("temperature", "temperature", Shape::Number),
    ("top_p", "top_p", Shape::Number),
    ("presence_penalty", "presence_penalty", Shape::Number),
    ("frequency_penalty", "frequency_penalty", Shape::Number),
];

const TOP_K: Field = ("top_k", "top_k", Shape::Integer);

const OPENAI: [Field; 14] = [
    ("logit_bias", "logit_bias", Shape::Object),
    ("log_probs", "logprobs", Shape::Boolean),
    ("top_log_probs", "top_logprobs", Shape::Integer),
    ("parallel_tool_calls", "parallel_tool_calls", Shape::Boolean),
    ("user", "user", Shape::Text),
    ("reasoning_effort", "reasoning_effort", Shape::Text),
    ("text_verbosity", "verbosity", Shape::Text),
    ("prediction", "prediction", Shape::Object),
    ("store", "store", Shape::Boolean),
    ("metadata", "metadata", Shape::Object),
    ("prompt_cache_key", "prompt_cache_key", Shape::Text),
    ("safety_identifier", "safety_identifier", Shape::Text),
    ("service_tier", "service_tier", Shape::Text),
    ("max_completion_tokens", "max_completion_tokens", Shape::Integer),
];

const OPENAI_COMPAT: [Field; 2] = [
    ("user", "user", Shape::Text),
    ("reasoning_effort", "reasoning_effort", Shape::Text),
];

const OPENROUTER: [Field; 6] = [
    ("reasoning", "reasoning", Shape::Object),
    ("provider", "provider", Shape::Object),
    ("logit_bias", "logit_bias", Shape::Object),
    ("log_probs", "logprobs", Shape::Boolean),
    ("parallel_tool_calls", "parallel_tool_calls", Shape::Boolean),
    ("user", "user", Shape::Text),
];

const VERCEL: [Field; 7] = [
    ("reasoning", "reasoning", Shape::Object),
    ("providerOptions", "providerOptions", Shape::Object),
    ("logit_bias", "logit_bias", Shape::Object),
    ("logprobs", "logprobs", Shape::Boolean),
    ("top_logprobs", "top_logprobs", Shape::Integer),
    ("parallel_tool_calls", "parallel_tool_calls", Shape::Boolean),
    ("user", "user", Shape::Text),
];

/// Fields the vendor accepts only when tools are on offer.
const ONLY_WITH_TOOLS: [&str; 1] = ["parallel_tool_calls"];

/// The request's optional fields, sorted by name.
///
/// * `options`: the model's call options, as the REST API shows them.
/// * `asked_tokens`: the caller's own output limit; wins over the configured one.
///
/// # Errors
/// [`InvalidOption`] names the first option of the wrong type.
pub(super) fn fields(
    kind: Kind,
    options: &Map<String, Value>,
    asked_tokens: Option<u32>,
    has_tools: bool,
) -> Result<Map<String, Value>, InvalidOption> {
    let mut fields = Map::new();
    copy(options, "", &GENERAL, &mut fields)?;
    if kind != Kind::OpenAi {
        copy(options, "", &[TOP_K], &mut fields)?;
    }
    let (name, known): (_, &[Field]) = match kind {
        Kind::OpenAi => ("openai", &OPENAI),
        Kind::OpenRouter => ("openrouter", &OPENROUTER),
        Kind::Vercel => ("vercel", &VERCEL),
        Kind::OpenAiCompat | Kind::Anthropic | Kind::Azure | Kind::Bedrock | Kind::Google | Kind::Demo => {
            ("openaicompat", &OPENAI_COMPAT)
        }
    };
    if let Some(own) = own(options, name) {
        copy(own, &format!("provider_options.{name}."), known, &mut fields)?;
    }
    if let Some(Value::String(tier)) = fields.get_mut("service_tier") {
        tier.make_ascii_lowercase();
    }
    if !has_tools {
        for name in ONLY_WITH_TOOLS {
            fields.remove(name);
        }
    }
    limit_output(kind, options, asked_tokens, &mut fields)?;
    fields.sort_keys();
    Ok(fields)
}

/// OpenAI's newer models refuse `max_tokens`, most other servers know nothing else.
fn limit_output(
    kind: Kind,
    options: &Map<String, Value>,
    asked_tokens: Option<u32>,
    fields: &mut Map<String, Value>,
) -> Result<(), InvalidOption> {
    let field = match kind {
        Kind::OpenAi => "max_completion_tokens",
        _ => "max_tokens",
    };
    let known = [("max_output_tokens", field, Shape::Integer)];
    let mut limit = Map::new();
    copy(options, "", &known, &mut limit)?;
    // The vendor's own name for it is the more specific setting.
    for (name, value) in limit {
        fields.entry(name).or_insert(value);
    }
    if let Some(asked) = asked_tokens {
        fields.insert(field.to_owned(), asked.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn sent(kind: Kind, value: Value) -> Value {
        Value::Object(fields(kind, &options(value), None, true).unwrap())
    }

    #[test]
    fn each_kind_gets_its_own_fields() {
        let value = json!({
            "max_output_tokens": 100, "temperature": 0.2, "top_p": 0.9, "top_k": 40, "presence_penalty": null,
            "provider_options": {
                "openai": {"reasoning_effort": "low", "service_tier": "Flex", "text_verbosity": "high", "log_probs": true,
                           "include": ["x"], "web_search_enabled": true},
                "openaicompat": {"user": "u"},
                "openrouter": {"reasoning": {"effort": "low"}},
                "anthropic": {"effort": "max"},
            },
        });
        assert_eq!(
            sent(Kind::OpenAi, value.clone()),
            json!({"logprobs": true, "max_completion_tokens": 100, "reasoning_effort": "low", "service_tier": "flex",
                   "temperature": 0.2, "top_p": 0.9, "verbosity": "high"})
        );
        assert_eq!(
            sent(Kind::OpenAiCompat, value.clone()),
            json!({"max_tokens": 100, "temperature": 0.2, "top_k": 40, "top_p": 0.9, "user": "u"})
        );
        assert_eq!(
            sent(Kind::OpenRouter, value),
            json!({"max_tokens": 100, "reasoning": {"effort": "low"}, "temperature": 0.2, "top_k": 40, "top_p": 0.9})
        );
    }

    #[test]
    fn the_callers_limit_wins_over_the_vendors_name_over_the_general_one() {
        let value =
            options(json!({"max_output_tokens": 1, "provider_options": {"openai": {"max_completion_tokens": 2}}}));
        let limit = |asked| fields(Kind::OpenAi, &value, asked, false).unwrap()["max_completion_tokens"].clone();
        assert_eq!(limit(None), json!(2));
        assert_eq!(limit(Some(3)), json!(3));
    }

    #[test]
    fn parallel_calls_are_a_matter_of_tools() {
        let value = options(json!({"provider_options": {"openai": {"parallel_tool_calls": false}}}));
        assert!(fields(Kind::OpenAi, &value, None, false).unwrap().is_empty());
        assert_eq!(fields(Kind::OpenAi, &value, None, true).unwrap().len(), 1);
    }

    #[test]
    fn an_option_of_the_wrong_type_is_named() {
        let value = options(json!({"provider_options": {"openai": {"store": "yes"}}}));
        let error = fields(Kind::OpenAi, &value, None, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model's option provider_options.openai.store must be true or false"
        );
    }
}
