//! Shell commands and their processes.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_and_its_output_is_shown_live_and_in_the_result() {
    let harness = Harness::start().await;
    let answer = harness.call(
        "chat",
        "1",
        "execute",
        json!({"command": "echo hello; sleep 0.3; echo wörld >&2; exit 3"}),
    );
    let answer = answer.await.unwrap();
    let value = answer.value();
    assert!(!answer.outcome.is_error);
    assert_eq!(value["output"], "hello\nwörld\n");
    assert_eq!((&value["success"], &value["exit_code"]), (&json!(false), &json!(3)));
    assert!(value["wall_duration_ms"].as_i64().unwrap() >= 300);
    assert_eq!(answer.live, "hello\nwörld\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_goes_on_in_the_background() {
    let harness = Harness::start().await;
    let command = json!({"command": "echo begun; sleep 1.5; echo done", "timeout": "300ms"});
    let value = harness.ok("chat", "execute", command).await;
    assert_eq!((&value["success"], &value["exit_code"]), (&json!(false), &json!(-1)));
    assert!(
        value["error"].as_str().unwrap().contains("timed out after 300ms"),
        "{value}"
    );
    assert_eq!(value["output"], "begun\n");
    let id = value["background_process_id"].clone();
    let still = harness
        .ok(
            "chat",
            "process_output",
            json!({"process_id": id, "wait_timeout": "0s"}),
        )
        .await;
    assert_eq!(still["note"], "process is still running");
    let value = harness.ok("chat", "process_output", json!({"process_id": id})).await;
    assert_eq!(
        (&value["success"], &value["output"]),
        (&json!(true), &json!("begun\ndone\n"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn background_processes_are_listed_and_signalled_by_their_own_chat_only() {
    let harness = Harness::start().await;
    let value = harness.ok("chat", "execute", json!({"command": "sleep 60 &"})).await;
    let id = value["background_process_id"].as_str().unwrap().to_owned();
    let listed = harness.ok("chat", "process_list", json!({})).await;
    assert_eq!(listed["processes"][0]["id"], id);
    assert_eq!(
        (&listed["processes"][0]["command"], &listed["processes"][0]["running"]),
        (&json!("sleep 60"), &json!(true))
    );

    // A second chat in the same workspace.
    let workspace = harness.storage.workspaces.lock().unwrap()["chat"].clone();
    harness
        .storage
        .workspaces
        .lock()
        .unwrap()
        .insert("other".to_owned(), workspace);
    assert_eq!(
        harness.ok("other", "process_list", json!({})).await["processes"],
        json!([])
    );
    let refused = harness
        .error("other", "process_signal", json!({"process_id": id, "signal": "kill"}))
        .await;
    assert!(refused.contains("no process"), "{refused}");

    harness
        .ok(
            "chat",
            "process_signal",
            json!({"process_id": id, "signal": "terminate"}),
        )
        .await;
    let value = harness.ok("chat", "process_output", json!({"process_id": id})).await;
    assert_eq!(value["exit_code"], -1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_call_ends_everything_it_started() {
    let harness = Harness::start().await;
    let command = json!({"command": "trap '' TERM; (while :; do date +%N > beat; sleep 0.05; done) & wait; sleep 60", "timeout": "1m"});
    let call = harness.call("chat", "1", "execute", command);
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        harness.cancel("chat", "1").await
    };
    let (answer, was_running) = tokio::join!(call, cancel);
    assert!(was_running);
    let value = answer.unwrap().value();
    assert_eq!(
        (&value["success"], &value["error"]),
        (&json!(false), &json!("interrupted"))
    );
    let beat = harness.home("chat").join("beat");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = std::fs::read(&beat).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(std::fs::read(&beat).unwrap(), before);
    assert!(!harness.cancel("chat", "1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_bounded() {
    let harness = Harness::start().await;
    let begun = Instant::now();
    let command = json!({"command": "head -c 200000000 /dev/zero | tr '\\0' 'x'; echo; echo end", "timeout": "60s"});
    let answer = harness.call("chat", "1", "execute", command).await.unwrap();
    let value = answer.value();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(answer.outcome.result_json.len() < 64 * 1024);
    assert!(answer.live.len() <= 512 * 1024, "{}", answer.live.len());
    assert_eq!(value["truncated"]["original_bytes"], 200_000_005);
    assert!(value["output"].as_str().unwrap().ends_with("\nend\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_arguments_are_results_that_name_the_field() {
    let harness = Harness::start().await;
    for (tool, arguments, expected) in [
        ("execute", json!({}), "command is required"),
        (
            "execute",
            json!({"command": "true", "timeout": "soon"}),
            "timeout must be a duration",
        ),
        (
            "execute",
            json!({"command": "true", "timeout": "0s"}),
            "timeout must be longer",
        ),
        ("execute", json!([1]), "must be a JSON object"),
        (
            "execute",
            json!({"command": "true", "workdir": "missing"}),
            "does not exist",
        ),
        (
            "process_signal",
            json!({"process_id": "x", "signal": "stop"}),
            "signal must be",
        ),
        ("fly", json!({}), "no tool named"),
        ("advisor", json!({}), "no tool named"),
    ] {
        let text = harness.error("chat", tool, arguments).await;
        assert!(text.contains(expected), "{tool}: {text}");
    }
}
