//! Which model a client means by a name, and which there are.
//!
//! Names are looked up in one table, made anew every few seconds from storage's list; which keys a model is called with is
//! [`crate::catalog`]'s. A name that is not in it is looked for in storage before it is refused, at most once a second.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde_json::{Map, Value};
use tandem_chassis::clock::Clock;
use tandem_chat_core::id::{ModelConfigId, ProviderId};
use tandem_proto::{common::v1::ModelConfig, storage::v1 as storage};
use tandem_protocols::Kind;
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use super::{
    caller::Caller,
    dialect::Dialect,
    refusal::{Reason, Refusal},
};
use crate::{
    catalog::{Catalog, Model, Provider},
    error::Error,
};

/// Between two looks for names that are not known.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Finds models and providers. What it knows is as old as the catalogue's own at most.
pub struct Directory {
    catalog: Catalog,
    allows_any: bool,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    known: RwLock<Option<Arc<Table>>>,
    loading: Mutex<()>,
}

/// Everything there is, at one moment.
pub struct Table {
    read_at: Instant,
    changes: u64,
    /// In the order of storage's list.
    entries: Vec<Entry>,
    /// By every spelling: the entry it means, for each dialect.
    names: HashMap<String, [usize; Dialect::ALL.len()]>,
    providers: Vec<Listed>,
    is_spend_limited: bool,
}

/// A configured model.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its row.
    pub id: ModelConfigId,
    /// The vendor's name for it.
    pub model: String,
    /// The name for people.
    pub display_name: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Its own switch.
    is_enabled: bool,
    /// Who serves it: a place in the list of providers.
    provider: usize,
}

/// A provider, as far as paths and names go.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its row.
    pub id: ProviderId,
    /// Its unique name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it may be used.
    pub is_enabled: bool,
}

impl Listed {
    /// Whether it is asked with callers' own credentials only.
    pub fn is_users_own(&self) -> bool {
        self.kind.is_users_own(&self.name)
    }
}

/// What a name means.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its row; `None` for a model nobody configured.
    config: Option<ModelConfigId>,
    /// The vendor's name for it.
    pub model: String,
    /// Who serves it.
    pub provider: Listed,
    is_spend_limited: bool,
}

impl Found {
    /// Its row; that of nobody for a model nobody configured.
    pub fn config_id(&self) -> ModelConfigId {
        self.config.unwrap_or(ModelConfigId::new(Uuid::nil()))
    }
}

