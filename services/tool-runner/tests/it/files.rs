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

#[tokio::test(flavor = "multi_thread")]
async fn a_flat_list_of_edits_is_all_or_nothing_too() {
    let harness = Harness::start().await;
    for path in ["a", "b"] {
        harness
            .ok("chat", "write_file", json!({"path": path, "content": "one\n\ttwo\n"}))
            .await;
    }
    let edit = |path: &str, old: &str, new: &str| json!({"path": path, "old_text": old, "new_text": new});
    let wrong = json!({"edits": [edit("a", "one", "1"), edit("b", "three", "3"), edit("a", "1", "I")]});
    let text = harness.error("chat", "edit_files", wrong).await;
    assert!(
        text.contains("No line of the search was found anywhere") && text.ends_with("No edits were applied."),
        "{text}"
    );
    let right = json!({"edits": [edit("a", "one", "1"), edit("b", "  two", "  2"), edit("a", "1", "I")]});
    let edited = harness.ok("chat", "edit_files", right).await;
    let paths: Vec<_> = edited["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["path"])
        .collect();
    assert_eq!(paths, ["a", "b"]);
    let home = harness.home("chat");
    assert_eq!(std::fs::read_to_string(home.join("a")).unwrap(), "I\n\ttwo\n");
    assert_eq!(std::fs::read_to_string(home.join("b")).unwrap(), "one\n\t2\n");
    // The ending newline of a file and its mode are the file's.
    let twice = r#"{"path":"a","path":"b","content":"x"}"#;
    let answer = harness.call_text("chat", "twice", "write_file", twice).await;
    assert!(
        answer.value().as_str().unwrap().contains("is given twice"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_attached_once_however_often_the_call_is_begun() {
    let harness = Harness::start().await;
    let png = "printf '\\211PNG\\r\\n\\032\\n....' > shot.png; printf x > empty.txt; : > empty.txt; printf '<svg/>' > a.svg; head -c 10485761 /dev/zero > large";
    harness.ok("chat", "execute", json!({"command": png})).await;
    let arguments = json!({"path": "shot.png", "name": "Screen.png"});
    let first = harness
        .call("chat", "1", "attach_file", arguments.clone())
        .await
        .unwrap()
        .value();
    let file_id = first["file_id"].as_str().unwrap().to_owned();
    let expected = json!({
        "ok": true, "path": "shot.png", "file_id": file_id, "name": "Screen.png", "media_type": "image/png", "size": 12,
    });
    assert_eq!(first, expected);
    // As a crash between the effect and its record would leave it; the file has changed since.
    harness
        .ok("chat", "write_file", json!({"path": "shot.png", "content": "text"}))
        .await;
    harness.forget_result("chat", "1");
    let again = harness.call("chat", "1", "attach_file", arguments).await.unwrap();
    assert_eq!(again.value()["file_id"], file_id);
    {
        let files = harness.storage.files.lock().unwrap();
        assert_eq!(files.len(), 1);
        let (_, kept) = files.values().next().unwrap();
        assert_eq!(
            (kept.name.as_str(), kept.media_type.as_str(), kept.data.len()),
            ("Screen.png", "image/png", 12)
        );
    }
    for (path, expected) in [
        ("empty.txt", "is empty"),
        ("a.svg", "image/svg+xml cannot be attached"),
        ("large", "exceeds the size limit of 10 MiB"),
        ("missing", "does not exist"),
        ("/etc/passwd", "outside the workspace"),
        (".", "not a file"),
    ] {
        let text = harness.error("chat", "attach_file", json!({"path": path})).await;
        assert!(text.contains(expected), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_names_and_contents_that_deceive_are_read_and_attached_as_what_they_are() {
    let harness = Harness::start().await;
    harness.ok("chat", "execute", json!({"command": "true"})).await;
    let home = harness.home("chat");
    let files: [(&str, &[u8], &str, &str); 6] = [
        ("-rf", b"dash", "-rf", "text/plain"),
        ("a\nb.txt", b"line end", "ab.txt", "text/plain"),
        (
            "invoice\u{202e}fdp.exe",
            b"turned around",
            "invoicefdp.exe",
            "text/plain",
        ),
        (
            "$(touch ran)`touch ran`.md",
            b"# run",
            "$(touch ran)`touch ran`.md",
            "text/markdown",
        ),
        (
            "C:\\w\\a.html",
            b"<html><script>alert(1)</script>",
            "a.html",
            "text/plain",
        ),
        ("pic.js", b"GIF89a/*\0*/=1;alert(1)", "pic.js", "image/gif"),
    ];
    for (path, content, name, media_type) in files {
        std::fs::write(home.join(path), content).unwrap();
        let read = harness.ok("chat", "read_file", json!({"path": path})).await;
        let shown = String::from_utf8_lossy(content).replace('\0', "\u{fffd}");
        assert_eq!(read["content"], format!("1\t{shown}"), "{path:?}");
        let attached = harness.ok("chat", "attach_file", json!({"path": path})).await;
        assert_eq!(
            (&attached["name"], &attached["media_type"]),
            (&json!(name), &json!(media_type)),
            "{path:?}"
        );
    }
    // A name of the model's own leads nowhere either.
    let asked = json!({"path": "-rf", "name": "../../\u{202e}etc/passwd"});
    assert_eq!(harness.ok("chat", "attach_file", asked).await["name"], "passwd");
    let kept = harness.storage.files.lock().unwrap();
    assert!(
        kept.values()
            .all(|(_, file)| !file.name.contains(['/', '\n', '\u{202e}']))
    );
    assert!(!home.join("ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planning_turn_writes_and_proposes_its_plan_and_nothing_else() {
    let harness = Harness::start().await;
    harness.ok("chat", "execute", json!({"command": "true"})).await;
    let plan = harness.home("chat").join(".tandem/plans/PLAN-chat.md");
    let plan_path = plan.to_str().unwrap();
    let text = harness.plan_error("chat", "propose_plan", json!({})).await;
    assert!(text.contains("does not exist"), "{text}");
    for path in ["a.md", "plan.md", ".tandem/plans/PLAN-other.md"] {
        let text = harness
            .plan_error("chat", "write_file", json!({"path": path, "content": "x"}))
            .await;
        assert!(text.contains(plan_path), "{text}");
    }
    harness
        .plan("chat", "write_file", json!({"path": plan_path, "content": " \n"}))
        .await;
    let text = harness.plan_error("chat", "propose_plan", json!({})).await;
    assert!(text.contains("the plan file is empty"), "{text}");
    harness
        .plan(
            "chat",
            "write_file",
            json!({"path": plan_path, "content": "x".repeat(32 * 1024 + 1)}),
        )
        .await;
    let text = harness.plan_error("chat", "propose_plan", json!({})).await;
    assert!(text.contains("exceeds 32 KiB size limit"), "{text}");
    harness
        .plan("chat", "write_file", json!({"path": plan_path, "content": "# Plan\n"}))
        .await;
    let text = harness
        .plan_error("chat", "propose_plan", json!({"path": "other.md"}))
        .await;
    assert!(text.contains(plan_path), "{text}");
    let proposed = harness.plan("chat", "propose_plan", json!({"path": plan_path})).await;
    assert_eq!(
        (&proposed["kind"], &proposed["path"], &proposed["media_type"]),
        (&json!("plan"), &json!(plan_path), &json!("text/markdown"))
    );
    let kept = harness.storage.files.lock().unwrap().values().next().unwrap().1.clone();
    assert_eq!(
        (kept.name.as_str(), kept.data.as_slice()),
        ("PLAN-chat.md", &b"# Plan\n"[..])
    );
    // A link in place of the plan, or of its directory.
    for link in [
        "ln -sf $HOME/a.md .tandem/plans/PLAN-chat.md",
        "echo x > .tandem/plans/PLAN-chat.md; mv .tandem/plans real; ln -s ../real .tandem/plans",
    ] {
        harness
            .ok(
                "chat",
                "execute",
                json!({"command": format!("echo kept > a.md; {link}")}),
            )
            .await;
        let text = harness
            .plan_error("chat", "write_file", json!({"path": plan_path, "content": "x"}))
            .await;
        assert!(text.contains("symbolic link"), "{text}");
        let text = harness.plan_error("chat", "propose_plan", json!({})).await;
        assert!(text.contains("symbolic link"), "{text}");
        harness
            .ok(
                "chat",
                "execute",
                json!({"command": "rm -f .tandem/plans/PLAN-chat.md"}),
            )
            .await;
    }
    assert_eq!(
        std::fs::read_to_string(harness.home("chat").join("a.md")).unwrap(),
        "kept\n"
    );
    // Outside of planning there is nothing to propose.
    let text = harness.error("chat", "propose_plan", json!({})).await;
    assert!(text.contains("may not be used in this turn"), "{text}");
}
