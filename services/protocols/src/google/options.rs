//! What an administrator set for a model, as settings of a request.
//!
//! Owns which settings exclude each other. Options of other vendors are passed over; one of the wrong type is an error that names it.

use serde_json::{Map, Value, json};

use super::family::{Family, is_level};
use crate::{
    Model,
    options::{Field, InvalidOption, Shape, checked, copy, own},
};

/// Where the vendor's own options are, for errors.
const PATH: &str = "provider_options.google.";

const GENERAL: [Field; 7] = [
    ("max_output_tokens", MAX_OUTPUT_TOKENS, Shape::Integer),
    ("temperature", "temperature", Shape::Number),
    ("top_p", "topP", Shape::Number),
    ("top_k", "topK", Shape::Integer),
    ("presence_penalty", "presencePenalty", Shape::Number),
    ("frequency_penalty", "frequencyPenalty", Shape::Number),
    ("stop_sequences", "stopSequences", Shape::Texts),
];

const MAX_OUTPUT_TOKENS: &str = "maxOutputTokens";

/// What one threshold for everything is about.
const CATEGORIES: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

/// The settings of one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// How the answer is chosen, thinking included.
    pub(super) generation: Map<String, Value>,
    pub(super) safety: Vec<Value>,
    pub(super) cached_content: Option<String>,
    /// The administrator wants the vendor's search.
    pub(super) wants_search: bool,
}

