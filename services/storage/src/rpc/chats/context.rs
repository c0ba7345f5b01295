//! Commands about what the model remembers, and the second try of a failed turn.

use prost::Message;
use tandem_chat_core::chat::Command;
use tandem_proto::common::v1::Chat;
use tandem_proto::storage::v1::{
    ClearChatContextRequest, ClearChatContextResponse, CompactChatRequest, CompactChatResponse, RetryChatRequest,
    RetryChatResponse,
};

use super::{Asker, Chats};
use crate::change::{Done, Open, Payload};
use crate::error::Error;
use crate::rpc::convert;

impl Chats {
    pub(super) async fn retry_chat(
        &self,
        asker: &Asker,
        request: RetryChatRequest,
    ) -> Result<RetryChatResponse, Error> {
        let answer = |chat| RetryChatResponse { chat: Some(chat) };
        self.command(asker, &request.chat_id, Command::Retry, answer).await
    }

    pub(super) async fn compact_chat(
        &self,
        asker: &Asker,
        request: CompactChatRequest,
    ) -> Result<CompactChatResponse, Error> {
        let answer = |chat| CompactChatResponse { chat: Some(chat) };
        self.command(asker, &request.chat_id, Command::Compact, answer).await
    }

    pub(super) async fn clear_chat_context(
        &self,
        asker: &Asker,
        request: ClearChatContextRequest,
    ) -> Result<ClearChatContextResponse, Error> {
        let answer = |chat| ClearChatContextResponse { chat: Some(chat) };
        self.command(asker, &request.chat_id, Command::ClearContext, answer)
            .await
    }

    /// A command that brings nothing along.
    async fn command<T: Message>(
        &self,
        asker: &Asker,
        chat_id: &str,
        command: Command,
        answer: impl FnOnce(Chat) -> T + Send,
    ) -> Result<T, Error> {
        let chat = convert::id(chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        open.apply(&[command], Payload::default()).await?;
        let answer = |done: &Done| Ok(answer(convert::chat(&done.row)));
        open.answer(&self.hints, answer).await
    }
}
