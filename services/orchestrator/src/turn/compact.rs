//! Compaction: the history is replaced, for the model, by its summary, so that a conversation of any length goes on.
//!
//! It is a step like any other: its intent is recorded, readers see it begin and end, and its rows become visible together with the
//! seal of its live parts. What people see stays as it was; only the model's memory begins anew behind the summary.

use std::time::Duration;

use tandem_chat_core::message::{Message, Role};
use tandem_chat_core::part::{Part as CorePart, SUMMARY_TOOL};
use tandem_chat_core::{retry, wire};
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{
    ChatError, LivePart, MessageVisibility, ModelConfig, Part, Role as WireRole, TextPart, ToolCallPart,
    ToolResultPart, Usage, live_part::Content,
};
use tandem_proto::provider::v1::ToolChoice;
use tandem_proto::storage::v1::{NewMessage, StepIntent, StepOutcome, StepPurpose};
use uuid::Uuid;

use crate::clients::Held;

use super::answer::Answer;
use super::complete::{Ask, Audience, Failure};
use super::{Prompt, Stop, Turn, generic_error};

mod transcript;

/// Time for one summary, from the call to its last word.
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// Attempts at one summary, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// Parts a history that does not fit is summarised in; what is older is left out.
const MAX_CHUNKS: usize = 16;

/// Bytes of one such part where the model's window is not known.
const DEFAULT_CHUNK_BYTES: usize = 64 * 1024;

const INSTRUCTION: &str = "Pause the task. Write a summary of this conversation that will replace it: from now on you will see the \
    summary and nothing before it. Include: the goal and the task at hand; decisions with their reasons; exact technical facts that \
    are still needed (paths, names, commands, versions, values); errors met and how each was solved, without turning one failure into \
    a rule against a tool; what is done, what is under way, what remains; the very next action. Be dense. Point to where long content \
    can be found again instead of repeating it. Write the summary only, call no tool.";

const PREFIX: &str = "[The conversation so far was summarised to make room. The summary:]\n\n";

const CUT: &str = "[The conversation so far did not fit any more and could not be summarised. Older messages are out of reach; its last \
    words were:]\n\n";

/// Why history is compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The window is filled beyond the threshold.
    Threshold,
    /// The vendor refused the prompt as too long.
    TooLong,
    /// A person asked for it.
    Asked,
}

/// What is to be done.
pub(super) struct Compaction {
    pub(super) step: u32,
    pub(super) why: Why,
    /// The turn is over when this is done.
    pub(super) is_last: bool,
    /// A summary that an earlier owner began.
    pub(super) resume: Option<StepIntent>,
}

impl Compaction {
    /// One in the middle of a turn.
    pub(super) fn within(step: u32, why: Why) -> Self {
        Self {
            step,
            why,
            is_last: false,
            resume: None,
        }
    }
}

/// When the model's memory is to be compacted.
#[derive(Debug)]
pub(super) struct Memory {
    threshold_percent: i64,
    limit_tokens: i64,
    /// Compacted since the last answer that went on; a second try in a row would not help.
    is_fresh: bool,
}

impl Memory {
    /// A threshold of 100 percent or an unknown limit switch the automatic off.
    pub(super) fn new(threshold_percent: i32, limit_tokens: i64) -> Self {
        Self {
            threshold_percent: threshold_percent.into(),
            limit_tokens,
            is_fresh: false,
        }
    }

    /// Whether it is time.
    pub(super) fn is_full(&self, prompt: &Prompt) -> bool {
        let is_automatic = self.limit_tokens > 0 && self.threshold_percent < 100;
        is_automatic && !self.is_fresh && self.used_percent(prompt) >= self.threshold_percent
    }

    /// Whether a prompt that is too long now cannot be made any shorter.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_fresh
    }

    /// The model has answered and the turn goes on.
    pub(super) fn has_answered(&mut self) {
        self.is_fresh = false;
    }

    fn used_percent(&self, prompt: &Prompt) -> i64 {
        match self.limit_tokens {
            limit if limit > 0 => prompt.context_tokens().saturating_mul(100) / limit,
            _ => 0,
        }
    }

    /// What a part of a history may hold that is summarised piece by piece: half the window, at four bytes to a token.
    fn chunk_bytes(&self) -> usize {
        match usize::try_from(self.limit_tokens) {
            Ok(limit) if limit > 0 => limit.saturating_mul(2),
            _ => DEFAULT_CHUNK_BYTES,
        }
    }
}

/// What became of the words before.
struct Summary {
    text: String,
    /// What writing it has cost; absent when no model was asked.
    message: Option<NewMessage>,
}

