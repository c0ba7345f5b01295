//! Messages that wait for their turn.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1::{DeleteQueuedMessageRequest, PromoteQueuedMessageRequest, ReorderQueuedMessageRequest};
use utoipa::ToSchema;

use super::{Path, id, number};
use crate::{
    auth::Principal,
    clients::Answer,
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// An answer that only says something.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    pub message: &'static str,
}

/// Where a queued message is to stand.
#[derive(Deserialize, ToSchema)]
pub struct ReorderBody {
    /// Counts from 0; cut to the queue.
    pub position: Option<i32>,
}

/// Removes a queued message; one that is gone counts as removed.
#[utoipa::path(
    delete, path = "/chats/{chat}/queue/{queued}", tag = "queue",
    params(("chat" = Uuid, Path), ("queued" = i64, Path)),
    responses((status = 204)),
)]
pub async fn delete(
    State(app): State<App>,
    caller: Principal,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (chat, queued) = path;
    let message = DeleteQueuedMessageRequest {
        chat_id: id("chat", &chat)?.to_string(),
        queued_message_id: number("queued", &queued)?,
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app
        .clients
        .commands
        .clone()
        .delete_queued_message(request)
        .await
        .answer();
    answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a queued message next, stopping the running turn.
#[utoipa::path(
    post, path = "/chats/{chat}/queue/{queued}/promote", tag = "queue",
    params(("chat" = Uuid, Path), ("queued" = i64, Path)),
    responses((status = 202, body = Done)),
)]
pub async fn promote(
    State(app): State<App>,
    caller: Principal,
    Path(path): Path<(String, String)>,
) -> Result<Reply<Done>, Problem> {
    let (chat, queued) = path;
    let message = PromoteQueuedMessageRequest {
        chat_id: id("chat", &chat)?.to_string(),
        queued_message_id: number("queued", &queued)?,
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app
        .clients
        .commands
        .clone()
        .promote_queued_message(request)
        .await
        .answer();
    answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    let done = Done {
        message: "The message is sent next.",
    };
    Ok(Reply(StatusCode::ACCEPTED, done))
}

/// Moves a queued message to another place.
#[utoipa::path(
    patch, path = "/chats/{chat}/queue/{queued}", tag = "queue",
    params(("chat" = Uuid, Path), ("queued" = i64, Path)),
    request_body = ReorderBody,
    responses((status = 204)),
)]
pub async fn reorder(
    State(app): State<App>,
    caller: Principal,
    Path(path): Path<(String, String)>,
    Body(body): Body<ReorderBody>,
) -> Result<StatusCode, Problem> {
    let position = body.position.filter(|position| *position >= 0);
    let (chat, queued) = path;
    let message = ReorderQueuedMessageRequest {
        chat_id: id("chat", &chat)?.to_string(),
        queued_message_id: number("queued", &queued)?,
        position: position.ok_or_else(|| Problem::field("position", "must be at least 0"))?,
    };
    let request = app.clients.ask(caller.user(), message);
    let answer = app
        .clients
        .commands
        .clone()
        .reorder_queued_message(request)
        .await
        .answer();
    answer.map_err(|fault| Problem::from(fault).state_is_invalid())?;
    Ok(StatusCode::NO_CONTENT)
}
