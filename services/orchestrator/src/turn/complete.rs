//! One step's model call: recorded, started or re-attached to, streamed into the log, tried again where that helps.

use std::time::Duration;

use tandem_chat_core::error::{ChatError as CoreError, ErrorKind};
use tandem_chat_core::{retry, wire};
use tandem_proto::common::v1::{ChatError, ModelConfig, PlanMode, RetryEvent, ToolDefinition};
use tandem_proto::provider::v1::completion_event::Event;
use tandem_proto::provider::v1::{
    AttachRequest, CancelCompletionRequest, CompleteRequest, CompletionEvent, CompletionFailed, CompletionPurpose,
    EarlierResponse, FinishReason, PromptMessage, ToolChoice,
};
use tandem_proto::storage::v1::{BeginStepRequest, StepIntent, StepPurpose};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Status};
use uuid::Uuid;

use super::answer::Answer;
use super::settle::number;
use super::{Cause, Prompt, Stop, Turn};
use crate::clients::{Held, STORAGE_DEADLINE, persist};

/// Time for provider-gateway to accept a completion; its own guards bound the stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(90);

/// Pauses between attempts to find a completion again after its connection broke.
const REATTACH_PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_millis(1_000),
    Duration::from_millis(2_000),
];

type Events = std::pin::Pin<Box<dyn Stream<Item = Result<CompletionEvent, Status>> + Send>>;

/// How one attempt ended without an answer.
pub(super) enum Failure {
    /// The vendor, the gateway or the way to it failed.
    Completion(CompletionFailed),
    /// Somebody wants the turn to stop.
    Stopped(Cause),
}

/// One question to the model.
pub(super) struct Ask<'a> {
    /// A new uuid.
    pub(super) completion_id: String,
    pub(super) purpose: StepPurpose,
    pub(super) messages: Vec<PromptMessage>,
    pub(super) tools: &'a [ToolDefinition],
    pub(super) tool_choice: ToolChoice,
    /// The response that the vendor may go on from.
    pub(super) continues: Option<EarlierResponse>,
}

/// Who sees an answer while it comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody who reads the chat.
    Readers,
    /// Only the turn itself.
    Nobody,
}

impl Audience {
    fn of(purpose: StepPurpose) -> Self {
        match purpose {
            StepPurpose::Unspecified => Self::Readers,
            StepPurpose::Summary | StepPurpose::PartialSummary => Self::Nobody,
        }
    }
}

impl Turn {
    /// Calls the model until it has answered. `intent` is the record of a call an earlier owner began.
    pub(super) async fn complete(
        &mut self,
        step: u32,
        prompt: &Prompt,
        model: &ModelConfig,
        intent: Option<StepIntent>,
    ) -> Result<Answer, Stop> {
        let mut attempt = 0;
        if let Some(intent) = intent {
            attempt = u32::try_from(intent.attempt).unwrap_or(0);
            self.log.begin(step, attempt);
            let mut answer = Answer::default();
            match self.attach(&intent, model, Audience::Readers, &mut answer).await {
                Some(Ok(())) => return Ok(answer),
                Some(Err(Failure::Stopped(cause))) => return Err(self.cut_off(cause, answer, model)),
                // The earlier call is gone or failed: what it streamed is withdrawn and the step runs again.
                Some(Err(Failure::Completion(_))) | None => {
                    attempt += 1;
                    self.log.withdraw(attempt, None);
                    self.room.tick();
                }
            }
        }
        let mut failures: u32 = 0;
        loop {
            self.log.begin(step, attempt);
            let mut answer = Answer::default();
            let ask = Ask {
                completion_id: Uuid::now_v7().to_string(),
                purpose: StepPurpose::Unspecified,
                messages: prompt.render(&self.clients, &self.chat.id).await,
                tools: prompt.tools(),
                tool_choice: ToolChoice::Auto,
                // A plan's instructions hold for its turn alone, and the vendor would keep them.
                continues: prompt.continues().filter(|_| self.chat.plan_mode() != PlanMode::Plan),
            };
            match self.attempt(step, attempt, ask, model, &mut answer).await? {
                Ok(()) => return self.checked(answer),
                Err(Failure::Stopped(cause)) => return Err(self.cut_off(cause, answer, model)),
                Err(Failure::Completion(failed)) => {
                    let error = failed.error.clone().unwrap_or_default();
                    if failed.is_context_exceeded && answer.is_empty() {
                        return Err(Stop::TooLong(error, attempt + 1));
                    }
                    failures += 1;
                    if !error.is_retryable || failures >= self.limits.max_attempts {
                        let kept = answer.into_partial(model, self.timestamp()).into_iter().collect();
                        return Err(Stop::Failed(error, kept));
                    }
                    attempt += 1;
                    self.back_off(attempt, failures, error, &failed).await?;
                }
            }
        }
    }

