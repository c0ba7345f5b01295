use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn addresses_read_and_write_back() {
    for text in [
        "http://127.0.0.1:7080",
        "http://localhost:0",
        "https://storage.internal:443",
        "http://[::1]:80",
        "unix:/run/tandem/storage.sock",
        "memory:storage",
    ] {
        assert_eq!(address(text).to_string(), text);
    }
    assert_eq!(address("http://host").to_string(), "http://host:80");
    assert_eq!(address("https://host/").host_port(), Some(("host", 443)));
}

#[test]
fn anything_else_is_no_address() {
    for text in [
        "",
        "localhost:80",
        "ftp://host:21",
        "http://",
        "http://host:70000",
        "http://host/path",
        "http://user:pw@host",
        "http://host?x",
        "unix:relative",
        "unix:",
        "memory:",
    ] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[test]
fn addresses_are_text_in_configuration() {
    let json = serde_json::to_value(address("memory:storage")).unwrap();
    assert_eq!(json, "memory:storage");
    assert!(serde_json::from_value::<Address>("nonsense".into()).is_err());
}

#[tokio::test]
async fn port_zero_reports_the_real_port() {
    let listener = Listener::bind(&address("http://127.0.0.1:0")).await.unwrap();
    let (host, port) = listener.address().host_port().unwrap();
    assert_eq!(host, "127.0.0.1");
    assert_ne!(port, 0);
}

#[tokio::test]
async fn unix_socket_is_private_and_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::bind(&Address::Unix(path.clone())).await.unwrap();

    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(listener);

    assert!(!path.exists());
}

#[tokio::test]
async fn stale_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "left behind");

    let _live = Listener::bind(&Address::Unix(path.clone())).await.unwrap();

    let second = Listener::bind(&Address::Unix(path)).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path: &Path = file.path();
    assert!(Listener::bind(&Address::Unix(path.to_owned())).await.is_err());
    assert!(path.exists());
}

#[tokio::test]
async fn memory_pipe_carries_bytes_both_ways() {
    let listener = Listener::bind(&address("memory:pipe-test")).await.unwrap();
    let mut incoming = listener.incoming();
    let mut client = memory::connect("pipe-test").await.unwrap();
    let mut server = incoming.next().await.unwrap().unwrap();

    client.write_all(b"ping").await.unwrap();
    let mut heard = [0; 4];
    server.read_exact(&mut heard).await.unwrap();
    server.write_all(&heard).await.unwrap();
    client.read_exact(&mut heard).await.unwrap();

    assert_eq!(&heard, b"ping");
}

#[tokio::test]
async fn memory_name_is_taken_once_and_free_after() {
    let first = Listener::bind(&address("memory:name-test")).await.unwrap();
    let second = Listener::bind(&address("memory:name-test")).await;
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(first);
    Listener::bind(&address("memory:name-test")).await.unwrap();
}

#[tokio::test]
async fn memory_client_may_come_before_its_server() {
    let early = tokio::spawn(memory::connect("early-test"));
    tokio::task::yield_now().await;
    let _listener = Listener::bind(&address("memory:early-test")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), early)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn memory_accept_queue_is_bounded() {
    let _listener = Listener::bind(&address("memory:queue-test")).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(memory::connect("queue-test").await.unwrap());
    }
    let one_more = memory::connect("queue-test");
    let limit = Duration::from_millis(20);
    assert!(tokio::time::timeout(limit, one_more).await.is_err());
}
