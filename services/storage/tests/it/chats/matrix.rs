//! Every command of people in every status, with and without a queue: what becomes of status, history and queue.
//!
//! A cell says, in this order: the status afterwards (`archived` behind it where it is), what history gained (`+user new`, `+tool !a`),
//! the queue, and what else changed. `same` changes nothing, not even the version. A refusal is its reason.

use tandem_proto::common::v1::Chat;
use tandem_proto::storage::v1::*;
use tonic::Status;

use crate::harness::reason;
use crate::stage::{Stage, brief, commits, fails, pending, says, sends, settles, status, stores, waiting_texts};
use crate::stage::{Turn, assistant};

/// Where a chat stands before the command; each with the one message `one` of its user.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Waiting,
    Pending,
    Running,
    Interrupting,
    RequiresAction,
    Failed,
    Archived,
}

use At::{Archived, Failed, Interrupting, Pending, RequiresAction, Running, Waiting};

const ALL: [At; 7] = [
    Waiting,
    Pending,
    Running,
    Interrupting,
    RequiresAction,
    Failed,
    Archived,
];

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Send,
    SendInterrupt,
    Edit,
    Promote,
    PromoteUnknown,
    Delete,
    DeleteUnknown,
    Interrupt,
    ToolResults,
    Archive,
    Unarchive,
    Rename,
}

/// A chat in this status, with `old` in its queue if wanted.
async fn bring(stage: &Stage, at: At, is_queued: bool) -> String {
    let enqueue = async |chat: &str| {
        if is_queued {
            let queued = stage.send(chat, "old").await.unwrap().queued_message;
            assert!(queued.is_some(), "the chat is busy, so the message waits");
        }
    };
    match at {
        Waiting => {
            let turn = stage.running("one").await;
            enqueue(&turn.chat).await;
            if is_queued {
                // Only a chat that was set aside rests with a queue.
                shelve(stage, &turn).await;
                stage.archive(&turn.chat, false).await.unwrap();
            } else {
                stage
                    .answer(&turn, vec![assistant("Hm.", &[])], StepOutcome::Finish)
                    .await;
            }
            turn.chat
        }
        Pending => {
            let chat = stage.chat("one").await;
            enqueue(&chat).await;
            chat
        }
        Running => {
            let turn = stage.running("one").await;
            enqueue(&turn.chat).await;
            turn.chat
        }
        Interrupting => {
            let turn = stage.running("one").await;
            enqueue(&turn.chat).await;
            stage.interrupt(&turn.chat).await.unwrap();
            turn.chat
        }
        RequiresAction => {
            let turn = stage.running("one").await;
            enqueue(&turn.chat).await;
            stage.begin(&turn).await.unwrap();
            let asks = commits(&turn, vec![assistant("", &["a"])], StepOutcome::RunTools);
            stage.commit_step(asks).await.unwrap();
            let parks = StoreToolResultsRequest {
                pending_tool_calls: vec![pending("a")],
                ..stores(&turn, Vec::new(), StepOutcome::RequireAction)
            };
            stage.store_tool_results(parks).await.unwrap();
            turn.chat
        }
        Failed => {
            let turn = stage.running("one").await;
            enqueue(&turn.chat).await;
            stage.fail_turn(fails(&turn, Vec::new())).await.unwrap();
            turn.chat
        }
        Archived => {
            let turn = stage.running("one").await;
            enqueue(&turn.chat).await;
            shelve(stage, &turn).await;
            turn.chat
        }
    }
}

/// Archives a running chat; its worker settles.
async fn shelve(stage: &Stage, turn: &Turn) {
    stage.archive(&turn.chat, true).await.unwrap();
    stage.begin(turn).await.unwrap_err();
    stage.finish_interruption(settles(turn, Vec::new())).await.unwrap();
}

