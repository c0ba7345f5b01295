//! Commands about what the model remembers, and the second try of a failed turn.

use tandem_chat_core::chat::Command;
use tandem_proto::common::v1::Chat;
use tandem_proto::storage::v1::{
    ClearChatContextRequest, ClearChatContextResponse, CompactChatRequest, CompactChatResponse, RetryChatRequest,
    RetryChatResponse,
};

use super::{Asker, Chats};
use crate::change::{Open, Payload};
use crate::error::Error;
use crate::rpc::convert;

impl Chats {
    pub(super) async fn retry_chat(
        &self,
        asker: &Asker,
        request: RetryChatRequest,
    ) -> Result<RetryChatResponse, Error> {
        let chat = Some(self.command(asker, &request.chat_id, Command::Retry).await?);
        Ok(RetryChatResponse { chat })
    }

    pub(super) async fn compact_chat(
        &self,
        asker: &Asker,
        request: CompactChatRequest,
    ) -> Result<CompactChatResponse, Error> {
        let chat = Some(self.command(asker, &request.chat_id, Command::Compact).await?);
        Ok(CompactChatResponse { chat })
    }

    pub(super) async fn clear_chat_context(
        &self,
        asker: &Asker,
        request: ClearChatContextRequest,
    ) -> Result<ClearChatContextResponse, Error> {
        let chat = Some(self.command(asker, &request.chat_id, Command::ClearContext).await?);
        Ok(ClearChatContextResponse { chat })
    }

    /// A command that brings nothing along.
    async fn command(&self, asker: &Asker, chat_id: &str, command: Command) -> Result<Chat, Error> {
        let chat = convert::id(chat_id, "chat_id")?;
        let mut open = Open::for_user(&self.pool, chat, asker.user).await?;
        open.apply(&[command], Payload::default()).await?;
        Ok(convert::chat(&open.commit(&self.hints).await?.row))
    }
}
