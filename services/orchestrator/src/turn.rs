//! One turn of one chat, from the claim to its settlement.
//!
//! Order is the point of this module: the intent of a completion is recorded before it starts, its answer is durable before one of
//! its tools runs, and every write carries the epoch. A turn that loses its lease, or storage, simply ends: what it wrote stands, and
//! whoever claims the chat next goes on from there.

use std::sync::Arc;

use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chat_core::message::{Message, Role};
use tandem_proto::common::v1::{Chat, ChatError, Part, PendingToolCall};
use tandem_proto::storage::v1::{NewMessage, StepOutcome};
use tokio::sync::{Notify, watch};
use tracing::Instrument;

use crate::clients::Clients;
use crate::config::Turns;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::room::Room;

mod answer;
mod complete;
mod context;
mod settle;
mod tools;

pub(crate) use context::Prompt;

/// Why a turn has to stop before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its owner asked for it; what was said is kept.
    Interrupted,
    /// The lease belongs to someone else now; nothing may be written.
    Lost,
    /// This replica shuts down; the chat is handed back.
    Draining,
}

/// Everything a turn works with.
pub(crate) struct Turn {
    pub(crate) clients: Clients,
    pub(crate) room: Arc<Room>,
    pub(crate) log: Arc<Log>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Turns,
    /// The chat as the claim left it.
    pub(crate) chat: Chat,
    pub(crate) epoch: i64,
    /// The chat's owner, in whose name tools run.
    pub(crate) owner: User,
    pub(crate) cause: watch::Receiver<Option<Cause>>,
    /// Tells the claim loop that a chat became due.
    pub(crate) wake: Arc<Notify>,
}

/// How a turn leaves its course.
#[derive(Debug)]
pub(crate) enum Stop {
    /// [`Cause::Interrupted`], with what is worth keeping.
    Interrupted(Vec<NewMessage>),
    /// [`Cause::Lost`], or storage does not answer: the chat is left to the next owner.
    Lost,
    /// [`Cause::Draining`].
    Draining,
    /// The turn failed, with what is worth keeping.
    Failed(ChatError, Vec<NewMessage>),
}

impl Stop {
    fn from_cause(cause: Cause, kept: Vec<NewMessage>) -> Self {
        match cause {
            Cause::Interrupted => Self::Interrupted(kept),
            Cause::Lost => Self::Lost,
            Cause::Draining => Self::Draining,
        }
    }

    /// Storage refused or did not answer. Nothing can be written any more, which is what [`Stop::Lost`] means.
    fn from_storage(what: &'static str) -> impl FnOnce(tonic::Status) -> Self {
        move |status| {
            tracing::warn!(code = ?status.code(), error = status.message(), "could not {what}, leaving the chat to its next owner");
            Self::Lost
        }
    }
}

impl Turn {
    /// Runs the turn to its settlement.
    pub(crate) async fn run(mut self) {
        let span = tracing::info_span!(
            "turn",
            chat_id = self.chat.id,
            epoch = self.epoch,
            otel.kind = "internal"
        );
        async {
            match self.drive().await {
                Ok(()) => {}
                Err(stop) => self.stop(stop).await,
            }
        }
        .instrument(span)
        .await;
    }

    async fn drive(&mut self) -> Result<(), Stop> {
        if self.chat.status == i32::from(tandem_proto::common::v1::ChatStatus::Interrupting) {
            return Err(Stop::Interrupted(Vec::new()));
        }
        let loaded = self.load().await?;
        let model = loaded.model_config.clone().unwrap_or_default();
        let tools = self.list_tools().await?;
        let mut prompt = Prompt::new(&loaded, tools)?;
        let mut intent = loaded.intent;
        let mut step = u32::try_from(loaded.step).unwrap_or(0);

        let open = prompt.open_calls();
        if !open.is_empty() {
            // Taken over between an answer and its results. Live output of the last owner cannot be continued exactly.
            self.log.begin(step, 0);
            self.log.withdraw(
                intent.as_ref().map_or(1, |intent| intent.attempt.unsigned_abs() + 1),
                None,
            );
            self.room.tick();
            if self.run_tools(&mut prompt, open).await? == StepOutcome::RequireAction {
                return Ok(());
            }
            intent = None;
            step += 1;
        }
        while step < self.limits.max_steps {
            let answer = self.complete(step, &prompt, &model, intent.take()).await?;
            let calls = answer.local_calls();
            let outcome = if calls.is_empty() {
                StepOutcome::Finish
            } else {
                StepOutcome::RunTools
            };
            let message = answer.into_message(&model);
            let parts = message.parts.clone();
            self.commit_step(message, outcome).await?;
            if calls.is_empty() {
                return Ok(());
            }
            prompt.push_answer(parts)?;
            if self.run_tools(&mut prompt, calls).await? == StepOutcome::RequireAction {
                return Ok(());
            }
            step += 1;
        }
        let limit = self.limits.max_steps;
        let error = generic_error(format!(
            "The turn was ended after {limit} model calls. Send a message to go on."
        ));
        Err(Stop::Failed(error, Vec::new()))
    }

    /// Completes when somebody wants the turn to stop.
    async fn stopped(cause: &mut watch::Receiver<Option<Cause>>) -> Cause {
        loop {
            if let Some(cause) = *cause.borrow_and_update() {
                return cause;
            }
            if cause.changed().await.is_err() {
                return Cause::Lost;
            }
        }
    }
}

/// A call the turn has to run or to hand to the client.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) tool_name: String,
    pub(crate) arguments_json: String,
    /// What the model sent in place of arguments, where it was no JSON object.
    pub(crate) invalid_arguments: Option<String>,
}

impl Call {
    fn pending(&self) -> PendingToolCall {
        PendingToolCall {
            tool_call_id: self.id.clone(),
            tool_name: self.tool_name.clone(),
            arguments_json: self.arguments_json.clone(),
        }
    }
}

fn generic_error(message: String) -> ChatError {
    tandem_chat_core::wire::chat_error_to_wire(&tandem_chat_core::error::ChatError::generic(message))
}

/// A stored message as the domain knows it.
fn message_from_wire(
    role: i32,
    visibility: i32,
    parts: &[Part],
) -> Result<Message, tandem_chat_core::wire::InvalidWire> {
    use tandem_chat_core::wire;
    let role = wire::role_from_wire(role).unwrap_or(Role::User);
    let visibility = wire::visibility_from_wire(visibility);
    Ok(Message {
        role,
        visibility,
        parts: wire::parts_from_wire(parts)?,
    })
}
