//! What workers write: steps, results, ends of turns. Each write under its epoch or not at all.

mod outcomes;

use tandem_chassis::identity::ServiceName::{Gateway, ToolRunner};
use tandem_proto::storage::v1::*;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, Turn, assistant, begins, brief, commits, fails, releases, result, settles, stores};

/// Every write of a worker, by name, and what it was answered.
async fn writes(stage: &Stage, turn: &Turn) -> Vec<(&'static str, Result<(), Status>)> {
    let words = || vec![assistant("Late.", &[])];
    let calls = || vec![assistant("Late.", &["late"])];
    let results = || vec![result("late")];
    let mut heard = Vec::new();
    macro_rules! write {
        ($name:literal, $method:ident($message:expr)) => {
            heard.push(($name, stage.$method($message).await.map(drop)));
        };
    }
    write!(
        "load",
        load_turn(LoadTurnRequest {
            chat_id: turn.chat.clone(),
            epoch: turn.epoch
        })
    );
    write!("begin", begin_step(begins(turn)));
    write!(
        "an answer and more",
        commit_step(commits(turn, words(), StepOutcome::Continue))
    );
    write!(
        "an answer and the end",
        commit_step(commits(turn, words(), StepOutcome::Finish))
    );
    write!(
        "an answer with calls",
        commit_step(commits(turn, calls(), StepOutcome::RunTools))
    );
    write!(
        "an answer with calls for the client",
        commit_step(commits(turn, calls(), StepOutcome::RequireAction))
    );
    write!(
        "no answer and more",
        commit_step(commits(turn, Vec::new(), StepOutcome::Continue))
    );
    write!(
        "no answer and calls",
        commit_step(commits(turn, Vec::new(), StepOutcome::RunTools))
    );
    write!(
        "no answer and the end",
        commit_step(commits(turn, Vec::new(), StepOutcome::Finish))
    );
    write!(
        "results and more",
        store_tool_results(stores(turn, results(), StepOutcome::Continue))
    );
    write!(
        "results and the end",
        store_tool_results(stores(turn, results(), StepOutcome::Finish))
    );
    write!(
        "results and the client",
        store_tool_results(stores(turn, results(), StepOutcome::RequireAction))
    );
    write!(
        "no results",
        store_tool_results(stores(turn, Vec::new(), StepOutcome::Continue))
    );
    write!("a failure", fail_turn(fails(turn, Vec::new())));
    write!("a failure with words", fail_turn(fails(turn, words())));
    write!("a settlement", finish_interruption(settles(turn, Vec::new())));
    write!("a settlement with words", finish_interruption(settles(turn, words())));
    write!(
        "a settlement with results",
        finish_interruption(settles(turn, results()))
    );
    write!("a release", release_chat(releases(turn)));
    write!(
        "a crash",
        release_chat(ReleaseChatRequest {
            has_crashed: true,
            ..releases(turn)
        })
    );
    let begins_call = BeginToolCallRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        tool_call_id: "late".to_owned(),
        tool_name: "look".to_owned(),
        input_digest: vec![1; 32],
        ..BeginToolCallRequest::default()
    };
    let request = stage.world.by(ToolRunner, &stage.admin, begins_call);
    heard.push((
        "a tool call",
        stage.world.tools.clone().begin_tool_call(request).await.map(drop),
    ));
    heard
}

/// Each of the zombie's writes is refused and leaves nothing behind.
async fn check_fenced(stage: &Stage, zombie: &Turn, why: &str) {
    let before = stage.rows().await;
    for (what, answer) in writes(stage, zombie).await {
        let refused = match answer {
            Ok(()) => panic!("{why}: {what} was let through"),
            Err(refused) => refused,
        };
        assert_eq!(refused.code(), Code::Aborted, "{why}: {what}: {refused:?}");
        assert_eq!(reason::<()>(Err(refused)), "STALE_EPOCH", "{why}: {what}");
    }
    assert_eq!(stage.rows().await, before, "{why}: a zombie wrote something");
}

