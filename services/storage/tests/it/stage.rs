//! A storage with a model, so that chats can begin: what people and workers do with them, in one line each.

use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};
use tandem_chassis::identity::ServiceName::{Orchestrator, ProviderGateway};
use tandem_chassis::identity::User;
use tandem_proto::common::v1::{
    Chat, ChatMessage, ChatStatus, InputPart, ModelConfig, Part, PendingToolCall, QueuedMessage, Role, TextPart,
    ToolCallPart, ToolResultPart, input_part, part,
};
use tandem_proto::storage::v1::*;
use tandem_storage::Config;
use tandem_storage::postgres::testing;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::harness::Harness;

/// How long a lease of these tests holds: longer than any of them. Leases end by [`Stage::expire`].
pub const TTL: prost_types::Duration = prost_types::Duration { seconds: 600, nanos: 0 };

/// The longest wait for something that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stage {
    pub world: Harness,
    /// The owner of all chats, unless said otherwise.
    pub admin: User,
    /// The default model.
    pub model: String,
}

/// The right to run a chat, as its worker remembers it.
#[derive(Clone, Debug)]
pub struct Turn {
    pub chat: String,
    pub epoch: i64,
    pub replica: String,
}

/// One method for each command or question of a user.
macro_rules! as_user {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        impl Stage {
            $(
                pub async fn $method(&self, user: &User, message: $request) -> Result<$response, Status> {
                    let request = self.world.as_user(user, message);
                    self.world.chats.clone().$method(request).await.map(Response::into_inner)
                }
            )*
        }
    };
}

as_user! {
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

/// One method for each thing a worker does.
macro_rules! as_worker {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        impl Stage {
            $(
                pub async fn $method(&self, message: $request) -> Result<$response, Status> {
                    let request = self.world.of(Orchestrator, message);
                    self.world.turns.clone().$method(request).await.map(Response::into_inner)
                }
            )*
        }
    };
}

as_worker! {
    claim_chats(ClaimChatsRequest) -> ClaimChatsResponse;
    renew_leases(RenewLeasesRequest) -> RenewLeasesResponse;
    release_chat(ReleaseChatRequest) -> ReleaseChatResponse;
    load_turn(LoadTurnRequest) -> LoadTurnResponse;
    begin_step(BeginStepRequest) -> BeginStepResponse;
    commit_step(CommitStepRequest) -> CommitStepResponse;
    store_tool_results(StoreToolResultsRequest) -> StoreToolResultsResponse;
    fail_turn(FailTurnRequest) -> FailTurnResponse;
    finish_interruption(FinishInterruptionRequest) -> FinishInterruptionResponse;
}