async fn ask(stage: &Stage, chat: &str, what: Ask) -> Result<(), Status> {
    let admin = &stage.admin;
    let now = stage.snapshot(chat).await;
    let chat_id = chat.to_owned();
    let queued_message_id = now.queue.first().map_or(999_999, |queued| queued.id);
    match what {
        Ask::Send => check_sent(&stage.send(chat, "new").await?),
        Ask::SendInterrupt => check_sent(
            &stage
                .send_message(admin, sends(chat, "new", BusyBehavior::Interrupt))
                .await?,
        ),
        Ask::Edit => {
            let (message_id, message) = (now.messages[0].id, says("new"));
            let edited = stage
                .edit_message(
                    admin,
                    EditMessageRequest {
                        chat_id,
                        message_id,
                        message,
                    },
                )
                .await?;
            let edited = edited.message.unwrap();
            assert_eq!(brief(&edited), "user new");
            assert!(edited.id > message_id, "the replacement has an id of its own");
        }
        Ask::Promote => {
            let message = PromoteQueuedMessageRequest {
                chat_id,
                queued_message_id,
            };
            let promoted = stage.promote_queued_message(admin, message).await?;
            let entered = promoted.message.as_ref().map(brief);
            let is_deferred = matches!(status(promoted.chat.as_ref().unwrap()), "running" | "interrupting");
            assert_eq!(entered, (!is_deferred).then(|| "user old".to_owned()));
        }
        Ask::PromoteUnknown => {
            let message = PromoteQueuedMessageRequest {
                chat_id,
                queued_message_id: 999_999,
            };
            stage.promote_queued_message(admin, message).await?;
        }
        Ask::Delete => {
            let message = DeleteQueuedMessageRequest {
                chat_id,
                queued_message_id,
            };
            stage.delete_queued_message(admin, message).await?;
        }
        Ask::DeleteUnknown => {
            let message = DeleteQueuedMessageRequest {
                chat_id,
                queued_message_id: 999_999,
            };
            stage.delete_queued_message(admin, message).await?;
        }
        Ask::Interrupt => drop(stage.interrupt(chat).await?),
        Ask::ToolResults => {
            let results = vec![ToolResultInput {
                tool_call_id: "a".to_owned(),
                output_json: "1".to_owned(),
                is_error: false,
            }];
            stage
                .submit_tool_results(admin, SubmitToolResultsRequest { chat_id, results })
                .await?;
        }
        Ask::Archive => drop(stage.archive(chat, true).await?),
        Ask::Unarchive => drop(stage.archive(chat, false).await?),
        Ask::Rename => drop(
            stage
                .update(chat, |message| message.title = Some("New".to_owned()))
                .await?,
        ),
    }
    Ok(())
}

/// The answer is about the message that was sent, not about another that happened to move.
fn check_sent(answer: &SendMessageResponse) {
    match (&answer.message, &answer.queued_message) {
        (Some(message), None) => assert_eq!(brief(message), "user new"),
        (None, Some(queued)) => assert_eq!(waiting_texts(std::slice::from_ref(queued)), ["new"]),
        both => panic!("a message either entered or waits: {both:?}"),
    }
}

/// What the command did, in the words of the tables. Checks on the way what is true of every command.
async fn cell(stage: &Stage, at: At, is_queued: bool, what: Ask) -> String {
    let chat = bring(stage, at, is_queued).await;
    let (before, rows) = (stage.snapshot(&chat).await, stage.rows().await);
    let answer = ask(stage, &chat, what).await;
    let after = stage.snapshot(&chat).await;
    if answer.is_err() {
        assert_eq!(
            stage.rows().await,
            rows,
            "{at:?} {what:?}: a refused command wrote something"
        );
        return reason(answer);
    }
    let (was, is) = (before.chat.unwrap(), after.chat.unwrap());
    if is.version == was.version {
        assert_eq!(stage.rows().await, rows, "{at:?} {what:?}: a change without a version");
        return "same".to_owned();
    }
    assert_eq!(is.version, was.version + 1, "{at:?} {what:?}");
    let mut words = vec![status(&is).to_owned()];
    if is.is_archived {
        words.push("archived".to_owned());
    }
    if !after.messages.starts_with(&before.messages) {
        words.push("reset".to_owned());
    }
    let gained = after
        .messages
        .iter()
        .filter(|message| !before.messages.contains(message));
    words.extend(gained.map(|message| format!("+{}", brief(message))));
    let queue = waiting_texts(&after.queue);
    if !queue.is_empty() {
        words.push(format!("queue={}", queue.join(",")));
    }
    words.extend(noted(&was, &is));
    words.join(" ")
}

