//! Which models and providers there are, as read from storage and kept for a few seconds.
//!
//! Opens the sealed keys it reads and decides whose are used, by [`crate::credentials`]. Changing providers is [`crate::rpc`]'s; it tells
//! this module what it changed.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use tandem_chassis::{
    client::Outbound,
    identity::User,
    status::{Code, Fault},
    with_message_limits,
};
use tandem_chat_core::id::{KeyId, ModelConfigId, ProviderId, UserId};
use tandem_proto::{
    common::v1::ModelConfig,
    storage::v1::{
        self as storage, provider_key_service_client::ProviderKeyServiceClient,
        settings_service_client::SettingsServiceClient,
    },
};
use tandem_protocols::{ApiKey, Kind};
use tonic::transport::Channel;
use url::Origin;

use self::row::ModelRow;
use crate::{
    config::Config,
    credentials::{Available, Choice, Missing, Policy, choose},
    error::Error,
    secret::{
        envelope::{self, Row},
        keyring::Keyring,
    },
};

mod row;

/// Time for one call to storage.
const STORAGE_DEADLINE: Duration = Duration::from_secs(10);

/// Models and providers kept.
const MAX_CACHED: u64 = 1024;

/// Users' keys kept.
const MAX_CACHED_USER_KEYS: u64 = 4096;

/// A model ready to be called, with what this service needs to know beside what its protocol does.
#[derive(Clone, Debug)]
pub struct Model {
    /// What is asked; also who serves it, without keys.
    pub asked: Arc<tandem_protocols::Model>,
    /// The models that may answer in its place, in this order; at most four. None of them has to exist.
    pub fallbacks: Vec<ModelConfigId>,
    /// Who serves it, with the keys it is to be called with.
    pub provider: Arc<Provider>,
    /// Users have spend limits, so what it may cost is reserved first. As old as the rest of what is kept here.
    pub is_spend_limited: bool,
}

impl Deref for Model {
    type Target = tandem_protocols::Model;

    fn deref(&self) -> &Self::Target {
        &self.asked
    }
}

/// A provider with its keys in clear.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Who it is and where.
    pub who: Arc<tandem_protocols::Provider>,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// Those that could be opened, in the administrator's order.
    pub keys: Vec<ApiKey>,
    /// Why others could not, if any.
    pub unreadable: Option<envelope::Error>,
    /// Whose keys may be used.
    pub policy: Policy,
    /// Completions at once; 0: no limit of its own.
    pub max_concurrent: usize,
}

impl Deref for Provider {
    type Target = tandem_protocols::Provider;

    fn deref(&self) -> &Self::Target {
        &self.who
    }
}

/// A user's own key, or why it cannot be used.
type UserKey = Result<ApiKey, envelope::Error>;

/// What is known of a user's key for a provider.
#[derive(Clone)]
struct HeldKey {
    /// Where the provider was when it was read. Storage drops users' keys when a provider moves, and what was read before must not follow.
    origin: Origin,
    key: Option<UserKey>,
}

/// Reads storage. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Catalog {
    outbound: Outbound,
    settings: SettingsServiceClient<Channel>,
    keys: ProviderKeyServiceClient<Channel>,
    keyring: Arc<Keyring>,
    allows_user_keys: bool,
    models: Cache<ModelConfigId, Arc<ModelRow>>,
    providers: Cache<ProviderId, Arc<Provider>>,
    user_keys: Cache<(UserId, ProviderId), HeldKey>,
    changes: Arc<AtomicU64>,
}

/// A provider that may be used, for somebody who needs none of its keys.
fn without_keys(provider: &Arc<Provider>) -> Result<Arc<Provider>, Error> {
    if !provider.is_enabled {
        return Err(Error::ProviderDisabled {
            provider: provider.name.clone(),
        });
    }
    Ok(Arc::new(Provider {
        keys: Vec::new(),
        unreadable: None,
        ..Provider::clone(provider)
    }))
}

impl Catalog {
    /// A catalogue that keeps what it reads for a while.
    pub fn new(config: &Config, outbound: Outbound, storage: Channel, keyring: Arc<Keyring>) -> Self {
        let ttl = config.cache_ttl;
        Self {
            outbound,
            settings: with_message_limits!(SettingsServiceClient::new(storage.clone())),
            keys: with_message_limits!(ProviderKeyServiceClient::new(storage)),
            keyring,
            allows_user_keys: config.allow_user_keys,
            models: Cache::builder().max_capacity(MAX_CACHED).time_to_live(ttl).build(),
            providers: Cache::builder().max_capacity(MAX_CACHED).time_to_live(ttl).build(),
            user_keys: Cache::builder()
                .max_capacity(MAX_CACHED_USER_KEYS)
                .time_to_live(ttl)
                .build(),
            changes: Arc::default(),
        }
    }