impl Directory {
    /// A directory of what `catalog` has.
    ///
    /// * `allows_any`: models that nobody configured may be asked for.
    pub fn new(catalog: Catalog, allows_any: bool, ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            catalog,
            allows_any,
            ttl,
            clock,
            known: RwLock::default(),
            loading: Mutex::default(),
        }
    }

    /// The model `name` means in a request of that dialect.
    ///
    /// * `provider`: the one the path names, if any; the name is looked for among its models only.
    ///
    /// # Errors
    /// No such model, its provider is disabled; or storage cannot be asked.
    pub async fn find(&self, name: &str, dialect: Dialect, provider: Option<&Listed>) -> Result<Found, Refusal> {
        let mut table = self.table().await?;
        let mut found = self.find_in(&table, name, dialect, provider);
        if found.is_none() && self.is_worth_a_look(&table) {
            table = self.load(Some(table.read_at)).await?;
            found = self.find_in(&table, name, dialect, provider);
        }
        let found = found.ok_or_else(|| unknown_model(name, provider))?;
        if found.provider.is_enabled {
            Ok(found)
        } else {
            Err(provider_disabled(&found.provider.name))
        }
    }

    /// The provider of that name.
    ///
    /// # Errors
    /// No such provider, or storage cannot be asked.
    pub async fn provider(&self, name: &str) -> Result<Listed, Refusal> {
        let mut table = self.table().await?;
        if table.provider(name).is_none() && self.is_worth_a_look(&table) {
            table = self.load(Some(table.read_at)).await?;
        }
        table.provider(name).cloned().ok_or_else(|| {
            let text = format!("There is no provider called {name}.");
            Refusal::new(Reason::UnknownModel, text)
        })
    }

    /// All models that can be asked for, each by the shortest name that means it.
    ///
    /// * `provider`: only this one's.
    ///
    /// # Errors
    /// Storage cannot be asked.
    pub async fn list(
        &self,
        dialect: Dialect,
        provider: Option<&Listed>,
    ) -> Result<Vec<(String, Entry, Listed)>, Refusal> {
        let table = self.table().await?;
        let entries = table.entries.iter().enumerate().filter(|(_, entry)| {
            let serving = &table.providers[entry.provider];
            entry.is_enabled && serving.is_enabled && provider.is_none_or(|provider| provider.id == serving.id)
        });
        let named = entries.map(|(place, entry)| {
            let serving = &table.providers[entry.provider];
            let is_meant = provider.is_some() || table.meant(&entry.model, dialect) == Some(place);
            let name = if is_meant {
                entry.model.clone()
            } else {
                format!("{}/{}", serving.name, entry.model)
            };
            (name, entry.clone(), serving.clone())
        });
        Ok(named.collect())
    }

    /// The model, ready to be called in the caller's name. `brings_key`: without any key of ours.
    ///
    /// # Errors
    /// It was switched off meanwhile, there is no key for the caller; or storage cannot be asked.
    pub async fn model(&self, found: &Found, caller: &Caller, brings_key: bool) -> Result<Arc<Model>, Refusal> {
        let model = match found.config {
            Some(id) if brings_key => self.catalog.model_without_keys(id).await,
            Some(id) => self.catalog.model(id, Some(caller.user)).await,
            None => {
                let provider = self.provider_for(&found.provider, caller, brings_key).await?;
                return Ok(Arc::new(Model {
                    asked: Arc::new(tandem_protocols::Model {
                        id: found.config_id(),
                        model: found.model.clone(),
                        context_limit: None,
                        options: Map::<String, Value>::new(),
                        provider: Arc::clone(&provider.who),
                    }),
                    fallbacks: Vec::new(),
                    provider,
                    is_spend_limited: found.is_spend_limited,
                }));
            }
        };
        model.map_err(refusal)
    }

    /// A model that may answer in the place of another, ready to be called in the caller's name.
    ///
    /// # Errors
    /// There is none, it was switched off, its provider is asked with callers' own credentials only; or storage cannot be asked.
    pub async fn stand_in(&self, id: ModelConfigId, caller: &Caller) -> Result<Arc<Model>, Refusal> {
        let model = self.catalog.model(id, Some(caller.user)).await.map_err(refusal)?;
        if model.provider.kind.is_users_own(&model.provider.name) {
            return Err(own_needed(&model.provider.name));
        }
        Ok(model)
    }

    /// The provider, ready to be called in the caller's name.
    ///
    /// # Errors
    /// As [`Directory::model`].
    pub async fn provider_for(
        &self,
        listed: &Listed,
        caller: &Caller,
        brings_key: bool,
    ) -> Result<Arc<Provider>, Refusal> {
        let provider = if brings_key {
            self.catalog.provider_without_keys(listed.id).await
        } else {
            self.catalog.provider_for(listed.id, caller.user).await
        };
        provider.map_err(refusal)
    }

    fn find_in(&self, table: &Table, name: &str, dialect: Dialect, provider: Option<&Listed>) -> Option<Found> {
        let found = |place: usize| {
            let entry = &table.entries[place];
            Found {
                config: Some(entry.id),
                model: entry.model.clone(),
                provider: table.providers[entry.provider].clone(),
                is_spend_limited: table.is_spend_limited,
            }
        };
        let meant = match provider {
            None => table.meant(name, dialect),
            Some(provider) => table
                .meant(&format!("{}/{name}", provider.name), dialect)
                .or_else(|| table.meant(name, dialect))
                .filter(|place| table.providers[table.entries[*place].provider].id == provider.id),
        };
        meant.map(found).or_else(|| {
            // What callers pay for themselves is theirs to choose, where the path names it.
            let may_be_any = self.allows_any || provider.is_some_and(Listed::is_users_own);
            let (provider, model) = may_be_any.then(|| table.any(name, dialect, provider))??;
            Some(Found {
                config: None,
                model: model.to_owned(),
                provider: provider.clone(),
                is_spend_limited: table.is_spend_limited,
            })
        })
    }

    fn is_worth_a_look(&self, table: &Table) -> bool {
        self.clock.monotonic().saturating_duration_since(table.read_at) >= LOOK_INTERVAL
    }

    async fn table(&self) -> Result<Arc<Table>, Refusal> {
        match self.current() {
            Some(table) => Ok(table),
            None => self.load(None).await,
        }
    }

    fn current(&self) -> Option<Arc<Table>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let table = known.as_ref()?;
        let age = self.clock.monotonic().saturating_duration_since(table.read_at);
        (age < self.ttl && table.changes == self.catalog.changes()).then(|| Arc::clone(table))
    }

    /// Reads everything, one reader at a time: whoever waited meanwhile takes what was read.
    ///
    /// * `older_than`: what was read then is not good enough.
    async fn load(&self, older_than: Option<Instant>) -> Result<Arc<Table>, Refusal> {
        let _loading = self.loading.lock().await;
        if let Some(table) = self.current()
            && older_than.is_none_or(|then| table.read_at > then)
        {
            return Ok(table);
        }
        let changes = self.catalog.changes();
        let read_at = self.clock.monotonic();
        let (providers, models, is_spend_limited) = tokio::try_join!(
            self.catalog.providers(None),
            self.catalog.all_models(),
            self.catalog.is_spend_limited()
        )
        .map_err(refusal)?;
        let table = Table::new(providers, models);
        let table = Arc::new(Table {
            read_at,
            changes,
            is_spend_limited,
            ..table
        });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&table));
        Ok(table)
    }
}

