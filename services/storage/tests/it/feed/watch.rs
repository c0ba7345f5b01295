//! The feed of a user: what appears in it, and that no commit is ever skipped.

use std::collections::BTreeMap;

use futures::future::join_all;
use tandem_chassis::identity::User;
use tandem_proto::common::v1::{WatchEvent, WatchKind};
use tandem_proto::storage::v1::*;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, assistant, pending, stores};

async fn list(stage: &Stage, user: &User, cursor: &str, limit: i32) -> Result<ListWatchEventsResponse, Status> {
    let message = ListWatchEventsRequest {
        after_cursor: cursor.to_owned(),
        limit,
    };
    let request = stage.world.as_user(user, message);
    stage
        .world
        .feed
        .clone()
        .list_watch_events(request)
        .await
        .map(tonic::Response::into_inner)
}

/// The end of the owner's feed.
async fn end(stage: &Stage) -> String {
    let answer = list(stage, &stage.admin, "", 0).await.unwrap();
    assert!(answer.events.is_empty() && !answer.is_expired);
    answer.next_cursor
}

/// Everything behind the cursor, which moves along.
async fn follow(stage: &Stage, cursor: &mut String) -> Vec<WatchEvent> {
    let mut events = Vec::new();
    loop {
        let answer = list(stage, &stage.admin, cursor, 0).await.unwrap();
        assert!(!answer.is_expired);
        *cursor = answer.next_cursor;
        if answer.events.is_empty() {
            return events;
        }
        events.extend(answer.events);
    }
}

/// Kind and title of what came behind the cursor.
async fn news(stage: &Stage, cursor: &mut String) -> Vec<(WatchKind, String)> {
    let events = follow(stage, cursor).await;
    events
        .into_iter()
        .map(|event| (event.kind(), event.chat.unwrap().title))
        .collect()
}

#[tokio::test]
async fn the_feed_tells_what_lists_have_to_show() {
    use WatchKind::{ActionRequired, Created, Deleted, StatusChange, SummaryChange, TitleChange};
    let stage = Stage::start().await;
    let mut cursor = end(&stage).await;
    let one = |kind: WatchKind| vec![(kind, "one".to_owned())];
    let chat = stage.chat("one").await;
    assert_eq!(news(&stage, &mut cursor).await, one(Created));
    let turn = stage.claim_only(&chat).await;
    assert_eq!(news(&stage, &mut cursor).await, []);
    stage.send(&chat, "queued").await.unwrap();
    assert_eq!(news(&stage, &mut cursor).await, []);
    stage.finish(&turn, "Done.").await;
    let ended = || [one(StatusChange), one(SummaryChange)].concat();
    assert_eq!(news(&stage, &mut cursor).await, ended());
    let turn = stage.claim_only(&chat).await;
    stage
        .answer(&turn, vec![assistant("", &["a"])], StepOutcome::RunTools)
        .await;
    assert_eq!(news(&stage, &mut cursor).await, []);
    let parks = StoreToolResultsRequest {
        pending_tool_calls: vec![pending("a")],
        ..stores(&turn, Vec::new(), StepOutcome::RequireAction)
    };
    stage.store_tool_results(parks).await.unwrap();
    assert_eq!(
        news(&stage, &mut cursor).await,
        [one(StatusChange), one(ActionRequired), one(SummaryChange)].concat()
    );
    stage.interrupt(&chat).await.unwrap();
    assert_eq!(news(&stage, &mut cursor).await, ended());
    stage.archive(&chat, true).await.unwrap();
    assert_eq!(news(&stage, &mut cursor).await, one(Deleted));
    stage.archive(&chat, false).await.unwrap();
    assert_eq!(news(&stage, &mut cursor).await, one(Created));
    stage
        .update(&chat, |message| message.title = Some("two".to_owned()))
        .await
        .unwrap();
    assert_eq!(news(&stage, &mut cursor).await, [(TitleChange, "two".to_owned())]);
    let pinned = stage
        .update(&chat, |message| message.pin_order = Some(1))
        .await
        .unwrap();
    assert_eq!(pinned.pin_order, 1);
    assert_eq!(news(&stage, &mut cursor).await, []);
}

#[tokio::test]
async fn an_event_shows_the_chat_as_it_is_now_and_never_an_old_copy() {
    let stage = Stage::start().await;
    let mut cursor = end(&stage).await;
    let chat = stage.chat("one").await;
    stage
        .update(&chat, |message| message.title = Some("two".to_owned()))
        .await
        .unwrap();
    let events = follow(&stage, &mut cursor).await;
    let now = stage.get(&chat).await;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.chat.as_ref() == Some(&now)));
}

