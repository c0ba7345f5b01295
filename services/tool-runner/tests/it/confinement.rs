//! What a process in a workspace can see and touch.

use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_has_nothing_of_ours() {
    let harness = Harness::start().await;
    let value = harness.ok("chat", "execute", json!({"command": "env | sort"})).await;
    let output = value["output"].as_str().unwrap();
    let ours: Vec<&str> = output.lines().filter(|line| line.starts_with("TANDEM")).collect();
    assert_eq!(ours, ["TANDEM_CHAT_AGENT=true", "TANDEM_CHAT_ID=chat"]);
    assert!(output.contains("PAGER=cat") && !output.contains("CARGO"), "{output}");
    assert!(
        output.contains(&format!("HOME={}", harness.home("chat").display())),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_workspace_can_be_read_or_written() {
    let harness = Harness::start().await;
    harness
        .ok("chat", "write_file", json!({"path": "own", "content": "mine"}))
        .await;
    let secret = harness.directory.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    harness
        .ok("other", "write_file", json!({"path": "private", "content": "s3cret"}))
        .await;
    let private = harness.home("other").join("private");
    for path in [secret, private] {
        let command = format!("cat {0}; echo x > {0}; echo x > /usr/x; cat own", path.display());
        let value = harness.ok("chat", "execute", json!({"command": command})).await;
        let output = value["output"].as_str().unwrap();
        assert!(output.ends_with("mine") && !output.contains("s3cret"), "{output}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "s3cret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_hides_its_memory_and_root_gives_each_workspace_a_user() {
    let harness = Harness::start().await;
    let script =
        "id -u; for p in /proc/[0-9]*; do cat $p/environ $p/maps; done > /dev/null; grep NoNewPrivs /proc/self/status";
    let value = harness.ok("chat", "execute", json!({"command": script})).await;
    let output = value["output"].as_str().unwrap();
    assert!(output.contains("NoNewPrivs:\t1"), "{output}");
    let owner = std::fs::metadata(harness.home("chat")).unwrap();
    assert_eq!(output.lines().next().unwrap(), owner.uid().to_string());
    assert_eq!(owner.mode() & 0o777, 0o700);

    let mechanisms = harness.mechanisms().await;
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let user = mechanisms.iter().find(|mechanism| mechanism.name == "user").unwrap();
    assert_eq!(user.is_enforced, is_root);
    assert!(mechanisms.iter().any(|mechanism| mechanism.name == "landlock"));
}