impl Table {
    fn new(providers: Vec<storage::Provider>, models: Vec<ModelConfig>) -> Self {
        // What a later version wrote is not for this one.
        let listed = |row: storage::Provider| {
            Some(Listed {
                id: row.id.parse().ok()?,
                kind: Kind::find(&row.r#type)?,
                name: row.name,
                is_enabled: row.is_enabled,
            })
        };
        let providers: Vec<Listed> = providers.into_iter().filter_map(listed).collect();
        let entry = |row: ModelConfig| {
            let provider: ProviderId = row.provider_id.parse().ok()?;
            Some(Entry {
                id: row.id.parse().ok()?,
                provider: providers.iter().position(|listed| listed.id == provider)?,
                display_name: row.display_name,
                created_at: row.created_at.map_or(0, |at| at.seconds),
                is_enabled: row.is_enabled && !row.is_deleted,
                model: row.model,
            })
        };
        let entries: Vec<Entry> = models
            .into_iter()
            .filter_map(entry)
            .filter(|entry| entry.is_enabled)
            .collect();
        Self {
            read_at: Instant::now(),
            changes: 0,
            names: names(&entries, &providers),
            entries,
            providers,
            is_spend_limited: false,
        }
    }

    fn meant(&self, name: &str, dialect: Dialect) -> Option<usize> {
        self.names.get(name).map(|places| places[dialect.index()])
    }

    fn provider(&self, name: &str) -> Option<&Listed> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Who is asked for a model that nobody configured, and by which name: whom the name or the path names, else the first that speaks
    /// the dialect.
    fn any<'a>(&self, name: &'a str, dialect: Dialect, provider: Option<&Listed>) -> Option<(&Listed, &'a str)> {
        let known = |wanted: &str| self.provider(wanted);
        let qualified = ['/', ':'].into_iter().find_map(|separator| {
            let (provider, model) = name.split_once(separator)?;
            Some((known(provider)?, model)).filter(|(_, model)| !model.is_empty())
        });
        match provider {
            Some(fixed) => match qualified {
                Some((named, model)) if named.id == fixed.id => Some((named, model)),
                Some(_) | None => Some((known(&fixed.name)?, name)),
            },
            None => qualified.or_else(|| {
                let speaks = |provider: &&Listed| {
                    provider.is_enabled && !provider.is_users_own() && dialect.native(provider.kind).is_some()
                };
                Some((self.providers.iter().find(speaks)?, name))
            }),
        }
    }
}

