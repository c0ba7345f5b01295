//! Workspaces as models make, start and stop them, and builds.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tandem_proto::storage::v1::{StartupOutcome, TemplateBackend, TemplateSpec};
use uuid::Uuid;

use crate::harness::Harness;

fn local() -> TemplateSpec {
    TemplateSpec {
        backend: TemplateBackend::Local.into(),
        ..TemplateSpec::default()
    }
}

async fn with(spec: TemplateSpec) -> Harness {
    let harness = Harness::start().await;
    *harness.storage.spec.lock().unwrap() = spec;
    harness
}

fn template() -> serde_json::Value {
    json!({ "template_id": Uuid::new_v4() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_workspace_has_its_environment_and_its_script_has_run() {
    let harness = with(TemplateSpec {
        startup_script: "echo \"setting up $COLOUR\"; echo $TANDEM_PARAMETER_SIZE > size".to_owned(),
        environment: HashMap::from([("COLOUR".to_owned(), "blue".to_owned())]),
        ..local()
    })
    .await;
    let arguments = json!({ "template_id": Uuid::new_v4(), "parameters": { "size": 3 } });
    let made = harness.ok("chat", "create_workspace", arguments).await;
    assert_eq!(made["created"], true, "{made}");
    assert_eq!(made["workspace_name"], "mia/made");
    assert_eq!(
        (made.get("agent_status"), made.get("startup_scripts")),
        (None, None),
        "{made}"
    );
    let shown = harness
        .ok("chat", "execute", json!({ "command": "cat size; echo $COLOUR" }))
        .await;
    assert_eq!(shown["output"], "3\nblue\n");
    let ended = harness.storage.ended.lock().unwrap().clone();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].startup(), StartupOutcome::Succeeded);
    assert!(ended[0].log.contains("setting up blue\n"), "{}", ended[0].log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails_leaves_a_workspace_that_can_be_worked_in() {
    let harness = with(TemplateSpec {
        startup_script: "echo no such thing >&2; exit 3".to_owned(),
        ..local()
    })
    .await;
    let made = harness.ok("chat", "create_workspace", template()).await;
    assert_eq!(made["startup_scripts"], "startup_scripts_failed", "{made}");
    assert_eq!(made["lifecycle_state"], "start_error");
    let ended = harness.storage.ended.lock().unwrap().clone();
    assert!(
        ended[0].log.contains("no such thing") && ended[0].log.contains("exit code 3"),
        "{}",
        ended[0].log
    );
    assert_eq!(
        harness.ok("chat", "execute", json!({ "command": "echo up" })).await["output"],
        "up\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_does_not_end_is_ended() {
    let harness = with(TemplateSpec {
        startup_script: "echo begun; sleep 600".to_owned(),
        startup_timeout_ms: 500,
        ..local()
    })
    .await;
    let made = harness.ok("chat", "create_workspace", template()).await;
    assert_eq!(made["startup_scripts"], "startup_scripts_timeout", "{made}");
    let running = harness
        .ok(
            "chat",
            "execute",
            json!({ "command": "ps -eo args | grep -c '[s]leep 600' || true" }),
        )
        .await;
    assert_eq!(running["output"], "0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cluster_a_pod_is_refused_with_the_setting_that_is_missing() {
    let harness = with(TemplateSpec {
        backend: TemplateBackend::Kubernetes.into(),
        ..TemplateSpec::default()
    })
    .await;
    let told = harness.ok("chat", "create_workspace", template()).await;
    assert!(told["error"].to_string().contains("kubernetes.enabled"), "{told}");
    let ended = harness.storage.ended.lock().unwrap().clone();
    assert!(ended[0].error.contains("no Kubernetes backend"), "{}", ended[0].error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_workspace_says_how_to_start_it_and_keeps_its_files() {
    let harness = with(local()).await;
    harness.ok("chat", "create_workspace", template()).await;
    harness
        .ok("chat", "write_file", json!({ "path": "a", "content": "kept" }))
        .await;
    let stopped = harness.ok("chat", "stop_workspace", json!({})).await;
    assert!(
        stopped["stopped"] == true && stopped["build_id"].is_string(),
        "{stopped}"
    );
    let again = harness.ok("chat", "stop_workspace", json!({})).await;
    assert_eq!(
        (&again["stopped"], &again["no_build"]),
        (&json!(true), &json!(true)),
        "{again}"
    );
    let refused = harness.error("chat", "read_file", json!({ "path": "a" })).await;
    assert!(refused.contains("start_workspace"), "{refused}");
    let told = harness.ok("chat", "create_workspace", template()).await;
    assert_eq!(
        (&told["created"], &told["status"]),
        (&json!(false), &json!("stopped")),
        "{told}"
    );
    let started = harness.ok("chat", "start_workspace", json!({})).await;
    assert!(
        started["started"] == true && started["build_id"].is_string(),
        "{started}"
    );
    assert_eq!(
        harness.ok("chat", "read_file", json!({ "path": "a" })).await["content"],
        "1\tkept"
    );
    let again = harness.ok("chat", "start_workspace", json!({})).await;
    assert_eq!(again["no_build"], true, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_what_runs() {
    let harness = with(local()).await;
    harness.ok("chat", "create_workspace", template()).await;
    let command = "while true; do date > beat; sleep 0.1; done";
    harness
        .ok(
            "chat",
            "execute",
            json!({ "command": command, "run_in_background": true }),
        )
        .await;
    let beat = harness.home("chat").join("beat");
    let begun = async {
        while !beat.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), begun).await.unwrap();
    harness.ok("chat", "stop_workspace", json!({})).await;
    std::fs::remove_file(&beat).unwrap();
    // Long enough for several beats, if there were any.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!beat.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_makings_at_once_make_one_workspace() {
    let harness = with(local()).await;
    let (one, two) = tokio::join!(
        harness.ok("chat", "create_workspace", template()),
        harness.ok("chat", "create_workspace", template())
    );
    let made = [&one, &two].iter().filter(|made| made["created"] == true).count();
    assert_eq!(made, 1, "{one} {two}");
    let told = if one["created"] == true { two } else { one };
    assert_eq!(told["status"], "already_exists", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_connected_is_told_from_a_stopped_one() {
    let harness = with(TemplateSpec {
        backend: TemplateBackend::External.into(),
        ..TemplateSpec::default()
    })
    .await;
    let made = harness.ok("chat", "create_workspace", template()).await;
    assert_eq!(made["agent_status"], "not_ready", "{made}");
    let refused = harness.error("chat", "execute", json!({ "command": "true" })).await;
    assert!(
        refused.contains("has not connected yet") && refused.contains("tandem agent"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_none_are_refused_before_anything_is_made() {
    let harness = with(local()).await;
    let refused = harness
        .error("chat", "create_workspace", json!({ "template_id": "local" }))
        .await;
    assert!(refused.contains("template_id must be a uuid"), "{refused}");
    let arguments = json!({ "template_id": Uuid::new_v4(), "preset_id": "best" });
    let refused = harness.error("chat", "create_workspace", arguments).await;
    assert!(refused.contains("preset_id"), "{refused}");
    assert!(harness.storage.workspaces.lock().unwrap().is_empty());
    let refused = harness.error("chat", "start_workspace", json!({})).await;
    assert!(refused.contains("create_workspace"), "{refused}");
}
