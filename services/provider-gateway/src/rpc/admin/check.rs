//! What an administrator may store as a provider, field by field.
//!
//! Collects all violations of a request before it refuses it. Pure: whether a name is taken is storage's to say.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tandem_chassis::status::Fault;
use tandem_proto::{
    provider::v1::{CreateProviderRequest, KeyMutationSet, UpdateProviderRequest},
    storage::v1 as storage,
};
use tandem_protocols::Kind;
use url::Url;

use crate::{credentials, outbound::Policy};

/// Keys of one provider.
const MAX_KEYS: usize = 32;

/// Longest key.
const MAX_KEY_BYTES: usize = 10_240;

/// Longest name.
const MAX_NAME_BYTES: usize = 64;

/// Longest name for people.
const MAX_DISPLAY_NAME_CHARS: usize = 128;

/// Longest base address.
const MAX_BASE_URL_BYTES: usize = 2048;

/// Most completions at once that a provider may be told.
const MAX_CONCURRENT: i32 = 10_000;

/// Longest settings.
const MAX_SETTINGS_BYTES: usize = 16 * 1024;

/// Words in names of settings that hold secrets. Settings are stored in clear, so such ones are refused.
const SECRET_WORDS: [&str; 6] = ["secret", "password", "token", "api_key", "access_key", "private_key"];

/// A provider to be stored.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) is_enabled: bool,
    pub(super) base_url: String,
    pub(super) api_keys: Vec<String>,
    pub(super) settings_json: String,
    pub(super) policy: credentials::Policy,
    pub(super) max_concurrent: i32,
}

/// What is to be changed of a provider; `None` stays.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) display_name: Option<String>,
    pub(super) is_enabled: Option<bool>,
    pub(super) base_url: Option<String>,
    pub(super) keys: Option<Vec<KeyChange>>,
    pub(super) settings_json: Option<String>,
    pub(super) policy: Option<credentials::Policy>,
    pub(super) max_concurrent: Option<i32>,
}

/// One key of the wanted set.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KeyChange {
    /// The stored one of that id.
    Keep(String),
    /// A new one, in clear.
    Insert(String),
}

impl std::fmt::Debug for KeyChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keep(id) => write!(f, "Keep({id})"),
            Self::Insert(_) => f.write_str("Insert(redacted)"),
        }
    }
}

/// Checks requests.
pub(super) struct Checker {
    policy: Policy,
    violations: Vec<(String, String)>,
}