/// Every spelling of every model: by provider, by type, plain. The nearest spelling counts, then a provider that is not switched off,
/// then one that speaks the dialect, then the older model.
fn names(entries: &[Entry], providers: &[Listed]) -> HashMap<String, [usize; Dialect::ALL.len()]> {
    type Rank = (bool, usize, bool, i64, ModelConfigId);
    let mut best: HashMap<String, [(Rank, usize); Dialect::ALL.len()]> = HashMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let provider = &providers[entry.provider];
        let (name, kind, model) = (&provider.name, provider.kind.as_str(), &entry.model);
        let spellings = [
            (0, format!("{name}/{model}")),
            (0, format!("{name}:{model}")),
            (1, format!("{kind}/{model}")),
            (1, format!("{kind}:{model}")),
            (2, model.clone()),
        ];
        for (distance, spelling) in spellings {
            let ranked = Dialect::ALL.map(|dialect| {
                let is_foreign = dialect.native(provider.kind).is_none();
                let rank = (!provider.is_enabled, distance, is_foreign, entry.created_at, entry.id);
                (rank, place)
            });
            let known = best.entry(spelling).or_insert(ranked);
            for (known, new) in known.iter_mut().zip(ranked) {
                *known = (*known).min(new);
            }
        }
    }
    let place_of = |ranked: [(Rank, usize); Dialect::ALL.len()]| ranked.map(|(_, place)| place);
    best.into_iter()
        .map(|(name, ranked)| (name, place_of(ranked)))
        .collect()
}

fn unknown_model(name: &str, provider: Option<&Listed>) -> Refusal {
    let among = match provider {
        Some(provider) => format!(" at the provider {}", provider.name),
        None => String::new(),
    };
    let text = format!(
        "The model {name} is not known here{among}. GET …/v1/models lists those that are; an administrator can add more."
    );
    Refusal::new(Reason::UnknownModel, text)
}

/// The provider is switched off.
pub(super) fn provider_disabled(name: &str) -> Refusal {
    let text = format!("The provider {name} is disabled.");
    Refusal::new(Reason::ProviderDisabled, text)
}

/// The provider is asked with callers' own credentials, and this one brought none.
pub(super) fn own_needed(provider: &str) -> Refusal {
    let text = format!(
        "The provider {provider} is asked with your own credential: send it as Authorization: Bearer …, and this deployment's API token as X-Coder-AI-Governance-Token."
    );
    Refusal::new(Reason::Unauthenticated, text)
}

