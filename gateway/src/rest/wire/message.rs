//! Messages, stored and queued, and what they cost.

use serde::Serialize;
use tandem_proto::common::v1 as proto;
use tandem_proto::storage::v1 as storage;
use utoipa::ToSchema;

use super::{
    part::{ChatMessagePart, parts, role},
    some_text, time,
};

/// One entry of a chat. Ids grow in the order of the conversation and are unique over all chats.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatMessage {
    pub id: i64,
    #[schema(format = Uuid)]
    pub chat_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub model_config_id: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    /// `system`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<ChatMessagePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<ChatMessageUsage>,
}

/// Tokens of one step. What was not reported is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ChatMessageUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub output_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reasoning_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cache_creation_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cache_read_tokens: Option<i64>,
    /// The model's context window at that step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub context_limit: Option<i64>,
}

/// A message waiting for its turn. Its id is of another sequence than those of messages.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChatQueuedMessage {
    pub id: i64,
    #[schema(format = Uuid)]
    pub chat_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub model_config_id: Option<String>,
    pub content: Vec<ChatMessagePart>,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatMessagesResponse {
    /// Newest first; oldest first when only `after_id` was given.
    pub messages: Vec<ChatMessage>,
    /// Only when no cursor was given.
    pub queued_messages: Vec<ChatQueuedMessage>,
    pub has_more: bool,
}

/// The outcome of sending a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateChatMessageResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<ChatMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queued_message: Option<ChatQueuedMessage>,
    pub queued: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The outcome of editing a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct EditChatMessageResponse {
    pub message: ChatMessage,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One text the user sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatPrompt {
    /// The message's id.
    pub id: i64,
    pub text: String,
}

/// Texts the user sent, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatPromptsResponse {
    pub prompts: Vec<ChatPrompt>,
}

impl From<proto::ChatMessage> for ChatMessage {
    fn from(message: proto::ChatMessage) -> Self {
        Self {
            id: message.id,
            chat_id: message.chat_id,
            created_by: some_text(message.created_by),
            model_config_id: some_text(message.model_config_id),
            created_at: time(message.created_at.as_ref()),
            role: role(message.role),
            content: parts(message.parts),
            usage: message.usage.and_then(usage),
        }
    }
}

fn usage(usage: proto::Usage) -> Option<ChatMessageUsage> {
    let usage = ChatMessageUsage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cache_creation_tokens: usage.cache_creation_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        context_limit: usage.context_limit,
    };
    (usage != ChatMessageUsage::default()).then_some(usage)
}

impl From<proto::QueuedMessage> for ChatQueuedMessage {
    fn from(message: proto::QueuedMessage) -> Self {
        Self {
            id: message.id,
            chat_id: message.chat_id,
            model_config_id: some_text(message.model_config_id),
            content: parts(message.parts),
            created_at: time(message.created_at.as_ref()),
        }
    }
}

impl From<storage::ListMessagesResponse> for ChatMessagesResponse {
    fn from(page: storage::ListMessagesResponse) -> Self {
        Self {
            messages: page.messages.into_iter().map(ChatMessage::from).collect(),
            queued_messages: page.queued_messages.into_iter().map(ChatQueuedMessage::from).collect(),
            has_more: page.has_more,
        }
    }
}

impl From<storage::SendMessageResponse> for CreateChatMessageResponse {
    fn from(sent: storage::SendMessageResponse) -> Self {
        Self {
            queued: sent.message.is_none() && sent.queued_message.is_some(),
            message: sent.message.map(ChatMessage::from),
            queued_message: sent.queued_message.map(ChatQueuedMessage::from),
            warnings: sent.warnings,
        }
    }
}

impl From<storage::ListPromptsResponse> for ChatPromptsResponse {
    fn from(listed: storage::ListPromptsResponse) -> Self {
        let prompt = |prompt: storage::Prompt| ChatPrompt {
            id: prompt.message_id,
            text: prompt.text,
        };
        Self {
            prompts: listed.prompts.into_iter().map(prompt).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
