use super::*;
use crate::{Kind, test_support};

fn model(name: &str, options: Value) -> Model {
    Model {
        model: name.to_owned(),
        ..test_support::model(Kind::OpenAi, options)
    }
}

fn own(own: Value) -> Value {
    json!({ "provider_options": { "openai": own } })
}

fn sent(name: &str, options: Value) -> Value {
    let settings = Settings::read(&model(name, options), None).unwrap();
    Value::Object(settings.into_fields(true, false))
}

fn refused(options: Value) -> String {
    Settings::read(&model("gpt-5", options), None).unwrap_err().to_string()
}

fn everything() -> Value {
    json!({
        "temperature": 0.2, "top_p": 0.9, "top_k": 40, "presence_penalty": 0.1, "max_output_tokens": 100,
        "provider_options": {
            "openai": {
                "include": ["file_search_call.results"], "instructions": "Be terse.", "logit_bias": {"1": 2}, "log_probs": true,
                "top_log_probs": 3, "max_tool_calls": 5, "max_completion_tokens": 200, "parallel_tool_calls": false, "user": "u",
                "metadata": {"team": "a"}, "prompt_cache_key": "k", "safety_identifier": "s", "service_tier": "Flex",
                "store": false, "reasoning_effort": " HIGH ", "reasoning_summary": "auto", "text_verbosity": "low",
                "prediction": {}, "structured_outputs": true, "strict_json_schema": true, "web_search_enabled": true,
                "search_context_size": "low", "allowed_domains": ["a.org", " "], "wire_api": "responses",
            },
            "anthropic": {"effort": 7},
        },
    })
}

#[test]
fn each_model_gets_the_fields_it_takes() {
    insta::assert_json_snapshot!("fields_of_a_model_that_reasons", sent("gpt-5.2", everything()));
    insta::assert_json_snapshot!("fields_of_a_model_that_does_not", sent("gpt-4o", everything()));
    let settings = Settings::read(&model("gpt-5.2", everything()), None).unwrap();
    assert!(settings.reasons && settings.is_strict && !settings.stores);
    let expected = WebSearch {
        search_context_size: Some("low"),
        filters: Some(Filters {
            allowed_domains: vec!["a.org".to_owned()],
        }),
    };
    assert_eq!(settings.web_search, Some(expected));
}

#[test]
fn without_options_there_is_nothing_but_what_makes_reasoning_last() {
    assert_eq!(
        sent("o4-mini", json!({})),
        json!({"include": ["reasoning.encrypted_content"]})
    );
    assert_eq!(sent("gpt-4o", json!({})), json!({}));
    assert_eq!(sent("my-deployment", json!({})), json!({}));
    let told = own(json!({"reasoning_effort": "low"}));
    assert_eq!(
        sent("my-deployment", told),
        json!({"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}})
    );
    assert!(Settings::read(&model("gpt-5", json!({})), None).unwrap().stores);
}

#[test]
fn a_model_that_shall_not_reason_takes_a_temperature() {
    let options =
        |effort: &str| json!({"temperature": 0.5, "provider_options": {"openai": {"reasoning_effort": effort}}});
    assert_eq!(sent("gpt-5.1", options("none"))["temperature"], json!(0.5));
    assert_eq!(sent("gpt-5.1", options("low"))["temperature"], Value::Null);
}

#[test]
fn the_callers_limit_wins_over_the_vendors_name_over_the_general_one_down_to_the_least() {
    let options = json!({"max_output_tokens": 50, "provider_options": {"openai": {"max_completion_tokens": 60}}});
    let limit = |options: &Value, asked| {
        let settings = Settings::read(&model("gpt-5", options.clone()), asked).unwrap();
        settings.into_fields(false, false)["max_output_tokens"].clone()
    };
    assert_eq!(limit(&options, Some(70)), json!(70));
    assert_eq!(limit(&options, Some(1)), json!(16));
    assert_eq!(limit(&options, None), json!(60));
    assert_eq!(limit(&json!({"max_output_tokens": 50}), None), json!(50));
}

#[test]
fn settings_of_tools_go_with_tools_and_sources_with_searches() {
    let settings = || Settings::read(&model("gpt-5", everything()), None).unwrap();
    let without = settings().into_fields(false, false);
    assert!(!without.contains_key("parallel_tool_calls") && !without.contains_key("max_tool_calls"));
    let searching = settings().into_fields(true, true);
    let include = searching["include"].as_array().unwrap();
    assert!(
        include.contains(&json!("web_search_call.action.sources")),
        "{include:?}"
    );
}

#[test]
fn an_option_that_cannot_be_sent_is_named() {
    let path = "the model's option provider_options.openai.";
    for (wrong, expected) in [
        (json!({"store": "yes"}), "store must be true or false"),
        (
            json!({"service_tier": "gold"}),
            "service_tier must be auto, default, flex, scale or priority",
        ),
        (
            json!({"reasoning_effort": "huge"}),
            "reasoning_effort must be none, minimal, low, medium, high or xhigh",
        ),
        (
            json!({"reasoning_summary": "long"}),
            "reasoning_summary must be auto, concise or detailed",
        ),
        (json!({"text_verbosity": 3}), "text_verbosity must be text"),
        (
            json!({"search_context_size": "all"}),
            "search_context_size must be low, medium or high",
        ),
        (
            json!({"wire_api": "soap"}),
            "wire_api must be responses or chat_completions",
        ),
        (
            json!({"include": ["everything"]}),
            "include must be a list of what the vendor can include",
        ),
        (
            json!({"metadata": {"a": 1}}),
            "metadata must be an object of at most 16 texts",
        ),
        (
            json!({"top_log_probs": 21}),
            "top_log_probs must be a whole number from 0 to 20",
        ),
        (
            json!({"top_log_probs": -1}),
            "top_log_probs must be a whole number from 0 to 20",
        ),
        (json!({"logit_bias": []}), "logit_bias must be an object"),
        (json!({"prediction": "x"}), "prediction must be an object"),
        (
            json!({"structured_outputs": 1}),
            "structured_outputs must be true or false",
        ),
        (
            json!({"allowed_domains": vec!["a.org"; 101]}),
            "allowed_domains must be a list of at most 100 domains",
        ),
    ] {
        assert_eq!(refused(own(wrong)), format!("{path}{expected}"));
    }
    assert_eq!(
        refused(json!({"temperature": "hot"})),
        "the model's option temperature must be a number"
    );
}