#[tokio::test]
async fn a_worker_whose_chat_was_taken_over_can_write_nothing() {
    let stage = Stage::start().await;
    // The zombie stopped between steps, while asking, while calling and while it was being interrupted.
    for at in ["between", "asking", "calling", "interrupting"] {
        let zombie = stage.running(at).await;
        match at {
            "asking" => drop(stage.begin(&zombie).await.unwrap()),
            "calling" => drop(
                stage
                    .answer(&zombie, vec![assistant("", &["late"])], StepOutcome::RunTools)
                    .await,
            ),
            "interrupting" => drop(stage.interrupt(&zombie.chat).await.unwrap()),
            _ => {}
        }
        stage.expire(&zombie.chat).await;
        let owner = stage.claim_only(&zombie.chat).await;
        assert_eq!(owner.epoch, zombie.epoch + 1);
        check_fenced(&stage, &zombie, at).await;
    }
}

#[tokio::test]
async fn a_worker_can_write_nothing_after_an_edit_nor_into_the_turn_after_it() {
    let stage = Stage::start().await;
    let zombie = stage.running("one").await;
    stage.begin(&zombie).await.unwrap();
    let message = EditMessageRequest {
        chat_id: zombie.chat.clone(),
        message_id: stage.snapshot(&zombie.chat).await.messages[0].id,
        message: crate::stage::says("two"),
    };
    stage.edit_message(&stage.admin, message).await.unwrap();
    check_fenced(&stage, &zombie, "edited").await;
    let owner = stage.claim_only(&zombie.chat).await;
    check_fenced(&stage, &zombie, "edited and claimed").await;
    stage.finish(&owner, "Done.").await;
    let said: Vec<_> = stage.snapshot(&zombie.chat).await.messages.iter().map(brief).collect();
    assert_eq!(said, ["user two", "assistant Done."]);
}

#[tokio::test]
async fn an_epoch_that_was_never_handed_out_is_as_good_as_a_stale_one() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let early = Turn {
        epoch: turn.epoch + 1,
        ..turn
    };
    check_fenced(&stage, &early, "an epoch of the future").await;
}

#[tokio::test]
async fn the_last_owner_of_a_turn_that_is_over_can_write_nothing_either() {
    let stage = Stage::start().await;
    let ended = stage.running("one").await;
    stage.finish(&ended, "Done.").await;
    let given_back = stage.running("two").await;
    stage.release_chat(releases(&given_back)).await.unwrap();
    let before = stage.rows().await;
    for turn in [&ended, &given_back] {
        for (what, answer) in writes(&stage, turn).await {
            // Reading what there is harms nobody.
            if what != "load" {
                let refused = answer.expect_err(what);
                assert!(
                    matches!(refused.code(), Code::FailedPrecondition | Code::Aborted),
                    "{what}: {refused:?}"
                );
            }
        }
    }
    assert_eq!(stage.rows().await, before);
}

#[tokio::test]
async fn of_two_owners_that_write_at_once_the_one_with_the_lease_wins() {
    let stage = Stage::start().await;
    let zombie = stage.running("one").await;
    stage.begin(&zombie).await.unwrap();
    stage.expire(&zombie.chat).await;
    let claim = stage.claim(1);
    let late = stage.commit_step(commits(&zombie, vec![assistant("Late.", &[])], StepOutcome::Continue));
    let (claimed, late) = tokio::join!(claim, late);
    let said: Vec<_> = stage.snapshot(&zombie.chat).await.messages.iter().map(brief).collect();
    match (claimed.first(), late) {
        // The answer came first; the claim then found the chat free, or held by nobody it could wait for.
        (_, Ok(_)) => assert_eq!(said, ["user one", "assistant Late."]),
        (Some(owner), Err(refused)) => {
            assert_eq!(reason::<()>(Err(refused)), "STALE_EPOCH");
            assert_eq!(said, ["user one"]);
            assert_eq!(owner.epoch, zombie.epoch + 1);
        }
        (None, Err(refused)) => panic!("neither got through: {refused:?}"),
    }
}

#[tokio::test]
async fn only_orchestrators_run_turns() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let mut turns = stage.world.turns.clone();
    for service in [Gateway, ToolRunner] {
        let claim = crate::stage::claims(&Uuid::new_v4().to_string(), 1);
        let refused = turns.claim_chats(stage.world.of(service, claim)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = turns
            .begin_step(stage.world.by(service, &stage.admin, begins(&turn)))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}