impl Checker {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            violations: Vec::new(),
        }
    }

    /// A new provider.
    ///
    /// # Errors
    /// All violations at once.
    pub(super) fn create(mut self, request: CreateProviderRequest) -> Result<Wanted, Fault> {
        let kind = self.kind(&request.r#type);
        self.name(&request.name);
        self.display_name(&request.display_name);
        let base_url = kind
            .map(|kind| self.base_url(kind, &request.name, &request.base_url))
            .unwrap_or_default();
        self.api_keys(kind, &request.api_keys);
        self.users_own(kind, &request.name, request.api_keys.len());
        self.settings(&request.settings_json);
        let policy = request.key_policy.map(credentials::Policy::from).unwrap_or_default();
        self.policy(policy);
        self.concurrent(request.max_concurrent);
        let display_name = match request.display_name.trim() {
            "" => request.name.clone(),
            text => text.to_owned(),
        };
        let wanted = kind.map(|kind| Wanted {
            kind,
            name: request.name,
            display_name,
            is_enabled: request.is_enabled,
            // The demo model is nowhere.
            base_url: base_url
                .filter(|_| kind != Kind::Demo)
                .map(|url| url.to_string())
                .unwrap_or_default(),
            api_keys: request.api_keys,
            settings_json: request.settings_json,
            policy,
            max_concurrent: request.max_concurrent,
        });
        self.done(wanted)
    }

    /// A change of the provider `row`. Keys are bound to the origin they were entered for: with a new origin, those that are not
    /// entered again are dropped.
    ///
    /// # Errors
    /// All violations at once.
    pub(super) fn update(mut self, request: UpdateProviderRequest, row: &storage::Provider) -> Result<Change, Fault> {
        let is_empty = request.display_name.is_none()
            && request.is_enabled.is_none()
            && request.base_url.is_none()
            && request.api_keys.is_none()
            && request.settings_json.is_none()
            && request.uses_central_keys.is_none()
            && request.allows_user_keys.is_none()
            && request.allows_central_fallback.is_none()
            && request.max_concurrent.is_none();
        if is_empty {
            self.violate("provider", "must change at least one field");
        }
        let kind = self.kind(&row.r#type);
        let display_name = request.display_name.map(|text| {
            self.display_name(&text);
            let text = text.trim();
            if text.is_empty() {
                row.name.clone()
            } else {
                text.to_owned()
            }
        });
        let base_url = request
            .base_url
            .and_then(|text| self.base_url(kind?, &row.name, &text))
            .map(|url| url.to_string());
        let is_moved = base_url.as_ref().is_some_and(|new| !is_same_origin(new, &row.base_url));
        let keys = match request.api_keys {
            Some(set) => {
                self.users_own(kind, &row.name, set.keys.len());
                let mut keys = self.key_changes(kind, &set, row);
                keys.retain(|key| !is_moved || matches!(key, KeyChange::Insert(_)));
                Some(keys)
            }
            None => is_moved.then(Vec::new),
        };
        if let Some(settings) = &request.settings_json {
            self.settings(settings);
        }
        let stored = row.key_policy.map(credentials::Policy::from).unwrap_or_default();
        let policy = credentials::Policy {
            uses_central: request.uses_central_keys.unwrap_or(stored.uses_central),
            allows_users: request.allows_user_keys.unwrap_or(stored.allows_users),
            allows_fallback: request.allows_central_fallback.unwrap_or(stored.allows_fallback),
        };
        let policy = Some(policy).filter(|policy| *policy != stored);
        if let Some(policy) = policy {
            self.policy(policy);
        }
        if let Some(count) = request.max_concurrent {
            self.concurrent(count);
        }
        self.done(Some(Change {
            display_name,
            is_enabled: request.is_enabled,
            base_url,
            keys,
            settings_json: request.settings_json,
            policy,
            max_concurrent: request.max_concurrent,
        }))
    }

    /// A user's own key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn user_key(mut self, key: &str) -> Result<(), Fault> {
        self.key("api_key", key);
        self.done(Some(()))
    }

    /// Type and address of a provider to be tested.
    ///
    /// # Errors
    /// All violations at once.
    pub(super) fn address(mut self, kind: &str, base_url: &str) -> Result<(Kind, Url), Fault> {
        let kind = self.kind(kind);
        let base_url = kind.and_then(|kind| self.base_url(kind, "", base_url));
        self.done(kind.zip(base_url))
    }

    fn violate(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push((field.into(), description.into()));
    }

    /// * `value`: present unless something was violated.
    fn done<T>(self, value: Option<T>) -> Result<T, Fault> {
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            Some(_) | None => {
                let message = match self.violations.as_slice() {
                    [(field, description)] => format!("{field} {description}"),
                    _ => "the provider cannot be accepted as it is".to_owned(),
                };
                let fault = Fault::invalid("INVALID_PROVIDER", message);
                Err(self
                    .violations
                    .into_iter()
                    .fold(fault, |fault, (field, description)| fault.violation(field, description)))
            }
        }
    }

    fn kind(&mut self, text: &str) -> Option<Kind> {
        let kind = Kind::find(text);
        if kind.is_none() {
            let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            self.violate("type", format!("must be one of {}", known.join(", ")));
        }
        kind
    }

    fn name(&mut self, name: &str) {
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if name.len() > MAX_NAME_BYTES {
            self.violate("name", format!("must be at most {MAX_NAME_BYTES} bytes"));
        } else if !name.split('-').all(is_word) {
            self.violate(
                "name",
                "must be lower-case letters and digits, with single hyphens between them",
            );
        }
    }

    fn display_name(&mut self, text: &str) {
        if text.chars().count() > MAX_DISPLAY_NAME_CHARS {
            self.violate(
                "display_name",
                format!("must be at most {MAX_DISPLAY_NAME_CHARS} characters"),
            );
        } else if text.chars().any(char::is_control) {
            self.violate("display_name", "must not contain control characters");
        }
    }

    /// * `name`: of the provider, if it has one already; some are somewhere else by their name.
    fn base_url(&mut self, kind: Kind, name: &str, text: &str) -> Option<Url> {
        let text = match (text.trim(), kind.default_base_url(name)) {
            ("", Some(default)) => default,
            ("", None) => {
                self.violate("base_url", format!("is required for {}", kind.display_name()));
                return None;
            }
            (text, _) => text,
        };
        let parsed = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(url) = parsed.filter(|_| text.len() <= MAX_BASE_URL_BYTES) else {
            self.violate("base_url", "must be an absolute http or https address");
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.violate(
                "base_url",
                "must not contain a user name or password; enter the key as API key",
            );
        } else if url.query().is_some() || url.fragment().is_some() {
            self.violate("base_url", "must not contain a query or fragment");
        } else if let Err(refused) = self.policy.check_url(&url) {
            self.violate("base_url", format!("must be an address that may be called: {refused}"));
        }
        Some(url)
    }

    fn policy(&mut self, policy: credentials::Policy) {
        if !policy.uses_central && !policy.allows_users {
            self.violate(
                "central_api_key_enabled",
                "must be true unless users may bring their own keys: there would be no key to use",
            );
        }
        if policy.allows_fallback && !(policy.uses_central && policy.allows_users) {
            self.violate(
                "allow_central_api_key_fallback",
                "needs both central_api_key_enabled and allow_user_api_key",
            );
        }
    }

    fn concurrent(&mut self, count: i32) {
        if !(0..=MAX_CONCURRENT).contains(&count) {
            self.violate("max_concurrent", format!("must be from 0 to {MAX_CONCURRENT}"));
        }
    }

    fn api_keys(&mut self, kind: Option<Kind>, keys: &[String]) {
        self.key_count(kind, keys.len());
        for (place, key) in keys.iter().take(MAX_KEYS).enumerate() {
            self.key(&format!("api_keys[{place}]"), key);
        }
        self.unique("api_keys", keys);
    }

    fn key_count(&mut self, kind: Option<Kind>, count: usize) {
        if count > MAX_KEYS {
            self.violate("api_keys", format!("must be at most {MAX_KEYS}"));
        }
        if count > 0 && kind == Some(Kind::Demo) {
            self.violate("api_keys", "must be empty: the demo model needs no key");
        }
    }

    /// A provider that is asked with users' own credentials has none.
    fn users_own(&mut self, kind: Option<Kind>, name: &str, keys: usize) {
        if keys > 0 && kind.is_some_and(|kind| kind.is_users_own(name)) {
            self.violate(
                "api_keys",
                "must be empty: this provider is asked with the credential that each user's program brings",
            );
        }
    }

    fn key(&mut self, field: &str, key: &str) {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            self.violate(field, format!("must be 1 to {MAX_KEY_BYTES} bytes"));
        } else if key.trim() != key {
            self.violate(field, "must not begin or end with white space");
        } else if key.chars().any(char::is_control) {
            self.violate(field, "must not contain control characters");
        }
    }

    fn unique<T: Eq + std::hash::Hash>(&mut self, field: &str, values: &[T]) {
        let distinct: HashSet<&T> = values.iter().collect();
        if distinct.len() < values.len() {
            self.violate(field, "must not contain the same key twice");
        }
    }

    fn key_changes(&mut self, kind: Option<Kind>, set: &KeyMutationSet, row: &storage::Provider) -> Vec<KeyChange> {
        self.key_count(kind, set.keys.len());
        let mut changes = Vec::with_capacity(set.keys.len().min(MAX_KEYS));
        for (place, key) in set.keys.iter().take(MAX_KEYS).enumerate() {
            match (key.id.as_str(), key.api_key.as_str()) {
                ("", "") => self.violate(
                    format!("api_keys[{place}]"),
                    "must name a stored key by id or give a new one",
                ),
                ("", new) => {
                    self.key(&format!("api_keys[{place}].api_key"), new);
                    changes.push(KeyChange::Insert(new.to_owned()));
                }
                (id, "") => {
                    if !row.keys.iter().any(|stored| stored.id == id) {
                        self.violate(format!("api_keys[{place}].id"), "must be the id of a stored key");
                    }
                    changes.push(KeyChange::Keep(id.to_owned()));
                }
                (_, _) => self.violate(format!("api_keys[{place}]"), "must not have both id and api_key"),
            }
        }
        let ids: Vec<&String> = changes
            .iter()
            .map(|change| match change {
                KeyChange::Keep(text) | KeyChange::Insert(text) => text,
            })
            .collect();
        self.unique("api_keys", &ids);
        changes
    }

    fn settings(&mut self, json: &str) {
        if json.is_empty() {
            return;
        }
        if json.len() > MAX_SETTINGS_BYTES {
            self.violate("settings", format!("must be at most {MAX_SETTINGS_BYTES} bytes"));
            return;
        }
        match serde_json::from_str::<Map<String, Value>>(json) {
            Ok(settings) => {
                let is_secret = |name: &&String| {
                    let name = name.to_ascii_lowercase();
                    SECRET_WORDS.iter().any(|word| name.contains(word))
                };
                if let Some(name) = settings.keys().find(is_secret) {
                    let field = format!("settings.{name}");
                    self.violate(field, "cannot be stored: this version keeps secrets as API keys only");
                }
            }
            Err(_) => self.violate("settings", "must be a JSON object"),
        }
    }
}

/// Scheme, host and port: what a key is bound to.
fn is_same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
