//! Runs one completion from its first request to its last event, and keeps it readable for a while after that.
//!
//! Owns the order of things: breaker, key, protocol, guards, meter. It tries another key, but never the same request again: retries
//! are the orchestrator's. It belongs to this service and not to any caller's connection; it ends by itself, by cancellation, or when
//! nobody has read it for the grace period.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tandem_chassis::{
    clock::Clock,
    lifecycle::{OnEnd, Shutdown, Tasks},
};
use tandem_chat_core::{
    classify::{self, Cause, Classified},
    error::{ChatError, Detail, ErrorKind},
    message::Usage,
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use super::{
    Event, Failed, Finished, Request, Started,
    buffer::Full,
    registry::{Completion, Entry, Registry},
};
use crate::{
    breaker::{Breakers, Outcome, Permit, Target},
    catalog::Model,
    config::{Completions, Config, Guards},
    error::Error,
    key_pool::{AllResting, KeyPools, Why},
    meter,
    metrics::Metrics,
    outbound,
    provider::{Call, Delta, Deltas, Failure, Finish, Protocol, Protocols},
    secret::{ApiKey, redact},
};

/// How long a vendor gets to close the stream behind its last event, so that the connection can be used again.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// More tokens than any model takes or gives. A vendor that reports more is not believed: nothing may be planned or summed up by it.
const MAX_TOKENS: i64 = 1_000_000_000;

/// Runs completions. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Runner(Arc<Parts>);

struct Parts {
    registry: Registry,
    protocols: Protocols,
    breakers: Arc<Breakers>,
    pools: KeyPools,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    guards: Guards,
    limits: Completions,
    tasks: Tasks,
    shutdown: Shutdown,
}

/// How a completion ended, other than well.
enum Ending {
    /// The vendor failed; or a guard, or the breaker, spoke for it.
    Failure(Failure),
    /// Somebody asked for it, the readers left, or the service stops.
    Stopped(&'static str),
    /// The answer does not fit.
    Full(Full),
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Runner {
    /// A runner without completions.
    pub fn new(
        config: &Config,
        protocols: Protocols,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        shutdown: Shutdown,
    ) -> Self {
        let breaker_metrics = metrics.clone();
        let breakers = Breakers::new(config.breaker.clone(), Arc::clone(&clock), move |target, state| {
            tracing::info!(
                provider = target.provider_name,
                model = target.model,
                ?state,
                "circuit breaker changed"
            );
            breaker_metrics.breaker_changed(target, state);
        });
        Self(Arc::new(Parts {
            registry: Registry::new(config.completions.clone()),
            protocols,
            breakers,
            pools: KeyPools::new(Arc::clone(&clock)),
            metrics,
            clock,
            guards: config.guards.clone(),
            limits: config.completions.clone(),
            tasks,
            shutdown,
        }))
    }

    /// Completions by id.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Starts a completion, or finds the one that has its id already.
    ///
    /// # Errors
    /// Draining, overloaded.
    pub fn start(&self, request: Request, model: Arc<Model>, protocol: Protocol) -> Result<Arc<Completion>, Error> {
        if self.0.shutdown.is_draining() {
            return Err(Error::Draining);
        }
        let completion = match self.0.registry.enter(request.id)? {
            Entry::Known(completion) => return Ok(completion),
            Entry::New(completion) => completion,
        };
        let span = tracing::info_span!(
            "completion",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = model.provider.kind.as_str(),
            gen_ai.request.model = model.model,
            gen_ai.response.finish_reasons = tracing::field::Empty,
            gen_ai.usage.input_tokens = tracing::field::Empty,
            gen_ai.usage.output_tokens = tracing::field::Empty,
            error.type = tracing::field::Empty,
            completion_id = %request.id,
            chat_id = request.chat_id.map(|id| id.to_string()),
        );
        let run = Run {
            parts: Arc::clone(&self.0),
            completion: Arc::clone(&completion),
            request: Arc::new(request),
            model,
            protocol,
            started_at: self.0.clock.monotonic(),
        };
        // A first reader may still be on its way in; the grace period starts only when nobody has come.
        self.0
            .tasks
            .spawn("completion", OnEnd::Expected, run.run().instrument(span));
        Ok(completion)
    }
}

/// One completion at work.
struct Run {
    parts: Arc<Parts>,
    completion: Arc<Completion>,
    request: Arc<Request>,
    model: Arc<Model>,
    protocol: Protocol,
    started_at: Instant,
}

/// Takes a completion out of the running ones, also if its task panics.
struct Running<'a>(&'a Run);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Run { parts, completion, .. } = self.0;
        if !completion.buffer.is_closed() {
            let failed = Failed {
                error: ChatError::generic("The model call ended unexpectedly."),
                retry_after: Duration::ZERO,
                is_context_exceeded: false,
                is_cancelled: false,
            };
            // The last event always finds room.
            let _ = completion.buffer.push(Event::Failed(failed));
        }
        parts.registry.finish(completion.id);
        parts
            .metrics
            .set_load(parts.registry.running_count(), parts.registry.held_bytes());
    }
}

