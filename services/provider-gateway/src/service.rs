//! The one place that builds and connects the parts.

use std::{sync::Arc, time::Duration};

use tandem_chassis::{
    Runtime, client, identity::ServiceName, server::Server, transport::Listener, with_message_limits,
};
use tandem_proto::provider::v1::{
    bridge_service_server::BridgeServiceServer, completion_service_server::CompletionServiceServer,
    provider_admin_service_server::ProviderAdminServiceServer,
};
use tandem_protocols::{AwsEnvironment, Protocols, demo, http::Http};

use crate::{
    bridge::{self, Bridge, authenticate::Accounts, forward::Forward, listener},
    catalog::Catalog,
    completion::task::Runner,
    config::Config,
    error::RunError,
    health::Health,
    metrics::Metrics,
    outbound::Outbound,
    rpc::{Admin, Completions},
    secret::keyring,
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
    let keyring = Arc::new(keyring::load(&config)?);
    match keyring.current() {
        Some(kek) => tracing::info!(version = %format_args!("{:08x}", kek.version()), "key-encryption key loaded"),
        None => tracing::warn!("no key-encryption key is configured; provider keys cannot be stored"),
    }
    let outbound = Outbound::new(&config.outbound)?;
    let storage = client::channel(&config.peers.storage, &config.peer_tls)?;
    let tool_runner = client::channel(&config.peers.tool_runner, &config.peer_tls)?;
    let catalog = Catalog::new(
        &config,
        runtime.outbound(ServiceName::ProviderGateway),
        storage.clone(),
        keyring,
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
        storage.clone(),
        metrics.clone(),
        Arc::clone(&clock),
    );
    let health = Health::new(&config, &metrics, &clock);
    let runner = Runner::new(
        &config,
        &runtime,
        catalog.clone(),
        Arc::clone(&health),
        protocols,
        ledger.clone(),
        metrics.clone(),
    );
    let bridge = Bridge::new(
        &config,
        &runtime,
        bridge::Shared {
            catalog: catalog.clone(),
            runner: runner.clone(),
            health: Arc::clone(&health),
            ledger: ledger.clone(),
            metrics,
            outbound: outbound.clone(),
            storage: storage.clone(),
            tool_runner,
        },
    )?;
    let bridge_listener = match &config.bridge.listen {
        Some(address) => {
            let bound = Listener::bind_certified(address, config.bridge.tls.as_ref()).await;
            Some(bound.map_err(|source| RunError::Listen {
                address: address.clone(),
                source,
            })?)
        }
        None => None,
    };
    let accounts = Accounts::new(runtime.outbound(ServiceName::ProviderGateway), storage);
    let completions = Completions::new(runner.clone(), catalog.clone());
    let admin = Admin::new(catalog, outbound, clock, health, replica());

    runtime.health.set_serving(true);
    let serving = async {
        let serving = Server::new(ServiceName::ProviderGateway, &runtime)
            .add_service(with_message_limits!(CompletionServiceServer::new(completions)))
            .add_service(with_message_limits!(ProviderAdminServiceServer::new(admin)))
            .add_service(with_message_limits!(BridgeServiceServer::new(Forward::new(
                bridge.clone()
            ))))
            .reflection(tandem_proto::FILE_DESCRIPTOR_SET)
            .serve(listener, runtime.shutdown.draining());
        let serving = async {
            let served = serving.await;
            // The one does not go on without the other.
            runtime.shutdown.drain();
            served
        };
        let bridging = async {
            if let Some(listener) = bridge_listener {
                listener::serve(listener, bridge.clone(), accounts, runtime.shutdown.clone()).await;
            }
        };
        // Draining, each serves until its own exchanges have ended.
        let (served, ()) = tokio::join!(serving, bridging);
        runtime.health.set_serving(false);
        runner.registry().cancel_all();
        // The recorder runs until it is told that nothing more comes.
        bridge.close().await;
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

/// A name for this process that people can tell from its siblings': host and process id.
fn replica() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
