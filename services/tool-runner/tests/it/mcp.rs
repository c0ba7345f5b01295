//! Tools of MCP servers: offered, run, and kept within bounds whatever the server does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::{McpAuthType, McpAvailability, McpServer, McpTransport, ToolCall, ToolCallState};
use tandem_proto::tool::v1::*;
use tandem_tool_runner::{Config, McpConfig};
use tonic::Status;
use uuid::Uuid;

use crate::harness::{Answer, Harness};
use crate::mcp_server::{Fault, McpStub};
use crate::stub::Storage;

pub const TIME: Duration = Duration::from_secs(30);

pub struct World {
    pub harness: Harness,
    pub stub: McpStub,
    pub administrator: User,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config {
            kek_file: Some(directory.path().join("secrets/kek")),
            create_kek_file: true,
            mcp: McpConfig {
                connect_timeout: Duration::from_secs(3),
                call_timeout: Duration::from_secs(2),
                rest: Duration::from_millis(100),
                ..McpConfig::default()
            },
            ..Config::default()
        };
        change(&mut config);
        Self {
            harness: Harness::start_config(Storage::default(), directory, config).await,
            stub: McpStub::start().await,
            administrator: User {
                id: Uuid::new_v4(),
                is_admin: true,
                organization_ids: Vec::new(),
            },
        }
    }

    pub fn server(&self) -> McpServer {
        McpServer {
            display_name: "Stub".to_owned(),
            slug: "stub".to_owned(),
            url: self.stub.url.clone(),
            transport: McpTransport::StreamableHttp.into(),
            auth_type: McpAuthType::None.into(),
            availability: McpAvailability::DefaultOff.into(),
            is_enabled: true,
            is_pinned: true,
            ..McpServer::default()
        }
    }

    pub async fn create_with(&self, server: McpServer, secrets: McpSecrets) -> Result<McpServerView, Status> {
        let message = CreateMcpServerRequest {
            server: Some(server),
            secrets: Some(secrets),
            access_url: "http://127.0.0.1:1".to_owned(),
        };
        let request = self.harness.outbound.request(Some(&self.administrator), TIME, message);
        let created = self.harness.mcp.clone().create_mcp_server(request).await?;
        Ok(created.into_inner().server.unwrap())
    }

    /// Adds the server and returns the scope of a chat that names it.
    pub async fn create(&self, server: McpServer) -> McpScope {
        let view = self.create_with(server, McpSecrets::default()).await.unwrap();
        scope(&view)
    }

    pub async fn list(&self, scope: &McpScope) -> ListToolsResponse {
        self.list_kind(scope, ChatKind::Root, false).await
    }

    pub async fn list_kind(&self, scope: &McpScope, kind: ChatKind, is_plan_turn: bool) -> ListToolsResponse {
        let message = ListToolsRequest {
            chat_id: "chat".to_owned(),
            kind: kind.into(),
            is_plan_turn,
            mcp: Some(scope.clone()),
            context_tokens: 0,
        };
        let request = self.harness.outbound.request(Some(&self.harness.user), TIME, message);
        self.harness
            .tools
            .clone()
            .list_tools(request)
            .await
            .unwrap()
            .into_inner()
    }

    pub async fn names(&self, scope: &McpScope) -> Vec<String> {
        foreign(&self.list(scope).await)
    }

    pub async fn call(&self, tool: &str, arguments: Value, scope: &McpScope) -> Answer {
        let id = Uuid::new_v4().to_string();
        let call = self.harness.call_with("chat", &id, tool, arguments, scope.clone());
        call.await.unwrap()
    }

    /// Waits until the server has been asked for this.
    async fn asked(&self, method: &str) {
        let asked = async {
            while self.stub.count(method) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIME, asked).await.unwrap();
    }

    pub async fn tools(&self, server_id: &str) -> ListMcpToolsResponse {
        let message = ListMcpToolsRequest {
            server_id: server_id.to_owned(),
        };
        let request = self.harness.outbound.request(Some(&self.administrator), TIME, message);
        self.harness
            .mcp
            .clone()
            .list_mcp_tools(request)
            .await
            .unwrap()
            .into_inner()
    }
}

pub fn scope(view: &McpServerView) -> McpScope {
    McpScope {
        server_ids: vec![view.server.clone().unwrap().id],
        root_chat_id: "root".to_owned(),
        workspace_id: "w".to_owned(),
    }
}

