//! Files of the workspace.

use serde_json::json;

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_read_and_edited() {
    let harness = Harness::start().await;
    let written = harness
        .ok(
            "chat",
            "write_file",
            json!({"path": "src/a.txt", "content": "one\ntwo\n"}),
        )
        .await;
    assert_eq!(written, json!({"ok": true}));
    let absolute = harness.home("chat").join("src/a.txt");
    let read = harness
        .ok("chat", "read_file", json!({"path": absolute, "offset": 2, "limit": 1}))
        .await;
    assert_eq!(
        read,
        json!({"content": "2\ttwo", "file_size": 8, "lines_read": 1, "total_lines": 3})
    );
    let edits = json!({"files": [{"path": "src/a.txt", "edits": [{"search": "two", "replace": "2"}]}]});
    let edited = harness.ok("chat", "edit_files", edits).await;
    assert_eq!(edited["ok"], true);
    let diff = edited["files"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("-two\n+2\n"), "{diff}");
    assert_eq!(std::fs::read_to_string(&absolute).unwrap(), "one\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_edit_leaves_every_file_as_it_was() {
    let harness = Harness::start().await;
    for path in ["a", "b"] {
        harness
            .ok("chat", "write_file", json!({"path": path, "content": "x\n"}))
            .await;
    }
    let edits = json!({"files": [
        {"path": "a", "edits": [{"search": "x", "replace": "y"}]},
        {"path": "b", "edits": [{"search": "missing", "replace": "y"}]},
    ]});
    let text = harness.error("chat", "edit_files", edits).await;
    assert!(
        text.contains("b: edit 1") && text.contains("No edits were applied."),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(harness.home("chat").join("a")).unwrap(), "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_outside_the_workspace_are_refused() {
    let harness = Harness::start().await;
    harness
        .ok(
            "chat",
            "execute",
            json!({"command": "ln -s /etc out; ln -s /etc/passwd file; mkfifo pipe"}),
        )
        .await;
    for path in ["/etc/passwd", "../../x", "out/passwd", "file", "a/../../x"] {
        let text = harness.error("chat", "read_file", json!({"path": path})).await;
        assert!(
            text.contains("outside the workspace") || text.contains("does not exist"),
            "{path}: {text}"
        );
        let text = harness
            .error("chat", "write_file", json!({"path": path, "content": "x"}))
            .await;
        assert!(
            text.contains("outside the workspace") || text.contains("does not exist"),
            "{path}: {text}"
        );
    }
    let text = harness.error("chat", "read_file", json!({"path": "pipe"})).await;
    assert!(text.contains("not a regular file"), "{text}");
}