impl Settings {
    /// Reads the options of a model.
    ///
    /// * `asked_tokens`: the caller's own output limit; wins over the configured one.
    ///
    /// # Errors
    /// [`InvalidOption`] names the first option of the wrong type.
    pub(super) fn read(model: &Model, asked_tokens: Option<u32>) -> Result<Self, InvalidOption> {
        let nothing = Map::new();
        let own = own(&model.options, "google").unwrap_or(&nothing);
        let mut generation = Map::new();
        copy(&model.options, "", &GENERAL, &mut generation)?;
        // Nothing is what older forms of the dialog store for "as the vendor likes".
        generation.retain(|name, value| name != MAX_OUTPUT_TOKENS || value.as_u64().is_some_and(|limit| limit > 0));
        if let Some(asked) = asked_tokens {
            generation.insert(MAX_OUTPUT_TOKENS.to_owned(), asked.into());
        }
        if let Some(thinking) = thinking(own, Family::of(&model.model))? {
            generation.insert("thinkingConfig".to_owned(), Value::Object(thinking));
        }
        let cached = checked(own, PATH, "cached_content", Shape::Text)?.and_then(Value::as_str);
        let search = checked(own, PATH, "web_search_enabled", Shape::Boolean)?;
        Ok(Self {
            generation,
            safety: safety(own)?,
            cached_content: cached.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned),
            wants_search: search.and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// How the model thinks; `None` as the vendor likes. A budget wins over a level, and only models of the third generation know levels.
fn thinking(own: &Map<String, Value>, family: Family) -> Result<Option<Map<String, Value>>, InvalidOption> {
    let Some(set) = checked(own, PATH, "thinking_config", Shape::Object)?.and_then(Value::as_object) else {
        return Ok(None);
    };
    let path = format!("{PATH}thinking_config.");
    let budget = checked(set, &path, "thinking_budget", Shape::Integer)?.and_then(Value::as_i64);
    let includes = checked(set, &path, "include_thoughts", Shape::Boolean)?.and_then(Value::as_bool);
    let level = checked(set, &path, "thinking_level", Shape::Text)?.and_then(Value::as_str);
    let level = level.map(|level| level.trim().to_ascii_lowercase());
    let level = level.filter(|level| !level.is_empty());
    if level.as_deref().is_some_and(|level| !is_level(level)) {
        let expected = "none, minimal, low, medium, high, xhigh or max";
        return Err(InvalidOption::new(format!("{path}thinking_level"), expected));
    }
    let level = level
        .filter(|_| budget.is_none())
        .and_then(|level| family.level(&level));
    let mut thinking = Map::new();
    // The vendor refuses to show the thoughts of a model that must not think.
    if budget != Some(0) && (budget.is_some() || level.is_some() || includes.is_some()) {
        thinking.insert("includeThoughts".to_owned(), includes.unwrap_or(true).into());
    }
    if let Some(budget) = budget {
        thinking.insert("thinkingBudget".to_owned(), budget.into());
    }
    if let Some(level) = level {
        thinking.insert("thinkingLevel".to_owned(), level.into());
    }
    Ok(Some(thinking).filter(|thinking| !thinking.is_empty()))
}

/// Each setting names what it is about and from where on it is kept back; one threshold can stand for all.
fn safety(own: &Map<String, Value>) -> Result<Vec<Value>, InvalidOption> {
    let threshold = checked(own, PATH, "threshold", Shape::Text)?.and_then(Value::as_str);
    match own.get("safety_settings").filter(|value| !value.is_null()) {
        Some(Value::Array(settings)) if settings.iter().all(is_safety_setting) && !settings.is_empty() => {
            Ok(settings.clone())
        }
        Some(Value::Array(settings)) if settings.is_empty() => Ok(for_all(threshold)),
        Some(_) => Err(InvalidOption::new(
            format!("{PATH}safety_settings"),
            "a list of objects with category and threshold",
        )),
        None => Ok(for_all(threshold)),
    }
}

fn is_safety_setting(setting: &Value) -> bool {
    let fields = setting.as_object();
    fields.is_some_and(|fields| {
        let is_known = |name: &String| matches!(name.as_str(), "category" | "threshold");
        fields.len() == 2 && fields.keys().all(is_known) && fields.values().all(Value::is_string)
    })
}

fn for_all(threshold: Option<&str>) -> Vec<Value> {
    let threshold = threshold.map(str::trim).filter(|text| !text.is_empty());
    let of = |threshold: &str| CATEGORIES.map(|category| json!({ "category": category, "threshold": threshold }));
    threshold.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, test_support};

    fn read(model: &str, options: Value, asked: Option<u32>) -> Result<Settings, String> {
        let model = Model {
            model: model.to_owned(),
            ..test_support::model(Kind::Google, options)
        };
        Settings::read(&model, asked).map_err(|invalid| invalid.to_string())
    }

    fn thinking_of(model: &str, config: Value) -> Value {
        let options = json!({ "provider_options": { "google": { "thinking_config": config } } });
        let settings = read(model, options, None).unwrap();
        settings.generation.get("thinkingConfig").cloned().unwrap_or_default()
    }

    #[test]
    fn general_options_have_the_vendors_names_and_the_callers_limit_wins() {
        let options = json!({
            "max_output_tokens": 100, "temperature": 0.2, "top_p": 0.9, "top_k": 40, "presence_penalty": null,
            "frequency_penalty": 0.1, "provider_options": {"openai": {"store": true}},
        });
        let sent = read("gemini-2.5-pro", options.clone(), None).unwrap().generation;
        let expected =
            json!({"maxOutputTokens": 100, "temperature": 0.2, "topP": 0.9, "topK": 40, "frequencyPenalty": 0.1});
        assert_eq!(Value::Object(sent), expected);
        let sent = read("gemini-2.5-pro", options, Some(7)).unwrap().generation;
        assert_eq!(sent["maxOutputTokens"], 7);
        let sent = read("gemini-2.5-pro", json!({"max_output_tokens": 0}), None).unwrap();
        assert!(sent.generation.is_empty());
    }

    #[test]
    fn a_budget_wins_over_a_level_and_only_the_third_generation_knows_levels() {
        let third = "gemini-3-pro-preview";
        for (model, config, expected) in [
            (third, json!({}), Value::Null),
            (
                third,
                json!({"thinking_level": "Medium"}),
                json!({"includeThoughts": true, "thinkingLevel": "high"}),
            ),
            (
                third,
                json!({"thinking_level": "low", "thinking_budget": 2048, "include_thoughts": false}),
                json!({"includeThoughts": false, "thinkingBudget": 2048}),
            ),
            ("gemini-2.5-pro", json!({"thinking_level": "low"}), Value::Null),
            (
                "gemini-2.5-pro",
                json!({"thinking_budget": -1}),
                json!({"includeThoughts": true, "thinkingBudget": -1}),
            ),
            (
                "gemini-2.5-flash",
                json!({"thinking_budget": 0, "include_thoughts": true}),
                json!({"thinkingBudget": 0}),
            ),
            (
                "gemini-2.5-flash",
                json!({"include_thoughts": true}),
                json!({"includeThoughts": true}),
            ),
        ] {
            assert_eq!(thinking_of(model, config.clone()), expected, "{model} {config}");
        }
    }

    #[test]
    fn one_threshold_stands_for_every_category() {
        let safety = |own: Value| read("gemini-2.5-pro", json!({"provider_options": {"google": own}}), None);
        let off = safety(json!({"threshold": "OFF"})).unwrap().safety;
        assert_eq!(off.len(), CATEGORIES.len());
        assert_eq!(
            off[0],
            json!({"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"})
        );
        let one = json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]);
        let sent = safety(json!({"threshold": "OFF", "safety_settings": one}))
            .unwrap()
            .safety;
        assert_eq!(Value::from(sent), one);
        assert!(safety(json!({})).unwrap().safety.is_empty());
    }

    #[test]
    fn an_option_of_the_wrong_type_is_named() {
        for (own, name) in [
            (
                json!({"thinking_config": {"thinking_level": "hard"}}),
                "thinking_config.thinking_level",
            ),
            (
                json!({"thinking_config": {"thinking_budget": "x"}}),
                "thinking_config.thinking_budget",
            ),
            (json!({"safety_settings": [{"category": "x"}]}), "safety_settings"),
            (json!({"cached_content": 7}), "cached_content"),
            (json!({"web_search_enabled": "yes"}), "web_search_enabled"),
        ] {
            let error = read("gemini-3-pro", json!({"provider_options": {"google": own}}), None).unwrap_err();
            assert!(error.contains(&format!("{PATH}{name} must be")), "{error}");
        }
    }
}
