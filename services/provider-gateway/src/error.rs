//! Why this service does not do what it is asked, and how that looks from outside.
//!
//! Failures of a vendor in the middle of a completion are no errors here but its last event.

use tandem_chassis::{client, server, status::Fault};
use tonic::Status;

use crate::{
    completion::registry::Overloaded,
    secret::{envelope, keyring},
};

/// Why a call of this service is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Storage refused, or could not be reached. Its own words go on to the caller.
    #[error("storage: {0}")]
    Storage(Fault),
    /// The model is switched off or deleted.
    #[error("model {model} is disabled")]
    ModelDisabled {
        /// The vendor's name for it.
        model: String,
    },
    /// The provider is switched off.
    #[error("provider {provider} is disabled")]
    ProviderDisabled {
        /// Its name.
        provider: String,
    },
    /// The provider has no key and cannot do without.
    #[error("provider {provider} has no API key")]
    MissingKey {
        /// Its name.
        provider: String,
    },
    /// The provider is called with users' own keys, and this user has none.
    #[error("provider {provider} needs the user's own API key")]
    UserKeyRequired {
        /// Its name.
        provider: String,
    },
    /// Users may bring no key.
    #[error("users cannot bring their own key for provider {provider}")]
    UserKeysDisabled {
        /// Its name.
        provider: String,
    },
    /// The provider's keys cannot be opened here.
    #[error("keys of provider {provider} cannot be opened")]
    KeysUnreadable {
        /// Its name.
        provider: String,
        /// Why.
        #[source]
        source: envelope::Error,
    },
    /// A key cannot be sealed.
    #[error("could not seal a key")]
    Seal(#[from] envelope::Error),
    /// Too many completions run.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service is stopping.
    #[error("the service is stopping")]
    Draining,
    /// No such completion, or not from that place on.
    #[error("completion is not held here")]
    CompletionNotFound,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Storage(status.into())
    }
}

impl Error {
    /// How it looks from outside.
    pub fn outside(self) -> Fault {
        let text = self.to_string();
        match self {
            Self::Storage(fault) => fault,
            Self::ModelDisabled { model } => {
                Fault::wrong_state("MODEL_DISABLED", format!("The model {model} is disabled."))
            }
            Self::ProviderDisabled { provider } => {
                Fault::wrong_state("PROVIDER_DISABLED", format!("The provider {provider} is disabled."))
            }
            Self::MissingKey { provider } => Fault::wrong_state(
                "MISSING_KEY",
                format!("The provider {provider} has no API key. An administrator can add one."),
            ),
            Self::UserKeyRequired { provider } => Fault::wrong_state(
                "USER_KEY_REQUIRED",
                format!("The provider {provider} needs an API key of your own. Add it in your settings."),
            ),
            Self::UserKeysDisabled { provider } => Fault::forbidden(
                "BYOK_DISABLED",
                format!("Users cannot bring their own API key for {provider}."),
            ),
            Self::KeysUnreadable { provider, source } => Fault::wrong_state(
                "KEYS_UNREADABLE",
                format!(
                    "The stored keys of provider {provider} cannot be opened: {source}. \
                     Restore the key-encryption key, or enter the API keys again."
                ),
            ),
            Self::Seal(envelope::Error::NoKek) => Fault::wrong_state(
                "KEK_MISSING",
                "API keys cannot be stored: no key-encryption key is configured for provider-gateway.",
            ),
            Self::Seal(source) => Fault::internal("SEAL_FAILED", format!("{text}: {source}")),
            Self::Overloaded(Overloaded { .. }) => {
                Fault::unavailable("OVERLOADED", "too many model calls are running").retry_after(RETRY_WHEN_OVERLOADED)
            }
            Self::Draining => Fault::unavailable("DRAINING", text),
            Self::CompletionNotFound => Fault::not_found("COMPLETION_NOT_FOUND", text),
        }
    }
}

/// When a refused caller may come back.
const RETRY_WHEN_OVERLOADED: std::time::Duration = std::time::Duration::from_secs(1);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.outside().into()
    }
}

/// Why [`crate::run`] ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address or certificate of a peer that cannot be used.
    #[error("storage's address cannot be used")]
    Peer(#[from] client::Error),
    /// The sealing key cannot be used.
    #[error("the key-encryption key cannot be used")]
    Kek(#[from] keyring::Error),
    /// The bridge's own listener could not be bound.
    #[error("the bridge could not listen at {address}")]
    Listen {
        /// Where.
        address: tandem_chassis::transport::Address,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Records of the bridge cannot be kept for so long as is configured.
    #[error(transparent)]
    Retention(#[from] crate::bridge::BadAge),
    /// The HTTP client could not be built.
    #[error("the outbound HTTP client could not be built")]
    Outbound(#[from] reqwest::Error),
    /// The server could not start or ended.
    #[error("the server could not run")]
    Server(#[from] server::Error),
}

#[cfg(test)]
mod tests {
    use tandem_chassis::status::Code;

    use super::*;

    #[test]
    fn refusals_say_what_the_contract_promises() {
        let reason = |error: Error| {
            let fault = error.outside();
            (fault.code, fault.reason.into_owned())
        };
        let provider = || "p".to_owned();
        assert_eq!(
            reason(Error::ModelDisabled { model: provider() }),
            (Code::WrongState, "MODEL_DISABLED".to_owned())
        );
        assert_eq!(
            reason(Error::ProviderDisabled { provider: provider() }).1,
            "PROVIDER_DISABLED"
        );
        assert_eq!(reason(Error::MissingKey { provider: provider() }).1, "MISSING_KEY");
        assert_eq!(
            reason(Error::UserKeyRequired { provider: provider() }),
            (Code::WrongState, "USER_KEY_REQUIRED".to_owned())
        );
        assert_eq!(
            reason(Error::UserKeysDisabled { provider: provider() }),
            (Code::Forbidden, "BYOK_DISABLED".to_owned())
        );
        assert_eq!(
            reason(Error::CompletionNotFound),
            (Code::NotFound, "COMPLETION_NOT_FOUND".to_owned())
        );
    }
}
