//! What an operator can see of turns. Names and buckets are those dashboards know, under the prefix `tandem_`.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tandem_chassis::metrics::{FIRST_TOKEN_SECONDS, Registry};
use tandem_proto::common::v1::{ErrorKind, ModelConfig};

/// Sizes of tool results, in bytes.
const RESULT_BYTES: [f64; 9] = [
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
];

/// The model that served a call.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelLabels {
    provider: String,
    model: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ToolLabels {
    tool_name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RetryLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CompactionLabels {
    provider: String,
    model: String,
    result: &'static str,
}

/// The counters of one orchestrator. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    running: Gauge,
    readers: Gauge,
    relays: Gauge,
    relay_breaks: Counter,
    steps: Family<ModelLabels, Counter>,
    first_token: Family<ModelLabels, Histogram>,
    retries: Family<RetryLabels, Counter>,
    result_bytes: Family<ToolLabels, Histogram>,
    tool_errors: Family<ToolLabels, Counter>,
    compactions: Family<CompactionLabels, Counter>,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            running: registry.register("chats_running", "Turns this replica runs", Gauge::default()),
            readers: registry.register("stream_subscribers", "Readers of chats", Gauge::default()),
            relays: registry.register(
                "stream_relays",
                "Turns of other replicas that are read here",
                Gauge::default(),
            ),
            relay_breaks: registry.register(
                "stream_relay_breaks",
                "Times the way to a turn of another replica ended",
                Counter::default(),
            ),
            steps: registry.register("steps", "Model calls started", Family::default()),
            first_token: registry.register(
                "ttft_seconds",
                "From the call to the first output of the model",
                Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_SECONDS)),
            ),
            retries: registry.register(
                "stream_retries",
                "Model calls that failed and were tried again",
                Family::default(),
            ),
            result_bytes: registry.register(
                "tool_result_size_bytes",
                "Size of tool results",
                Family::new_with_constructor(|| Histogram::new(RESULT_BYTES)),
            ),
            compactions: registry.register(
                "compaction",
                "Histories replaced by a summary, or left as they were because it failed",
                Family::default(),
            ),
            tool_errors: registry.register("tool_errors", "Tool calls whose result is an error", Family::default()),
        }
    }

    pub(crate) fn running(&self, count: usize) {
        self.running.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a reader for as long as the guard lives.
    pub(crate) fn reader(&self) -> ReaderGuard {
        self.readers.inc();
        ReaderGuard(self.readers.clone())
    }

    /// Counts a relay for as long as the guard lives.
    pub(crate) fn relay(&self) -> RelayGuard {
        self.relays.inc();
        RelayGuard(self.relays.clone())
    }

    pub(crate) fn relay_broke(&self) {
        self.relay_breaks.inc();
    }

    pub(crate) fn step_started(&self, model: &ModelConfig) {
        self.steps.get_or_create(&labels(model)).inc();
    }

    pub(crate) fn first_token(&self, model: &ModelConfig, after: Duration) {
        self.first_token
            .get_or_create(&labels(model))
            .observe(after.as_secs_f64());
    }

    pub(crate) fn retried(&self, kind: ErrorKind) {
        self.retries
            .get_or_create(&RetryLabels {
                kind: kind.as_str_name(),
            })
            .inc();
    }

    pub(crate) fn compacted(&self, model: &ModelConfig, is_success: bool) {
        let labels = CompactionLabels {
            provider: model.provider_type.clone(),
            model: model.model.clone(),
            result: if is_success { "success" } else { "error" },
        };
        self.compactions.get_or_create(&labels).inc();
    }

    pub(crate) fn tool_finished(&self, tool_name: &str, is_error: bool, result_bytes: usize) {
        let labels = ToolLabels {
            tool_name: tool_name.to_owned(),
        };
        if is_error {
            self.tool_errors.get_or_create(&labels).inc();
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a size in a histogram needs no more than 53 bits"
        )]
        self.result_bytes.get_or_create(&labels).observe(result_bytes as f64);
    }
}

/// One reader in the gauge.
pub(crate) struct ReaderGuard(Gauge);

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One relay in the gauge.
pub(crate) struct RelayGuard(Gauge);

impl Drop for RelayGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn labels(model: &ModelConfig) -> ModelLabels {
    ModelLabels {
        provider: model.provider_type.clone(),
        model: model.model.clone(),
    }
}