#[tokio::test]
async fn every_event_can_be_continued_behind() {
    use WatchKind::{ActionRequired, Created, StatusChange, SummaryChange};
    let stage = Stage::start().await;
    let start = end(&stage).await;
    let chat = stage.requiring("one", &["a"]).await;
    stage.interrupt(&chat).await.unwrap();
    stage.chat("two").await;
    let all = follow(&stage, &mut start.clone()).await;
    let kinds = |events: &[WatchEvent]| events.iter().map(WatchEvent::kind).collect::<Vec<_>>();
    // Parking, and stopping what is parked, are one transaction each.
    let parked = [StatusChange, ActionRequired, SummaryChange];
    let stopped = [StatusChange, SummaryChange];
    let expected = [[Created].as_slice(), &parked, &stopped, &[Created]].concat();
    assert_eq!(kinds(&all), expected);
    for (place, event) in all.iter().enumerate() {
        assert!(event.cursor.len() <= 128);
        let rest = follow(&stage, &mut event.cursor.clone()).await;
        assert_eq!(kinds(&rest), kinds(&all[place + 1..]), "behind event {place}");
    }
    for limit in 1..8 {
        let (mut cursor, mut seen) = (start.clone(), Vec::new());
        loop {
            let page = list(&stage, &stage.admin, &cursor, limit).await.unwrap();
            assert!(
                page.events.len() <= usize::try_from(limit).unwrap(),
                "a limit of {limit}"
            );
            if page.events.is_empty() {
                break;
            }
            cursor = page.next_cursor;
            seen.extend(page.events);
        }
        assert_eq!(kinds(&seen), kinds(&all), "in pages of {limit}");
    }
}

#[tokio::test]
async fn a_feed_holds_its_owners_chats_only_and_takes_no_cursor_but_its_own() {
    let stage = Stage::start().await;
    let mia = stage.world.member(&stage.admin, "mia").await;
    let mut cursor = end(&stage).await;
    let hers = list(&stage, &mia, "", 0).await.unwrap().next_cursor;
    stage.chat_of(&mia, "private").await;
    stage.chat("mine").await;
    assert_eq!(
        news(&stage, &mut cursor).await,
        [(WatchKind::Created, "mine".to_owned())]
    );
    let heard = list(&stage, &mia, &hers, 0).await.unwrap().events;
    assert_eq!(
        heard
            .into_iter()
            .map(|event| event.chat.unwrap().title)
            .collect::<Vec<_>>(),
        ["private"]
    );
    for wrong in [
        "x",
        "w",
        "w1",
        "w-1.0",
        "w1.-1",
        "w1.1.1",
        "w99999999999999999999.1",
        &"w".repeat(1_000),
    ] {
        let refused = list(&stage, &stage.admin, wrong, 0).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong}");
    }
    // Neither the end of somebody else's feed nor a place in it: what lies behind it here, nobody has said.
    let page = list(&stage, &mia, &hers, 0).await.unwrap();
    for foreign in [&hers, &page.next_cursor, &page.events[0].cursor] {
        let refused = list(&stage, &stage.admin, foreign, 0).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("another user's"), "{refused:?}");
        assert_eq!(reason::<()>(Err(refused)), "INVALID_CURSOR");
        assert!(list(&stage, &mia, foreign, 0).await.is_ok());
    }
    for limit in [-1, 257] {
        let refused = list(&stage, &stage.admin, &cursor, limit).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{limit}");
    }
}

