//! What this service counts. Labels are names an administrator chose, so their number is bounded by configuration.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tandem_chassis::metrics::{FIRST_TOKEN_SECONDS, Registry, STAGE_SECONDS};
use tandem_chat_core::message::Usage;

use crate::{breaker, catalog::Model};

/// A provider and one of its models.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ModelLabels {
    provider: String,
    model: String,
}

impl ModelLabels {
    fn of(model: &Model) -> Self {
        Self {
            provider: model.provider.name.clone(),
            model: model.model.clone(),
        }
    }
}

/// How a completion ended.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    provider: String,
    model: String,
    /// A finish reason, an error kind, or `cancelled`.
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TokenLabels {
    provider: String,
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KeyLabels {
    provider: String,
    state: &'static str,
}

/// What became of a look at a spend limit.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SpendLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ProviderLabels {
    provider: String,
}

impl ProviderLabels {
    fn of(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
        }
    }
}

/// A model that did not answer, and the one that was asked in its place.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FallbackLabels {
    provider: String,
    model: String,
    to_provider: String,
    to_model: String,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FailoverLabels {
    provider: String,
    reason: &'static str,
}

type Seconds = Family<ModelLabels, Histogram, fn() -> Histogram>;

/// All metrics of this service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    completions: Family<OutcomeLabels, Counter>,
    running: Gauge,
    held_bytes: Gauge,
    first_token: Seconds,
    duration: Seconds,
    tokens: Family<TokenLabels, Counter>,
    breaker_state: Family<ModelLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    breaker_trips: Family<ModelLabels, Counter>,
    breaker_rejects: Family<ModelLabels, Counter>,
    keys: Family<KeyLabels, Gauge>,
    failovers: Family<FailoverLabels, Counter>,
    queued: Family<ProviderLabels, Gauge>,
    queue_wait: Family<ProviderLabels, Histogram, fn() -> Histogram>,
    queue_refusals: Family<FailoverLabels, Counter>,
    fallbacks: Family<FallbackLabels, Counter>,
    spend_checks: Family<SpendLabels, Counter>,
    usage_lost: Counter,
}

impl Metrics {
    /// Registers them; once per process.
    pub fn new(registry: &Registry) -> Self {
        let first_token: fn() -> Histogram = || Histogram::new(FIRST_TOKEN_SECONDS);
        let duration: fn() -> Histogram = || Histogram::new(STAGE_SECONDS);
        Self {
            completions: registry.register(
                "provider_gateway_completions",
                "Completions ended, by provider, model and outcome",
                Family::default(),
            ),
            running: registry.register(
                "provider_gateway_completions_running",
                "Completions running now",
                Gauge::default(),
            ),
            held_bytes: registry.register(
                "provider_gateway_buffer_bytes",
                "Bytes of answers held for readers now",
                Gauge::default(),
            ),
            first_token: registry.register(
                "provider_gateway_first_token_seconds",
                "Time from the start of a completion to the first piece of its answer",
                Family::new_with_constructor(first_token),
            ),
            duration: registry.register(
                "provider_gateway_completion_seconds",
                "Time from the start of a completion to its end",
                Family::new_with_constructor(duration),
            ),
            tokens: registry.register(
                "provider_gateway_tokens",
                "Tokens as vendors report them, by kind; output includes reasoning",
                Family::default(),
            ),
            breaker_state: registry.register(
                "provider_gateway_breaker_state",
                "State of the circuit breaker: 0 closed, 0.5 half-open, 1 open",
                Family::default(),
            ),
            breaker_trips: registry.register(
                "provider_gateway_breaker_trips",
                "How often the circuit breaker opened",
                Family::default(),
            ),
            breaker_rejects: registry.register(
                "provider_gateway_breaker_rejects",
                "Completions the circuit breaker rejected",
                Family::default(),
            ),
            keys: registry.register(
                "provider_gateway_keys",
                "Keys of a provider by state, as of its last completion",
                Family::default(),
            ),
            failovers: registry.register(
                "provider_gateway_key_failovers",
                "How often a key was put to rest, by reason",
                Family::default(),
            ),
            queued: registry.register(
                "provider_gateway_queued",
                "Completions that wait for a provider's turn now",
                Family::default(),
            ),
            queue_wait: registry.register(
                "provider_gateway_queue_seconds",
                "How long completions have waited for a provider's turn; those that did not have to wait are not counted",
                Family::new_with_constructor(first_token),
            ),
            queue_refusals: registry.register(
                "provider_gateway_queue_refusals",
                "Completions that a provider's line had no place for, by reason",
                Family::default(),
            ),
            fallbacks: registry.register(
                "provider_gateway_fallbacks",
                "Completions for which another model was asked, by the kind of error before",
                Family::default(),
            ),
            spend_checks: registry.register(
                "provider_gateway_spend_checks",
                "Completions of users with spend limits: granted, exceeded, reserved (others may use the limit up), or not to be \
                 looked at and therefore open or closed",
                Family::default(),
            ),
            usage_lost: registry.register(
                "provider_gateway_usage_records_lost",
                "Usage records that storage did not take in time",
                Counter::default(),
            ),
        }
    }

