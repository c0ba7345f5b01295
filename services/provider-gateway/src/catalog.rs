//! Which models and providers there are, as read from storage and kept for a few seconds.
//!
//! Opens the sealed keys of the providers it reads. Changing providers is [`crate::rpc`]'s; it tells this module what it changed.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use serde_json::{Map, Value};
use tandem_chassis::{
    client::Outbound,
    identity::User,
    status::{Code, Fault},
    with_message_limits,
};
use tandem_chat_core::id::{KeyId, ModelConfigId, ProviderId};
use tandem_proto::{
    common::v1::ModelConfig,
    storage::v1::{self as storage, settings_service_client::SettingsServiceClient},
};
use tonic::transport::Channel;
use url::Url;

use crate::{
    error::Error,
    provider::Kind,
    secret::{
        ApiKey,
        envelope::{self, Row},
        keyring::Keyring,
    },
};

/// Time for one call to storage.
const STORAGE_DEADLINE: Duration = Duration::from_secs(10);

/// Models and providers kept.
const MAX_CACHED: u64 = 1024;

/// A model ready to be called.
#[derive(Clone, Debug)]
pub struct Model {
    /// The vendor's name for it.
    pub model: String,
    /// Context window in tokens; `None` when unknown.
    pub context_limit: Option<i64>,
    /// Call options, as the REST API shows them.
    pub options: Map<String, Value>,
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// Users have spend limits, so what it may cost is reserved first. As old as the rest of what is kept here.
    pub is_spend_limited: bool,
}

/// A provider with its keys in clear.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its row.
    pub id: ProviderId,
    /// What it is.
    pub kind: Kind,
    /// Its unique name.
    pub name: String,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// Where it is.
    pub base_url: Url,
    /// Those that could be opened, in the order of the rows.
    pub keys: Vec<ApiKey>,
    /// Why others could not, if any.
    pub unreadable: Option<envelope::Error>,
}

/// Reads storage. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Catalog {
    outbound: Outbound,
    settings: SettingsServiceClient<Channel>,
    keyring: Arc<Keyring>,
    models: Cache<ModelConfigId, Arc<ModelRow>>,
    providers: Cache<ProviderId, Arc<Provider>>,
}

/// A model as storage has it.
struct ModelRow {
    model: String,
    context_limit: Option<i64>,
    options: Map<String, Value>,
    provider: ProviderId,
    is_usable: bool,
    is_spend_limited: bool,
}

impl Catalog {
    /// A catalogue that keeps what it reads for `ttl`.
    pub fn new(outbound: Outbound, storage: Channel, keyring: Arc<Keyring>, ttl: Duration) -> Self {
        Self {
            outbound,
            settings: with_message_limits!(SettingsServiceClient::new(storage)),
            keyring,
            models: Cache::builder().max_capacity(MAX_CACHED).time_to_live(ttl).build(),
            providers: Cache::builder().max_capacity(MAX_CACHED).time_to_live(ttl).build(),
        }
    }

    /// A client of storage's settings, for those who change them.
    pub fn settings(&self) -> SettingsServiceClient<Channel> {
        self.settings.clone()
    }

    /// The keys with which this catalogue opens envelopes.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// A request to storage, for a user or for this service itself.
    pub fn request<T>(&self, user: Option<&User>, message: T) -> tonic::Request<T> {
        self.outbound.request(user, STORAGE_DEADLINE, message)
    }

    /// The model of a configuration, ready to be called.
    ///
    /// # Errors
    /// Not found, disabled, no usable key; or storage's own.
    pub async fn model(&self, id: ModelConfigId) -> Result<Arc<Model>, Error> {
        let row = self
            .models
            .try_get_with(id, self.load_model(id))
            .await
            .map_err(|fault: Arc<Fault>| Error::Storage((*fault).clone()))?;
        if !row.is_usable {
            return Err(Error::ModelDisabled {
                model: row.model.clone(),
            });
        }
        let provider = match self.provider(row.provider).await {
            // Deleted softly: its models stay in histories.
            Err(Error::Storage(fault)) if fault.code == Code::NotFound => {
                let provider = row.provider.to_string();
                return Err(Error::ProviderDisabled { provider });
            }
            found => found?,
        };
        provider.check_usable()?;
        Ok(Arc::new(Model {
            model: row.model.clone(),
            context_limit: row.context_limit,
            options: row.options.clone(),
            provider,
            is_spend_limited: row.is_spend_limited,
        }))
    }

    /// A provider with its keys in clear.
    ///
    /// # Errors
    /// Storage's own, also for one that does not exist.
    pub async fn provider(&self, id: ProviderId) -> Result<Arc<Provider>, Error> {
        self.providers
            .try_get_with(id, self.load_provider(id))
            .await
            .map_err(|fault: Arc<Fault>| Error::Storage((*fault).clone()))
    }

    /// Forgets a provider that was changed.
    pub async fn forget(&self, id: ProviderId) {
        self.providers.invalidate(&id).await;
    }

    /// Forgets everything, because what a provider's change means for its models is storage's to say.
    pub fn forget_models(&self) {
        self.models.invalidate_all();
    }

