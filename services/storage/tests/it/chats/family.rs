//! Chats with subagents' chats below them, and pins: what one change does to several chats.

use std::time::Duration;

use futures::future::join_all;
use tandem_proto::common::v1::WatchKind;
use tandem_proto::storage::v1::ListChatsRequest;
use tonic::Code;
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, status};

/// Makes the second chat a subagent's chat of the first.
pub(super) async fn adopt(stage: &Stage, parent: &str, child: &str) {
    sqlx::query("UPDATE chats SET parent_chat_id = $1, root_chat_id = $1 WHERE id = $2")
        .bind(parent.parse::<Uuid>().unwrap())
        .bind(child.parse::<Uuid>().unwrap())
        .execute(&stage.world.pool)
        .await
        .unwrap();
}

/// A root at rest with a subagent at rest, one that works and one that failed.
async fn family(stage: &Stage) -> [String; 4] {
    let root = stage.waiting("root").await;
    let idle = stage.waiting("idle").await;
    let busy = stage.running("busy").await.chat;
    let failed = stage.failed("failed").await;
    for child in [&idle, &busy, &failed] {
        adopt(stage, &root, child).await;
    }
    [root, idle, busy, failed]
}

async fn archived(stage: &Stage, chats: &[String]) -> Vec<bool> {
    let mut flags = Vec::new();
    for chat in chats {
        flags.push(stage.get(chat).await.is_archived);
    }
    flags
}

#[tokio::test]
async fn a_family_is_archived_and_taken_back_as_one_each_member_with_a_change_of_its_own() {
    let stage = Stage::start().await;
    let chats = family(&stage).await;
    let mut versions = Vec::new();
    for chat in &chats {
        versions.push(stage.get(chat).await.version);
    }
    for (round, is_archived) in [(1, true), (2, false)] {
        stage.archive(&chats[0], is_archived).await.unwrap();
        assert_eq!(archived(&stage, &chats).await, [is_archived; 4]);
        let kind = if is_archived {
            WatchKind::Deleted
        } else {
            WatchKind::Created
        };
        for (chat, version) in chats.iter().zip(&versions) {
            let changes = stage.changes(chat).await;
            let last = changes.last().unwrap();
            assert_eq!(last.version, version + round);
            assert!(last.watch_kinds.contains(&i32::from(kind)), "{last:?}");
        }
    }
    let states = [status(&stage.get(&chats[2]).await), status(&stage.get(&chats[3]).await)];
    assert_eq!(
        states,
        ["interrupting", "error"],
        "a member that works is stopped, one that failed comes back as it was"
    );
}

#[tokio::test]
async fn a_member_that_cannot_be_archived_keeps_the_whole_family() {
    let stage = Stage::start_with(|config| config.pool.lock_timeout = Duration::from_millis(100)).await;
    let chats = family(&stage).await;
    let before = stage.rows().await;
    let held = stage.hold(&chats[2]).await;
    let refused = stage.archive(&chats[0], true).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    held.rollback().await.unwrap();
    assert_eq!(stage.rows().await, before);
    stage.archive(&chats[0], true).await.unwrap();
    assert_eq!(archived(&stage, &chats).await, [true; 4]);
}