impl Stage {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let world = Harness::start_on(testing::database().await, change).await;
        let admin = world.bootstrap().await;
        let provider_id = Uuid::now_v7().to_string();
        let provider = Some(Provider {
            id: provider_id.clone(),
            r#type: "demo".to_owned(),
            name: "demo".to_owned(),
            is_enabled: true,
            ..Provider::default()
        });
        let request = world.by(ProviderGateway, &admin, CreateProviderRequest { provider });
        world.settings.clone().create_provider(request).await.unwrap();
        let model_config = Some(ModelConfig {
            provider_id,
            model: "demo".to_owned(),
            is_enabled: true,
            context_limit: 1_000,
            compression_threshold: 70,
            ..ModelConfig::default()
        });
        let request = world.as_user(&admin, CreateModelConfigRequest { model_config });
        let created = world.settings.clone().create_model_config(request).await.unwrap();
        let model = created.into_inner().model_config.unwrap().id;
        Self { world, admin, model }
    }

    /// A new chat of this user, pending.
    pub async fn chat_of(&self, user: &User, text: &str) -> Chat {
        let message = CreateChatRequest {
            organization_id: user.organization_ids[0].to_string(),
            message: says(text),
            ..CreateChatRequest::default()
        };
        self.create_chat(user, message).await.unwrap().chat.unwrap()
    }

    /// A new chat, pending.
    pub async fn chat(&self, text: &str) -> String {
        self.chat_of(&self.admin, text).await.id
    }

    pub async fn send(&self, chat: &str, text: &str) -> Result<SendMessageResponse, Status> {
        self.send_message(&self.admin, sends(chat, text, BusyBehavior::Queue))
            .await
    }

    pub async fn interrupt(&self, chat: &str) -> Result<Chat, Status> {
        let message = InterruptChatRequest {
            chat_id: chat.to_owned(),
        };
        let answer = self.interrupt_chat(&self.admin, message).await?;
        Ok(answer.chat.unwrap())
    }

    pub async fn update(&self, chat: &str, change: impl FnOnce(&mut UpdateChatRequest)) -> Result<Chat, Status> {
        let mut message = UpdateChatRequest {
            chat_id: chat.to_owned(),
            ..UpdateChatRequest::default()
        };
        change(&mut message);
        let answer = self.update_chat(&self.admin, message).await?;
        Ok(answer.chat.unwrap())
    }

    pub async fn archive(&self, chat: &str, archived: bool) -> Result<Chat, Status> {
        self.update(chat, |message| message.archived = Some(archived)).await
    }

    pub async fn get(&self, chat: &str) -> Chat {
        let message = GetChatRequest {
            chat_id: chat.to_owned(),
        };
        self.get_chat(&self.admin, message).await.unwrap().chat.unwrap()
    }

    /// The chat, its visible messages and its queue.
    pub async fn snapshot(&self, chat: &str) -> GetChatSnapshotResponse {
        let message = GetChatSnapshotRequest {
            chat_id: chat.to_owned(),
            after_message_id: 0,
        };
        self.get_chat_snapshot(&self.admin, message).await.unwrap()
    }

    /// Every change of the chat, in order.
    pub async fn changes(&self, chat: &str) -> Vec<ChatChange> {
        let mut changes: Vec<ChatChange> = Vec::new();
        loop {
            let message = ListChatChangesRequest {
                chat_id: chat.to_owned(),
                after_version: changes.last().map_or(0, |change| change.version),
                limit: 0,
            };
            let page = self.list_chat_changes(&self.admin, message).await.unwrap();
            assert!(!page.is_expired);
            changes.extend(page.changes);
            if !page.has_more {
                return changes;
            }
        }
    }

    /// Everything the database holds of its chats, to be compared with later.
    pub async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in ["chats", "chat_messages", "chat_queued_messages", "chat_changes"] {
            let statement = sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1"));
            let found: Vec<String> = sqlx::query_scalar(statement).fetch_all(&self.world.pool).await.unwrap();
            rows.extend(found);
        }
        rows
    }

    /// Lets the chat's lease end, by the database's clock.
    pub async fn expire(&self, chat: &str) {
        self.execute(
            "UPDATE chats SET lease_expires_at = now() WHERE lease_owner IS NOT NULL AND id = $1",
            chat,
        )
        .await;
    }

    /// A statement of the test's own about one chat.
    pub async fn execute(&self, statement: &'static str, chat: &str) {
        let done = sqlx::query(statement)
            .bind(chat.parse::<Uuid>().unwrap())
            .execute(&self.world.pool)
            .await
            .unwrap();
        assert!(done.rows_affected() > 0, "{statement} found nothing to change");
    }

    /// Locks the chat's row, as a transaction does that changes it, until this one ends.
    pub async fn hold(&self, chat: &str) -> Transaction<'static, Postgres> {
        let mut tx = self.world.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM chats WHERE id = $1 FOR UPDATE")
            .bind(chat.parse::<Uuid>().unwrap())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Waits until so many statements wait for a lock.
    pub async fn waiters(&self, count: i64) {
        waiters(&self.world.pool, count).await;
    }

    /// Waits until the chat is as wanted.
    pub async fn until(&self, chat: &str, is_so: impl Fn(&Chat) -> bool) -> Chat {
        let wait = async {
            loop {
                let now = self.get(chat).await;
                if is_so(&now) {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the chat became so in time")
    }
}

/// What workers do.
impl Stage {
    /// One replica's claim of up to `limit` chats.
    pub async fn claim(&self, limit: i32) -> Vec<Turn> {
        let replica = Uuid::new_v4().to_string();
        let claimed = self.claim_chats(claims(&replica, limit)).await.unwrap();
        let turn = |chat: ClaimedChat| {
            let lease = chat.lease.unwrap();
            Turn {
                chat: lease.chat_id,
                epoch: lease.epoch,
                replica: replica.clone(),
            }
        };
        claimed.chats.into_iter().map(turn).collect()
    }

    /// Claims this chat, which is the only one due.
    pub async fn claim_only(&self, chat: &str) -> Turn {
        let mut turns = self.claim(64).await;
        assert_eq!(turns.iter().map(|turn| turn.chat.as_str()).collect::<Vec<_>>(), [chat]);
        turns.remove(0)
    }

    /// A new chat with a worker.
    pub async fn running(&self, text: &str) -> Turn {
        let chat = self.chat(text).await;
        self.claim_only(&chat).await
    }

    pub async fn begin(&self, turn: &Turn) -> Result<BeginStepResponse, Status> {
        self.begin_step(begins(turn)).await
    }

    /// Records the intent of a step and stores its answer.
    pub async fn answer(&self, turn: &Turn, messages: Vec<NewMessage>, outcome: StepOutcome) -> CommitStepResponse {
        self.begin(turn).await.unwrap();
        self.commit_step(commits(turn, messages, outcome)).await.unwrap()
    }

    /// Ends the turn with an answer.
    pub async fn finish(&self, turn: &Turn, text: &str) -> CommitStepResponse {
        self.answer(turn, vec![assistant(text, &[])], StepOutcome::Finish).await
    }

    /// A new chat that has been answered and rests.
    pub async fn waiting(&self, text: &str) -> String {
        let turn = self.running(text).await;
        self.finish(&turn, "Done.").await;
        turn.chat
    }

    /// A new chat whose client has to answer these calls.
    pub async fn requiring(&self, text: &str, calls: &[&str]) -> String {
        let turn = self.running(text).await;
        self.answer(&turn, vec![assistant("", calls)], StepOutcome::RunTools)
            .await;
        let message = StoreToolResultsRequest {
            pending_tool_calls: calls.iter().map(|id| pending(id)).collect(),
            ..stores(&turn, Vec::new(), StepOutcome::RequireAction)
        };
        self.store_tool_results(message).await.unwrap();
        turn.chat
    }

    /// A new chat whose turn failed.
    pub async fn failed(&self, text: &str) -> String {
        let turn = self.running(text).await;
        self.fail_turn(fails(&turn, Vec::new())).await.unwrap();
        turn.chat
    }
}

/// Waits until so many statements wait for a lock.
pub async fn waiters(pool: &PgPool, count: i64) {
    let statement =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let wait = async {
        loop {
            let now: i64 = sqlx::query_scalar(statement).fetch_one(pool).await.unwrap();
            if now >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("they wait in time");
}

/// A user's message.
pub fn says(text: &str) -> Option<MessageInput> {
    let part = InputPart {
        kind: Some(input_part::Kind::Text(text.to_owned())),
    };
    Some(MessageInput {
        parts: vec![part],
        model_config_id: String::new(),
    })
}

pub fn sends(chat: &str, text: &str, behavior: BusyBehavior) -> SendMessageRequest {
    SendMessageRequest {
        chat_id: chat.to_owned(),
        message: says(text),
        busy_behavior: behavior.into(),
        ..SendMessageRequest::default()
    }
}

pub fn claims(replica: &str, limit: i32) -> ClaimChatsRequest {
    ClaimChatsRequest {
        replica_id: replica.to_owned(),
        limit,
        ttl: Some(TTL),
        ..ClaimChatsRequest::default()
    }
}

pub fn begins(turn: &Turn) -> BeginStepRequest {
    BeginStepRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        intent: Some(StepIntent {
            completion_id: Uuid::new_v4().to_string(),
            ..StepIntent::default()
        }),
    }
}

pub fn commits(turn: &Turn, messages: Vec<NewMessage>, outcome: StepOutcome) -> CommitStepRequest {
    CommitStepRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        messages,
        outcome: outcome.into(),
        ..CommitStepRequest::default()
    }
}

pub fn stores(turn: &Turn, messages: Vec<NewMessage>, outcome: StepOutcome) -> StoreToolResultsRequest {
    StoreToolResultsRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        messages,
        outcome: outcome.into(),
        ..StoreToolResultsRequest::default()
    }
}

pub fn fails(turn: &Turn, messages: Vec<NewMessage>) -> FailTurnRequest {
    FailTurnRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        messages,
        ..FailTurnRequest::default()
    }
}

