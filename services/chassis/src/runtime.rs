//! What `run` of every service receives besides its own configuration, and what it gives back when it falls.

use std::{error::Error as StdError, sync::Arc};

use crate::{
    client::Outbound,
    clock::{self, Clock},
    config,
    health::Health,
    identity::{ServiceName, ServiceSecret, Signer, Verifier},
    lifecycle::{Shutdown, Tasks},
    metrics::Registry,
    server,
};

/// The parts a service shares with its process. Cheap to clone; clones share the parts.
#[derive(Clone)]
pub struct Runtime {
    pub clock: Arc<dyn Clock>,
    pub shutdown: Shutdown,
    pub tasks: Tasks,
    pub registry: Registry,
    pub health: Health,
    pub secret: ServiceSecret,
}

impl Runtime {
    /// A process around `secret`: system clock, running, no tasks, no metrics, not ready.
    pub fn new(secret: ServiceSecret) -> Self {
        let shutdown = Shutdown::new();
        Self {
            clock: Arc::new(clock::System),
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
            registry: Registry::new(),
            health: Health::new(),
            secret,
        }
    }

    /// The same process for one of its services: its own shutdown (a child of the process's), its own tasks, and
    /// health that speaks for it alone. Clock, registry and secret are shared.
    ///
    /// One process can so drain its services one after another, callers before those they call.
    pub fn for_service(&self, name: ServiceName) -> Self {
        let shutdown = self.shutdown.child();
        Self {
            tasks: Tasks::new(shutdown.clone()),
            shutdown,
            health: self.health.component(name.as_str()),
            ..self.clone()
        }
    }

    /// The same process with another clock, for tests.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Requests in the name of `service`. Keep it: it remembers signed tokens.
    pub fn outbound(&self, service: ServiceName) -> Outbound {
        Outbound::new(Signer::new(&self.secret, service, Arc::clone(&self.clock)))
    }

    /// Checks tokens of this installation's services.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.secret, Arc::clone(&self.clock))
    }
}

/// Why a service fell. Ending because it was asked to is no error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("could not {action}")]
    Start {
        /// What was attempted, as in "could not ...".
        action: String,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error(transparent)]
    Server(#[from] server::Error),
    #[error(transparent)]
    Client(#[from] crate::client::Error),
    #[error("task {name} ended, which the service cannot do without")]
    Task { name: &'static str },
}

impl RunError {
    /// Something needed at start did not work. `action` completes "could not ...".
    pub fn start(action: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Start {
            action: action.into(),
            source: source.into(),
        }
    }

    /// The process's exit code: [`config::EX_CONFIG`] for a configuration error, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => config::EX_CONFIG,
            Self::Start { .. } | Self::Server(_) | Self::Client(_) | Self::Task { .. } => 1,
        }
    }
}
