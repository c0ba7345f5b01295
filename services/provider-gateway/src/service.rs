//! The one place that builds and connects the parts.

use std::{sync::Arc, time::Duration};

use tandem_chassis::{
    Runtime, client, identity::ServiceName, server::Server, transport::Listener, with_message_limits,
};
use tandem_proto::provider::v1::{
    completion_service_server::CompletionServiceServer, provider_admin_service_server::ProviderAdminServiceServer,
};

use crate::{
    catalog::Catalog,
    completion::task::Runner,
    config::Config,
    error::RunError,
    metrics::Metrics,
    outbound::Outbound,
    provider::{Protocols, demo, http::Http},
    rpc::{Admin, Completions},
    secret::keyring::Keyring,
};

/// Time for stopped completions to say their last word.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// Runs a provider gateway on `listener` until the runtime drains: nothing new is taken, running answers are read to their end, and
/// what nobody reads any more is stopped.
///
/// # Errors
/// [`RunError`] when it cannot start or its server fails.
pub async fn run(config: Config, listener: Listener, runtime: Runtime) -> Result<(), RunError> {
    let keyring = Arc::new(Keyring::load(&config)?);
    match keyring.current() {
        Some(kek) => tracing::info!(version = %format_args!("{:08x}", kek.version()), "key-encryption key loaded"),
        None => tracing::warn!("no key-encryption key is configured; provider keys cannot be stored"),
    }
    let outbound = Outbound::new(&config.outbound)?;
    let storage = client::channel(&config.peers.storage, &config.peer_tls)?;
    let catalog = Catalog::new(
        runtime.outbound(ServiceName::ProviderGateway),
        storage,
        keyring,
        config.cache_ttl,
    );
    let protocols = Protocols {
        http: Http::new(outbound.clone(), Arc::clone(&runtime.clock)),
        demo: demo::Model::new(&config.demo),
    };
    let metrics = Metrics::new(&runtime.registry);
    let clock = Arc::clone(&runtime.clock);
    let runner = Runner::new(
        &config,
        protocols,
        metrics,
        Arc::clone(&clock),
        runtime.tasks.clone(),
        runtime.shutdown.clone(),
    );
    let replica_address = config
        .replica_address
        .map(|address| address.to_string())
        .unwrap_or_default();
    let completions = Completions::new(runner.clone(), catalog.clone(), replica_address);
    let admin = Admin::new(catalog, outbound, clock);

    runtime.health.set_serving(true);
    let served = Server::new(ServiceName::ProviderGateway, &runtime)
        .add_service(with_message_limits!(CompletionServiceServer::new(completions)))
        .add_service(with_message_limits!(ProviderAdminServiceServer::new(admin)))
        .reflection(tandem_proto::FILE_DESCRIPTOR_SET)
        .serve(listener, runtime.shutdown.draining())
        .await;
    runtime.health.set_serving(false);
    runner.registry().cancel_all();
    if let Err(left) = runtime.tasks.finish(LAST_EVENTS).await {
        tracing::warn!(tasks = left.len(), "completions did not end in time");
    }
    served?;
    Ok(())
}
