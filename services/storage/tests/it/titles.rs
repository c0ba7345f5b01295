//! Titles and turn summaries that come late: what still stands is written, everything else only counts.

use std::time::Duration;

use tandem_chassis::identity::ServiceName::{Gateway, Orchestrator};
use tandem_proto::common::v1::{Chat, Role, Usage, WatchKind};
use tandem_proto::storage::v1::title_service_client::TitleServiceClient;
use tandem_proto::storage::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::harness::reason;
use crate::stage::{Stage, Turn, assistant, begins, commits, fails, settles, status};

fn title(chat: &str, expected: &str, title: &str) -> SetGeneratedTitleRequest {
    SetGeneratedTitleRequest {
        chat_id: chat.to_owned(),
        expected_title: expected.to_owned(),
        title: title.to_owned(),
        ..SetGeneratedTitleRequest::default()
    }
}

fn summary(chat: &Chat, summary: &str) -> SetTurnSummaryRequest {
    SetTurnSummaryRequest {
        chat_id: chat.id.clone(),
        version: chat.version,
        summary: summary.to_owned(),
        costs: Vec::new(),
    }
}

fn client(stage: &Stage) -> TitleServiceClient<Channel> {
    stage.world.titles.clone()
}

async fn set_title(stage: &Stage, message: SetGeneratedTitleRequest) -> Result<SetGeneratedTitleResponse, Status> {
    let request = stage.world.of(Orchestrator, message);
    client(stage)
        .set_generated_title(request)
        .await
        .map(Response::into_inner)
}

async fn set_summary(stage: &Stage, message: SetTurnSummaryRequest) -> Result<SetTurnSummaryResponse, Status> {
    let request = stage.world.of(Orchestrator, message);
    client(stage).set_turn_summary(request).await.map(Response::into_inner)
}

async fn begin(stage: &Stage, chat: &str) -> Result<BeginTitleResponse, Status> {
    let message = BeginTitleRequest {
        chat_id: chat.to_owned(),
    };
    let request: Request<_> = stage.world.by(Orchestrator, &stage.admin, message);
    client(stage).begin_title(request).await.map(Response::into_inner)
}

/// Another turn of a chat that waits.
async fn again(stage: &Stage, chat: &str) -> Turn {
    stage.send(chat, "again").await.unwrap();
    stage.claim_only(chat).await
}

async fn watched(stage: &Stage, chat: &str) -> Vec<i32> {
    stage.changes(chat).await.pop().unwrap().watch_kinds
}

#[tokio::test]
async fn a_generated_title_replaces_only_the_one_it_was_made_for() {
    let stage = Stage::start().await;
    let chat = stage.waiting("fix the door").await;
    let before = stage.get(&chat).await;
    let set = set_title(&stage, title(&chat, "fix the door", "Door repair"))
        .await
        .unwrap();
    assert!(set.is_applied);
    let now = stage.get(&chat).await;
    assert_eq!(
        (now.title.as_str(), now.version, now.updated_at, status(&now)),
        ("Door repair", before.version + 1, before.updated_at, "waiting")
    );
    assert_eq!(watched(&stage, &chat).await, [i32::from(WatchKind::TitleChange)]);

    let rows = stage.rows().await;
    let late = set_title(&stage, title(&chat, "fix the door", "Late title"))
        .await
        .unwrap();
    assert!(!late.is_applied);
    assert_eq!(late.chat.unwrap().title, "Door repair");
    let blank = set_title(&stage, title(&chat, "Door repair", " ")).await.unwrap_err();
    assert_eq!(blank.code(), Code::InvalidArgument);
    assert_eq!(stage.rows().await, rows);

    stage.archive(&chat, true).await.unwrap();
    let set = set_title(&stage, title(&chat, "Door repair", "Archived door"))
        .await
        .unwrap();
    assert!(set.is_applied && set.chat.unwrap().is_archived);
}