impl Turn {
    /// Compacts, and returns the prompt that follows from it. A summary that fails is shown as failed and changes nothing else, unless
    /// the prompt is too long as it is: then only its last words are kept.
    ///
    /// # Errors
    /// Only what stops the turn itself.
    pub(super) async fn compact(
        &mut self,
        task: Compaction,
        prompt: Prompt,
        model: &ModelConfig,
        memory: &mut Memory,
    ) -> Result<Prompt, Stop> {
        memory.is_fresh = true;
        let call = Call::new(task.why, memory, &prompt);
        let reached = self.log.position();
        let mut place = Place {
            step: task.step,
            attempt: if reached.step == task.step { reached.attempt } else { 0 },
        };
        let begun = match task.resume {
            Some(intent) => self.resume_summary(&mut place, &intent, &call, model).await?,
            None => None,
        };
        let written = match begun {
            Some(summary) => Ok(summary),
            None => self.write_summary(&mut place, &call, &prompt, model, memory).await?,
        };
        let written = match written {
            Err(error) if task.why == Why::TooLong => {
                tracing::warn!(
                    kind = error.kind,
                    "history could not be summarised, keeping its last words"
                );
                let bytes = memory.chunk_bytes() / 2;
                Ok(Summary {
                    text: format!("{CUT}{}", transcript::tail(&prompt.remembered(), bytes)),
                    message: None,
                })
            }
            written => written,
        };
        self.metrics.compacted(model, written.is_ok());
        let outcome = if task.is_last {
            StepOutcome::Finish
        } else {
            StepOutcome::Continue
        };
        self.store_summary(&call, written, &prompt, model, outcome).await?;
        if task.is_last {
            return Ok(prompt);
        }
        let loaded = self.load().await?;
        Prompt::new(&loaded, prompt.into_local_tools())
    }

    /// Goes on with a summary that an earlier owner asked for.
    async fn resume_summary(
        &mut self,
        place: &mut Place,
        intent: &StepIntent,
        call: &Call,
        model: &ModelConfig,
    ) -> Result<Option<Summary>, Stop> {
        place.attempt = intent.attempt.unsigned_abs();
        if intent.purpose() == StepPurpose::Summary {
            self.show(place, call)?;
            let mut answer = Answer::default();
            match self.attach(intent, model, Audience::Nobody, &mut answer).await {
                Some(Ok(())) if !answer.text().is_empty() => return Ok(Some(summary_of(answer, model))),
                Some(Err(Failure::Stopped(cause))) => return Err(Stop::from_cause(cause, Vec::new())),
                Some(_) | None => {}
            }
        }
        self.start_over(place);
        Ok(None)
    }

