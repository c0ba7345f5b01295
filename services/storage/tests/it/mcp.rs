//! MCP servers, users' tokens for them, and chats that name them.

use tandem_chassis::identity::ServiceName::{Gateway, ToolRunner};
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use crate::harness::{Harness, reason};
use crate::stage::{Stage, sends};

fn server(slug: &str) -> McpServer {
    McpServer {
        id: Uuid::now_v7().to_string(),
        display_name: slug.to_owned(),
        slug: slug.to_owned(),
        url: "https://mcp.example.com/mcp".to_owned(),
        transport: McpTransport::StreamableHttp.into(),
        auth_type: McpAuthType::ApiKey.into(),
        availability: McpAvailability::DefaultOff.into(),
        is_enabled: true,
        sealed_api_key: vec![7; 40],
        ..McpServer::default()
    }
}

async fn create(world: &Harness, admin: &User, server: McpServer) -> Result<McpServer, tonic::Status> {
    let message = CreateMcpServerRequest { server: Some(server) };
    let created = world
        .mcp
        .clone()
        .create_mcp_server(world.by(ToolRunner, admin, message))
        .await?;
    Ok(created.into_inner().server.unwrap())
}

async fn update(world: &Harness, admin: &User, server: McpServer) -> Result<McpServer, tonic::Status> {
    let message = UpdateMcpServerRequest { server: Some(server) };
    let updated = world
        .mcp
        .clone()
        .update_mcp_server(world.by(ToolRunner, admin, message))
        .await?;
    Ok(updated.into_inner().server.unwrap())
}

async fn get(world: &Harness, user: &User, id: &str) -> Result<McpServer, tonic::Status> {
    let message = GetMcpServerRequest {
        server_id: id.to_owned(),
    };
    let found = world
        .mcp
        .clone()
        .get_mcp_server(world.by(ToolRunner, user, message))
        .await?;
    Ok(found.into_inner().server.unwrap())
}

async fn put(world: &Harness, user: &User, server: &str, byte: u8, revision: i64) -> Result<McpToken, tonic::Status> {
    let token = McpToken {
        server_id: server.to_owned(),
        sealed: vec![byte; 40],
        has_refresh_token: true,
        revision,
        ..McpToken::default()
    };
    let message = PutMcpTokenRequest { token: Some(token) };
    let stored = world
        .mcp
        .clone()
        .put_mcp_token(world.by(ToolRunner, user, message))
        .await?;
    Ok(stored.into_inner().token.unwrap())
}

async fn tokens(world: &Harness, user: &User) -> Vec<McpToken> {
    let request = world.by(ToolRunner, user, ListMcpTokensRequest {});
    world
        .mcp
        .clone()
        .list_mcp_tokens(request)
        .await
        .unwrap()
        .into_inner()
        .tokens
}

#[tokio::test]
async fn tool_runner_alone_reads_and_writes_servers() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let user = world.member(&admin, "user").await;
    let stored = create(&world, &admin, server("files")).await.unwrap();
    assert!(
        stored.sealed_api_key.is_empty() && stored.has_api_key,
        "an answer that is kept holds no ciphertext"
    );
    assert_eq!(
        get(&world, &admin, &stored.id).await.unwrap().sealed_api_key,
        vec![7; 40]
    );

    let message = ListMcpServersRequest {};
    let listed = world
        .mcp
        .clone()
        .list_mcp_servers(world.by(Gateway, &admin, message))
        .await;
    assert_eq!(listed.unwrap_err().code(), tonic::Code::PermissionDenied);
    let refused = create(&world, &user, server("mine")).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
    assert_eq!(reason(create(&world, &admin, server("files")).await), "MCP_SLUG_TAKEN");
    for bad in [
        McpServer {
            slug: "a__b".to_owned(),
            ..server("x")
        },
        McpServer {
            transport: 0,
            ..server("x")
        },
        McpServer {
            url: String::new(),
            ..server("x")
        },
        McpServer {
            tool_allow_list: vec![String::new()],
            ..server("x")
        },
    ] {
        assert_eq!(reason(create(&world, &admin, bad).await), "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_disabled_server_is_there_for_administrators_only() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let user = world.member(&admin, "user").await;
    let off = McpServer {
        is_enabled: false,
        ..server("off")
    };
    let stored = create(&world, &admin, off).await.unwrap();
    assert!(get(&world, &admin, &stored.id).await.is_ok());
    assert_eq!(reason(get(&world, &user, &stored.id).await), "MCP_SERVER_NOT_FOUND");
    assert_eq!(
        reason(put(&world, &user, &stored.id, 1, 0).await),
        "MCP_SERVER_NOT_FOUND"
    );
}

#[tokio::test]
async fn of_two_changes_to_one_revision_the_second_is_refused() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let id = create(&world, &admin, server("files")).await.unwrap().id;
    let read = get(&world, &admin, &id).await.unwrap();
    let renamed = McpServer {
        display_name: "Files".to_owned(),
        ..read.clone()
    };
    assert_eq!(update(&world, &admin, renamed).await.unwrap().revision, 2);
    assert_eq!(reason(update(&world, &admin, read).await), "MCP_SERVER_CHANGED");
    assert_eq!(get(&world, &admin, &id).await.unwrap().display_name, "Files");
}

