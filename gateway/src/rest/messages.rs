//! Messages of a chat: read, sent, replaced; and the answers to tools the client runs.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Deserializer};
use tandem_proto::storage::v1::{
    EditMessageRequest, IdSet, ListMessagesRequest, ListPromptsRequest, SendMessageRequest, SubmitToolResultsRequest,
    ToolResultInput,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Path, id, number,
    query::Query,
    wire::{
        Raw,
        input::{self, ChatInputPart},
        message::{ChatMessagesResponse, ChatPromptsResponse, CreateChatMessageResponse, EditChatMessageResponse},
        or_default,
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, MAX_MESSAGE_BODY_BYTES, Reply},
    problem::Problem,
    service::App,
};

/// Messages of one page, and how many when nobody says.
const MAX_PAGE: i32 = 200;
const PAGE: i32 = 50;

/// Texts of one answer.
const MAX_PROMPTS: i32 = 2_000;

/// What is sent to a chat.
#[derive(Deserialize, ToSchema)]
pub struct SendMessageBody {
    #[serde(default, deserialize_with = "or_default")]
    pub content: Vec<ChatInputPart>,
    pub model_config_id: Option<Uuid>,
    /// Given: replaces the chat's MCP servers.
    pub mcp_server_ids: Option<Vec<Uuid>>,
    /// `queue`, the default, or `interrupt`.
    pub busy_behavior: Option<String>,
    /// Empty or `plan`.
    pub plan_mode: Option<String>,
}

/// What stands in place of a user's message.
#[derive(Deserialize, ToSchema)]
pub struct EditMessageBody {
    #[serde(default, deserialize_with = "or_default")]
    pub content: Vec<ChatInputPart>,
    pub model_config_id: Option<Uuid>,
}

/// Answers to every pending call, each once.
#[derive(Deserialize, ToSchema)]
pub struct ToolResultsBody {
    #[serde(default, deserialize_with = "or_default")]
    pub results: Vec<ToolResult>,
}

/// The answer to one call.
#[derive(Deserialize, ToSchema)]
pub struct ToolResult {
    #[serde(default, deserialize_with = "or_default")]
    pub tool_call_id: String,
    /// Any JSON, null too.
    #[serde(default, deserialize_with = "any_json")]
    #[schema(value_type = serde_json::Value)]
    pub output: Option<Raw>,
    #[serde(default, deserialize_with = "or_default")]
    pub is_error: bool,
}

/// A null that is there is a value, unlike everywhere else.
fn any_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw>, D::Error> {
    Raw::deserialize(deserializer).map(Some)
}

/// A page of messages, newest first; with `after_id` alone oldest first.
#[utoipa::path(
    get, path = "/chats/{chat}/messages", tag = "messages",
    params(
        ("chat" = Uuid, Path),
        ("before_id" = Option<i64>, Query),
        ("after_id" = Option<i64>, Query),
        ("limit" = Option<i32>, Query),
    ),
    responses((status = 200, body = ChatMessagesResponse)),
)]
pub async fn list(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
    query: Query,
) -> Result<Reply<ChatMessagesResponse>, Problem> {
    let message = ListMessagesRequest {
        chat_id: id("chat", &chat)?.to_string(),
        before_id: query.number("before_id", 0)?.unwrap_or_default(),
        after_id: query.number("after_id", 0)?.unwrap_or_default(),
        limit: limit(&query, 1, MAX_PAGE, PAGE)?,
    };
    if message.before_id > 0 && message.after_id >= message.before_id {
        return Err(Problem::field("after_id", "must be less than before_id"));
    }
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.chats.clone().list_messages(request).await.answer()?;
    Ok(Reply::ok(answer.into()))
}