    /// Says how many completions run and what all hold.
    pub fn set_load(&self, running: usize, held_bytes: usize) {
        self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        self.held_bytes.set(i64::try_from(held_bytes).unwrap_or(i64::MAX));
    }

    /// The first piece of an answer came.
    pub fn first_token(&self, model: &Model, after: Duration) {
        self.first_token
            .get_or_create(&ModelLabels::of(model))
            .observe(after.as_secs_f64());
    }

    /// A completion ended.
    pub fn ended(&self, model: &Model, outcome: &'static str, after: Duration) {
        let ModelLabels { provider, model: name } = ModelLabels::of(model);
        let labels = OutcomeLabels {
            provider,
            model: name,
            outcome,
        };
        self.completions.get_or_create(&labels).inc();
        self.duration
            .get_or_create(&ModelLabels::of(model))
            .observe(after.as_secs_f64());
    }

    /// What was measured.
    pub fn used(&self, model: &Model, usage: &Usage) {
        let kinds = [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("reasoning", usage.reasoning_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_creation_tokens),
        ];
        for (kind, count) in kinds {
            let Some(count) = count.and_then(|count| u64::try_from(count).ok()) else {
                continue;
            };
            let ModelLabels { provider, model: name } = ModelLabels::of(model);
            let labels = TokenLabels {
                provider,
                model: name,
                kind,
            };
            self.tokens.get_or_create(&labels).inc_by(count);
        }
    }

    /// A breaker changed.
    pub fn breaker_changed(&self, target: &breaker::Target, state: breaker::State) {
        let labels = ModelLabels {
            provider: target.provider_name.clone(),
            model: target.model.clone(),
        };
        let value = match state {
            breaker::State::Closed => 0.0,
            breaker::State::HalfOpen => 0.5,
            breaker::State::Open => 1.0,
        };
        self.breaker_state.get_or_create(&labels).set(value);
        if state == breaker::State::Open {
            self.breaker_trips.get_or_create(&labels).inc();
        }
    }

    /// A breaker rejected a completion.
    pub fn breaker_rejected(&self, model: &Model) {
        self.breaker_rejects.get_or_create(&ModelLabels::of(model)).inc();
    }

    /// How many keys of a provider are healthy and how many rest.
    pub fn set_keys(&self, provider: &str, healthy: usize, resting: usize) {
        for (state, count) in [("healthy", healthy), ("resting", resting)] {
            let labels = KeyLabels {
                provider: provider.to_owned(),
                state,
            };
            self.keys
                .get_or_create(&labels)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// How many completions wait for a provider.
    pub fn set_queued(&self, provider: &str, count: usize) {
        self.queued
            .get_or_create(&ProviderLabels::of(provider))
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A completion has waited for a provider, in vain or not.
    pub fn waited(&self, provider: &str, time: Duration) {
        self.queue_wait
            .get_or_create(&ProviderLabels::of(provider))
            .observe(time.as_secs_f64());
    }

    /// A provider's line had no place.
    pub fn refused(&self, provider: &str, reason: &'static str) {
        let labels = FailoverLabels {
            provider: provider.to_owned(),
            reason,
        };
        self.queue_refusals.get_or_create(&labels).inc();
    }

    /// Another model is asked in the place of one.
    pub fn fell_back(&self, from: &Model, to: &Model, reason: &'static str) {
        let (from, to) = (ModelLabels::of(from), ModelLabels::of(to));
        let labels = FallbackLabels {
            provider: from.provider,
            model: from.model,
            to_provider: to.provider,
            to_model: to.model,
            reason,
        };
        self.fallbacks.get_or_create(&labels).inc();
    }

    /// A spend limit was looked at.
    pub fn spend_checked(&self, outcome: &'static str) {
        self.spend_checks.get_or_create(&SpendLabels { outcome }).inc();
    }

    /// Records were given up.
    pub fn usage_lost(&self, count: usize) {
        self.usage_lost.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A key was put to rest.
    pub fn key_rested(&self, provider: &str, reason: &'static str) {
        let labels = FailoverLabels {
            provider: provider.to_owned(),
            reason,
        };
        self.failovers.get_or_create(&labels).inc();
    }
}
