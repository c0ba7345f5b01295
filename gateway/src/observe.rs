//! The outermost layer: what is true of every request. It gives the request its id and span, catches panics, counts,
//! writes one log line, renders problems, and adds the headers every answer carries.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tandem_chassis::{status::Fault, telemetry};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    metrics::{RequestLabels, RouteLabel},
    problem::{self, Problem},
    service::App,
};

/// The name under which every answer carries its request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for those that tell it in their own words.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// Content policy of everything but the web UI's pages: a file somebody uploaded can do nothing when it is opened.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Routes a scraper or a probe asks for; their log lines are for debugging only.
const QUIET_ROUTES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The layer.
pub async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = app.clock.monotonic();
    let method = request.method().clone();
    let accept = request.headers().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", |path| path.as_str())
        .to_owned();
    let span = tracing::info_span!("http", %method, route, user_id = tracing::field::Empty);
    let request_id = telemetry::trace_id(&span).unwrap_or_else(|| Uuid::new_v4().simple().to_string());

    request.extensions_mut().insert(RequestId(request_id.as_str().into()));

    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = handled.instrument(span.clone()).await.unwrap_or_else(|_| {
        span.in_scope(|| tracing::error!(request_id, "a handler panicked"));
        Problem::from(Fault::internal("PANIC", "a handler panicked")).into_response()
    });
    let mut response = problem::render(response, &accept, &request_id);
    finish(&mut response, &request_id);

    let elapsed = app.clock.monotonic() - started;
    let status = response.status().as_u16();
    app.metrics
        .seconds
        .get_or_create(&RouteLabel { route: route.clone() })
        .observe(elapsed.as_secs_f64());
    let is_quiet = QUIET_ROUTES.contains(&route.as_str());
    let labels = RequestLabels {
        method: method.to_string(),
        route,
        status,
    };
    app.metrics.requests.get_or_create(&labels).inc();
    span.in_scope(|| {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if is_quiet {
            tracing::debug!(status, elapsed_ms, request_id, "request answered");
        } else {
            tracing::info!(status, elapsed_ms, request_id, "request answered");
        }
    });
    response
}

fn finish(response: &mut Response, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Nothing in an answer may run; the web UI says otherwise for its own pages.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(API_POLICY));
    // Answers are about one caller; only what says otherwise (files, assets) may be kept.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