    /// All live providers, without their keys in clear.
    ///
    /// # Errors
    /// Storage's own.
    pub async fn providers(&self, user: Option<&User>) -> Result<Vec<storage::Provider>, Error> {
        let request = self.request(user, storage::ListProvidersRequest {});
        let response = self.settings().list_providers(request).await?;
        Ok(response.into_inner().providers)
    }

    /// The models `user` may choose.
    ///
    /// # Errors
    /// Storage's own.
    pub async fn models(&self, user: &User) -> Result<Vec<ModelConfig>, Error> {
        let request = self.request(Some(user), storage::ListModelConfigsRequest {});
        let response = self.settings().list_model_configs(request).await?;
        Ok(response.into_inner().model_configs)
    }

    async fn load_model(&self, id: ModelConfigId) -> Result<Arc<ModelRow>, Fault> {
        let request = self.request(None, storage::GetModelConfigRequest { id: id.to_string() });
        let response = self.settings().get_model_config(request).await?;
        let storage::GetModelConfigResponse {
            model_config,
            is_spend_limited,
        } = response.into_inner();
        let row = model_config.ok_or_else(|| odd_answer("no model"))?;
        let options = match row.call_config_json.as_str() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|_| odd_answer("call options that are no JSON object"))?,
        };
        Ok(Arc::new(ModelRow {
            is_usable: row.is_enabled && !row.is_deleted,
            context_limit: Some(row.context_limit).filter(|limit| *limit > 0),
            provider: row
                .provider_id
                .parse()
                .map_err(|_| odd_answer("a provider id that is none"))?,
            model: row.model,
            options,
            is_spend_limited,
        }))
    }

    async fn load_provider(&self, id: ProviderId) -> Result<Arc<Provider>, Fault> {
        let request = self.request(
            None,
            storage::GetProviderRequest {
                id_or_name: id.to_string(),
            },
        );
        let response = self.settings().get_provider(request).await?;
        let row = response
            .into_inner()
            .provider
            .ok_or_else(|| odd_answer("no provider"))?;
        Ok(Arc::new(Provider::open(row, &self.keyring)?))
    }
}

fn odd_answer(what: &str) -> Fault {
    Fault::internal("STORAGE_ANSWER", format!("storage answered with {what}"))
}

impl Provider {
    /// A row with its keys opened. Keys that cannot be opened are left out and remembered as a reason.
    ///
    /// # Errors
    /// A row that no version of this service wrote.
    pub fn open(row: storage::Provider, keyring: &Keyring) -> Result<Self, Fault> {
        let id: ProviderId = row.id.parse().map_err(|_| odd_answer("a provider id that is none"))?;
        let kind = Kind::find(&row.r#type).ok_or_else(|| odd_answer("an unknown provider type"))?;
        let address = match row.base_url.as_str() {
            "" => kind.default_base_url().unwrap_or_default(),
            address => address,
        };
        let base_url = address.parse().map_err(|_| odd_answer("a base address that is none"))?;
        let mut keys = Vec::with_capacity(row.keys.len());
        let mut unreadable = None;
        for key in row.keys {
            let key_id: KeyId = key.id.parse().map_err(|_| odd_answer("a key id that is none"))?;
            let place = Row {
                provider: id,
                key: key_id,
            };
            match envelope::open(keyring, place, &key.sealed) {
                Ok(secret) => keys.push(ApiKey::new(key_id, secret)),
                Err(error) => unreadable = Some(error),
            }
        }
        if let Some(error) = &unreadable {
            tracing::warn!(provider = row.name, %error, "a provider key could not be opened");
        }
        Ok(Self {
            id,
            kind,
            name: row.name,
            is_enabled: row.is_enabled,
            base_url,
            keys,
            unreadable,
        })
    }

    /// Whether it can be called at all.
    ///
    /// # Errors
    /// Disabled, no key, or none that could be opened.
    pub fn check_usable(&self) -> Result<(), Error> {
        let provider = || self.name.clone();
        if !self.is_enabled {
            return Err(Error::ProviderDisabled { provider: provider() });
        }
        match self.unreadable {
            Some(source) if self.keys.is_empty() => Err(Error::KeysUnreadable {
                provider: provider(),
                source,
            }),
            None if self.keys.is_empty() && self.kind.needs_key() => Err(Error::MissingKey { provider: provider() }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod test_support {
    use uuid::Uuid;

    use super::*;

    /// A model of that kind, with those call options and no keys.
    pub(crate) fn model(kind: Kind, options: Value) -> Model {
        Model {
            model: "test-model".to_owned(),
            context_limit: Some(8192),
            options: options.as_object().cloned().unwrap_or_default(),
            provider: Arc::new(Provider {
                id: ProviderId::new(Uuid::nil()),
                kind,
                name: "test".to_owned(),
                is_enabled: true,
                base_url: "http://127.0.0.1:9/v1".parse().unwrap(),
                keys: Vec::new(),
                unreadable: None,
            }),
            is_spend_limited: false,
        }
    }
}
