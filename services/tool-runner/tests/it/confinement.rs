//! What a process in a workspace can see and touch.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};

use serde_json::{Value, json};
use tandem_tool_runner::{Config, Network};

use crate::harness::Harness;
use crate::stub::Storage;

mod attempts;

/// Whether the host keeps this.
async fn keeps(harness: &Harness, name: &str) -> bool {
    let mechanisms = harness.mechanisms().await;
    mechanisms
        .iter()
        .any(|mechanism| mechanism.name == name && mechanism.is_enforced)
}

/// A drill that cannot run here says so.
#[expect(clippy::print_stderr, reason = "whoever reads the drills must see what was not run")]
fn not_run(what: &str) {
    eprintln!("not run: {what}");
}

/// Runs a command to its end.
async fn run(harness: &Harness, chat: &str, command: &str) -> Value {
    let arguments = json!({"command": command, "timeout": "20s"});
    harness.ok(chat, "execute", arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_has_nothing_of_ours() {
    let harness = Harness::start().await;
    let value = harness.ok("chat", "execute", json!({"command": "env | sort"})).await;
    let output = value["output"].as_str().unwrap();
    let variables = output.lines().filter_map(|line| line.split_once('='));
    let ours: Vec<&str> = variables
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("TANDEM"))
        .collect();
    // Who it is, and where its agent listens inside the workspace.
    let expected = [
        "TANDEM_AGENT_SOCKET",
        "TANDEM_ASKPASS",
        "TANDEM_CHAT_AGENT",
        "TANDEM_CHAT_ID",
    ];
    assert_eq!(ours, expected);
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

#[tokio::test(flavor = "multi_thread")]
async fn forty_ways_out_lead_nowhere() {
    let harness = Harness::start().await;
    if !keeps(&harness, "namespaces").await || !keeps(&harness, "user").await {
        return not_run("ways out of a workspace: this host has no namespaces, or gives no users");
    }
    run(&harness, "chat", "true").await;
    let outside = harness.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o777)).unwrap();
    let secret = outside.join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o666)).unwrap();
    let socket = UnixListener::bind(outside.join("socket")).unwrap();
    std::fs::set_permissions(outside.join("socket"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let all = attempts::all(&outside);
    assert!(all.len() >= 40, "{}", all.len());
    let mut escapes = Vec::new();
    for (what, command) in &all {
        let value = run(&harness, "chat", command).await;
        let output = value["output"].as_str().unwrap_or_default();
        // Each succeeds only if it got out, and shows the secret only if it could read it.
        if value["success"] != false || output.contains("s3cret") {
            escapes.push(format!("{what}: {value}"));
        }
    }
    assert!(escapes.is_empty(), "{} escapes:\n{}", escapes.len(), escapes.join("\n"));
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "s3cret");
    let mut names: Vec<_> = std::fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["secret", "socket"]);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.accept().is_err(), "somebody came through the socket");
    // The workspace is as usable as before.
    assert_eq!(run(&harness, "chat", "echo fine").await["output"], "fine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_of_two_chats_have_nothing_in_common() {
    let harness = Harness::start().await;
    if !keeps(&harness, "namespaces").await || !keeps(&harness, "user").await {
        return not_run("two workspaces: this host has no namespaces, or gives no users");
    }
    let leave = "echo s3cret > mine; echo s3cret > /tmp/shared; echo s3cret > /dev/shm/shared; chmod 666 mine /tmp/shared /dev/shm/shared";
    assert_eq!(run(&harness, "one", leave).await["success"], true);
    harness
        .ok(
            "one",
            "execute",
            json!({"command": "sh -c 'sleep 1000; true' s3cret", "run_in_background": true}),
        )
        .await;
    let home = harness.home("one");
    let ids: Vec<String> = ["one", "two"].map(str::to_owned).into();
    let mut users = Vec::new();
    for chat in &ids {
        users.push(run(&harness, chat, "id -u").await["output"].clone());
    }
    assert_ne!(users[0], users[1]);
    for command in [
        format!("cat {0}/mine || ls {0}", home.display()),
        "cat /tmp/shared".to_owned(),
        "cat /dev/shm/shared".to_owned(),
        "grep -a '[s]3cret' /proc/[0-9]*/cmdline".to_owned(),
        "grep -a '[s]3cret' /tmp/* /dev/shm/* /proc/keys".to_owned(),
        format!("echo x > {}/theirs", home.display()),
        "pkill -9 sleep".to_owned(),
    ] {
        let value = run(&harness, "two", &command).await;
        let output = value["output"].as_str().unwrap_or_default();
        assert!(
            value["success"] == false && !output.contains("s3cret"),
            "{command}: {value}"
        );
    }
    let listed = harness.ok("one", "process_list", json!({})).await;
    assert_eq!(listed["processes"][0]["running"], true, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_without_a_network_reaches_nothing_and_works() {
    let mut config = Config::default();
    config.limits.network = Network::None;
    let open = Harness::start().await;
    if !keeps(&open, "namespaces").await {
        return not_run("no network: this host has no namespaces");
    }
    assert!(!keeps(&open, "network").await);
    let harness = Harness::start_config(Storage::default(), tempfile::tempdir().unwrap(), config).await;
    assert!(keeps(&harness, "network").await);
    // Something to reach on this machine, by address and by an abstract name.
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let name = format!("tandem-{}", uuid::Uuid::new_v4());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let mut places: Vec<(String, u16)> = [
        "127.0.0.1",
        "0.0.0.0",
        "localhost",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
    ]
    .map(|host| (host.to_owned(), port))
    .into();
    for host in [
        "1.1.1.1",
        "8.8.8.8",
        "9.9.9.9",
        "2606:4700:4700::1111",
        "::1",
        "example.com",
        "a.b.c.d.example.org",
        "metadata.google.internal",
    ] {
        for port in [53, 80, 443] {
            places.push((host.to_owned(), port));
        }
    }
    let own = own_address();
    places.extend(own.iter().map(|host| (host.clone(), port)));
    let script = r#"
import json, socket, sys
reached = []
for host, port in json.loads(sys.argv[1]):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            for family, _, proto, _, address in socket.getaddrinfo(host, port, type=kind):
                s = socket.socket(family, kind, proto); s.settimeout(1); s.connect(address); s.send(b'x')
                if kind == socket.SOCK_DGRAM: s.recv(1)
                reached.append((host, port))
        except OSError: pass
try:
    s = socket.socket(socket.AF_UNIX); s.connect('\0' + sys.argv[2]); reached.append('abstract socket')
except OSError: pass
print('reached', reached)
"#;
    harness
        .ok("chat", "write_file", json!({"path": "reach.py", "content": script}))
        .await;
    let command = format!("python3 reach.py '{}' {name}", serde_json::to_string(&places).unwrap());
    let value = harness
        .ok("chat", "execute", json!({"command": command, "timeout": "60s"}))
        .await;
    if value["exit_code"] == 127 {
        return not_run("no network: there is no python3 to try with");
    }
    assert_eq!(value["output"], "reached []\n", "{value}");
    assert!(places.len() >= 30, "{}", places.len());
    udp.set_nonblocking(true).unwrap();
    assert!(udp.recv(&mut [0; 8]).is_err());
    // An open workspace reaches the listener: what was tried above could have worked.
    open.ok("chat", "write_file", json!({"path": "reach.py", "content": script}))
        .await;
    let here = serde_json::to_string(&[("127.0.0.1", port)]).unwrap();
    let value = open
        .ok(
            "chat",
            "execute",
            json!({"command": format!("python3 reach.py '{here}' x"), "timeout": "20s"}),
        )
        .await;
    assert!(value["output"].as_str().unwrap().contains("127.0.0.1"), "{value}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_memory_limit_kills_is_told_as_such() {
    let mut config = Config::default();
    config.limits.max_memory_bytes = 96 << 20;
    let harness = Harness::start_config(Storage::default(), tempfile::tempdir().unwrap(), config).await;
    if !keeps(&harness, "cgroup").await {
        return not_run("out of memory: this host has no control groups to give");
    }
    // Without an end of a line it keeps all it has read: as the command itself, and as a program of the shell.
    for command in ["exec tail /dev/zero", "tail /dev/zero; exit $?"] {
        let value = run(&harness, "chat", command).await;
        assert_eq!(
            value["error"], "killed: out of memory (limit 96 MiB)",
            "{command}: {value}"
        );
        assert_eq!(
            (&value["success"], &value["error_kind"]),
            (&json!(false), &json!("oom_killed"))
        );
    }
    let value = run(&harness, "chat", "tail /dev/zero; exit 3").await;
    assert_eq!(
        (&value["exit_code"], &value["error"]),
        (&json!(3), &Value::Null),
        "{value}"
    );
    assert!(
        value["note"].as_str().unwrap().contains("killed: out of memory"),
        "{value}"
    );
    let value = run(&harness, "chat", "kill -9 $$").await;
    assert_eq!(
        (&value["exit_code"], &value["error"]),
        (&json!(-1), &Value::Null),
        "{value}"
    );
    let listed = harness.ok("chat", "process_list", json!({})).await;
    let told = listed["processes"].as_array().unwrap().iter();
    assert_eq!(
        told.filter(|process| process["error"].is_string()).count(),
        2,
        "{listed}"
    );
    // The workspace is as usable as before.
    assert_eq!(run(&harness, "chat", "echo fine").await["output"], "fine\n");
}

/// The address this machine has towards others, if any.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: connecting only chooses a route.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}
