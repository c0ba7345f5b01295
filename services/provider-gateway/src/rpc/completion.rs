//! Completions for orchestrators: start or attach, read, stop.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt};
use tandem_chassis::{
    identity::{Caller, ServiceName},
    status::Fault,
};
use tandem_chat_core::id::CompletionId;
use tandem_proto::provider::v1::{
    AttachRequest, AttachResponse, CancelCompletionRequest, CancelCompletionResponse, CompleteRequest, CompleteResponse,
    completion_service_server::CompletionService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    catalog::Catalog,
    completion::{Request as Wanted, buffer::Reader, registry::Completion, task::Runner},
    error::Error,
};

/// Services that may have models called.
const CALLERS: [ServiceName; 2] = [ServiceName::Orchestrator, ServiceName::Gateway];

/// The service for orchestrators.
#[derive(Clone)]
pub(crate) struct Completions {
    catalog: Catalog,
    runner: Runner,
    replica_address: String,
}

impl Completions {
    /// Over the completions of this replica, which is reached at `replica_address`; empty if it is the only one.
    pub(crate) fn new(catalog: Catalog, runner: Runner, replica_address: String) -> Self {
        Self {
            catalog,
            runner,
            replica_address,
        }
    }

    fn events<T>(
        &self,
        reader: Reader,
        wrap: impl Fn(tandem_proto::provider::v1::CompletionEvent) -> T + Send + 'static,
    ) -> Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>
    where
        T: Send + 'static,
    {
        let replica_address = self.replica_address.clone();
        let events = reader.into_stream();
        Box::pin(events.map(move |(index, event)| Ok(wrap(convert::event(index, &event, &replica_address)))))
    }

    /// Starts a completion or finds the one of that id, which needs no model any more.
    async fn start(&self, wanted: Wanted) -> Result<Arc<Completion>, Error> {
        if let Some(known) = self.runner.registry().find(wanted.id) {
            return Ok(known);
        }
        let model = self.catalog.model(wanted.model_config_id).await?;
        let kind = model.provider.kind;
        let protocol = kind.protocol().ok_or(Error::ProtocolNotSupported { kind })?;
        self.runner.start(wanted, model, protocol)
    }

    fn find(&self, id: CompletionId) -> Result<Arc<Completion>, Error> {
        self.runner.registry().find(id).ok_or(Error::CompletionNotFound)
    }
}

fn completion_id(text: &str) -> Result<CompletionId, Fault> {
    text.parse().map_err(|_| {
        Fault::invalid("COMPLETION_INVALID", "The request cannot be accepted.").violation("completion_id", "must be a uuid")
    })
}

#[tonic::async_trait]
impl CompletionService for Completions {
    type CompleteStream = Pin<Box<dyn Stream<Item = Result<CompleteResponse, Status>> + Send>>;
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn complete(&self, request: Request<CompleteRequest>) -> Result<Response<Self::CompleteStream>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let wanted = convert::request(request.into_inner())?;
        let completion = self.start(wanted).await?;
        let reader = completion.buffer.read(None).ok_or(Error::CompletionNotFound)?;
        Ok(Response::new(self.events(reader, |event| CompleteResponse { event: Some(event) })))
    }

    async fn attach(&self, request: Request<AttachRequest>) -> Result<Response<Self::AttachStream>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let wanted = request.into_inner();
        let completion = self.find(completion_id(&wanted.completion_id)?)?;
        let reader = completion.buffer.read(u64::try_from(wanted.after_index).ok()).ok_or(Error::CompletionNotFound)?;
        Ok(Response::new(self.events(reader, |event| AttachResponse { event: Some(event) })))
    }

    async fn cancel_completion(
        &self,
        request: Request<CancelCompletionRequest>,
    ) -> Result<Response<CancelCompletionResponse>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let completion = self.find(completion_id(&request.get_ref().completion_id)?)?;
        let was_running = !completion.buffer.is_closed();
        completion.cancel.cancel();
        Ok(Response::new(CancelCompletionResponse { was_running }))
    }
}