    /// A client of storage's settings, for those who change them.
    pub fn settings(&self) -> SettingsServiceClient<Channel> {
        self.settings.clone()
    }

    /// A client of storage's keys as such.
    pub fn keys(&self) -> ProviderKeyServiceClient<Channel> {
        self.keys.clone()
    }

    /// Whose keys a provider may be called with, where the deployment has a say too.
    pub fn policy(&self, of_provider: Policy) -> Policy {
        Policy {
            allows_users: of_provider.allows_users && self.allows_user_keys,
            ..of_provider
        }
    }

    /// The keys with which this catalogue opens envelopes.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// A request to storage, for a user or for this service itself.
    pub fn request<T>(&self, user: Option<&User>, message: T) -> tonic::Request<T> {
        self.outbound.request(user, STORAGE_DEADLINE, message)
    }

    /// The model of a configuration, ready to be called on behalf of `owner`.
    ///
    /// # Errors
    /// Not found, disabled, no usable key; or storage's own.
    pub async fn model(&self, id: ModelConfigId, owner: Option<UserId>) -> Result<Arc<Model>, Error> {
        let (row, kept) = self.found(id).await?;
        let provider = self.with_key_of(Arc::clone(&kept), owner).await?;
        Ok(if Arc::ptr_eq(&provider, &kept) {
            row.shared(id, provider)
        } else {
            row.model(id, provider)
        })
    }

    /// The model of a configuration, for somebody who brings what proves them to the vendor: without keys.
    ///
    /// # Errors
    /// Not found, disabled; or storage's own.
    pub async fn model_without_keys(&self, id: ModelConfigId) -> Result<Arc<Model>, Error> {
        let (row, provider) = self.found(id).await?;
        Ok(row.model(id, without_keys(&provider)?))
    }

    async fn found(&self, id: ModelConfigId) -> Result<(Arc<ModelRow>, Arc<Provider>), Error> {
        // What is kept is asked for first, here and below: loading makes a key and a future also where nothing is loaded.
        let row = match self.models.get(&id).await {
            Some(row) => row,
            None => (self.models.try_get_with(id, self.load_model(id)).await)
                .map_err(|fault: Arc<Fault>| Error::Storage((*fault).clone()))?,
        };
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
        Ok((row, provider))
    }

    /// A provider with its keys in clear.
    ///
    /// # Errors
    /// Storage's own, also for one that does not exist.
    pub async fn provider(&self, id: ProviderId) -> Result<Arc<Provider>, Error> {
        if let Some(provider) = self.providers.get(&id).await {
            return Ok(provider);
        }
        self.providers
            .try_get_with(id, self.load_provider(id))
            .await
            .map_err(|fault: Arc<Fault>| Error::Storage((*fault).clone()))
    }

    /// A provider as it is called on behalf of `owner`, whatever the model.
    ///
    /// # Errors
    /// As [`Catalog::model`].
    pub async fn provider_for(&self, id: ProviderId, owner: UserId) -> Result<Arc<Provider>, Error> {
        let provider = self.provider(id).await?;
        self.with_key_of(provider, Some(owner)).await
    }

    /// As [`Catalog::model_without_keys`], whatever the model.
    ///
    /// # Errors
    /// Not found, disabled; or storage's own.
    pub async fn provider_without_keys(&self, id: ProviderId) -> Result<Arc<Provider>, Error> {
        without_keys(&self.provider(id).await?)
    }

    /// Rises with each change that came through this service, so that what is derived from the catalogue can be derived anew.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// All live models, with those nobody may use at the moment.
    ///
    /// # Errors
    /// Storage's own.
    pub async fn all_models(&self) -> Result<Vec<ModelConfig>, Error> {
        let request = self.request(None, storage::ListModelConfigsRequest {});
        let response = self.settings().list_model_configs(request).await?;
        Ok(response.into_inner().model_configs)
    }

    /// Whether users have spend limits, for calls of models that nobody configured.
    ///
    /// # Errors
    /// Storage's own.
    pub async fn is_spend_limited(&self) -> Result<bool, Error> {
        let request = self.request(None, storage::GetModelConfigRequest { id: String::new() });
        match self.settings().get_model_config(request).await.map_err(Fault::from) {
            Ok(response) => Ok(response.into_inner().is_spend_limited),
            // Without a model there is no default one, and nothing is priced.
            Err(fault) if fault.code == Code::NotFound => Ok(false),
            Err(fault) => Err(Error::Storage(fault)),
        }
    }