/// Changes beside status, history and queue.
fn noted(was: &Chat, is: &Chat) -> Vec<String> {
    let mut words = Vec::new();
    if was.last_error.is_some() && is.last_error.is_none() {
        words.push("healed".to_owned());
    }
    if is.epoch != was.epoch {
        words.push("fenced".to_owned());
    }
    if is.title != was.title {
        words.push("named".to_owned());
    }
    assert_eq!(
        is.last_error.is_some(),
        status(is) == "error",
        "an error stays exactly as long as the status says so"
    );
    assert_eq!(!is.pending_tool_calls.is_empty(), status(is) == "requires_action");
    words
}

/// Compares a row of the table, one cell for each of [`ALL`].
async fn check(stage: &Stage, what: Ask, is_queued: bool, expected: [&str; 7]) {
    let mut heard = Vec::new();
    for at in ALL {
        heard.push(cell(stage, at, is_queued, what).await);
        // Whoever is due is taken, so that the next chat is alone.
        stage.claim(64).await;
    }
    let lines = |cells: Vec<String>| {
        ALL.iter()
            .zip(cells)
            .map(|(at, cell)| format!("{at:?}: {cell}\n"))
            .collect::<String>()
    };
    let expected = lines(expected.map(str::to_owned).to_vec());
    assert_eq!(lines(heard), expected, "{what:?}, queued: {is_queued}");
}

const NO: &str = "CHAT_ARCHIVED";

#[tokio::test]
async fn sending_in_every_status() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::Send,
        false,
        [
            "pending +user new",
            "pending queue=new",
            "running queue=new",
            "interrupting queue=new",
            "requires_action queue=new",
            "pending +user new healed",
            NO,
        ],
    )
    .await;
    // Nobody overtakes those that wait already, and a failed chat goes on with them.
    check(
        &stage,
        Ask::Send,
        true,
        [
            "pending +user old queue=new",
            "pending queue=old,new",
            "running queue=old,new",
            "interrupting queue=old,new",
            "requires_action queue=old,new",
            "pending +user old queue=new healed",
            NO,
        ],
    )
    .await;
}

#[tokio::test]
async fn sending_with_an_interrupt_in_every_status() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::SendInterrupt,
        false,
        [
            "pending +user new",
            "pending queue=new",
            "interrupting queue=new",
            "interrupting queue=new",
            "pending +tool !a +user new",
            "pending +user new healed",
            NO,
        ],
    )
    .await;
    check(
        &stage,
        Ask::SendInterrupt,
        true,
        [
            "pending +user old queue=new",
            "pending queue=old,new",
            "interrupting queue=old,new",
            "interrupting queue=old,new",
            "pending +tool !a +user old queue=new",
            "pending +user old queue=new healed",
            NO,
        ],
    )
    .await;
}

