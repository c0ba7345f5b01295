//! Calls are recorded before and after, joined while they run, and never run twice.

use std::time::Duration;

use serde_json::json;
use tandem_proto::storage::v1::{ToolCall, ToolCallState};

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_call_is_replayed_and_not_run_again() {
    let harness = Harness::start().await;
    let command = json!({"command": "echo x >> count; wc -l < count"});
    let first = harness.call("chat", "1", "execute", command.clone()).await.unwrap();
    let second = harness.call("chat", "1", "execute", command).await.unwrap();
    assert!(!first.outcome.is_replayed && second.outcome.is_replayed);
    assert_eq!(first.outcome.result_json, second.outcome.result_json);
    let status = harness
        .call("chat", "1", "execute", json!({"command": "other"}))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_of_one_call_see_one_run() {
    let harness = Harness::start().await;
    let command = json!({"command": "echo x >> count; sleep 0.5; wc -l < count"});
    let (first, second) = tokio::join!(
        harness.call("chat", "1", "execute", command.clone()),
        harness.call("chat", "1", "execute", command),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.value()["output"], "1\n");
    assert_eq!(first.outcome.result_json, second.outcome.result_json);
    assert_eq!(first.live, second.live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_does_not_end_the_call() {
    let harness = Harness::start().await;
    harness.ok("chat", "execute", json!({"command": "true"})).await;
    let command = json!({"command": "sleep 0.5; echo done > done"});
    let left = tokio::time::timeout(
        Duration::from_millis(200),
        harness.call("chat", "1", "execute", command.clone()),
    );
    assert!(left.await.is_err());
    let answer = harness.call("chat", "1", "execute", command).await.unwrap();
    assert_eq!(answer.value()["success"], true);
    assert!(harness.home("chat").join("done").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_begun_by_an_owner_that_is_gone_is_not_repeated() {
    let harness = Harness::start().await;
    let begun = |id: &str, tool: &str, arguments: &serde_json::Value| {
        use sha2::{Digest, Sha256};
        let call = ToolCall {
            tool_call_id: id.to_owned(),
            chat_id: "chat".to_owned(),
            tool_name: tool.to_owned(),
            input_digest: Sha256::digest(arguments.to_string()).to_vec(),
            state: ToolCallState::Started.into(),
            ..ToolCall::default()
        };
        harness
            .storage
            .calls
            .lock()
            .unwrap()
            .insert(("chat".to_owned(), id.to_owned()), call);
    };
    harness
        .ok("chat", "write_file", json!({"path": "same", "content": "as it was\n"}))
        .await;
    for (id, tool, arguments, is_unknown) in [
        ("e", "execute", json!({"command": "touch ran"}), true),
        ("w", "write_file", json!({"path": "ran", "content": "x"}), true),
        (
            "s",
            "write_file",
            json!({"path": "same", "content": "as it was\n"}),
            false,
        ),
        ("r", "read_file", json!({"path": "same"}), false),
    ] {
        begun(id, tool, &arguments);
        let answer = harness.call("chat", id, tool, arguments).await.unwrap();
        assert_eq!(answer.outcome.is_unknown, is_unknown, "{id}: {answer:?}");
    }
    assert!(!harness.home("chat").join("ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_all_agents_and_files_survive() {
    let harness = Harness::start().await;
    harness
        .ok(
            "chat",
            "execute",
            json!({"command": "echo kept > kept; (while :; do date +%N > beat; sleep 0.05; done) &"}),
        )
        .await;
    let home = harness.home("chat");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (storage, directory) = harness.stop().await;
    let before = std::fs::read(home.join("beat")).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(std::fs::read(home.join("beat")).unwrap(), before);
    let harness = Harness::start_with(storage, directory).await;
    assert_eq!(
        harness.ok("chat", "execute", json!({"command": "cat kept"})).await["output"],
        "kept\n"
    );
}
