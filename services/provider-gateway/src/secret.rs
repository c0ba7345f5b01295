//! What is secret here: provider keys in clear, and how they are sealed, shown and kept out of texts.
//!
//! Owns every conversion between a key in clear and anything else. It stores nothing: ciphertexts live in storage's rows.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use tandem_chat_core::id::{KeyId, UserId};

pub mod envelope;
pub mod keyring;
mod redact;

pub use redact::redact;

/// Shortest key of which the last characters are shown.
const MIN_CHARS_TO_SHOW_TAIL: usize = 12;

/// How many characters of a key are shown.
const TAIL_CHARS: usize = 4;

/// A provider key in clear. Cannot be printed; wiped from memory when dropped.
#[derive(Clone)]
pub struct ApiKey {
    /// Its row.
    pub id: KeyId,
    secret: Arc<SecretString>,
    user: Option<UserId>,
}

impl ApiKey {
    /// A key as it came from a person or an opened envelope.
    pub fn new(id: KeyId, secret: impl Into<SecretString>) -> Self {
        Self {
            id,
            secret: Arc::new(secret.into()),
            user: None,
        }
    }

    /// The same key as one that a user brought.
    pub fn of_user(self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// Whether a user brought it, as opposed to the provider's own keys.
    pub fn is_users(&self) -> bool {
        self.user.is_some()
    }

    /// The text, for the request that needs it.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, redacted)", self.id)
    }
}

/// What people see of a key, so that they recognise it: `sk-…abcd`. Short keys show nothing.
pub fn mask(key: &str) -> String {
    let count = key.chars().count();
    if count < MIN_CHARS_TO_SHOW_TAIL {
        return "…".to_owned();
    }
    let prefix = if key.starts_with("sk-") { "sk-" } else { "" };
    let tail: String = key.chars().skip(count - TAIL_CHARS).collect();
    format!("{prefix}…{tail}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_mask_shows_four_characters_of_long_keys_only() {
        assert_eq!(mask("sk-proj-0123456789f3Qa"), "sk-…f3Qa");
        assert_eq!(mask("0123456789ab"), "…89ab");
        assert_eq!(mask("sk-12345678"), "…");
        assert_eq!(mask("ääääääääääääbcde"), "…bcde");
    }

    #[test]
    fn a_key_cannot_be_printed() {
        let key = ApiKey::new(KeyId::new(Uuid::nil()), "sk-canary");
        assert!(!format!("{key:?}").contains("canary"));
    }
}
