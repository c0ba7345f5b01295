//! Numbers for the operator: one registry per process, every name starting with `tandem_`, and the page that shows
//! them. Each service registers and keeps its own metrics.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::{Router, http::header, response::IntoResponse, routing::get};
use prometheus_client::{encoding::text::encode, registry::Metric};

/// From a fast RPC to a slow one, in seconds.
pub const LATENCY_SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// From the first token of a fast model to that of a stuck one, in seconds.
pub const FIRST_TOKEN_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// From one stage of a turn to a turn of an hour, in seconds.
pub const STAGE_SECONDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0];

/// Prompts and bodies, in bytes: 1 KiB to 256 MiB by fours.
pub const SIZE_BYTES: [f64; 10] = [
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];

/// Small counts (messages of a prompt, rows of a page): 1 to 1024 by twos.
pub const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The metrics of a process. Cheap to clone; clones share the metrics.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<RwLock<prometheus_client::registry::Registry>>,
    rpc: Arc<OnceLock<crate::server::metrics::RpcMetrics>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        let inner = prometheus_client::registry::Registry::with_prefix("tandem");
        Self {
            inner: Arc::new(RwLock::new(inner)),
            rpc: Arc::default(),
        }
    }

    /// Adds `metric` and gives it back, so that it can be kept: `let turns = registry.register("orchestrator_turns",
    /// "Turns started", Counter::default());`.
    ///
    /// * `name`: `<room>_<thing>_<unit>` without `tandem_`; counters without `_total`, which is added.
    /// * `help`: one sentence without final stop.
    ///
    /// A name must be registered once per process: twice gives a page scrapers refuse.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .register(name, help, metric.clone());
        metric
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &inner).is_err() {
            // Writing to a string fails only if a metric's own encoding does; half a page is still of use.
            tracing::error!("could not encode all metrics");
        }
        text
    }

    /// The metrics of the server stack, registered at first use and shared by all servers of the process.
    pub(crate) fn rpc(&self) -> crate::server::metrics::RpcMetrics {
        self.rpc
            .get_or_init(|| crate::server::metrics::RpcMetrics::new(self))
            .clone()
    }
}

/// Serves `GET /metrics`.
pub fn router(registry: Registry) -> Router {
    Router::new().route(
        "/metrics",
        get(move || {
            let registry = registry.clone();
            async move { page(&registry).into_response() }
        }),
    )
}

fn page(registry: &Registry) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], registry.render())
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn names_carry_the_prefix_and_clones_share_values() {
        let registry = Registry::new();
        let turns: Counter = registry
            .clone()
            .register("orchestrator_turns", "Turns started", Counter::default());
        turns.inc();

        let text = registry.render();

        assert!(text.contains("tandem_orchestrator_turns_total 1"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
