use std::sync::atomic::{AtomicI64, Ordering};

use time::macros::datetime;
use tokio::sync::oneshot;

use super::*;
use crate::bedrock::role::fake::credentials;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// Credentials that hold for so long.
fn lasting(minutes: i64) -> Grant {
    Grant {
        credentials: credentials("A"),
        region: None,
        expires_at: NOW + Duration::minutes(minutes),
    }
}

/// A clock that shows what it is set to, in seconds.
fn clock(
    seconds: i64,
) -> (
    Arc<AtomicI64>,
    impl Fn() -> OffsetDateTime + Send + Sync + Clone + 'static,
) {
    let set = Arc::new(AtomicI64::new(seconds));
    let shown = Arc::clone(&set);
    (set, move || NOW + Duration::seconds(shown.load(Ordering::SeqCst)))
}

async fn nobody_asks() -> Answer {
    panic!("it is not asked for again");
}

fn failure() -> Trouble {
    Trouble::Passing("why".to_owned())
}

#[tokio::test]
async fn who_waited_takes_also_what_will_soon_expire() {
    let kept = Kept::default();
    let (answer, answered) = oneshot::channel();
    let asking = kept.grant(NOW, async { answered.await.unwrap() });
    let waiting = kept.grant(NOW, nobody_asks());
    let answering = async { answer.send(Ok(Some(lasting(4)))).unwrap() };
    let (asked, waited, ()) = tokio::join!(asking, waiting, answering);
    assert!(asked.unwrap().is_some());
    assert!(waited.unwrap().is_some(), "it is good for some minutes");
}

#[tokio::test]
async fn a_question_is_finished_for_the_others_when_who_asked_goes_away() {
    let kept = Kept::default();
    let (begin, begun) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let first = tokio::spawn({
        let kept = kept.clone();
        let ask = async {
            begin.send(()).unwrap();
            answered.await.unwrap()
        };
        async move { kept.grant(NOW, ask).await }
    });
    begun.await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let waiting = kept.grant(NOW, nobody_asks());
    let answering = async { answer.send(Ok(Some(lasting(60)))).unwrap() };
    let (waited, ()) = tokio::join!(waiting, answering);
    assert!(waited.unwrap().is_some());
}

#[tokio::test]
async fn a_pause_begins_when_the_answer_has_come() {
    let kept = Kept::default();
    let (now, clock) = clock(0);
    let slow = async move {
        now.store(60, Ordering::SeqCst);
        Err(failure())
    };
    assert_eq!(kept.granted(clock, slow).await.unwrap_err(), failure());
    let (_, soon) = self::clock(61);
    assert_eq!(kept.granted(soon, nobody_asks()).await.unwrap_err(), failure());
    let (_, later) = self::clock(91);
    let asked = kept.granted(later, async { Ok(Some(lasting(60))) }).await;
    assert!(asked.unwrap().is_some());
}

#[tokio::test]
async fn what_has_expired_while_another_was_asked_for_is_not_used() {
    let kept = Kept::default();
    let old = kept.grant(NOW, async { Ok(Some(lasting(6))) }).await;
    assert!(old.unwrap().is_some());
    let (now, clock) = clock(5 * 60);
    let slow = async move {
        now.store(6 * 60, Ordering::SeqCst);
        Err(failure())
    };
    assert_eq!(kept.granted(clock, slow).await.unwrap_err(), failure());
}
