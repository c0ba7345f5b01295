//! Real child processes, on a real file.

use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use super::*;

mod reference;

/// A server in a few lines. What it does wrong is its first argument; the second names a file for its process ids.
const SERVER: &str = r#"
import json, os, subprocess, sys, time
fault = sys.argv[1]
child = subprocess.Popen(["sleep", "600"])
with open(sys.argv[2], "w") as f:
    f.write(f"{os.getpid()} {child.pid}")
print("starting up, this line is no message", flush=True)
def say(m):
    print(json.dumps(m), flush=True)
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m: continue
    r = {"jsonrpc": "2.0", "id": m["id"]}
    if m["method"] == "initialize":
        if fault == "dies":
            print("no such luck", file=sys.stderr, flush=True)
            sys.exit(3)
        say(r | {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}})
    elif m["method"] == "tools/list":
        say(r | {"result": {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in ["echo", "env", "crash", "flood", "refuse", "fail", "hang"]]}})
    elif m["method"] == "tools/call":
        name = m["params"]["name"]
        if name == "crash":
            sys.exit(1)
        if name == "flood":
            while True: sys.stdout.write("x" * 65536)
        if name == "hang":
            open("hanging", "w").close()
            continue
        if name == "refuse":
            say(r | {"error": {"code": -32602, "message": "not like this"}})
            continue
        if name == "fail":
            say(r | {"error": {"code": -32603, "message": "broke halfway"}})
            continue
        shown = dict(os.environ) if name == "env" else m["params"]
        say(r | {"result": {"content": [{"type": "text", "text": json.dumps(shown)}]}})
"#;

