//! The small HTTP listener a service opens when it runs alone: `/metrics`, `/healthz`, `/readyz`, without
//! authentication. Meant for the operator's network, not for users; nothing on it changes anything.

use std::io;

use axum::Router;

use crate::{
    Runtime, health, metrics,
    transport::{Address, HttpListener, Listener},
};

/// `/metrics`, `/healthz` and `/readyz` of `runtime`.
pub fn router(runtime: &Runtime) -> Router {
    metrics::router(runtime.registry.clone()).merge(health::router(runtime.health.clone()))
}

/// Serves [`router`] on `address` (`http:` or `unix:`) until the process stops. It stays up while draining, so that an
/// operator can watch.
///
/// # Errors
/// As binding the address says.
pub async fn serve(address: &Address, runtime: &Runtime) -> io::Result<()> {
    let listener = Listener::bind(address).await?;
    serve_on(listener, runtime).await
}

/// Like [`serve`], on a listener that is bound already.
///
/// # Errors
/// None in practice: a failed accept is retried.
pub async fn serve_on(listener: Listener, runtime: &Runtime) -> io::Result<()> {
    tracing::info!(address = %listener.address(), "admin pages are served");
    axum::serve(HttpListener::from(listener), router(runtime))
        .with_graceful_shutdown(runtime.shutdown.stopped())
        .await
}
