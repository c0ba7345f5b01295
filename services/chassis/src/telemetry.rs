//! Logs and traces: one subscriber per process, one trace across all services.
//!
//! Every span has a trace id, and the id travels with each call, also when nothing is exported: a log line of one
//! service can then be found in all others. Metrics are [`crate::metrics`].

use std::{
    io::IsTerminal,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

pub mod attribute;
mod propagation;

pub use propagation::{Context, extract, inject, set_parent, trace_id};

/// How long a stopping process tries to deliver its last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the collector per batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is logged, how, and where traces go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Level, or filter such as `info,tandem_storage=debug`.
    pub log: String,
    pub format: Format,
    /// OTLP collector (gRPC), e.g. `http://localhost:4317`. Without it traces have ids and are kept nowhere.
    pub otlp_endpoint: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            format: Format::Text,
            otlp_endpoint: None,
        }
    }
}

/// Shape of a log line on standard error.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("log filter {filter:?} is not understood")]
    Filter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("OTLP endpoint {endpoint:?} cannot be used")]
    Endpoint {
        endpoint: String,
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Delivers the last spans when dropped, which blocks for up to five seconds. Keep it until the end of an async `main`
/// on the multi-threaded runtime: delivery needs the runtime's other threads.
#[must_use = "dropping the guard ends trace export"]
#[derive(Debug)]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "last spans were not delivered");
        }
    }
}

/// Set by the first successful [`init`].
static STARTED: OnceLock<()> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Starts logging and tracing for the process as `service`. Call once, early, within a Tokio runtime when an OTLP
/// endpoint is configured. A second call changes nothing and returns a guard that does nothing.
///
/// # Errors
/// A filter or endpoint that cannot be used; nothing has been started then.
pub fn init(config: &Config, service: &str) -> Result<Guard, Error> {
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if STARTED.get().is_some() {
        return Ok(Guard { provider: None });
    }
    let filter = EnvFilter::try_new(&config.log).map_err(|source| Error::Filter {
        filter: config.log.clone(),
        source,
    })?;
    let provider = provider(config, service)?;
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tandem"))
        // Only what an exported span would show; thread and file of every span cost more than they tell.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // Nothing of ours reads the library's own current context; keeping it would cost on every poll of every task.
        .with_context_activation(false)
        // Independent of the log filter: a process that logs only warnings still passes traces on.
        .with_filter(Targets::new().with_target("tandem", LevelFilter::INFO));
    let started = Registry::default()
        .with(traces)
        .with(lines(config.format).with_filter(filter))
        .try_init();
    if started.is_err() {
        // A test harness has its own subscriber; its choice stands.
        return Ok(Guard { provider: None });
    }
    // Only this function sets it, under the lock above.
    let _ = STARTED.set(());
    Ok(Guard {
        provider: Some(provider),
    })
}

fn provider(config: &Config, service: &str) -> Result<SdkTracerProvider, Error> {
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.namespace", "tandem"))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = &config.otlp_endpoint else {
        // Ids are still made and passed on; attributes and events are not even collected.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.clone())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| Error::Endpoint {
            endpoint: endpoint.clone(),
            source,
        })?;
    // A service without export passes the trace on as "not sampled"; that must not silence the others.
    Ok(builder
        .with_sampler(Sampler::AlwaysOn)
        .with_batch_exporter(exporter)
        .build())
}

fn lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => layer
            .json()
            .flatten_event(true)
            // All spans, because the outer one knows the request and an inner one the chat.
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
    }
}

#[cfg(test)]
mod tests;
