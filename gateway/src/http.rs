//! Connections: accepted one by one within a bound, HTTP/1.1 and HTTP/2 on the same port, drained when the gateway
//! stops. What a request means is the router's business; sockets that were upgraded live on by themselves and are
//! closed by [`crate::ws`].

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use futures::StreamExt;
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tandem_chassis::{
    lifecycle::Shutdown,
    transport::{Connection, Listener},
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::{auth::Peer, config::Limits, metrics::Metrics};

mod lasting;

pub use lasting::Lasting;
use lasting::Lent;

/// Room for the headers of one request, in bytes. Holds cookies of other programs on the same host.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Requests one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;

/// A silent HTTP/2 connection is probed this often and given up when the probe stays unanswered as long again.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// Serves `router` until draining has begun and every connection has ended, or until everything must stop.
///
/// `sockets` tracks upgraded connections; they are waited for too.
pub async fn serve(
    listener: Listener,
    router: Router,
    limits: &Limits,
    metrics: &Metrics,
    sockets: &TaskTracker,
    shutdown: &Shutdown,
) {
    let builder = Arc::new(builder(limits));
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let mut incoming = listener.incoming();
    let mut draining = std::pin::pin!(shutdown.draining());
    loop {
        let accepted = async {
            // The semaphore is never closed, so this only waits.
            let permit = Arc::clone(&permits).acquire_owned().await;
            (incoming.next().await, permit)
        };
        let (connection, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut draining => break,
        };
        let connection = match connection {
            Some(Ok(connection)) => connection,
            // Already logged and paused for.
            Some(Err(_)) => continue,
            None => break,
        };
        let served = serve_one(connection, router.clone(), Arc::clone(&builder), shutdown.clone());
        let open = metrics.connections.clone();
        connections.spawn(async move {
            open.inc();
            served.await;
            open.dec();
            drop(permit);
        });
    }
    drop(incoming);
    connections.close();
    sockets.close();
    let ended = async {
        connections.wait().await;
        sockets.wait().await;
    };
    tokio::select! {
        () = ended => {}
        () = shutdown.stopped() => {}
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32);
    builder
}

async fn serve_one(connection: Connection, router: Router, builder: Arc<Builder<TokioExecutor>>, shutdown: Shutdown) {
    let peer = Peer(connection.peer_ip());
    let lent = Lent::new(connection);
    let lender = lent.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let asked = (request.method().clone(), request.version());
        let answering = router.clone().oneshot(request.map(Body::new));
        let lender = lender.clone();
        async move {
            let response = answering.await?;
            Ok::<_, Infallible>(lender.pass(asked, response).await)
        }
    });
    // Boxed, so that it goes when an answer takes the connection.
    let mut serving = Box::pin(builder.serve_connection_with_upgrades(TokioIo::new(lent.clone()), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        taken = lent.taken() => {
            drop(serving);
            drop(lent);
            return last(taken, shutdown).await;
        }
        () = shutdown.stopped() => return,
        () = shutdown.draining() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving.as_mut() => ended,
                taken = lent.taken() => {
                    drop(serving);
                    return last(taken, shutdown).await;
                }
                () = shutdown.stopped() => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients leave in the middle of things all the time.
        tracing::debug!(error, "connection ended");
    }
}

/// An answer that lasts ends by itself when draining begins.
async fn last((connection, response): (Connection, Response), shutdown: Shutdown) {
    let ended = tokio::select! {
        ended = lasting::write(connection, response, lasting::WRITE_LIMIT) => ended,
        () = shutdown.stopped() => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
