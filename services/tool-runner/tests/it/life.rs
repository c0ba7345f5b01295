//! Agents start, die, idle and come back.

use std::time::Duration;

use serde_json::json;
use tandem_proto::storage::v1::WorkspaceStatus;
use tandem_proto::tool::v1::ListWorkspacesRequest;
use tandem_tool_runner::Config;

use crate::harness::Harness;
use crate::stub::Storage;

/// Kills the agent of a chat's workspace and everything around it, as a crash would.
fn kill(harness: &Harness, chat_id: &str) {
    let home = harness.home(chat_id).to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    for id in ids.filter(|id| *id != std::process::id().cast_signed()) {
        let directory = std::fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
        let is_inside = directory.starts_with(&home);
        // Only root may look at the agent's directory, but everybody sees who started what.
        let parent = parent(id).filter(|parent| is_inside && command_line(*parent).contains("workspace-agent"));
        if is_inside || command_line(id).contains(&home) {
            for id in [Some(id), parent].into_iter().flatten() {
                let id = rustix::process::Pid::from_raw(id).unwrap();
                let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
        }
    }
}

fn command_line(id: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn parent(id: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

async fn is_connected(harness: &Harness) -> bool {
    let request = harness.outbound.request(
        Some(&harness.user),
        Duration::from_secs(5),
        ListWorkspacesRequest::default(),
    );
    let answer = harness
        .admin
        .clone()
        .list_workspaces(request)
        .await
        .unwrap()
        .into_inner();
    answer.workspaces[0].is_agent_connected
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_died_is_started_again() {
    let harness = Harness::start().await;
    harness
        .ok("chat", "write_file", json!({"path": "a", "content": "kept"}))
        .await;
    kill(&harness, "chat");
    assert_eq!(
        harness.ok("chat", "read_file", json!({"path": "a"})).await["content"],
        "1\tkept"
    );
    assert!(is_connected(&harness).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_agent_died_has_an_unknown_outcome() {
    let harness = Harness::start().await;
    let call = harness.call(
        "chat",
        "1",
        "execute",
        json!({"command": "echo x >> ran; sleep 30", "timeout": "1m"}),
    );
    let crash = async {
        let ran = async {
            while !harness.storage.workspaces.lock().unwrap().contains_key("chat")
                || !harness.home("chat").join("ran").exists()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ran).await.unwrap();
        kill(&harness, "chat");
    };
    let (answer, ()) = tokio::join!(call, crash);
    let answer = answer.unwrap();
    assert!(answer.outcome.is_unknown && answer.outcome.is_error, "{answer:?}");
    assert_eq!(
        std::fs::read_to_string(harness.home("chat").join("ran")).unwrap(),
        "x\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_agent_is_stopped_and_started_again_when_needed() {
    let config = Config {
        idle_timeout: Duration::from_millis(400),
        ..Config::default()
    };
    let harness = Harness::start_config(Storage::default(), tempfile::tempdir().unwrap(), config).await;
    // Longer than the limit, and yet not idle.
    let value = harness
        .ok("chat", "execute", json!({"command": "sleep 1; echo done"}))
        .await;
    assert_eq!(value["output"], "done\n");
    // Nobody asks anything, and yet something runs.
    harness
        .ok(
            "chat",
            "execute",
            json!({"command": "sleep 3", "run_in_background": true}),
        )
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_connected(&harness).await);
    let stopped = async {
        while is_connected(&harness).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
    let status = harness.storage.workspaces.lock().unwrap()["chat"].status();
    assert_eq!(
        status,
        WorkspaceStatus::Running,
        "a workspace whose agent rests goes on running"
    );
    harness.ok("chat", "execute", json!({"command": "true"})).await;
    assert!(is_connected(&harness).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_at_once_share_one_agent() {
    let harness = Harness::start().await;
    let calls = (0..20).map(|index| harness.ok("chat", "execute", json!({"command": format!("echo {index}")})));
    let values = futures::future::join_all(calls).await;
    for (index, value) in values.iter().enumerate() {
        assert_eq!(value["output"], format!("{index}\n"));
    }
}
