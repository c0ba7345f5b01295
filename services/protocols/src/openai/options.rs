//! What an administrator set for a model, as fields of a Chat Completions request.
//!
//! Fields of other protocols (Responses, web search) are passed over; a field of the wrong type is an error that names it.

use serde_json::{Map, Value, json};

use crate::{
    Kind,
    options::{Field, InvalidOption, Shape, checked, copy, own},
};

const GENERAL: [Field; 5] = [
    ("temperature", "temperature", Shape::Number),
    ("top_p", "top_p", Shape::Number),
    ("presence_penalty", "presence_penalty", Shape::Number),
    ("frequency_penalty", "frequency_penalty", Shape::Number),
    ("stop_sequences", "stop", Shape::Texts),
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

const OPENAI_COMPAT: [Field; 3] = [
    ("parallel_tool_calls", "parallel_tool_calls", Shape::Boolean),
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

/// The log options have two names, of which dialogs have used both.
const VERCEL: [Field; 8] = [
    ("reasoning", "reasoning", Shape::Object),
    ("logit_bias", "logit_bias", Shape::Object),
    ("logprobs", "logprobs", Shape::Boolean),
    ("log_probs", "logprobs", Shape::Boolean),
    ("top_logprobs", "top_logprobs", Shape::Integer),
    ("top_log_probs", "top_logprobs", Shape::Integer),
    ("parallel_tool_calls", "parallel_tool_calls", Shape::Boolean),
    ("user", "user", Shape::Text),
];

/// How Vercel's gateway chooses among vendors.
const VERCEL_ROUTING: [Field; 2] = [("order", "order", Shape::Texts), ("models", "models", Shape::Texts)];

/// Fields that are written elsewhere, which nothing an administrator adds takes the place of.
const WRITTEN: [&str; 6] = ["model", "messages", "tools", "tool_choice", "stream", "stream_options"];

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
    if !matches!(kind, Kind::OpenAi | Kind::Azure) {
        copy(options, "", &[TOP_K], &mut fields)?;
    }
    let (name, known): (_, &[Field]) = match kind {
        Kind::OpenAi | Kind::Azure => ("openai", &OPENAI),
        Kind::OpenRouter => ("openrouter", &OPENROUTER),
        Kind::Vercel => ("vercel", &VERCEL),
        Kind::OpenAiCompat | Kind::Copilot | Kind::Anthropic | Kind::Bedrock | Kind::Google | Kind::Demo => {
            ("openaicompat", &OPENAI_COMPAT)
        }
    };
    if let Some(own) = own(options, name) {
        let path = format!("provider_options.{name}.");
        copy(own, &path, known, &mut fields)?;
        match kind {
            Kind::OpenRouter => open_router(own, &path, &mut fields)?,
            Kind::Vercel => vercel(own, &path, &mut fields)?,
            _ => {}
        }
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

/// What the request is to report of its costs, and whatever else the administrator wants said.
fn open_router(own: &Map<String, Value>, path: &str, fields: &mut Map<String, Value>) -> Result<(), InvalidOption> {
    let includes = checked(own, path, "include_usage", Shape::Boolean)?.and_then(Value::as_bool);
    if let Some(includes) = includes {
        fields.insert("usage".to_owned(), json!({ "include": includes }));
    }
    extra(own, path, fields)
}

/// Which vendors the gateway asks. What was set for it in its own words stays beside that.
fn vercel(own: &Map<String, Value>, path: &str, fields: &mut Map<String, Value>) -> Result<(), InvalidOption> {
    let (mut vendors, mut gateway) = (Map::new(), Map::new());
    for name in ["providerOptions", "provider_options"] {
        let set = checked(own, path, name, Shape::Object)?.and_then(Value::as_object);
        for (name, value) in set.into_iter().flatten() {
            vendors.insert(name.clone(), value.clone());
        }
        if let Some(routing) = set {
            copy(routing, &format!("{path}{name}."), &VERCEL_ROUTING, &mut gateway)?;
        }
    }
    vendors.retain(|name, _| !VERCEL_ROUTING.iter().any(|(option, ..)| option == name));
    if !gateway.is_empty() {
        match vendors.get_mut("gateway").and_then(Value::as_object_mut) {
            Some(known) => known.extend(gateway),
            None => {
                vendors.insert("gateway".to_owned(), Value::Object(gateway));
            }
        }
    }
    if !vendors.is_empty() {
        fields.insert("providerOptions".to_owned(), Value::Object(vendors));
    }
    extra(own, path, fields)
}

/// Fields this version does not know. They take no other's place.
fn extra(own: &Map<String, Value>, path: &str, fields: &mut Map<String, Value>) -> Result<(), InvalidOption> {
    let extra = checked(own, path, "extra_body", Shape::Object)?.and_then(Value::as_object);
    for (name, value) in extra.into_iter().flatten() {
        if !WRITTEN.contains(&name.as_str()) {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(())
}

/// OpenAI's newer models refuse `max_tokens`, most other servers know nothing else.
fn limit_output(
    kind: Kind,
    options: &Map<String, Value>,
    asked_tokens: Option<u32>,
    fields: &mut Map<String, Value>,
) -> Result<(), InvalidOption> {
    let field = match kind {
        Kind::OpenAi | Kind::Azure => "max_completion_tokens",
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
        assert_eq!(sent(Kind::Azure, value.clone()), sent(Kind::OpenAi, value.clone()));
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
    fn gateways_in_front_of_many_vendors_are_told_how_to_choose() {
        let own = json!({
            "reasoning": {"enabled": true, "max_tokens": 2000, "exclude": false, "effort": "high"},
            "provider": {"order": ["anthropic"], "allow_fallbacks": false, "sort": "price"},
            "include_usage": true, "log_probs": true, "user": "u", "logit_bias": {"1": 2},
            "extra_body": {"transforms": ["middle-out"], "messages": [], "stream": false, "user": "other", "max_tokens": 1},
        });
        let value = json!({"max_output_tokens": 9, "provider_options": {"openrouter": own, "vercel": own}});
        let sent = sent(Kind::OpenRouter, value);
        assert_eq!(
            sent,
            json!({"logit_bias": {"1": 2}, "logprobs": true, "max_tokens": 1, "provider": own["provider"],
                   "reasoning": own["reasoning"], "transforms": ["middle-out"], "usage": {"include": true}, "user": "u"})
        );
    }

    #[test]
    fn vercels_routing_is_put_beside_what_was_set_in_its_own_words() {
        let vercel = |own: Value| sent(Kind::Vercel, json!({"provider_options": {"vercel": own}}));
        let gateway = json!({"order": ["bedrock", "anthropic"], "models": ["a/b"]});
        let routing = gateway.clone();
        assert_eq!(
            vercel(json!({"provider_options": routing, "top_log_probs": 3, "extra_body": {"x": 1}})),
            json!({"providerOptions": {"gateway": gateway}, "top_logprobs": 3, "x": 1})
        );
        assert_eq!(
            vercel(json!({"providerOptions": routing})),
            json!({"providerOptions": {"gateway": gateway}}),
            "its other name"
        );
        let both = json!({"provider_options": routing, "providerOptions": {"gateway": {"only": ["x"]}, "openai": {}}});
        let expected = json!({"only": ["x"], "order": ["bedrock", "anthropic"], "models": ["a/b"]});
        assert_eq!(
            vercel(both)["providerOptions"],
            json!({"gateway": expected, "openai": {}})
        );
        let wrong = options(json!({"provider_options": {"vercel": {"provider_options": {"order": "x"}}}}));
        let error = fields(Kind::Vercel, &wrong, None, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model's option provider_options.vercel.provider_options.order must be a list of texts"
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