/// How an error of the service looks to a client.
pub(super) fn refusal(error: Error) -> Refusal {
    let reason = match &error {
        Error::ModelDisabled { .. } => Reason::UnknownModel,
        Error::ProviderDisabled { .. } => Reason::ProviderDisabled,
        Error::UserKeyRequired { .. } | Error::UserKeysDisabled { .. } => Reason::Forbidden,
        Error::MissingKey { .. } | Error::KeysUnreadable { .. } => Reason::Upstream,
        Error::Storage(_) | Error::Overloaded(_) | Error::Draining => Reason::Unavailable,
        Error::Seal(_) | Error::CompletionNotFound => Reason::Internal,
    };
    let is_storage = matches!(error, Error::Storage(_));
    let mut fault = error.outside();
    fault.log();
    let pause = fault.retry_after.unwrap_or_default();
    let message = if is_storage {
        tracing::warn!(error = %fault, "storage could not be asked for a bridged exchange");
        "What is needed to answer could not be looked up; try again.".to_owned()
    } else {
        fault.message
    };
    Refusal::new(reason, message).after(pause)
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn provider(number: u128, kind: &str, name: &str, is_enabled: bool) -> storage::Provider {
        storage::Provider {
            id: Uuid::from_u128(number).to_string(),
            r#type: kind.to_owned(),
            name: name.to_owned(),
            is_enabled,
            ..storage::Provider::default()
        }
    }

    fn model(number: u128, provider: u128, name: &str, seconds: i64) -> ModelConfig {
        ModelConfig {
            id: Uuid::from_u128(number).to_string(),
            provider_id: Uuid::from_u128(provider).to_string(),
            model: name.to_owned(),
            is_enabled: true,
            created_at: Some(Timestamp { seconds, nanos: 0 }),
            ..ModelConfig::default()
        }
    }

    fn table() -> Table {
        let off = ModelConfig {
            is_enabled: false,
            ..model(16, 1, "off", 1)
        };
        Table::new(
            vec![
                provider(1, "openai", "main", true),
                provider(2, "anthropic", "claude", true),
                provider(3, "openrouter", "router", true),
                provider(4, "openai", "closed", false),
            ],
            vec![
                model(11, 1, "gpt-5", 5),
                model(12, 2, "sonnet", 9),
                model(13, 3, "sonnet", 1),
                model(14, 3, "anthropic/sonnet", 1),
                model(15, 4, "gpt-5", 1),
                model(17, 4, "gpt-6", 1),
                off,
            ],
        )
    }

    fn meant(name: &str, dialect: Dialect) -> Option<u128> {
        let table = table();
        table
            .meant(name, dialect)
            .map(|place| table.entries[place].id.uuid().as_u128())
    }

    #[test]
    fn every_spelling_finds_its_model() {
        let chat = Dialect::ChatCompletions;
        for (name, expected) in [
            ("main/gpt-5", Some(11)),
            ("main:gpt-5", Some(11)),
            ("openai/gpt-5", Some(11)),
            ("openai:gpt-5", Some(11)),
            ("gpt-5", Some(11)),
            ("router/sonnet", Some(13)),
            ("router/anthropic/sonnet", Some(14)),
            ("closed/gpt-5", Some(15)),
            ("gpt-6", Some(17)),
            ("off", None),
            ("main/off", None),
            ("main/sonnet", None),
            ("", None),
            ("gpt", None),
        ] {
            assert_eq!(meant(name, chat), expected, "{name}");
        }
    }

    #[test]
    fn of_two_the_one_that_speaks_the_dialect_is_meant_and_a_type_is_nearer_than_a_name() {
        assert_eq!(meant("sonnet", Dialect::Messages), Some(12));
        assert_eq!(meant("sonnet", Dialect::ChatCompletions), Some(13));
        assert_eq!(meant("sonnet", Dialect::Responses), Some(13), "the older one");
        assert_eq!(meant("anthropic/sonnet", Dialect::ChatCompletions), Some(12));
    }

    #[test]
    fn a_model_nobody_configured_is_asked_where_it_is_named() {
        let table = table();
        let any = |name, dialect| {
            table
                .any(name, dialect, None)
                .map(|(provider, model)| (provider.name.as_str(), model))
        };
        assert_eq!(any("router/x/y", Dialect::Messages), Some(("router", "x/y")));
        assert_eq!(any("claude:z", Dialect::Messages), Some(("claude", "z")));
        assert_eq!(any("z", Dialect::Messages), Some(("claude", "z")));
        assert_eq!(any("z", Dialect::Responses), Some(("main", "z")));
        let router = table.provider("router").unwrap();
        let fixed = |name| {
            table
                .any(name, Dialect::ChatCompletions, Some(router))
                .map(|(provider, model)| (provider.name.as_str(), model))
        };
        assert_eq!(fixed("main/x"), Some(("router", "main/x")), "the path decides");
        assert_eq!(fixed("router/x"), Some(("router", "x")));
    }
}
