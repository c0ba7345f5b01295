//! Commands: storage decides them; this makes sure that whoever has to act hears of it at once.

use std::sync::Arc;
use std::time::Duration;

use tandem_chassis::idempotency;
use tandem_chassis::identity::{Caller, User};
use tandem_chassis::status::Fault;
use tandem_proto::common::v1::{Chat, ChatStatus};
use tandem_proto::orchestrator::v1::chat_command_service_server::ChatCommandService;
use tandem_proto::orchestrator::v1::{
    ProposeTitleRequest, ProposeTitleResponse, RegenerateTitleRequest, RegenerateTitleResponse,
};
use tandem_proto::storage::v1::{
    ClearChatContextRequest, ClearChatContextResponse, CompactChatRequest, CompactChatResponse, CreateChatRequest,
    CreateChatResponse, DecideToolCallsRequest, DecideToolCallsResponse, DeleteQueuedMessageRequest,
    DeleteQueuedMessageResponse, EditMessageRequest, EditMessageResponse, GetChatRequest, InterruptChatRequest,
    InterruptChatResponse, PromoteQueuedMessageRequest, PromoteQueuedMessageResponse, ReorderQueuedMessageRequest,
    ReorderQueuedMessageResponse, RetryChatRequest, RetryChatResponse, SendMessageRequest, SendMessageResponse,
    SubmitToolResultsRequest, SubmitToolResultsResponse, UpdateChatRequest, UpdateChatResponse,
};
use tonic::{Request, Response, Status};

use crate::clients::{Clients, STORAGE_DEADLINE};
use crate::room::Hub;
use crate::title::Titles;
use crate::worker::Worker;

/// How long an interrupt waits for the turn to settle, so that its answer shows the outcome.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// Serves [`ChatCommandService`].
pub(crate) struct Commands {
    clients: Clients,
    hub: Arc<Hub>,
    worker: Worker,
    titles: Titles,
}

impl Commands {
    pub(crate) fn new(clients: Clients, hub: Arc<Hub>, worker: Worker, titles: Titles) -> Self {
        Self {
            clients,
            hub,
            worker,
            titles,
        }
    }

    /// Tells readers, claimers and the running turn what a command has just done.
    fn announce(&self, chat: Option<&Chat>) {
        let Some(chat) = chat else { return };
        self.hub.hint(&chat.id, chat.version);
        self.hub.hint_owner(&chat.owner_id);
        if chat.status == i32::from(ChatStatus::Pending) {
            self.worker.hear(&chat.id, chat.version);
        }
        if chat.status == i32::from(ChatStatus::Interrupting) {
            self.worker.interrupt(&chat.id, chat.epoch);
        }
        self.worker.look_at(&chat.id, chat.version);
    }

    /// Waits until the chat is no longer interrupting, as far as patience goes.
    async fn settled(&self, user: &User, chat: Chat) -> Result<Chat, Status> {
        let room = self.hub.enter(&chat.id);
        let mut ticks = room.follow();
        let deadline = tokio::time::Instant::now() + SETTLE_LIMIT;
        let (mut seen, mut chat) = (chat.version, chat);
        while chat.status == i32::from(ChatStatus::Interrupting) {
            // The turn may have heard of it first, and have settled before anybody waited here.
            let heard = room.version();
            if heard > seen {
                seen = heard;
                chat = self.chat(user, chat).await?;
            } else if tokio::time::timeout_at(deadline, ticks.changed()).await.is_err() {
                break;
            }
        }
        Ok(chat)
    }

    /// The chat as it is now.
    async fn chat(&self, user: &User, chat: Chat) -> Result<Chat, Status> {
        let message = GetChatRequest {
            chat_id: chat.id.clone(),
        };
        let request = self.clients.outbound.request(Some(user), STORAGE_DEADLINE, message);
        let answer = self
            .clients
            .chats
            .clone()
            .get_chat(request)
            .await
            .map_err(Fault::from)?
            .into_inner();
        Ok(answer.chat.unwrap_or(chat))
    }
}

/// Passes a request on in the caller's name and announces the chat that comes back, after `$first` has seen the answer.
macro_rules! pass_on {
    ($self:ident, $method:ident, $request:ident) => {
        pass_on!($self, $method, $request, |_: &mut _| {})
    };
    ($self:ident, $method:ident, $request:ident, $first:expr) => {{
        let user = Caller::of(&$request)?.user()?.clone();
        let mark = idempotency::Attempt::of(&$request)?;
        let message = $request.into_inner();
        let mut request = $self.clients.outbound.request(Some(&user), STORAGE_DEADLINE, message);
        if let Some(mark) = mark {
            mark.attach(&mut request);
        }
        // A connection that broke is told as such, and not as a failure nobody knows.
        let answer = $self
            .clients
            .chats
            .clone()
            .$method(request)
            .await
            .map_err(Fault::from)?;
        let is_replayed = idempotency::is_replayed(&answer);
        let mut answer = answer.into_inner();
        $first(&mut answer);
        $self.announce(answer.chat.as_ref());
        (user, idempotency::answer(answer, is_replayed))
    }};
}

