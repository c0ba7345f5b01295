//! What the gateway counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tandem_chassis::metrics::{LATENCY_SECONDS, Registry};

/// Numbers of this replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub requests: Family<RequestLabels, Counter>,
    pub seconds: Family<RouteLabel, Histogram>,
    pub connections: Gauge,
    pub readers: Family<ViewLabel, Gauge>,
    pub frames: Family<ViewLabel, Counter>,
    pub rate_limited: Counter,
}

/// A finished request. The route is its pattern, never the address itself.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct RequestLabels {
    pub method: String,
    pub route: String,
    pub status: u16,
}

/// A route's pattern.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct RouteLabel {
    pub route: String,
}

/// Which live view.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ViewLabel {
    pub view: View,
}

/// The kinds of live views.
#[derive(Clone, Copy, Debug, EncodeLabelValue, Eq, Hash, PartialEq)]
pub enum View {
    Chat,
    Git,
    Watch,
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(LATENCY_SECONDS);
        Self {
            requests: registry.register("gateway_http_requests", "HTTP requests answered", Family::default()),
            seconds: registry.register(
                "gateway_http_request_seconds",
                "Time until an HTTP request was answered",
                Family::new_with_constructor(histogram),
            ),
            connections: registry.register(
                "gateway_http_connections_open",
                "Open HTTP connections",
                Gauge::default(),
            ),
            readers: registry.register(
                "gateway_readers",
                "Open WebSockets and event streams",
                Family::default(),
            ),
            frames: registry.register(
                "gateway_reader_frames",
                "Frames of events sent to readers",
                Family::default(),
            ),
            rate_limited: registry.register(
                "gateway_http_rate_limited",
                "Requests refused because a caller made too many",
                Counter::default(),
            ),
        }
    }
}
