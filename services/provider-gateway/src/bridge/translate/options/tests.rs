use tandem_protocols::vendor_side;

use super::*;

use crate::bridge::{dialect::Dialect, translate::read};

fn model(kind: Kind, name: &str, options: Value) -> Model {
    Model {
        model: name.to_owned(),
        ..vendor_side::model(kind, options)
    }
}

fn asked(dialect: Dialect, mut body: Value) -> Asked {
    body["model"] = json!("m");
    let spoken = json!([{"role": "user", "content": "Hi"}]);
    body[if dialect == Dialect::Responses {
        "input"
    } else {
        "messages"
    }] = spoken;
    read(dialect, body.to_string().as_bytes()).unwrap()
}

fn options(kind: Kind, dialect: Dialect, body: Value) -> Value {
    Value::Object(asked(dialect, body).options(&model(kind, "m", json!({}))).unwrap())
}

fn refused(kind: Kind, dialect: Dialect, body: Value) -> String {
    asked(dialect, body)
        .options(&model(kind, "m", json!({})))
        .unwrap_err()
        .field
}

#[test]
fn an_effort_is_said_in_each_vendors_words() {
    let effort = |kind: Kind, word: &str| {
        let options = options(kind, Dialect::ChatCompletions, json!({ "reasoning_effort": word }));
        options["provider_options"].clone()
    };
    for (kind, word, expected) in [
        (Kind::OpenAi, "low", json!({"openai": {"reasoning_effort": "low"}})),
        (Kind::Azure, "max", json!({"openai": {"reasoning_effort": "xhigh"}})),
        (
            Kind::OpenAiCompat,
            "high",
            json!({"openaicompat": {"reasoning_effort": "high"}}),
        ),
        (Kind::Anthropic, "minimal", json!({"anthropic": {"effort": "low"}})),
        (Kind::Bedrock, "max", json!({"anthropic": {"effort": "max"}})),
        (Kind::Anthropic, "none", Value::Null),
        (
            Kind::Google,
            "medium",
            json!({"google": {"thinking_config": {"thinking_budget": 8192}}}),
        ),
        (
            Kind::OpenRouter,
            "none",
            json!({"openrouter": {"reasoning": {"enabled": false}}}),
        ),
        (
            Kind::Vercel,
            "xhigh",
            json!({"vercel": {"reasoning": {"effort": "xhigh"}}}),
        ),
        (Kind::Demo, "low", Value::Null),
    ] {
        assert_eq!(effort(kind, word), expected, "{kind:?} {word}");
    }
}

#[test]
fn newer_gemini_models_are_told_a_level() {
    let asked = asked(Dialect::Responses, json!({"reasoning": {"effort": "low"}}));
    let configured =
        json!({"provider_options": {"google": {"thinking_config": {"thinking_budget": 9, "include_thoughts": false}}}});
    let model = model(Kind::Google, "gemini-3-pro-preview", configured);
    let options = asked.options(&model).unwrap();
    assert_eq!(
        options["provider_options"]["google"]["thinking_config"],
        json!({"include_thoughts": false, "thinking_level": "low"})
    );
}

#[test]
fn a_budget_of_thinking_is_carried_or_becomes_an_effort() {
    let budget = |kind: Kind, tokens: u64| {
        let body = json!({"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": tokens}});
        options(kind, Dialect::Messages, body)["provider_options"].clone()
    };
    assert_eq!(
        budget(Kind::Bedrock, 2048),
        json!({"anthropic": {"thinking": {"budget_tokens": 2048}}})
    );
    assert_eq!(
        budget(Kind::OpenAi, 2048),
        json!({"openai": {"reasoning_effort": "low"}})
    );
    assert_eq!(
        budget(Kind::OpenAi, 31_999),
        json!({"openai": {"reasoning_effort": "high"}})
    );
    assert_eq!(
        budget(Kind::Google, 77),
        json!({"google": {"thinking_config": {"thinking_budget": 77}}})
    );
    assert_eq!(
        budget(Kind::OpenRouter, 77),
        json!({"openrouter": {"reasoning": {"max_tokens": 77}}})
    );
}

