use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use tandem_chassis::{telemetry, transport::Listener};
use tokio::sync::mpsc;
use tonic::{body::Body, server::NamedService};
use tower::Service;

const LIMIT: Duration = Duration::from_secs(10);

/// Takes what a collector is sent, as bytes.
#[derive(Clone)]
struct Collector(mpsc::Sender<Vec<u8>>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let taken = self.0.clone();
        Box::pin(async move {
            let body = axum::body::Body::new(request.into_body());
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            taken.send(bytes.to_vec()).await.unwrap();
            Ok(tonic::Status::ok("").into_http())
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_configured_collector_before_the_process_ends() {
    let listener = Listener::bind(&"http://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let endpoint = listener.address().to_string();
    let (sender, mut taken) = mpsc::channel(8);
    let collector = tonic::transport::Server::builder().add_service(Collector(sender));
    tokio::spawn(collector.serve_with_incoming(listener.incoming()));
    let config = telemetry::Config {
        otlp_endpoint: Some(endpoint),
        ..telemetry::Config::default()
    };
    let guard = telemetry::init(&config, "tandem-test").unwrap();

    tracing::info_span!(target: "tandem_test", "turn-of-the-test", "gen_ai.request.model" = "demo").in_scope(|| {});
    drop(guard);

    let exported = tokio::time::timeout(LIMIT, taken.recv()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&exported);
    for expected in [
        "turn-of-the-test",
        "tandem-test",
        telemetry::attribute::GEN_AI_REQUEST_MODEL,
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}
