//! What people have accepted: definitions of tools that must not change behind their backs, servers that workspaces name themselves,
//! and what is done in place of too many tools.

use serde_json::{Value, json};
use tandem_proto::storage::v1::{McpAvailability, McpServer, McpTransport};
use tandem_proto::tool::v1::*;
use tonic::Code;

use crate::mcp::{TIME, World, foreign, scope, text};
use crate::mcp_server::Fault;

async fn approve(world: &World, server_id: &str, tools: Vec<McpToolApproval>) -> Result<Vec<McpTool>, tonic::Status> {
    let message = ApproveMcpToolsRequest {
        server_id: server_id.to_owned(),
        tools,
    };
    let request = world
        .harness
        .outbound
        .request(Some(&world.administrator), TIME, message);
    let approved = world.harness.mcp.clone().approve_mcp_tools(request).await?;
    Ok(approved.into_inner().tools)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_becomes_another_is_not_offered_until_an_administrator_accepts_it() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    assert_eq!(world.names(&scope).await, ["stub__delete_all", "stub__echo"]);
    world.stub.set(Fault::OtherDescription);
    assert_eq!(
        world.names(&scope).await,
        ["stub__delete_all"],
        "echo says something else now"
    );
    let refused = world.call("stub__echo", json!({"text": "a"}), &scope).await;
    assert!(
        refused.outcome.is_error && text(&refused).contains("was not accepted"),
        "{refused:?}"
    );
    assert_eq!(world.stub.count("tools/call"), 0);

    let id = &scope.server_ids[0];
    let listed = world.tools(id).await;
    assert_eq!(listed.health.as_ref().map(|health| health.changed_tool_count), Some(1));
    let changed = listed.tools.iter().find(|tool| tool.is_changed).unwrap().clone();
    assert_eq!(changed.name, "echo");
    assert_eq!(changed.accepted_description, "Says what it is told.");
    assert!(changed.description.contains("bcc"), "{changed:?}");

    let seen = |digest: Vec<u8>| {
        vec![McpToolApproval {
            name: "echo".to_owned(),
            digest,
        }]
    };
    let refused = approve(&world, id, seen(vec![0; 32])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    let tools = approve(&world, id, seen(changed.digest)).await.unwrap();
    assert!(tools.iter().all(|tool| !tool.is_changed));
    assert_eq!(world.names(&scope).await, ["stub__delete_all", "stub__echo"]);
    world.stub.set(Fault::None);
    assert_eq!(
        world.names(&scope).await,
        ["stub__delete_all"],
        "the one before is not accepted any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tools_are_searched_for_and_offered_once_found() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    let list = async |context_tokens: i64| {
        let message = ListToolsRequest {
            chat_id: "chat".to_owned(),
            kind: ChatKind::Root.into(),
            is_plan_turn: false,
            mcp: Some(scope.clone()),
            context_tokens,
        };
        let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
        let listed = world.harness.tools.clone().list_tools(request).await.unwrap();
        listed.into_inner()
    };
    assert_eq!(foreign(&list(100_000).await).len(), 2, "there is room for them");
    let small = list(200).await;
    assert!(foreign(&small).is_empty());
    let finder = small.tools.iter().find(|tool| tool.name == "find_tools").unwrap();
    assert!(finder.description.contains("stub (2)"), "{finder:?}");

    let found = world
        .call(
            "find_tools",
            json!({"query": "say what it is told", "limit": 1}),
            &scope,
        )
        .await;
    let found: Value = found.value();
    assert_eq!(found["tools"][0]["name"], "stub__echo", "{found}");
    assert_eq!(found["tools"][0]["input_schema"]["type"], "object", "{found}");
    assert_eq!(found["total"], 2);
    let after = list(200).await;
    assert_eq!(foreign(&after), ["stub__echo"]);
    assert_eq!(after.mcp_server_ids["stub__echo"], scope.server_ids[0]);
    let wrong = world.call("find_tools", json!({}), &scope).await;
    assert!(
        wrong.outcome.is_error && text(&wrong).contains("query must be"),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_the_older_transport_are_used_all_the_same() {
    let world = World::start().await;
    let server = McpServer {
        transport: McpTransport::Sse.into(),
        url: world.stub.url.replace("/mcp", "/sse"),
        ..world.server()
    };
    let view = world.create_with(server, McpSecrets::default()).await.unwrap();
    let scope = scope(&view);
    assert_eq!(world.names(&scope).await, ["stub__delete_all", "stub__echo"]);
    let answer = world.call("stub__echo", json!({"text": "a"}), &scope).await;
    assert!(
        !answer.outcome.is_error && text(&answer).contains(r#""text":"a""#),
        "{answer:?}"
    );
    let refused = world.call("stub__delete_all", json!({}), &scope).await;
    assert!(text(&refused).contains("no such tool (code -32602)"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_through_the_bridge_get_the_tools_their_users_chats_have_unless_told_otherwise() {
    let world = World::start().await;
    let server = |slug: &str, availability: McpAvailability| McpServer {
        slug: slug.to_owned(),
        availability: availability.into(),
        tool_deny_list: vec!["delete.all".to_owned()],
        ..world.server()
    };
    world.create(server("forced", McpAvailability::ForceOn)).await;
    world.create(server("usual", McpAvailability::DefaultOn)).await;
    world.create(server("other", McpAvailability::DefaultOff)).await;
    let harness = &world.harness;
    let ask = |message| harness.bridge_outbound.request(Some(&harness.user), TIME, message);
    let listed = harness
        .bridge
        .clone()
        .list_bridge_tools(ask(ListBridgeToolsRequest {}))
        .await;
    let tools = listed.unwrap().into_inner().tools;
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["bmcp_forced_echo", "bmcp_usual_echo"]);
    assert_eq!(
        (tools[0].server_url.as_str(), tools[0].server_name.as_str()),
        (world.stub.url.as_str(), "forced")
    );

    let call = async |name: &str, arguments_json: &str| {
        let message = CallBridgeToolRequest {
            name: name.to_owned(),
            arguments_json: arguments_json.to_owned(),
            tool_call_id: "toolu_1".to_owned(),
        };
        let request = harness.bridge_outbound.request(Some(&harness.user), TIME, message);
        harness
            .bridge
            .clone()
            .call_bridge_tool(request)
            .await
            .unwrap()
            .into_inner()
    };
    let answer = call("bmcp_usual_echo", r#"{"text": "a"}"#).await;
    assert!(!answer.is_error && answer.text.contains(r#""text":"a""#), "{answer:?}");
    for (name, arguments) in [
        ("bmcp_other_echo", "{}"),
        ("bmcp_usual_delete_all", "{}"),
        ("bmcp_usual_echo", "[]"),
        ("echo", "{}"),
    ] {
        let answer = call(name, arguments).await;
        assert!(
            answer.is_error && !answer.text.is_empty(),
            "{name} {arguments} {answer:?}"
        );
    }
    let request = harness
        .outbound
        .request(Some(&harness.user), TIME, ListBridgeToolsRequest {});
    let refused = harness.bridge.clone().list_bridge_tools(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "only the bridge asks");
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_workspaces_own_server_is_offered_when_its_owner_has_approved_it() {
    let world = World::start().await;
    let harness = &world.harness;
    harness
        .ok("chat", "write_file", json!({"path": "server.py", "content": SERVER}))
        .await;
    let file = json!({"mcpServers": {"own": {"command": "python3", "args": ["server.py"]},
        "stub": {"command": "python3", "args": ["server.py"]}}});
    let file = json!({"path": ".mcp.json", "content": file.to_string()});
    harness.ok("chat", "write_file", file).await;
    world.create(world.server()).await;
    let workspace_id = harness.storage.workspaces.lock().unwrap()["chat"].id.clone();
    let scope = McpScope {
        workspace_id: workspace_id.clone(),
        root_chat_id: "chat".to_owned(),
        ..McpScope::default()
    };
    assert!(world.names(&scope).await.is_empty(), "nothing is approved yet");

    let message = ListWorkspaceMcpServersRequest {
        workspace_id: workspace_id.clone(),
    };
    let request = harness.outbound.request(Some(&harness.user), TIME, message);
    let listed = harness.mcp.clone().list_workspace_mcp_servers(request).await.unwrap();
    let listed = listed.into_inner();
    assert!(listed.is_running && listed.servers.len() == 2, "{listed:?}");
    assert!(listed.servers.iter().all(|server| !server.is_approved));
    for view in &listed.servers {
        let message = ApproveWorkspaceMcpServerRequest {
            workspace_id: workspace_id.clone(),
            digest: view.server.clone().unwrap().digest,
        };
        let request = harness.outbound.request(Some(&harness.user), TIME, message);
        harness.mcp.clone().approve_workspace_mcp_server(request).await.unwrap();
    }
    let names = world.names(&scope).await;
    assert_eq!(
        names,
        ["own__echo", "workspace-stub__echo"],
        "none takes an administrator's name"
    );
    let answer = world.call("own__echo", json!({"a": 1}), &scope).await;
    let said: Value = serde_json::from_str(&text(&answer)).unwrap();
    assert_eq!((&said["name"], &said["arguments"]), (&json!("echo"), &json!({"a": 1})));
    let planning = foreign(&world.list_kind(&scope, ChatKind::Root, true).await);
    assert!(planning.is_empty(), "{planning:?}");

    let message = RevokeWorkspaceMcpServerRequest {
        workspace_id: workspace_id.clone(),
        digest: listed.servers[0].server.clone().unwrap().digest,
    };
    let request = harness.outbound.request(Some(&harness.user), TIME, message);
    harness.mcp.clone().revoke_workspace_mcp_server(request).await.unwrap();
    assert_eq!(world.names(&scope).await, ["workspace-stub__echo"]);

    let message = ApproveWorkspaceMcpServerRequest {
        workspace_id,
        digest: vec![1; 32],
    };
    let request = harness.outbound.request(Some(&harness.user), TIME, message);
    let refused = harness
        .mcp
        .clone()
        .approve_workspace_mcp_server(request)
        .await
        .unwrap_err();
    assert_eq!(
        refused.code(),
        Code::NotFound,
        "only what the file says can be approved"
    );
}
