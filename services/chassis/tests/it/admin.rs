use std::time::Duration;

use tandem_chassis::{
    Runtime, admin,
    identity::{ServiceName, ServiceSecret},
    transport::Listener,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const LIMIT: Duration = Duration::from_secs(10);

/// Status line and body of `GET path`.
async fn get(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test]
async fn operator_sees_life_readiness_and_metrics() {
    let runtime = Runtime::new(ServiceSecret::generate().unwrap());
    let storage = runtime.for_service(ServiceName::Storage);
    let listener = Listener::bind(&"http://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (_, port) = listener.address().host_port().unwrap();
    let serving = tokio::spawn({
        let runtime = runtime.clone();
        async move { admin::serve_on(listener, &runtime).await }
    });

    assert_eq!(
        get(port, "/healthz").await,
        ("HTTP/1.1 200 OK".to_owned(), "ok".to_owned())
    );
    let (status, body) = get(port, "/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        body,
        r#"{"is_ready":false,"components":{"storage":{"is_serving":false}}}"#
    );

    storage.health.set_serving(true);
    assert_eq!(get(port, "/readyz").await.0, "HTTP/1.1 200 OK");
    let (status, body) = get(port, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("# EOF"), "{body}");

    storage.shutdown.drain();
    runtime.shutdown.drain();
    assert_eq!(get(port, "/healthz").await.0, "HTTP/1.1 200 OK", "stays while draining");
    runtime.shutdown.stop();
    tokio::time::timeout(LIMIT, serving).await.unwrap().unwrap().unwrap();
}
