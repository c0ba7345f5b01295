//! Takes the traces that processes send away, as a collector of OpenTelemetry does, and keeps their bytes.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, task::JoinSet};

/// A collector that believes everything.
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Collector {
    /// # Errors
    /// When no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, taken) = (listener.local_addr()?, Arc::<Mutex<Vec<u8>>>::default());
        let (kept, mut tasks) = (Arc::clone(&taken), JoinSet::new());
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let service = service_fn(move |request| take(request, Arc::clone(&kept)));
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    // A process that is killed does not say goodbye.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self {
            address,
            taken,
            _tasks: tasks,
        })
    }

    /// What processes are told to send to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has come, texts as they are.
    pub fn taken(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

type Answer = Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>;

async fn take(request: Request<Incoming>, kept: Arc<Mutex<Vec<u8>>>) -> Result<Answer, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend_from_slice(&body);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // An empty message: no flags, no length.
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
    let mut answer = Response::new(body.boxed());
    answer
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(answer)
}
