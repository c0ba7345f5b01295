//! What is counted per request: how many, with which outcome, how long, how many right now.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tokio::time::Instant;

use crate::metrics::{LATENCY_SECONDS, Registry};

/// The method label of requests for methods this server does not have; their names are the caller's invention.
const UNKNOWN_METHOD: &str = "unknown";

/// How many finished methods are remembered as labels; the methods of all our contracts are fewer.
const MAX_METHOD_CHARS: usize = 120;

/// Metrics of all servers of a process.
#[derive(Clone, Debug)]
pub(crate) struct RpcMetrics {
    requests: Family<Outcome, Counter>,
    seconds: Family<Method, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    method: Arc<str>,
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Method {
    method: Arc<str>,
}

impl RpcMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(LATENCY_SECONDS);
        Self {
            requests: registry.register(
                "rpc_requests",
                "gRPC requests finished, by method and gRPC code",
                Family::default(),
            ),
            seconds: registry.register(
                "rpc_seconds",
                "Time from a gRPC request's arrival to the end of its response, by method",
                Family::new_with_constructor(seconds),
            ),
            in_flight: registry.register("rpc_in_flight", "gRPC requests and streams open now", Gauge::default()),
        }
    }
}

/// One request being counted. Finishing counts it once; dropped unfinished, it counts as cancelled, because then the
/// caller has gone away.
pub(super) struct Measure {
    metrics: RpcMetrics,
    method: Arc<str>,
    started: Instant,
    is_open: bool,
}

impl Measure {
    /// * `is_known`: whether this server has the service the method belongs to.
    pub(super) fn start(metrics: RpcMetrics, method: &str, is_known: bool) -> Self {
        metrics.in_flight.inc();
        let is_known = is_known && method.len() <= MAX_METHOD_CHARS;
        Self {
            metrics,
            method: Arc::from(if is_known { method } else { UNKNOWN_METHOD }),
            started: Instant::now(),
            is_open: true,
        }
    }

    pub(super) fn finish(&mut self, code: tonic::Code) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        if code == tonic::Code::Unimplemented {
            self.method = Arc::from(UNKNOWN_METHOD);
        }
        let elapsed = self.started.elapsed();
        let method = Arc::clone(&self.method);
        self.metrics.in_flight.dec();
        self.metrics
            .seconds
            .get_or_create(&Method {
                method: Arc::clone(&method),
            })
            .observe(elapsed.as_secs_f64());
        log(&method, code, elapsed);
        self.metrics
            .requests
            .get_or_create(&Outcome {
                method,
                code: code_name(code),
            })
            .inc();
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.finish(tonic::Code::Cancelled);
    }
}

fn log(method: &str, code: tonic::Code, elapsed: Duration) {
    let code = code_name(code);
    tracing::debug!(method, code, ?elapsed, "request finished");
}

/// gRPC's own spelling, which dashboards for other gRPC services use too.
fn code_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::Unknown => "UNKNOWN",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::NotFound => "NOT_FOUND",
        tonic::Code::AlreadyExists => "ALREADY_EXISTS",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        tonic::Code::FailedPrecondition => "FAILED_PRECONDITION",
        tonic::Code::Aborted => "ABORTED",
        tonic::Code::OutOfRange => "OUT_OF_RANGE",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Internal => "INTERNAL",
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DataLoss => "DATA_LOSS",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