/// The texts the user sent, newest first.
#[utoipa::path(
    get, path = "/chats/{chat}/prompts", tag = "messages",
    params(("chat" = Uuid, Path), ("limit" = Option<i32>, Query)),
    responses((status = 200, body = ChatPromptsResponse)),
)]
pub async fn prompts(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
    query: Query,
) -> Result<Reply<ChatPromptsResponse>, Problem> {
    let message = ListPromptsRequest {
        chat_id: id("chat", &chat)?.to_string(),
        limit: limit(&query, 0, MAX_PROMPTS, 0)?,
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.chats.clone().list_prompts(request).await.answer()?;
    Ok(Reply::ok(answer.into()))
}

/// The size of a page, within its bounds.
fn limit(query: &Query, least: i32, most: i32, default: i32) -> Result<i32, Problem> {
    match query.number("limit", least)? {
        Some(limit) if limit > most => Err(Problem::field("limit", format!("must be at most {most}"))),
        limit => Ok(limit.unwrap_or(default)),
    }
}

/// Sends a message, or queues it while the chat is busy.
#[utoipa::path(
    post, path = "/chats/{chat}/messages", tag = "messages",
    params(("chat" = Uuid, Path)),
    request_body = SendMessageBody,
    responses(
        (status = 200, body = CreateChatMessageResponse),
        (status = 409, description = "The spend limit is reached: with `spent_micros`, `limit_micros` and `resets_at`"),
    ),
)]
pub async fn send(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
    Body(body): Body<SendMessageBody, MAX_MESSAGE_BODY_BYTES>,
) -> Result<Reply<CreateChatMessageResponse>, Problem> {
    let message = SendMessageRequest {
        chat_id: id("chat", &chat)?.to_string(),
        message: Some(input::message(body.content, body.model_config_id)?),
        busy_behavior: input::busy_behavior(body.busy_behavior.as_deref())?.into(),
        mcp_server_ids: body.mcp_server_ids.map(|ids| IdSet {
            ids: ids.iter().map(Uuid::to_string).collect(),
        }),
        plan_mode: input::plan_mode(body.plan_mode.as_deref())?.map(i32::from),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.commands.clone().send_message(request).await.answer();
    let answer = answer.map_err(|fault| {
        Problem::from(fault)
            .state_is_invalid()
            .references_are_invalid(&["CHAT_NOT_FOUND"])
    })?;
    Ok(Reply::ok(answer.into()))
}

/// Replaces a message of the user; everything behind it and the queue are withdrawn.
#[utoipa::path(
    patch, path = "/chats/{chat}/messages/{message}", tag = "messages",
    params(("chat" = Uuid, Path), ("message" = i64, Path)),
    request_body = EditMessageBody,
    responses(
        (status = 200, body = EditChatMessageResponse),
        (status = 409, description = "The spend limit is reached: with `spent_micros`, `limit_micros` and `resets_at`"),
    ),
)]
pub async fn edit(
    State(app): State<App>,
    caller: Principal,
    Path(path): Path<(String, String)>,
    Body(body): Body<EditMessageBody, MAX_MESSAGE_BODY_BYTES>,
) -> Result<Reply<EditChatMessageResponse>, Problem> {
    let (chat, message) = path;
    let message = EditMessageRequest {
        chat_id: id("chat", &chat)?.to_string(),
        message_id: number("message", &message)?,
        message: Some(input::message(body.content, body.model_config_id)?),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.commands.clone().edit_message(request).await.answer();
    let answer = answer.map_err(|fault| {
        Problem::from(fault)
            .state_is_invalid()
            .references_are_invalid(&["CHAT_NOT_FOUND", "MESSAGE_NOT_FOUND"])
    })?;
    Ok(Reply::ok(EditChatMessageResponse {
        message: promised(answer.message, "EditMessageResponse.message")?.into(),
        warnings: answer.warnings,
    }))
}

/// Answers the pending calls of a client's own tools, all at once.
#[utoipa::path(
    post, path = "/chats/{chat}/tool-results", tag = "messages",
    params(("chat" = Uuid, Path)),
    request_body = ToolResultsBody,
    responses((status = 204)),
)]
pub async fn submit_tool_results(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
    Body(body): Body<ToolResultsBody>,
) -> Result<StatusCode, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    if body.results.is_empty() {
        return Err(Problem::field("results", "must not be empty"));
    }
    let result = |(index, result): (usize, ToolResult)| {
        if result.tool_call_id.is_empty() {
            return Err(Problem::field(
                format!("results[{index}].tool_call_id"),
                "must name a call",
            ));
        }
        let output = result
            .output
            .ok_or_else(|| Problem::field(format!("results[{index}].output"), "must be a JSON value"))?;
        Ok(ToolResultInput {
            tool_call_id: result.tool_call_id,
            output_json: output.text().to_owned(),
            is_error: result.is_error,
        })
    };
    let results: Result<Vec<_>, Problem> = body.results.into_iter().enumerate().map(result).collect();
    let message = SubmitToolResultsRequest {
        chat_id,
        results: results?,
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.commands.clone().submit_tool_results(request).await.answer();
    answer.map_err(|fault| Problem::from(fault).references_are_invalid(&["CHAT_NOT_FOUND"]))?;
    Ok(StatusCode::NO_CONTENT)
}
