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
    provider::{AwsEnvironment, Protocols, demo, http::Http},
    rpc::{Admin, Completions},
    secret::keyring::Keyring,
    spend::ledger::Ledger,
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
        storage.clone(),
        keyring,
        config.cache_ttl,
    );
    let protocols = Protocols {
        http: Http::new(outbound.clone(), Arc::clone(&runtime.clock)),
        aws: AwsEnvironment::read(|name| std::env::var(name).ok()),
        demo: demo::Model::new(&config.demo),
    };
    let metrics = Metrics::new(&runtime.registry);
    let clock = Arc::clone(&runtime.clock);
    let (ledger, teller) = Ledger::new(
        config.spend.clone(),
        runtime.outbound(ServiceName::ProviderGateway),
        storage,
        metrics.clone(),
        Arc::clone(&clock),
    );
    let runner = Runner::new(
        &config,
        protocols,
        ledger.clone(),
        metrics,
        Arc::clone(&clock),
        runtime.tasks.clone(),
        runtime.shutdown.clone(),
    );
    let completions = Completions::new(runner.clone(), catalog.clone());
    let admin = Admin::new(catalog, outbound, clock);

    runtime.health.set_serving(true);
    let serving = async {
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
        // What the last completions have used is told when all of them have ended.
        ledger.close().await;
        served
    };
    let (served, ()) = tokio::join!(serving, teller.run());
    served?;
    Ok(())
}
