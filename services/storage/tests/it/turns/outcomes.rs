//! What each end of a step leaves: history, queue, the client's part, the place where live parts end.

use tandem_proto::common::v1::{ChatError, ErrorKind};
use tandem_proto::storage::v1::*;
use tonic::{Code, Status};

use crate::harness::reason;
use crate::stage::{
    Stage, Turn, assistant, brief, commits, fails, pending, result, settles, status, stores, waiting_texts,
};

/// Status, history and queue in short.
async fn now(stage: &Stage, chat: &str) -> (&'static str, Vec<String>, Vec<String>) {
    let now = stage.snapshot(chat).await;
    let said = now.messages.iter().map(brief).collect();
    (status(now.chat.as_ref().unwrap()), said, waiting_texts(&now.queue))
}

/// A turn whose answer asks for these calls.
async fn calling(stage: &Stage, calls: &[&str]) -> Turn {
    let turn = stage.running("one").await;
    stage
        .answer(&turn, vec![assistant("Let me see.", calls)], StepOutcome::RunTools)
        .await;
    turn
}

/// A request was refused, in this way, and nothing was written.
async fn check_refused<T: std::fmt::Debug>(stage: &Stage, before: &[String], answer: Result<T, Status>, code: Code) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.code(), code, "{refused:?}");
    assert_eq!(stage.rows().await, before, "a refused write left something");
}

#[tokio::test]
async fn an_answer_needs_its_recorded_intent_and_is_stored_once() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let before = stage.rows().await;
    let answer = || commits(&turn, vec![assistant("Hm.", &[])], StepOutcome::Continue);
    check_refused(
        &stage,
        &before,
        stage.commit_step(answer()).await,
        Code::FailedPrecondition,
    )
    .await;
    stage.begin(&turn).await.unwrap();
    stage.commit_step(answer()).await.unwrap();
    let before = stage.rows().await;
    check_refused(
        &stage,
        &before,
        stage.commit_step(answer()).await,
        Code::FailedPrecondition,
    )
    .await;
    let unset = commits(&turn, vec![assistant("Hm.", &[])], StepOutcome::Unspecified);
    check_refused(&stage, &before, stage.commit_step(unset).await, Code::InvalidArgument).await;
    for outcome in [StepOutcome::Continue, StepOutcome::RunTools] {
        let nothing = stage.commit_step(commits(&turn, Vec::new(), outcome)).await;
        check_refused(&stage, &before, nothing, Code::FailedPrecondition).await;
    }
    let no_intent = BeginStepRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        intent: None,
    };
    check_refused(
        &stage,
        &before,
        stage.begin_step(no_intent).await,
        Code::InvalidArgument,
    )
    .await;
    assert_eq!(now(&stage, &turn.chat).await.1, ["user one", "assistant Hm."]);
}

