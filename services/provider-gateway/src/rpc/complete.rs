//! `CompletionService`: completions for orchestrators.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use tandem_chassis::identity::{Caller, ServiceName};
use tandem_proto::provider::v1::{
    AttachRequest, AttachResponse, CancelCompletionRequest, CancelCompletionResponse, CompleteRequest,
    CompleteResponse, CompletionEvent, completion_service_server::CompletionService,
};
use tandem_protocols::Protocol;
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
}

impl Completions {
    /// A handler that runs completions with `runner`.
    pub fn new(runner: Runner, catalog: Catalog) -> Self {
        Self { runner, catalog }
    }
}

fn events<T>(reader: Reader, wrap: impl Fn(CompletionEvent) -> T + Send + 'static) -> Events<T> {
    let events = reader
        .into_stream()
        .map(move |(index, event)| Ok(wrap(convert::event(index, &event))));
    Box::pin(events)
}

#[tonic::async_trait]
impl CompletionService for Completions {
    type CompleteStream = Events<CompleteResponse>;
    type AttachStream = Events<AttachResponse>;

    async fn complete(&self, request: Request<CompleteRequest>) -> Result<Response<Self::CompleteStream>, Status> {
        Caller::of(&request)?.require_service(&CALLERS)?;
        let message = request.into_inner();
        let payer = convert::payer(&message)?;
        let request = convert::request(message)?;
        let completion = match self.runner.registry().find(request.id) {
            Some(known) => known,
            None => {
                let owner = payer.map(|payer| payer.owner);
                let model = self.catalog.model(request.model_config_id, owner).await?;
                let protocol = Protocol::of(&model);
                self.runner.start(request, payer, model, protocol)?
            }
        };
        let reader = completion.buffer.read(None).ok_or(Error::CompletionNotFound)?;
        let events = events(reader, |event| CompleteResponse { event: Some(event) });
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
        let events = events(reader, |event| AttachResponse { event: Some(event) });
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