    /// Asks the model, as often as it may help, and piece by piece where the whole does not fit.
    async fn write_summary(
        &mut self,
        place: &mut Place,
        call: &Call,
        prompt: &Prompt,
        model: &ModelConfig,
        memory: &Memory,
    ) -> Result<Result<Summary, ChatError>, Stop> {
        let remembered = prompt.remembered();
        let is_empty = remembered.is_empty();
        if is_empty || call.why == Why::TooLong {
            self.show(place, call)?;
            if is_empty {
                self.record_nothing(place, model).await?;
                return Ok(Err(generic_error("There is nothing to summarise yet.".to_owned())));
            }
            return self.write_piecewise(place, &remembered, model, memory).await;
        }
        let mut failures = 0;
        loop {
            self.show(place, call)?;
            let mut history = prompt.instructions();
            history.extend(remembered.iter().cloned());
            history.push(Message::new(Role::User, vec![CorePart::text(INSTRUCTION)]));
            let ask = Ask {
                completion_id: Uuid::now_v7().to_string(),
                purpose: StepPurpose::Summary,
                messages: prompt.render_with(history, &self.clients, &self.chat.id).await,
                tools: prompt.tools(),
                tool_choice: ToolChoice::None,
                continues: None,
            };
            let failed = match self.ask_for_summary(place, ask, model).await? {
                Ok(summary) => return Ok(Ok(summary)),
                Err(failed) => failed,
            };
            if failed.is_too_long {
                return self.write_piecewise(place, &remembered, model, memory).await;
            }
            failures += 1;
            if !failed.error.is_retryable || failures >= MAX_ATTEMPTS {
                return Ok(Err(failed.error));
            }
            let delay = retry::delay(failures - 1, failed.retry_after);
            self.start_over(place);
            tokio::select! {
                biased;
                cause = Self::stopped(&mut self.cause) => return Err(Stop::from_cause(cause, Vec::new())),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Summarises a history that is too long for one prompt: each piece together with the summary of those before it.
    async fn write_piecewise(
        &mut self,
        place: &Place,
        history: &[Message],
        model: &ModelConfig,
        memory: &Memory,
    ) -> Result<Result<Summary, ChatError>, Stop> {
        self.record_nothing(place, model).await?;
        let pieces = transcript::pieces(history, memory.chunk_bytes(), MAX_CHUNKS);
        let mut summary: Option<Summary> = None;
        for piece in pieces {
            let text = match &summary {
                None => format!("{INSTRUCTION}\n\nThe conversation:\n\n{piece}"),
                Some(before) => format!(
                    "{INSTRUCTION}\n\nThe summary of what came before:\n\n{}\n\nHow the conversation went on:\n\n{piece}",
                    before.text
                ),
            };
            let message = tandem_proto::provider::v1::PromptMessage {
                role: WireRole::User.into(),
                parts: vec![text_part(text)],
            };
            let ask = Ask {
                completion_id: Uuid::now_v7().to_string(),
                purpose: StepPurpose::PartialSummary,
                messages: vec![message],
                tools: &[],
                tool_choice: ToolChoice::None,
                continues: None,
            };
            match self.ask_for_summary(place, ask, model).await? {
                Ok(next) => summary = Some(next),
                Err(failed) => return Ok(Err(failed.error)),
            }
        }
        Ok(summary.ok_or_else(|| generic_error("There is nothing to summarise yet.".to_owned())))
    }

    async fn ask_for_summary(
        &mut self,
        place: &Place,
        ask: Ask<'_>,
        model: &ModelConfig,
    ) -> Result<Result<Summary, Failed>, Stop> {
        let mut answer = Answer::default();
        let asked = self.attempt(place.step, place.attempt, ask, model, &mut answer);
        let Ok(outcome) = tokio::time::timeout(TIME_LIMIT, asked).await else {
            self.cancel_completion().await;
            let text = format!("The summary was not finished within {} seconds.", TIME_LIMIT.as_secs());
            return Ok(Err(Failed::plain(generic_error(text))));
        };
        match outcome? {
            Ok(()) if answer.text().is_empty() => {
                let text = "The model answered with an empty summary.".to_owned();
                Ok(Err(Failed::plain(generic_error(text))))
            }
            Ok(()) => Ok(Ok(summary_of(answer, model))),
            Err(Failure::Stopped(cause)) => Err(Stop::from_cause(cause, Vec::new())),
            Err(Failure::Completion(failed)) => Ok(Err(Failed {
                is_too_long: failed.is_context_exceeded,
                retry_after: failed
                    .retry_after
                    .and_then(|wait| Duration::try_from(wait).ok())
                    .unwrap_or_default(),
                error: failed.error.unwrap_or_default(),
            })),
        }
    }

    /// A record that nobody can continue, for what is stored without a completion of its own.
    async fn record_nothing(&self, place: &Place, model: &ModelConfig) -> Result<(), Stop> {
        let nothing = Held {
            completion_id: Uuid::now_v7().to_string(),
            ..Held::default()
        };
        let purpose = StepPurpose::PartialSummary;
        self.record_intent(place.step, place.attempt, &nothing, purpose, model)
            .await
    }

    /// Lets readers see that it begins.
    fn show(&self, place: &Place, call: &Call) -> Result<(), Stop> {
        self.log.begin(place.step, place.attempt);
        self.publish(WireRole::Assistant, call.part(self.timestamp()))
    }

    fn start_over(&self, place: &mut Place) {
        place.attempt += 1;
        self.log.begin(place.step, place.attempt);
        self.log.withdraw(place.attempt, None);
        self.room.tick();
    }

    fn publish(&self, role: WireRole, part: Part) -> Result<(), Stop> {
        let live = LivePart {
            role: role.into(),
            content: Some(Content::Part(part)),
            created_at: Some(self.timestamp()),
        };
        self.log
            .push(live)
            .map_err(|full| Stop::Failed(generic_error(full.to_string()), Vec::new()))?;
        self.room.tick();
        Ok(())
    }

    async fn store_summary(
        &mut self,
        call: &Call,
        written: Result<Summary, ChatError>,
        prompt: &Prompt,
        model: &ModelConfig,
        outcome: StepOutcome,
    ) -> Result<(), Stop> {
        let now = self.timestamp();
        let (result, summary) = match written {
            Ok(summary) => (call.result(&summary.text, false, now), Some(summary)),
            Err(error) => (call.result(&error.message, true, now), None),
        };
        self.publish(WireRole::Tool, result.clone())?;
        let mut messages = Vec::new();
        let mut measured = None;
        if let Some(summary) = summary {
            let mut text = summary.text;
            if summary.message.is_some() {
                text.insert_str(0, PREFIX);
            }
            measured = summary.message;
            messages.push(NewMessage {
                is_compressed: true,
                ..hidden(vec![text_part(text)])
            });
            // What waits for its answer is said once more behind the line, word for word.
            messages.extend(
                prompt
                    .waiting()
                    .iter()
                    .map(|message| hidden(wire::parts_to_wire(&message.parts))),
            );
        }
        let measured = measured.unwrap_or_else(|| NewMessage {
            model_config_id: model.id.clone(),
            ..NewMessage::default()
        });
        messages.push(NewMessage {
            role: WireRole::Assistant.into(),
            parts: vec![call.part(now)],
            visibility: MessageVisibility::User.into(),
            is_compressed: true,
            // The prompt it measures is the one it replaces.
            usage: measured.usage.map(|usage| Usage {
                context_limit: None,
                ..usage
            }),
            ..measured
        });
        messages.push(NewMessage {
            role: WireRole::Tool.into(),
            parts: vec![result],
            visibility: MessageVisibility::User.into(),
            is_compressed: true,
            ..NewMessage::default()
        });
        self.commit_step(messages, outcome).await
    }
}

/// Where a compaction's live parts stand.
struct Place {
    step: u32,
    attempt: u32,
}

/// A summary that was not written.
struct Failed {
    error: ChatError,
    retry_after: Duration,
    is_too_long: bool,
}

impl Failed {
    fn plain(error: ChatError) -> Self {
        Self {
            error,
            retry_after: Duration::ZERO,
            is_too_long: false,
        }
    }
}

/// The call people see, made up for them.
struct Call {
    id: String,
    why: Why,
    threshold_percent: i64,
    used_percent: i64,
    context_tokens: i64,
    limit_tokens: i64,
}

impl Call {
    fn new(why: Why, memory: &Memory, prompt: &Prompt) -> Self {
        Self {
            id: format!("{SUMMARY_TOOL}_{}", Uuid::now_v7()),
            why,
            threshold_percent: memory.threshold_percent,
            used_percent: memory.used_percent(prompt),
            context_tokens: prompt.context_tokens(),
            limit_tokens: memory.limit_tokens,
        }
    }

    fn source(&self) -> &'static str {
        match self.why {
            Why::Threshold | Why::TooLong => "automatic",
            Why::Asked => "manual",
        }
    }

    fn part(&self, now: prost_types::Timestamp) -> Part {
        let arguments = serde_json::json!({ "source": self.source(), "threshold_percent": self.threshold_percent });
        Part {
            kind: Some(Kind::ToolCall(ToolCallPart {
                tool_call_id: self.id.clone(),
                tool_name: SUMMARY_TOOL.to_owned(),
                arguments_json: arguments.to_string(),
                provider_executed: false,
                mcp_server_config_id: String::new(),
                created_at: Some(now),
            })),
            provider_metadata_json: String::new(),
        }
    }

    fn result(&self, text: &str, is_error: bool, now: prost_types::Timestamp) -> Part {
        let key = if is_error { "error" } else { "summary" };
        let result = serde_json::json!({
            key: text,
            "source": self.source(),
            "threshold_percent": self.threshold_percent,
            "usage_percent": self.used_percent,
            "context_tokens": self.context_tokens,
            "context_limit_tokens": self.limit_tokens,
        });
        Part {
            kind: Some(Kind::ToolResult(ToolResultPart {
                tool_call_id: self.id.clone(),
                tool_name: SUMMARY_TOOL.to_owned(),
                result_json: result.to_string(),
                is_error,
                is_media: false,
                provider_executed: false,
                mcp_server_config_id: String::new(),
                created_at: Some(now),
            })),
            provider_metadata_json: String::new(),
        }
    }
}

fn summary_of(answer: Answer, model: &ModelConfig) -> Summary {
    Summary {
        text: answer.text(),
        message: Some(answer.into_message(model)),
    }
}

/// A message of the user's that only the model sees.
fn hidden(parts: Vec<Part>) -> NewMessage {
    NewMessage {
        role: WireRole::User.into(),
        parts,
        visibility: MessageVisibility::Model.into(),
        ..NewMessage::default()
    }
}

fn text_part(text: String) -> Part {
    Part {
        kind: Some(Kind::Text(TextPart { text })),
        provider_metadata_json: String::new(),
    }
}
