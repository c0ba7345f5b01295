//! Providers as administrators see them. Keys go in and never come out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_proto::{common::v1::KeyPolicy, provider::v1 as proto};
use utoipa::ToSchema;

use super::{Raw, or_default, time};

pub mod health;
pub mod own_key;

/// A vendor's endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProvider {
    #[schema(format = Uuid)]
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub display_name: String,
    pub enabled: bool,
    pub base_url: String,
    pub api_keys: Vec<AIProviderKey>,
    /// Settings without secrets.
    #[schema(required)]
    pub settings: Option<Raw>,
    /// The provider's keys may be used, or none where it needs none.
    pub central_api_key_enabled: bool,
    /// Users may bring their own key, which then comes first.
    pub allow_user_api_key: bool,
    /// Users without their own key use the provider's.
    pub allow_central_api_key_fallback: bool,
    /// Completions at once on each replica; 0: no limit of its own.
    pub max_concurrent: i32,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// A key that cannot be read back.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProviderKey {
    pub id: String,
    pub masked: String,
    #[schema(format = DateTime)]
    pub created_at: String,
}

#[derive(Deserialize, ToSchema)]
pub struct CreateAIProviderRequest {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub enabled: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub base_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub api_keys: Vec<String>,
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
    /// Default true.
    pub central_api_key_enabled: Option<bool>,
    /// Default false.
    pub allow_user_api_key: Option<bool>,
    /// Default false; needs both of the above.
    pub allow_central_api_key_fallback: Option<bool>,
    /// 0 to 10,000; default 0: no limit of its own.
    pub max_concurrent: Option<i32>,
}

#[derive(Deserialize, ToSchema)]
pub struct UpdateAIProviderRequest {
    /// Empty: the name is shown.
    pub display_name: Option<String>,
    pub enabled: Option<bool>,
    pub base_url: Option<String>,
    /// The full wanted set in the order of use: kept by id, added by key, all others removed.
    pub api_keys: Option<Vec<AIProviderKeyMutation>>,
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
    pub central_api_key_enabled: Option<bool>,
    pub allow_user_api_key: Option<bool>,
    pub allow_central_api_key_fallback: Option<bool>,
    pub max_concurrent: Option<i32>,
}

/// Keeps a key by its id, or adds one.
#[derive(Deserialize, ToSchema)]
pub struct AIProviderKeyMutation {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub api_key: String,
}

#[derive(Deserialize, ToSchema)]
pub struct TestAIProviderRequest {
    /// A stored provider; otherwise type, address and key.
    #[serde(default, deserialize_with = "or_default")]
    pub provider_id: String,
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub base_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub api_key: String,
}

/// What a provider said when it was asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestAIProviderResponse {
    pub ok: bool,
    /// What to tell the person.
    pub message: String,
    pub models: Vec<String>,
    pub latency_ms: u64,
}

/// A model server found on this machine.
#[derive(Debug, Serialize, ToSchema)]
pub struct DetectedProvider {
    /// `ollama`, `llamacpp`, `vllm` or `lmstudio`.
    pub kind: String,
    pub base_url: String,
    pub models: Vec<String>,
}

impl From<proto::Provider> for AIProvider {
    fn from(provider: proto::Provider) -> Self {
        let key = |key: proto::MaskedKey| AIProviderKey {
            id: key.id,
            masked: key.masked,
            created_at: time(key.created_at.as_ref()),
        };
        // A service of the release before knows no policy.
        let policy = provider.key_policy.unwrap_or(KeyPolicy {
            uses_central_keys: true,
            ..KeyPolicy::default()
        });
        Self {
            created_at: time(provider.created_at.as_ref()),
            updated_at: time(provider.updated_at.as_ref()),
            central_api_key_enabled: policy.uses_central_keys,
            allow_user_api_key: policy.allows_user_keys,
            allow_central_api_key_fallback: policy.allows_central_fallback,
            max_concurrent: provider.max_concurrent,
            api_keys: provider.keys.into_iter().map(key).collect(),
            settings: Raw::new(&provider.settings_json),
            id: provider.id,
            kind: provider.r#type,
            name: provider.name,
            display_name: provider.display_name,
            enabled: provider.is_enabled,
            base_url: provider.base_url,
        }
    }
}

impl From<proto::TestProviderResponse> for TestAIProviderResponse {
    fn from(outcome: proto::TestProviderResponse) -> Self {
        let latency = outcome.latency.unwrap_or_default();
        let milliseconds = latency.seconds.saturating_mul(1000) + i64::from(latency.nanos) / 1_000_000;
        Self {
            ok: outcome.is_ok,
            message: outcome.message,
            models: outcome.models,
            latency_ms: u64::try_from(milliseconds).unwrap_or(0),
        }
    }
}

impl From<proto::LocalProvider> for DetectedProvider {
    fn from(found: proto::LocalProvider) -> Self {
        Self {
            kind: found.kind,
            base_url: found.base_url,
            models: found.models,
        }
    }
}

#[cfg(test)]
mod tests;
