//! What readers of live views receive.

use serde::Serialize;
use tandem_proto::common::v1 as proto;
use tandem_proto::common::v1::stream_event::Event;
use utoipa::ToSchema;

use super::{
    chat::{Chat, ChatError, error_kind, status},
    message::{ChatMessage, ChatQueuedMessage},
    part::{ChatMessagePart, role},
    some_text, time,
};

/// One event of a chat's stream: `type` says which of the payloads is there.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct ChatStreamEvent {
    /// `message_part`, `message`, `status`, `error`, `queue_update`, `retry`, `action_required`, `preview_reset`,
    /// `history_reset` or `heartbeat`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[schema(format = Uuid)]
    pub chat_id: String,
    /// Handing it back as `after_cursor` continues behind this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<ChatMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message_part: Option<ChatStreamMessagePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<ChatStreamStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ChatError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry: Option<ChatStreamRetry>,
    /// The whole queue; absent in a `queue_update` of an empty one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queued_messages: Vec<ChatQueuedMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub action_required: Option<ChatStreamActionRequired>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub history_reset: Option<ChatStreamHistoryReset>,
    /// The server's clock, in a `heartbeat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub server_time: Option<String>,
}

/// A live increment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamMessagePart {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub role: &'static str,
    pub part: ChatMessagePart,
}

/// The chat's status.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamStatus {
    pub status: &'static str,
}

/// The step failed and is tried again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamRetry {
    /// Counts from 1.
    pub attempt: i32,
    pub delay_ms: i64,
    pub error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status_code: Option<i32>,
    #[schema(format = DateTime)]
    pub retrying_at: String,
}

/// Somebody must act on these calls: a person decides on those with an `approval`. The client runs those without one, which are named when
/// no other of their step waits for a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamActionRequired {
    pub tool_calls: Vec<ChatStreamToolCall>,
}

/// A call somebody must act on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamToolCall {
    pub tool_call_id: String,
    pub tool_name: String,
    /// JSON text.
    pub args: String,
    /// The call runs when a person has approved it; the client does not run it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub approval: Option<ChatStreamApproval>,
}

/// What a person is asked before a call runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamApproval {
    /// Of what would run: 64 hexadecimal digits, handed back with the decision.
    pub digest: String,
    /// What the call may do as far as can be told: `none`, `changes`, `unknown` or `forbidden`.
    pub risk: &'static str,
    /// Why it is asked, in words for people.
    pub reason: String,
}

/// Messages from this id on are withdrawn.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatStreamHistoryReset {
    pub from_message_id: i64,
}

/// One change in the caller's chats.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatWatchEvent {
    /// `created`, `deleted`, `status_change`, `title_change`, `summary_change`, `diff_status_change`,
    /// `action_required`, `gap` (read the list again) or `heartbeat`; the last two come without a chat.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub chat: Option<Chat>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ChatStreamToolCall>,
    /// Handing it back as `after_cursor` continues behind this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cursor: Option<String>,
    /// The server's clock, in a `heartbeat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub server_time: Option<String>,
}

impl ChatStreamEvent {
    /// The event, or `None` for one of a kind this gateway does not know.
    pub fn from_proto(event: proto::StreamEvent) -> Option<Self> {
        let base = Self {
            chat_id: event.chat_id,
            cursor: some_text(event.cursor),
            ..Self::default()
        };
        Some(match event.event? {
            Event::Status(event) => Self {
                kind: "status",
                status: Some(ChatStreamStatus {
                    status: status(event.status),
                }),
                ..base
            },
            Event::MessagePart(live) => Self {
                kind: "message_part",
                message_part: Some(live_part(live)?),
                ..base
            },
            Event::Message(message) => Self {
                kind: "message",
                message: Some(message.into()),
                ..base
            },
            Event::Error(error) => Self {
                kind: "error",
                error: Some(error.into()),
                ..base
            },
            Event::QueueUpdate(queue) => Self {
                kind: "queue_update",
                queued_messages: queue.messages.into_iter().map(ChatQueuedMessage::from).collect(),
                ..base
            },
            Event::Retry(event) => Self {
                kind: "retry",
                retry: Some(event.into()),
                ..base
            },
            Event::ActionRequired(event) => Self {
                kind: "action_required",
                action_required: Some(ChatStreamActionRequired {
                    tool_calls: due_calls(event.tool_calls),
                }),
                ..base
            },
            Event::PreviewReset(proto::PreviewReset {}) => Self {
                kind: "preview_reset",
                ..base
            },
            Event::HistoryReset(event) => Self {
                kind: "history_reset",
                history_reset: Some(ChatStreamHistoryReset {
                    from_message_id: event.from_message_id,
                }),
                ..base
            },
        })
    }