#[tokio::test]
async fn a_child_may_be_archived_alone_and_stays_so_while_its_parent_is() {
    let stage = Stage::start().await;
    let [root, idle, ..] = family(&stage).await;
    stage.archive(&idle, true).await.unwrap();
    assert!(!stage.get(&root).await.is_archived);
    let seen = stage.get(&root).await.children;
    assert!(
        !seen.iter().any(|child| child.id == idle),
        "an archived child is not shown with a live root"
    );
    stage.archive(&root, true).await.unwrap();
    let before = stage.rows().await;
    let refused = stage.archive(&idle, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(stage.rows().await, before);
    // The root brings everybody back, whoever archived them.
    stage.archive(&root, false).await.unwrap();
    assert!(!stage.get(&idle).await.is_archived);
    let mut children: Vec<_> = stage
        .get(&root)
        .await
        .children
        .into_iter()
        .map(|child| child.created_at.unwrap())
        .collect();
    assert_eq!(children.len(), 3);
    children.reverse();
    assert!(
        children.iter().map(|at| (at.seconds, at.nanos)).is_sorted(),
        "the newest child comes first"
    );
}

#[tokio::test]
async fn a_child_cannot_come_back_while_its_parent_is_on_its_way_out() {
    let stage = Stage::start().await;
    let [root, idle, busy, _] = family(&stage).await;
    stage.archive(&idle, true).await.unwrap();
    // The root's change has passed the child that is archived already, and waits for another one.
    let held = stage.hold(&busy).await;
    let leaving = stage.archive(&root, true);
    let returning = async {
        stage.waiters(1).await;
        let back = stage.archive(&idle, false);
        let release = async {
            // Either the child waits for the root as well, or it has gone through.
            let _ = tokio::time::timeout(Duration::from_millis(500), stage.waiters(2)).await;
            held.rollback().await.unwrap();
        };
        tokio::join!(back, release).0
    };
    let (left, back) = tokio::join!(leaving, returning);
    left.unwrap();
    assert!(stage.get(&root).await.is_archived);
    assert!(
        stage.get(&idle).await.is_archived,
        "a live child of an archived parent; its answer was {back:?}"
    );
}

/// The owner's pinned chats in their order, with their places.
async fn pins(stage: &Stage) -> Vec<(i32, String)> {
    let listed = stage
        .list_chats(&stage.admin, ListChatsRequest::default())
        .await
        .unwrap();
    let pinned = listed.chats.into_iter().take_while(|chat| chat.pin_order > 0);
    pinned.map(|chat| (chat.pin_order, chat.title)).collect()
}

fn places(titles: &[&str]) -> Vec<(i32, String)> {
    (1..).zip(titles.iter().map(|title| (*title).to_owned())).collect()
}

async fn pin(stage: &Stage, chat: &str, place: i32) -> Result<i32, tonic::Status> {
    stage
        .update(chat, |message| message.pin_order = Some(place))
        .await
        .map(|chat| chat.pin_order)
}

#[tokio::test]
async fn pins_are_numbered_without_gaps_whatever_moves() {
    let stage = Stage::start().await;
    let mut chats = Vec::new();
    for name in ["a", "b", "c", "d"] {
        chats.push(stage.waiting(name).await);
        assert_eq!(
            pin(&stage, chats.last().unwrap(), 9).await.unwrap(),
            i32::try_from(chats.len()).unwrap()
        );
    }
    assert_eq!(pins(&stage).await, places(&["a", "b", "c", "d"]));
    assert_eq!(pin(&stage, &chats[3], 1).await.unwrap(), 1);
    assert_eq!(pins(&stage).await, places(&["d", "a", "b", "c"]));
    assert_eq!(pin(&stage, &chats[3], 3).await.unwrap(), 3);
    assert_eq!(pins(&stage).await, places(&["a", "b", "d", "c"]));
    assert_eq!(pin(&stage, &chats[0], 100).await.unwrap(), 4);
    assert_eq!(pins(&stage).await, places(&["b", "d", "c", "a"]));
    assert_eq!(pin(&stage, &chats[3], 0).await.unwrap(), 0);
    assert_eq!(pins(&stage).await, places(&["b", "c", "a"]));
    assert_eq!(stage.archive(&chats[1], true).await.unwrap().pin_order, 0);
    assert_eq!(pins(&stage).await, places(&["c", "a"]));
    stage.archive(&chats[1], false).await.unwrap();
    assert_eq!(
        pins(&stage).await,
        places(&["c", "a"]),
        "a chat comes back without its pin"
    );
}

#[tokio::test]
async fn only_live_roots_are_pinned_and_every_owner_has_pins_of_their_own() {
    let stage = Stage::start().await;
    let [root, child, ..] = family(&stage).await;
    let shelved = stage.waiting("shelved").await;
    stage.archive(&shelved, true).await.unwrap();
    let before = stage.rows().await;
    assert_eq!(
        pin(&stage, &child, 1).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    assert_eq!(reason(pin(&stage, &shelved, 1).await), "CHAT_ARCHIVED");
    assert_eq!(stage.rows().await, before);
    let mia = stage.world.member(&stage.admin, "mia").await;
    let hers = stage.chat_of(&mia, "hers").await.id;
    let message = tandem_proto::storage::v1::UpdateChatRequest {
        chat_id: hers,
        pin_order: Some(1),
        ..Default::default()
    };
    stage.update_chat(&mia, message).await.unwrap();
    assert_eq!(pin(&stage, &root, 1).await.unwrap(), 1);
}

#[tokio::test]
async fn pins_set_at_once_get_a_place_each() {
    let stage = Stage::start().await;
    let mut chats = Vec::new();
    for n in 0..8 {
        chats.push(stage.waiting(&format!("c{n}")).await);
    }
    let mut given: Vec<i32> = join_all(chats.iter().map(|chat| pin(&stage, chat, 1)))
        .await
        .into_iter()
        .map(|place| place.unwrap())
        .collect();
    given.sort_unstable();
    assert_eq!(given, (1..=8).collect::<Vec<_>>());
    // Moves, unpins and an archive at once: no gap, no double, nobody fails.
    let moves = chats.iter().enumerate().map(|(n, chat)| {
        let stage = &stage;
        async move {
            match n % 4 {
                0 => pin(stage, chat, 1).await.map(drop),
                1 => pin(stage, chat, 0).await.map(drop),
                2 => pin(stage, chat, 8).await.map(drop),
                _ => stage.archive(chat, true).await.map(drop),
            }
        }
    });
    for moved in join_all(moves).await {
        moved.unwrap();
    }
    let numbers: Vec<i32> = pins(&stage).await.iter().map(|(place, _)| *place).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}
