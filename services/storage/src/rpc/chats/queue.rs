//! Commands on the queue.

use tandem_chat_core::chat::Command;
use tandem_chat_core::id::QueuedId;
use tandem_proto::storage::v1::{
    DeleteQueuedMessageRequest, DeleteQueuedMessageResponse, PromoteQueuedMessageRequest, PromoteQueuedMessageResponse,
    ReorderQueuedMessageRequest, ReorderQueuedMessageResponse,
};

use super::{Asker, Chats};
use crate::change::{Done, Open, Payload};
use crate::db::queue;
use crate::error::Error;
use crate::rpc::convert;

impl Chats {
    pub(super) async fn delete_queued_message(
        &self,
        asker: &Asker,
        request: DeleteQueuedMessageRequest,
    ) -> Result<DeleteQueuedMessageResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        let queued = find(&mut open, request.queued_message_id).await?;
        open.apply(&[Command::DeleteQueued { queued }], Payload::default())
            .await?;
        let answer = |done: &Done| {
            Ok(DeleteQueuedMessageResponse {
                chat: Some(convert::chat(&done.row)),
            })
        };
        open.answer(&self.hints, answer).await
    }

    pub(super) async fn promote_queued_message(
        &self,
        asker: &Asker,
        request: PromoteQueuedMessageRequest,
    ) -> Result<PromoteQueuedMessageResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        let queued = find(&mut open, request.queued_message_id).await?;
        open.apply(&[Command::PromoteQueued { queued }], Payload::default())
            .await?;
        let answer = |done: &Done| {
            Ok(PromoteQueuedMessageResponse {
                message: done.promoted.as_ref().map(convert::message).transpose()?,
                chat: Some(convert::chat(&done.row)),
            })
        };
        open.answer(&self.hints, answer).await
    }

    pub(super) async fn reorder_queued_message(
        &self,
        asker: &Asker,
        request: ReorderQueuedMessageRequest,
    ) -> Result<ReorderQueuedMessageResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let place = usize::try_from(request.position).map_err(|_| convert::one("position", "must not be negative"))?;
        let mut open = Open::for_user(asker.begin(&self.pool).await?, chat, asker.user).await?;
        let current: Vec<_> = queue::list(open.conn(), chat)
            .await?
            .iter()
            .map(|row| QueuedId(row.id))
            .collect();
        let queued = QueuedId(request.queued_message_id);
        open.apply(&[Command::ReorderQueued { current, queued, place }], Payload::default())
            .await?;
        let answer = |done: &Done| {
            Ok(ReorderQueuedMessageResponse {
                chat: Some(convert::chat(&done.row)),
            })
        };
        open.answer(&self.hints, answer).await
    }
}

/// The queued message as it stands under the lock.
async fn find(open: &mut Open, id: i64) -> Result<Option<QueuedId>, Error> {
    let chat = open.row.id;
    let queue = queue::list(open.conn(), chat).await?;
    Ok(queue.iter().find(|row| row.id == id).map(|row| QueuedId(row.id)))
}
