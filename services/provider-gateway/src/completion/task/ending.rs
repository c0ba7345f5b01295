//! The last event of a completion: what it tells its readers, the metrics, the log and the ledger.

use std::time::Duration;

use tandem_chat_core::{
    classify::{self, Cause, Classified},
    error::{ChatError, Detail},
    message::Usage,
};

use super::{Ending, Run};
use crate::{
    completion::{Event, Failed, Finished},
    meter,
    provider::{Failure, Finish},
    secret::redact,
    spend::ledger::Bill,
};

/// More tokens than any model takes or gives. A vendor that reports more is not believed: nothing may be planned or summed up by it.
const MAX_TOKENS: i64 = 1_000_000_000;

impl Run {
    pub(super) fn finished(&self, finish: Finish) -> Event {
        let Finish {
            reason,
            mut usage,
            response_id,
        } = finish;
        forget_impossible(&mut usage);
        let cost_usd_micros = meter::cost_usd_micros(&self.model.options, &usage);
        self.parts.ledger.finished(&self.bill(), &usage, cost_usd_micros);
        self.parts.metrics.used(&self.model, &usage);
        let span = tracing::Span::current();
        span.record("gen_ai.response.finish_reasons", reason.as_str());
        span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        span.record("gen_ai.usage.output_tokens", usage.output_tokens);
        let after = self.ended(reason.as_str());
        tracing::info!(
            provider = self.model.provider.name,
            model = self.model.model,
            reason = reason.as_str(),
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "completion finished"
        );
        usage.context_limit = self.model.context_limit;
        Event::Finished(Box::new(Finished {
            reason,
            usage,
            response_id,
            cost_usd_micros,
        }))
    }

    pub(super) fn failed(&self, ending: Ending) -> Event {
        self.parts.ledger.cut_off(&self.bill());
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
                    provider: self.model.provider.kind.as_str().to_owned(),
                    ..ChatError::generic("The request was stopped.")
                },
                retry_after: Duration::ZERO,
                is_context_exceeded: false,
                is_cancelled: true,
            },
            Ending::Full(full) => Failed {
                error: ChatError {
                    detail: self.detail(&full.to_string()),
                    provider: self.model.provider.kind.as_str().to_owned(),
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
        let after = self.ended(kind);
        tracing::info!(
            provider = self.model.provider.name,
            model = self.model.model,
            kind,
            status = failed.error.status_code,
            is_retryable = failed.error.retryable,
            duration_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "completion failed"
        );
        Event::Failed(Box::new(failed))
    }

    /// What it is billed by, as things stand.
    pub(super) fn bill(&self) -> Bill<'_> {
        Bill {
            request: &self.request,
            payer: self.payer,
            model: &self.model,
            account: &self.account,
            runtime: self.parts.clock.monotonic() - self.started_at,
        }
    }

    fn ended(&self, outcome: &'static str) -> Duration {
        let after = self.parts.clock.monotonic() - self.started_at;
        self.parts.metrics.ended(&self.model, outcome, after);
        after
    }

    fn describe(&self, failure: &Failure) -> Failed {
        let text = redact(&failure.text, &self.model.provider.keys);
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
            provider: Some(self.model.provider.kind.as_str()),
            retry_after: failure.retry_after,
            cause: failure.cause,
        });
        error.detail = self.detail(match error.detail.as_str() {
            "" if failure.status.is_none() && failure.cause == Cause::Reported => {
                "the answer is an error without words"
            }
            words => words,
        });
        Failed {
            error,
            retry_after,
            is_context_exceeded,
            // Only we can cancel; a vendor that says so has failed.
            is_cancelled: false,
        }
    }

    /// What the vendor said, behind the names of provider and model.
    fn detail(&self, text: &str) -> Detail {
        let (provider, model) = (&self.model.provider.name, &self.model.model);
        match text {
            "" => Detail::new(&format!("{provider}, model {model}")),
            text => Detail::new(&format!("{provider}, model {model}: {text}")),
        }
    }
}

fn forget_impossible(usage: &mut Usage) {
    for count in [
        &mut usage.input_tokens,
        &mut usage.output_tokens,
        &mut usage.total_tokens,
        &mut usage.reasoning_tokens,
        &mut usage.cache_creation_tokens,
        &mut usage.cache_read_tokens,
    ] {
        *count = count.filter(|count| (0..=MAX_TOKENS).contains(count));
    }
}
