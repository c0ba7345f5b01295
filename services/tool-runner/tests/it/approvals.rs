//! Calls that have to be allowed: nothing is done before a person has said so, and what they allow runs once.

use std::sync::Arc;

use serde_json::{Value, json};
use tandem_chat_core::approval::ApprovalMode;
use tandem_proto::common::v1::{ApprovalRequest, ToolRisk};
use tandem_proto::storage::v1::ToolCallDecision;
use tokio::sync::Semaphore;

use crate::harness::{Harness, approval};
use crate::mcp::World;
use crate::stub::Storage;

/// A harness whose people want to be asked.
async fn strict(mode: ApprovalMode) -> Harness {
    let harness = Harness::start().await;
    set(&harness, mode);
    harness
}

fn set(harness: &Harness, mode: ApprovalMode) {
    *harness.storage.mode.lock().unwrap() = mode;
}

fn approve(harness: &Harness, call_id: &str, request: &ApprovalRequest) {
    let decision = ToolCallDecision {
        tool_call_id: call_id.to_owned(),
        digest: request.digest.clone(),
        is_approved: true,
        reason: String::new(),
    };
    harness.storage.decide("chat", decision);
}

fn decline(harness: &Harness, call_id: &str, request: &ApprovalRequest, reason: &str) {
    let decision = ToolCallDecision {
        tool_call_id: call_id.to_owned(),
        digest: request.digest.clone(),
        is_approved: false,
        reason: reason.to_owned(),
    };
    harness.storage.decide("chat", decision);
}

/// A command that leaves a line in the file `count` each time it runs.
fn counting() -> Value {
    json!({"command": "echo x >> count; wc -l < count"})
}

