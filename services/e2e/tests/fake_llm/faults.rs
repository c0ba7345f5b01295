//! Faults happen on the socket, at the byte they were scripted for.

use std::time::{Duration, Instant};

use tandem_e2e::fake_llm::{Outcome, Reply, Script};

use crate::{
    fake, post,
    raw::{self, End},
    streamed, text,
};

/// Long enough for anything on loopback.
const LIMIT: Duration = Duration::from_secs(10);
/// Long enough to call a connection silent.
const SILENCE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_cut_closes_the_connection_after_exactly_that_many_bytes() {
    let fake = fake().await;
    let whole = post(&fake, &streamed("hi")).await.1;
    for at_byte in [0, 1, 7, 100, whole.len() - 1, whole.len()] {
        fake.script(Script::reply(Reply::text("You said: hi").cut_at_byte(at_byte)));
        let mut stream = raw::send(&fake, &streamed("hi")).await;
        let (head, body, end) = raw::read(&mut stream, LIMIT).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert_eq!((body.len(), end), (at_byte, End::Closed));
    }
    let outcomes: Vec<Outcome> = fake.requests().iter().skip(1).map(|r| r.outcome).collect();
    assert_eq!(outcomes, [Outcome::Cut; 6]);
}

#[tokio::test]
async fn a_reset_arrives_after_the_bytes_before_it() {
    let fake = fake().await;
    for at_byte in [0, 1, 333] {
        fake.script(Script::reply(Reply::text("You said: hi").reset_at_byte(at_byte)));
        let mut stream = raw::send(&fake, &streamed("hi")).await;
        let (_, body, end) = raw::read(&mut stream, LIMIT).await;
        assert_eq!((body.len(), end), (at_byte, End::Reset));
    }
}

#[tokio::test]
async fn hanging_up_sends_not_a_byte() {
    let fake = fake().await;
    fake.script(Script::turn([Reply::hang_up(), Reply::reset()]));
    for expected in [End::Closed, End::Reset] {
        let mut stream = raw::send(&fake, &streamed("hi")).await;
        let (head, _, end) = raw::read(&mut stream, LIMIT).await;
        assert_eq!((head.as_str(), end), ("", expected));
    }
}

#[tokio::test]
async fn a_stall_is_silent_until_it_is_ended() {
    let fake = fake().await;
    fake.script(Script::reply(Reply::text("You said: hi").stall_at_byte(50)));
    let mut stream = raw::send(&fake, &streamed("hi")).await;
    let (_, body, end) = raw::read(&mut stream, SILENCE).await;
    assert_eq!((body.len(), end), (50, End::Silent));
    fake.end_stalls();
    fake.wait_until(LIMIT, |requests| requests[0].outcome == Outcome::Completed)
        .await
        .expect("the rest is sent");
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_stream_is_noticed_and_billed_so_far() {
    let fake = fake().await;
    let reply = Reply::text_in("abcdef", 6).gate("half").and_text(" more words");
    fake.script(Script::reply(reply));
    let stream = raw::send(&fake, &streamed("leave")).await;
    fake.wait_at_gate("half", LIMIT).await.expect("the first half is sent");
    drop(stream);
    let requests = fake
        .wait_until(LIMIT, |requests| requests[0].outcome != Outcome::InProgress)
        .await
        .expect("noticed");
    assert_eq!(requests[0].outcome, Outcome::Disconnected);
    assert_eq!(requests[0].tokens_sent, 6);
    let counters = fake.counters("leave");
    assert_eq!((counters.disconnected, counters.completion_tokens), (1, 6));
}

#[tokio::test]
async fn pings_come_instead_of_the_answer() {
    let fake = fake().await;
    let every = Duration::from_millis(5);
    fake.script(Script::reply(Reply::text("never").pings_at_byte(0, every)));
    let mut stream = raw::send(&fake, &streamed("hi")).await;
    let mut seen = Vec::new();
    let reading = async {
        while seen.len() < 400 {
            let mut buffer = [0; 256];
            let n = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await.unwrap();
            seen.extend(&buffer[..n]);
        }
    };
    tokio::time::timeout(LIMIT, reading).await.expect("pings keep coming");
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.contains(": keep-alive\n\n") && !seen.contains("data:"), "{seen}");
}

