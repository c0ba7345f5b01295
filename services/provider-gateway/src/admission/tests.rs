use std::sync::Arc;

use tandem_chassis::metrics::Registry;
use tandem_protocols::Kind;
use uuid::Uuid;

use super::*;
use crate::catalog::test_support;

fn owner(number: u128) -> Option<UserId> {
    Some(UserId::new(Uuid::from_u128(number)))
}

fn provider(max_concurrent: usize) -> Arc<Provider> {
    let model = test_support::model(Kind::OpenAi, serde_json::json!({}));
    Arc::new(Provider {
        max_concurrent,
        ..Provider::clone(&model.provider)
    })
}

fn admission(max_queued: usize) -> Admission {
    with(Config {
        max_queued,
        ..Config::default()
    })
}

fn with(config: Config) -> Admission {
    Admission::new(config, Metrics::new(&Registry::default()))
}

/// Somebody in the line.
fn wait(admission: &Admission, provider: &Arc<Provider>, who: u128) -> tokio::task::JoinHandle<Result<Slot, Busy>> {
    let (admission, provider) = (admission.clone(), Arc::clone(provider));
    tokio::spawn(async move { admission.enter(&provider, owner(who)).await })
}

/// Until that many wait.
async fn queued(admission: &Admission, provider: &Provider, count: usize) {
    while admission.load(provider.id).queued != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_next_one_enters_when_another_leaves() {
    let (admission, provider) = (admission(8), provider(1));
    let first = admission.enter(&provider, owner(1)).await.unwrap();
    let second = wait(&admission, &provider, 2);
    queued(&admission, &provider, 1).await;
    assert_eq!(admission.load(provider.id), Load { running: 1, queued: 1 });
    drop(first);
    let second = second.await.unwrap().unwrap();
    assert_eq!(admission.load(provider.id), Load { running: 1, queued: 0 });
    drop(second);
    assert_eq!(admission.load(provider.id), Load::default());
    assert!(admission.lock().known.is_empty(), "nothing is kept of a quiet provider");
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_the_line() {
    let (admission, provider) = (admission(8), provider(1));
    let first = admission.enter(&provider, owner(1)).await.unwrap();
    let gone = wait(&admission, &provider, 2);
    queued(&admission, &provider, 1).await;
    gone.abort();
    queued(&admission, &provider, 0).await;
    drop(first);
    assert_eq!(admission.load(provider.id), Load::default());
}

#[tokio::test]
async fn whoever_is_called_after_leaving_gives_the_room_back() {
    let (admission, provider) = (admission(8), provider(1));
    let first = admission.enter(&provider, owner(1)).await.unwrap();
    let gone = wait(&admission, &provider, 2);
    queued(&admission, &provider, 1).await;
    // Called, and gone before it hears of it: its task has not run in between.
    drop(first);
    gone.abort();
    assert!(gone.await.is_err());
    let again = admission.enter(&provider, owner(3)).await.unwrap();
    assert_eq!(admission.load(provider.id), Load { running: 1, queued: 0 });
    drop(again);
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let waited = Duration::from_millis(20);
    let config = Config {
        max_wait: waited,
        ..Config::default()
    };
    let (admission, provider) = (with(config), provider(1));
    let _first = admission.enter(&provider, owner(1)).await.unwrap();
    let busy = admission.enter(&provider, owner(2)).await.err().unwrap();
    assert_eq!(busy, Busy::TooLong { waited });
    assert_eq!(admission.load(provider.id), Load { running: 1, queued: 0 });
}

#[tokio::test]
async fn a_full_line_refuses_and_says_when_to_come_back() {
    let (admission, provider) = (admission(1), provider(1));
    let _first = admission.enter(&provider, owner(1)).await.unwrap();
    let waiting = wait(&admission, &provider, 1);
    queued(&admission, &provider, 1).await;
    let busy = admission.enter(&provider, owner(1)).await.err().unwrap();
    assert_eq!(busy, Busy::Full { queued: 1 });
    assert_eq!(busy.retry_after(), RETRY_AFTER);
    waiting.abort();
}

#[tokio::test]
async fn whoever_waits_for_most_is_told_to_make_room() {
    let (admission, provider) = (admission(2), provider(1));
    let _first = admission.enter(&provider, owner(1)).await.unwrap();
    let one = wait(&admission, &provider, 1);
    queued(&admission, &provider, 1).await;
    let two = wait(&admission, &provider, 1);
    queued(&admission, &provider, 2).await;
    let other = wait(&admission, &provider, 2);
    assert_eq!(two.await.unwrap().err(), Some(Busy::Displaced));
    queued(&admission, &provider, 2).await;
    one.abort();
    other.abort();
}

#[tokio::test]
async fn a_raised_limit_lets_those_in_who_wait() {
    let admission = admission(8);
    let (narrow, wide) = (provider(1), provider(3));
    let first = admission.enter(&narrow, owner(1)).await.unwrap();
    let second = wait(&admission, &narrow, 2);
    queued(&admission, &narrow, 1).await;
    let third = admission.enter(&wide, owner(3)).await.unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(admission.load(wide.id), Load { running: 3, queued: 0 });
    drop((first, second, third));
    assert_eq!(admission.load(wide.id), Load::default());
}
