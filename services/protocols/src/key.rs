//! A key as the one request that shows it needs it.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use tandem_chat_core::id::{KeyId, UserId};

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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_key_cannot_be_printed() {
        let key = ApiKey::new(KeyId::new(Uuid::nil()), "sk-canary");
        assert!(!format!("{key:?}").contains("canary"));
    }
}