#[tokio::test]
async fn calls_are_stored_open_and_the_next_step_waits_for_their_results() {
    let stage = Stage::start().await;
    let turn = calling(&stage, &["a", "b"]).await;
    let before = stage.rows().await;
    check_refused(&stage, &before, stage.begin(&turn).await, Code::FailedPrecondition).await;
    let ends = commits(&turn, Vec::new(), StepOutcome::Finish);
    check_refused(&stage, &before, stage.commit_step(ends).await, Code::FailedPrecondition).await;

    let load = LoadTurnRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
    };
    let loaded = stage.load_turn(load).await.unwrap();
    assert_eq!(brief(loaded.messages.last().unwrap()), "assistant Let me see. ?a ?b");
    assert_eq!((loaded.intent, loaded.step), (None, 1));

    let stored = stores(&turn, vec![result("a"), result("b")], StepOutcome::Continue);
    let stored = stage.store_tool_results(stored).await.unwrap();
    assert_eq!(
        stored.messages.iter().map(brief).collect::<Vec<_>>(),
        ["tool =a", "tool =b"]
    );
    assert_eq!(status(stored.chat.as_ref().unwrap()), "running");
    let before = stage.rows().await;
    let again = stores(&turn, vec![result("a"), result("b")], StepOutcome::Continue);
    check_refused(
        &stage,
        &before,
        stage.store_tool_results(again).await,
        Code::FailedPrecondition,
    )
    .await;
    stage.finish(&turn, "Seen.").await;
    let expected = [
        "user one",
        "assistant Let me see. ?a ?b",
        "tool =a",
        "tool =b",
        "assistant Seen.",
    ];
    let (status, said, _) = now(&stage, &turn.chat).await;
    assert_eq!((status, said), ("waiting", expected.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn every_call_gets_exactly_one_result_whatever_a_worker_hands_in() {
    let stage = Stage::start().await;
    let turn = calling(&stage, &["a", "b"]).await;
    let before = stage.rows().await;
    let wrong = [
        ("one is missing", vec![result("a")], StepOutcome::Continue),
        ("all are missing", vec![], StepOutcome::Continue),
        ("one is missing at the end", vec![result("b")], StepOutcome::Finish),
        (
            "one comes twice",
            vec![result("a"), result("b"), result("a")],
            StepOutcome::Continue,
        ),
        (
            "one is for no call",
            vec![result("a"), result("b"), result("c")],
            StepOutcome::Continue,
        ),
        (
            "the calls go on running",
            vec![result("a"), result("b")],
            StepOutcome::RunTools,
        ),
        (
            "nothing is said of what follows",
            vec![result("a"), result("b")],
            StepOutcome::Unspecified,
        ),
        (
            "the client's part is not named",
            vec![result("a")],
            StepOutcome::RequireAction,
        ),
    ];
    for (why, messages, outcome) in wrong {
        let refused = stage.store_tool_results(stores(&turn, messages, outcome)).await;
        let refused = refused.map(drop).expect_err(why);
        assert!(
            matches!(refused.code(), Code::InvalidArgument | Code::FailedPrecondition),
            "{why}: {refused:?}"
        );
        assert_eq!(stage.rows().await, before, "{why}");
    }
    let other = StoreToolResultsRequest {
        pending_tool_calls: vec![pending("a")],
        ..stores(&turn, vec![result("a")], StepOutcome::RequireAction)
    };
    let refused = stage
        .store_tool_results(other)
        .await
        .expect_err("the client is asked for what is known");
    assert!(
        matches!(refused.code(), Code::InvalidArgument | Code::FailedPrecondition),
        "{refused:?}"
    );
    assert_eq!(stage.rows().await, before);

    let stored = stores(&turn, vec![result("a"), result("b")], StepOutcome::Finish);
    let stored = stage.store_tool_results(stored).await.unwrap();
    assert_eq!(status(stored.chat.as_ref().unwrap()), "waiting");
}

#[tokio::test]
async fn an_answer_holds_its_own_calls_each_once_and_results_of_no_others() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    stage.begin(&turn).await.unwrap();
    let before = stage.rows().await;
    let wrong = [
        (
            "two calls of one id",
            vec![assistant("", &["a", "a"])],
            StepOutcome::RunTools,
        ),
        (
            "two in two messages",
            vec![assistant("", &["a"]), assistant("", &["a"])],
            StepOutcome::RunTools,
        ),
        (
            "a result of no call",
            vec![assistant("Hm.", &[]), result("a")],
            StepOutcome::Continue,
        ),
        (
            "a result before its call",
            vec![result("a"), assistant("", &["a"])],
            StepOutcome::RunTools,
        ),
        (
            "a result twice",
            vec![assistant("", &["a"]), result("a"), result("a")],
            StepOutcome::Continue,
        ),
    ];
    for (why, messages, outcome) in wrong {
        let refused = stage
            .commit_step(commits(&turn, messages, outcome))
            .await
            .map(drop)
            .expect_err(why);
        assert_eq!(refused.code(), Code::InvalidArgument, "{why}: {refused:?}");
        assert_eq!(stage.rows().await, before, "{why}");
    }
    // Once it has its result, an id is free again: models count their calls from the beginning in each answer.
    stage
        .answer(&turn, vec![assistant("", &["a"])], StepOutcome::RunTools)
        .await;
    let stored = stores(&turn, vec![result("a")], StepOutcome::Continue);
    stage.store_tool_results(stored).await.unwrap();
    stage
        .answer(&turn, vec![assistant("", &["a"])], StepOutcome::RunTools)
        .await;
    let stored = stores(&turn, vec![result("a")], StepOutcome::Finish);
    stage.store_tool_results(stored).await.unwrap();
    let expected = ["user one", "assistant ?a", "tool =a", "assistant ?a", "tool =a"];
    assert_eq!(now(&stage, &turn.chat).await.1, expected);
}

#[tokio::test]
async fn the_client_answers_its_own_calls_exactly_and_once() {
    let stage = Stage::start().await;
    let turn = calling(&stage, &["ours", "a", "b"]).await;
    let parks = StoreToolResultsRequest {
        pending_tool_calls: vec![pending("a"), pending("b")],
        ..stores(&turn, vec![result("ours")], StepOutcome::RequireAction)
    };
    let parked = stage.store_tool_results(parks).await.unwrap().chat.unwrap();
    assert_eq!(status(&parked), "requires_action");
    assert_eq!(parked.pending_tool_calls, [pending("a"), pending("b")]);
    assert!(
        stage.claim(64).await.is_empty(),
        "a chat that waits for its client is not due"
    );

    let submit = async |results: &[(&str, &str)]| {
        let results = results.iter().map(|(id, output)| ToolResultInput {
            tool_call_id: (*id).to_owned(),
            output_json: (*output).to_owned(),
            is_error: false,
        });
        let message = SubmitToolResultsRequest {
            chat_id: turn.chat.clone(),
            results: results.collect(),
        };
        stage.submit_tool_results(&stage.admin, message).await
    };
    let long = "x".repeat(300);
    let large = format!("\"{}\"", "x".repeat(256 * 1024));
    let before = stage.rows().await;
    let wrong: [&[(&str, &str)]; 9] = [
        &[],
        &[("a", "1")],
        &[("a", "1"), ("a", "1")],
        &[("a", "1"), ("b", "1"), ("a", "1")],
        &[("a", "1"), ("b", "1"), ("ours", "1")],
        &[("a", "1"), ("b", "1"), ("", "1")],
        &[("a", "1"), ("b", "1"), (&long, "1")],
        &[("a", "1"), ("b", "{")],
        &[("a", "1"), ("b", &large)],
    ];
    for results in wrong {
        let refused = submit(results)
            .await
            .expect_err(&format!("{:?}", results.iter().map(|(id, _)| id).collect::<Vec<_>>()));
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(stage.rows().await, before);
    }
    // Two devices answer at once: the first wins, and the second hears that it was late.
    let given = [("b", r#"{"deep":[1,null]}"#), ("a", "\"text\"")];
    let (one, two) = tokio::join!(submit(&given), submit(&given));
    let (won, late) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(status(&won.unwrap().chat.unwrap()), "pending");
    assert_eq!(reason(late), "WRONG_STATE");
    let (_, said, _) = now(&stage, &turn.chat).await;
    assert_eq!(said[2..], ["tool =ours", "tool =a", "tool =b"]);
}

#[tokio::test]
async fn a_client_that_does_not_return_fails_its_turn_by_the_databases_clock() {
    let stage = Stage::start().await;
    let (late, patient) = (
        stage.requiring("late", &["a", "b"]).await,
        stage.requiring("patient", &["c"]).await,
    );
    stage.send(&late, "old").await.unwrap();
    stage
        .execute("UPDATE chats SET action_deadline = now() WHERE id = $1", &late)
        .await;
    let failed = stage.until(&late, |chat| status(chat) == "error").await;
    assert_eq!(failed.last_error.unwrap().kind(), ErrorKind::Generic);
    assert!(failed.pending_tool_calls.is_empty());
    let (_, said, queue) = now(&stage, &late).await;
    assert_eq!(
        (said, queue),
        (
            ["user late", "assistant ?a ?b", "tool !a", "tool !b"]
                .map(str::to_owned)
                .to_vec(),
            vec!["old".to_owned()]
        )
    );
    assert_eq!(now(&stage, &patient).await.0, "requires_action");
}

#[tokio::test]
async fn a_failed_turn_says_why_and_keeps_what_was_said() {
    let stage = Stage::start().await;
    let error = ChatError {
        message: "The provider is overloaded.".to_owned(),
        detail: "overloaded_error".to_owned(),
        kind: ErrorKind::Overloaded.into(),
        provider: "demo".to_owned(),
        is_retryable: true,
        status_code: 529,
    };
    let turn = stage.running("one").await;
    stage.begin(&turn).await.unwrap();
    let fail = FailTurnRequest {
        error: Some(error.clone()),
        ..fails(&turn, vec![assistant("I had", &[])])
    };
    let failed = stage.fail_turn(fail).await.unwrap().chat.unwrap();
    assert_eq!((status(&failed), failed.last_error.as_ref()), ("error", Some(&error)));
    assert_eq!(now(&stage, &turn.chat).await.1, ["user one", "assistant I had"]);
    let change = stage.changes(&turn.chat).await.pop().unwrap();
    assert_eq!(change.error, Some(error));
    assert!(change.sealed.is_some() && !change.is_preview_reset);
}

#[tokio::test]
async fn a_turn_that_fails_or_stops_among_its_calls_leaves_none_open() {
    let stage = Stage::start().await;
    let expected = |status: &'static str, results: [&str; 2]| {
        let said = ["user one", "assistant Let me see. ?a ?b", results[0], results[1]];
        (status, said.map(str::to_owned).to_vec(), Vec::<String>::new())
    };
    let failing = calling(&stage, &["a", "b"]).await;
    stage.fail_turn(fails(&failing, Vec::new())).await.unwrap();
    assert_eq!(
        now(&stage, &failing.chat).await,
        expected("error", ["tool !a", "tool !b"])
    );

    let half = calling(&stage, &["a", "b"]).await;
    stage.fail_turn(fails(&half, vec![result("a")])).await.unwrap();
    assert_eq!(now(&stage, &half.chat).await, expected("error", ["tool =a", "tool !b"]));

    let stopping = calling(&stage, &["a", "b"]).await;
    stage.interrupt(&stopping.chat).await.unwrap();
    stage.finish_interruption(settles(&stopping, Vec::new())).await.unwrap();
    assert_eq!(
        now(&stage, &stopping.chat).await,
        expected("waiting", ["tool !a", "tool !b"])
    );

    let half = calling(&stage, &["a", "b"]).await;
    stage.interrupt(&half.chat).await.unwrap();
    stage
        .finish_interruption(settles(&half, vec![result("b")]))
        .await
        .unwrap();
    assert_eq!(
        now(&stage, &half.chat).await,
        expected("waiting", ["tool =b", "tool !a"])
    );
}

#[tokio::test]
async fn a_settlement_stores_the_partial_answer_with_its_calls_answered() {
    let stage = Stage::start().await;
    let ways: [(&str, Vec<NewMessage>, &[&str]); 4] = [
        ("nothing was said", vec![], &[]),
        ("words", vec![assistant("I was", &[])], &["assistant I was"]),
        (
            "calls nobody ran",
            vec![assistant("", &["a"])],
            &["assistant ?a", "tool !a"],
        ),
        (
            "calls with results",
            vec![assistant("", &["a", "b"]), result("a")],
            &["assistant ?a ?b", "tool =a", "tool !b"],
        ),
    ];
    for (why, messages, gained) in ways {
        let turn = stage.running("one").await;
        stage.send(&turn.chat, "old").await.unwrap();
        stage.begin(&turn).await.unwrap();
        stage.interrupt(&turn.chat).await.unwrap();
        let settled = stage.finish_interruption(settles(&turn, messages)).await;
        let settled = settled.unwrap_or_else(|refused| panic!("{why}: {refused:?}"));
        assert_eq!(brief(&settled.promoted.unwrap()), "user old", "{why}");
        let said: Vec<&str> = ["user one"]
            .iter()
            .chain(gained)
            .chain(&["user old"])
            .copied()
            .collect();
        let (status, heard, queue) = now(&stage, &turn.chat).await;
        assert_eq!(
            (status, heard.iter().map(String::as_str).collect::<Vec<_>>(), queue),
            ("pending", said, vec![]),
            "{why}"
        );
        stage.claim(64).await;
    }
}

#[tokio::test]
async fn a_settlement_needs_a_stop_and_a_stop_lets_nothing_new_begin() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let before = stage.rows().await;
    check_refused(
        &stage,
        &before,
        stage.finish_interruption(settles(&turn, vec![])).await,
        Code::FailedPrecondition,
    )
    .await;
    stage.interrupt(&turn.chat).await.unwrap();
    let before = stage.rows().await;
    check_refused(&stage, &before, stage.begin(&turn).await, Code::FailedPrecondition).await;
    let orphan = stage.finish_interruption(settles(&turn, vec![result("a")])).await;
    check_refused(&stage, &before, orphan, Code::FailedPrecondition).await;
}

#[tokio::test]
async fn a_stop_that_was_asked_wins_over_every_other_end_of_the_turn() {
    let stage = Stage::start().await;
    for end in ["an answer", "an answer for the client", "a failure"] {
        let turn = stage.running("one").await;
        stage.begin(&turn).await.unwrap();
        stage.interrupt(&turn.chat).await.unwrap();
        let expected: &[&str] = match end {
            "an answer" => {
                let done = stage
                    .commit_step(commits(&turn, vec![assistant("Done.", &[])], StepOutcome::Finish))
                    .await;
                done.unwrap();
                &["user one", "assistant Done."]
            }
            "an answer for the client" => {
                let parks = CommitStepRequest {
                    pending_tool_calls: vec![pending("a")],
                    ..commits(&turn, vec![assistant("", &["a"])], StepOutcome::RequireAction)
                };
                stage.commit_step(parks).await.unwrap();
                &["user one", "assistant ?a", "tool !a"]
            }
            _ => {
                stage.fail_turn(fails(&turn, Vec::new())).await.unwrap();
                &["user one"]
            }
        };
        let (status, said, _) = now(&stage, &turn.chat).await;
        assert_eq!(
            (status, said.iter().map(String::as_str).collect::<Vec<_>>()),
            ("waiting", expected.to_vec()),
            "{end}"
        );
        assert_eq!(stage.get(&turn.chat).await.last_error, None, "{end}");
    }
}

#[tokio::test]
async fn durable_messages_say_which_live_parts_they_replace() {
    let stage = Stage::start().await;
    let turn = stage.running("one").await;
    let position = StepPosition {
        epoch: turn.epoch,
        step: 2,
        attempt: 1,
        part_count: 17,
    };
    stage.begin(&turn).await.unwrap();
    let commit = CommitStepRequest {
        step: position.step,
        attempt: position.attempt,
        part_count: position.part_count,
        ..commits(&turn, vec![assistant("Hm.", &[])], StepOutcome::Continue)
    };
    stage.commit_step(commit).await.unwrap();
    let change = stage.changes(&turn.chat).await.pop().unwrap();
    assert_eq!((change.sealed, change.messages.len()), (Some(position), 1));
    assert_eq!(stage.snapshot(&turn.chat).await.sealed, Some(position));
    // Another owner has a log of its own, of which nothing is durable.
    stage.expire(&turn.chat).await;
    let owner = stage.claim_only(&turn.chat).await;
    assert_eq!(stage.snapshot(&turn.chat).await.sealed, None);
    // A turn that ends without a message withdraws what was shown.
    stage.fail_turn(fails(&owner, Vec::new())).await.unwrap();
    let change = stage.changes(&turn.chat).await.pop().unwrap();
    assert!(change.is_preview_reset && change.sealed.is_none());
}