fn count(harness: &Harness) -> usize {
    let text = std::fs::read_to_string(harness.home("chat").join("count"));
    text.unwrap_or_default().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_awaits_approval_does_nothing() {
    let harness = strict(ApprovalMode::Risky).await;
    let request = harness.asked("chat", "1", "execute", counting()).await;
    assert_eq!(request.risk(), ToolRisk::Unknown);
    assert_eq!(request.digest.len(), 32);
    assert!(
        !request.reason.is_empty() && !request.reason.ends_with('.'),
        "{request:?}"
    );

    // There is not even a workspace, nor a trace in the journal; the call counts as running no longer.
    assert!(harness.storage.workspaces.lock().unwrap().is_empty());
    assert!(harness.storage.calls.lock().unwrap().is_empty());
    assert!(!harness.cancel("chat", "1").await);
    let metrics = harness.metrics();
    for line in [
        r#"tandem_tool_calls_total{tool_name="execute",outcome="awaits_approval"} 1"#,
        "tandem_tool_calls_running 0",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }

    // Where there is a workspace, nothing changes in it.
    set(&harness, ApprovalMode::Never);
    harness.ok("chat", "execute", json!({"command": "true"})).await;
    set(&harness, ApprovalMode::Always);
    assert_eq!(harness.asked("chat", "1", "execute", counting()).await, request);
    let write = json!({"path": "count", "content": "x\n"});
    let writing = harness.asked("chat", "2", "write_file", write).await;
    assert_eq!(writing.risk(), ToolRisk::Changes);
    assert_eq!(count(&harness), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_call_runs_once() {
    let harness = strict(ApprovalMode::Always).await;
    let request = harness.asked("chat", "1", "execute", counting()).await;
    approve(&harness, "1", &request);
    let (first, second) = tokio::join!(
        harness.call("chat", "1", "execute", counting()),
        harness.call("chat", "1", "execute", counting()),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.value()["output"], "1\n");
    assert_eq!(first.outcome.result_json, second.outcome.result_json);
    let again = harness.call("chat", "1", "execute", counting()).await.unwrap();
    assert!(again.outcome.is_replayed);
    assert_eq!(count(&harness), 1);

    // The word was for that call alone.
    harness.asked("chat", "2", "execute", counting()).await;
    assert_eq!(count(&harness), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_holds_however_the_same_arguments_are_written() {
    let harness = strict(ApprovalMode::Always).await;
    let request = harness.asked("chat", "1", "execute", counting()).await;
    approve(&harness, "1", &request);
    let other = json!({"command": "echo y >> count"});
    assert_ne!(
        harness.asked("chat", "1", "execute", other).await.digest,
        request.digest
    );
    assert!(harness.storage.workspaces.lock().unwrap().is_empty());
    let text = r#" { "command" : "echo x \u003e> count; wc -l < count" } "#;
    let answer = harness.call_text("chat", "1", "execute", text).await;
    assert_eq!(answer.value()["output"], "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_call_is_answered_and_does_nothing() {
    let harness = strict(ApprovalMode::Always).await;
    for (id, reason, told) in [
        ("1", "", "The user declined this call."),
        ("2", "not today", "The user declined this call. They said: not today"),
    ] {
        let request = harness.asked("chat", id, "execute", counting()).await;
        decline(&harness, id, &request, reason);
        let answer = harness.call("chat", id, "execute", counting()).await.unwrap();
        assert!(answer.outcome.is_error && !answer.outcome.is_unknown, "{answer:?}");
        assert_eq!(answer.value(), told);
    }
    assert!(harness.storage.workspaces.lock().unwrap().is_empty());
    assert!(harness.storage.calls.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_answered_and_does_nothing() {
    let harness = strict(ApprovalMode::Risky).await;
    let command = json!({"command": "mkfs.ext4 /dev/nothing"});
    let answer = harness.call("chat", "1", "execute", command).await.unwrap();
    assert!(answer.outcome.is_error && !answer.outcome.is_unknown, "{answer:?}");
    let told = answer.value();
    let told = told.as_str().unwrap();
    assert!(told.starts_with("This call was refused: "), "{told}");
    assert!(told.ends_with(". It is never run in this chat."), "{told}");
    assert!(harness.storage.workspaces.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_did_is_told_whatever_would_be_asked_now() {
    let harness = Harness::start().await;
    let first = harness.call("chat", "1", "execute", counting()).await.unwrap();
    set(&harness, ApprovalMode::Always);
    let again = harness.call("chat", "1", "execute", counting()).await.unwrap();
    assert!(again.outcome.is_replayed);
    assert_eq!(first.outcome.result_json, again.outcome.result_json);
    assert_eq!(count(&harness), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_read_are_not_asked_about() {
    let harness = strict(ApprovalMode::Always).await;
    let answer = harness.call("chat", "1", "read_file", json!({"path": "missing"})).await;
    assert!(answer.unwrap().outcome.is_error);
    let answer = harness
        .call("chat", "2", "find_tools", json!({"query": "weather"}))
        .await;
    answer.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_a_call_that_is_being_asked_about_hear_the_same() {
    let permits = Arc::new(Semaphore::new(0));
    let storage = Storage {
        beginning: Some(Arc::clone(&permits)),
        ..Storage::default()
    };
    let harness = Harness::start_with(storage, tempfile::tempdir().unwrap()).await;
    set(&harness, ApprovalMode::Always);
    let arguments = counting().to_string();
    let first = harness.open("chat", "1", "execute", &arguments).await;
    let second = harness.open("chat", "1", "execute", &arguments).await;
    // One question for both: a second one would find no permit.
    permits.add_permits(1);
    let (first, second) = tokio::join!(approval(first), approval(second));
    assert_eq!(first, second);

    // Whoever has heard of the end begins anew.
    approve(&harness, "1", &first);
    permits.add_permits(1);
    let answer = harness.call("chat", "1", "execute", counting()).await.unwrap();
    assert_eq!(answer.value()["output"], "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_hears_nothing_of_a_call_that_awaits_approval() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    set(&world.harness, ApprovalMode::Risky);
    let (tool, arguments) = ("stub__echo", json!({"text": "a"}));
    let asked = world
        .harness
        .asked_with("chat", "1", tool, arguments.clone(), scope.clone());
    let request = asked.await;
    assert_eq!(request.risk(), ToolRisk::Unknown);
    assert!(world.stub.seen.lock().unwrap().is_empty());

    approve(&world.harness, "1", &request);
    let answer = world.harness.call_with("chat", "1", tool, arguments, scope).await;
    assert!(!answer.unwrap().outcome.is_error);
    assert_eq!(world.stub.count("tools/call"), 1);
}
