//! The bridge's own front: HTTP/1 and HTTP/2 without a gateway between.
//!
//! Owns connections: how many, how large their headers, how they end. Who is calling is [`super::authenticate`]'s, all else the engine's.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::StreamExt;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tandem_chassis::{
    lifecycle::Shutdown,
    transport::{Connection, Listener},
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{
    Bridge,
    authenticate::{self, Accounts},
    body::Body,
    headers::{MAX_HEADER_BYTES, MAX_HEADERS},
    route,
};

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 16_384;

/// Streams of one connection at once.
const MAX_STREAMS: u32 = 1_024;

/// Time for a request's headers to come, and for which a connection without a request is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// Answers on `listener` until the service drains; exchanges under way end by themselves, or with the service.
pub async fn serve(listener: Listener, bridge: Bridge, accounts: Accounts, shutdown: Shutdown) {
    tracing::info!(address = %listener.address(), "the bridge is serving");
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accounts = Arc::new(accounts);
    let connections = TaskTracker::new();
    let mut incoming = listener.incoming();
    let mut draining = std::pin::pin!(shutdown.draining());
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = &mut draining => break,
        };
        let Ok(slot) = slot else { break };
        let connection = tokio::select! {
            connection = incoming.next() => connection,
            () = &mut draining => break,
        };
        match connection {
            Some(Ok(connection)) => {
                let served = serve_connection(connection, bridge.clone(), Arc::clone(&accounts), shutdown.clone());
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            // Logged and paused for already.
            Some(Err(_)) => {}
            None => break,
        }
    }
    drop(incoming);
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = shutdown.stopped() => {}
    }
}

async fn serve_connection(connection: Connection, bridge: Bridge, accounts: Arc<Accounts>, shutdown: Shutdown) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    let service = service_fn(move |request: Request<Incoming>| {
        let (bridge, accounts) = (bridge.clone(), Arc::clone(&accounts));
        async move { Ok::<_, Infallible>(answer(&bridge, &accounts, request).await) }
    });
    let serving = builder.serve_connection(TokioIo::new(connection), service);
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = shutdown.draining() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                served = serving => served,
                () = shutdown.stopped() => return,
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection to the bridge ended early");
    }
}

async fn answer(bridge: &Bridge, accounts: &Accounts, mut request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() == "/healthz" {
        let mut response = Response::new(Body::full(bytes::Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    match accounts.caller(request.headers()).await {
        Ok(caller) => {
            authenticate::remove_token(request.headers_mut());
            bridge.exchange(&caller, request).await
        }
        Err(refusal) => {
            bridge.count_refusal(&refusal);
            refusal.response(route::family_of(request.uri().path()))
        }
    }
}