#[test]
fn thinking_that_is_switched_off_takes_the_administrators_away() {
    let configured = json!({"provider_options": {"anthropic": {"effort": "high", "send_reasoning": true}}});
    let model = model(Kind::Bedrock, "m", configured.clone());
    let off = asked(Dialect::Messages, json!({"thinking": {"type": "disabled"}}));
    let options = off.options(&model).unwrap();
    assert_eq!(
        options["provider_options"],
        json!({"anthropic": {"send_reasoning": true}})
    );
    let silent = asked(Dialect::Messages, json!({}));
    assert_eq!(
        Value::Object(silent.options(&model).unwrap()),
        configured,
        "as configured"
    );
}

#[test]
fn what_a_client_sets_wins_over_what_is_configured() {
    let asked = asked(
        Dialect::ChatCompletions,
        json!({"temperature": 0.1, "stop": "END", "parallel_tool_calls": false}),
    );
    let model = model(Kind::Anthropic, "m", json!({"temperature": 1, "top_p": 0.5}));
    assert_eq!(
        Value::Object(asked.options(&model).unwrap()),
        json!({"temperature": 0.1, "top_p": 0.5, "stop_sequences": ["END"],
               "provider_options": {"anthropic": {"disable_parallel_tool_use": true}}})
    );
}

#[test]
fn what_a_vendor_cannot_be_told_is_refused_by_name() {
    let chat = Dialect::ChatCompletions;
    assert_eq!(
        refused(Kind::Anthropic, chat, json!({"presence_penalty": 0.5})),
        "presence_penalty"
    );
    options(
        Kind::Anthropic,
        chat,
        json!({"presence_penalty": 0, "frequency_penalty": 0.0}),
    );
    options(Kind::Google, chat, json!({"presence_penalty": 0.5, "top_k": 3}));
    assert_eq!(refused(Kind::OpenAi, Dialect::Messages, json!({"top_k": 3})), "top_k");
    assert_eq!(refused(Kind::Google, chat, json!({"verbosity": "low"})), "verbosity");
    options(Kind::Google, chat, json!({"verbosity": "medium"}));
    let responses = model(Kind::OpenAi, "gpt-5", json!({}));
    let stop = asked(Dialect::Messages, json!({"stop_sequences": ["x"]}));
    assert_eq!(stop.options(&responses).unwrap_err().field, "stop_sequences");
}

#[test]
fn a_search_is_there_if_the_administrator_switched_it_on() {
    let asked = asked(Dialect::Responses, json!({"tools": [{"type": "web_search"}]}));
    let error = asked.options(&model(Kind::Google, "m", json!({}))).unwrap_err();
    assert_eq!(error.field, "tools[0].type");
    let searches = json!({"provider_options": {"google": {"web_search_enabled": true}}});
    asked.options(&model(Kind::Google, "m", searches)).unwrap();
}

#[test]
fn a_form_that_a_tool_takes_is_refused_beside_thinking_and_searching() {
    let form = json!({"type": "json_object"});
    let refusal = |kind: Kind, change: Value| {
        let mut body = json!({"text": {"format": form}});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let asked = asked(Dialect::Responses, body);
        let error = asked.options(&model(kind, "m", json!({}))).err();
        error.map(|error| (error.field, error.message))
    };
    for (change, words) in [
        (json!({"reasoning": {"effort": "low"}}), "cannot think"),
        (json!({"tools": [{"type": "web_search"}]}), "cannot search"),
    ] {
        let (field, message) = refusal(Kind::Anthropic, change.clone()).unwrap();
        assert!(field == "text.format" && message.contains(words), "{field}: {message}");
        let others = refusal(Kind::OpenAi, change);
        assert!(others.is_none_or(|(field, _)| field != "text.format"));
    }
    assert_eq!(refusal(Kind::Anthropic, json!({"reasoning": {"effort": "none"}})), None);
    let configured = json!({"provider_options": {"anthropic": {"effort": "high"}}});
    let silent = asked(Dialect::Responses, json!({"text": {"format": form}}));
    silent.options(&model(Kind::Anthropic, "m", configured)).unwrap();
}
