//! `grpc.health.v1.Health` over [`Health`]. The empty name asks for the component; so does every gRPC service it
//! offers, since a component serves all of them or none.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server};

use super::Health;
use crate::status::Fault;

#[derive(Clone)]
pub(crate) struct HealthRpc {
    health: Health,
    services: Arc<BTreeSet<&'static str>>,
}

impl HealthRpc {
    pub(crate) fn new(health: Health, services: BTreeSet<&'static str>) -> Self {
        Self {
            health,
            services: Arc::new(services),
        }
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(service)
    }

    fn now(&self) -> ServingStatus {
        if self.health.is_component_ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl health_server::Health for HealthRpc {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Fault::not_found("SERVICE_UNKNOWN", "no such service here").into());
        }
        Ok(Response::new(response(self.now())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !self.knows(&request.get_ref().service) {
            // The protocol wants an open stream here, since a service may appear; ours never do.
            let unknown = stream::iter([Ok(response(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(Box::pin(unknown.chain(stream::pending()))));
        }
        let start = (self.clone(), self.health.changes(), None);
        let statuses = stream::unfold(start, |(this, mut changes, last)| async move {
            loop {
                let now = this.now();
                if last != Some(now) {
                    return Some((Ok(response(now)), (this, changes, Some(now))));
                }
                changes.changed().await.ok()?;
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}