struct World {
    directory: TempDir,
    manager: Arc<Manager>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("server.py"), SERVER).unwrap();
        let files = Arc::new(Root::open(directory.path()).unwrap());
        Self {
            manager: Manager::new(files),
            directory,
        }
    }

    fn ids(&self) -> PathBuf {
        self.directory.path().join("ids")
    }

    fn entry(&self, fault: &str) -> Value {
        json!({"command": "python3", "args": ["server.py", fault, self.ids()], "env": {"WHERE": "${HOME}/x"}})
    }

    fn write(&self, servers: Value) {
        let file = json!({"mcpServers": servers}).to_string();
        std::fs::write(self.directory.path().join(".mcp.json"), file).unwrap();
    }

    async fn list(&self, approved: &[Vec<u8>]) -> ListMcpToolsResult {
        let request = ListMcpTools {
            approved_digests: approved.to_vec(),
            is_refresh: true,
        };
        self.manager.list(request).await.unwrap()
    }

    /// Writes one server and approves it.
    async fn approved(&self, fault: &str) -> (Vec<u8>, ListMcpToolsResult) {
        self.write(json!({"s": self.entry(fault)}));
        let digest = self.list(&[]).await.servers[0].digest.clone();
        let listed = self.list(std::slice::from_ref(&digest)).await;
        (digest, listed)
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<String, Failure> {
        let request = CallMcpTool {
            name: name.to_owned(),
            arguments_json: arguments.to_string(),
            tool_call_id: "call_1".to_owned(),
        };
        let result = self.manager.call(request).await?;
        let result: Value = serde_json::from_str(&result.result_json).unwrap();
        Ok(result["content"][0]["text"].as_str().unwrap().to_owned())
    }

    fn process_ids(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.ids()).unwrap();
        text.split(' ').map(|id| id.parse().unwrap()).collect()
    }

    /// Waits until none of these processes runs.
    async fn gone(&self, ids: &[i32]) {
        let is_running = |id: &i32| {
            let line = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let state = line.rsplit_once(')').map(|(_, rest)| rest.trim_start().to_owned());
            state.is_some_and(|state| !state.starts_with('Z') && !state.is_empty())
        };
        let gone = async {
            while ids.iter().any(is_running) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_started_before_that_very_definition_is_approved_and_it_ends_with_its_approval() {
    let world = World::new();
    world.write(json!({"s": world.entry("none"), "bad": {"command": 1}}));
    let listed = world.list(&[vec![0; 32]]).await;
    let states: Vec<WorkspaceMcpState> = listed.servers.iter().map(WorkspaceMcpServer::state).collect();
    assert_eq!(
        states,
        [WorkspaceMcpState::Invalid, WorkspaceMcpState::AwaitingApproval]
    );
    assert!(listed.tools.is_empty() && !world.ids().exists(), "nothing ran");
    let digest = listed.servers[1].digest.clone();

    let listed = world.list(std::slice::from_ref(&digest)).await;
    assert_eq!(listed.servers[1].state(), WorkspaceMcpState::Connected, "{listed:?}");
    assert_eq!(listed.tools.len(), 7);
    assert_eq!(listed.tools[0].name, "s__crash");
    let said: Value = serde_json::from_str(&world.call("s__echo", json!({"a": 1})).await.unwrap()).unwrap();
    assert_eq!(said["arguments"], json!({"a": 1}));
    assert_eq!(said["_meta"]["com.coder/tool_call_id"], "call_1");
    let said: Value = serde_json::from_str(&world.call("s__env", json!({})).await.unwrap()).unwrap();
    let home = world.manager.files.home().display().to_string();
    assert_eq!(said["WHERE"], format!("{home}/x"));
    assert!(said.get("CARGO").is_none(), "nothing of ours is in its environment");

    let ids = world.process_ids();
    std::fs::remove_file(world.ids()).unwrap();
    world.write(json!({"s": world.entry("other")}));
    let listed = world.list(std::slice::from_ref(&digest)).await;
    assert_eq!(listed.servers[0].state(), WorkspaceMcpState::AwaitingApproval);
    world.gone(&ids).await;
    assert!(!world.ids().exists(), "the changed definition was not started");
    let refused = world.call("s__echo", json!({})).await.unwrap_err();
    assert_eq!(refused.kind, OperationErrorKind::NotFound);
}

#[tokio::test]
async fn an_approval_that_is_taken_back_ends_the_server_with_its_children() {
    let world = World::new();
    let (_, listed) = world.approved("none").await;
    assert_eq!(listed.tools.len(), 7, "{listed:?}");
    let ids = world.process_ids();
    assert_eq!(ids.len(), 2);
    world.list(&[]).await;
    world.gone(&ids).await;
}

#[tokio::test]
async fn a_call_under_way_keeps_no_server_whose_approval_is_taken_back() {
    let world = World::new();
    world.approved("none").await;
    let ids = world.process_ids();
    let taking_back = async {
        while !world.directory.path().join("hanging").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.list(&[]).await;
        world.gone(&ids).await;
    };
    // Far sooner than a call that is not answered.
    let both = async { tokio::join!(world.call("s__hang", json!({})), taking_back) };
    let (called, ()) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    let refused = called.unwrap_err();
    assert_eq!(refused.kind, OperationErrorKind::Io, "it may have acted");
    assert!(refused.message.contains("not approved"), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_stays_the_same_stays_connected() {
    let world = World::new();
    let (digest, _) = world.approved("none").await;
    let before = world.process_ids();
    world.write(json!({"other": {"command": "x"}, "s": world.entry("none")}));
    let listed = world.list(std::slice::from_ref(&digest)).await;
    assert_eq!(listed.servers.len(), 2);
    assert_eq!(world.process_ids(), before);
}

#[tokio::test]
async fn what_a_server_does_wrong_is_told_apart_by_whether_it_may_have_acted() {
    let world = World::new();
    let (digest, _) = world.approved("none").await;
    for (tool, kind, words) in [
        ("s__refuse", OperationErrorKind::Invalid, "not like this"),
        ("s__fail", OperationErrorKind::Io, "broke halfway"),
        ("s__crash", OperationErrorKind::Io, "process ended"),
    ] {
        let refused = world.call(tool, json!({})).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{tool} {refused:?}");
        assert!(refused.message.contains(words), "{tool} {refused:?}");
    }
    let ids = world.process_ids();
    let listed = world.list(std::slice::from_ref(&digest)).await;
    assert_eq!(
        listed.servers[0].state(),
        WorkspaceMcpState::Connected,
        "it is started again"
    );
    world.gone(&ids).await;

    let flooded = world.call("s__flood", json!({})).await.unwrap_err();
    assert!(flooded.message.contains("larger than"), "{flooded:?}");
    for name in ["none", "s__none", "x__echo", "__echo"] {
        let refused = world.call(name, json!({})).await.unwrap_err();
        assert_eq!(refused.kind, OperationErrorKind::NotFound, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why_and_is_left_alone_for_a_while() {
    let world = World::new();
    let (digest, listed) = world.approved("dies").await;
    assert_eq!(listed.servers[0].state(), WorkspaceMcpState::Failed);
    assert!(listed.servers[0].error.contains("no such luck"), "{listed:?}");
    std::fs::remove_file(world.ids()).unwrap();
    let request = ListMcpTools {
        approved_digests: vec![digest],
        is_refresh: false,
    };
    let listed = world.manager.list(request).await.unwrap();
    assert_eq!(listed.servers[0].state(), WorkspaceMcpState::Failed);
    assert!(!world.ids().exists(), "it was not tried again");

    world.write(json!({"s": {"command": "/does/not/exist"}}));
    let digest = world.list(&[]).await.servers[0].digest.clone();
    let listed = world.list(&[digest]).await;
    assert!(listed.servers[0].error.contains("could not be started"), "{listed:?}");
}

#[tokio::test]
async fn a_hostile_file_names_at_most_what_can_be_shown_and_starts_nothing() {
    let world = World::new();
    let file = world.directory.path().join(".mcp.json");
    let refused = async |what: &str| {
        let listed = tokio::time::timeout(Duration::from_secs(5), world.manager.list(ListMcpTools::default()));
        let listed = listed.await.unwrap_or_else(|_| panic!("{what}: it is waited for"));
        assert!(listed.is_err(), "{what}: {listed:?}");
    };
    for (what, content) in [
        ("lists in lists", "[".repeat(200 * 1024).into_bytes()),
        ("objects in objects", r#"{"mcpServers":"#.repeat(15_000).into_bytes()),
        (
            "no UTF-8",
            b"{\"mcpServers\": {\"\xff\": {\"command\": \"a\"}}}".to_vec(),
        ),
        ("two of them", b"{}{\"mcpServers\": {}}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("a number that is none", b"{\"mcpServers\": 1e999999}".to_vec()),
        ("zeros", vec![0; 1024]),
    ] {
        std::fs::write(&file, content).unwrap();
        refused(what).await;
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refused("a directory").await;
    std::fs::remove_dir(&file).unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&outside, json!({"mcpServers": {"s": {"command": "a"}}}).to_string()).unwrap();
    for target in [
        outside.path().to_str().unwrap(),
        "/dev/zero",
        "/proc/self/environ",
        ".mcp.json",
    ] {
        std::os::unix::fs::symlink(target, &file).unwrap();
        refused(target).await;
        std::fs::remove_file(&file).unwrap();
    }
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    refused("a pipe nobody writes to").await;
    std::fs::remove_file(&file).unwrap();

    let entry = world.entry("none");
    let many = (0..2_000).map(|n| (format!("s{n:04}"), json!({"command": "a"})));
    world.write(Value::Object(many.collect()));
    assert_eq!(world.list(&[]).await.servers.len(), config::MAX_SERVERS);
    world.write(
        json!({"__proto__": entry, "constructor": {"command": "a"}, "s\u{202e}": entry, "..": {"command": "a"}}),
    );
    let listed = world.list(&[]).await;
    assert!(
        listed.servers.iter().all(|server| !server.name.contains('\u{202e}')),
        "{listed:?}"
    );
    // Said twice: what is shown is what would run.
    let twice = r#"{"mcpServers": {"s": {"command": "harmless", "command": "harmful"}}}"#;
    std::fs::write(&file, twice).unwrap();
    let listed = world.list(&[]).await;
    assert_eq!(listed.servers[0].shown, "harmful");
    assert!(listed.tools.is_empty() && !world.ids().exists());
}

#[tokio::test]
async fn a_file_that_is_none_or_nonsense_names_no_server() {
    let world = World::new();
    assert_eq!(world.list(&[]).await, ListMcpToolsResult::default());
    let file = world.directory.path().join(".mcp.json");
    std::fs::write(&file, "{").unwrap();
    assert!(world.manager.list(ListMcpTools::default()).await.is_err());
    std::fs::write(&file, vec![b' '; 300 * 1024]).unwrap();
    assert!(world.manager.list(ListMcpTools::default()).await.is_err());
}
