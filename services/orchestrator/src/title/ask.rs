//! Asking models beside the turns: one question, a few models, an end in any case, and a bill for all of it.

use std::time::Duration;

use tandem_chassis::identity::User;
use tandem_chat_core::error::ChatError as CoreError;
use tandem_chat_core::{retry, wire};
use tandem_proto::common::v1::{Chat, ChatError, ModelConfig};
use tandem_proto::provider::v1::completion_event::Event;
use tandem_proto::provider::v1::{
    CancelCompletionRequest, CompleteRequest, CompletionFailed, CompletionFinished, ToolChoice,
};
use tandem_proto::storage::v1::SideCost;
use tonic::Status;
use uuid::Uuid;

use crate::clients::Held;

use super::prompt::Question;
use super::{TIME_LIMIT, Titles};

/// Attempts with one model, the first included.
const MAX_ATTEMPTS: u32 = 2;

/// A model that says more than this says something else than it was asked for.
const MAX_SAID_BYTES: usize = 4 * 1024;

const CANCEL_DEADLINE: Duration = Duration::from_secs(2);

/// The chat a question is about, and whose it is.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) chat_id: String,
    pub(super) root_chat_id: String,
    pub(super) owner: User,
}

impl Subject {
    pub(super) fn new(chat: &Chat, owner: &User) -> Self {
        Self {
            chat_id: chat.id.clone(),
            root_chat_id: chat.root_chat_id.clone(),
            owner: owner.clone(),
        }
    }
}

/// Why nothing came of it.
#[derive(Debug)]
pub(super) enum Failure {
    /// No model answered, or none as asked; the last one's reason.
    Model(ChatError),
    /// The time was over.
    Late,
    /// This replica shuts down.
    Draining,
}

impl Failure {
    /// For metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Model(_) => "failed",
            Self::Late => "late",
            Self::Draining => "abandoned",
        }
    }
}

/// What asking has led to so far; outlives the asking itself, which may be given up at any moment.
#[derive(Default)]
struct Course {
    costs: Vec<SideCost>,
    /// The completion under way.
    open: Option<Held>,
}

/// Why one attempt has not answered.
struct Refusal {
    error: ChatError,
    retry_after: Duration,
}

impl Titles {
    /// Asks the models in order until `accept` takes what one of them says. Also what it has cost, whatever came of it.
    pub(super) async fn ask<T>(
        &self,
        subject: &Subject,
        models: &[&ModelConfig],
        question: &Question,
        accept: impl Fn(&str) -> Option<T>,
    ) -> (Result<T, Failure>, Vec<SideCost>) {
        let mut course = Course::default();
        let asked = tokio::time::timeout(
            TIME_LIMIT,
            self.ask_each(subject, models, question, accept, &mut course),
        );
        let outcome = tokio::select! {
            biased;
            asked = asked => asked.unwrap_or(Err(Failure::Late)),
            () = self.given_up() => Err(Failure::Draining),
        };
        if let Some(held) = course.open.take() {
            self.cancel(subject, held).await;
        }
        (outcome, course.costs)
    }

    async fn ask_each<T>(
        &self,
        subject: &Subject,
        models: &[&ModelConfig],
        question: &Question,
        accept: impl Fn(&str) -> Option<T>,
        course: &mut Course,
    ) -> Result<T, Failure> {
        let mut last = failed("No model can be used for this.");
        for model in models {
            let mut failures = 0;
            last = loop {
                match self.ask_once(subject, model, question, course).await {
                    Ok(said) => match accept(&said) {
                        Some(wanted) => return Ok(wanted),
                        None => break failed("The model answered, but not with what it was asked for."),
                    },
                    Err(refusal) => {
                        failures += 1;
                        if !refusal.error.is_retryable || failures >= MAX_ATTEMPTS {
                            break refusal.error;
                        }
                        tokio::time::sleep(retry::delay(failures - 1, refusal.retry_after)).await;
                    }
                }
            };
            tracing::debug!(
                model = model.model,
                kind = last.kind,
                "model gave no words for a side job"
            );
        }
        Err(Failure::Model(last))
    }

    async fn ask_once(
        &self,
        subject: &Subject,
        model: &ModelConfig,
        question: &Question,
        course: &mut Course,
    ) -> Result<String, Refusal> {
        let held = Held {
            completion_id: Uuid::now_v7().to_string(),
            address: self.0.clients.completions.choose().await,
        };
        let message = CompleteRequest {
            completion_id: held.completion_id.clone(),
            model_config_id: model.id.clone(),
            messages: question.messages.clone(),
            tools: Vec::new(),
            tool_choice: ToolChoice::None.into(),
            max_output_tokens: 0,
            chat_id: subject.chat_id.clone(),
            root_chat_id: subject.root_chat_id.clone(),
            owner_id: subject.owner.id.to_string(),
            purpose: question.purpose.into(),
            continues: None,
        };
        let started = self.0.clock.monotonic();
        let outbound = &self.0.clients.outbound;
        let request = outbound.open_stream(Some(&subject.owner), TIME_LIMIT, message);
        course.open = Some(held.clone());
        let mut completions = self.0.clients.completions.of(&held).await.map_err(unreachable)?;
        let mut events = completions.complete(request).await.map_err(unreachable)?.into_inner();
        let mut said = String::new();
        while let Some(answer) = events.message().await.map_err(unreachable)? {
            match answer.event.and_then(|event| event.event) {
                Some(Event::TextDelta(delta)) => said.push_str(&delta),
                Some(Event::Finished(finished)) => {
                    course.open = None;
                    course
                        .costs
                        .push(cost(model, finished, self.0.clock.monotonic() - started));
                    return Ok(said);
                }
                Some(Event::Failed(failure)) => {
                    course.open = None;
                    return Err(refused(failure));
                }
                _ => {}
            }
            if said.len() > MAX_SAID_BYTES {
                course.open = None;
                self.cancel(subject, held).await;
                return Ok(said);
            }
        }
        Err(unreachable(Status::unavailable("the answer broke off")))
    }

    async fn cancel(&self, subject: &Subject, held: Held) {
        let message = CancelCompletionRequest {
            completion_id: held.completion_id.clone(),
        };
        let outbound = &self.0.clients.outbound;
        let request = outbound.request(Some(&subject.owner), CANCEL_DEADLINE, message);
        let cancelling = async {
            self.0
                .clients
                .completions
                .of(&held)
                .await?
                .cancel_completion(request)
                .await
        };
        if let Err(status) = cancelling.await {
            tracing::debug!(error = status.message(), "could not cancel a completion");
        }
    }
}

fn cost(model: &ModelConfig, finished: CompletionFinished, runtime: Duration) -> SideCost {
    SideCost {
        model_config_id: model.id.clone(),
        usage: finished.usage,
        cost_micros: finished.cost_micros,
        runtime: prost_types::Duration::try_from(runtime).ok(),
    }
}

fn refused(failure: CompletionFailed) -> Refusal {
    let wait = failure.retry_after.and_then(|wait| Duration::try_from(wait).ok());
    Refusal {
        error: failure.error.unwrap_or_default(),
        retry_after: wait.unwrap_or_default(),
    }
}

/// A call that got no answer of a model. Providers that are switched off say so here; nothing else is worth a second call.
fn unreachable(status: Status) -> Refusal {
    Refusal {
        error: failed(status.message()),
        retry_after: Duration::ZERO,
    }
}

fn failed(message: &str) -> ChatError {
    wire::chat_error_to_wire(&CoreError::generic(message))
}
