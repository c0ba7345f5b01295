//! Runs one completion from its first request to its last event, and keeps it readable for a while after that.
//!
//! Owns the order of things: admission, spend limit, breaker, key, protocol, guards. It tries another key and, where the model names some,
//! other models ([`fallback`]), but never the same request again: retries are the orchestrator's. It belongs to this service and not to any
//! caller's connection; it ends by itself, by cancellation, or when nobody has read it for the grace period. How it ends is told in
//! [`ending`].

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use tandem_chassis::{
    Runtime,
    clock::Clock,
    lifecycle::{OnEnd, Shutdown, Tasks},
};
use tandem_chat_core::{
    classify::Cause,
    error::{ChatError, ErrorKind},
};
use tandem_protocols::{ApiKey, Call, Delta, Deltas, Failure, Finish, Protocol, Protocols, call::Request};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use super::{
    Event, Failed, Fallback, Started,
    buffer::Full,
    registry::{Completion, Entry, Registry},
};
use crate::{
    breaker::{self, Outcome, Permit, Target},
    catalog::{Catalog, Model, Provider},
    config::{Completions, Config, Guards},
    error::Error,
    health::Health,
    key_pool::{AllResting, Why},
    metrics::Metrics,
    secret::redact,
    spend::{
        Account, Payer,
        ledger::{Ledger, Refusal},
    },
};

mod ending;
mod fallback;

/// How long a vendor gets to close the stream behind its last event, so that the connection can be used again.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How much longer than configured a finished completion may be kept.
const RETENTION_GRAIN: Duration = Duration::from_secs(1);

/// Runs completions. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Runner(Arc<Parts>);

struct Parts {
    registry: Arc<Registry>,
    catalog: Catalog,
    protocols: Protocols,
    health: Arc<Health>,
    ledger: Ledger,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    guards: Guards,
    limits: Completions,
    tasks: Tasks,
    shutdown: Shutdown,
}

/// How a completion ended, other than well.
enum Ending {
    /// Its payer may not spend more.
    Refused(Refusal),
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
    ///
    /// * `catalog`: where the models are found that answer in another's place.
    pub fn new(
        config: &Config,
        runtime: &Runtime,
        catalog: Catalog,
        health: Arc<Health>,
        protocols: Protocols,
        ledger: Ledger,
        metrics: Metrics,
    ) -> Self {
        let (clock, shutdown) = (Arc::clone(&runtime.clock), runtime.shutdown.clone());
        let registry = Arc::new(Registry::new(config.completions.clone()));
        runtime.tasks.spawn(
            "finished completions",
            OnEnd::Expected,
            forget_finished(Arc::clone(&registry), Arc::clone(&clock), shutdown.clone()),
        );
        Self(Arc::new(Parts {
            registry,
            catalog,
            protocols,
            health,
            ledger,
            metrics,
            clock,
            guards: config.guards.clone(),
            limits: config.completions.clone(),
            tasks: runtime.tasks.clone(),
            shutdown,
        }))
    }

    /// Completions by id.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Starts a completion, or finds the one that has its id already.
    ///
    /// * `payer`: without one nothing is recorded of what it uses.
    ///
    /// # Errors
    /// Draining, overloaded.
    pub fn start(
        &self,
        request: Request,
        payer: Option<Payer>,
        model: Arc<Model>,
        protocol: Protocol,
    ) -> Result<Arc<Completion>, Error> {
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
            payer,
            account: Account::default(),
            serving: Mutex::new(Serving::asked(&model, protocol)),
            asked: model,
            is_announced: AtomicBool::new(false),
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
    payer: Option<Payer>,
    account: Account,
    /// The model that was asked for.
    asked: Arc<Model>,
    serving: Mutex<Serving>,
    /// Readers have been told which model answers.
    is_announced: AtomicBool,
    started_at: Instant,
}

/// The model that is asked now.
#[derive(Clone)]
struct Serving {
    model: Arc<Model>,
    protocol: Protocol,
    /// Why not the one that was asked for.
    reason: Option<ErrorKind>,
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
            self.0.parts.ledger.cut_off(&self.0.bill(&self.0.serving().model));
            // The last event always finds room.
            let _ = completion.buffer.push(Event::Failed(Box::new(failed)));
        }
        parts.registry.finish(completion.id, parts.clock.monotonic());
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
    async fn ask_model(
        &self,
        serving: &Serving,
        has_spoken: &mut bool,
        rest: &mut Option<Deltas>,
    ) -> Result<Finish, Ending> {
        let parts = &self.parts;
        let (model, provider) = (&serving.model, &serving.model.provider);
        let owner = self.payer.map(|payer| payer.owner);
        let _slot = parts
            .health
            .admission
            .enter(provider, owner)
            .await
            .map_err(|busy| Failure {
                retry_after: busy.retry_after(),
                ..Failure::known(ErrorKind::Overloaded, format!("not asked: {busy}"))
            })?;
        parts
            .ledger
            .reserve(&self.order(model), self.payer, model, &self.account)
            .await
            .map_err(Ending::Refused)?;
        let target = Target {
            provider: provider.id,
            provider_name: provider.name.clone(),
            model: model.model.clone(),
        };
        let permit = parts.health.breakers.admit(&target).map_err(|open| {
            parts.metrics.breaker_rejected(model);
            Failure {
                retry_after: open.retry_after,
                ..Failure::known(ErrorKind::Overloaded, format!("not asked, since {open}"))
            }
        })?;
        let mut keys = self.keys(provider)?.into_iter();
        let first_by = Instant::now() + self.parts.guards.startup_at(&provider.base_url);
        let mut key = keys.next();
        loop {
            let attempt = self.attempt(serving, &permit, key.as_ref(), first_by, has_spoken, rest);
            let failure = match attempt.await {
                Err(Ending::Failure(failure)) => failure,
                outcome => return outcome,
            };
            let refused = key.as_ref().zip(why_to_rest(&failure));
            if let Some((key, why)) = refused {
                let said = redact(&said(&failure), &provider.keys);
                parts
                    .health
                    .pools
                    .rest(provider.id, &provider.keys, key.id, why, failure.retry_after, &said);
                parts.metrics.key_rested(&provider.name, why.as_str());
            }
            match keys.next() {
                Some(next) if refused.is_some() && !*has_spoken => key = Some(next),
                Some(_) | None => return Err(failure.into()),
            }
        }
    }

