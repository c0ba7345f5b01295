//! The queue: in order, bounded, each message once.

use tandem_proto::storage::v1::*;
use tonic::{Code, Status};

use crate::harness::reason;
use crate::stage::{Stage, assistant, brief, commits, sends, settles, status, waiting_texts};

async fn queue(stage: &Stage, chat: &str) -> Vec<String> {
    waiting_texts(&stage.snapshot(chat).await.queue)
}

async fn id_of(stage: &Stage, chat: &str, text: &str) -> i64 {
    let queue = stage.snapshot(chat).await.queue;
    let place = waiting_texts(&queue)
        .iter()
        .position(|waiting| waiting == text)
        .unwrap();
    queue[place].id
}

async fn reorder(stage: &Stage, chat: &str, text: &str, position: i32) -> Result<(), Status> {
    let message = ReorderQueuedMessageRequest {
        chat_id: chat.to_owned(),
        queued_message_id: id_of(stage, chat, text).await,
        position,
    };
    stage.reorder_queued_message(&stage.admin, message).await.map(drop)
}

async fn promote(stage: &Stage, chat: &str, text: &str) -> PromoteQueuedMessageResponse {
    let message = PromoteQueuedMessageRequest {
        chat_id: chat.to_owned(),
        queued_message_id: id_of(stage, chat, text).await,
    };
    stage.promote_queued_message(&stage.admin, message).await.unwrap()
}

async fn delete(stage: &Stage, chat: &str, text: &str) {
    let message = DeleteQueuedMessageRequest {
        chat_id: chat.to_owned(),
        queued_message_id: id_of(stage, chat, text).await,
    };
    stage.delete_queued_message(&stage.admin, message).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_answered_in_order_one_turn_each() {
    let stage = Stage::start().await;
    let mut turn = stage.running("one").await;
    for text in ["two", "three", "four"] {
        let queued = stage.send(&turn.chat, text).await.unwrap().queued_message.unwrap();
        assert_eq!(queued.created_by, stage.admin.id.to_string());
        assert_eq!(queued.model_config_id, stage.model);
    }
    for text in ["two", "three", "four"] {
        let done = stage.finish(&turn, "Done.").await;
        let promoted = done.promoted.unwrap();
        assert_eq!(brief(&promoted), format!("user {text}"));
        assert_eq!(promoted.created_by, stage.admin.id.to_string());
        assert_eq!(status(done.chat.as_ref().unwrap()), "pending");
        turn = stage.claim_only(&turn.chat).await;
    }
    let done = stage.finish(&turn, "Done.").await;
    assert_eq!((status(done.chat.as_ref().unwrap()), done.promoted), ("waiting", None));
}

#[tokio::test]
async fn a_moved_message_stands_where_it_was_put_and_ids_stay() {
    let stage = Stage::start().await;
    let chat = stage.chat("one").await;
    for text in ["a", "b", "c", "d"] {
        stage.send(&chat, text).await.unwrap();
    }
    let ids: Vec<i64> = stage
        .snapshot(&chat)
        .await
        .queue
        .iter()
        .map(|queued| queued.id)
        .collect();
    reorder(&stage, &chat, "d", 0).await.unwrap();
    assert_eq!(queue(&stage, &chat).await, ["d", "a", "b", "c"]);
    reorder(&stage, &chat, "d", 2).await.unwrap();
    assert_eq!(queue(&stage, &chat).await, ["a", "b", "d", "c"]);
    reorder(&stage, &chat, "a", 1_000).await.unwrap();
    assert_eq!(queue(&stage, &chat).await, ["b", "d", "c", "a"]);
    let mut now: Vec<i64> = stage
        .snapshot(&chat)
        .await
        .queue
        .iter()
        .map(|queued| queued.id)
        .collect();
    now.sort_unstable();
    assert_eq!(now, ids);

    let before = stage.rows().await;
    reorder(&stage, &chat, "d", 1).await.unwrap();
    assert_eq!(
        reorder(&stage, &chat, "d", -1).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let unknown = ReorderQueuedMessageRequest {
        chat_id: chat.clone(),
        queued_message_id: 999_999,
        position: 0,
    };
    assert_eq!(
        reason(stage.reorder_queued_message(&stage.admin, unknown).await),
        "QUEUED_MESSAGE_NOT_FOUND"
    );
    assert_eq!(stage.rows().await, before, "nothing moved, so nothing changed");
    // What comes later stands behind, whatever was moved before.
    stage.send(&chat, "e").await.unwrap();
    assert_eq!(queue(&stage, &chat).await, ["b", "d", "c", "a", "e"]);
}

#[tokio::test]
async fn a_promoted_message_is_next_even_when_the_turn_has_to_stop_first() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    for text in ["a", "b", "c"] {
        stage.send(&turn.chat, text).await.unwrap();
    }
    stage.begin(&turn).await.unwrap();
    let deferred = promote(&stage, &turn.chat, "c").await;
    assert_eq!(
        (status(deferred.chat.as_ref().unwrap()), deferred.message),
        ("interrupting", None)
    );
    promote(&stage, &turn.chat, "b").await;
    assert_eq!(queue(&stage, &turn.chat).await, ["b", "c", "a"]);
    stage
        .send_message(&stage.admin, sends(&turn.chat, "d", BusyBehavior::Interrupt))
        .await
        .unwrap();
    let settled = stage
        .finish_interruption(settles(&turn, vec![assistant("I was", &[])]))
        .await
        .unwrap();
    // The partial answer comes before the message that stopped it.
    let said: Vec<_> = stage.snapshot(&turn.chat).await.messages.iter().map(brief).collect();
    assert_eq!(said, ["user one", "assistant I was", "user b"]);
    assert_eq!(brief(&settled.promoted.unwrap()), "user b");
    assert_eq!(queue(&stage, &turn.chat).await, ["c", "a", "d"]);
    let entered = promote(&stage, &turn.chat, "a").await;
    assert_eq!(brief(&entered.message.unwrap()), "user a");
    delete(&stage, &turn.chat, "c").await;
    assert_eq!(queue(&stage, &turn.chat).await, ["d"]);
}

#[tokio::test]
async fn twenty_messages_wait_and_one_more_is_refused() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    for n in 0..20 {
        stage.send(&turn.chat, &format!("m{n}")).await.unwrap();
    }
    let before = stage.rows().await;
    for behavior in [BusyBehavior::Queue, BusyBehavior::Interrupt] {
        let full = stage
            .send_message(&stage.admin, sends(&turn.chat, "late", behavior))
            .await
            .unwrap_err();
        assert_eq!(full.code(), Code::ResourceExhausted);
        assert_eq!(reason::<()>(Err(full)), "QUEUE_FULL");
    }
    assert_eq!(stage.rows().await, before);
    delete(&stage, &turn.chat, "m7").await;
    stage.send(&turn.chat, "late").await.unwrap();
    // A chat that rests with a full queue has room, because its head leaves.
    stage.archive(&turn.chat, true).await.unwrap();
    stage.finish_interruption(settles(&turn, Vec::new())).await.unwrap();
    stage.archive(&turn.chat, false).await.unwrap();
    stage.send(&turn.chat, "last").await.unwrap();
    let now = stage.snapshot(&turn.chat).await;
    assert_eq!(brief(now.messages.last().unwrap()), "user m0");
    assert_eq!(
        (now.queue.len(), waiting_texts(&now.queue).pop().unwrap().as_str()),
        (20, "last")
    );
}

