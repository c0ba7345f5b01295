//! What went through the OpenAI- and Anthropic-compatible addresses.

use std::collections::BTreeMap;

use serde::Serialize;
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use super::{some_text, time};

mod threads;

pub use threads::AIBridgeSessionThreadsResponse;

/// A page of exchanges.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeListInterceptionsResponse {
    /// Of all pages.
    pub count: i64,
    /// The newest first.
    pub results: Vec<AIBridgeInterception>,
}

/// One exchange with everything recorded of it. Answers and results of tools are not recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeInterception {
    #[schema(format = Uuid)]
    pub id: String,
    /// The API token or session it came with.
    pub api_key_id: Option<String>,
    pub initiator: MinimalUser,
    /// The type of the provider.
    pub provider: String,
    pub provider_name: String,
    /// As asked for.
    pub model: String,
    /// Null when unknown.
    pub client: Option<String>,
    pub user_agent: String,
    pub metadata: Empty,
    #[schema(format = DateTime)]
    pub started_at: String,
    #[schema(format = DateTime)]
    pub ended_at: String,
    /// The HTTP status the client saw.
    pub status: i32,
    pub session_id: String,
    #[schema(format = Uuid)]
    pub thread_root_id: String,
    /// The exchange whose tool call this one answers.
    #[schema(format = Uuid)]
    pub thread_parent_id: Option<String>,
    /// `centralized`, or `byok` for a credential of the user's own.
    pub credential_kind: &'static str,
    /// Both ends of it.
    pub credential_hint: String,
    pub token_usages: Vec<AIBridgeTokenUsage>,
    pub user_prompts: Vec<AIBridgeUserPrompt>,
    pub tool_usages: Vec<AIBridgeToolUsage>,
    pub model_thoughts: Vec<AIBridgeModelThought>,
}

/// Who asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinimalUser {
    #[schema(format = Uuid)]
    pub id: String,
    pub username: String,
    pub name: String,
    pub avatar_url: &'static str,
}

/// An object without members.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Empty {}

/// Counts only one vendor has, by name.
type Counts = BTreeMap<String, i64>;

/// Tokens of one kind each.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct AIBridgeTokenSums {
    /// Without those read from a cache.
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_input_tokens: i64,
    pub cache_write_input_tokens: i64,
}

/// What one answer used.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeTokenUsage {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub interception_id: String,
    /// The vendor's name for the answer.
    pub provider_response_id: String,
    #[serde(flatten)]
    pub tokens: AIBridgeTokenSums,
    /// Counts only one vendor has, by name.
    pub metadata: Counts,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// What a person wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeUserPrompt {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub interception_id: String,
    pub provider_response_id: String,
    pub prompt: String,
    pub metadata: Empty,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A tool call in an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeToolUsage {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub interception_id: String,
    pub provider_response_id: String,
    /// The MCP server of an injected tool.
    pub server_url: String,
    pub tool: String,
    pub tool_call_id: String,
    /// The arguments as the model wrote them, usually JSON.
    pub input: String,
    /// It was the server's tool, and not the client's.
    pub injected: bool,
    pub invocation_error: String,
    pub metadata: Empty,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// What a model let see of its reasoning.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeModelThought {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub interception_id: String,
    pub text: String,
    /// `thinking`, `reasoning_summary` or `commentary`.
    pub source: String,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeListSessionsResponse {
    /// Of all pages.
    pub count: i64,
    /// The newest first.
    pub sessions: Vec<AIBridgeSession>,
}

/// What a session amounts to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeSession {
    pub id: String,
    pub initiator: MinimalUser,
    /// Names, sorted.
    pub providers: Vec<String>,
    pub models: Vec<String>,
    /// Of its first exchange; null when unknown.
    pub client: Option<String>,
    pub metadata: Empty,
    #[schema(format = DateTime)]
    pub started_at: String,
    #[schema(format = DateTime)]
    pub ended_at: String,
    /// How many there are.
    pub threads: i32,
    pub token_usage_summary: AIBridgeTokenSums,
    /// Its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_prompt: Option<String>,
}

