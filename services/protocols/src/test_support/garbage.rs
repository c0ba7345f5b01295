//! Answers with status 200 that are none in any protocol, and what every protocol makes of each.

use tandem_chat_core::error::ErrorKind;

use super::{Understood, kind_of};
use crate::Delta;

/// More than one event or document may have.
const TOO_LONG: usize = 11 * 1024 * 1024;

/// What must come of garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// A page of a proxy, or an address that is no API: somebody has to look at the settings.
    Page,
    /// As good as a broken connection: worth another try.
    Cut,
    /// A failure that says what is wrong and is not tried again.
    Named,
}

use Expected::{Cut, Named, Page};

fn cases() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let pings = ": ping\n\n".repeat(5000);
    let long_line = [b"data: ".to_vec(), vec![b'x'; TOO_LONG]].concat();
    let long_document = [b"{\"x\":\"".to_vec(), vec![b'y'; TOO_LONG]].concat();
    let deep = format!("data: {}\n\n", "[".repeat(20_000));
    vec![
        ("nothing", Vec::new(), Cut),
        ("white space", b" \r\n\t\n ".to_vec(), Cut),
        ("a byte order mark", b"\xef\xbb\xbf".to_vec(), Cut),
        ("pings without end", pings.into_bytes(), Cut),
        ("a comment", b": hello\n".to_vec(), Cut),
        ("an event without data", b"event: message\n\n".to_vec(), Cut),
        ("empty data", b"data:\n\ndata: \n\n".to_vec(), Cut),
        ("words", b"OK".to_vec(), Cut),
        (
            "words in lines",
            b"upstream connect error\n\nreset before headers\n\n".to_vec(),
            Cut,
        ),
        (
            "another protocol's head",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
            Cut,
        ),
        (
            "a page",
            b"<!DOCTYPE html><html><title>Sign in</title></html>".to_vec(),
            Page,
        ),
        ("half a page", b"<html><head><title>Sig".to_vec(), Page),
        (
            "xml",
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>".to_vec(),
            Page,
        ),
        ("half a document", b"{\"id\": \"x\", \"choi".to_vec(), Cut),
        ("one brace", b"{".to_vec(), Cut),
        ("a document that is too long", long_document, Named),
        ("a line that is too long", long_line, Named),
        ("data that is no JSON", b"data: hello\n\n".to_vec(), Named),
        ("data that is half of JSON", b"data: {\"id\": \n\n".to_vec(), Named),
        ("JSON nested too deeply", deep.into_bytes(), Named),
        ("bytes that are no text", b"data: \xff\xfe\xfd\n\n".to_vec(), Named),
        ("text of 16 bits", b"data: \0{\0}\0\n\n".to_vec(), Named),
        ("a number", b"data: 7\n\n".to_vec(), Named),
        ("a list", b"data: []\n\n".to_vec(), Named),
        ("a text", b"data: \"hello\"\n\n".to_vec(), Named),
        ("truth", b"data: true\n\n".to_vec(), Named),
    ]
}

/// What is no answer of any protocol is a failure of the right kind, and nothing of it is taken for an answer.
pub(crate) fn check_garbage(parse: impl Fn(&[&[u8]]) -> Understood, provider: &str) {
    let mut wrong = Vec::new();
    for (name, bytes, expected) in cases() {
        let (deltas, failure) = parse(&[&bytes]);
        assert!(!deltas.iter().any(|delta| matches!(delta, Delta::Finish(_))), "{name}");
        let failure = failure.unwrap_or_else(|| panic!("{name} is an answer: {deltas:?}"));
        assert!(
            !failure.text.is_empty() && failure.text.len() < 4096,
            "{name}: {failure:?}"
        );
        let found = match kind_of(&failure, provider) {
            (ErrorKind::Config, false) => Page,
            (ErrorKind::Timeout, true) => Cut,
            (_, false) => Named,
            other => panic!("{name}: {other:?} {failure:?}"),
        };
        if found != expected {
            wrong.push((name, found, failure.text));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
