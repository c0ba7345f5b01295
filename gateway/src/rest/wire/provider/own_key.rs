//! Users' own keys of providers, as their users see them.

use serde::{Deserialize, Serialize};
use tandem_proto::provider::v1 as proto;
use utoipa::ToSchema;

use super::super::or_default;

/// Whether a user brings their own key for a provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAIProviderKeyConfig {
    pub provider: AIProviderSummary,
    pub has_user_api_key: bool,
    /// The user can use the provider's own key.
    pub has_provider_api_key: bool,
    /// The deployment and the provider allow own keys.
    pub byok_enabled: bool,
    /// The end of the user's key; empty without one.
    pub masked: String,
}

/// A provider as everybody may know it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProviderSummary {
    #[schema(format = Uuid)]
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub display_name: String,
    pub enabled: bool,
    /// Always false: users' keys go with their provider.
    pub deleted: bool,
}

#[derive(Deserialize, ToSchema)]
pub struct PutUserAIProviderKeyRequest {
    /// 1 to 10,240 bytes without white space at its ends.
    #[serde(default, deserialize_with = "or_default")]
    pub api_key: String,
}

impl From<proto::UserProviderKey> for UserAIProviderKeyConfig {
    fn from(key: proto::UserProviderKey) -> Self {
        Self {
            provider: AIProviderSummary {
                id: key.provider_id,
                kind: key.provider_type,
                name: key.provider_name,
                display_name: key.provider_display_name,
                enabled: key.is_provider_enabled,
                deleted: false,
            },
            has_user_api_key: key.has_user_key,
            has_provider_api_key: key.has_central_key,
            byok_enabled: key.is_allowed,
            masked: key.masked,
        }
    }
}
