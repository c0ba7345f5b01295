//! The last event of a completion: what it tells its readers, the metrics, the log and the ledger.

use std::time::Duration;

use tandem_chat_core::{
    classify::{self, Cause, Classified},
    error::{ChatError, Detail},
};
use tandem_protocols::{Failure, Finish};

use super::{Ending, Run};
use crate::{
    catalog::Model,
    completion::{Event, Failed, Finished},
    meter,
    secret::redact,
    spend::{Order, ledger::Bill},
};

impl Run {
    pub(super) fn finished(&self, finish: Finish) -> Event {
        let Finish {
            reason,
            usage: mut last,
            response_id,
        } = finish;
        meter::forget_impossible(&mut last);
        let model = self.serving().model;
        let mut usage = self.account.total(&last);
        let cost_usd_micros = meter::cost_usd_micros(&model.options, &usage);
        let bill = self.bill(&model);
        if last.is_empty() {
            self.parts.ledger.cut_off(&bill);
        } else {
            self.parts.ledger.finished(&bill, &usage, cost_usd_micros);
        }
        self.parts.metrics.used(&model, &usage);
        let span = tracing::Span::current();
        span.record("gen_ai.response.finish_reasons", reason.as_str());
        span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        span.record("gen_ai.usage.output_tokens", usage.output_tokens);
        let after = self.ended(&model, reason.as_str());
        tracing::info!(
            provider = model.provider.name,
            model = model.model,
            reason = reason.as_str(),
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "completion finished"
        );
        usage.context_limit = model.context_limit;
        Event::Finished(Box::new(Finished {
            reason,
            usage,
            response_id,
            cost_usd_micros,
        }))
    }

    pub(super) fn failed(&self, ending: Ending) -> Event {
        let model = self.serving().model;
        self.parts.ledger.cut_off(&self.bill(&model));
        let failed = match ending {
            Ending::Refused(refusal) => Failed {
                error: ChatError {
                    kind: refusal.kind,
                    retryable: refusal.is_retryable,
                    ..ChatError::generic(refusal.message)
                },
                retry_after: refusal.retry_after,
                is_context_exceeded: false,
                is_cancelled: false,
            },
            Ending::Failure(failure) => self.describe(&failure),
            Ending::Stopped(why) => Failed {
                error: ChatError {
                    detail: Detail::new(why),
                    provider: model.provider.kind.as_str().to_owned(),
                    ..ChatError::generic("The request was stopped.")
                },
                retry_after: Duration::ZERO,
                is_context_exceeded: false,
                is_cancelled: true,
            },
            Ending::Full(full) => Failed {
                error: ChatError {
                    detail: detail(&model, &full.to_string()),
                    provider: model.provider.kind.as_str().to_owned(),
                    ..ChatError::generic("The answer was longer than Tandem can hold and was stopped.")
                },
                retry_after: Duration::ZERO,
                is_context_exceeded: false,
                is_cancelled: false,
            },
        };
        let kind = if failed.is_cancelled {
            "cancelled"
        } else {
            failed.error.kind.as_str()
        };
        tracing::Span::current().record("error.type", kind);
        let after = self.ended(&model, kind);
        tracing::info!(
            provider = model.provider.name,
            model = model.model,
            kind,
            status = failed.error.status_code,
            is_retryable = failed.error.retryable,
            duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "completion failed"
        );
        Event::Failed(Box::new(failed))
    }

    /// What it is billed by, as things stand.
    pub(super) fn bill<'a>(&'a self, model: &'a Model) -> Bill<'a> {
        Bill {
            order: self.order(model),
            payer: self.payer,
            model,
            account: &self.account,
            runtime: self.parts.clock.monotonic() - self.started_at,
        }
    }

    /// What is asked of `model`, as far as it has to be paid.
    pub(super) fn order(&self, model: &Model) -> Order<'_> {
        Order {
            model_config_id: model.id,
            ..Order::from(&*self.request)
        }
    }

    fn ended(&self, model: &Model, outcome: &'static str) -> Duration {
        let after = self.parts.clock.monotonic() - self.started_at;
        self.parts.metrics.ended(model, outcome, after);
        after
    }

    pub(super) fn describe(&self, failure: &Failure) -> Failed {
        let model = self.serving().model;
        let text = redact(&failure.text, &model.provider.keys);
        let Classified {
            mut error,
            retry_after,
            is_cancelled: _,
            retry_message: _,
            is_chain_broken: _,
            is_context_exceeded,
        } = classify::classify(&classify::Failure {
            status: failure.status,
            text: &text,
            provider: Some(model.provider.kind.as_str()),
            retry_after: failure.retry_after,
            cause: failure.cause,
        });
        let said = match error.detail.as_str() {
            "" if failure.status.is_none() && failure.cause == Cause::Reported => {
                "the answer is an error without words"
            }
            words => words,
        };
        error.detail = detail(&model, said);
        Failed {
            error,
            retry_after,
            is_context_exceeded,
            // Only we can cancel; a vendor that says so has failed.
            is_cancelled: false,
        }
    }
}

/// What the vendor said, behind the names of provider and model.
fn detail(model: &Model, text: &str) -> Detail {
    let (provider, model) = (&model.provider.name, &model.model);
    match text {
        "" => Detail::new(&format!("{provider}, model {model}")),
        text => Detail::new(&format!("{provider}, model {model}: {text}")),
    }
}
