//! Services of which only the methods a test names exist. A method is a function from request to answer; what it was
//! asked, and on whose behalf, is kept.

use std::{
    collections::HashMap,
    future::ready,
    pin::Pin,
    sync::{Arc, Mutex},
};

use axum::extract::Request;
use futures::{Stream, StreamExt, future::BoxFuture, stream};
use prost::Message;
use tandem_chassis::{
    identity::{User, Verifier},
    status::Fault,
    transport::Listener,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::{Response, Status, Streaming, body::Body};
use tonic_prost::ProstCodec;

type Handler = Arc<dyn Fn(axum::http::Request<Body>) -> BoxFuture<'static, axum::http::Response<Body>> + Send + Sync>;
type Batches<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// One request a stub got.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub user: Option<User>,
}

/// The scripted services; clones share the script.
#[derive(Clone)]
pub struct Stubs {
    handlers: Arc<Mutex<HashMap<String, Handler>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    verifier: Verifier,
}

impl Stubs {
    pub fn new(verifier: Verifier) -> Self {
        Self {
            handlers: Arc::default(),
            calls: Arc::default(),
            verifier,
        }
    }

    /// Answers on `listener` until dropped with the runtime.
    pub fn serve(&self, listener: Listener) {
        let stubs = self.clone();
        let router = axum::Router::new().fallback(move |request: Request| {
            let stubs = stubs.clone();
            async move { stubs.answer(request).await }
        });
        let serving = tonic::transport::Server::builder()
            .add_routes(tonic::service::Routes::from(router))
            .serve_with_incoming(listener.incoming());
        tokio::spawn(serving);
    }

    async fn answer(&self, request: Request) -> axum::http::Response<Body> {
        let method = request.uri().path().to_owned();
        let token = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let user = token
            .and_then(|token| self.verifier.verify(token).ok())
            .and_then(|caller| caller.user.clone());
        let handler = self.handlers.lock().unwrap().get(&method).cloned();
        self.calls.lock().unwrap().push(Call {
            method: method.clone(),
            user,
        });
        match handler {
            Some(handler) => handler(request.map(Body::new)).await,
            None => Status::unimplemented(format!("no stub for {method}")).into_http(),
        }
    }

    /// Every request with a method that ends so, in order.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| call.method.ends_with(method))
            .cloned()
            .collect()
    }

    /// Answers `service/Method` with what `answer` makes of the request.
    pub fn on<Q, A>(&self, method: &str, answer: impl Fn(Q) -> Result<A, Fault> + Send + Sync + 'static)
    where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        self.on_request(method, move |request: tonic::Request<Q>| {
            answer(request.into_inner()).map(Response::new)
        });
    }

    /// The same with the metadata of request and answer.
    pub fn on_request<Q, A>(
        &self,
        method: &str,
        answer: impl Fn(tonic::Request<Q>) -> Result<Response<A>, Fault> + Send + Sync + 'static,
    ) where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        let answer = Arc::new(answer);
        let handler: Handler = Arc::new(move |request| {
            let answer = Arc::clone(&answer);
            Box::pin(async move {
                let service =
                    tower::service_fn(move |request: tonic::Request<Q>| ready(answer(request).map_err(Status::from)));
                let mut grpc = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
                grpc.unary(service, request).await
            })
        });
        self.insert(method, handler);
    }

    /// Answers a streaming method with what `open` gives for each request.
    pub fn on_stream<Q, A>(
        &self,
        method: &str,
        open: impl Fn(Q) -> Result<mpsc::UnboundedReceiver<Result<A, Fault>>, Fault> + Send + Sync + 'static,
    ) where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        let open = Arc::new(open);
        let handler: Handler = Arc::new(move |request| {
            let open = Arc::clone(&open);
            Box::pin(async move {
                let service = tower::service_fn(move |request: tonic::Request<Q>| {
                    let opened = open(request.into_inner()).map_err(Status::from).map(|batches| {
                        let batches = UnboundedReceiverStream::new(batches).map(|batch| batch.map_err(Status::from));
                        // Keeps the head of the answer from waiting for the first batch.
                        let batches: Batches<A> = Box::pin(stream::empty().chain(batches));
                        Response::new(batches)
                    });
                    ready(opened)
                });
                let mut grpc = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
                grpc.server_streaming(service, request).await
            })
        });
        self.insert(method, handler);
    }

    /// Answers a method that streams both ways with what `open` gives for each stream of requests.
    pub fn on_exchange<Q, A>(
        &self,
        method: &str,
        open: impl Fn(Streaming<Q>) -> mpsc::Receiver<Result<A, Fault>> + Send + Sync + 'static,
    ) where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        let open = Arc::new(open);
        let handler: Handler = Arc::new(move |request| {
            let open = Arc::clone(&open);
            Box::pin(async move {
                let service = tower::service_fn(move |request: tonic::Request<Streaming<Q>>| {
                    let pieces =
                        ReceiverStream::new(open(request.into_inner())).map(|piece| piece.map_err(Status::from));
                    let pieces: Batches<A> = Box::pin(pieces);
                    ready(Ok::<_, Status>(Response::new(pieces)))
                });
                let mut grpc = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
                grpc.streaming(service, request).await
            })
        });
        self.insert(method, handler);
    }

    fn insert(&self, method: &str, handler: Handler) {
        self.handlers.lock().unwrap().insert(format!("/{method}"), handler);
    }
}