    /// One attempt: intent first, then the call.
    pub(super) async fn attempt(
        &mut self,
        step: u32,
        attempt: u32,
        ask: Ask<'_>,
        model: &ModelConfig,
        answer: &mut Answer,
    ) -> Result<Result<(), Failure>, Stop> {
        let Ask {
            completion_id, purpose, ..
        } = ask;
        self.fault_point("before_intent");
        let begun = self.begun.take();
        match begun.filter(|intent| {
            (intent.step, intent.attempt, intent.purpose()) == (number(step), number(attempt), purpose)
        }) {
            Some(intent) => self.held = held(&intent),
            None => {
                self.held = Held {
                    completion_id,
                    address: self.clients.completions.choose().await,
                };
                self.record_intent(step, attempt, &self.held, purpose, model).await?;
            }
        }
        self.fault_point("intent_stored");
        let message = CompleteRequest {
            completion_id: self.held.completion_id.clone(),
            model_config_id: model.id.clone(),
            messages: ask.messages,
            tools: ask.tools.to_vec(),
            tool_choice: ask.tool_choice.into(),
            max_output_tokens: 0,
            chat_id: self.chat.id.clone(),
            root_chat_id: self.chat.root_chat_id.clone(),
            owner_id: self.chat.owner_id.clone(),
            purpose: CompletionPurpose::Unspecified.into(),
            continues: ask.continues,
        };
        let started = self.clock.monotonic();
        self.metrics.step_started(model);
        let request = self
            .clients
            .outbound
            .open_stream(Some(&self.owner), OPEN_DEADLINE, message);
        let completions = self.clients.completions.of(&self.held).await;
        let opening = async { completions?.complete(request).await };
        let opened = tokio::select! {
            biased;
            cause = Self::stopped(&mut self.cause) => {
                self.cancel_completion().await;
                return Ok(Err(Failure::Stopped(cause)));
            }
            opened = opening => opened,
        };
        let outcome = match opened {
            Ok(response) => {
                let events = response.into_inner().map(|item| item.and_then(|r| event_of(r.event)));
                let audience = Audience::of(purpose);
                self.follow(Box::pin(events), model, audience, answer).await
            }
            // The way broke, the completion may live: it is looked for before it is asked for, and paid, again.
            Err(status) if is_broken(&status) => match self.reattach(-1).await {
                Ok(events) => {
                    let audience = Audience::of(purpose);
                    self.follow(events, model, audience, answer).await
                }
                Err(failure) => Err(failure),
            },
            Err(status) => Err(Failure::Completion(failed_call(&status))),
        };
        answer.runtime = self.clock.monotonic() - started;
        Ok(outcome)
    }

