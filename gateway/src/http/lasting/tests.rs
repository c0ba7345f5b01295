use std::convert::Infallible;

use axum::{body::Bytes, http::HeaderValue};
use futures::stream;
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
};

use super::*;

/// An answer that says what is sent to it, being written; what a reader gets; and how the writing ends.
fn writing(limit: Duration) -> (mpsc::UnboundedSender<Bytes>, DuplexStream, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::unbounded_channel::<Bytes>();
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    let (ours, theirs) = duplex(1024);
    (sender, theirs, tokio::spawn(write(ours, response, limit)))
}

async fn read_until(reader: &mut DuplexStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(reader.read_u8().await.unwrap()));
    }
    text
}

#[tokio::test]
async fn an_answer_is_written_in_chunks_as_they_come_and_closes_the_connection() {
    let (sender, mut reader, written) = writing(WRITE_LIMIT);
    let head = read_until(&mut reader, "\r\n\r\n").await;
    let mut lines = head.split_terminator("\r\n");
    assert_eq!(lines.next(), Some("HTTP/1.1 200 OK"));
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let expected = [
        ("content-type", "text/event-stream"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
    ];
    assert_eq!(fields, expected);

    sender.send(Bytes::from_static(b"data: one\n\n")).unwrap();
    assert_eq!(read_until(&mut reader, "\n\n\r\n").await, "b\r\ndata: one\n\n\r\n");
    // Nobody listens to what readers say.
    reader.write_all(b"anything").await.unwrap();
    for piece in ["", "two", "three"] {
        sender.send(Bytes::from(piece)).unwrap();
    }
    drop(sender);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
    written.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_goes_with_its_reader() {
    let (sender, mut reader, written) = writing(WRITE_LIMIT);
    read_until(&mut reader, "\r\n\r\n").await;
    drop(reader);
    written.await.unwrap().unwrap();
    sender.closed().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_given_up() {
    let (sender, reader, written) = writing(Duration::from_millis(50));
    sender.send(Bytes::from(vec![b'x'; 4096])).unwrap();
    let error = written.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(reader);
}

#[tokio::test]
async fn only_an_answer_that_lasts_takes_the_connection_and_only_when_the_one_before_has_left() {
    let (ours, theirs) = duplex(1024);
    let mut lent = Lent::new(Connection::Memory(ours));
    let asked = (Method::GET, Version::HTTP_11);
    let lasting = || {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Lasting);
        response
    };
    lent.pass(asked.clone(), Response::new(Body::empty())).await;
    lent.pass((Method::HEAD, Version::HTTP_11), lasting()).await;
    lent.pass((Method::GET, Version::HTTP_2), lasting()).await;
    poll_fn(|cx| Pin::new(&mut lent).poll_write(cx, b"before"))
        .await
        .unwrap();
    lent.pass(asked.clone(), lasting()).await;
    lent.flush().await.unwrap();

    let offering = tokio::spawn({
        let lent = lent.clone();
        async move { lent.pass(asked, lasting()).await }
    });
    let (connection, response) = lent.taken().await;
    assert!(response.extensions().get::<Lasting>().is_some());
    assert!(lent.write_all(b"behind").await.is_err(), "it is lent no more");
    offering.abort();
    drop((connection, lent));
    let mut theirs = theirs;
    let mut text = String::new();
    theirs.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "before");
}