#[tokio::test]
async fn a_title_is_made_once_at_a_time_and_by_the_chats_owner_only() {
    let stage = Stage::start().await;
    let chat = stage.waiting("fix the door").await;
    let begun = begin(&stage, &chat).await.unwrap();
    assert_eq!(begun.chat.as_ref().unwrap().title, "fix the door");
    assert_eq!(begun.messages.len(), 2);
    assert_eq!(reason(begin(&stage, &chat).await), "TITLE_PENDING");

    // Another job's end does not end this one.
    let message = SetGeneratedTitleRequest {
        job_id: uuid::Uuid::new_v4().to_string(),
        ..title(&chat, "fix the door", "")
    };
    set_title(&stage, message).await.unwrap();
    assert_eq!(reason(begin(&stage, &chat).await), "TITLE_PENDING");
    let message = SetGeneratedTitleRequest {
        job_id: begun.job_id,
        ..title(&chat, "fix the door", "")
    };
    assert!(!set_title(&stage, message).await.unwrap().is_applied);
    begin(&stage, &chat).await.unwrap();
    // One that was given up blocks nobody for long.
    stage
        .execute(
            "UPDATE title_jobs SET started_at = now() - interval '61 seconds' WHERE chat_id = $1",
            &chat,
        )
        .await;
    begin(&stage, &chat).await.unwrap();

    let other = stage.world.member(&stage.admin, "other").await;
    let message = BeginTitleRequest { chat_id: chat.clone() };
    let asked = client(&stage)
        .begin_title(stage.world.by(Orchestrator, &other, message.clone()))
        .await;
    assert_eq!(reason(asked), "CHAT_NOT_FOUND");
    let asked = client(&stage)
        .begin_title(stage.world.by(Gateway, &stage.admin, message))
        .await;
    assert_eq!(asked.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_a_title_cost_is_counted_and_never_seen() {
    let stage = Stage::start().await;
    let chat = stage.waiting("fix the door").await;
    let before = stage.snapshot(&chat).await;
    let cost = SideCost {
        model_config_id: stage.model.clone(),
        usage: Some(Usage {
            input_tokens: Some(100),
            output_tokens: Some(5),
            ..Usage::default()
        }),
        cost_micros: Some(42),
        runtime: None,
    };
    // Also where the title itself came too late.
    let message = SetGeneratedTitleRequest {
        costs: vec![cost],
        ..title(&chat, "some other title", "Door repair")
    };
    assert!(!set_title(&stage, message).await.unwrap().is_applied);
    let after = stage.snapshot(&chat).await;
    assert_eq!(after, before);
    let paid: i64 = sqlx::query_scalar("SELECT sum(cost_micros)::bigint FROM chat_messages WHERE is_deleted")
        .fetch_one(&stage.world.pool)
        .await
        .unwrap();
    assert_eq!(paid, 42);
    let turn = again(&stage, &chat).await;
    let load = LoadTurnRequest {
        chat_id: chat.clone(),
        epoch: turn.epoch,
    };
    let told = stage.load_turn(load).await.unwrap().messages;
    let answers: Vec<_> = told
        .iter()
        .filter(|message| message.role() == Role::Assistant)
        .collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn the_end_of_a_turn_labels_it_in_its_own_change() {
    let stage = Stage::start().await;
    let chat = stage.waiting("fix the door").await;
    let done = stage.get(&chat).await;
    assert_eq!(done.last_turn_summary, "Finished");
    assert!(
        watched(&stage, &chat)
            .await
            .contains(&i32::from(WatchKind::SummaryChange))
    );

    // A better label is for this turn only; what else describes the chat may change meanwhile.
    stage
        .update(&chat, |update| update.title = Some("Door".to_owned()))
        .await
        .unwrap();
    assert!(
        set_summary(&stage, summary(&done, "Fixed the door"))
            .await
            .unwrap()
            .is_applied
    );
    let now = stage.get(&chat).await;
    assert_eq!(
        (now.last_turn_summary.as_str(), now.title.as_str(), now.updated_at),
        ("Fixed the door", "Door", done.updated_at)
    );
    assert_eq!(watched(&stage, &chat).await, [i32::from(WatchKind::SummaryChange)]);
    assert!(
        !set_summary(&stage, summary(&done, "Fixed the door"))
            .await
            .unwrap()
            .is_applied,
        "no news"
    );

    let turn = again(&stage, &chat).await;
    assert_eq!(
        stage.get(&chat).await.last_turn_summary,
        "Fixed the door",
        "until the next turn ends"
    );
    assert!(
        !set_summary(&stage, summary(&done, "Too late now"))
            .await
            .unwrap()
            .is_applied
    );
    stage.begin_step(begins(&turn)).await.unwrap();
    stage.fail_turn(fails(&turn, Vec::new())).await.unwrap();
    assert_eq!(stage.get(&chat).await.last_turn_summary, "");
    assert!(
        !set_summary(&stage, summary(&done, "Too late now"))
            .await
            .unwrap()
            .is_applied
    );
}

#[tokio::test]
async fn a_turn_that_was_stopped_has_no_label_and_gets_none() {
    let stage = Stage::start().await;
    let chat = stage.waiting("fix the door").await;
    let done = stage.get(&chat).await;
    let turn = again(&stage, &chat).await;
    stage.interrupt(&chat).await.unwrap();
    stage.finish_interruption(settles(&turn, Vec::new())).await.unwrap();
    let stopped = stage.get(&chat).await;
    assert_eq!((status(&stopped), stopped.last_turn_summary.as_str()), ("waiting", ""));
    assert!(
        !set_summary(&stage, summary(&done, "Too late now"))
            .await
            .unwrap()
            .is_applied
    );

    // Not even one that was stopped before anybody had it.
    stage.send(&chat, "once more").await.unwrap();
    let turn = stage.claim_only(&chat).await;
    let done = stage.finish(&turn, "done").await.chat.unwrap();
    stage.send(&chat, "and again").await.unwrap();
    stage.interrupt(&chat).await.unwrap();
    let stopped = stage.get(&chat).await;
    assert_eq!((status(&stopped), stopped.last_turn_summary.as_str()), ("waiting", ""));
    assert!(
        !set_summary(&stage, summary(&done, "Too late now"))
            .await
            .unwrap()
            .is_applied
    );
}

#[tokio::test]
async fn a_turn_with_a_queue_is_labelled_by_what_follows() {
    let stage = Stage::start().await;
    let turn = stage.running("fix the door").await;
    stage.send(&turn.chat, "and the window").await.unwrap();
    stage.begin(&turn).await.unwrap();
    let commit = commits(&turn, vec![assistant("done", &[])], StepOutcome::Finish);
    let chat = stage.commit_step(commit).await.unwrap().chat.unwrap();
    assert_eq!(
        (status(&chat), chat.last_turn_summary.as_str()),
        ("pending", "Working on the next message")
    );
}

/// D33: a claim passes over a row that is held, and its wake-up is gone; whoever held it sends another.
#[tokio::test]
async fn d33_a_title_that_comes_too_late_still_says_that_a_due_chat_is_free() {
    let stage = Stage::start().await;
    let chat = stage.chat("fix the door").await;
    let request = stage.world.of(Orchestrator, SubscribeHintsRequest {});
    let mut hints = stage
        .world
        .feed
        .clone()
        .subscribe_hints(request)
        .await
        .unwrap()
        .into_inner();
    let held = stage.hold(&chat).await;
    let late = {
        let (request, mut client) = (
            stage.world.of(Orchestrator, title(&chat, "other", "Door")),
            client(&stage),
        );
        tokio::spawn(async move { client.set_generated_title(request).await })
    };
    stage.waiters(1).await;
    assert!(stage.claim(64).await.is_empty(), "passed over while it is held");
    held.rollback().await.unwrap();
    assert!(!late.await.unwrap().unwrap().into_inner().is_applied);
    let hint = async {
        loop {
            let heard = hints.message().await.unwrap().unwrap();
            if heard.hints.iter().any(|hint| hint.chat_id == chat && hint.is_runnable) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), hint)
        .await
        .expect("a hint");
    stage.claim_only(&chat).await;
}