    /// Records what is about to be asked (law 7).
    pub(super) async fn record_intent(
        &self,
        step: u32,
        attempt: u32,
        held: &Held,
        purpose: StepPurpose,
        model: &ModelConfig,
    ) -> Result<(), Stop> {
        let intent = StepIntent {
            completion_id: held.completion_id.clone(),
            step: number(step),
            attempt: number(attempt),
            model_config_id: model.id.clone(),
            provider_gateway_address: held.address.clone(),
            begun_at: Some(self.timestamp()),
            epoch: self.epoch,
            purpose: purpose.into(),
        };
        let _writing = self.room.writing();
        let answer = persist(|| {
            let message = BeginStepRequest {
                chat_id: self.chat.id.clone(),
                epoch: self.epoch,
                intent: Some(intent.clone()),
            };
            let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message);
            let mut turns = self.clients.turns.clone();
            async move { turns.begin_step(request).await }
        })
        .await
        .map_err(Stop::from_storage("record a step"))?;
        if let Some(change) = answer.into_inner().change {
            let version = change.version;
            self.room.learn(change);
            self.room.explain(version);
        }
        Ok(())
    }

    /// Continues a completion that an earlier owner began; `None` when nobody holds it any more.
    pub(super) async fn attach(
        &mut self,
        intent: &StepIntent,
        model: &ModelConfig,
        audience: Audience,
        answer: &mut Answer,
    ) -> Option<Result<(), Failure>> {
        self.held = held(intent);
        let events = self.open_attached(-1).await.ok()?;
        tracing::info!(
            completion_id = intent.completion_id,
            "continuing a completion of an earlier owner"
        );
        Some(self.follow(events, model, audience, answer).await)
    }

    async fn open_attached(&self, after_index: i64) -> Result<Events, Status> {
        let message = AttachRequest {
            completion_id: self.held.completion_id.clone(),
            after_index,
        };
        let request = self
            .clients
            .outbound
            .open_stream(Some(&self.owner), OPEN_DEADLINE, message);
        let response = self.clients.completions.of(&self.held).await?.attach(request).await?;
        Ok(Box::pin(
            response.into_inner().map(|item| item.and_then(|r| event_of(r.event))),
        ))
    }

    /// Reads a completion to its end, into the answer and into the log. A broken connection is mended, since the completion goes on.
    async fn follow(
        &mut self,
        mut events: Events,
        model: &ModelConfig,
        audience: Audience,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        let mut last_index = -1;
        let opened = self.clock.monotonic();
        let mut is_first = true;
        loop {
            let next = tokio::select! {
                biased;
                cause = Self::stopped(&mut self.cause) => {
                    if cause == Cause::Interrupted {
                        self.cancel_completion().await;
                    }
                    return Err(Failure::Stopped(cause));
                }
                next = events.next() => next,
            };
            let event = match next {
                Some(Ok(event)) => event,
                Some(Err(status)) if !is_broken(&status) => return Err(Failure::Completion(failed_call(&status))),
                Some(Err(_)) | None => {
                    events = self.reattach(last_index).await?;
                    continue;
                }
            };
            last_index = event.index;
            match event.event {
                Some(Event::Failed(failed)) => return Err(Failure::Completion(failed)),
                Some(mut event) => {
                    self.name_server(&mut event);
                    let is_call = matches!(event, Event::ToolCallDelta(_));
                    let is_last = matches!(event, Event::Finished(_));
                    if let Some(part) = answer
                        .apply(event, self.timestamp())
                        .filter(|_| audience == Audience::Readers)
                    {
                        if std::mem::take(&mut is_first) {
                            self.metrics.first_token(model, self.clock.monotonic() - opened);
                            self.titles.answer_began();
                        }
                        if self.log.push(part).is_err() {
                            self.cancel_completion().await;
                            return Err(Failure::Completion(too_much_output()));
                        }
                        self.room.tick();
                        self.fault_point(if is_call { "inside_tool_call" } else { "first_chunk" });
                    }
                    if is_last {
                        return Ok(());
                    }
                }
                None => {}
            }
        }
    }

    async fn reattach(&mut self, last_index: i64) -> Result<Events, Failure> {
        let mut last = Status::unavailable("the connection to provider-gateway broke");
        for pause in REATTACH_PAUSES {
            tokio::select! {
                biased;
                cause = Self::stopped(&mut self.cause) => return Err(Failure::Stopped(cause)),
                () = tokio::time::sleep(pause) => {}
            }
            match self.open_attached(last_index).await {
                Ok(events) => return Ok(events),
                Err(status) if status.code() == Code::NotFound => return Err(lost()),
                Err(status) => last = status,
            }
            // Nobody will answer at that address again; without others it may be about to come back.
            if self.clients.completions.is_gone(&self.held).await {
                return Err(lost());
            }
        }
        self.clients.completions.rest(&self.held);
        Err(Failure::Completion(failed_call(&last)))
    }

    /// Waits before the next attempt, in the readers' view.
    async fn back_off(
        &mut self,
        attempt: u32,
        failures: u32,
        error: ChatError,
        failed: &CompletionFailed,
    ) -> Result<(), Stop> {
        let floor = failed
            .retry_after
            .and_then(|wait| Duration::try_from(wait).ok())
            .unwrap_or_default();
        let delay = retry::delay(failures - 1, floor);
        tracing::warn!(
            attempt = failures,
            ?delay,
            kind = error.kind,
            "model call failed, trying again"
        );
        self.metrics.retried(error.kind());
        let retry = RetryEvent {
            attempt: i32::try_from(failures).unwrap_or(i32::MAX),
            delay_ms: i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
            error: Some(error),
            retrying_at: Some(wire::time_to_wire(self.clock.now() + delay)),
        };
        self.log.withdraw(attempt, Some(retry));
        self.room.tick();
        tokio::select! {
            biased;
            cause = Self::stopped(&mut self.cause) => Err(Stop::from_cause(cause, Vec::new())),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    /// An answer without content is a natural end, unless the vendor filtered it.
    fn checked(&self, answer: Answer) -> Result<Answer, Stop> {
        if answer.finish_reason == FinishReason::ContentFilter && answer.is_empty() {
            let error = CoreError {
                kind: ErrorKind::ContentFilter,
                ..CoreError::generic("The provider's content policy blocked this answer.")
            };
            return Err(Stop::Failed(wire::chat_error_to_wire(&error), Vec::new()));
        }
        Ok(answer)
    }

    fn cut_off(&self, cause: Cause, answer: Answer, model: &ModelConfig) -> Stop {
        let kept = match cause {
            Cause::Interrupted => answer.into_partial(model, self.timestamp()).into_iter().collect(),
            Cause::Lost | Cause::Draining => Vec::new(),
        };
        Stop::from_cause(cause, kept)
    }

    /// Stops the completion asked for last. Best effort: an abandoned one ends by itself after its grace period.
    pub(super) async fn cancel_completion(&self) {
        let message = CancelCompletionRequest {
            completion_id: self.held.completion_id.clone(),
        };
        let request = self
            .clients
            .outbound
            .request(Some(&self.owner), Duration::from_secs(2), message);
        let cancelling = async {
            self.clients
                .completions
                .of(&self.held)
                .await?
                .cancel_completion(request)
                .await
        };
        if let Err(status) = cancelling.await {
            tracing::debug!(error = status.message(), "could not cancel a completion");
        }
    }
}

fn held(intent: &StepIntent) -> Held {
    Held {
        completion_id: intent.completion_id.clone(),
        address: intent.provider_gateway_address.clone(),
    }
}

/// Nobody holds the completion any more: it is to be asked for again.
fn lost() -> Failure {
    Failure::Completion(failed_call(&Status::unavailable("the completion was lost")))
}

/// Whether the connection broke, as opposed to an answer of the gateway. A peer killed in the middle of a stream shows as an internal
/// error of the transport, which lacks the details that every answer of ours carries.
fn is_broken(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Aborted
    ) || (status.code() == Code::Internal && status.details().is_empty())
}

