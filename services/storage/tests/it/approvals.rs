//! Calls that wait for a person's word: who may give it, for what, once, and until when.

use tandem_chassis::identity::ServiceName::ToolRunner;
use tandem_chassis::identity::User;
use tandem_chat_core::approval::ApprovalMode as Mode;
use tandem_proto::common::v1::{ApprovalMode, ApprovalRequest, PendingToolCall, ToolRisk};
use tandem_proto::storage::v1::*;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness::reason;
use crate::stage::{Stage, Turn, assistant, pending, result, settles, status, stores};

const SHOWN: u8 = 1;
const OTHER: u8 = 2;

/// What tool-runner hears when it is about to start a call.
async fn begins(stage: &Stage, turn: &Turn, call: &str, digest: u8, risk: ToolRisk) -> ToolCall {
    begins_tool(stage, turn, call, "look", digest, risk).await
}

async fn begins_tool(stage: &Stage, turn: &Turn, call: &str, tool: &str, digest: u8, risk: ToolRisk) -> ToolCall {
    let message = BeginToolCallRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        tool_call_id: call.to_owned(),
        tool_name: tool.to_owned(),
        input_digest: vec![digest; 32],
        risk: risk.into(),
        ..BeginToolCallRequest::default()
    };
    let request = stage.world.by(ToolRunner, &stage.admin, message);
    let begun = stage.world.tools.clone().begin_tool_call(request).await.unwrap();
    begun.into_inner().call.unwrap()
}

fn waits(call: &str) -> PendingToolCall {
    PendingToolCall {
        approval: Some(ApprovalRequest {
            digest: vec![SHOWN; 32],
            risk: ToolRisk::Unknown.into(),
            reason: "It runs a command".to_owned(),
        }),
        ..pending(call)
    }
}

fn decision(call: &str, is_approved: bool) -> ToolCallDecision {
    ToolCallDecision {
        tool_call_id: call.to_owned(),
        digest: vec![SHOWN; 32],
        is_approved,
        reason: String::new(),
    }
}

async fn decide(
    stage: &Stage,
    user: &User,
    chat: &str,
    decisions: Vec<ToolCallDecision>,
) -> Result<DecideToolCallsResponse, Status> {
    let message = DecideToolCallsRequest {
        chat_id: chat.to_owned(),
        decisions,
    };
    stage.decide_tool_calls(user, message).await
}

/// A chat that asks, in the middle of a step with these calls.
async fn calling(stage: &Stage, mode: ApprovalMode, calls: &[&str]) -> Turn {
    let turn = stage.running("one").await;
    stage
        .update(&turn.chat, |message| message.approval_mode = Some(mode.into()))
        .await
        .unwrap();
    stage
        .answer(&turn, vec![assistant("", calls)], StepOutcome::RunTools)
        .await;
    turn
}

/// The same, waiting for a person's word on all of them.
async fn asking(stage: &Stage, calls: &[&str]) -> Turn {
    let turn = calling(stage, ApprovalMode::Risky, calls).await;
    let parks = StoreToolResultsRequest {
        pending_tool_calls: calls.iter().map(|call| waits(call)).collect(),
        ..stores(&turn, Vec::new(), StepOutcome::RequireAction)
    };
    stage.store_tool_results(parks).await.unwrap();
    turn
}

/// The same, with all of them decided and a worker on it again.
async fn decided(stage: &Stage, calls: &[&str], is_approved: bool) -> Turn {
    let turn = asking(stage, calls).await;
    let decisions = calls.iter().map(|call| decision(call, is_approved)).collect();
    let chat = decide(stage, &stage.admin, &turn.chat, decisions).await.unwrap();
    assert_eq!(status(&chat.chat.unwrap()), "pending");
    stage.claim_only(&turn.chat).await
}

#[tokio::test]
async fn what_the_mode_asks_for_does_not_start() {
    use ToolCallState as State;
    use ToolRisk as Risk;
    let stage = Stage::start().await;
    let risks = [Risk::None, Risk::Changes, Risk::Unknown, Risk::Forbidden];
    let asked = State::AwaitsApproval;
    for (mode, expected) in [
        (ApprovalMode::Never, [State::Starting; 4]),
        (
            ApprovalMode::Risky,
            [State::Starting, State::Starting, asked, State::Refused],
        ),
        (ApprovalMode::Always, [State::Starting, asked, asked, State::Refused]),
    ] {
        let turn = calling(&stage, mode, &["a"]).await;
        for (number, (risk, expected)) in risks.into_iter().zip(expected).enumerate() {
            let call = begins(&stage, &turn, &format!("{number}"), SHOWN, risk).await;
            assert_eq!(call.state(), expected, "{mode:?} {risk:?}");
        }
    }
}

