//! Chats: list, start, read, change, stop.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{
    CreateChatRequest, GetChatRequest, InterruptChatRequest, LabelSet, ListChatsByWorkspaceRequest, ListChatsRequest,
    UpdateChatRequest,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Path, id,
    query::Query,
    wire::{
        chat::Chat,
        id_text,
        input::{self, ChatInputPart, DynamicTool},
        or_default,
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    search,
    service::App,
};

/// Longest system prompt, in bytes.
const MAX_SYSTEM_PROMPT_BYTES: usize = 10_000;

/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;

/// Chats of one page when nobody says how many.
const PAGE: i32 = 50;

/// Chats of one page; storage's own bound.
const MAX_LIMIT: i32 = 1_000;

/// Workspaces asked for at once.
const MAX_WORKSPACES: usize = 25;

/// What a chat is started with.
#[derive(Deserialize, ToSchema)]
pub struct CreateChatBody {
    pub organization_id: Option<Uuid>,
    #[serde(default, deserialize_with = "or_default")]
    pub content: Vec<ChatInputPart>,
    #[serde(default, deserialize_with = "or_default")]
    pub system_prompt: String,
    pub workspace_id: Option<Uuid>,
    pub model_config_id: Option<Uuid>,
    #[serde(default, deserialize_with = "or_default")]
    pub mcp_server_ids: Vec<Uuid>,
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub unsafe_dynamic_tools: Vec<DynamicTool>,
    /// Empty or `plan`.
    pub plan_mode: Option<String>,
    /// `api`, the default, or `ui`.
    pub client_type: Option<String>,
    /// Which tool calls a person must approve: `never`, `risky` or `always`. Left out: the least the operator allows.
    pub approval_mode: Option<String>,
}

/// What changes in a chat; members left out stay.
#[derive(Deserialize, ToSchema)]
pub struct UpdateChatBody {
    pub title: Option<String>,
    /// Replaces all labels.
    pub labels: Option<BTreeMap<String, String>>,
    pub archived: Option<bool>,
    /// 0 unpins, anything greater pins.
    pub pin_order: Option<i32>,
    /// The nil id unbinds.
    pub workspace_id: Option<Uuid>,
    pub plan_mode: Option<String>,
    /// `never`, `risky` or `always`; not less than the operator allows. Calls that wait already go on waiting.
    pub approval_mode: Option<String>,
}

/// The caller's chats: pinned first, then by last activity.
#[utoipa::path(
    get, path = "/chats", tag = "chats",
    params(
        ("q" = Option<String>, Query, description = "key:value terms: archived, has_unread, title"),
        ("label" = Option<Vec<String>>, Query, description = "key:value; all must match"),
        ("limit" = Option<i32>, Query),
        ("offset" = Option<i32>, Query),
        ("after_id" = Option<Uuid>, Query),
    ),
    responses((status = 200, body = Vec<Chat>)),
)]
pub async fn list(State(app): State<App>, caller: Principal, query: Query) -> Result<Reply<Vec<Chat>>, Problem> {
    let mut filter = search::parse(query.one("q")?.unwrap_or_default())?;
    for label in query.all("label").filter(|label| !label.is_empty()) {
        match label.split_once(':') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                filter.labels.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(Problem::field("label", "must be key:value")),
        }
    }
    let after_id = match query.one("after_id")? {
        Some(text) => id("after_id", text)?.to_string(),
        None => String::new(),
    };
    let message = ListChatsRequest {
        limit: match query.number("limit", 0)?.unwrap_or_default() {
            0 => PAGE,
            limit => limit.min(MAX_LIMIT),
        },
        offset: query.number("offset", 0)?.unwrap_or_default(),
        after_id,
        filter: Some(filter),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.chats.clone().list_chats(request).await.answer()?;
    Ok(Reply::ok(answer.chats.into_iter().map(Chat::listed).collect()))
}

