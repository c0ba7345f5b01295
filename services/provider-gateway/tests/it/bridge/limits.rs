//! Providers that run so many answers at once, and how long one of them may take.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{Answer, Bridged, KEYS, LIMIT, chat, completion, streamed, upstream::Reply};

/// More than whatever is between a vendor and a client holds.
const MUCH: usize = 48 * 1024 * 1024;

#[tokio::test]
async fn a_client_that_stops_reading_keeps_no_place_beyond_the_time_of_an_answer() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| {
        config.guards.total = Duration::from_millis(300)
    })
    .await;
    bridged.narrow().await;
    let line = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(1000)
    );
    let stream = line.repeat(MUCH / line.len());
    bridged
        .upstream
        .reply(Reply::new(200, "text/event-stream", stream).cut(64 * 1024));
    let asked = bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")));
    let unread = asked.send().await.unwrap();
    bridged.upstream.reply(Reply::json(&completion()));
    let next = tokio::time::timeout(LIMIT, bridged.chat()).await;
    assert_eq!(next.expect("the place is free again").status, 200);
    tokio::time::timeout(LIMIT, bridged.upstream.dropped.notified())
        .await
        .expect("the vendor is let go");
    let late = Answer::read(unread).await.text;
    let end = &late[late.len() - 400..];
    assert!(late.len() < MUCH && end.contains("\"code\":\"timeout\""), "{end}");
    bridged.recorded(|recorded| recorded.ends.len() == 2).await;
}

#[tokio::test]
async fn nothing_is_set_aside_for_those_who_wait_for_room() {
    let bridged = Bridged::start("openai").await;
    bridged.world.storage.ledger.lock().unwrap().is_limited = true;
    bridged.narrow().await;
    let gate = Arc::new(Semaphore::new(0));
    bridged.upstream.reply(Reply::stream("data: {}\n\n").held(&gate));
    let asked = bridged.post("/openai/v1/chat/completions", &streamed(chat("m-1")));
    let held = asked.send().await.unwrap();
    let waiting = tokio::spawn(Answer::of(bridged.post("/openai/v1/chat/completions", &chat("m-1"))));
    let queued = async {
        while bridged.world.health(&bridged.provider).await.queued != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, queued).await.unwrap();
    let reserved = || bridged.world.storage.ledger.lock().unwrap().reservations.len();
    assert_eq!(reserved(), 1, "that of the one inside");
    bridged.upstream.reply(Reply::json(&completion()));
    gate.add_permits(1);
    assert_eq!(Answer::read(held).await.status, 200);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(reserved(), 2);
}
