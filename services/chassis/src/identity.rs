//! Who is calling: the shared service secret, the short-lived tokens signed with it, and the [`Caller`] a server
//! finds in each request. Users' own passwords, sessions and API tokens are not here; the gateway checks those and
//! then passes the user on inside a token of this kind.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::status::Fault;

mod secret;
mod token;

pub use secret::ServiceSecret;
pub use token::{CLOCK_LEEWAY, Signer, TOKEN_LIFETIME, Verifier};

/// Why a secret or a token could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("service secret must be at least {min} bytes of hex text")]
    SecretTooShort { min: usize },
    #[error("service secret is not hex text")]
    SecretNotHex,
    #[error("could not read service secret {path}")]
    SecretRead {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not write service secret {path}")]
    SecretWrite {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("service secret {path} is readable by others; its mode must be 0600")]
    SecretExposed { path: std::path::PathBuf },
    #[error("no source of randomness")]
    Entropy,
    #[error("could not sign a caller token")]
    Sign(#[source] jsonwebtoken::errors::Error),
    #[error("caller token is not valid")]
    Token(#[source] jsonwebtoken::errors::Error),
    #[error("caller token has expired, or the clocks of both machines are more than a quarter of an hour apart")]
    Expired,
}

/// The programs that call each other.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    Gateway,
    Orchestrator,
    ProviderGateway,
    ToolRunner,
    Storage,
    WorkspaceAgent,
    Cli,
}

impl ServiceName {
    /// Every name.
    pub const ALL: [Self; 7] = [
        Self::Gateway,
        Self::Orchestrator,
        Self::ProviderGateway,
        Self::ToolRunner,
        Self::Storage,
        Self::WorkspaceAgent,
        Self::Cli,
    ];

    /// The name as in commands, tokens and logs: `provider-gateway`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Orchestrator => "orchestrator",
            Self::ProviderGateway => "provider-gateway",
            Self::ToolRunner => "tool-runner",
            Self::Storage => "storage",
            Self::WorkspaceAgent => "workspace-agent",
            Self::Cli => "cli",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no service's name.
#[derive(Debug, thiserror::Error)]
#[error("no service is called {0:?}")]
pub struct UnknownService(String);

impl FromStr for ServiceName {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| UnknownService(text.chars().take(64).collect()))
    }
}

/// The person (or their program) on whose behalf a service calls.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct User {
    pub id: Uuid,
    pub is_admin: bool,
    /// Organisations the user is a member of; any order, may be empty.
    pub organization_ids: Vec<Uuid>,
}

/// Who sent a request: always a service, sometimes for a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    pub service: ServiceName,
    pub user: Option<User>,
}

impl Caller {
    /// The verified caller of `request`, put there by the server stack.
    ///
    /// # Errors
    /// `Unauthenticated` when there is none: the method is exempt from verification, or no server stack was used.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Status> {
        request
            .extensions()
            .get::<Arc<Self>>()
            .map(AsRef::as_ref)
            .ok_or_else(|| Fault::unauthenticated("CALLER_MISSING", "the request names no caller").into())
    }

    /// Puts this caller into `request`, as the server stack does. For tests that call a handler directly.
    pub fn attach<T>(self, request: &mut Request<T>) {
        request.extensions_mut().insert(Arc::new(self));
    }

    /// The user on whose behalf the service calls.
    ///
    /// # Errors
    /// `Unauthenticated` (`USER_MISSING`) when the service calls for itself.
    pub fn user(&self) -> Result<&User, Status> {
        self.user
            .as_ref()
            .ok_or_else(|| Fault::unauthenticated("USER_MISSING", "this call needs a signed-in user").into())
    }

    /// Like [`Caller::user`], and the user must be an administrator.
    ///
    /// # Errors
    /// `Unauthenticated` without a user, `PermissionDenied` (`ADMIN_ONLY`) for any other user.
    pub fn admin(&self) -> Result<&User, Status> {
        let user = self.user()?;
        if user.is_admin {
            Ok(user)
        } else {
            Err(Fault::forbidden("ADMIN_ONLY", "only an administrator may do this").into())
        }
    }

    /// Refuses services that are not in `allowed`.
    ///
    /// # Errors
    /// `PermissionDenied` (`SERVICE_NOT_ALLOWED`).
    pub fn require_service(&self, allowed: &[ServiceName]) -> Result<(), Status> {
        if allowed.contains(&self.service) {
            Ok(())
        } else {
            Err(Fault::forbidden("SERVICE_NOT_ALLOWED", format!("{} may not call this", self.service)).into())
        }
    }
}

#[cfg(test)]
mod tests;