#[tokio::test]
async fn a_tool_runner_that_knows_no_risks_starts_nothing_where_people_are_asked() {
    let stage = Stage::start().await;
    let turn = calling(&stage, ApprovalMode::Risky, &["a"]).await;
    let message = BeginToolCallRequest {
        chat_id: turn.chat.clone(),
        epoch: turn.epoch,
        tool_call_id: "a".to_owned(),
        tool_name: "look".to_owned(),
        input_digest: vec![SHOWN; 32],
        ..BeginToolCallRequest::default()
    };
    let request = stage.world.by(ToolRunner, &stage.admin, message);
    let refused = stage.world.tools.clone().begin_tool_call(request).await;
    assert_eq!(reason(refused), "TOOL_RUNNER_TOO_OLD");
}

#[tokio::test]
async fn a_call_is_declined_even_if_the_chat_asks_for_less_meanwhile() {
    let stage = Stage::start().await;
    let turn = asking(&stage, &["a", "b"]).await;
    let never = |message: &mut UpdateChatRequest| message.approval_mode = Some(ApprovalMode::Never.into());
    stage.update(&turn.chat, never).await.unwrap();
    let words = vec![decision("a", false), decision("b", true)];
    decide(&stage, &stage.admin, &turn.chat, words).await.unwrap();
    let turn = stage.claim_only(&turn.chat).await;
    let states = [
        begins(&stage, &turn, "a", SHOWN, ToolRisk::Unknown).await.state(),
        begins(&stage, &turn, "b", SHOWN, ToolRisk::Unknown).await.state(),
    ];
    assert_eq!(states, [ToolCallState::Declined, ToolCallState::Starting]);
}