pub fn foreign(listed: &ListToolsResponse) -> Vec<String> {
    let names = listed.tools.iter().map(|tool| tool.name.clone());
    names.filter(|name| name.contains("__")).collect()
}

pub fn text(answer: &Answer) -> String {
    answer.value().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_names_a_server_gets_its_tools_behind_our_own_and_runs_them_in_one_session() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    let listed = world.list(&scope).await;
    assert_eq!(listed.tools[0].name, "read_file");
    assert_eq!(foreign(&listed), ["stub__delete_all", "stub__echo"]);
    assert_eq!(listed.mcp_server_ids["stub__echo"], scope.server_ids[0]);

    let first = world.call("stub__echo", json!({"text": "a"}), &scope).await;
    let second = world.call("stub__echo", json!({"text": "b"}), &scope).await;
    let said = |answer: &Answer| serde_json::from_str::<Value>(&text(answer)).unwrap();
    assert_eq!(said(&first)["arguments"], json!({"text": "a"}));
    assert_eq!(said(&first)["session"], said(&second)["session"]);
    assert_eq!(world.stub.count("initialize"), 1);
    assert!(!first.outcome.is_error && !first.outcome.is_media);

    assert!(
        world.names(&McpScope::default()).await.is_empty(),
        "another chat names none"
    );
    let refused = world.call("stub__echo", json!({}), &McpScope::default()).await;
    assert!(refused.outcome.is_error && text(&refused).contains("no tool named"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_which_server_follows_its_availability_and_the_kind_of_turn() {
    let world = World::start().await;
    let forced = McpServer {
        slug: "forced".to_owned(),
        availability: McpAvailability::ForceOn.into(),
        is_allowed_in_plan_mode: true,
        tool_allow_list: vec!["echo".to_owned()],
        ..world.server()
    };
    world.create(forced).await;
    let named = world
        .create(McpServer {
            slug: "named".to_owned(),
            tool_deny_list: vec!["echo".to_owned()],
            ..world.server()
        })
        .await;
    let disabled = world
        .create(McpServer {
            slug: "off".to_owned(),
            is_enabled: false,
            ..world.server()
        })
        .await;
    let both = McpScope {
        server_ids: [named.server_ids.clone(), disabled.server_ids].concat(),
        ..named
    };
    assert_eq!(world.names(&both).await, ["forced__echo", "named__delete_all"]);
    assert_eq!(world.names(&McpScope::default()).await, ["forced__echo"]);
    let planning = foreign(&world.list_kind(&both, ChatKind::Root, true).await);
    assert_eq!(planning, ["forced__echo"]);
    assert!(foreign(&world.list_kind(&both, ChatKind::Child, true).await).is_empty());
    let exploring = foreign(&world.list_kind(&both, ChatKind::Explore, false).await);
    assert_eq!(exploring, ["named__delete_all"], "what its parent had named");
    let denied = world.call("named__echo", json!({}), &both).await;
    assert!(denied.outcome.is_error && !denied.outcome.is_unknown, "{denied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_the_server_and_nobody_else() {
    let world = World::start().await;
    let server = McpServer {
        auth_type: McpAuthType::ApiKey.into(),
        api_key_header: "X-Key".to_owned(),
        forwards_identity: true,
        has_model_intent: true,
        ..world.server()
    };
    let secrets = McpSecrets {
        api_key: Some("canary-0123456789".to_owned()),
        ..McpSecrets::default()
    };
    let view = world.create_with(server, secrets).await.unwrap();
    assert!(view.server.as_ref().unwrap().has_api_key && !format!("{view:?}").contains("canary"));
    let stored = format!("{:?}", world.harness.storage.servers.lock().unwrap());
    assert!(!stored.contains("canary"));
    let scope = scope(&view);
    world.list(&scope).await;
    let intended = json!({"model_intent": "to see", "properties": {"text": "x"}});
    let answer = world.call("stub__echo", intended, &scope).await;
    assert!(text(&answer).contains(r#""arguments":{"text":"x"}"#), "{answer:?}");
    let headers = world.stub.headers("tools/call");
    assert_eq!(headers["x-key"], "canary-0123456789");
    assert_eq!(headers["x-coder-owner-id"], world.harness.user.id.to_string());
    assert_eq!(headers["x-coder-chat-id"], "root");
    assert_eq!(headers["x-coder-subchat-id"], "chat");
    assert_eq!(headers["x-coder-workspace-id"], "w");

    world.stub.set(Fault::EchoesSecret);
    let tools = world.tools(&scope.server_ids[0]).await;
    let health = tools.health.unwrap();
    assert_eq!(health.outcome(), McpOutcome::Error);
    assert!(
        health.error.contains("401") && health.error.contains("[REDACTED]"),
        "{health:?}"
    );

    let moved = UpdateMcpServerRequest {
        server_id: scope.server_ids[0].clone(),
        changes: Some(McpServerChanges {
            url: Some("http://127.0.0.1:9/mcp".to_owned()),
            ..McpServerChanges::default()
        }),
        secrets: None,
    };
    let request = world.harness.outbound.request(Some(&world.administrator), TIME, moved);
    let refused = world.harness.mcp.clone().update_mcp_server(request).await.unwrap_err();
    assert!(refused.message().contains("enter the API key"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_at_its_start_costs_a_turn_its_tools_and_says_why() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    for (fault, outcome, words) in [
        (Fault::HangsAtStart, McpOutcome::Timeout, "no answer within"),
        (Fault::HangsAtList, McpOutcome::Timeout, "no answer within"),
        (Fault::Redirects, McpOutcome::Error, "redirects are not followed"),
        (Fault::SpeaksHtml, McpOutcome::Error, "neither JSON nor"),
    ] {
        world.stub.set(fault);
        let started = Instant::now();
        assert!(world.names(&scope).await.is_empty(), "{fault:?}");
        assert!(started.elapsed() < Duration::from_secs(15), "{fault:?}");
        let health = world.tools(&scope.server_ids[0]).await.health.unwrap();
        assert_eq!(health.outcome(), outcome, "{fault:?} {health:?}");
        assert!(health.error.contains(words), "{fault:?} {health:?}");
    }
    world.stub.set(Fault::None);
    world.tools(&scope.server_ids[0]).await;
    assert_eq!(
        world.names(&scope).await.len(),
        2,
        "it is used again when it works again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_hostile_server_end_in_words_and_bounded_memory() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    for (fault, words, is_unknown) in [
        (Fault::HangsAtCall, "did not answer within 2 s", true),
        (Fault::FloodsEvents, "larger than 4194304 bytes", true),
        (Fault::FloodsBody, "larger than 4194304 bytes", true),
        (Fault::HugeImage, "larger than 4194304 bytes", true),
        (Fault::EndsEarly, "without an answer", true),
    ] {
        world.stub.set(fault);
        let answer = world.call("stub__echo", json!({"text": "a"}), &scope).await;
        assert!(answer.outcome.is_error, "{fault:?} {answer:?}");
        assert_eq!(answer.outcome.is_unknown, is_unknown, "{fault:?} {answer:?}");
        assert!(text(&answer).contains(words), "{fault:?} {answer:?}");
    }
    world.stub.set(Fault::None);
    let refused = world.call("stub__delete_all", json!({}), &scope).await;
    assert!(text(&refused).contains("no such tool (code -32602)") && !refused.outcome.is_unknown);
    world.stub.set(Fault::AsksBack);
    let answer = world.call("stub__echo", json!({}), &scope).await;
    assert_eq!((text(&answer).as_str(), answer.outcome.is_error), ("asked", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_a_server_that_is_not_pinned_are_listed_as_they_are() {
    let world = World::start().await;
    let scope = world
        .create(McpServer {
            is_pinned: false,
            ..world.server()
        })
        .await;
    world.stub.set(Fault::ChangesTools);
    assert_eq!(world.names(&scope).await, ["stub__tool0"]);
    assert_eq!(world.names(&scope).await, ["stub__tool0", "stub__tool1"]);
    assert_eq!(world.stub.count("initialize"), 1);
    world.stub.set(Fault::EndlessPages);
    assert_eq!(world.names(&scope).await.len(), 16);
    let health = world.tools(&scope.server_ids[0]).await.health.unwrap();
    assert!(health.error.contains("tools were left out"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_the_server_has_forgotten_is_begun_anew() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    assert_eq!(world.names(&scope).await.len(), 2);
    world.stub.set(Fault::ForgetsSession);
    assert_eq!(world.names(&scope).await.len(), 2);
    assert_eq!(world.stub.count("initialize"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_owner_is_gone_is_never_sent_again() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    let arguments = json!({"text": "once"});
    use sha2::{Digest, Sha256};
    let begun = ToolCall {
        tool_call_id: "1".to_owned(),
        chat_id: "chat".to_owned(),
        tool_name: "stub__echo".to_owned(),
        input_digest: Sha256::digest(arguments.to_string()).to_vec(),
        state: ToolCallState::Started.into(),
        ..ToolCall::default()
    };
    let key = ("chat".to_owned(), "1".to_owned());
    world.harness.storage.calls.lock().unwrap().insert(key, begun);
    let call = world
        .harness
        .call_with("chat", "1", "stub__echo", arguments.clone(), scope.clone());
    let answer = call.await.unwrap();
    assert!(answer.outcome.is_unknown && answer.outcome.is_error, "{answer:?}");
    assert_eq!(world.stub.count("tools/call"), 0);

    let first = world
        .harness
        .call_with("chat", "2", "stub__echo", arguments.clone(), scope.clone());
    let first = first.await.unwrap();
    let again = world.harness.call_with("chat", "2", "stub__echo", arguments, scope);
    let again = again.await.unwrap();
    assert!(again.outcome.is_replayed);
    assert_eq!(first.outcome.result_json, again.outcome.result_json);
    assert_eq!(world.stub.count("tools/call"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_call_stops_waiting_and_tells_the_server() {
    let world = World::start_with(|config| config.mcp.call_timeout = TIME).await;
    let scope = world.create(world.server()).await;
    world.list(&scope).await;
    world.stub.set(Fault::HangsAtCall);
    let call = world.harness.call_with("chat", "1", "stub__echo", json!({}), scope);
    let cancel = async {
        world.asked("tools/call").await;
        assert!(world.harness.cancel("chat", "1").await);
    };
    let (answer, ()) = tokio::join!(call, cancel);
    let answer = answer.unwrap();
    assert!(
        answer.outcome.is_unknown && text(&answer).contains("stopped"),
        "{answer:?}"
    );
    world.asked("notifications/cancelled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_never_called_are_refused_at_once_and_at_the_call() {
    let world = World::start().await;
    for url in [
        "http://169.254.169.254/mcp",
        "http://metadata.google.internal/",
        "ftp://h/x",
        "http://u:p@h/x",
    ] {
        let server = McpServer {
            url: url.to_owned(),
            ..world.server()
        };
        let refused = world.create_with(server, McpSecrets::default()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{url}");
    }
    let closed = World::start_with(|config| config.outbound.allow_loopback = false).await;
    // A name passes the text check; what it stands for does not.
    let port = closed.stub.url.rsplit(':').next().unwrap();
    let server = McpServer {
        url: format!("http://localhost:{port}"),
        ..closed.server()
    };
    let view = closed.create_with(server, McpSecrets::default()).await.unwrap();
    let health = closed.tools(&view.server.unwrap().id).await.health.unwrap();
    assert!(health.error.contains("allow_loopback"), "{health:?}");
    assert_eq!(closed.stub.count("initialize"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_configure_servers_and_see_their_addresses() {
    let world = World::start().await;
    let scope = world.create(world.server()).await;
    let message = CreateMcpServerRequest {
        server: Some(world.server()),
        ..CreateMcpServerRequest::default()
    };
    let request = world.harness.outbound.request(Some(&world.harness.user), TIME, message);
    let refused = world.harness.mcp.clone().create_mcp_server(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    world.list(&scope).await;
    let listed = async |user: &User| {
        let request = world
            .harness
            .outbound
            .request(Some(user), TIME, ListMcpServersRequest {});
        let listed = world.harness.mcp.clone().list_mcp_servers(request).await.unwrap();
        listed.into_inner().servers.remove(0)
    };
    let full = listed(&world.administrator).await;
    assert_eq!(full.server.unwrap().url, world.stub.url);
    assert_eq!(full.health.unwrap().tool_count, 2);
    let plain = listed(&world.harness.user).await;
    assert_eq!(plain.server.unwrap().url, "");
    assert!(plain.health.is_none() && plain.is_connected);
}
