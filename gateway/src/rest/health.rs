//! What probes, scrapers and clients ask before anything else: alive, ready, numbers, version.

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Peer, json::Reply, problem::Problem, service::App};

/// Of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct BuildInfo {
    pub external_url: String,
    pub dashboard_url: String,
    pub version: &'static str,
    pub telemetry: bool,
}

/// The routes outside the API.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(app): State<App>) -> Response {
    let report = app.health.report();
    let status = if report.is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

/// For scrapers on this machine; from elsewhere there is no such page. A proxy on this machine speaks for others.
async fn metrics(State(app): State<App>, Extension(Peer(peer)): Extension<Peer>, headers: HeaderMap) -> Response {
    let is_proxied = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    let is_local = peer.is_some_and(|address| address.to_canonical().is_loopback());
    if !is_local || is_proxied {
        return Problem::not_found().into_response();
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.registry.render()).into_response()
}

/// Version and address of this server.
#[utoipa::path(get, path = "/buildinfo", tag = "setup", responses((status = 200, body = BuildInfo)), security(()))]
pub async fn build_info(State(app): State<App>) -> Reply<BuildInfo> {
    let address = app.public_url.as_str().trim_end_matches('/').to_owned();
    Reply::ok(BuildInfo {
        external_url: address.clone(),
        dashboard_url: address,
        version: VERSION,
        telemetry: false,
    })
}