    /// The keys to try. Without any the request goes without.
    fn keys(&self, provider: &Provider) -> Result<Vec<ApiKey>, Failure> {
        let pools = &self.parts.health.pools;
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

    /// One request with one key.
    async fn attempt(
        &self,
        serving: &Serving,
        permit: &Permit,
        key: Option<&ApiKey>,
        first_by: Instant,
        has_spoken: &mut bool,
        rest: &mut Option<Deltas>,
    ) -> Result<Finish, Ending> {
        let Serving { model, protocol, .. } = serving;
        let provider = &model.provider;
        let call = Call {
            request: Arc::clone(&self.request),
            model: Arc::clone(&model.asked),
            key: key.cloned(),
        };
        let opening = timeout_at(first_by, self.parts.protocols.open(*protocol, call)).await;
        let opened =
            opening.unwrap_or_else(|_| Err(too_slow_to_start(self.parts.guards.startup_at(&provider.base_url))));
        match &opened {
            Err(failure) if is_unavailable(failure) => {
                permit.record(Outcome::Unavailable, &redact(&summary(failure), &provider.keys));
            }
            // A guard of ours says nothing about capacity.
            Err(Failure { status: None, .. }) => {}
            Ok(_) | Err(_) => permit.record(Outcome::Answered, ""),
        }
        let mut deltas = opened?;
        if let Some(key) = key {
            self.parts.health.pools.accepted(provider.id, key.id);
        }
        self.account.start();
        // While another model may still answer, readers are told of none.
        if self.asked.fallbacks.is_empty() {
            self.announce(serving).map_err(Ending::Full)?;
        }
        let finish = self.follow(serving, &mut deltas, first_by, has_spoken).await?;
        *rest = Some(deltas);
        Ok(finish)
    }

    /// Tells readers which model answers, once.
    fn announce(&self, serving: &Serving) -> Result<(), Full> {
        if self.is_announced.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let started = Started {
            provider_type: serving.model.provider.kind.as_str().to_owned(),
            model: serving.model.model.clone(),
            model_config_id: serving.model.id,
            fallback: serving.reason.map(|reason| Fallback {
                from: self.asked.id,
                reason,
            }),
        };
        self.push(Event::Started(Box::new(started)))
    }

    /// Reads an accepted answer to its end.
    async fn follow(
        &self,
        serving: &Serving,
        deltas: &mut Deltas,
        first_by: Instant,
        has_spoken: &mut bool,
    ) -> Result<Finish, Ending> {
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
                Err(_) => {
                    return Err(
                        too_slow_to_start(self.parts.guards.startup_at(&serving.model.provider.base_url)).into(),
                    );
                }
            };
            if !std::mem::replace(has_spoken, true) {
                let after = self.parts.clock.monotonic() - self.started_at;
                self.parts.metrics.first_token(&serving.model, after);
                self.announce(serving).map_err(Ending::Full)?;
            }
            let event = match delta {
                Delta::Finish(finish) => return Ok(finish),
                Delta::Spent(usage) => {
                    self.account.spend(usage);
                    continue;
                }
                Delta::Resumed => {
                    self.account.start();
                    continue;
                }
                Delta::Text(text) => Event::TextDelta(text),
                Delta::Reasoning(text) => Event::ReasoningDelta(text),
                Delta::ReasoningDone(part) => Event::ReasoningDone(Box::new(part)),
                Delta::ToolCall(delta) => Event::ToolCallDelta(Box::new(delta)),
                Delta::Part(part) => Event::Part(Box::new(part)),
            };
            self.account.say(&event);
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
}

/// Forgets finished completions when their time is over. One task for all: what each was asked need not be kept with what it answered.
async fn forget_finished(registry: Arc<Registry>, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    let mut looks = tokio::time::interval(registry.retention().clamp(Duration::from_millis(1), RETENTION_GRAIN));
    loop {
        tokio::select! {
            _ = looks.tick() => registry.forget_expired(clock.monotonic()),
            () = shutdown.draining() => return,
        }
    }
}

fn too_slow_to_start(limit: Duration) -> Failure {
    let text = format!("no part of the answer came within {} seconds", limit.as_secs());
    Failure::known(ErrorKind::StartupTimeout, text)
}

/// Answers that mean the vendor has no capacity, or is not there.
fn is_unavailable(failure: &Failure) -> bool {
    failure.is_connect || failure.status.is_some_and(breaker::is_unavailable)
}

/// Whether another key could do better.
fn why_to_rest(failure: &Failure) -> Option<Why> {
    Why::of_status(failure.status?)
}

/// What a vendor said, as one line; with its secrets.
fn said(failure: &Failure) -> String {
    match (failure.status, failure.text.as_str()) {
        (Some(status), "") => format!("status {status}"),
        (Some(status), text) => format!("status {status}: {text}"),
        (None, text) => text.to_owned(),
    }
}

fn summary(failure: &Failure) -> String {
    match failure.status {
        Some(status) => format!("status {status}"),
        None => failure.text.chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests;
