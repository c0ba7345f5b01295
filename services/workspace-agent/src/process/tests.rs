//! Real processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_chassis::clock;
use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::{
    OperationErrorKind as Kind, ProcessSignal, ProcessSnapshot, SignalProcess, StartProcess,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::files::Root;
use crate::setup;

const TIME: Duration = Duration::from_secs(20);

fn manager() -> (TempDir, Arc<Manager>) {
    let home = tempfile::tempdir().unwrap();
    let root = Arc::new(Root::open(home.path()).unwrap());
    (home, Manager::new(root, Arc::new(clock::System), None))
}

fn command(id: &str, command: &str) -> StartProcess {
    StartProcess {
        process_id: id.to_owned(),
        command: command.to_owned(),
        ..StartProcess::default()
    }
}

async fn ended(manager: &Manager, id: &str) -> ProcessSnapshot {
    let process = manager.find("chat", id).unwrap();
    wait(&process, TIME, None).await
}

#[tokio::test]
async fn a_process_runs_in_the_home_directory_with_a_clean_environment() {
    let (home, manager) = manager();
    manager.start("chat", command("a", "pwd; env; exit 3")).unwrap();
    let snapshot = ended(&manager, "a").await;
    assert_eq!((snapshot.exit_code, snapshot.is_running), (3, false));
    let home = home.path().canonicalize().unwrap();
    assert!(snapshot.output.starts_with(&format!("{}\n", home.display())));
    assert!(snapshot.output.contains("TANDEM_CHAT_ID=chat\n") && snapshot.output.contains(".tmp\n"));
    assert!(!snapshot.output.contains("CARGO"), "{}", snapshot.output);
}

#[tokio::test]
async fn the_same_id_starts_one_process() {
    let (home, manager) = manager();
    assert!(
        !manager
            .start("chat", command("a", "echo x >> count"))
            .unwrap()
            .is_existing
    );
    assert!(
        manager
            .start("chat", command("a", "echo x >> count"))
            .unwrap()
            .is_existing
    );
    ended(&manager, "a").await;
    assert!(
        manager
            .start("chat", command("a", "echo x >> count"))
            .unwrap()
            .is_existing
    );
    assert_eq!(std::fs::read_to_string(home.path().join("count")).unwrap(), "x\n");
    assert_eq!(
        manager.start("chat", command("a", "other")).unwrap_err().kind,
        Kind::Conflict
    );
    assert_eq!(
        manager
            .start("another", command("a", "echo x >> count"))
            .unwrap_err()
            .kind,
        Kind::Conflict
    );
}

#[tokio::test]
async fn a_signal_reaches_the_whole_group() {
    let (_home, manager) = manager();
    manager
        .start("chat", command("a", "sleep 60 & sleep 60 & wait"))
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let kill = SignalProcess {
        process_id: "a".to_owned(),
        signal: ProcessSignal::Kill.into(),
    };
    assert_eq!(manager.signal("other", &kill).unwrap_err().kind, Kind::NotFound);
    manager.signal("chat", &kill).unwrap();
    let begun = Instant::now();
    assert_eq!(ended(&manager, "a").await.exit_code, -1);
    // The pipe closes at once only when nobody of the group holds it.
    assert!(begun.elapsed() < Duration::from_millis(400));
    assert_eq!(manager.signal("chat", &kill).unwrap_err().kind, Kind::Conflict);
}

#[tokio::test]
async fn something_left_behind_does_not_hold_the_shells_end() {
    let (_home, manager) = manager();
    manager.start("chat", command("a", "sleep 30 & echo done")).unwrap();
    let begun = Instant::now();
    let snapshot = ended(&manager, "a").await;
    assert_eq!((snapshot.exit_code, &*snapshot.output), (0, "done\n"));
    assert!(begun.elapsed() < Duration::from_secs(10));
    manager.kill_all();
}

#[tokio::test]
async fn a_wait_ends_at_its_timeout_and_the_process_goes_on() {
    let (_home, manager) = manager();
    manager.start("chat", command("a", "echo begun; sleep 60")).unwrap();
    let process = manager.find("chat", "a").unwrap();
    let snapshot = wait(&process, Duration::from_millis(200), None).await;
    assert!(snapshot.is_running && snapshot.exited_at.is_none());
    assert_eq!(snapshot.output, "begun\n");
    manager.kill_all();
    assert!(!ended(&manager, "a").await.is_running);
}

#[tokio::test]
async fn limits_are_refusals_and_ended_processes_make_room() {
    let (_home, manager) = manager();
    for index in 0..64 {
        manager
            .start("chat", command(&format!("s{index}"), "sleep 60"))
            .unwrap();
    }
    assert_eq!(
        manager.start("chat", command("more", "true")).unwrap_err().kind,
        Kind::Limit
    );
    assert_eq!(manager.list("chat").processes.len(), 10);
    manager.kill_all();
    for index in 0..64 {
        ended(&manager, &format!("s{index}")).await;
    }
    for index in 0..300 {
        let id = format!("t{index}");
        manager.start("chat", command(&id, "true")).unwrap();
        ended(&manager, &id).await;
    }
    assert_eq!(manager.find("chat", "s0").err().unwrap().kind, Kind::NotFound);
}

#[tokio::test]
async fn bad_commands_are_refused() {
    let (_home, manager) = manager();
    let long = "x".repeat(129 * 1024);
    for text in ["", "  ", "a\0b", &long] {
        assert_eq!(
            manager.start("chat", command("a", text)).unwrap_err().kind,
            Kind::Invalid
        );
    }
    let somewhere = StartProcess {
        working_directory: "missing".to_owned(),
        ..command("a", "true")
    };
    assert_eq!(manager.start("chat", somewhere).unwrap_err().kind, Kind::NotFound);
}

/// Follows a process from `from_position` on; what was passed on, and where the next one goes on.
async fn followed(process: &Process, timeout: Duration, from_position: u64) -> (String, u64) {
    let (link, mut passed_on) = mpsc::channel(64);
    let outlet = Outlet {
        operation_id: 1,
        link: &link,
        from_position,
    };
    wait(process, timeout, Some(outlet)).await;
    drop(link);
    let (mut text, mut next) = (String::new(), from_position);
    while let Some(request) = passed_on.recv().await {
        if let Some(Message::Chunk(chunk)) = request.message {
            text += &chunk.output;
            next = chunk.next_position;
        }
    }
    (text, next)
}

#[tokio::test]
async fn whoever_follows_goes_on_where_the_last_wait_stood() {
    let (home, manager) = manager();
    // The first half of a letter, the other half when it is asked for.
    let script = "printf 'one \\303'; while [ ! -e go ]; do sleep 0.02; done; printf '\\266 two'";
    manager.start("chat", command("a", script)).unwrap();
    let process = manager.find("chat", "a").unwrap();
    let (mut text, mut position) = (String::new(), 0);
    while text.is_empty() {
        (text, position) = followed(&process, Duration::from_millis(100), 0).await;
    }
    assert_eq!((text.as_str(), position), ("one ", 4));
    std::fs::write(home.path().join("go"), "").unwrap();
    assert_eq!(followed(&process, TIME, position).await, ("ö two".to_owned(), 10));
    assert_eq!(followed(&process, TIME, 10).await, (String::new(), 10));
    // A place that is not there.
    assert_eq!(followed(&process, TIME, 1_000).await, (String::new(), 1_000));
}

#[tokio::test]
async fn the_signal_that_ended_a_process_is_told() {
    let (_home, manager) = manager();
    manager.start("chat", command("a", "kill -9 $$")).unwrap();
    let snapshot = ended(&manager, "a").await;
    assert_eq!((snapshot.exit_code, snapshot.exit_signal), (-1, 9));
    assert_eq!(snapshot.out_of_memory_kills, 0);
}

#[tokio::test]
async fn who_is_killed_on_request_was_not_killed_for_want_of_memory() {
    let home = tempfile::tempdir().unwrap();
    let counted = tempfile::tempdir().unwrap();
    let events = counted.path().join("memory.events");
    std::fs::write(&events, "oom_kill 0\n").unwrap();
    let memory = Memory::open(Some(&setup::Memory {
        events: events.clone(),
        limit_bytes: 1 << 20,
    }));
    let root = Arc::new(Root::open(home.path()).unwrap());
    let manager = Manager::new(root, Arc::new(clock::System), memory);
    for id in ["asked", "all", "kernel"] {
        let script = format!("while [ ! -e {id} ]; do sleep 0.02; done; kill -9 $$");
        manager.start("chat", command(id, &script)).unwrap();
    }
    // Somebody else's.
    std::fs::write(&events, "oom_kill 1\n").unwrap();
    std::fs::write(home.path().join("kernel"), "").unwrap();
    let kernel = ended(&manager, "kernel").await;
    assert_eq!((kernel.exit_signal, kernel.out_of_memory_kills), (9, 1));
    let kill = SignalProcess {
        process_id: "asked".to_owned(),
        signal: ProcessSignal::Kill.into(),
    };
    manager.signal("chat", &kill).unwrap();
    manager.kill_all();
    for id in ["asked", "all"] {
        let killed = ended(&manager, id).await;
        assert_eq!((killed.exit_signal, killed.out_of_memory_kills), (9, 0), "{id}");
    }
}