    /// The provider as it is called on behalf of `owner`: with that user's key, its own, or none.
    async fn with_key_of(&self, provider: Arc<Provider>, owner: Option<UserId>) -> Result<Arc<Provider>, Error> {
        if !provider.is_enabled {
            return Err(Error::ProviderDisabled {
                provider: provider.name.clone(),
            });
        }
        let policy = self.policy(provider.policy);
        let user_key = match owner.filter(|_| policy.allows_users) {
            Some(owner) => self.user_key(owner, &provider).await?,
            None => None,
        };
        let available = Available {
            has_user_key: user_key.is_some(),
            has_central_key: !provider.keys.is_empty() || provider.unreadable.is_some(),
            can_do_without: !provider.kind.needs_key(),
        };
        let name = || provider.name.clone();
        match (choose(policy, available), user_key) {
            (Ok(Choice::Users), Some(Ok(key))) => Ok(Arc::new(Provider {
                keys: vec![key],
                unreadable: None,
                ..Provider::clone(&provider)
            })),
            (Ok(Choice::Users), Some(Err(source))) => Err(Error::KeysUnreadable {
                provider: name(),
                source,
            }),
            (Ok(Choice::Users | Choice::Central | Choice::Without), _) => match provider.unreadable {
                Some(source) if provider.keys.is_empty() => Err(Error::KeysUnreadable {
                    provider: name(),
                    source,
                }),
                Some(_) | None => Ok(provider),
            },
            (Err(Missing::UserKey), _) => Err(Error::UserKeyRequired { provider: name() }),
            (Err(Missing::CentralKey), _) => Err(Error::MissingKey { provider: name() }),
        }
    }

    async fn user_key(&self, user: UserId, provider: &Provider) -> Result<Option<UserKey>, Error> {
        let origin = provider.base_url.origin();
        let held = self.held_key(user, provider.id, &origin).await?;
        if held.origin == origin {
            return Ok(held.key);
        }
        self.forget_user_key(user, provider.id).await;
        let held = self.held_key(user, provider.id, &origin).await?;
        // Of two that read at once, the provider's two places apart, one goes without.
        Ok(held.key.filter(|_| held.origin == origin))
    }

    async fn held_key(&self, user: UserId, provider: ProviderId, origin: &Origin) -> Result<HeldKey, Error> {
        let load = async {
            Ok(HeldKey {
                origin: origin.clone(),
                key: self.load_user_key(user, provider).await?,
            })
        };
        self.user_keys
            .try_get_with((user, provider), load)
            .await
            .map_err(|fault: Arc<Fault>| Error::Storage((*fault).clone()))
    }

    async fn load_user_key(&self, user: UserId, provider: ProviderId) -> Result<Option<UserKey>, Fault> {
        let message = storage::FindUserProviderKeyRequest {
            user_id: user.to_string(),
            provider_id: provider.to_string(),
        };
        let response = self.keys().find_user_provider_key(self.request(None, message)).await?;
        let Some(found) = response.into_inner().key else {
            return Ok(None);
        };
        let key: KeyId = found.id.parse().map_err(|_| odd_answer("a key id that is none"))?;
        let user_row = Row {
            provider,
            key,
            user: Some(user),
        };
        let opened = envelope::open(&self.keyring, user_row, &found.sealed);
        if let Err(error) = &opened {
            tracing::warn!(provider_id = %provider, user_id = %user, %error, "a user's key could not be opened");
        }
        Ok(Some(opened.map(|secret| ApiKey::new(key, secret).of_user(user))))
    }

    /// Forgets what is known of a user's key.
    pub async fn forget_user_key(&self, user: UserId, provider: ProviderId) {
        self.user_keys.invalidate(&(user, provider)).await;
    }

    /// Forgets a provider that was changed.
    pub async fn forget(&self, id: ProviderId) {
        self.changes.fetch_add(1, Ordering::Release);
        self.providers.invalidate(&id).await;
    }

    /// Forgets everything, because what a provider's change means for its models is storage's to say.
    pub fn forget_models(&self) {
        self.changes.fetch_add(1, Ordering::Release);
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
        ModelRow::of(response.into_inner()).map(Arc::new)
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
            "" => kind.default_base_url(&row.name).unwrap_or_default(),
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
                user: None,
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
            who: Arc::new(tandem_protocols::Provider {
                id,
                kind,
                name: row.name,
                base_url,
            }),
            is_enabled: row.is_enabled,
            keys,
            unreadable,
            policy: row.key_policy.map(Policy::from).unwrap_or_default(),
            max_concurrent: usize::try_from(row.max_concurrent).unwrap_or(0),
        })
    }
}

#[cfg(test)]
pub(crate) mod test_support {
    use serde_json::Value;

    use super::*;

    /// A model of that kind, with those call options and no keys.
    pub(crate) fn model(kind: Kind, options: Value) -> Model {
        let asked = tandem_protocols::vendor_side::model(kind, options);
        Model {
            fallbacks: Vec::new(),
            provider: Arc::new(Provider {
                who: Arc::clone(&asked.provider),
                is_enabled: true,
                keys: Vec::new(),
                unreadable: None,
                policy: Policy::default(),
                max_concurrent: 0,
            }),
            asked: Arc::new(asked),
            is_spend_limited: false,
        }
    }
}