impl Run {
    async fn run(self) {
        let parts = &self.parts;
        parts
            .metrics
            .set_load(parts.registry.running_count(), parts.registry.held_bytes());
        let mut rest = None;
        {
            let _running = Running(&self);
            let last = match self.until_stopped(&mut rest).await {
                Ok(finish) => self.finished(finish),
                Err(ending) => self.failed(ending),
            };
            // The last event always finds room.
            let _ = self.completion.buffer.push(last);
        }
        if let Some(mut rest) = rest {
            let _ = timeout(CLOSING_TIME, rest.next()).await;
        }
        tokio::select! {
            () = tokio::time::sleep(parts.limits.retention) => {}
            () = parts.shutdown.draining() => {}
        }
        parts.registry.forget(self.completion.id);
    }

    /// Asks the vendor, unless something ends it before.
    async fn until_stopped(&self, rest: &mut Option<Deltas>) -> Result<Finish, Ending> {
        let parts = &self.parts;
        tokio::select! {
            biased;
            () = self.completion.cancel.cancelled() => Err(Ending::Stopped("cancelled")),
            // Nobody asked for it to end, so another replica may try again.
            () = parts.shutdown.stopped() => Err(Failure::new(Cause::Transport, "the provider gateway stopped").into()),
            () = self.abandoned() => Err(Ending::Stopped("nobody reads it any more")),
            () = tokio::time::sleep(parts.guards.total) => {
                let text = format!("the answer took longer than {} seconds", parts.guards.total.as_secs());
                Err(Failure::new(Cause::OwnDeadline, text).into())
            }
            outcome = self.ask(rest) => outcome,
        }
    }

    /// Completes when nobody has read for the grace period.
    async fn abandoned(&self) {
        let mut readers = self.completion.buffer.readers();
        loop {
            // The buffer is ours, so its counter lives.
            if readers.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
            let back = readers.wait_for(|count| *count > 0);
            if timeout(self.parts.limits.reader_grace, back).await.is_err() {
                return;
            }
        }
    }

    /// One request, with one key after the other until one is accepted and speaks.
    async fn ask(&self, rest: &mut Option<Deltas>) -> Result<Finish, Ending> {
        let parts = &self.parts;
        let provider = &self.model.provider;
        let target = Target {
            provider: provider.id,
            provider_name: provider.name.clone(),
            model: self.model.model.clone(),
        };
        let permit = parts.breakers.admit(&target).map_err(|open| {
            parts.metrics.breaker_rejected(&self.model);
            Failure {
                retry_after: open.retry_after,
                ..Failure::known(ErrorKind::Overloaded, format!("not asked, since {open}"))
            }
        })?;
        let mut keys = self.keys()?.into_iter();
        let first_by = Instant::now() + self.startup();
        let mut key = keys.next();
        let mut has_started = false;
        loop {
            let attempt = self.attempt(&permit, key.as_ref(), first_by, &mut has_started, rest);
            let (failure, has_spoken) = match attempt.await {
                Ok(finish) => return Ok(finish),
                Err((Ending::Failure(failure), has_spoken)) => (failure, has_spoken),
                Err((ending, _)) => return Err(ending),
            };
            let refused = key.as_ref().zip(why_to_rest(&failure));
            if let Some((key, why)) = refused {
                parts
                    .pools
                    .rest(provider.id, &provider.keys, key.id, why, failure.retry_after);
                parts.metrics.key_rested(&provider.name, why.as_str());
            }
            match keys.next() {
                Some(next) if refused.is_some() && !has_spoken => key = Some(next),
                Some(_) | None => return Err(failure.into()),
            }
        }
    }

    /// The keys to try. Without any the request goes without.
    fn keys(&self) -> Result<Vec<ApiKey>, Failure> {
        let (pools, provider) = (&self.parts.pools, &self.model.provider);
        let keys = pools.in_turn(provider.id, &provider.keys);
        let resting = pools.resting_count(provider.id, &provider.keys);
        let healthy = provider.keys.len().saturating_sub(resting);
        self.parts.metrics.set_keys(&provider.name, healthy, resting);
        keys.map_err(|AllResting { retry_after, why }| {
            let (kind, text) = match why {
                Why::Limited => (ErrorKind::RateLimit, "all keys have reached their rate limit"),
                Why::Refused => (ErrorKind::Auth, "the vendor has refused all keys"),
            };
            Failure {
                retry_after,
                ..Failure::known(kind, text)
            }
        })
    }

    fn startup(&self) -> Duration {
        let guards = &self.parts.guards;
        if outbound::is_loopback(&self.model.provider.base_url) {
            guards.local_startup
        } else {
            guards.startup
        }
    }