#[tokio::test]
async fn a_turn_that_fails_keeps_its_queue_until_somebody_speaks() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    stage.send(&turn.chat, "a").await.unwrap();
    stage.send(&turn.chat, "b").await.unwrap();
    stage.fail_turn(crate::stage::fails(&turn, Vec::new())).await.unwrap();
    assert_eq!(queue(&stage, &turn.chat).await, ["a", "b"]);
    assert!(stage.claim(64).await.is_empty(), "a failed chat is not due");
    let sent = stage.send(&turn.chat, "c").await.unwrap();
    assert_eq!(waiting_texts(&[sent.queued_message.unwrap()]), ["c"]);
    assert_eq!(queue(&stage, &turn.chat).await, ["b", "c"]);
    assert_eq!(
        brief(stage.snapshot(&turn.chat).await.messages.last().unwrap()),
        "user a"
    );
}

#[tokio::test]
async fn a_message_that_comes_while_the_turn_ends_is_not_left_behind() {
    let stage = Stage::start().await;
    for is_sent_first in [true, false] {
        let turn = stage.running("one").await;
        stage.begin(&turn).await.unwrap();
        let send = stage.send(&turn.chat, "two");
        let finish = stage.commit_step(commits(&turn, vec![assistant("Done.", &[])], StepOutcome::Finish));
        // Both wait for the chat, one behind the other.
        let held = stage.hold(&turn.chat).await;
        let second_and_go = async {
            stage.waiters(2).await;
            held.rollback().await.unwrap();
        };
        let (sent, done, ()) = if is_sent_first {
            let finish = async {
                stage.waiters(1).await;
                finish.await
            };
            tokio::join!(send, finish, second_and_go)
        } else {
            let send = async {
                stage.waiters(1).await;
                send.await
            };
            tokio::join!(send, finish, second_and_go)
        };
        let (sent, done) = (sent.unwrap(), done.unwrap());
        // Either it waited when the turn ended and was promoted, or it came after the end and began a turn itself.
        assert_eq!(
            (sent.queued_message.is_some(), done.promoted.is_some()),
            (is_sent_first, is_sent_first)
        );
        let now = stage.snapshot(&turn.chat).await;
        assert_eq!(status(now.chat.as_ref().unwrap()), "pending");
        let said: Vec<_> = now.messages.iter().map(brief).collect();
        assert_eq!(
            (said, now.queue),
            (
                ["user one", "assistant Done.", "user two"].map(str::to_owned).to_vec(),
                vec![]
            )
        );
        stage.claim(64).await;
    }
}

#[tokio::test]
async fn sending_and_finishing_at_once_loses_no_message() {
    let stage = Stage::start().await;
    let mut turn = stage.running("start").await;
    for round in 0..12 {
        stage.begin(&turn).await.unwrap();
        let text = format!("m{round}");
        let commit = commits(&turn, vec![assistant("Done.", &[])], StepOutcome::Finish);
        let (sent, done) = tokio::join!(stage.send(&turn.chat, &text), stage.commit_step(commit));
        let (sent, done) = (sent.unwrap(), done.unwrap());
        // Either it waited when the turn ended and was promoted, or it came after the end and began a turn itself.
        assert_eq!(sent.queued_message.is_some(), done.promoted.is_some(), "round {round}");
        let now = stage.snapshot(&turn.chat).await;
        assert_eq!(brief(now.messages.last().unwrap()), format!("user {text}"));
        assert!(now.queue.is_empty());
        turn = stage.claim_only(&turn.chat).await;
    }
}