#[tokio::test]
async fn tokens_are_each_users_own_and_go_with_what_they_were_good_for() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let user = world.member(&admin, "user").await;
    let id = create(&world, &admin, server("files")).await.unwrap().id;
    let first = put(&world, &user, &id, 1, 0).await.unwrap();
    assert!(tokens(&world, &admin).await.is_empty());
    let second = put(&world, &user, &id, 2, first.revision).await.unwrap();
    assert_eq!(
        reason(put(&world, &user, &id, 3, first.revision).await),
        "MCP_TOKEN_CHANGED"
    );
    assert_eq!(tokens(&world, &user).await, vec![second]);

    let read = get(&world, &admin, &id).await.unwrap();
    let same = update(
        &world,
        &admin,
        McpServer {
            description: "d".to_owned(),
            ..read
        },
    )
    .await
    .unwrap();
    assert_eq!(tokens(&world, &user).await.len(), 1);
    let moved = McpServer {
        url: "https://elsewhere.example.com/".to_owned(),
        ..same
    };
    update(&world, &admin, moved).await.unwrap();
    assert!(
        tokens(&world, &user).await.is_empty(),
        "a token is not shown to another place"
    );

    put(&world, &user, &id, 4, 0).await.unwrap();
    let message = DeleteMcpServerRequest { server_id: id };
    let request = world.by(ToolRunner, &admin, message.clone());
    world.mcp.clone().delete_mcp_server(request).await.unwrap();
    assert!(tokens(&world, &user).await.is_empty());
    let again = world
        .mcp
        .clone()
        .delete_mcp_server(world.by(ToolRunner, &admin, message))
        .await;
    assert_eq!(reason(again), "MCP_SERVER_NOT_FOUND");
}

#[tokio::test]
async fn a_chat_names_enabled_servers_and_keeps_those_that_are_gone() {
    let stage = Stage::start().await;
    let one = create(&stage.world, &stage.admin, server("one")).await.unwrap().id;
    let two = create(&stage.world, &stage.admin, server("two")).await.unwrap().id;
    let chat = stage.waiting("hello").await;
    let naming = |ids: Vec<String>| SendMessageRequest {
        mcp_server_ids: Some(IdSet { ids }),
        ..sends(&chat, "next", BusyBehavior::Queue)
    };
    stage
        .send_message(&stage.admin, naming(vec![one.clone(), one.clone()]))
        .await
        .unwrap();
    assert_eq!(stage.get(&chat).await.mcp_server_ids, vec![one.clone()]);

    let message = DeleteMcpServerRequest { server_id: one.clone() };
    let request = stage.world.by(ToolRunner, &stage.admin, message);
    stage.world.mcp.clone().delete_mcp_server(request).await.unwrap();
    stage
        .send_message(&stage.admin, naming(vec![one.clone(), two.clone()]))
        .await
        .unwrap();
    assert_eq!(stage.get(&chat).await.mcp_server_ids, vec![one, two]);
    let unknown = stage
        .send_message(&stage.admin, naming(vec![Uuid::new_v4().to_string()]))
        .await;
    assert_eq!(reason(unknown), "INVALID_REQUEST");
}

fn pin(name: &str, byte: u8) -> McpToolPin {
    McpToolPin {
        name: name.to_owned(),
        digest: vec![byte; 32],
        description: format!("{name} {byte}"),
        input_schema_json: "{}".to_owned(),
        ..McpToolPin::default()
    }
}