fn event_of(event: Option<CompletionEvent>) -> Result<CompletionEvent, Status> {
    event.ok_or_else(|| Status::internal("completion answer without an event"))
}

/// A refusal or failure of provider-gateway itself, as readers see it.
fn failed_call(status: &Status) -> CompletionFailed {
    let is_retryable = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    );
    let is_full = tandem_chassis::status::Fault::from(status.clone()).reason == "OVERLOADED";
    let (kind, message) = if is_full {
        (
            ErrorKind::Overloaded,
            "Too many model calls are running at once.".to_owned(),
        )
    } else if is_retryable {
        (
            ErrorKind::Timeout,
            "The provider gateway could not be reached.".to_owned(),
        )
    } else {
        (refusal_kind(status), refusal_text(status))
    };
    let error = CoreError {
        kind,
        retryable: is_retryable,
        ..CoreError::generic(message)
    };
    CompletionFailed {
        error: Some(wire::chat_error_to_wire(&error)),
        retry_after: None,
        is_cancelled: false,
        is_context_exceeded: false,
    }
}

fn refusal_kind(status: &Status) -> ErrorKind {
    match tandem_chassis::status::Fault::from(status.clone()).reason.as_ref() {
        "MISSING_KEY" | "USER_KEY_REQUIRED" => ErrorKind::MissingKey,
        "PROVIDER_DISABLED" => ErrorKind::ProviderDisabled,
        "MODEL_DISABLED" | "MODEL_NOT_FOUND" | "PROTOCOL_NOT_SUPPORTED" => ErrorKind::Config,
        _ => ErrorKind::Generic,
    }
}

/// Refusals are written for people; internal errors say nothing that helps them.
fn refusal_text(status: &Status) -> String {
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument | Code::NotFound | Code::PermissionDenied => {
            status.message().to_owned()
        }
        _ => "The model call failed unexpectedly.".to_owned(),
    }
}

fn too_much_output() -> CompletionFailed {
    let error = CoreError::generic("The answer was longer than Tandem can hold and was stopped.");
    CompletionFailed {
        error: Some(wire::chat_error_to_wire(&error)),
        retry_after: None,
        is_cancelled: false,
        is_context_exceeded: false,
    }
}
