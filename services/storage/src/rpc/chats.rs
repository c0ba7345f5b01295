//! `ChatService`: what people do with their chats. The commands that change one live beside this file, the questions here.

use tandem_chat_core::approval::ApprovalMode;
use tandem_proto::storage::v1::chat_service_server::ChatService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};

use crate::authz;
use crate::db::Pool;
use crate::error::Error;
use crate::hints::Hints;
use crate::idempotency::{Attempt, Tx, respond};

mod approvals;
mod context;
mod create;
mod input;
mod metadata;
mod queries;
mod queue;
mod send;

/// Serves [`ChatService`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Chats {
    pool: Pool,
    hints: Hints,
    /// The least that every chat asks before a tool runs.
    minimum: ApprovalMode,
}

impl Chats {
    pub(crate) fn new(pool: Pool, hints: Hints, minimum: ApprovalMode) -> Self {
        Self { pool, hints, minimum }
    }
}

/// Each RPC: the caller's user, then the method of the same name in its own file.
macro_rules! serve {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl ChatService for Chats {
            $(
                async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                    let user = authz::user(&request)?;
                    let organizations = authz::organizations(&request)?;
                    let attempt = Attempt::of(&request, user, stringify!($method))?;
                    let is_orchestrator = authz::orchestrator(&request).is_ok();
                    let caller = Asker { user, organizations, is_orchestrator, attempt };
                    respond(self.$method(&caller, request.into_inner()).await)
                }
            )*
        }
    };
}

/// Who asks.
struct Asker {
    user: uuid::Uuid,
    organizations: Vec<uuid::Uuid>,
    /// The service that asks in the user's name runs turns.
    is_orchestrator: bool,
    attempt: Option<Attempt>,
}

impl Asker {
    /// Begins the transaction that does what is asked, once.
    async fn begin(&self, pool: &Pool) -> Result<Tx, Error> {
        Tx::begin(pool, self.attempt.as_ref()).await
    }
}

serve! {
    create_chat(CreateChatRequest) -> CreateChatResponse;
    get_chat(GetChatRequest) -> GetChatResponse;
    list_chats(ListChatsRequest) -> ListChatsResponse;
    list_chats_by_workspace(ListChatsByWorkspaceRequest) -> ListChatsByWorkspaceResponse;
    update_chat(UpdateChatRequest) -> UpdateChatResponse;
    send_message(SendMessageRequest) -> SendMessageResponse;
    edit_message(EditMessageRequest) -> EditMessageResponse;
    delete_queued_message(DeleteQueuedMessageRequest) -> DeleteQueuedMessageResponse;
    promote_queued_message(PromoteQueuedMessageRequest) -> PromoteQueuedMessageResponse;
    reorder_queued_message(ReorderQueuedMessageRequest) -> ReorderQueuedMessageResponse;
    interrupt_chat(InterruptChatRequest) -> InterruptChatResponse;
    retry_chat(RetryChatRequest) -> RetryChatResponse;
    compact_chat(CompactChatRequest) -> CompactChatResponse;
    clear_chat_context(ClearChatContextRequest) -> ClearChatContextResponse;
    submit_tool_results(SubmitToolResultsRequest) -> SubmitToolResultsResponse;
    decide_tool_calls(DecideToolCallsRequest) -> DecideToolCallsResponse;
    mark_chat_read(MarkChatReadRequest) -> MarkChatReadResponse;
    list_messages(ListMessagesRequest) -> ListMessagesResponse;
    list_prompts(ListPromptsRequest) -> ListPromptsResponse;
    get_chat_snapshot(GetChatSnapshotRequest) -> GetChatSnapshotResponse;
    list_chat_changes(ListChatChangesRequest) -> ListChatChangesResponse;
}