/// A rename as storage would write it, in a transaction of the test's own.
async fn rename_slowly(tx: &mut sqlx::PgConnection, chat: &str) {
    let version: i64 =
        sqlx::query_scalar("UPDATE chats SET title = 'slow', version = version + 1 WHERE id = $1 RETURNING version")
            .bind(chat.parse::<Uuid>().unwrap())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    sqlx::query(
        "INSERT INTO chat_changes (chat_id, version, owner_id, status, previous_status, epoch, watch_kinds)
        SELECT id, $2, owner_id, status, status, epoch, $3 FROM chats WHERE id = $1",
    )
    .bind(chat.parse::<Uuid>().unwrap())
    .bind(version)
    .bind([i32::from(WatchKind::TitleChange)])
    .execute(tx)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_commit_that_comes_late_with_an_earlier_number_is_not_skipped() {
    let stage = Stage::start().await;
    let (slow, quick) = (stage.chat("slow chat").await, stage.chat("quick chat").await);
    let mut cursor = end(&stage).await;
    let rename = async |name: &str| {
        stage
            .update(&quick, |message| message.title = Some(name.to_owned()))
            .await
            .unwrap()
    };

    // The slow transaction takes its number first and commits last.
    let mut tx = stage.world.pool.begin().await.unwrap();
    rename_slowly(&mut tx, &slow).await;
    rename("quick").await;
    let early = news(&stage, &mut cursor).await;
    let behind = end(&stage).await;
    rename("quicker").await;
    tx.commit().await.unwrap();
    let late = news(&stage, &mut cursor).await;
    let titles = |events: &[(WatchKind, String)]| events.iter().map(|(_, title)| title.clone()).collect::<Vec<_>>();
    let mut all = [titles(&early), titles(&late)].concat();
    all.sort();
    // Rows are as they are now, so both renames of the quick chat may show the second name.
    assert_eq!(
        all.iter().filter(|title| *title == "slow").count(),
        1,
        "{early:?} {late:?}"
    );
    assert_eq!(all.len(), 3, "{early:?} {late:?}");
    // A reader that began while the slow one was under way has missed nothing either.
    let mut behind = behind;
    let seen = titles(&news(&stage, &mut behind).await);
    assert!(seen.contains(&"slow".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn a_transaction_that_writes_long_after_it_began_is_not_skipped() {
    let stage = Stage::start().await;
    let (slow, quick) = (stage.chat("slow chat").await, stage.chat("quick chat").await);
    let mut cursor = end(&stage).await;
    let mut tx = stage.world.pool.begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *tx)
        .await
        .unwrap();
    stage
        .update(&quick, |message| message.title = Some("quick".to_owned()))
        .await
        .unwrap();
    let early = news(&stage, &mut cursor).await;
    rename_slowly(&mut tx, &slow).await;
    let during = news(&stage, &mut cursor).await;
    tx.commit().await.unwrap();
    let late = news(&stage, &mut cursor).await;
    let mut titles: Vec<_> = [early, during, late]
        .concat()
        .into_iter()
        .map(|(_, title)| title)
        .collect();
    titles.sort();
    assert_eq!(titles, ["quick", "slow"]);
    // One that is rolled back leaves no hole that stops the feed.
    let mut tx = stage.world.pool.begin().await.unwrap();
    rename_slowly(&mut tx, &slow).await;
    stage
        .update(&quick, |message| message.title = Some("again".to_owned()))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(
        news(&stage, &mut cursor).await,
        [(WatchKind::TitleChange, "again".to_owned())]
    );
}

#[tokio::test]
async fn a_reader_among_eight_writers_sees_every_change_once() {
    const CHANGES: usize = 25;
    let stage = Stage::start().await;
    let mut chats = Vec::new();
    for n in 0..8 {
        chats.push(stage.chat(&format!("c{n}")).await);
    }
    let mut cursor = end(&stage).await;
    let write = join_all(chats.iter().map(|chat| {
        let stage = &stage;
        async move {
            for n in 0..CHANGES {
                stage
                    .update(chat, |message| message.title = Some(format!("{n}")))
                    .await
                    .unwrap();
            }
        }
    }));
    let read = async {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        while seen.values().sum::<usize>() < chats.len() * CHANGES {
            let page = list(&stage, &stage.admin, &cursor, 5).await.unwrap();
            for event in page.events {
                *seen.entry(event.chat.unwrap().id).or_default() += 1;
            }
            cursor = page.next_cursor;
        }
        seen
    };
    let (_, seen) = tokio::time::timeout(std::time::Duration::from_secs(60), async { tokio::join!(write, read) })
        .await
        .expect("every change is in the feed");
    assert!(
        seen.len() == chats.len() && seen.values().all(|count| *count == CHANGES),
        "{seen:?}"
    );
    assert_eq!(follow(&stage, &mut cursor).await, []);
}

#[tokio::test]
async fn a_cursor_older_than_what_is_kept_is_expired_and_any_other_is_not() {
    let kept = Stage::start().await;
    let first = end(&kept).await;
    kept.chat("one").await;
    let page = list(&kept, &kept.admin, &first, 0).await.unwrap();
    assert!(
        !page.is_expired && page.events.len() == 1,
        "a cursor from before the first chat is no old one"
    );

    // Where nothing is kept, every cursor is older than that.
    let forgetful = Stage::start_with(|config| config.change_retention_days = 0).await;
    let first = end(&forgetful).await;
    let chat = forgetful.chat("one").await;
    forgetful
        .execute("DELETE FROM chat_changes WHERE chat_id = $1", &chat)
        .await;
    let expired = list(&forgetful, &forgetful.admin, &first, 0).await.unwrap();
    assert!(
        expired.is_expired && expired.events.is_empty(),
        "changes were skipped in silence"
    );
    assert_ne!(expired.next_cursor, "", "and here is where to go on");
}

#[tokio::test]
async fn who_starts_over_goes_on_where_the_list_was_read_again() {
    let stage = Stage::start().await;
    let old = end(&stage).await;
    stage.chat("before").await;
    // As if a week had passed: changes are dropped by their age, and the cursor was issued before.
    let mut fields: Vec<_> = old.split('.').collect();
    fields[3] = "0";
    let expired = list(&stage, &stage.admin, &fields.join("."), 0).await.unwrap();
    assert!(expired.is_expired && expired.events.is_empty());
    stage.chat("after").await;
    let mut cursor = expired.next_cursor;
    assert_eq!(
        news(&stage, &mut cursor).await,
        [(WatchKind::Created, "after".to_owned())]
    );
}

#[tokio::test]
async fn a_cursor_of_a_database_that_was_set_back_is_expired() {
    let stage = Stage::start().await;
    stage.chat("one").await;
    let cursor = end(&stage).await;
    let mut fields: Vec<_> = cursor.split('.').collect();
    let ahead = format!("w{}", 1_i64 << 40);
    fields[0] = &ahead;
    let answer = list(&stage, &stage.admin, &fields.join("."), 0).await.unwrap();
    assert!(answer.is_expired, "changes were skipped in silence");
    let again = list(&stage, &stage.admin, &answer.next_cursor, 0).await.unwrap();
    assert!(!again.is_expired);
}