#[tokio::test]
async fn a_definition_stays_as_it_was_first_seen_until_an_administrator_accepts_another() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let user = world.member(&admin, "user").await;
    let id = create(&world, &admin, server("files")).await.unwrap().id;
    let put = async |user: &User, pins: Vec<McpToolPin>, is_approval: bool| {
        let message = PutMcpToolPinsRequest {
            server_id: id.clone(),
            pins,
            is_approval,
        };
        let stored = world
            .mcp
            .clone()
            .put_mcp_tool_pins(world.by(ToolRunner, user, message))
            .await?;
        Ok::<_, tonic::Status>(stored.into_inner().pins)
    };
    let first = put(&user, vec![pin("b", 1), pin("a", 1)], false).await.unwrap();
    assert_eq!(first, [pin("a", 1), pin("b", 1)]);
    let again = put(&user, vec![pin("a", 2)], false).await.unwrap();
    assert_eq!(again, first, "the first one counts");
    let refused = put(&user, vec![pin("a", 2)], true).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
    let accepted = put(&admin, vec![pin("a", 2)], true).await.unwrap();
    assert_eq!(
        (accepted[0].digest[0], accepted[0].approved_by.as_str()),
        (2, admin.id.to_string().as_str())
    );
    let short = McpToolPin {
        digest: vec![1],
        ..pin("c", 1)
    };
    let refused = put(&user, vec![short], false).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_workspaces_servers_are_approved_by_its_owner_alone() {
    let stage = Stage::start().await;
    let (world, owner) = (&stage.world, &stage.admin);
    let chat = stage.chat("hello").await;
    let other = world.member(owner, "other").await;
    let message = EnsureChatWorkspaceRequest { chat_id: chat.clone() };
    let ensured = world
        .workspaces
        .clone()
        .ensure_chat_workspace(world.by(ToolRunner, owner, message))
        .await
        .unwrap();
    let workspace_id = ensured.into_inner().workspace.unwrap().id;
    let put = async |user: &User, byte: u8| {
        let approval = WorkspaceMcpApproval {
            digest: vec![byte; 32],
            name: "own".to_owned(),
            shown: format!("server {byte}"),
            created_at: None,
        };
        let message = PutWorkspaceMcpApprovalRequest {
            workspace_id: workspace_id.clone(),
            approval: Some(approval),
        };
        let request = world.by(ToolRunner, user, message);
        world.mcp.clone().put_workspace_mcp_approval(request).await
    };
    let list = async |user: &User| {
        let message = ListWorkspaceMcpApprovalsRequest {
            workspace_id: workspace_id.clone(),
        };
        let request = world.by(ToolRunner, user, message);
        let listed = world.mcp.clone().list_workspace_mcp_approvals(request).await?;
        let approvals = listed.into_inner().approvals.into_iter();
        Ok::<_, tonic::Status>(approvals.map(|approval| approval.shown).collect::<Vec<_>>())
    };
    put(owner, 1).await.unwrap();
    put(owner, 2).await.unwrap();
    put(owner, 1).await.unwrap();
    assert_eq!(list(owner).await.unwrap(), ["server 1", "server 2"]);
    assert_eq!(reason(put(&other, 3).await), "WORKSPACE_NOT_FOUND");
    assert_eq!(reason(list(&other).await), "WORKSPACE_NOT_FOUND");
    let message = DeleteWorkspaceMcpApprovalRequest {
        workspace_id: workspace_id.clone(),
        digest: vec![1; 32],
    };
    let request = world.by(ToolRunner, owner, message);
    world.mcp.clone().delete_workspace_mcp_approval(request).await.unwrap();
    assert_eq!(list(owner).await.unwrap(), ["server 2"]);
    for byte in 3..80 {
        put(owner, byte).await.unwrap();
    }
    let kept = list(owner).await.unwrap();
    assert_eq!((kept.len(), kept[0].as_str()), (64, "server 79"));
}

#[tokio::test]
async fn a_chat_remembers_the_tools_it_has_found() {
    let stage = Stage::start().await;
    let (world, owner) = (&stage.world, &stage.admin);
    let chat = stage.chat("hello").await;
    let put = async |names: Vec<String>| {
        let message = PutFoundMcpToolsRequest {
            chat_id: chat.clone(),
            names,
        };
        let request = world.by(ToolRunner, owner, message);
        world.mcp.clone().put_found_mcp_tools(request).await
    };
    put(vec!["b__x".to_owned(), "a__x".to_owned(), "b__x".to_owned()])
        .await
        .unwrap();
    put((0..64).map(|n| format!("n__{n:02}")).collect()).await.unwrap();
    put(vec!["a__x".to_owned()]).await.unwrap();
    assert!(put(Vec::new()).await.is_err() && put(vec![String::new()]).await.is_err());
    let message = ListFoundMcpToolsRequest { chat_id: chat.clone() };
    let request = world.by(ToolRunner, owner, message);
    let found = world.mcp.clone().list_found_mcp_tools(request).await.unwrap();
    let names = found.into_inner().names;
    assert_eq!((names.len(), names[0].as_str()), (64, "a__x"));
}
