//! Shorthands for what tests do with chats all the time. Each uses only the public REST face.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{Rest, Stream, User, World};

/// Pause between two looks at a chat.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Message content with one text part.
pub fn text(text: &str) -> Value {
    json!([{ "type": "text", "text": text }])
}

impl World {
    /// Creates a chat of the administrator with a first message; the chat.
    ///
    /// # Errors
    /// When the answer is not 201.
    pub async fn create_chat(&self, message: &str) -> anyhow::Result<Value> {
        self.create_chat_of(self.admin(), message).await
    }

    /// Creates a chat of this user.
    ///
    /// # Errors
    /// When the answer is not 201.
    pub async fn create_chat_of(&self, user: &User, message: &str) -> anyhow::Result<Value> {
        let body = json!({ "organization_id": user.organization_id, "content": text(message) });
        user.rest.post("/api/v1/chats", &body).await?.expect(201)
    }

    /// Sends a message; the answer `{message?, queued_message?, queued}`.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn send(&self, chat_id: &str, message: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/chats/{chat_id}/messages");
        let body = json!({ "content": text(message) });
        self.rest().post(&path, &body).await?.expect(200)
    }

    /// Asks the running turn to stop; the chat.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn interrupt(&self, chat_id: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/chats/{chat_id}/interrupt");
        self.rest().post(&path, &json!({})).await?.expect(200)
    }

    /// The chat as it is now.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn chat(&self, chat_id: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/chats/{chat_id}");
        self.rest().get(&path).await?.expect(200)
    }

    /// The newest 200 messages, oldest first.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn messages(&self, chat_id: &str) -> anyhow::Result<Vec<Value>> {
        let path = format!("/api/v1/chats/{chat_id}/messages?limit=200");
        let answer = self.rest().get(&path).await?.expect(200)?;
        let mut messages = answer["messages"].as_array().cloned().context("no messages")?;
        messages.reverse();
        Ok(messages)
    }

    /// The queued messages, in order.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn queue(&self, chat_id: &str) -> anyhow::Result<Vec<Value>> {
        let path = format!("/api/v1/chats/{chat_id}/messages");
        let answer = self.rest().get(&path).await?.expect(200)?;
        answer["queued_messages"].as_array().cloned().context("no queue")
    }

    /// Waits until the chat has this status; the chat.
    ///
    /// # Errors
    /// When it has not within `limit`. While the server is away its silence counts as waiting.
    pub async fn wait_for_status(&self, chat_id: &str, status: &str, limit: Duration) -> anyhow::Result<Value> {
        wait_for_status(self.rest(), chat_id, status, limit).await
    }

    /// Opens the administrator's stream of a chat, from the beginning.
    ///
    /// # Errors
    /// When the upgrade is refused.
    pub async fn stream(&self, chat_id: &str) -> anyhow::Result<Stream> {
        self.stream_from(self.admin(), chat_id, "").await
    }

    /// Opens a user's stream of a chat with a query such as `after_cursor=…`.
    ///
    /// # Errors
    /// When the upgrade is refused.
    pub async fn stream_from(&self, user: &User, chat_id: &str, query: &str) -> anyhow::Result<Stream> {
        let path = format!("/api/v1/chats/{chat_id}/stream?{query}");
        Stream::open(user.rest.base(), path.trim_end_matches('?'), user.rest.token()).await
    }

    /// Opens the administrator's feed of all chats.
    ///
    /// # Errors
    /// When the upgrade is refused.
    pub async fn watch(&self) -> anyhow::Result<Stream> {
        let rest = self.rest();
        Stream::open(rest.base(), "/api/v1/chats/watch", rest.token()).await
    }
}

/// The id of a chat.
///
/// # Errors
/// When there is none.
pub fn id_of(chat: &Value) -> anyhow::Result<&str> {
    chat["id"].as_str().with_context(|| format!("no id in {chat}"))
}

/// Waits until a user's chat has this status.
///
/// # Errors
/// As [`World::wait_for_status`].
pub async fn wait_for_status(rest: &Rest, chat_id: &str, status: &str, limit: Duration) -> anyhow::Result<Value> {
    let path = format!("/api/v1/chats/{chat_id}");
    let mut last = "no answer".to_owned();
    let looking = async {
        loop {
            match rest.get(&path).await {
                Ok(answer) if answer.json["status"] == status => return answer.json,
                Ok(answer) => last = format!("{}: {}", answer.status, answer.text),
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(chat) => Ok(chat),
        Err(_) => bail!("chat {chat_id} is not {status} after {limit:?}; last seen: {last}"),
    }
}
