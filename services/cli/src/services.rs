//! The services by name, and starting one of them.

use sqlx::postgres::PgConnectOptions;
use tandem_chassis::Runtime;
use tandem_chassis::identity::ServiceName;
use tandem_chassis::transport::{Address, Listener};
use tokio::sync::oneshot;

use crate::config::Config;

/// A service that can run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Storage,
    ProviderGateway,
    ToolRunner,
    Orchestrator,
    Gateway,
}

impl Name {
    /// Every service, callers before those they call: the order in which they drain.
    pub(crate) const DRAIN_ORDER: [Self; 5] = [
        Self::Gateway,
        Self::Orchestrator,
        Self::ProviderGateway,
        Self::ToolRunner,
        Self::Storage,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        self.service().as_str()
    }

    /// The name in environment variables.
    pub(crate) fn variable(self) -> String {
        self.as_str().replace('-', "_").to_uppercase()
    }

    pub(crate) fn service(self) -> ServiceName {
        match self {
            Self::Storage => ServiceName::Storage,
            Self::ProviderGateway => ServiceName::ProviderGateway,
            Self::ToolRunner => ServiceName::ToolRunner,
            Self::Orchestrator => ServiceName::Orchestrator,
            Self::Gateway => ServiceName::Gateway,
        }
    }

    /// Where the service is found within one process.
    pub(crate) fn memory_address(self) -> Address {
        Address::Memory(self.as_str().to_owned())
    }
}

/// What only some services get.
#[derive(Default)]
pub(crate) struct Extras {
    /// The private database, for storage.
    pub(crate) database: Option<PgConnectOptions>,
    /// Who prints the link of the first sign-in, for the gateway.
    pub(crate) setup_link: Option<oneshot::Sender<String>>,
}

/// Runs a service to its end.
pub(crate) async fn run(
    name: Name,
    config: Config,
    listener: Listener,
    runtime: Runtime,
    extras: Extras,
) -> anyhow::Result<()> {
    match name {
        Name::Storage => tandem_storage::run(config.storage, extras.database, listener, runtime).await?,
        Name::ProviderGateway => tandem_provider_gateway::run(config.provider_gateway, listener, runtime).await?,
        Name::ToolRunner => tandem_tool_runner::run(config.tool_runner, listener, runtime).await?,
        Name::Orchestrator => tandem_orchestrator::run(config.orchestrator, listener, runtime).await?,
        Name::Gateway => tandem_gateway::run(config.gateway, listener, runtime, extras.setup_link).await?,
    }
    Ok(())
}