    /// One request with one key. The error says whether anything of the answer had come.
    async fn attempt(
        &self,
        permit: &Permit,
        key: Option<&ApiKey>,
        first_by: Instant,
        has_started: &mut bool,
        rest: &mut Option<Deltas>,
    ) -> Result<Finish, (Ending, bool)> {
        let call = Call {
            request: Arc::clone(&self.request),
            model: Arc::clone(&self.model),
            key: key.cloned(),
        };
        let opening = timeout_at(first_by, self.parts.protocols.open(self.protocol, call)).await;
        let opened = opening.unwrap_or_else(|_| Err(too_slow_to_start(self.startup())));
        match &opened {
            Err(failure) if is_unavailable(failure) => {
                permit.record(
                    Outcome::Unavailable,
                    &redact(&summary(failure), &self.model.provider.keys),
                );
            }
            // A guard of ours says nothing about capacity.
            Err(Failure { status: None, .. }) => {}
            Ok(_) | Err(_) => permit.record(Outcome::Answered, ""),
        }
        let mut deltas = opened.map_err(|failure| (failure.into(), false))?;
        if !std::mem::replace(has_started, true) {
            let started = Started {
                provider_type: self.model.provider.kind.as_str().to_owned(),
                model: self.model.model.clone(),
            };
            self.push(Event::Started(started))
                .map_err(|full| (Ending::Full(full), false))?;
        }
        let mut has_spoken = false;
        let finish = self
            .follow(&mut deltas, first_by, &mut has_spoken)
            .await
            .map_err(|ending| (ending, has_spoken))?;
        *rest = Some(deltas);
        Ok(finish)
    }

    /// Reads an accepted answer to its end.
    async fn follow(&self, deltas: &mut Deltas, first_by: Instant, has_spoken: &mut bool) -> Result<Finish, Ending> {
        let silence = self.parts.guards.silence;
        loop {
            let by = if *has_spoken {
                Instant::now() + silence
            } else {
                first_by
            };
            let delta = match timeout_at(by, deltas.next()).await {
                Ok(Some(delta)) => delta?,
                Ok(None) => {
                    return Err(Failure::new(Cause::Truncated, "the answer ended without its last event").into());
                }
                Err(_) if *has_spoken => {
                    let text = format!("no part of the answer came for {} seconds", silence.as_secs());
                    return Err(Failure::known(ErrorKind::StreamSilenceTimeout, text).into());
                }
                Err(_) => return Err(too_slow_to_start(self.startup()).into()),
            };
            if !std::mem::replace(has_spoken, true) {
                let after = self.parts.clock.monotonic() - self.started_at;
                self.parts.metrics.first_token(&self.model, after);
            }
            let event = match delta {
                Delta::Finish(finish) => return Ok(finish),
                Delta::Text(text) => Event::TextDelta(text),
                Delta::Reasoning(text) => Event::ReasoningDelta(text),
                Delta::ReasoningDone(part) => Event::ReasoningDone(part),
                Delta::ToolCall(delta) => Event::ToolCallDelta(delta),
                Delta::Part(part) => Event::Part(part),
            };
            self.push(event).map_err(Ending::Full)?;
        }
    }

    /// Appends an event. When all completions together hold too much, finished ones are forgotten first.
    fn push(&self, event: Event) -> Result<(), Full> {
        let event = Arc::new(event);
        loop {
            match self.completion.buffer.push(Arc::clone(&event)) {
                Err(Full::Shared) if self.parts.registry.forget_oldest() => {}
                outcome => return outcome,
            }
        }
    }

    fn finished(&self, finish: Finish) -> Event {
        let Finish {
            reason,
            mut usage,
            response_id,
        } = finish;
        forget_impossible(&mut usage);
        let cost_usd_micros = meter::cost_usd_micros(&self.model.options, &usage);
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
        Event::Finished(Finished {
            reason,
            usage,
            response_id,
            cost_usd_micros,
        })
    }

    fn failed(&self, ending: Ending) -> Event {
        let failed = match ending {
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
        Event::Failed(failed)
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

fn too_slow_to_start(limit: Duration) -> Failure {
    let text = format!("no part of the answer came within {} seconds", limit.as_secs());
    Failure::known(ErrorKind::StartupTimeout, text)
}

/// Answers that mean the vendor has no capacity, or is not there.
fn is_unavailable(failure: &Failure) -> bool {
    failure.is_connect || matches!(failure.status, Some(503 | 504 | 529))
}

/// Whether another key could do better.
fn why_to_rest(failure: &Failure) -> Option<Why> {
    match failure.status? {
        429 => Some(Why::Limited),
        401 | 403 => Some(Why::Refused),
        _ => None,
    }
}

fn summary(failure: &Failure) -> String {
    match failure.status {
        Some(status) => format!("status {status}"),
        None => failure.text.chars().take(200).collect(),
    }
}
