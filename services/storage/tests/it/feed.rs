//! What readers are told of changes: one chat's changes by version, a user's feed by cursor, hints to services.

mod watch;

use std::time::Duration;

use futures::StreamExt;
use sqlx::postgres::PgListener;
use tandem_chassis::identity::ServiceName::Orchestrator;
use tandem_proto::common::v1::ChatStatus;
use tandem_proto::storage::v1::*;
use tonic::{Code, Status};

use crate::harness::Harness;
use crate::stage::{Stage, assistant, brief, pending, releases, result, says, stores, waiting_texts};

async fn list(stage: &Stage, chat: &str, after_version: i64, limit: i32) -> Result<ListChatChangesResponse, Status> {
    let message = ListChatChangesRequest {
        chat_id: chat.to_owned(),
        after_version,
        limit,
    };
    stage.list_chat_changes(&stage.admin, message).await
}

/// A chat with a full life behind it: calls, a queue, a stop, a failure, an edit.
async fn lived(stage: &Stage) -> String {
    let turn = stage.running("one").await;
    stage
        .answer(
            &turn,
            vec![assistant("Let me see.", &["ours", "theirs"])],
            StepOutcome::RunTools,
        )
        .await;
    stage.send(&turn.chat, "two").await.unwrap();
    let parks = StoreToolResultsRequest {
        pending_tool_calls: vec![pending("theirs")],
        ..stores(&turn, vec![result("ours")], StepOutcome::RequireAction)
    };
    stage.store_tool_results(parks).await.unwrap();
    stage.interrupt(&turn.chat).await.unwrap();
    let turn = stage.claim_only(&turn.chat).await;
    stage.release_chat(releases(&turn)).await.unwrap();
    let turn = stage.claim_only(&turn.chat).await;
    stage.begin(&turn).await.unwrap();
    stage.fail_turn(crate::stage::fails(&turn, Vec::new())).await.unwrap();
    let edit = EditMessageRequest {
        chat_id: turn.chat.clone(),
        message_id: stage.snapshot(&turn.chat).await.messages[0].id,
        message: says("three"),
    };
    stage.edit_message(&stage.admin, edit).await.unwrap();
    stage
        .update(&turn.chat, |message| message.title = Some("New".to_owned()))
        .await
        .unwrap();
    turn.chat
}

#[tokio::test]
async fn changes_are_gapless_and_each_begins_where_the_last_one_ended() {
    let stage = Stage::start().await;
    let chat = lived(&stage).await;
    let changes = stage.changes(&chat).await;
    let now = stage.snapshot(&chat).await.chat.unwrap();
    let versions: Vec<i64> = changes.iter().map(|change| change.version).collect();
    assert_eq!(versions, (1..=now.version).collect::<Vec<_>>());
    assert_eq!(changes[0].previous_status, changes[0].status);
    for pair in changes.windows(2) {
        assert_eq!(pair[1].previous_status, pair[0].status, "version {}", pair[1].version);
        assert!(pair[1].epoch >= pair[0].epoch);
    }
    let last = changes.last().unwrap();
    assert_eq!((last.status(), last.epoch), (now.status(), now.epoch));
    let asked = changes.iter().filter(|change| !change.action_required.is_empty());
    let asked: Vec<_> = asked
        .map(|change| (change.status(), change.action_required.clone()))
        .collect();
    assert_eq!(asked, [(ChatStatus::RequiresAction, vec![pending("theirs")])]);
    let failed: Vec<_> = changes
        .iter()
        .filter(|change| change.error.is_some())
        .map(ChatChange::status)
        .collect();
    assert_eq!(failed, [ChatStatus::Error]);
}

