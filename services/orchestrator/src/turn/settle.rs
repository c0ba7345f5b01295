//! A turn's writes: loading, committing, and the ways it ends. Each is fenced by the epoch; each tells the room which version it made.

use std::time::Duration;

use tandem_proto::common::v1::{Chat, ChatError, ChatStatus, PendingToolCall};
use tandem_proto::storage::v1::{
    ChatChange, CommitStepRequest, FailTurnRequest, FinishInterruptionRequest, LoadTurnRequest, LoadTurnResponse,
    NewMessage, ReleaseChatRequest, StepOutcome, StoreToolResultsRequest,
};
use tonic::Status;

use super::{Stop, Turn};
use crate::clients::{STORAGE_DEADLINE, persist};
use crate::log::Position;

/// Time to load a long history.
const LOAD_DEADLINE: Duration = Duration::from_secs(30);

impl Turn {
    pub(super) async fn load(&self) -> Result<LoadTurnResponse, Stop> {
        persist(|| {
            let message = LoadTurnRequest {
                chat_id: self.chat.id.clone(),
                epoch: self.epoch,
            };
            let request = self.clients.outbound.request(None, LOAD_DEADLINE, message);
            let mut turns = self.clients.turns.clone();
            async move { turns.load_turn(request).await }
        })
        .await
        .map(tonic::Response::into_inner)
        .map_err(Stop::from_storage("load the turn"))
    }

    /// Without messages only what follows is carried out.
    pub(super) async fn commit_step(&self, messages: Vec<NewMessage>, outcome: StepOutcome) -> Result<(), Stop> {
        self.fault_point("answer_not_stored");
        let position = self.log.position();
        let message = CommitStepRequest {
            chat_id: self.chat.id.clone(),
            epoch: self.epoch,
            messages,
            outcome: outcome.into(),
            step: number(position.step),
            attempt: number(position.attempt),
            part_count: count(position),
            pending_tool_calls: Vec::new(),
        };
        let _writing = self.room.writing();
        let answer = persist(|| {
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message.clone());
            let mut turns = self.clients.turns.clone();
            async move { turns.commit_step(request).await }
        })
        .await
        .map_err(Stop::from_storage("store the answer"))?;
        self.fault_point("answer_stored");
        let answer = answer.into_inner();
        let ended = answer.chat.as_ref().filter(|_| outcome == StepOutcome::Finish);
        if let Some(chat) = ended.filter(|chat| chat.status() == ChatStatus::Waiting) {
            self.titles.finished(chat, &message.messages);
        }
        self.sealed(position, answer.chat, answer.change);
        Ok(())
    }

    /// The chat as it is then.
    pub(super) async fn store_results(
        &self,
        messages: Vec<NewMessage>,
        outcome: StepOutcome,
        pending_tool_calls: Vec<PendingToolCall>,
    ) -> Result<Option<Chat>, Stop> {
        self.fault_point("result_not_stored");
        let position = self.log.position();
        let message = StoreToolResultsRequest {
            chat_id: self.chat.id.clone(),
            epoch: self.epoch,
            messages,
            outcome: outcome.into(),
            step: number(position.step),
            attempt: number(position.attempt),
            part_count: count(position),
            pending_tool_calls,
        };
        let _writing = self.room.writing();
        let answer = persist(|| {
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message.clone());
            let mut turns = self.clients.turns.clone();
            async move { turns.store_tool_results(request).await }
        })
        .await
        .map_err(Stop::from_storage("store tool results"))?;
        let answer = answer.into_inner();
        let chat = answer.chat.clone();
        self.sealed(position, answer.chat, answer.change);
        Ok(chat)
    }

    /// Ends the turn as it has to end.
    pub(super) async fn stop(&self, stop: Stop) {
        let settled = match stop {
            Stop::Lost => {
                tracing::info!("turn left to its next owner");
                return;
            }
            Stop::Interrupted(messages) => self.finish_interruption(messages).await,
            Stop::Draining => self.release().await,
            Stop::TooLong(error, _) => self.fail(error, Vec::new()).await,
            Stop::Failed(error, messages) => self.fail(error, messages).await,
        };
        if let Err(status) = settled {
            tracing::warn!(code = ?status.code(), error = status.message(), "could not settle the turn, its next owner will");
        }
    }

    async fn finish_interruption(&self, messages: Vec<NewMessage>) -> Result<(), Status> {
        let position = self.log.position();
        let message = FinishInterruptionRequest {
            chat_id: self.chat.id.clone(),
            epoch: self.epoch,
            messages,
            step: number(position.step),
            attempt: number(position.attempt),
            part_count: count(position),
        };
        let _writing = self.room.writing();
        let answer = persist(|| {
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message.clone());
            let mut turns = self.clients.turns.clone();
            async move { turns.finish_interruption(request).await }
        })
        .await?;
        let answer = answer.into_inner();
        self.sealed(position, answer.chat, answer.change);
        Ok(())
    }

    async fn fail(&self, error: ChatError, messages: Vec<NewMessage>) -> Result<(), Status> {
        tracing::warn!(kind = error.kind, status_code = error.status_code, "turn failed");
        let position = self.log.position();
        let message = FailTurnRequest {
            chat_id: self.chat.id.clone(),
            epoch: self.epoch,
            error: Some(error),
            messages,
            step: number(position.step),
            attempt: number(position.attempt),
            part_count: count(position),
        };
        let _writing = self.room.writing();
        let answer = persist(|| {
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message.clone());
            let mut turns = self.clients.turns.clone();
            async move { turns.fail_turn(request).await }
        })
        .await?;
        let answer = answer.into_inner();
        self.sealed(position, answer.chat, answer.change);
        Ok(())
    }

    async fn release(&self) -> Result<(), Status> {
        let message = ReleaseChatRequest {
            chat_id: self.chat.id.clone(),
            epoch: self.epoch,
            has_crashed: false,
        };
        let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message);
        let answer = self.clients.turns.clone().release_chat(request).await?;
        self.room.explain(answer.into_inner().version);
        Ok(())
    }

    /// The seal of the log and the durable message become visible together: both wait for the version that is announced last.
    fn sealed(&self, position: Position, chat: Option<Chat>, change: Option<ChatChange>) {
        if let Some(chat) = chat {
            self.log.seal(position, chat.version);
            if let Some(change) = change {
                self.room.learn(change);
            }
            self.room.explain(chat.version);
            if chat.status == i32::from(ChatStatus::Pending) {
                self.due.hear(&chat.id, chat.version);
            }
        }
    }
}

/// A count on the wire.
pub(super) fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn count(position: Position) -> i64 {
    i64::try_from(position.index).unwrap_or(i64::MAX)
}
