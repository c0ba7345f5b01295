//! The agent as a process.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn agent() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-workspace-agent"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn an_agent_without_a_setup_fails() {
    let mut child = agent().spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{}\n").unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn an_agent_that_cannot_reach_its_link_lives_until_its_input_closes() {
    let home = tempfile::tempdir().unwrap();
    let setup = format!(
        r#"{{"link":"unix:{0}/none.sock","workspace_id":"w","token":"t","home":"{0}"}}"#,
        home.path().display()
    );
    let mut child = agent().spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{setup}\n").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None);
    drop(input);
    let closed = Instant::now();
    assert!(child.wait().unwrap().success());
    assert!(closed.elapsed() < Duration::from_secs(5));
}