#[tokio::test]
async fn whoever_applies_the_changes_has_the_chat_as_it_is() {
    let stage = Stage::start().await;
    let chat = lived(&stage).await;
    let now = stage.snapshot(&chat).await;
    // Caught up at once, or a change at a time from the start: the same chat.
    for limit in [0, 1, 3] {
        let (mut version, mut messages, mut queue) = (0, Vec::new(), Vec::new());
        loop {
            let page = list(&stage, &chat, version, limit).await.unwrap();
            assert!(limit == 0 || page.changes.len() <= usize::try_from(limit).unwrap());
            let last_of_queue = page.changes.iter().rposition(|change| change.is_queue_changed);
            for (place, change) in page.changes.into_iter().enumerate() {
                if change.history_reset_from_id > 0 {
                    messages.retain(|message: &tandem_proto::common::v1::ChatMessage| {
                        message.id < change.history_reset_from_id
                    });
                }
                messages.extend(change.messages);
                if last_of_queue == Some(place) {
                    queue = change.queue;
                } else {
                    assert!(change.queue.is_empty(), "only the last change of the queue holds it");
                }
                version = change.version;
            }
            if !page.has_more {
                break;
            }
        }
        assert_eq!(version, now.chat.as_ref().unwrap().version);
        assert_eq!(messages, now.messages, "with pages of {limit}");
        assert_eq!(queue, now.queue);
    }
    assert_eq!(now.messages.iter().map(brief).collect::<Vec<_>>(), ["user three"]);
}

#[tokio::test]
async fn a_change_shows_what_it_added_unless_it_was_withdrawn_since() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    stage.send(&turn.chat, "two").await.unwrap();
    let done = stage.finish(&turn, "Done.").await;
    let page = list(&stage, &turn.chat, 2, 0).await.unwrap();
    let gained = |change: &ChatChange| change.messages.iter().map(brief).collect::<Vec<_>>();
    assert!(page.changes[0].is_queue_changed && gained(&page.changes[0]).is_empty());
    let last = page.changes.last().unwrap();
    assert_eq!(gained(last), ["assistant Done.", "user two"]);
    assert!(last.is_queue_changed && last.queue.is_empty());

    let edit = EditMessageRequest {
        chat_id: turn.chat.clone(),
        message_id: done.promoted.unwrap().id,
        message: says("three"),
    };
    let edited = stage.edit_message(&stage.admin, edit.clone()).await.unwrap();
    let page = list(&stage, &turn.chat, last.version - 1, 0).await.unwrap();
    assert_eq!(gained(&page.changes[0]), ["assistant Done."]);
    assert_eq!(gained(&page.changes[1]), ["user three"]);
    assert_eq!(page.changes[1].history_reset_from_id, edit.message_id);
    assert!(edited.message.unwrap().id > edit.message_id);
}

