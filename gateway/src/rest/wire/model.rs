//! Models people can choose, and how each is called.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_proto::{common::v1 as proto, provider::v1 as provider};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Raw, or_default, some_text, time};
use crate::problem::Problem;

/// The prices a call's options may hold, in US dollars per million tokens.
const PRICES: [&str; 4] = [
    "input_price_per_million_tokens",
    "output_price_per_million_tokens",
    "cache_read_price_per_million_tokens",
    "cache_write_price_per_million_tokens",
];

/// A model with its limits and options.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatModelConfig {
    #[schema(format = Uuid)]
    pub id: String,
    /// The provider's type.
    pub provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub ai_provider_id: Option<String>,
    pub model: String,
    pub display_name: String,
    pub enabled: bool,
    pub is_default: bool,
    /// The context window, in tokens.
    pub context_limit: i64,
    /// Percent of the window at which history is compacted; 100 = never.
    pub compression_threshold: i32,
    /// Options of each call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_config: Option<Raw>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateChatModelConfigRequest {
    pub ai_provider_id: Option<Uuid>,
    #[serde(default, deserialize_with = "or_default")]
    pub model: String,
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    /// Default true.
    pub enabled: Option<bool>,
    /// Default false; the first model becomes the default by itself.
    pub is_default: Option<bool>,
    pub context_limit: Option<i64>,
    /// Default 70.
    pub compression_threshold: Option<i32>,
    #[schema(value_type = Option<Object>)]
    pub model_config: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateChatModelConfigRequest {
    /// Must be the stored one; the provider is changed with `ai_provider_id`.
    #[serde(default, deserialize_with = "or_default")]
    pub provider: String,
    pub ai_provider_id: Option<Uuid>,
    #[serde(default, deserialize_with = "or_default")]
    pub model: String,
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    pub enabled: Option<bool>,
    pub is_default: Option<bool>,
    pub context_limit: Option<i64>,
    pub compression_threshold: Option<i32>,
    #[schema(value_type = Option<Object>)]
    pub model_config: Option<Map<String, Value>>,
}

/// The models the caller can use.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatModelsResponse {
    pub providers: Vec<ChatModelProvider>,
}

/// The models of one type of provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatModelProvider {
    pub provider: String,
    pub available: bool,
    /// `missing_api_key`, `fetch_failed` or `user_api_key_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unavailable_reason: Option<String>,
    pub models: Vec<ChatModel>,
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatModel {
    /// `provider:model`
    pub id: String,
    pub provider: String,
    pub model: String,
    pub display_name: String,
}

impl From<proto::ModelConfig> for ChatModelConfig {
    fn from(config: proto::ModelConfig) -> Self {
        Self {
            created_at: time(config.created_at.as_ref()),
            updated_at: time(config.updated_at.as_ref()),
            model_config: match config.call_config_json.trim() {
                "{}" | "null" => None,
                json => Raw::new(json),
            },
            id: config.id,
            provider: config.provider_type,
            ai_provider_id: some_text(config.provider_id),
            model: config.model,
            display_name: config.display_name,
            enabled: config.is_enabled,
            is_default: config.is_default,
            context_limit: config.context_limit,
            compression_threshold: config.compression_threshold,
        }
    }
}

impl From<provider::ListCatalogResponse> for ChatModelsResponse {
    fn from(catalog: provider::ListCatalogResponse) -> Self {
        let provider = |listed: provider::CatalogProvider| ChatModelProvider {
            models: listed
                .models
                .into_iter()
                .map(|model| ChatModel {
                    id: model.id,
                    provider: listed.r#type.clone(),
                    model: model.model,
                    display_name: model.display_name,
                })
                .collect(),
            provider: listed.r#type,
            available: listed.is_available,
            unavailable_reason: some_text(listed.unavailable_reason),
        };
        Self {
            providers: catalog.providers.into_iter().map(provider).collect(),
        }
    }
}

/// The stored form of a call's options: nulls dropped, prices under `cost` as decimal text.
///
/// # Errors
/// 400 for a price that is negative or no number.
pub fn call_config(mut config: Map<String, Value>) -> Result<String, Problem> {
    let mut cost = match config.remove("cost") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(cost)) => cost,
        Some(_) => return Err(Problem::field("model_config.cost", "must be an object")),
    };
    for name in PRICES {
        // Older clients write prices beside the other options.
        if let Some(price) = config.remove(name) {
            cost.entry(name).or_insert(price);
        }
    }
    for (name, price) in &mut cost {
        let text = match &*price {
            Value::Null => continue,
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let is_price = text
            .parse::<f64>()
            .is_ok_and(|number| number.is_finite() && number >= 0.0);
        if !is_price {
            let field = format!("model_config.cost.{name}");
            return Err(Problem::field(field, "must be a number of at least 0"));
        }
        *price = Value::String(text);
    }
    cost.retain(|_, price| !price.is_null());
    if !cost.is_empty() {
        config.insert("cost".to_owned(), Value::Object(cost));
    }
    config.retain(|_, value| !value.is_null());
    if config.get("tools_enabled").is_some_and(|is| !is.is_boolean()) {
        return Err(Problem::field("model_config.tools_enabled", "must be true or false"));
    }
    if config.is_empty() {
        return Ok(String::new());
    }
    Ok(Value::Object(config).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(value: Value) -> Result<String, Problem> {
        match value {
            Value::Object(map) => call_config(map),
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn prices_are_decimal_text_under_cost() {
        let value = json!({
            "temperature": 0.5,
            "top_p": null,
            "input_price_per_million_tokens": 3,
            "cost": {"output_price_per_million_tokens": "15.5", "cache_read_price_per_million_tokens": null},
        });
        let read: Value = serde_json::from_str(&stored(value).unwrap()).unwrap();
        assert_eq!(
            read,
            json!({
                "temperature": 0.5,
                "cost": {"input_price_per_million_tokens": "3", "output_price_per_million_tokens": "15.5"},
            })
        );
        assert_eq!(stored(json!({"top_p": null, "cost": {}})).unwrap(), "");
    }

    #[test]
    fn bad_prices_are_refused() {
        for price in [json!(-1), json!("x"), json!([]), json!("NaN")] {
            assert!(stored(json!({"cost": {"input_price_per_million_tokens": price}})).is_err());
        }
        assert!(stored(json!({"cost": 1})).is_err());
    }
}
