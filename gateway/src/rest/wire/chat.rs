//! Chats as clients see them, and their errors.

use std::collections::BTreeMap;

use serde::Serialize;
use tandem_chat_core::wire;
use tandem_proto::common::v1 as proto;
use utoipa::ToSchema;

use super::{
    git::ChatDiffStatus,
    part::{ChatMessagePart, parts},
    some_text, some_time, time,
};

/// A conversation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Chat {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub organization_id: String,
    #[schema(format = Uuid)]
    pub owner_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub owner_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub owner_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub workspace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub parent_chat_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub root_chat_id: Option<String>,
    #[schema(format = Uuid)]
    pub last_model_config_id: String,
    pub title: String,
    /// `waiting`, `pending`, `running`, `requires_action` or `error`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub plan_mode: Option<&'static str>,
    /// Only while `status` is `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_error: Option<ChatError>,
    #[schema(required)]
    pub last_turn_summary: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    pub archived: bool,
    /// 0 = not pinned, else the 1-based place.
    pub pin_order: i32,
    pub mcp_server_ids: Vec<String>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ChatFileMetadata>,
    pub has_unread: bool,
    /// In lists always there; else left out while no repository is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub diff_status: Option<ChatDiffStatus>,
    /// What the model is told of the workspace, without contents; only for a single chat.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_injected_context: Vec<ChatMessagePart>,
    /// Only in the answer to creating the chat.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub client_type: &'static str,
    /// Which tool calls a person must approve: none (`never`), those of unclear effect (`risky`), all that change anything (`always`).
    pub approval_mode: &'static str,
    /// When waiting for the pending tool calls ends; only while `status` is `requires_action`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub action_expires_at: Option<String>,
    /// Subagent chats; their own list is empty.
    #[schema(no_recursion)]
    pub children: Vec<Chat>,
}

/// A file that belongs to a chat.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatFileMetadata {
    #[schema(format = Uuid)]
    pub id: String,
    #[schema(format = Uuid)]
    pub owner_id: String,
    #[schema(format = Uuid)]
    pub organization_id: String,
    pub name: String,
    pub mime_type: String,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// Why a turn failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatError {
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider: Option<String>,
    pub retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status_code: Option<i32>,
}

impl From<proto::Chat> for Chat {
    fn from(chat: proto::Chat) -> Self {
        Self {
            diff_status: chat.diff_status.map(|status| ChatDiffStatus::of(&chat.id, status)),
            id: chat.id,
            organization_id: chat.organization_id,
            owner_id: chat.owner_id,
            owner_username: some_text(chat.owner_username),
            owner_name: some_text(chat.owner_name),
            workspace_id: some_text(chat.workspace_id),
            parent_chat_id: some_text(chat.parent_chat_id),
            root_chat_id: some_text(chat.root_chat_id),
            last_model_config_id: chat.last_model_config_id,
            title: chat.title,
            status: status(chat.status),
            plan_mode: plan_mode(chat.plan_mode),
            last_error: chat.last_error.map(ChatError::from),
            last_turn_summary: some_text(chat.last_turn_summary),
            created_at: time(chat.created_at.as_ref()),
            updated_at: time(chat.updated_at.as_ref()),
            archived: chat.is_archived,
            pin_order: chat.pin_order,
            mcp_server_ids: chat.mcp_server_ids,
            labels: chat.labels.into_iter().collect(),
            files: chat.files.into_iter().map(ChatFileMetadata::from).collect(),
            has_unread: chat.has_unread,
            last_injected_context: parts(chat.last_injected_context),
            warnings: Vec::new(),
            client_type: client_type(chat.client_type),
            approval_mode: approval_mode(chat.approval_mode),
            action_expires_at: some_time(chat.action_expires_at.as_ref()),
            children: chat.children.into_iter().map(Self::from).collect(),
        }
    }
}

impl Chat {
    /// As lists have it: where the work stands in git is always said.
    pub fn listed(chat: proto::Chat) -> Self {
        let mut chat = Self::from(chat);
        let (own, children) = ((&chat.id, &mut chat.diff_status), chat.children.iter_mut());
        let all = children.map(|child| (&child.id, &mut child.diff_status)).chain([own]);
        for (id, status) in all {
            status.get_or_insert_with(|| ChatDiffStatus::none(id));
        }
        chat
    }
}

impl From<proto::FileMetadata> for ChatFileMetadata {
    fn from(file: proto::FileMetadata) -> Self {
        Self {
            id: file.id,
            owner_id: file.owner_id,
            organization_id: file.organization_id,
            name: file.name,
            mime_type: file.media_type,
            created_at: time(file.created_at.as_ref()),
        }
    }
}

impl From<proto::ChatError> for ChatError {
    fn from(error: proto::ChatError) -> Self {
        Self {
            kind: error_kind(error.kind),
            message: error.message,
            detail: some_text(error.detail),
            provider: some_text(error.provider),
            retryable: error.is_retryable,
            status_code: (error.status_code != 0).then_some(error.status_code),
        }
    }
}

/// A status's word. A turn that is being stopped still runs, as far as clients know.
pub fn status(status: i32) -> &'static str {
    match proto::ChatStatus::try_from(status) {
        Ok(proto::ChatStatus::Pending) => "pending",
        Ok(proto::ChatStatus::Running | proto::ChatStatus::Interrupting) => "running",
        Ok(proto::ChatStatus::RequiresAction) => "requires_action",
        Ok(proto::ChatStatus::Error) => "error",
        Ok(proto::ChatStatus::Waiting | proto::ChatStatus::Unspecified) | Err(_) => "waiting",
    }
}

fn plan_mode(mode: i32) -> Option<&'static str> {
    match proto::PlanMode::try_from(mode) {
        Ok(proto::PlanMode::Plan) => Some("plan"),
        Ok(proto::PlanMode::Unspecified) | Err(_) => None,
    }
}

fn client_type(client: i32) -> &'static str {
    match proto::ClientType::try_from(client) {
        Ok(proto::ClientType::Ui) => "ui",
        Ok(proto::ClientType::Api | proto::ClientType::Unspecified) | Err(_) => "api",
    }
}

fn approval_mode(mode: i32) -> &'static str {
    // A mode of a newer release is shown as the strictest one known here: nobody should believe that less is asked.
    let mode = proto::ApprovalMode::try_from(mode).unwrap_or(proto::ApprovalMode::Always);
    wire::approval_mode_from_wire(mode).as_str()
}

/// An error kind's word.
pub fn error_kind(kind: i32) -> Option<&'static str> {
    use proto::ErrorKind;
    match ErrorKind::try_from(kind) {
        Ok(ErrorKind::Generic) => Some("generic"),
        Ok(ErrorKind::Overloaded) => Some("overloaded"),
        Ok(ErrorKind::RateLimit) => Some("rate_limit"),
        Ok(ErrorKind::Timeout) => Some("timeout"),
        Ok(ErrorKind::StartupTimeout) => Some("startup_timeout"),
        Ok(ErrorKind::StreamSilenceTimeout) => Some("stream_silence_timeout"),
        Ok(ErrorKind::Auth) => Some("auth"),
        Ok(ErrorKind::Config) => Some("config"),
        Ok(ErrorKind::UsageLimit) => Some("usage_limit"),
        Ok(ErrorKind::MissingKey) => Some("missing_key"),
        Ok(ErrorKind::ProviderDisabled) => Some("provider_disabled"),
        Ok(ErrorKind::ContentFilter) => Some("content_filter"),
        Ok(ErrorKind::Unspecified) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
