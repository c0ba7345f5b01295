//! MCP servers, as administrators configure them and chats use them: against a real one, the official reference server.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{RecordedRequest, Reply, Script},
    world::{World, free_address, id_of},
};
use tokio::process::{Child, Command};

use crate::{LIMIT, Result, settled, tools::last_request};

/// Where `.ci/packages test` has installed it.
const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mcp/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
);

/// A running reference server; it ends with this value.
struct Everything {
    url: String,
    _process: Child,
}

impl Everything {
    async fn start() -> Result<Self> {
        let address = free_address()?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let process = Command::new("node")
            .args([PROGRAM, "streamableHttp"])
            .env("PORT", port)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("node could not be started")?;
        let deadline = tokio::time::Instant::now() + LIMIT;
        while tokio::net::TcpStream::connect(("127.0.0.1", port.parse()?))
            .await
            .is_err()
        {
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "the reference server does not listen; is it installed? Run `.ci/packages test`."
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self {
            url: format!("http://127.0.0.1:{port}/mcp"),
            _process: process,
        })
    }

    fn config(&self, change: Value) -> Value {
        let mut config = json!({"display_name": "Everything", "slug": "everything", "transport": "streamable_http",
            "url": self.url, "auth_type": "none", "availability": "default_on", "enabled": true});
        if let (Some(config), Some(change)) = (config.as_object_mut(), change.as_object()) {
            config.extend(change.clone());
        }
        config
    }
}

async fn create(world: &World, config: &Value) -> Result<Value> {
    world.rest().post("/api/v1/mcp/servers", config).await?.expect(201)
}

async fn chat_with(world: &World, server: &Value, text: &str) -> Result<String> {
    let body = json!({"organization_id": world.admin().organization_id, "content": [{"type": "text", "text": text}],
        "mcp_server_ids": [server["id"]]});
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    Ok(id_of(&chat)?.to_owned())
}

