//! Commands that flood, hide, stay behind or look for a way out.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::process::getpid;
use serde_json::json;
use tandem_proto::storage::v1::ToolCallState;
use tandem_tool_runner::Config;

use crate::harness::Harness;
use crate::stub::Storage;

/// Most memory an agent may need however much is printed, in KiB.
const MAX_AGENT_KIB: u64 = 64 * 1024;

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

/// Processes that work below `home`; agents only if we may look at them, as root may.
fn processes_in(home: &Path) -> Vec<i32> {
    processes()
        .filter(|id| {
            let directory = std::fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
            *id != getpid().as_raw_nonzero().get() && directory.starts_with(home)
        })
        .collect()
}

fn command_line(id: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// What a process runs.
fn program(id: i32) -> String {
    let line = command_line(id);
    line.split(' ').next().unwrap_or_default().to_owned()
}

/// The session of a process. 0 is one that began outside our process namespace, which is where a container's may have begun.
fn session(id: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Behind the name, which may contain anything: state, parent, group, session.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(3)?.parse().ok()
}

/// Most memory the process ever held, in KiB.
fn peak_kib(id: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Waits until `done`, which must come soon.
async fn soon(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not happen in time");
}

/// Whether the file that a process keeps rewriting has stopped changing.
async fn is_still(beat: &Path) -> bool {
    let before = std::fs::read(beat).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    std::fs::read(beat).unwrap() == before
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_flood_leaves_the_agent_small_and_other_calls_quick() {
    let harness = Harness::start().await;
    harness.ok("chat", "execute", json!({"command": "true"})).await;
    let flood = harness.call(
        "chat",
        "flood",
        "execute",
        json!({"command": "timeout 3 yes", "timeout": "20s"}),
    );
    let others = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let begun = std::time::Instant::now();
        harness
            .ok("chat", "write_file", json!({"path": "beside", "content": "x"}))
            .await;
        begun.elapsed()
    };
    let (flood, beside) = tokio::join!(flood, others);
    let flood = flood.unwrap();
    let value = flood.value();
    assert!(
        value["truncated"]["original_bytes"].as_i64().unwrap() > 1_000_000,
        "{value}"
    );
    assert!(value["output"].as_str().unwrap().len() < 33 * 1024);
    assert!(flood.outcome.result_json.len() < 80 * 1024);
    assert!(beside < Duration::from_secs(5), "{beside:?}");
    // Whichever test's they are: all must stay small.
    let agents: Vec<i32> = processes()
        .filter(|id| program(*id).ends_with("/tandem-workspace-agent"))
        .collect();
    assert!(!agents.is_empty());
    for id in agents {
        assert!(
            peak_kib(id) < MAX_AGENT_KIB,
            "{} KiB: {}",
            peak_kib(id),
            command_line(id)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_no_text_arrives_as_text() {
    let harness = Harness::start().await;
    let command = r"printf 'a\000b\377c\033[31mred\033[0m \342\202'";
    let value = harness.ok("chat", "execute", json!({"command": command})).await;
    let output = value["output"].as_str().unwrap();
    assert!(
        output.starts_with("a\u{fffd}b\u{fffd}c") && output.contains("red"),
        "{output:?}"
    );
    assert!(!output.contains('\0'));
    harness
        .ok("chat", "execute", json!({"command": r"printf 'x\000y' > nul"}))
        .await;
    let read = harness.ok("chat", "read_file", json!({"path": "nul"})).await;
    assert_eq!(read["lines_read"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_a_process_kills_its_whole_tree() {
    let harness = Harness::start().await;
    let tree = "sh -c 'sh -c \"sleep 1000 & sleep 1000\" & sleep 1000' & sleep 1000";
    let value = harness
        .ok("chat", "execute", json!({"command": tree, "run_in_background": true}))
        .await;
    let home = harness.home("chat");
    let sleepers = || {
        processes_in(&home)
            .into_iter()
            .filter(|id| command_line(*id).starts_with("sleep 1000"))
            .count()
    };
    soon("the tree", || sleepers() == 4).await;
    let id = value["background_process_id"].clone();
    harness
        .ok("chat", "process_signal", json!({"process_id": id, "signal": "kill"}))
        .await;
    soon("the end of the tree", || sleepers() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hides_from_its_group_ends_with_the_agent() {
    let harness = Harness::start().await;
    let hidden = "setsid sh -c 'setsid sh -c \"while :; do date +%N > beat; sleep 0.05; done\" &' > /dev/null 2>&1 &";
    harness.ok("chat", "execute", json!({"command": hidden})).await;
    let home = harness.home("chat");
    let beat = home.join("beat");
    soon("the first beat", || beat.exists()).await;
    assert!(!is_still(&beat).await);
    let (_storage, _directory) = harness.stop().await;
    soon("the end of everything", || processes_in(&home).is_empty()).await;
    assert!(is_still(&beat).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_socket_and_the_hosts_processes_are_out_of_reach() {
    let harness = Harness::start().await;
    let directory = harness.directory.path().join("postgres");
    std::fs::create_dir(&directory).unwrap();
    let socket = directory.join(".s.PGSQL.5432");
    let _listener = UnixListener::bind(&socket).unwrap();
    harness.ok("other", "execute", json!({"command": "true"})).await;
    let other = harness.home("other");
    let mechanisms = harness.mechanisms().await;
    let is_apart = mechanisms
        .iter()
        .any(|mechanism| mechanism.is_enforced && ["user", "namespaces"].contains(&&*mechanism.name));
    for (what, command) in [
        (
            "database socket",
            format!(
                "python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{}\")'",
                socket.display()
            ),
        ),
        ("data directory", format!("ls {}", directory.display())),
        ("other workspaces", format!("ls {}", other.display())),
        ("other workspaces' files", format!("echo x > {}/x", other.display())),
        ("the test's process", format!("kill -0 {}", std::process::id())),
        ("the first process's files", "cat /proc/1/root/etc/shadow".to_owned()),
        ("the first process's memory", "cat /proc/1/environ".to_owned()),
        (
            "the test's environment",
            format!("cat /proc/{}/environ", std::process::id()),
        ),
        ("a mount", "mount -t tmpfs none /mnt".to_owned()),
        ("a kernel setting", "echo x > /proc/sys/kernel/core_pattern".to_owned()),
        ("a terminal", "echo x > /dev/tty".to_owned()),
        ("passwords", "cat /etc/shadow".to_owned()),
        ("being root", "su -c true root < /dev/null".to_owned()),
    ] {
        if what == "database socket" && !is_apart {
            // Landlock knows no sockets; the confinement says so.
            continue;
        }
        let value = harness.ok("chat", "execute", json!({"command": command})).await;
        assert_eq!(value["success"], false, "{what}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_workspace_shares_the_session_of_tandem() {
    let harness = Harness::start().await;
    harness
        .ok(
            "chat",
            "execute",
            json!({"command": "sleep 1000", "run_in_background": true}),
        )
        .await;
    let ours = session(getpid().as_raw_nonzero().get()).unwrap();
    let inside = processes_in(&harness.home("chat"));
    let (sharing, apart): (Vec<_>, Vec<_>) = inside
        .into_iter()
        .filter(|id| !command_line(*id).starts_with("bwrap"))
        .filter_map(|id| Some((command_line(id), session(id)?)))
        .partition(|(_, session)| *session == ours);
    assert!(
        sharing.is_empty() && !apart.is_empty(),
        "{sharing:?} share {ours}; apart: {apart:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_owner_is_gone_joins_its_process_again() {
    let harness = Harness::start().await;
    let command = json!({"command": "echo begun >> count; sleep 2; echo done", "timeout": "200ms"});
    let first = harness.call("chat", "1", "execute", command.clone()).await.unwrap();
    assert_eq!(first.value()["success"], false);
    // As a crash between the effect and its record would leave it.
    {
        let mut calls = harness.storage.calls.lock().unwrap();
        let call = calls.get_mut(&("chat".to_owned(), "1".to_owned())).unwrap();
        call.state = ToolCallState::Started.into();
        call.result_json.clear();
    }
    let again = harness.call("chat", "1", "execute", command).await.unwrap();
    assert!(!again.outcome.is_unknown && !again.outcome.is_replayed, "{again:?}");
    let id = again.value()["background_process_id"].clone();
    assert_eq!(first.value()["background_process_id"], id);
    let ended = harness.ok("chat", "process_output", json!({"process_id": id})).await;
    assert_eq!((&ended["success"], &ended["output"]), (&json!(true), &json!("done\n")));
    let count = std::fs::read_to_string(harness.home("chat").join("count")).unwrap();
    assert_eq!(count, "begun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn common_tools_work() {
    let harness = Harness::start().await;
    for (program, command) in [
        (
            "/usr/bin/git",
            "git init -q r && cd r && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m x && git log --oneline",
        ),
        (
            "/usr/bin/python3",
            "python3 -c 'import tempfile, threading; print(tempfile.gettempdir())'",
        ),
        ("/usr/bin/node", "node -e 'console.log(require(\"os\").homedir())'"),
        ("/usr/bin/perl", "perl -e 'print 1'"),
        ("/usr/bin/make", "printf 'all:\n\techo made\n' > Makefile && make"),
        (
            "/usr/bin/cc",
            "printf 'int main(void){return 0;}' > a.c && cc a.c -o a && ./a && echo built",
        ),
    ] {
        if Path::new(program).exists() {
            let value = harness
                .ok("chat", "execute", json!({"command": command, "timeout": "60s"}))
                .await;
            assert_eq!(value["success"], true, "{program}: {value}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_bounded_and_can_be_ended() {
    let mut config = Config::default();
    config.limits.max_processes = 200;
    let harness = Harness::start_config(Storage::default(), tempfile::tempdir().unwrap(), config).await;
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 30";
    let value = harness
        .ok("chat", "execute", json!({"command": bomb, "timeout": "2s"}))
        .await;
    assert_eq!(value["success"], false);
    let home = harness.home("chat");
    let count = processes_in(&home).len();
    assert!(count < 1_000, "{count}");
    // Beside it another workspace has all the processes it wants.
    let beside = "for i in 1 2 3 4 5; do sleep 0.1 & done; wait; echo fine";
    assert_eq!(
        harness.ok("beside", "execute", json!({"command": beside})).await["output"],
        "fine\n"
    );
    let (_storage, _directory) = harness.stop().await;
    soon("the end of the bomb", || processes_in(&home).is_empty()).await;
}

/// How often a drill is repeated.
fn rounds() -> usize {
    std::env::var("TANDEM_DRILL_ROUNDS")
        .unwrap_or_default()
        .parse()
        .unwrap_or(1)
}

/// A drill that cannot run here says so.
#[expect(clippy::print_stderr, reason = "whoever reads the drills must see what was not run")]
fn not_run(what: &str) {
    eprintln!("not run: {what}");
}

/// A tool-runner whose workspaces have 256 MiB, 256 processes and one processor; `None` where the host cannot keep that.
async fn small() -> Option<Harness> {
    let mut config = Config::default();
    config.limits.max_memory_bytes = 256 * 1024 * 1024;
    config.limits.max_processes = 256;
    config.limits.max_cpu_percent = 100;
    let harness = Harness::start_config(Storage::default(), tempfile::tempdir().unwrap(), config).await;
    let mechanisms = harness.mechanisms().await;
    let is_kept = mechanisms
        .iter()
        .any(|mechanism| mechanism.name == "cgroup" && mechanism.is_enforced);
    is_kept.then_some(harness)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_hog_dies_in_its_workspace_alone() {
    let Some(harness) = small().await else {
        return not_run("D22 memory: this host has no control groups for us");
    };
    harness
        .ok(
            "beside",
            "execute",
            json!({"command": "sleep 1000", "run_in_background": true}),
        )
        .await;
    for round in 0..rounds() {
        // Several processes, none of them too large by itself; files in memory count too.
        for hog in [
            "head -c 3000000000 /dev/zero | tail -c 2500000000 > /dev/null",
            "for i in 1 2 3 4 5 6; do (head -c 90000000 /dev/zero | tail -c 80000000 > /dev/null; sleep 1) & done; wait; head -c 400000000 /dev/zero > /dev/shm/x; ls /dev/shm/x && false",
        ] {
            let value = harness
                .ok("chat", "execute", json!({"command": hog, "timeout": "60s"}))
                .await;
            assert_eq!(value["success"], false, "{round}: {value}");
            harness
                .ok("chat", "execute", json!({"command": "rm -f /dev/shm/x"}))
                .await;
            let value = harness.ok("chat", "execute", json!({"command": "echo fine"})).await;
            assert_eq!(value["output"], "fine\n", "{round}: {value}");
        }
    }
    let beside = harness.ok("beside", "process_list", json!({})).await;
    assert_eq!(beside["processes"][0]["running"], true, "{beside}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_leaves_the_next_call_room() {
    let Some(harness) = small().await else {
        return not_run("D22 processes: this host has no control groups for us");
    };
    for round in 0..rounds() {
        let bomb = "bomb() { bomb | bomb & }; bomb; sleep 2";
        let value = harness
            .ok("chat", "execute", json!({"command": bomb, "timeout": "1s"}))
            .await;
        assert_eq!(value["success"], false, "{round}: {value}");
        let home = harness.home("chat");
        let count = processes_in(&home).len();
        assert!(count <= 256, "{round}: {count}");
        let id = value["background_process_id"].clone();
        if id.is_string() {
            // What left its group is ended with the rest when the agent is; the bomb stays in it.
            let kill = json!({"process_id": id, "signal": "kill"});
            let _ = harness
                .call("chat", &format!("kill-{round}"), "process_signal", kill)
                .await
                .unwrap();
        }
        soon("the end of the bomb", || processes_in(&home).len() < 20).await;
        let value = harness.ok("chat", "execute", json!({"command": "echo fine"})).await;
        assert_eq!(value["output"], "fine\n", "{round}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_hog_gets_its_share_and_no_more() {
    let Some(harness) = small().await else {
        return not_run("D22 processor: this host has no control groups for us");
    };
    // The last line of `times` is what the children used: user and system.
    let hog = "for i in 1 2 3 4; do timeout 3 sh -c 'while :; do :; done' & done; wait; times > times; tail -n 1 times";
    let value = harness
        .ok("chat", "execute", json!({"command": hog, "timeout": "60s"}))
        .await;
    let output = value["output"].as_str().unwrap();
    let seconds: f64 = output
        .split_whitespace()
        .filter_map(|time| {
            let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
        })
        .sum();
    let wall = value["wall_duration_ms"].as_f64().unwrap() / 1_000.0;
    assert!(seconds > 0.1, "{value}");
    assert!(seconds < wall * 1.25, "{seconds} s of processor time in {wall} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_many_chats_that_leave_things_behind() {
    let harness = Harness::start().await;
    let chats = if rounds() > 1 { 100 } else { 6 };
    let leave = "setsid sleep 1000 > /dev/null 2>&1 & setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & sleep 1000' > /dev/null 2>&1 & (nohup sleep 1000 &) > /dev/null 2>&1; echo left";
    let mut homes = Vec::new();
    for index in 0..chats {
        let chat = format!("chat{index}");
        let value = harness.ok(&chat, "execute", json!({"command": leave})).await;
        assert_eq!(value["output"], "left\n");
        homes.push(harness.home(&chat));
    }
    let sleepers = || {
        let inside = homes.iter().flat_map(|home| processes_in(home));
        inside.filter(|id| command_line(*id).starts_with("sleep")).count()
    };
    soon("what is left behind", || sleepers() >= chats * 4).await;
    let begun = std::time::Instant::now();
    let (_storage, _directory) = harness.stop().await;
    soon("the end of everything", || {
        homes.iter().all(|home| processes_in(home).is_empty())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
