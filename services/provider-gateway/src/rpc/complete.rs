//! `CompletionService`: completions for orchestrators.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use tandem_chassis::identity::{Caller, ServiceName};
use tandem_proto::provider::v1::{
    AttachRequest, AttachResponse, CancelCompletionRequest, CancelCompletionResponse, CompleteRequest,
    CompleteResponse, CompletionEvent, completion_service_server::CompletionService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    catalog::Catalog,
    completion::{buffer::Reader, task::Runner},
    error::Error,
};

/// Who may ask for completions: they run on chats' behalf, and on that of programs at the gateway.
const CALLERS: [ServiceName; 2] = [ServiceName::Orchestrator, ServiceName::Gateway];

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The handler.
pub struct Completions {
    runner: Runner,
    catalog: Catalog,
    replica_address: String,
}

impl Completions {
    /// A handler that runs completions with `runner`.
    ///
    /// * `replica_address`: where orchestrators find this replica again; may be empty.
    pub fn new(runner: Runner, catalog: Catalog, replica_address: String) -> Self {
        Self {
            runner,
            catalog,
            replica_address,
        }
    }

    fn events<T>(&self, reader: Reader, wrap: impl Fn(CompletionEvent) -> T + Send + 'static) -> Events<T> {
        let replica_address = self.replica_address.clone();
        let events = reader
            .into_stream()
            .map(move |(index, event)| Ok(wrap(convert::event(index, &event, &replica_address))));
        Box::pin(events)
    }
}

#[tonic::async_trait]
impl CompletionService for Completions {
    type CompleteStream = Events<CompleteResponse>;
    type AttachStream = Events<AttachResponse>;

    async fn complete(&self, request: Request<CompleteRequest>) -> Result<Response<Self::CompleteStream>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let request = convert::request(request.into_inner())?;
        let completion = match self.runner.registry().find(request.id) {
            Some(known) => known,
            None => {
                let model = self.catalog.model(request.model_config_id).await?;
                let protocol = model.provider.kind.protocol();
                self.runner.start(request, model, protocol)?
            }
        };
        let reader = completion.buffer.read(None).ok_or(Error::CompletionNotFound)?;
        let events = self.events(reader, |event| CompleteResponse { event: Some(event) });
        Ok(Response::new(events))
    }

    async fn attach(&self, request: Request<AttachRequest>) -> Result<Response<Self::AttachStream>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let AttachRequest {
            completion_id,
            after_index,
        } = request.into_inner();
        let id = convert::id(&completion_id, "completion_id")?;
        let completion = self.runner.registry().find(id).ok_or(Error::CompletionNotFound)?;
        let after = u64::try_from(after_index).ok();
        let reader = completion.buffer.read(after).ok_or(Error::CompletionNotFound)?;
        let events = self.events(reader, |event| AttachResponse { event: Some(event) });
        Ok(Response::new(events))
    }

    async fn cancel_completion(
        &self,
        request: Request<CancelCompletionRequest>,
    ) -> Result<Response<CancelCompletionResponse>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let id = convert::id(&request.into_inner().completion_id, "completion_id")?;
        let was_running = match self.runner.registry().find(id) {
            Some(completion) => {
                let was_running = !completion.buffer.is_closed();
                completion.cancel.cancel();
                was_running
            }
            None => false,
        };
        Ok(Response::new(CancelCompletionResponse { was_running }))
    }
}