#[tokio::test]
async fn a_chat_uses_the_tools_of_the_reference_server() -> Result {
    let (world, everything) = (World::start().await?, Everything::start().await?);
    let server = create(&world, &everything.config(json!({}))).await?;
    let path = format!(
        "/api/v1/mcp/servers/{}/tools",
        server["id"].as_str().unwrap_or_default()
    );
    let offered = world.rest().get(&path).await?.expect(200)?;
    assert_eq!(offered["health"]["outcome"], "connected", "{offered}");
    let names: Vec<&str> = offered["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| tool["offered_name"].as_str())
        .collect();
    assert!(names.contains(&"everything__echo"), "{names:?}");
    assert!(offered["estimated_tokens"].as_i64().unwrap_or(0) > 100, "{offered}");

    let step = Reply::text("Asking.")
        .tool_call_with_id("call_echo", "everything__echo", json!({"message": "hello there"}))
        .tool_call_with_id("call_sum", "everything__get-sum", json!({"a": 2, "b": 40}))
        .tool_call_with_id("call_image", "everything__get-tiny-image", json!({}))
        .tool_call_with_id("call_wrong", "everything__get-sum", json!({"a": "two"}));
    world.fake().script(Script::turn([step, Reply::text("Done.")]));
    let id = chat_with(&world, &server, "Use it").await?;
    settled(&world, &id).await?;

    let request = last_request(&world);
    let results: Vec<(String, String)> = request
        .tool_results()
        .into_iter()
        .map(|(id, text)| (id.to_owned(), text))
        .collect();
    let of = |call: &str| {
        results
            .iter()
            .find(|(id, _)| id == call)
            .map_or("", |(_, text)| text.as_str())
    };
    assert!(of("call_echo").contains("hello there"), "{results:?}");
    assert!(of("call_sum").contains("42"), "{results:?}");
    assert!(of("call_wrong").contains("nvalid"), "{results:?}");

    let messages = world.messages(&id).await?;
    let parts: Vec<&Value> = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten()
        .collect();
    let part = |kind: &str, call: &str| {
        let found = parts
            .iter()
            .find(|part| part["type"] == kind && part["tool_call_id"] == call);
        found.copied().cloned().unwrap_or_default()
    };
    assert_eq!(part("tool-call", "call_echo")["mcp_server_config_id"], server["id"]);
    assert_eq!(part("tool-result", "call_echo")["mcp_server_config_id"], server["id"]);
    let image = part("tool-result", "call_image");
    assert_eq!(image["is_media"], true, "{image}");
    assert_eq!(image["result"]["mime_type"], "image/png", "{image}");
    assert_eq!(part("tool-result", "call_wrong")["is_error"], true);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_program_is_answered_with_the_help_of_tools_it_never_sees() -> Result {
    let world = World::builder()
        .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__INJECT_MCP_TOOLS", "true")
        .start()
        .await?;
    let everything = Everything::start().await?;
    create(&world, &everything.config(json!({}))).await?;
    let call =
        Reply::text("Asking. ").tool_call_with_id("call_sum", "bmcp_everything_get-sum", json!({"a": 2, "b": 40}));
    world.fake().script(Script::turn([call, Reply::text("It is done.")]));
    let body = json!({"model": "fake-model", "stream": true, "messages": [{"role": "user", "content": "Add"}]});
    let answer = world.rest().post("/openai/v1/chat/completions", &body).await?;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(
        answer.text.contains("done") && answer.text.ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text
    );
    assert!(
        !answer.text.contains("bmcp") && !answer.text.contains("tool_calls"),
        "{}",
        answer.text
    );
    let request = last_request(&world);
    let results = request.tool_results();
    assert!(
        results
            .iter()
            .any(|(id, text)| *id == "call_sum" && text.contains("42")),
        "{results:?}"
    );
    world.fake().check_no_rejections()?;

    let recorded = async {
        loop {
            let listed = world.rest().get("/api/v2/aibridge/interceptions").await?.expect(200)?;
            let used = listed["results"][0]["tool_usages"][0].clone();
            if !used.is_null() {
                return anyhow::Ok(used);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let used = tokio::time::timeout(LIMIT, recorded).await??;
    assert_eq!(
        (&used["injected"], &used["invocation_error"]),
        (&json!(true), &json!("")),
        "{used}"
    );
    assert_eq!(used["server_url"], everything.url);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_costs_a_turn_its_tools_and_not_its_answer() -> Result {
    let world = World::start().await?;
    let config = json!({"display_name": "Away", "slug": "away", "transport": "streamable_http",
        "url": format!("http://{}/mcp", free_address()?), "auth_type": "none", "availability": "force_on", "enabled": true});
    let server = create(&world, &config).await?;
    world.fake().script(Script::turn([
        Reply::call("away__echo", json!({})),
        Reply::text("Without it, then."),
    ]));
    let chat = world.create_chat("Hello").await?;
    let shown = settled(&world, id_of(&chat)?).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: Without it, then."),
        "{shown:?}"
    );
    let listed = world.rest().get("/api/v1/mcp/servers").await?.expect(200)?;
    assert_eq!(listed[0]["id"], server["id"]);
    assert_eq!(listed[0]["health"]["outcome"], "error", "{listed}");
    Ok(())
}

#[tokio::test]
async fn servers_are_created_changed_and_deleted_and_their_secrets_never_come_back() -> Result {
    let world = World::start().await?;
    let rest = world.rest();
    let config = json!({"display_name": "Keys", "slug": "keys", "transport": "streamable_http",
        "url": "https://mcp.example.com/mcp", "auth_type": "api_key", "api_key_header": "X-Key",
        "api_key_value": "canary-0123456789", "availability": "default_off", "enabled": true});
    let server = create(&world, &config).await?;
    assert_eq!(
        (&server["has_api_key"], &server["auth_connected"]),
        (&json!(true), &json!(true))
    );
    let path = format!("/api/v1/mcp/servers/{}", server["id"].as_str().unwrap_or_default());

    rest.post("/api/v1/mcp/servers", &config).await?.expect(409)?;
    for (field, value) in [
        ("slug", json!("a__b")),
        ("transport", json!("ws")),
        ("auth_type", json!("basic")),
        ("api_key_value", json!("")),
        ("url", json!("http://169.254.169.254/")),
    ] {
        let mut bad = config.clone();
        bad["slug"] = "other".into();
        bad[field] = value;
        let refused = rest.post("/api/v1/mcp/servers", &bad).await?.expect(400)?;
        assert!(
            refused["validations"].as_array().is_some_and(|all| !all.is_empty()),
            "{field}: {refused}"
        );
    }

    let user = world.create_user("reader").await?;
    let seen = user.rest.get(&path).await?.expect(200)?;
    assert_eq!((&seen["url"], seen.get("api_key_header")), (&json!(""), None));
    user.rest.patch(&path, &json!({"enabled": false})).await?.expect(403)?;
    user.rest.post("/api/v1/mcp/servers", &config).await?.expect(403)?;

    let changed = rest
        .patch(
            &path,
            &json!({"auth_type": "none", "tool_deny_list": ["rm"], "enabled": false}),
        )
        .await?
        .expect(200)?;
    assert_eq!(
        (&changed["has_api_key"], &changed["tool_deny_list"]),
        (&json!(false), &json!(["rm"]))
    );
    user.rest.get(&path).await?.expect(404)?;
    let body = json!({"organization_id": user.organization_id, "content": [{"type": "text", "text": "x"}],
        "mcp_server_ids": [server["id"]]});
    let refused = user.rest.post("/api/v1/chats", &body).await?.expect(400)?;
    assert_eq!(refused["validations"][0]["field"], "mcp_server_ids", "{refused}");

    rest.delete(&path).await?.expect(204)?;
    rest.delete(&path).await?.expect(404)?;
    rest.get("/api/v1/mcp/servers/no-uuid").await?.expect(400)?;
    assert!(!world.logs().contains("canary-0123456789"));
    Ok(())
}

/// A server in a few lines, for workspaces.
const SERVER: &str = r#"
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m: continue
    result = {"initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}},
        "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": json.dumps(m.get("params"))}]}}[m["method"]]
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)
"#;

#[tokio::test]
async fn a_workspaces_own_server_is_used_once_its_owner_has_approved_it() -> Result {
    let world = World::start().await?;
    let rest = world.rest();
    let file = json!({"mcpServers": {"own": {"command": "python3", "args": ["server.py"]}}}).to_string();
    let step = Reply::text("Writing.")
        .tool_call_with_id("call_1", "write_file", json!({"path": "server.py", "content": SERVER}))
        .tool_call_with_id("call_2", "write_file", json!({"path": ".mcp.json", "content": file}));
    world.fake().script(Script::turn([step, Reply::text("Written.")]));
    let chat = world.create_chat("Set it up").await?;
    let id = id_of(&chat)?.to_owned();
    settled(&world, &id).await?;
    let workspace = world.chat(&id).await?["workspace_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let path = format!("/api/v1/mcp/workspaces/{workspace}/servers");
    let listed = rest.get(&path).await?.expect(200)?;
    let server = &listed["servers"][0];
    assert_eq!(
        (&listed["running"], &server["state"], &server["shown"]),
        (&json!(true), &json!("awaiting_approval"), &json!("python3 server.py")),
        "{listed}"
    );
    let stranger = world.create_user("stranger").await?;
    stranger.rest.get(&path).await?.expect(404)?;
    let digest = server["digest"].as_str().unwrap_or_default();
    let approve = format!("{path}/{digest}/approve");
    stranger.rest.post(&approve, &json!({})).await?.expect(404)?;

    world
        .fake()
        .script(Script::turn([Reply::text("There is no such tool.")]));
    world.send(&id, "Use it").await?;
    settled(&world, &id).await?;
    assert!(
        !last_request(&world).tool_names().contains(&"own__echo"),
        "nothing was approved"
    );

    let approved = rest.post(&approve, &json!({})).await?.expect(200)?;
    assert_eq!(approved["servers"][0]["state"], "connected", "{approved}");
    assert_eq!(approved["tools"][0]["name"], "own__echo", "{approved}");
    let call = Reply::text("Asking.").tool_call_with_id("call_3", "own__echo", json!({"word": "hello"}));
    world.fake().script(Script::turn([call, Reply::text("Done.")]));
    world.send(&id, "Use it now").await?;
    settled(&world, &id).await?;
    let request = last_request(&world);
    let said = request.tool_results().into_iter().find(|(call, _)| *call == "call_3");
    assert!(said.is_some_and(|(_, text)| text.contains("hello")), "{request:?}");

    rest.delete(&format!("{path}/{digest}")).await?.expect(204)?;
    let listed = rest.get(&path).await?.expect(200)?;
    assert_eq!(listed["servers"][0]["state"], "awaiting_approval", "{listed}");
    rest.post(&format!("{path}/no-hex/approve"), &json!({}))
        .await?
        .expect(400)?;
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn tools_that_would_take_too_much_of_the_context_are_found_first_and_called_then() -> Result {
    let world = World::builder()
        .env("TANDEM_TOOL_RUNNER__MCP__MAX_CONTEXT_PERCENT", "0")
        .start()
        .await?;
    let everything = Everything::start().await?;
    let server = create(&world, &everything.config(json!({}))).await?;
    world.fake().script(Script::turn([
        Reply::text("Looking.").tool_call_with_id(
            "call_1",
            "find_tools",
            json!({"query": "echo a message", "limit": 1}),
        ),
        Reply::text("Asking.").tool_call_with_id("call_2", "everything__echo", json!({"message": "found you"})),
        Reply::text("Done."),
    ]));
    let id = chat_with(&world, &server, "Use it").await?;
    settled(&world, &id).await?;
    let requests = world.fake().completions();
    let names = |step: usize| requests.get(step).map(RecordedRequest::tool_names).unwrap_or_default();
    assert!(
        names(0).contains(&"find_tools") && !names(0).contains(&"everything__echo"),
        "{:?}",
        names(0)
    );
    assert!(names(1).contains(&"everything__echo"), "{:?}", names(1));
    let said = last_request(&world);
    let said = said.tool_results().into_iter().find(|(call, _)| *call == "call_2");
    assert!(said.is_some_and(|(_, text)| text.contains("found you")));
    world.fake().check_no_rejections()
}
