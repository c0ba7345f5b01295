//! Other models in the place of the one asked for, where its options name some.
//!
//! Only before anything of an answer has come, and only when the vendor has no room for it: overloaded or its breaker open, too slow to
//! begin, limited or all its keys resting. What needs somebody's hand (keys, settings, money) is told as it is. Their own fallbacks are
//! not followed, so there is an end. When none of them answers either, the failure of the model asked for is the completion's.

use std::sync::{Arc, PoisonError};

use tandem_chat_core::{error::ErrorKind, id::ModelConfigId};
use tandem_protocols::{Deltas, Failure, Finish, Protocol};

use super::{Ending, Run, Serving};
use crate::catalog::Model;

impl Run {
    /// Asks the model; and those that may answer in its place, one after the other.
    pub(super) async fn ask(&self, rest: &mut Option<Deltas>) -> Result<Finish, Ending> {
        let asked = self.serving();
        let mut has_spoken = false;
        let failure = match self.ask_model(&asked, &mut has_spoken, rest).await {
            Err(Ending::Failure(failure)) if !has_spoken => failure,
            outcome => return outcome,
        };
        let Some(reason) = self.reason_to_fall_back(&failure) else {
            return Err(failure.into());
        };
        for id in self.asked.fallbacks.iter().filter(|id| **id != self.asked.id) {
            let Some(serving) = self.find(*id, reason).await else {
                continue;
            };
            self.serve(serving.clone());
            match self.ask_model(&serving, &mut has_spoken, rest).await {
                Err(Ending::Failure(failure)) if !has_spoken => {
                    let kind = self.describe(&failure).error.kind.as_str();
                    tracing::info!(model = serving.model.model, kind, "the fallback does not answer either");
                }
                // What this one would cost is too much; the model asked for may be affordable.
                Err(Ending::Refused(refusal)) => {
                    tracing::info!(
                        model = serving.model.model,
                        kind = refusal.kind.as_str(),
                        "the fallback may not be paid"
                    );
                }
                outcome => return outcome,
            }
        }
        self.serve(asked);
        Err(failure.into())
    }

    /// Why another model may be asked; `None` where none may.
    fn reason_to_fall_back(&self, failure: &Failure) -> Option<ErrorKind> {
        if self.asked.fallbacks.is_empty() {
            return None;
        }
        let error = self.describe(failure).error;
        Some(error.kind).filter(|kind| error.retryable && kind.is_lack_of_room())
    }

    /// A model that can be called now.
    async fn find(&self, id: ModelConfigId, reason: ErrorKind) -> Option<Serving> {
        let owner = self.payer.map(|payer| payer.owner);
        let model = match self.parts.catalog.model(id, owner).await {
            Ok(model) => model,
            Err(error) => {
                tracing::info!(model_config_id = %id, %error, "a fallback cannot be called");
                return None;
            }
        };
        tracing::warn!(
            provider = self.asked.provider.name,
            model = self.asked.model,
            to_provider = model.provider.name,
            to_model = model.model,
            reason = reason.as_str(),
            "another model is asked"
        );
        self.parts.metrics.fell_back(&self.asked, &model, reason.as_str());
        Some(Serving {
            protocol: Protocol::of(&model),
            model,
            reason: Some(reason),
        })
    }

    /// The model that is asked now.
    pub(super) fn serving(&self) -> Serving {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, serving: Serving) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = serving;
    }
}

impl Serving {
    /// The model that was asked for.
    pub(super) fn asked(model: &Arc<Model>, protocol: Protocol) -> Self {
        Self {
            model: Arc::clone(model),
            protocol,
            reason: None,
        }
    }
}