#[tonic::async_trait]
impl ChatCommandService for Commands {
    async fn create_chat(&self, request: Request<CreateChatRequest>) -> Result<Response<CreateChatResponse>, Status> {
        let (_, answer) = pass_on!(self, create_chat, request);
        Ok(answer)
    }

    async fn update_chat(&self, request: Request<UpdateChatRequest>) -> Result<Response<UpdateChatResponse>, Status> {
        let (_, answer) = pass_on!(self, update_chat, request);
        Ok(answer)
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let room = self.hub.find(&request.get_ref().chat_id);
        let _writing = room.as_ref().map(|room| room.writing());
        let learn = |answer: &mut SendMessageResponse| self.hub.learn(answer.change.take());
        let (_, answer) = pass_on!(self, send_message, request, learn);
        Ok(answer)
    }

    async fn edit_message(
        &self,
        request: Request<EditMessageRequest>,
    ) -> Result<Response<EditMessageResponse>, Status> {
        let (_, answer) = pass_on!(self, edit_message, request);
        Ok(answer)
    }

    async fn delete_queued_message(
        &self,
        request: Request<DeleteQueuedMessageRequest>,
    ) -> Result<Response<DeleteQueuedMessageResponse>, Status> {
        let (_, answer) = pass_on!(self, delete_queued_message, request);
        Ok(answer)
    }

    async fn promote_queued_message(
        &self,
        request: Request<PromoteQueuedMessageRequest>,
    ) -> Result<Response<PromoteQueuedMessageResponse>, Status> {
        let (_, answer) = pass_on!(self, promote_queued_message, request);
        Ok(answer)
    }

    async fn reorder_queued_message(
        &self,
        request: Request<ReorderQueuedMessageRequest>,
    ) -> Result<Response<ReorderQueuedMessageResponse>, Status> {
        let (_, answer) = pass_on!(self, reorder_queued_message, request);
        Ok(answer)
    }

    async fn interrupt_chat(
        &self,
        request: Request<InterruptChatRequest>,
    ) -> Result<Response<InterruptChatResponse>, Status> {
        let (user, mut answer) = pass_on!(self, interrupt_chat, request);
        let is_replayed = idempotency::is_replayed(&answer);
        if let Some(chat) = answer.get_mut().chat.take() {
            // What an earlier attempt saw lies back; the chat it waited for is the present one.
            let chat = if is_replayed {
                self.chat(&user, chat).await?
            } else {
                chat
            };
            answer.get_mut().chat = Some(self.settled(&user, chat).await?);
        }
        Ok(answer)
    }

    async fn retry_chat(&self, request: Request<RetryChatRequest>) -> Result<Response<RetryChatResponse>, Status> {
        let (_, answer) = pass_on!(self, retry_chat, request);
        Ok(answer)
    }

    async fn compact_chat(
        &self,
        request: Request<CompactChatRequest>,
    ) -> Result<Response<CompactChatResponse>, Status> {
        let (_, answer) = pass_on!(self, compact_chat, request);
        Ok(answer)
    }

    async fn clear_chat_context(
        &self,
        request: Request<ClearChatContextRequest>,
    ) -> Result<Response<ClearChatContextResponse>, Status> {
        let (_, answer) = pass_on!(self, clear_chat_context, request);
        Ok(answer)
    }

    async fn regenerate_title(
        &self,
        request: Request<RegenerateTitleRequest>,
    ) -> Result<Response<RegenerateTitleResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let named = self.titles.requested(&user, request.into_inner().chat_id, true).await?;
        self.announce(named.chat.as_ref());
        Ok(Response::new(RegenerateTitleResponse { chat: named.chat }))
    }

    async fn propose_title(
        &self,
        request: Request<ProposeTitleRequest>,
    ) -> Result<Response<ProposeTitleResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let named = self
            .titles
            .requested(&user, request.into_inner().chat_id, false)
            .await?;
        Ok(Response::new(ProposeTitleResponse { title: named.title }))
    }

    async fn submit_tool_results(
        &self,
        request: Request<SubmitToolResultsRequest>,
    ) -> Result<Response<SubmitToolResultsResponse>, Status> {
        let (_, answer) = pass_on!(self, submit_tool_results, request);
        Ok(answer)
    }

    async fn decide_tool_calls(
        &self,
        request: Request<DecideToolCallsRequest>,
    ) -> Result<Response<DecideToolCallsResponse>, Status> {
        let (_, answer) = pass_on!(self, decide_tool_calls, request);
        Ok(answer)
    }
}
