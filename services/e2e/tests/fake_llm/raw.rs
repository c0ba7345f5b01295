//! A client without manners: bytes out, bytes in, and how the connection ended.

use std::{io, time::Duration};

use serde_json::Value;
use tandem_e2e::fake_llm::FakeLlm;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How a connection looked at the end of reading.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
    /// Nothing more came within the limit.
    Silent,
}

/// Opens a connection and sends one completion request.
pub async fn send(fake: &FakeLlm, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(fake.address()).await.expect("connect");
    let body = body.to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        fake.api_key(),
        body.len(),
    );
    stream.write_all(request.as_bytes()).await.expect("write");
    stream
}

/// Reads until the connection ends or is silent for `limit`; response head and body without chunk framing.
pub async fn read(stream: &mut TcpStream, limit: Duration) -> (String, Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let end = loop {
        match timeout(limit, stream.read(&mut buffer)).await {
            Err(_) => break End::Silent,
            Ok(Ok(0)) => break End::Closed,
            Ok(Ok(n)) => bytes.extend(&buffer[..n]),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => break End::Reset,
            Ok(Err(error)) => panic!("unexpected error while reading: {error}"),
        }
    };
    let Some(split) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        assert_eq!(bytes, b"", "half a response head");
        return (String::new(), Vec::new(), end);
    };
    let head = String::from_utf8(bytes[..split].to_vec()).expect("an ASCII head");
    let body = match head.contains("transfer-encoding: chunked") {
        true => unchunked(&bytes[split + 4..]),
        false => bytes[split + 4..].to_vec(),
    };
    (head, body, end)
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..line]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        bytes = &bytes[line + 2..];
        body.extend(&bytes[..size.min(bytes.len())]);
        if size == 0 || bytes.len() < size + 2 {
            break;
        }
        bytes = &bytes[size + 2..];
    }
    body
}
