//! Carrying the trace from one service to the next: W3C `traceparent` in gRPC metadata and HTTP headers.

use std::sync::LazyLock;

use http::HeaderMap;
pub use opentelemetry::Context;
use opentelemetry::{
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Used directly rather than through the library's global, which would be one more thing to set up.
static W3C: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Writes the current span's trace context into outgoing metadata. Outside any span it writes nothing.
pub fn inject(metadata: &mut MetadataMap) {
    let context = tracing::Span::current().context();
    W3C.inject_context(&context, &mut MetadataInjector(metadata));
}

/// The trace context a request came with; empty when it came with none.
pub fn extract(headers: &HeaderMap) -> Context {
    W3C.extract_with_context(&Context::new(), &HeaderExtractor(headers))
}

/// Makes `span` continue the trace of the request with these headers. Call it before the span is entered.
pub fn set_parent(span: &tracing::Span, headers: &HeaderMap) {
    let context = extract(headers);
    if context.span().span_context().is_valid() {
        // Fails only where no telemetry was started or the span is filtered out: then there is no trace to continue.
        let _ = span.set_parent(context);
    }
}

/// The trace id of `span` as 32 hex digits, if it has one. Serves as request id: it is the same in every service.
pub fn trace_id(span: &tracing::Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

struct MetadataInjector<'a>(&'a mut MetadataMap);

impl Injector for MetadataInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (key.parse::<AsciiMetadataKey>(), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