    /// A sign of life.
    pub fn heartbeat(chat_id: String, server_time: String) -> Self {
        Self {
            kind: "heartbeat",
            chat_id,
            server_time: Some(server_time),
            ..Self::default()
        }
    }
}

fn live_part(live: proto::LivePart) -> Option<ChatStreamMessagePart> {
    let mut part = ChatMessagePart::from_live(live.content?)?;
    if matches!(part.kind, "reasoning" | "tool-call" | "tool-result") && part.created_at.is_none() {
        part.created_at = super::some_time(live.created_at.as_ref());
    }
    Some(ChatStreamMessagePart {
        role: role(live.role),
        part,
    })
}

impl From<proto::RetryEvent> for ChatStreamRetry {
    fn from(retry: proto::RetryEvent) -> Self {
        let error = retry.error.unwrap_or_default();
        Self {
            attempt: retry.attempt,
            delay_ms: retry.delay_ms,
            kind: error_kind(error.kind),
            error: error.message,
            provider: some_text(error.provider),
            status_code: (error.status_code != 0).then_some(error.status_code),
            retrying_at: time(retry.retrying_at.as_ref()),
        }
    }
}

/// The calls somebody can act on now. While others wait for a person, no results are taken of the client's own: a client that was shown them
/// would run them, and once more when it is asked.
fn due_calls(mut calls: Vec<proto::PendingToolCall>) -> Vec<ChatStreamToolCall> {
    if calls.iter().any(|call| call.approval.is_some()) {
        calls.retain(|call| call.approval.is_some());
    }
    calls.into_iter().map(ChatStreamToolCall::from).collect()
}

impl From<proto::PendingToolCall> for ChatStreamToolCall {
    fn from(call: proto::PendingToolCall) -> Self {
        Self {
            tool_call_id: call.tool_call_id,
            tool_name: call.tool_name,
            args: call.arguments_json,
            approval: call.approval.map(ChatStreamApproval::from),
        }
    }
}

impl From<proto::ApprovalRequest> for ChatStreamApproval {
    fn from(asked: proto::ApprovalRequest) -> Self {
        Self {
            risk: tool_risk(asked.risk),
            digest: hex::encode(&asked.digest),
            reason: asked.reason,
        }
    }
}

fn tool_risk(risk: i32) -> &'static str {
    match proto::ToolRisk::try_from(risk) {
        Ok(proto::ToolRisk::None) => "none",
        Ok(proto::ToolRisk::Changes) => "changes",
        Ok(proto::ToolRisk::Forbidden) => "forbidden",
        Ok(proto::ToolRisk::Unknown | proto::ToolRisk::Unspecified) | Err(_) => "unknown",
    }
}

impl ChatWatchEvent {
    /// The event, or `None` for one this gateway does not know.
    pub fn from_proto(event: proto::WatchEvent) -> Option<Self> {
        let kind = watch_kind(event.kind)?;
        let mut chat = event.chat?;
        let calls = std::mem::take(&mut chat.pending_tool_calls);
        // Neither is kept true by this feed; both are read with the chat.
        chat.files = Vec::new();
        chat.children = Vec::new();
        Some(Self {
            kind,
            chat: Some(chat.into()),
            tool_calls: match kind {
                "action_required" => due_calls(calls),
                _ => Vec::new(),
            },
            cursor: some_text(event.cursor),
            server_time: None,
        })
    }

    /// Changes may have been missed: the list must be read again, and the view goes on behind `cursor`.
    pub fn gap(cursor: String) -> Self {
        Self {
            cursor: some_text(cursor),
            ..Self::bare("gap", None)
        }
    }

    /// A sign of life.
    pub fn heartbeat(server_time: String) -> Self {
        Self::bare("heartbeat", Some(server_time))
    }

    fn bare(kind: &'static str, server_time: Option<String>) -> Self {
        Self {
            kind,
            chat: None,
            tool_calls: Vec::new(),
            cursor: None,
            server_time,
        }
    }
}

fn watch_kind(kind: i32) -> Option<&'static str> {
    use proto::WatchKind;
    match WatchKind::try_from(kind) {
        Ok(WatchKind::Created) => Some("created"),
        Ok(WatchKind::StatusChange) => Some("status_change"),
        Ok(WatchKind::TitleChange) => Some("title_change"),
        Ok(WatchKind::Deleted) => Some("deleted"),
        Ok(WatchKind::SummaryChange) => Some("summary_change"),
        Ok(WatchKind::DiffStatusChange) => Some("diff_status_change"),
        Ok(WatchKind::ActionRequired) => Some("action_required"),
        Ok(WatchKind::Unspecified) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