impl From<proto::ListInterceptionsResponse> for AIBridgeListInterceptionsResponse {
    fn from(listed: proto::ListInterceptionsResponse) -> Self {
        Self {
            count: listed.count,
            results: listed.interceptions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<proto::InterceptionDetail> for AIBridgeInterception {
    fn from(detail: proto::InterceptionDetail) -> Self {
        let all = detail.interception.unwrap_or_default();
        Self {
            credential_kind: credential_kind(&all),
            initiator: MinimalUser::new(all.initiator_id, all.initiator_username, String::new()),
            started_at: time(all.started_at.as_ref()),
            ended_at: time(all.ended_at.as_ref()),
            id: all.id,
            api_key_id: some_text(all.credential_id),
            provider: all.provider_type,
            provider_name: all.provider_name,
            model: all.model,
            client: some_text(all.client),
            user_agent: all.user_agent,
            metadata: Empty {},
            status: detail.status,
            session_id: all.session_id,
            thread_root_id: all.thread_root_id,
            thread_parent_id: some_text(all.thread_parent_id),
            credential_hint: all.credential_hint,
            token_usages: detail.token_usages.into_iter().map(Into::into).collect(),
            user_prompts: detail.user_prompts.into_iter().map(Into::into).collect(),
            tool_usages: detail.tool_usages.into_iter().map(Into::into).collect(),
            model_thoughts: detail.model_thoughts.into_iter().map(Into::into).collect(),
        }
    }
}

fn credential_kind(interception: &proto::Interception) -> &'static str {
    match interception.credential_kind() {
        proto::CredentialKind::Byok => "byok",
        proto::CredentialKind::Centralized | proto::CredentialKind::Unspecified => "centralized",
    }
}

impl MinimalUser {
    fn new(id: String, username: String, name: String) -> Self {
        Self {
            id,
            username,
            name,
            avatar_url: "",
        }
    }
}

impl AIBridgeTokenSums {
    fn add(&mut self, usage: &proto::TokenUsage) {
        self.input_tokens = self.input_tokens.saturating_add(usage.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(usage.output_tokens);
        self.cache_read_input_tokens = self.cache_read_input_tokens.saturating_add(usage.cache_read_tokens);
        self.cache_write_input_tokens = self.cache_write_input_tokens.saturating_add(usage.cache_write_tokens);
    }
}

impl From<proto::TokenUsage> for AIBridgeTokenUsage {
    fn from(usage: proto::TokenUsage) -> Self {
        let mut tokens = AIBridgeTokenSums::default();
        tokens.add(&usage);
        Self {
            id: usage.id,
            interception_id: usage.interception_id,
            provider_response_id: usage.message_id,
            tokens,
            metadata: usage.extra.into_iter().collect(),
            created_at: time(usage.created_at.as_ref()),
        }
    }
}

impl From<proto::UserPrompt> for AIBridgeUserPrompt {
    fn from(prompt: proto::UserPrompt) -> Self {
        Self {
            id: prompt.id,
            interception_id: prompt.interception_id,
            provider_response_id: prompt.message_id,
            prompt: prompt.prompt,
            metadata: Empty {},
            created_at: time(prompt.created_at.as_ref()),
        }
    }
}

impl From<proto::ToolUsage> for AIBridgeToolUsage {
    fn from(usage: proto::ToolUsage) -> Self {
        Self {
            id: usage.id,
            interception_id: usage.interception_id,
            provider_response_id: usage.message_id,
            server_url: usage.server_url,
            tool: usage.tool_name,
            tool_call_id: usage.tool_call_id,
            input: usage.arguments_json,
            injected: usage.is_injected,
            invocation_error: usage.invocation_error,
            metadata: Empty {},
            created_at: time(usage.created_at.as_ref()),
        }
    }
}

impl From<proto::ModelThought> for AIBridgeModelThought {
    fn from(thought: proto::ModelThought) -> Self {
        Self {
            id: thought.id,
            interception_id: thought.interception_id,
            text: thought.content,
            source: thought.source,
            created_at: time(thought.created_at.as_ref()),
        }
    }
}

impl From<proto::ListSessionsResponse> for AIBridgeListSessionsResponse {
    fn from(listed: proto::ListSessionsResponse) -> Self {
        Self {
            count: listed.count,
            sessions: listed.sessions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<proto::InterceptionSession> for AIBridgeSession {
    fn from(session: proto::InterceptionSession) -> Self {
        Self {
            token_usage_summary: sums(&session),
            id: session.id,
            initiator: MinimalUser::new(session.initiator_id, session.initiator_username, session.initiator_name),
            providers: session.provider_names,
            models: session.models,
            client: some_text(session.client),
            metadata: Empty {},
            started_at: time(session.started_at.as_ref()),
            ended_at: time(session.ended_at.as_ref()),
            threads: session.thread_count,
            last_prompt: some_text(session.last_prompt),
        }
    }
}

fn sums(session: &proto::InterceptionSession) -> AIBridgeTokenSums {
    AIBridgeTokenSums {
        input_tokens: session.input_tokens,
        output_tokens: session.output_tokens,
        cache_read_input_tokens: session.cache_read_tokens,
        cache_write_input_tokens: session.cache_write_tokens,
    }
}
