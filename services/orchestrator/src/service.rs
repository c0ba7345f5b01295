//! The one place that builds and connects the parts.

use std::sync::Arc;

use tandem_chassis::Runtime;
use tandem_chassis::identity::ServiceName;
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::server::Server;
use tandem_chassis::transport::{Address, Listener};
use tandem_chassis::with_message_limits;
use tandem_proto::orchestrator::v1::chat_command_service_server::ChatCommandServiceServer;
use tandem_proto::orchestrator::v1::chat_stream_service_server::ChatStreamServiceServer;
use tokio::sync::oneshot;

use crate::clients::Clients;
use crate::config::Config;
use crate::error::Error;
use crate::hints;
use crate::metrics::Metrics;
use crate::poll;
use crate::relay::Relays;
use crate::room::Hub;
use crate::rpc::{Commands, Streams};
use crate::title::Titles;
use crate::worker::Worker;

/// Runs an orchestrator on `listener` until the runtime drains: readers go, running chats are handed back, then it ends.
///
/// # Errors
/// [`Error`] when it cannot start or its server fails.
pub async fn run(config: Config, listener: Listener, runtime: Runtime) -> Result<(), Error> {
    let outbound = runtime.outbound(ServiceName::Orchestrator);
    let tls = config.peer_tls.clone();
    let clients = Clients::new(&config.peers, &tls, outbound.clone())?;
    let metrics = Metrics::new(&runtime.registry);
    let relays = Relays::new(config.advertised_address.clone(), tls, outbound, metrics.clone());
    let is_reachable = !matches!(listener.address(), Address::Memory(_));
    if is_reachable && config.advertised_address.is_none() {
        tracing::info!(
            "advertised_address is not set: other replicas cannot show the live parts of turns that run here"
        );
    }
    let hub = Arc::new(Hub::new());
    let titles = Titles::new(&config.side_jobs, &clients, &runtime);
    let worker = Worker::new(&config, &clients, &hub, &runtime, &metrics, &titles);

    let feed = hints::follow(clients.clone(), Arc::clone(&hub), worker.clone());
    let poll = poll::poll(clients.clone(), Arc::clone(&hub));
    // Readers need them for as long as they are served, which outlasts the beginning of the drain.
    let (serving, served) = oneshot::channel::<()>();
    runtime.tasks.spawn("follow hints", OnEnd::Fatal, async move {
        tokio::select! {
            _ = served => {}
            () = feed => {}
            () = poll => {}
        }
    });
    worker.start();
    runtime.health.set_serving(true);

    let commands = Commands::new(clients.clone(), Arc::clone(&hub), worker, titles);
    let streams = Streams::new(clients, hub, relays, metrics);
    let outcome = Server::new(ServiceName::Orchestrator, &runtime)
        .add_service(with_message_limits!(ChatCommandServiceServer::new(commands)))
        .add_service(with_message_limits!(ChatStreamServiceServer::new(streams)))
        .subscriptions("/tandem.orchestrator.v1.ChatStreamService/")
        .reflection(tandem_proto::FILE_DESCRIPTOR_SET)
        .serve(listener, runtime.shutdown.draining())
        .await;
    drop(serving);
    runtime.health.set_serving(false);
    outcome?;
    Ok(())
}
