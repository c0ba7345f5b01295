//! Repositories of chats, with real agents and the git program.

use std::time::Duration;

use serde_json::json;
use tandem_proto::tool::v1::{PutGitCredentialRequest, RefreshGitRequest, WatchGitRequest, WatchGitResponse};
use tonic::{Code, Status, Streaming};

use crate::harness::Harness;

const TIME: Duration = Duration::from_secs(30);

async fn watch(harness: &Harness, chat_id: &str) -> Result<Streaming<WatchGitResponse>, Status> {
    let message = WatchGitRequest {
        chat_id: chat_id.to_owned(),
    };
    let request = harness.outbound.open_stream(Some(&harness.user), TIME, message);
    Ok(harness.git.clone().watch_git(request).await?.into_inner())
}

/// Reads until a diff holds this.
async fn until(stream: &mut Streaming<WatchGitResponse>, text: &str) {
    let reading = async {
        while let Some(news) = stream.message().await.unwrap() {
            if news.repositories.iter().any(|found| found.unified_diff.contains(text)) {
                return;
            }
        }
        panic!("the stream ended");
    };
    tokio::time::timeout(TIME, reading).await.unwrap();
}

async fn until_metrics_say(harness: &Harness, line: &str) {
    let waiting = async {
        while !harness.metrics().lines().any(|found| found == line) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIME, waiting)
        .await
        .unwrap_or_else(|_| panic!("{}", harness.metrics()));
}

#[tokio::test]
async fn readers_share_one_watch_that_ends_when_the_last_of_them_leaves() {
    let harness = Harness::start().await;
    let command = "git init --quiet work && cd work && echo one > a";
    harness.ok("chat", "execute", json!({ "command": command })).await;
    let mut first = watch(&harness, "chat").await.unwrap();
    until(&mut first, "+one").await;
    let mut second = watch(&harness, "chat").await.unwrap();
    until(&mut second, "+one").await;
    until_metrics_say(&harness, "tandem_git_watches 1").await;

    harness
        .ok(
            "chat",
            "execute",
            json!({ "command": "echo two > a", "workdir": "work" }),
        )
        .await;
    until(&mut first, "+two").await;
    until(&mut second, "+two").await;

    drop(first);
    harness
        .ok(
            "chat",
            "execute",
            json!({ "command": "echo three > a", "workdir": "work" }),
        )
        .await;
    until(&mut second, "+three").await;
    until_metrics_say(&harness, "tandem_git_watches 1").await;
    drop(second);
    until_metrics_say(&harness, "tandem_git_watches 0").await;
    // And it begins again.
    let mut third = watch(&harness, "chat").await.unwrap();
    until(&mut third, "+three").await;
}

#[tokio::test]
async fn a_look_is_taken_when_somebody_asks() {
    let harness = Harness::start().await;
    harness
        .ok(
            "chat",
            "execute",
            json!({ "command": "git init --quiet work && echo one > work/a" }),
        )
        .await;
    let mut stream = watch(&harness, "chat").await.unwrap();
    until(&mut stream, "+one").await;
    // Nothing of the chat's has done this.
    std::fs::write(harness.home("chat").join("work/a"), "two\n").unwrap();
    let message = RefreshGitRequest {
        chat_id: "chat".to_owned(),
    };
    let request = harness.outbound.request(Some(&harness.user), TIME, message);
    harness.git.clone().refresh_git(request).await.unwrap();
    until(&mut stream, "+two").await;
}

#[tokio::test]
async fn a_chat_without_a_workspace_cannot_be_watched() {
    let harness = Harness::start().await;
    let refused = watch(&harness, "chat").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "The chat has no workspace.");
}

#[tokio::test]
async fn the_branch_a_chat_works_on_is_recorded_for_it_alone() {
    let harness = Harness::start().await;
    let command =
        "git init --quiet --initial-branch=fix work && cd work && git remote add origin https://a:b@h.example/x/y";
    harness.ok("chat", "execute", json!({ "command": command })).await;
    let waiting = async {
        while harness.storage.heads.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIME, waiting).await.unwrap();
    let head = harness.storage.heads.lock().unwrap()[0].clone();
    assert_eq!(
        (head.chat_id.as_str(), head.branch.as_str(), head.remote_origin.as_str()),
        ("chat", "fix", "https://h.example/x/y")
    );
    let heads = harness.storage.heads.lock().unwrap();
    assert!(heads.iter().all(|head| head.chat_id == "chat"));
}

#[tokio::test]
async fn credentials_are_checked_and_stored_sealed() {
    let config = tandem_tool_runner::Config {
        kek: Some(tandem_chassis::config::Secret::from("11".repeat(32))),
        ..tandem_tool_runner::Config::default()
    };
    let storage = crate::stub::Storage::default();
    let harness = Harness::start_config(storage, tempfile::tempdir().unwrap(), config).await;
    let put = async |host: &str, token: &str| {
        let message = PutGitCredentialRequest {
            host: host.to_owned(),
            username: String::new(),
            token: token.to_owned(),
        };
        let request = harness.outbound.request(Some(&harness.user), TIME, message);
        harness.git.clone().put_git_credential(request).await
    };
    for (host, token) in [
        ("https://h.example", "t"),
        ("h.example", ""),
        ("h.example", "a b"),
        ("h.example", "a\nb"),
    ] {
        assert_eq!(
            put(host, token).await.unwrap_err().code(),
            Code::InvalidArgument,
            "{host} {token:?}"
        );
    }
    let stored = put("H.example:443", "s3cret-token")
        .await
        .unwrap()
        .into_inner()
        .credential
        .unwrap();
    assert_eq!(stored.host, "h.example");
    let sealed = harness.storage.credentials.lock().unwrap()[0].sealed.clone();
    assert!(!sealed.windows(12).any(|part| part == b"s3cret-token"));
}
