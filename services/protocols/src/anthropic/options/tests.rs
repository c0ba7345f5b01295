use serde_json::json;

use super::*;
use crate::{Kind, test_support};

fn read(model: &str, options: Value, asked: Option<u32>) -> Result<Settings, InvalidOption> {
    let model = Model {
        model: model.to_owned(),
        context_limit: Some(200_000),
        ..test_support::model(Kind::Anthropic, options)
    };
    Settings::read(&model, asked)
}

fn own(value: Value) -> Value {
    json!({"provider_options": {"anthropic": value, "openai": {"reasoning_effort": 7}}})
}

fn thinking(model: &str, value: Value, asked: Option<u32>) -> (Value, Option<&'static str>, u64) {
    let settings = read(model, own(value), asked).unwrap();
    let thinking = serde_json::to_value(settings.thinking).unwrap();
    (thinking, settings.effort, settings.max_tokens)
}

#[test]
fn effort_becomes_a_budget_for_models_that_know_no_effort() {
    for (effort, budget) in [("low", 6400), ("Medium", 16_000), ("high", 25_600), ("max", 30_400)] {
        let expected = (json!({"type": "enabled", "budget_tokens": budget}), None, 32_000);
        assert_eq!(thinking("claude-sonnet-4-5", json!({"effort": effort}), None), expected);
    }
    let nothing = thinking("claude-3-5-sonnet-latest", json!({"effort": "high"}), None);
    assert_eq!(nothing, (Value::Null, None, 8192));
}

#[test]
fn newer_models_get_the_effort_itself() {
    let asked = |model| thinking(model, json!({"effort": "xhigh"}), None);
    assert_eq!(
        asked("claude-opus-4-6"),
        (json!({"type": "adaptive"}), Some("high"), 32_000)
    );
    let shown = json!({"type": "adaptive", "display": "summarized"});
    assert_eq!(asked("claude-opus-4-7"), (shown.clone(), Some("xhigh"), 32_000));
    let budget = json!({"thinking": {"budget_tokens": 2000}});
    assert_eq!(thinking("claude-opus-4-7", budget.clone(), None), (shown, None, 32_000));
    let enabled = json!({"type": "enabled", "budget_tokens": 2000});
    assert_eq!(thinking("claude-opus-4-6", budget, None), (enabled, None, 32_000));
}

#[test]
fn a_budget_leaves_room_for_the_answer_or_is_given_up() {
    let budget = json!({"thinking": {"budget_tokens": 30_000}});
    let enabled = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let asked = |limit| thinking("claude-opus-4-1", budget.clone(), limit);
    assert_eq!(asked(None), (enabled(30_000), None, 34_096));
    assert_eq!(asked(Some(2000)), (enabled(1999), None, 2000));
    assert_eq!(asked(Some(1024)), (Value::Null, None, 1024));
    let effort = thinking("claude-opus-4-6", json!({"effort": "low"}), Some(512));
    assert_eq!(effort, (Value::Null, Some("low"), 512), "a title needs no thinking");
}

#[test]
fn the_callers_limit_wins_over_the_configured_over_the_models() {
    let limit = |options: Value, asked| read("claude-opus-4-1", options, asked).unwrap().max_tokens;
    assert_eq!(limit(json!({}), None), 32_000);
    assert_eq!(limit(json!({"max_output_tokens": 100}), None), 100);
    assert_eq!(limit(json!({"max_output_tokens": 100}), Some(7)), 7);
    let small = Model {
        context_limit: Some(1000),
        ..test_support::model(Kind::Anthropic, json!({}))
    };
    assert_eq!(Settings::read(&small, None).unwrap().max_tokens, 250);
}

#[test]
fn sampling_gives_way_to_thinking() {
    let sampling = |model: &str, top_p: f64, own: Value| {
        let options = json!({
            "temperature": 0.3, "top_p": top_p, "top_k": 5, "presence_penalty": 1.0,
            "provider_options": {"anthropic": own},
        });
        Value::Object(read(model, options, None).unwrap().sampling())
    };
    let thinking = || json!({"effort": "high"});
    assert_eq!(
        sampling("claude-opus-4-1", 0.5, json!({})),
        json!({"temperature": 0.3, "top_k": 5})
    );
    assert_eq!(sampling("claude-opus-4-1", 0.5, thinking()), json!({}));
    assert_eq!(sampling("claude-opus-4-1", 0.97, thinking()), json!({"top_p": 0.97}));
    assert_eq!(sampling("claude-opus-4-7", 0.97, json!({})), json!({}));
}

#[test]
fn the_vendors_search_takes_one_list_of_domains() {
    let search = |value| read("claude-opus-4-1", own(value), None).unwrap().web_search;
    assert_eq!(search(json!({"allowed_domains": ["a.org"]})), None);
    let found =
        search(json!({"web_search_enabled": true, "allowed_domains": ["a.org", " "], "blocked_domains": ["b.org"]}));
    assert_eq!(
        serde_json::to_value(found).unwrap(),
        json!({"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.org"]})
    );
}

#[test]
fn an_option_of_the_wrong_type_is_named() {
    for (value, text) in [
        (
            json!({"effort": "huge"}),
            "the model's option provider_options.anthropic.effort must be low, medium, high, xhigh or max",
        ),
        (
            json!({"thinking": {"budget_tokens": "many"}}),
            "the model's option provider_options.anthropic.thinking.budget_tokens must be a whole number",
        ),
        (
            json!({"allowed_domains": "a.org"}),
            "the model's option provider_options.anthropic.allowed_domains must be a list of texts",
        ),
    ] {
        let error = read("claude-opus-4-1", own(value), None).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}
