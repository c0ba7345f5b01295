//! The server side of every gRPC call: one stack for all services.
//!
//! A request passes, top to bottom, with the reason for each place:
//!
//! 1. **panic**: outermost, so that no fault of any layer or handler takes the connection down; answers `internal`.
//! 2. **trace span**: everything below logs within it; continues the caller's trace.
//! 3. **metrics**: inside the span and above all refusals, so that refused requests are counted too.
//! 4. **load**: before any work is done for the request; refuses instead of queueing, so that overload stays short.
//! 5. **identity**: nothing below runs for an unknown caller. Health, reflection and the given prefixes are exempt.
//! 6. **deadline and stop**: closest to the handler, so that it is dropped when nobody waits or the process ends.
//!
//! The same holds for streamed responses: their body carries span, metrics, load permit, deadline and stop to its end.

use std::{collections::BTreeSet, convert::Infallible, future::Future, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    server::NamedService,
    service::{Routes, RoutesBuilder},
};
use tower::Service;

use crate::{
    MAX_HEADER_BYTES, MAX_MESSAGE_BYTES, Runtime, client, config, health::HealthRpc, identity::ServiceName,
    transport::Listener,
};

mod body;
mod deadline;
pub(crate) mod metrics;
mod stack;

/// Streams one connection may carry at once. All calls between two services share one connection.
const MAX_STREAMS_PER_CONNECTION: u32 = 16_384;

/// Bounds of a server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests and open streams at once; more are refused as `unavailable`, `OVERLOADED`.
    pub max_in_flight: usize,
    /// Time to answer (to open, for streams) when the caller names none.
    #[serde(with = "config::duration")]
    pub default_deadline: Duration,
    /// Longest deadline a caller may name; longer ones are shortened to it.
    #[serde(with = "config::duration")]
    pub max_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_in_flight: 20_000,
            default_deadline: Duration::from_secs(30),
            max_deadline: Duration::from_secs(60 * 60),
        }
    }
}

/// Why a server could not start or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("descriptors for reflection are not valid")]
    Reflection(#[source] tonic_reflection::server::Error),
    #[error("server ended")]
    Serve(#[source] tonic::transport::Error),
}

/// One gRPC server being put together.
pub struct Server {
    name: ServiceName,
    runtime: Runtime,
    routes: RoutesBuilder,
    services: BTreeSet<&'static str>,
    exempt: Vec<&'static str>,
    subscriptions: Vec<&'static str>,
    limits: Limits,
    descriptors: &'static [u8],
}

impl Server {
    /// A server of `name` with no service yet.
    pub fn new(name: ServiceName, runtime: &Runtime) -> Self {
        Self {
            name,
            runtime: runtime.clone(),
            routes: Routes::builder(),
            services: BTreeSet::new(),
            exempt: vec!["/grpc.health.v1.Health/", "/grpc.reflection."],
            subscriptions: Vec::new(),
            limits: Limits::default(),
            descriptors: &[],
        }
    }

    /// Adds a generated service. Its message limits are its own: wrap it in [`crate::with_message_limits!`].
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.services.insert(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Lets requests whose path starts with `method_prefix` (`/tandem.workspace.v1.WorkspaceLink/`) in without a caller
    /// token. Their handlers must authenticate by themselves; a valid token is still understood.
    pub fn exempt(mut self, method_prefix: &'static str) -> Self {
        self.exempt.push(method_prefix);
        self
    }

    /// Ends streams whose path starts with `method_prefix` as `unavailable`, `DRAINING`, as soon as the server begins to
    /// drain: their clients stay for as long as both sides want, and take them up elsewhere.
    pub fn subscriptions(mut self, method_prefix: &'static str) -> Self {
        self.subscriptions.push(method_prefix);
        self
    }

    /// Offers these encoded descriptors by reflection.
    pub fn reflection(mut self, encoded_descriptors: &'static [u8]) -> Self {
        self.descriptors = encoded_descriptors;
        self
    }

    /// Replaces the default bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves on `listener` until `shutdown` completes and all requests have ended, or until the runtime's shutdown is
    /// stopped, which ends the remaining ones as `unavailable`.
    ///
    /// `shutdown` is usually `runtime.shutdown.draining()`; a service whose clients still need it while it drains gives
    /// a later moment. Readiness ([`crate::health`]) stays the service's own to set.
    ///
    /// # Errors
    /// Descriptors that cannot be used. A failed accept is no error.
    pub async fn serve(
        mut self,
        listener: Listener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let address = listener.address().clone();
        self.add_standard_services()?;
        let server = tonic::transport::Server::builder()
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .initial_stream_window_size(client::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(client::CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(client::KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(client::KEEP_ALIVE_TIMEOUT));
        let stopped = self.runtime.shutdown.stopped();
        let draining = CancellationToken::new();
        let paths = stack::Paths {
            services: self.services,
            exempt: self.exempt,
            subscriptions: self.subscriptions,
        };
        let stack = stack::StackLayer::new(&self.runtime, paths, self.limits, draining.clone());
        let shutdown = async move {
            shutdown.await;
            draining.cancel();
        };
        tracing::info!(service = %self.name, %address, "serving");
        let serving = server
            .layer(stack)
            .add_routes(self.routes.routes())
            .serve_with_incoming_shutdown(listener.incoming(), shutdown);
        tokio::select! {
            served = serving => served.map_err(Error::Serve),
            () = stop_grace(stopped) => Ok(()),
        }
    }

    fn add_standard_services(&mut self) -> Result<(), Error> {
        let health = HealthRpc::new(self.runtime.health.clone(), self.services.clone());
        let health = tonic_health::pb::health_server::HealthServer::new(health);
        self.routes
            .add_service(health.max_decoding_message_size(MAX_MESSAGE_BYTES));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(self.descriptors)
            .build_v1()
            .map_err(Error::Reflection)?;
        self.routes.add_service(reflection);
        self.services.insert("grpc.health.v1.Health");
        self.services.insert("grpc.reflection.v1.ServerReflection");
        Ok(())
    }
}

/// After a hard stop every request ends by itself; this is the time their last frames get to leave.
async fn stop_grace(stopped: impl Future<Output = ()>) {
    const LAST_FRAMES: Duration = Duration::from_millis(500);
    stopped.await;
    tokio::time::sleep(LAST_FRAMES).await;
}

#[cfg(test)]
mod tests;