/// Starts a chat with its first message.
#[utoipa::path(
    post, path = "/chats", tag = "chats",
    request_body = CreateChatBody,
    responses(
        (status = 201, body = Chat),
        (status = 409, description = "The spend limit is reached: with `spent_micros`, `limit_micros` and `resets_at`"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    caller: Principal,
    Body(body): Body<CreateChatBody>,
) -> Result<Reply<Chat>, Problem> {
    let organization = body.organization_id.filter(|id| !id.is_nil());
    let organization = organization.ok_or_else(|| Problem::field("organization_id", "must name an organisation"))?;
    if !caller.user().organization_ids.contains(&organization) {
        return Err(Fault::forbidden("NOT_A_MEMBER", "you do not belong to this organisation").into());
    }
    if body.system_prompt.len() > MAX_SYSTEM_PROMPT_BYTES {
        let limit = format!("must be at most {MAX_SYSTEM_PROMPT_BYTES} bytes");
        return Err(Problem::field("system_prompt", limit));
    }
    let message = CreateChatRequest {
        organization_id: organization.to_string(),
        message: Some(input::message(body.content, body.model_config_id)?),
        system_prompt: body.system_prompt,
        workspace_id: id_text(body.workspace_id.filter(|id| !id.is_nil())),
        plan_mode: input::plan_mode(body.plan_mode.as_deref())?.unwrap_or_default().into(),
        mcp_server_ids: body.mcp_server_ids.iter().map(Uuid::to_string).collect(),
        labels: input::labels(body.labels)?,
        dynamic_tools: input::dynamic_tools(body.unsafe_dynamic_tools)?,
        client_type: input::client_type(body.client_type.as_deref())?.into(),
        approval_mode: input::approval_mode(body.approval_mode.as_deref())?
            .unwrap_or_default()
            .into(),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.commands.clone().create_chat(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).references_are_invalid(&[]).state_is_invalid())?;
    let mut chat = Chat::from(promised(answer.chat, "CreateChatResponse.chat")?);
    chat.warnings = answer.warnings;
    Ok(Reply::created(chat))
}

/// A chat with its children and files.
#[utoipa::path(
    get, path = "/chats/{chat}", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses((status = 200, body = Chat)),
)]
pub async fn get(State(app): State<App>, caller: Principal, Path(chat): Path<String>) -> Result<Reply<Chat>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let request = app.clients.ask(caller.user(), GetChatRequest { chat_id });
    let answer = app.clients.chats.clone().get_chat(request).await.answer()?;
    Ok(Reply::ok(promised(answer.chat, "GetChatResponse.chat")?.into()))
}

/// Changes a chat: all given members, or none.
#[utoipa::path(
    patch, path = "/chats/{chat}", tag = "chats",
    params(("chat" = Uuid, Path)),
    request_body = UpdateChatBody,
    responses((status = 204)),
)]
pub async fn update(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
    Body(body): Body<UpdateChatBody>,
) -> Result<StatusCode, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let title = body.title.map(|title| title.trim().to_owned());
    if let Some(title) = &title
        && !(1..=MAX_TITLE_CHARS).contains(&title.chars().count())
    {
        return Err(Problem::field(
            "title",
            format!("must be 1 to {MAX_TITLE_CHARS} characters"),
        ));
    }
    if body.pin_order.is_some_and(|place| place < 0) {
        return Err(Problem::field("pin_order", "must not be negative"));
    }
    let labels = match body.labels {
        Some(labels) => Some(LabelSet {
            labels: input::labels(labels)?,
        }),
        None => None,
    };
    let message = UpdateChatRequest {
        chat_id,
        title,
        labels,
        archived: body.archived,
        pin_order: body.pin_order,
        workspace_id: body.workspace_id.map(|id| id_text(Some(id).filter(|id| !id.is_nil()))),
        plan_mode: input::plan_mode(body.plan_mode.as_deref())?.map(i32::from),
        approval_mode: input::approval_mode(body.approval_mode.as_deref())?.map(i32::from),
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app.clients.commands.clone().update_chat(request).await.answer();
    answer.map_err(|fault| {
        Problem::from(fault)
            .state_is_invalid()
            .references_are_invalid(&["CHAT_NOT_FOUND"])
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops the running turn; what it has said is kept.
#[utoipa::path(
    post, path = "/chats/{chat}/interrupt", tag = "chats",
    params(("chat" = Uuid, Path)),
    responses((status = 200, body = Chat)),
)]
pub async fn interrupt(
    State(app): State<App>,
    caller: Principal,
    Path(chat): Path<String>,
) -> Result<Reply<Chat>, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let request = app.clients.ask(caller.user(), InterruptChatRequest { chat_id });
    let answer = app.clients.commands.clone().interrupt_chat(request).await.answer();
    let answer = answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(Reply::ok(promised(answer.chat, "InterruptChatResponse.chat")?.into()))
}

/// The latest chat of each workspace, by the workspace's id.
#[utoipa::path(
    get, path = "/chats/by-workspace", tag = "chats",
    params(("workspace_ids" = String, Query, description = "At most 25 ids, with commas")),
    responses((status = 200, body = BTreeMap<String, String>)),
)]
pub async fn by_workspace(
    State(app): State<App>,
    caller: Principal,
    query: Query,
) -> Result<Reply<BTreeMap<String, String>>, Problem> {
    let workspace_ids = query
        .one("workspace_ids")?
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| id("workspace_ids", text).map(|id| id.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    if workspace_ids.len() > MAX_WORKSPACES {
        return Err(Problem::field(
            "workspace_ids",
            format!("must be at most {MAX_WORKSPACES}"),
        ));
    }
    if workspace_ids.is_empty() {
        return Ok(Reply::ok(BTreeMap::new()));
    }
    let request = app
        .clients
        .ask(caller.user(), ListChatsByWorkspaceRequest { workspace_ids });
    let answer = app
        .clients
        .chats
        .clone()
        .list_chats_by_workspace(request)
        .await
        .answer()?;
    Ok(Reply::ok(answer.chat_ids.into_iter().collect()))
}