#[tokio::test]
async fn a_reader_that_is_too_far_behind_or_ahead_is_told_to_start_over() {
    let stage = Stage::start().await;
    let chat = lived(&stage).await;
    let version = stage.get(&chat).await.version;
    let is_expired = async |after| {
        let page = list(&stage, &chat, after, 0).await.unwrap();
        assert!(!page.is_expired || page.changes.is_empty());
        page.is_expired
    };
    assert!(!is_expired(0).await);
    assert!(!is_expired(version).await, "nothing new is not expired");
    for ahead in [version + 1, i64::MAX - 1, i64::MAX] {
        assert!(is_expired(ahead).await, "{ahead}");
    }
    for behind in [-1, i64::MIN] {
        assert!(is_expired(behind).await, "{behind}");
    }
    for limit in [257, -1] {
        assert_eq!(
            list(&stage, &chat, 0, limit).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    stage
        .execute("DELETE FROM chat_changes WHERE version < 4 AND chat_id = $1", &chat)
        .await;
    for (after, expected) in [(0, true), (2, true), (3, false), (version, false)] {
        assert_eq!(is_expired(after).await, expected, "{after}");
    }
    stage
        .execute("DELETE FROM chat_changes WHERE chat_id = $1", &chat)
        .await;
    assert!(is_expired(version - 1).await);
    assert!(!is_expired(version).await);
}

#[tokio::test]
async fn a_snapshot_is_one_moment_while_writers_write() {
    const ROUNDS: usize = 40;
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let write = async {
        for _ in 0..ROUNDS {
            let sent = stage.send(&turn.chat, "more").await.unwrap().queued_message.unwrap();
            let message = DeleteQueuedMessageRequest {
                chat_id: turn.chat.clone(),
                queued_message_id: sent.id,
            };
            stage.delete_queued_message(&stage.admin, message).await.unwrap();
        }
    };
    let read = async {
        loop {
            let seen = stage.snapshot(&turn.chat).await;
            let version = seen.chat.unwrap().version;
            // The claim was version 2; each message came with an odd one and went with an even one.
            assert_eq!(
                waiting_texts(&seen.queue).len(),
                usize::from(version % 2 == 1),
                "version {version}"
            );
            if version >= 2 + 2 * i64::try_from(ROUNDS).unwrap() {
                return;
            }
        }
    };
    tokio::join!(write, read);
}

/// The next hint about this chat; gaps and other chats aside.
async fn next_hint(stream: &mut tonic::Streaming<SubscribeHintsResponse>, chat: &str, version: i64) -> ChatHint {
    let wait = async {
        loop {
            let news = stream.next().await.expect("hints go on").unwrap();
            let mut hints = news.hints.into_iter();
            if let Some(hint) = hints.find(|hint| hint.chat_id == chat && hint.version >= version) {
                return hint;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("a hint in time")
}

#[tokio::test]
async fn hints_tell_services_here_and_elsewhere_where_to_look() {
    let stage = Stage::start().await;
    let neighbour = Harness::start_on(stage.world.database.clone(), |_| ()).await;
    let subscribe = async |world: &Harness| {
        let request = world.of(Orchestrator, SubscribeHintsRequest {});
        world.feed.clone().subscribe_hints(request).await.unwrap().into_inner()
    };
    let mut here = subscribe(&stage.world).await;
    let mut there = subscribe(&neighbour).await;
    let chat = stage.chat("one").await;
    // The neighbour may not listen yet, and what was said before is lost: speak until it hears.
    let speak = async {
        for n in 0.. {
            stage
                .update(&chat, |message| message.title = Some(format!("{n}")))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = tokio::select! { hint = next_hint(&mut there, &chat, 1) => hint, () = speak => unreachable!() };
    assert_eq!((heard.owner_id, heard.is_runnable), (stage.admin.id.to_string(), true));

    let turn = stage.claim_only(&chat).await;
    let version = stage.get(&chat).await.version;
    let released = stage.release_chat(releases(&turn)).await.unwrap().version;
    assert_eq!(released, version + 1);
    let hint = next_hint(&mut here, &chat, released).await;
    assert_eq!((hint.version, hint.is_runnable), (released, true));
    let turn = stage.claim_only(&chat).await;
    let hint = next_hint(&mut here, &chat, released + 1).await;
    assert!(!hint.is_runnable, "somebody runs it");
    // A stop that is handed on is due at once, too.
    stage.interrupt(&chat).await.unwrap();
    let released = stage.release_chat(releases(&turn)).await.unwrap().version;
    let hint = next_hint(&mut here, &chat, released).await;
    assert!(hint.is_runnable, "the stop has to be settled by somebody");
}

#[tokio::test]
async fn who_is_alone_notifies_nobody_until_somebody_comes() {
    let stage = Stage::start().await;
    let chat = stage.chat("one").await;
    let rename = async |title: &str| {
        stage
            .update(&chat, |message| message.title = Some(title.to_owned()))
            .await
            .unwrap()
    };
    // Listens as a storage does, and says nothing: the storage cannot know of it.
    let mut wire = PgListener::connect_with(&stage.world.pool).await.unwrap();
    wire.listen("tandem_chats").await.unwrap();
    let hears = async |wire: &mut PgListener, title: &str| {
        rename(title).await;
        let next = tokio::time::timeout(Duration::from_millis(300), wire.recv());
        next.await.is_ok_and(|heard| heard.unwrap().payload().contains(&chat))
    };
    let falls_silent = async {
        let mut n = 0;
        while hears(&mut wire, &format!("before {n}")).await {
            n += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), falls_silent)
        .await
        .expect("nobody else is there");
    let neighbour = Harness::start_on(stage.world.database.clone(), |_| ()).await;
    let request = neighbour.of(Orchestrator, SubscribeHintsRequest {});
    let mut there = neighbour
        .feed
        .clone()
        .subscribe_hints(request)
        .await
        .unwrap()
        .into_inner();
    let speak = async {
        for n in 0.. {
            rename(&format!("after {n}")).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! { _ = next_hint(&mut there, &chat, 1) => (), () = speak => unreachable!() };
}

#[tokio::test]
async fn hints_are_not_for_people() {
    let stage = Stage::start().await;
    let request = stage.world.as_user(&stage.admin, SubscribeHintsRequest {});
    let refused = stage.world.feed.clone().subscribe_hints(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