#[tokio::test]
async fn editing_in_every_status_withdraws_the_queue_and_fences_the_worker() {
    let stage = Stage::start().await;
    for is_queued in [false, true] {
        check(
            &stage,
            Ask::Edit,
            is_queued,
            [
                "pending reset +user new",
                "pending reset +user new",
                "pending reset +user new fenced",
                "pending reset +user new fenced",
                "pending reset +user new",
                "pending reset +user new healed",
                NO,
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn promoting_in_every_status() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::Promote,
        true,
        [
            "pending +user old",
            "pending +user old",
            "interrupting queue=old",
            "interrupting queue=old",
            "pending +tool !a +user old",
            "pending +user old healed",
            NO,
        ],
    )
    .await;
    let unknown = "QUEUED_MESSAGE_NOT_FOUND";
    let row = [unknown, unknown, unknown, unknown, unknown, unknown, NO];
    check(&stage, Ask::PromoteUnknown, true, row).await;
    check(&stage, Ask::PromoteUnknown, false, row).await;
}

#[tokio::test]
async fn taking_a_queued_message_back_in_every_status() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::Delete,
        true,
        [
            "waiting",
            "pending",
            "running",
            "interrupting",
            "requires_action",
            "error",
            NO,
        ],
    )
    .await;
    check(
        &stage,
        Ask::DeleteUnknown,
        true,
        ["same", "same", "same", "same", "same", "same", NO],
    )
    .await;
}

#[tokio::test]
async fn interrupting_in_every_status() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::Interrupt,
        false,
        [
            "same",
            "waiting",
            "interrupting",
            "same",
            "waiting +tool !a",
            "waiting healed",
            NO,
        ],
    )
    .await;
    // A chat never rests with a queue: what waits goes on.
    check(
        &stage,
        Ask::Interrupt,
        true,
        [
            "same",
            "pending +user old",
            "interrupting queue=old",
            "same",
            "pending +tool !a +user old",
            "pending +user old healed",
            NO,
        ],
    )
    .await;
}

#[tokio::test]
async fn handing_in_tool_results_in_every_status() {
    let stage = Stage::start().await;
    let wrong = "WRONG_STATE";
    check(
        &stage,
        Ask::ToolResults,
        false,
        [wrong, wrong, wrong, wrong, "pending +tool =a", wrong, NO],
    )
    .await;
    check(
        &stage,
        Ask::ToolResults,
        true,
        [wrong, wrong, wrong, wrong, "pending +tool =a queue=old", wrong, NO],
    )
    .await;
}

#[tokio::test]
async fn archiving_in_every_status_promotes_nothing() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::Archive,
        false,
        [
            "waiting archived",
            "waiting archived",
            "interrupting archived",
            "interrupting archived",
            "waiting archived +tool !a",
            "error archived",
            "INVALID_REQUEST",
        ],
    )
    .await;
    check(
        &stage,
        Ask::Archive,
        true,
        [
            "waiting archived queue=old",
            "waiting archived queue=old",
            "interrupting archived queue=old",
            "interrupting archived queue=old",
            "waiting archived +tool !a queue=old",
            "error archived queue=old",
            "INVALID_REQUEST",
        ],
    )
    .await;
    let no = "INVALID_REQUEST";
    check(&stage, Ask::Unarchive, false, [no, no, no, no, no, no, "waiting"]).await;
    check(
        &stage,
        Ask::Unarchive,
        true,
        [no, no, no, no, no, no, "waiting queue=old"],
    )
    .await;
}

#[tokio::test]
async fn renaming_in_every_status() {
    let stage = Stage::start().await;
    check(
        &stage,
        Ask::Rename,
        false,
        [
            "waiting named",
            "pending named",
            "running named",
            "interrupting named",
            "requires_action named",
            "error named",
            "waiting archived named",
        ],
    )
    .await;
}

#[tokio::test]
async fn an_archived_chat_whose_turn_ends_promotes_nothing() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    stage.send(&turn.chat, "old").await.unwrap();
    stage.begin(&turn).await.unwrap();
    stage.archive(&turn.chat, true).await.unwrap();
    let done = stage
        .commit_step(commits(&turn, vec![assistant("Done.", &[])], StepOutcome::Finish))
        .await
        .unwrap();
    assert_eq!(done.promoted, None);
    let now = stage.snapshot(&turn.chat).await;
    assert_eq!(status(now.chat.as_ref().unwrap()), "waiting");
    assert_eq!(waiting_texts(&now.queue), ["old"]);
}