#[tokio::test]
async fn garbage_is_put_in_at_its_byte_and_the_rest_follows() {
    let fake = fake().await;
    let whole = post(&fake, &streamed("hi")).await.1;
    let garbage = b"\xff\xfe\0garbage".to_vec();
    fake.script(Script::reply(
        Reply::text("You said: hi").garbage_at_byte(10, garbage.clone()),
    ));
    let mut stream = raw::send(&fake, &streamed("hi")).await;
    let (_, body, _) = raw::read(&mut stream, SILENCE).await;
    assert_eq!(&body[10..10 + garbage.len()], garbage);
    assert_eq!(body.len(), whole.len() + garbage.len());
}

#[tokio::test]
async fn an_error_event_ends_the_stream_without_done() {
    let fake = fake().await;
    fake.script(Script::reply(
        Reply::text("one two three").error_event_at(2, "overloaded"),
    ));
    let (status, body) = post(&fake, &streamed("hi")).await;
    assert_eq!(status, 200);
    let events = crate::events(&body);
    assert_eq!(text(&body), "one");
    assert_eq!(events[2]["error"]["code"], "overloaded");
    assert!(!body.contains("[DONE]"));
}

#[tokio::test]
async fn html_empty_and_missing_done() {
    let fake = fake().await;
    fake.script(Script::turn([
        Reply::html_200(),
        Reply::empty_200(),
        Reply::text("hi").no_done(),
    ]));
    assert!(post(&fake, &streamed("hi")).await.1.starts_with("<!doctype html>"));
    assert_eq!(post(&fake, &streamed("hi")).await, (200, String::new()));
    let (_, body) = post(&fake, &streamed("hi")).await;
    assert!(body.contains("\"finish_reason\":\"stop\"") && !body.contains("[DONE]"));
}

#[tokio::test]
async fn faults_reach_answers_in_one_piece_too() {
    let fake = fake().await;
    let mut request = streamed("hi");
    for name in ["stream", "stream_options"] {
        request.as_object_mut().unwrap().remove(name);
    }
    fake.script(Script::reply(Reply::text("Hello").cut_at_byte(40)));
    let mut stream = raw::send(&fake, &request).await;
    let (head, body, end) = raw::read(&mut stream, LIMIT).await;
    assert!(head.contains("content-length: "), "{head}");
    assert_eq!((body.len(), end), (40, End::Closed));
}

#[tokio::test]
async fn small_writes_reach_the_reader_one_by_one() {
    let fake = fake().await;
    fake.script(Script::reply(Reply::text("You said: hi").write_bytes(1)));
    let (status, body) = post(&fake, &streamed("hi")).await;
    assert_eq!((status, text(&body).as_str()), (200, "You said: hi"));
}

#[tokio::test]
async fn delays_are_kept_before_the_first_chunk_and_between_chunks() {
    let fake = fake().await;
    let reply = Reply::text_in("abcd", 4)
        .delay_first(Duration::from_millis(40))
        .delay_between(Duration::from_millis(10));
    fake.script(Script::reply(reply));
    let started = Instant::now();
    let (_, body) = post(&fake, &streamed("hi")).await;
    // Role, four letters, finish, usage: six pauses between seven chunks.
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert_eq!(text(&body), "abcd");
}

#[tokio::test]
async fn dropping_all_connections_ends_a_waiting_stream() {
    let fake = fake().await;
    fake.script(Script::reply(Reply::text("x").headers_gate("never")));
    let mut stream = raw::send(&fake, &streamed("hi")).await;
    fake.wait_at_gate("never", LIMIT).await.expect("the reply waits");
    fake.hang_up();
    let (head, _, end) = raw::read(&mut stream, LIMIT).await;
    assert_eq!((head.as_str(), end), ("", End::Closed));
}