#[tokio::test]
async fn calls_that_have_not_started_when_they_are_stopped_did_not_run() {
    let stage = Stage::start().await;
    let turn = decided(&stage, &["a", "b"], true).await;
    begins(&stage, &turn, "a", SHOWN, ToolRisk::Unknown).await;
    stage.interrupt(&turn.chat).await.unwrap();
    stage.finish_interruption(settles(&turn, Vec::new())).await.unwrap();
    let list = ListMessagesRequest {
        chat_id: turn.chat.clone(),
        ..ListMessagesRequest::default()
    };
    let listed = stage.list_messages(&stage.admin, list).await.unwrap().messages;
    let told = |call: &str| {
        let texts = listed.iter().map(|message| format!("{message:?}"));
        let is_its = |text: &String| text.contains("ToolResult") && text.contains(&format!("{call:?}"));
        texts.filter(is_its).collect::<String>()
    };
    assert!(told("a").contains("outcome is unknown"), "{}", told("a"));
    assert!(told("b").contains("did not run"), "{}", told("b"));
    let left = "SELECT count(*) FROM tool_call_approvals WHERE used_at IS NULL";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&stage.world.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn s27_an_approval_starts_that_very_call_once() {
    use ToolCallState as State;
    let stage = Stage::start().await;
    let turn = decided(&stage, &["a", "b"], true).await;
    let begins = async |call: &str, digest| begins(&stage, &turn, call, digest, ToolRisk::Unknown).await.state();
    // Other arguments, another tool, a call that nobody was asked about.
    assert_eq!(begins("a", OTHER).await, State::AwaitsApproval);
    let other = begins_tool(&stage, &turn, "a", "execute", SHOWN, ToolRisk::Unknown).await;
    assert_eq!(other.state(), State::AwaitsApproval);
    assert_eq!(begins("c", SHOWN).await, State::AwaitsApproval);
    // That very call, and never again, even if the journal had forgotten it.
    assert_eq!(begins("a", SHOWN).await, State::Starting);
    assert_eq!(begins("a", SHOWN).await, State::Started);
    stage
        .execute("DELETE FROM tool_calls WHERE chat_id = $1", &turn.chat)
        .await;
    assert_eq!(begins("a", SHOWN).await, State::AwaitsApproval);
    assert_eq!(begins("b", SHOWN).await, State::Starting);
}

#[tokio::test]
async fn s27_an_approval_ends_with_its_time_and_holds_in_its_workspace() {
    let stage = Stage::start().await;
    for (statement, expected) in [
        (
            "UPDATE tool_call_approvals SET expires_at = now() WHERE chat_id = $1",
            ToolCallState::AwaitsApproval,
        ),
        (
            "UPDATE tool_call_approvals SET workspace_id = gen_random_uuid() WHERE chat_id = $1",
            ToolCallState::AwaitsApproval,
        ),
        (
            "UPDATE tool_call_approvals SET reason = 'as it was' WHERE chat_id = $1",
            ToolCallState::Starting,
        ),
    ] {
        let turn = decided(&stage, &["a"], true).await;
        stage.execute(statement, &turn.chat).await;
        let call = begins(&stage, &turn, "a", SHOWN, ToolRisk::Unknown).await;
        assert_eq!(call.state(), expected, "{statement}");
    }
}

#[tokio::test]
async fn a_declined_call_stays_declined_and_says_why() {
    let stage = Stage::start().await;
    let turn = asking(&stage, &["a"]).await;
    let no = ToolCallDecision {
        reason: " Not in this directory. ".to_owned(),
        ..decision("a", false)
    };
    decide(&stage, &stage.admin, &turn.chat, vec![no]).await.unwrap();
    let turn = stage.claim_only(&turn.chat).await;
    for _ in 0..2 {
        let call = begins(&stage, &turn, "a", SHOWN, ToolRisk::Unknown).await;
        assert_eq!(call.state(), ToolCallState::Declined);
        assert_eq!(call.decline_reason, "Not in this directory.");
    }
    let other = begins(&stage, &turn, "a", OTHER, ToolRisk::Unknown).await;
    assert_eq!(other.state(), ToolCallState::AwaitsApproval);
}

#[tokio::test]
async fn s27_decisions_are_on_what_was_shown_by_its_owner_and_count_once() {
    let stage = Stage::start().await;
    let turn = asking(&stage, &["a", "b"]).await;
    let mia = stage.world.member(&stage.admin, "mia").await;
    let before = stage.rows().await;
    let yes = |call: &str| decision(call, true);
    let wrong = [
        vec![],
        vec![yes("a")],
        vec![yes("a"), yes("a")],
        vec![yes("a"), yes("")],
        vec![
            yes("a"),
            ToolCallDecision {
                reason: "x".repeat(1025),
                ..decision("b", false)
            },
        ],
    ];
    for decisions in wrong {
        let refused = decide(&stage, &stage.admin, &turn.chat, decisions).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    let swapped = ToolCallDecision {
        digest: vec![OTHER; 32],
        ..yes("b")
    };
    let changed = decide(&stage, &stage.admin, &turn.chat, vec![yes("a"), swapped]).await;
    assert_eq!(reason(changed), "APPROVAL_CHANGED");
    // A page that has not heard that other calls wait now.
    let stale = decide(&stage, &stage.admin, &turn.chat, vec![yes("a"), yes("c")]).await;
    assert_eq!(reason(stale), "APPROVAL_CHANGED");
    let foreign = decide(&stage, &mia, &turn.chat, vec![yes("a"), yes("b")]).await;
    assert_eq!(foreign.unwrap_err().code(), Code::NotFound);
    assert_eq!(stage.rows().await, before, "a refused decision left something");

    // Two devices at once: the first wins, and the second hears that it was late.
    let (one, two) = tokio::join!(
        decide(&stage, &stage.admin, &turn.chat, vec![yes("a"), yes("b")]),
        decide(
            &stage,
            &stage.admin,
            &turn.chat,
            vec![decision("a", false), decision("b", false)]
        )
    );
    let is_approved = one.is_ok();
    let late = if is_approved { two } else { one };
    assert_eq!(reason(late), "NO_APPROVAL_REQUIRED");
    let turn = stage.claim_only(&turn.chat).await;
    let call = begins(&stage, &turn, "a", SHOWN, ToolRisk::Unknown).await;
    let expected = if is_approved {
        ToolCallState::Starting
    } else {
        ToolCallState::Declined
    };
    assert_eq!(call.state(), expected);
}

#[tokio::test]
async fn the_clients_own_calls_come_after_the_approvals_of_their_step() {
    let stage = Stage::start().await;
    let turn = calling(&stage, ApprovalMode::Risky, &["ours", "theirs"]).await;
    let parks = |turn: &Turn, left, results| StoreToolResultsRequest {
        pending_tool_calls: left,
        ..stores(turn, results, StepOutcome::RequireAction)
    };
    let parked = parks(&turn, vec![waits("ours"), pending("theirs")], Vec::new());
    stage.store_tool_results(parked).await.unwrap();
    let submit = async || {
        let message = SubmitToolResultsRequest {
            chat_id: turn.chat.clone(),
            results: vec![ToolResultInput {
                tool_call_id: "theirs".to_owned(),
                output_json: "1".to_owned(),
                is_error: false,
            }],
        };
        stage.submit_tool_results(&stage.admin, message).await
    };
    assert_eq!(reason(submit().await), "APPROVAL_REQUIRED");
    decide(&stage, &stage.admin, &turn.chat, vec![decision("ours", true)])
        .await
        .unwrap();
    let turn = stage.claim_only(&turn.chat).await;
    let parked = parks(&turn, vec![pending("theirs")], vec![result("ours")]);
    stage.store_tool_results(parked).await.unwrap();
    let late = decide(&stage, &stage.admin, &turn.chat, vec![decision("ours", true)]).await;
    assert_eq!(reason(late), "NO_APPROVAL_REQUIRED");
    assert_eq!(status(&submit().await.unwrap().chat.unwrap()), "pending");
}

#[tokio::test]
async fn a_wait_can_be_stopped_and_ends_by_itself() {
    let stage = Stage::start().await;
    let stopped = asking(&stage, &["a"]).await.chat;
    let shown = stage.get(&stopped).await;
    let (until, now) = (shown.action_expires_at.unwrap(), shown.updated_at.unwrap());
    assert_eq!(until.seconds - now.seconds, 24 * 60 * 60);
    stage.interrupt(&stopped).await.unwrap();
    assert_eq!(status(&stage.get(&stopped).await), "waiting");
    let list = ListMessagesRequest {
        chat_id: stopped.clone(),
        ..ListMessagesRequest::default()
    };
    let told = format!("{:?}", stage.list_messages(&stage.admin, list).await.unwrap());
    assert!(told.contains("it did not run"), "{told}");
    let late = decide(&stage, &stage.admin, &stopped, vec![decision("a", true)]).await;
    assert_eq!(reason(late), "NO_APPROVAL_REQUIRED");

    let forgotten = asking(&stage, &["a"]).await.chat;
    stage
        .execute("UPDATE chats SET action_deadline = now() WHERE id = $1", &forgotten)
        .await;
    let failed = stage.until(&forgotten, |chat| status(chat) == "error").await;
    let message = failed.last_error.unwrap().message;
    assert!(message.contains("Nobody approved"), "{message}");
}

#[tokio::test]
async fn a_deployment_has_a_least_that_every_chat_asks() {
    let stage = Stage::start_with(|config| config.approvals.minimum = Mode::Risky).await;
    let turn = stage.running("one").await;
    let shown = stage.get(&turn.chat).await;
    assert_eq!(shown.approval_mode(), ApprovalMode::Risky);
    let lower = stage
        .update(&turn.chat, |message| {
            message.approval_mode = Some(ApprovalMode::Never.into())
        })
        .await
        .unwrap_err();
    assert_eq!(lower.code(), Code::InvalidArgument);
    assert!(lower.message().contains("risky"), "{lower:?}");
    stage
        .update(&turn.chat, |message| {
            message.approval_mode = Some(ApprovalMode::Always.into())
        })
        .await
        .unwrap();
    assert_eq!(stage.get(&turn.chat).await.approval_mode(), ApprovalMode::Always);
    // A row from before the operator has said so is held to it all the same.
    stage
        .execute("UPDATE chats SET approval_mode = 'never' WHERE id = $1", &turn.chat)
        .await;
    let call = Uuid::now_v7().to_string();
    let asked = begins(&stage, &turn, &call, SHOWN, ToolRisk::Unknown).await;
    assert_eq!(asked.state(), ToolCallState::AwaitsApproval);
}