pub fn settles(turn: &Turn, messages: Vec<NewMessage>) -> FinishInterruptionRequest {
    FinishInterruptionRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        messages,
        ..FinishInterruptionRequest::default()
    }
}

pub fn releases(turn: &Turn) -> ReleaseChatRequest {
    ReleaseChatRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        has_crashed: false,
    }
}

/// An answer with these calls in it.
pub fn assistant(text: &str, calls: &[&str]) -> NewMessage {
    let words = (!text.is_empty()).then(|| part::Kind::Text(TextPart { text: text.to_owned() }));
    let calls = calls.iter().map(|id| {
        part::Kind::ToolCall(ToolCallPart {
            tool_call_id: (*id).to_owned(),
            tool_name: "look".to_owned(),
            arguments_json: "{}".to_owned(),
            ..ToolCallPart::default()
        })
    });
    new(Role::Assistant, words.into_iter().chain(calls).collect())
}

/// The result of one call.
pub fn result(call: &str) -> NewMessage {
    let result = part::Kind::ToolResult(ToolResultPart {
        tool_call_id: call.to_owned(),
        tool_name: "look".to_owned(),
        result_json: r#""seen""#.to_owned(),
        ..ToolResultPart::default()
    });
    new(Role::Tool, vec![result])
}

fn new(role: Role, kinds: Vec<part::Kind>) -> NewMessage {
    let part = |kind| Part {
        kind: Some(kind),
        provider_metadata_json: String::new(),
    };
    NewMessage {
        role: role.into(),
        parts: kinds.into_iter().map(part).collect(),
        ..NewMessage::default()
    }
}

