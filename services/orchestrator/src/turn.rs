//! One turn of one chat, from the claim to its settlement.
//!
//! Order is the point of this module: the intent of a completion is recorded before it starts, its answer is durable before one of
//! its tools runs, and every write carries the epoch. A turn that loses its lease, or storage, simply ends: what it wrote stands, and
//! whoever claims the chat next goes on from there.

use std::collections::HashMap;
use std::sync::Arc;

use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chat_core::message::{Message, Role};
use tandem_proto::common::v1::{ApprovalRequest, Chat, ChatError, ModelConfig, Part, PendingToolCall};
use tandem_proto::storage::v1::{NewMessage, StepIntent, StepOutcome, StepPurpose};
use tokio::sync::watch;
use tracing::Instrument;

use crate::clients::{Clients, Held};
use crate::config::Turns;
use crate::due::Due;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::room::Room;
use crate::title::OfTurn;

mod answer;
mod attachments;
mod briefing;
mod compact;
mod complete;
mod context;
mod open_calls;
mod settle;
mod tools;

pub(crate) use briefing::Progress;
use compact::{Compaction, Memory, Why};
pub(crate) use context::Prompt;
use tools::Tools;

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
    /// The call of the model that the claim has recorded, until it is made.
    pub(crate) begun: Option<StepIntent>,
    /// The completion asked for last.
    pub(crate) held: Held,
    /// Tells the claim loop that a chat became due.
    pub(crate) due: Arc<Due>,
    /// What is done beside the turn.
    pub(crate) titles: OfTurn,
    /// Tools of MCP servers: by their name, the id of the server.
    pub(crate) mcp_servers: HashMap<String, String>,
    /// What the model can be told at once; 0 where that is not known.
    pub(crate) context_limit: i64,
    /// What it has done about its context.
    pub(crate) progress: Progress,
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
    /// The prompt is longer than the model can take. The number of the attempt that may follow.
    TooLong(ChatError, u32),
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
        self.fault_point("message_stored");
        let preparing = async {
            let loaded = self.load().await?;
            let model = loaded.model_config.clone().unwrap_or_default();
            let tools = match takes_tools(&model) {
                true => self.list_tools(model.context_limit).await?,
                false => Tools::default(),
            };
            Ok((loaded, model, tools))
        };
        // The workspace is asked meanwhile: it must not keep the first word waiting longer than it takes itself.
        let ((loaded, model, tools), found) = tokio::try_join!(preparing, async { Ok(self.discover().await) })?;
        self.titles.learn(&loaded, &self.chat.title);
        self.mcp_servers = tools.mcp_server_ids;
        self.context_limit = model.context_limit;
        let mut prompt = Prompt::new(&loaded, tools.definitions)?;
        self.brief(&mut prompt, found).await;
        let mut step = u32::try_from(loaded.step).unwrap_or(0);
        let (mut intent, summary) = match loaded.intent {
            Some(intent) if intent.epoch == self.epoch => {
                self.begun = Some(intent);
                (None, None)
            }
            Some(intent) if intent.purpose() == StepPurpose::Unspecified => (Some(intent), None),
            other => (None, other),
        };
        if tandem_chassis::fault::is_off("reattach") {
            intent = None;
        }

        let open = prompt.open_calls();
        if !open.is_empty() {
            // Taken over between an answer and its results, or gone on after a wait. Live output of the last owner cannot be continued
            // exactly.
            let (of_calls, attempt) = open_calls::place(step, self.epoch);
            self.log.begin(of_calls, attempt);
            self.room.tick();
            prompt.inherit(&open);
            if self.run_tools(&mut prompt, open).await? != StepOutcome::Continue {
                return Ok(());
            }
            intent = None;
            step = step.max(of_calls + 1);
        }

        let mut memory = Memory::new(loaded.compaction_threshold, model.context_limit);
        if loaded.is_compaction_requested || summary.is_some() {
            let is_last = loaded.is_compaction_requested || (step > 0 && prompt.is_answered());
            let why = if loaded.is_compaction_requested {
                Why::Asked
            } else {
                Why::Threshold
            };
            let task = Compaction {
                step,
                why,
                is_last,
                resume: summary,
            };
            prompt = self.compact(task, prompt, &model, &mut memory).await?;
            if is_last {
                return Ok(());
            }
            step += 1;
        }
        if step > 0 && prompt.is_answered() {
            // Taken over between the last answer and the compaction that was to follow it.
            return self.finish(step, prompt, &model, &mut memory).await;
        }
        while step < self.limits.max_steps {
            if intent.is_none() && memory.is_full(&prompt) {
                let task = Compaction::within(step, Why::Threshold);
                prompt = self.compact(task, prompt, &model, &mut memory).await?;
                step += 1;
            }
            let answer = match self.complete(step, &prompt, &model, intent.take()).await {
                Err(Stop::TooLong(error, _)) if memory.is_exhausted() || prompt.remembered().is_empty() => {
                    return Err(Stop::Failed(error, Vec::new()));
                }
                Err(Stop::TooLong(_, attempt)) => {
                    self.log.withdraw(attempt, None);
                    let task = Compaction::within(step, Why::TooLong);
                    prompt = self.compact(task, prompt, &model, &mut memory).await?;
                    step += 1;
                    continue;
                }
                answer => answer?,
            };
            let calls = answer.local_calls();
            let message = answer.into_message(&model);
            prompt.push_answer(&message)?;
            if calls.is_empty() {
                let outcome = if memory.is_full(&prompt) {
                    StepOutcome::Continue
                } else {
                    StepOutcome::Finish
                };
                self.commit_step(vec![message], outcome).await?;
                return match outcome {
                    StepOutcome::Finish => Ok(()),
                    _ => self.finish(step + 1, prompt, &model, &mut memory).await,
                };
            }
            self.commit_step(vec![message], StepOutcome::RunTools).await?;
            memory.has_answered();
            if self.run_tools(&mut prompt, calls).await? != StepOutcome::Continue {
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

    /// Ends a turn whose last answer is stored, after making room for the next one.
    async fn finish(
        &mut self,
        step: u32,
        prompt: Prompt,
        model: &ModelConfig,
        memory: &mut Memory,
    ) -> Result<(), Stop> {
        if memory.is_full(&prompt) {
            let task = Compaction {
                is_last: true,
                ..Compaction::within(step, Why::Threshold)
            };
            self.compact(task, prompt, model, memory).await?;
            return Ok(());
        }
        self.commit_step(Vec::new(), StepOutcome::Finish).await
    }

    /// Where a test can end this process or crash this turn.
    fn fault_point(&self, name: &str) {
        tandem_chassis::fault::point(&format!("turn.{name}"), &self.chat.id);
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

/// Whether the model is offered tools. Small models answer worse with them, so `tools_enabled: false` among a model's options keeps them
/// away.
fn takes_tools(model: &ModelConfig) -> bool {
    let options: serde_json::Value = serde_json::from_str(&model.call_config_json).unwrap_or_default();
    options["tools_enabled"] != false
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
    /// The call as somebody else is told of it: a person who has to allow it, or else the client, who has to run it.
    fn pending(&self, approval: Option<ApprovalRequest>) -> PendingToolCall {
        PendingToolCall {
            tool_call_id: self.id.clone(),
            tool_name: self.tool_name.clone(),
            arguments_json: self.arguments_json.clone(),
            approval,
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
