//! What the bridge counts. Labels are names an administrator chose, or one of a few words: what clients make up is in none of them.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tandem_chassis::metrics::Registry;
use tandem_chat_core::message::Usage;

/// From a short answer to a long one, in seconds.
const SECONDS: [f64; 7] = [0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ExchangeLabels {
    provider: String,
    /// As configured; `other` for models nobody configured.
    model: String,
    route: &'static str,
    client: &'static str,
    /// `completed` or `failed`.
    status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ModelLabels {
    provider: String,
    model: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PassthroughLabels {
    provider: String,
    route: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct InVainLabels {
    provider: String,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TokenLabels {
    provider: String,
    model: String,
    r#type: &'static str,
    client: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ClientLabels {
    client: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct InjectedLabels {
    /// As an administrator named it.
    server: String,
    /// `ok`, `error` or `not_run`.
    outcome: &'static str,
}

/// An exchange that has ended.
pub struct Ended<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// The model's; `None` if nobody configured it.
    pub model: Option<&'a str>,
    /// Its path below the version.
    pub route: &'static str,
    /// The program that asked.
    pub client: &'static str,
    /// Whether its answer is whole.
    pub is_complete: bool,
    /// How long it took.
    pub after: Duration,
}

/// All metrics of the bridge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    exchanges: Family<ExchangeLabels, Counter>,
    inflight: Family<RouteLabels, Gauge>,
    seconds: Family<ModelLabels, Histogram, fn() -> Histogram>,
    passthrough: Family<PassthroughLabels, Counter>,
    passthrough_refusals: Family<InVainLabels, Counter>,
    prompts: Family<ClientLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    refusals: Family<ReasonLabels, Counter>,
    recorded: Counter,
    records_lost: Counter,
    injected: Family<InjectedLabels, Counter>,
    without_tools: Counter,
}

impl Metrics {
    /// Registers them; once per process.
    pub fn new(registry: &Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            exchanges: registry.register(
                "bridge_interceptions",
                "Bridged exchanges ended, by provider, model, route, client and whether the answer is whole",
                Family::default(),
            ),
            inflight: registry.register(
                "bridge_interceptions_inflight",
                "Bridged exchanges under way",
                Family::default(),
            ),
            seconds: registry.register(
                "bridge_interceptions_duration_seconds",
                "Time from a bridged request to the end of its answer",
                Family::new_with_constructor(seconds),
            ),
            passthrough: registry.register(
                "bridge_passthrough",
                "Requests handed on without being understood",
                Family::default(),
            ),
            passthrough_refusals: registry.register(
                "bridge_passthrough_refusals",
                "Requests handed on without being understood that the vendor refused or limited; keys do not rest for them",
                Family::default(),
            ),
            prompts: registry.register(
                "bridge_prompts",
                "Requests with a person's words at their end",
                Family::default(),
            ),
            tokens: registry.register(
                "bridge_tokens",
                "Tokens of bridged exchanges as vendors report them",
                Family::default(),
            ),
            refusals: registry.register(
                "bridge_refusals",
                "Exchanges that were refused, by reason",
                Family::default(),
            ),
            injected: registry.register(
                "bridge_injected_tool_invocations",
                "Tools of MCP servers run for programs, by server and outcome",
                Family::default(),
            ),
            without_tools: registry.register(
                "bridge_without_tools",
                "Exchanges that went on without tools of MCP servers, since tool-runner could not be asked for them",
                Counter::default(),
            ),
            recorded: registry.register(
                "bridge_records",
                "Records of bridged exchanges that storage has taken",
                Counter::default(),
            ),
            records_lost: registry.register(
                "bridge_records_lost",
                "Records of bridged exchanges that storage did not take",
                Counter::default(),
            ),
        }
    }

    /// An exchange begins.
    pub fn began(&self, route: &'static str) {
        self.inflight.get_or_create(&RouteLabels { route }).inc();
    }

    /// An exchange that began has ended.
    pub fn ended(&self, ended: &Ended<'_>) {
        let model = ended.model.unwrap_or("other");
        self.inflight.get_or_create(&RouteLabels { route: ended.route }).dec();
        let labels = ExchangeLabels {
            provider: ended.provider.to_owned(),
            model: model.to_owned(),
            route: ended.route,
            client: ended.client,
            status: if ended.is_complete { "completed" } else { "failed" },
        };
        self.exchanges.get_or_create(&labels).inc();
        let labels = ModelLabels {
            provider: labels.provider,
            model: labels.model,
        };
        self.seconds.get_or_create(&labels).observe(ended.after.as_secs_f64());
    }

    /// What an exchange used.
    pub fn used(&self, provider: &str, model: Option<&str>, client: &'static str, usage: &Usage) {
        for (kind, count) in [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read_input", usage.cache_read_tokens),
            ("cache_write_input", usage.cache_creation_tokens),
        ] {
            let Some(count) = count
                .and_then(|count| u64::try_from(count).ok())
                .filter(|count| *count > 0)
            else {
                continue;
            };
            let labels = TokenLabels {
                provider: provider.to_owned(),
                model: model.unwrap_or("other").to_owned(),
                r#type: kind,
                client,
            };
            self.tokens.get_or_create(&labels).inc_by(count);
        }
    }

    /// A person said something.
    pub fn prompted(&self, client: &'static str) {
        self.prompts.get_or_create(&ClientLabels { client }).inc();
    }

    /// A request was handed on as it is.
    pub fn passed_on(&self, provider: &str, route: &'static str, method: &http::Method) {
        let method = match *method {
            http::Method::GET => "GET",
            http::Method::POST => "POST",
            http::Method::DELETE => "DELETE",
            _ => "other",
        };
        let provider = provider.to_owned();
        let labels = PassthroughLabels {
            provider,
            route,
            method,
        };
        self.passthrough.get_or_create(&labels).inc();
    }

    /// A vendor refused or limited what was handed on as it is.
    pub fn passed_on_in_vain(&self, provider: &str, route: &'static str, status: &'static str) {
        let labels = InVainLabels {
            provider: provider.to_owned(),
            route,
            status,
        };
        self.passthrough_refusals.get_or_create(&labels).inc();
    }

    /// A tool of a configured server was run for a program, or could not be.
    pub fn injected_tool_ran(&self, server: &str, outcome: &'static str) {
        let server = server.to_owned();
        self.injected.get_or_create(&InjectedLabels { server, outcome }).inc();
    }

    /// An exchange went on without the tools it would have been given.
    pub fn without_tools(&self) {
        self.without_tools.inc();
    }

    /// An exchange was refused.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Storage has taken records.
    pub fn recorded(&self, count: usize) {
        self.recorded.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Records were given up.
    pub fn records_lost(&self, count: usize) {
        self.records_lost.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}