pub fn pending(call: &str) -> PendingToolCall {
    PendingToolCall {
        tool_call_id: call.to_owned(),
        tool_name: "look".to_owned(),
        arguments_json: "{}".to_owned(),
        approval: None,
    }
}

/// A message in short: `user one`, `assistant Done. ?call_1`, `tool =call_1`, `tool !call_1` for a result that is an error.
pub fn brief(message: &ChatMessage) -> String {
    let role = match message.role() {
        Role::Unspecified => "nobody",
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let words = message.parts.iter().map(|part| match &part.kind {
        Some(part::Kind::Text(text)) => text.text.clone(),
        Some(part::Kind::ToolCall(call)) => format!("?{}", call.tool_call_id),
        Some(part::Kind::ToolResult(result)) if result.is_error => format!("!{}", result.tool_call_id),
        Some(part::Kind::ToolResult(result)) => format!("={}", result.tool_call_id),
        other => format!("{other:?}"),
    });
    let words: Vec<String> = std::iter::once(role.to_owned()).chain(words).collect();
    words.join(" ")
}

/// The words of each queued message.
pub fn waiting_texts(queue: &[QueuedMessage]) -> Vec<String> {
    let text = |message: &QueuedMessage| match &message.parts[0].kind {
        Some(part::Kind::Text(text)) => text.text.clone(),
        other => format!("{other:?}"),
    };
    queue.iter().map(text).collect()
}

pub fn status(chat: &Chat) -> &'static str {
    match chat.status() {
        ChatStatus::Unspecified => "unspecified",
        ChatStatus::Waiting => "waiting",
        ChatStatus::Pending => "pending",
        ChatStatus::Running => "running",
        ChatStatus::Interrupting => "interrupting",
        ChatStatus::RequiresAction => "requires_action",
        ChatStatus::Error => "error",
    }
}
