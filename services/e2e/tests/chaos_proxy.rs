//! The fault proxy does to real connections what its levers say.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tandem_e2e::chaos_proxy::{ChaosProxy, Direction, Ending};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_millis(100);

/// A server that sends everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    address
}

async fn proxy() -> ChaosProxy {
    ChaosProxy::start(echo().await).await.unwrap()
}

async fn connect(proxy: &ChaosProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn exchange(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).await.unwrap();
    let mut back = vec![0; text.len()];
    timeout(LIMIT, stream.read_exact(&mut back)).await.unwrap().unwrap();
    back
}

/// Reads to the end; what came and how it ended.
async fn drain(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut all = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut all)).await.unwrap();
    (all, read.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_calm_proxy_carries_bytes_and_half_closes() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut read, mut write) = stream.split();
    let writing = async {
        write.write_all(&large).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, result) = tokio::join!(writing, read.read_to_end(&mut back));
    result.unwrap();
    assert!(back == large);
    let traffic = proxy.traffic();
    assert_eq!((traffic.connections, traffic.bytes_to_client), (1, 1_000_000));
}

#[tokio::test]
async fn a_delay_applies_to_its_direction_until_healed() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.delay(Direction::ToServer, Duration::from_millis(60));
    let started = Instant::now();
    assert_eq!(exchange(&mut stream, b"late").await, b"late");
    assert!(started.elapsed() >= Duration::from_millis(60));
    proxy.heal();
    assert_eq!(exchange(&mut stream, b"soon").await, b"soon");
}

#[tokio::test]
async fn a_blackhole_keeps_bytes_until_it_is_healed() {
    for direction in [Some(Direction::ToServer), Some(Direction::ToClient), None] {
        let proxy = proxy().await;
        let mut stream = connect(&proxy).await;
        exchange(&mut stream, b"before").await;
        match direction {
            Some(direction) => proxy.hold(direction),
            None => proxy.blackhole(),
        }
        stream.write_all(b"lost?").await.unwrap();
        let mut back = [0; 5];
        let reading = timeout(SILENCE, stream.read_exact(&mut back)).await;
        assert!(reading.is_err(), "something arrived through {direction:?}");
        proxy.heal();
        timeout(LIMIT, stream.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(&back, b"lost?");
    }
}

#[tokio::test]
async fn a_cut_lets_exactly_its_bytes_through_and_spares_later_connections() {
    for (ending, error) in [(Ending::Close, None), (Ending::Reset, Some(ErrorKind::ConnectionReset))] {
        let proxy = proxy().await;
        proxy.cut_after(Direction::ToClient, 3, ending, Some(1));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"abcdef").await.unwrap();
        assert_eq!(drain(&mut stream).await, (b"abc".to_vec(), error));
        assert_eq!(proxy.traffic().cuts, 1);
        assert_eq!(exchange(&mut connect(&proxy).await, b"whole").await, b"whole");
    }
}

#[tokio::test]
async fn a_cut_towards_the_server_counts_the_requests_bytes() {
    let proxy = proxy().await;
    proxy.cut_after(Direction::ToServer, 4, Ending::Close, None);
    let mut stream = connect(&proxy).await;
    stream.write_all(b"abcdef").await.unwrap();
    let (back, _) = drain(&mut stream).await;
    assert!(back.len() <= 4, "{back:?}");
    assert_eq!(proxy.traffic().bytes_to_server, 4);
}

#[tokio::test]
async fn open_connections_can_be_reset_and_new_ones_refused() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, b"alive").await;
    proxy.end_all(Ending::Reset);
    assert_eq!(drain(&mut stream).await.1, Some(ErrorKind::ConnectionReset));
    proxy.refuse();
    let mut refused = connect(&proxy).await;
    assert_eq!(drain(&mut refused).await.1, Some(ErrorKind::ConnectionReset));
    proxy.heal();
    assert_eq!(exchange(&mut connect(&proxy).await, b"again").await, b"again");
}

#[tokio::test]
async fn what_is_held_is_counted_and_so_is_who_ends_a_connection() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, b"before").await;
    assert_eq!(
        (proxy.traffic().held_to_server, proxy.traffic().ended_by_client),
        (0, 0)
    );
    proxy.hold(Direction::ToServer);
    stream.write_all(b"held").await.unwrap();
    stream.shutdown().await.unwrap();
    until(|| proxy.traffic().held_to_server == 4 && proxy.traffic().ended_by_client == 1).await;
    assert_eq!(proxy.traffic().ended_by_server, 0, "the server heard of it");
    proxy.heal();
    until(|| proxy.traffic().ended_by_server == 1).await;
}

#[tokio::test]
async fn a_stranded_connection_is_silent_for_good_and_later_ones_are_well() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, b"before").await;
    proxy.strand();
    stream.write_all(b"lost").await.unwrap();
    assert_eq!(exchange(&mut connect(&proxy).await, b"well").await, b"well");
    proxy.heal();
    let mut back = [0; 4];
    let reading = timeout(SILENCE, stream.read_exact(&mut back)).await;
    assert!(reading.is_err(), "something arrived");
}

#[tokio::test]
async fn a_server_on_a_unix_socket_is_reached_by_tcp() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("echo.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.ok();
    });
    let proxy = ChaosProxy::start_to_unix(path).await.unwrap();
    let mut stream = connect(&proxy).await;
    assert_eq!(exchange(&mut stream, b"hello").await, b"hello");
}

async fn until(met: impl Fn() -> bool) {
    let waiting = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap();
}
