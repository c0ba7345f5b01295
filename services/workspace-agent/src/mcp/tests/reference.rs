//! The official reference servers, unchanged, over the pipes of a child. `.ci/packages test` installs them.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const NODE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../e2e/mcp/node_modules/@modelcontextprotocol"
);

fn python(program: &str) -> String {
    let home = std::env::var("HOME").unwrap();
    let path = Path::new(&home).join(".cache/tandem/mcp-python/bin").join(program);
    assert!(path.exists(), "{program} is not installed: run `.ci/packages test`");
    path.to_string_lossy().into_owned()
}

fn node(server: &str, arguments: &[&str]) -> Value {
    let program = format!("{NODE}/{server}/dist/index.js");
    assert!(
        Path::new(&program).exists(),
        "{server} is not installed: run `.ci/packages test`"
    );
    let mut all = vec![program.as_str()];
    all.extend(arguments);
    json!({"command": "node", "args": all})
}

impl World {
    /// Approves the only server of the file and returns the names of its tools.
    async fn use_only(&self, entry: Value) -> Vec<String> {
        self.write(json!({"ref": entry}));
        let digest = self.list(&[]).await.servers[0].digest.clone();
        // Interpreters need longer than somebody who asks is kept waiting.
        let connected = async {
            loop {
                let request = ListMcpTools {
                    approved_digests: vec![digest.clone()],
                    is_refresh: false,
                };
                let listed = self.manager.list(request).await.unwrap();
                let server = &listed.servers[0];
                match server.state() {
                    WorkspaceMcpState::Connected => return listed.tools,
                    _ if server.error == "it is still starting" => {}
                    state => panic!("{state:?} {}", server.error),
                }
            }
        };
        let tools = tokio::time::timeout(Duration::from_secs(60), connected).await.unwrap();
        tools.into_iter().map(|tool| tool.name).collect()
    }

    fn home(&self) -> String {
        self.manager.files.home().display().to_string()
    }
}

#[tokio::test]
async fn everything_echoes_and_adds() {
    let world = World::new();
    let names = world.use_only(node("server-everything", &["stdio"])).await;
    assert!(names.contains(&"ref__echo".to_owned()), "{names:?}");
    let said = world
        .call("ref__echo", json!({"message": "hello there"}))
        .await
        .unwrap();
    assert!(said.contains("hello there"), "{said}");
    let sum = world.call("ref__get-sum", json!({"a": 2, "b": 40})).await.unwrap();
    assert!(sum.contains("42"), "{sum}");
}

#[tokio::test]
async fn filesystem_writes_and_reads_what_it_may_and_nothing_else() {
    let world = World::new();
    let home = world.home();
    let names = world.use_only(node("server-filesystem", &[&home])).await;
    assert!(names.contains(&"ref__write_file".to_owned()), "{names:?}");
    let path = format!("{home}/note.txt");
    let arguments = json!({"path": path, "content": "from the server"});
    world.call("ref__write_file", arguments).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "from the server");
    let read = world.call("ref__read_text_file", json!({"path": path})).await.unwrap();
    assert!(read.contains("from the server"), "{read}");
    let outside = world
        .call("ref__read_text_file", json!({"path": "/etc/passwd"}))
        .await
        .unwrap();
    assert!(!outside.contains("root:"), "{outside}");
}

#[tokio::test]
async fn git_shows_the_state_of_a_repository() {
    let world = World::new();
    let home = world.home();
    let made = std::process::Command::new("git")
        .args(["init", "-q", "-b", "main", &home])
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::write(format!("{home}/new.txt"), "new").unwrap();
    let entry = json!({"command": python("mcp-server-git"), "args": ["--repository", home]});
    let names = world.use_only(entry).await;
    assert!(names.contains(&"ref__git_status".to_owned()), "{names:?}");
    let status = world.call("ref__git_status", json!({"repo_path": home})).await.unwrap();
    assert!(status.contains("new.txt"), "{status}");
}

#[tokio::test]
async fn fetch_brings_a_page() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let body = "the page's own words";
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    let entry = json!({"command": python("mcp-server-fetch"), "args": ["--ignore-robots-txt", "--allow-private-ips"]});
    let names = world.use_only(entry).await;
    assert_eq!(names, ["ref__fetch"]);
    let page = world
        .call("ref__fetch", json!({"url": format!("http://{address}/")}))
        .await
        .unwrap();
    assert!(page.contains("the page's own words"), "{page}");
}
