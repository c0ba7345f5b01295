//! A tool-runner with a stub storage and real agents.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tandem_chassis::client::Outbound;
use tandem_chassis::identity::{ServiceName, ServiceSecret, User};
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::server::Server;
use tandem_chassis::transport::{Address, Listener};
use tandem_chassis::{Runtime, client, tls, with_message_limits};
use tandem_proto::common::v1::ApprovalRequest;
use tandem_proto::storage::v1::ToolCallState;
use tandem_proto::storage::v1::chat_context_service_server::ChatContextServiceServer;
use tandem_proto::storage::v1::file_service_server::FileServiceServer;
use tandem_proto::storage::v1::git_service_server::GitServiceServer;
use tandem_proto::storage::v1::mcp_service_server::McpServiceServer;
use tandem_proto::storage::v1::personal_skill_service_server::PersonalSkillServiceServer;
use tandem_proto::storage::v1::tool_call_service_server::ToolCallServiceServer;
use tandem_proto::storage::v1::workspace_service_server::WorkspaceServiceServer;
use tandem_proto::tool::v1::call_tool_response::Event;
use tandem_proto::tool::v1::context_service_client::ContextServiceClient;
use tandem_proto::tool::v1::git_service_client::GitServiceClient;
use tandem_proto::tool::v1::mcp_admin_service_client::McpAdminServiceClient;
use tandem_proto::tool::v1::mcp_bridge_service_client::McpBridgeServiceClient;
use tandem_proto::tool::v1::tool_service_client::ToolServiceClient;
use tandem_proto::tool::v1::workspace_admin_service_client::WorkspaceAdminServiceClient;
use tandem_proto::tool::v1::{
    CallToolRequest, CallToolResponse, CancelToolCallRequest, ChatKind, ConfinementMechanism, GetConfinementRequest,
    McpScope, ToolOutcome,
};
use tandem_tool_runner::{Config, Peers, run};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use uuid::Uuid;

use crate::stub::Storage;

const TIME: Duration = Duration::from_secs(60);

pub struct Harness {
    pub storage: Storage,
    pub directory: TempDir,
    pub user: User,
    pub outbound: Outbound,
    pub tools: ToolServiceClient<Channel>,
    pub contexts: ContextServiceClient<Channel>,
    pub context: crate::context::Stub,
    pub admin: WorkspaceAdminServiceClient<Channel>,
    pub mcp: McpAdminServiceClient<Channel>,
    pub bridge: McpBridgeServiceClient<Channel>,
    /// Of the bridge, which is provider-gateway's.
    pub bridge_outbound: Outbound,
    pub git: GitServiceClient<Channel>,
    runtime: Runtime,
}

/// What a call showed and how it ended.
#[derive(Debug)]
pub struct Answer {
    pub live: String,
    pub outcome: ToolOutcome,
}

impl Answer {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.outcome.result_json).unwrap()
    }
}

/// The agent's program, built beside the tests.
fn agent() -> String {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(|deps| deps.parent()).unwrap();
    target.join("tandem-workspace-agent").to_string_lossy().into_owned()
}

/// The last event of a call; what comes before it is put into `live`.
async fn end(mut events: Streaming<CallToolResponse>, live: &mut String) -> Result<Event, Status> {
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::OutputDelta(text)) => live.push_str(&text),
            Some(last) => {
                assert!(events.message().await?.is_none(), "something follows {last:?}");
                return Ok(last);
            }
            None => {}
        }
    }
    panic!("no end");
}

/// What a person is asked before the call runs; it has shown nothing.
pub async fn approval(events: Streaming<CallToolResponse>) -> ApprovalRequest {
    let mut live = String::new();
    let end = end(events, &mut live).await.unwrap();
    assert_eq!(live, "");
    match end {
        Event::ApprovalRequired(request) => request,
        other => panic!("nobody is asked: {other:?}"),
    }
}

fn request(chat_id: &str, call_id: &str, tool: &str, arguments_json: String) -> CallToolRequest {
    CallToolRequest {
        chat_id: chat_id.to_owned(),
        epoch: 1,
        tool_call_id: call_id.to_owned(),
        tool_name: tool.to_owned(),
        arguments_json,
        kind: ChatKind::Root.into(),
        ..CallToolRequest::default()
    }
}

impl Harness {
    pub async fn start() -> Self {
        Self::start_with(Storage::default(), tempfile::tempdir().unwrap()).await
    }

    pub async fn start_with(storage: Storage, directory: TempDir) -> Self {
        Self::start_config(storage, directory, Config::default()).await
    }

    /// With settings of the test's own; directories and addresses are the harness's.
    pub async fn start_config(storage: Storage, directory: TempDir, config: Config) -> Self {
        let process = Runtime::new(ServiceSecret::generate().unwrap());
        let name = |what: &str| Address::Memory(format!("{what}-{}", Uuid::new_v4()));
        let (storage_address, tool_address) = (name("storage"), name("tool-runner"));

        let context = crate::context::Stub::default();
        let storage_runtime = process.for_service(ServiceName::Storage);
        let listener = Listener::bind(&storage_address).await.unwrap();
        let server = Server::new(ServiceName::Storage, &storage_runtime)
            .add_service(ToolCallServiceServer::new(storage.clone()))
            .add_service(WorkspaceServiceServer::new(storage.clone()))
            .add_service(GitServiceServer::new(storage.clone()))
            .add_service(McpServiceServer::new(storage.clone()))
            .add_service(with_message_limits!(FileServiceServer::new(storage.clone())))
            .add_service(ChatContextServiceServer::new(context.clone()))
            .add_service(PersonalSkillServiceServer::new(context.clone()))
            .serve(listener, storage_runtime.shutdown.draining());
        process
            .tasks
            .spawn("storage", OnEnd::Expected, async move { server.await.unwrap() });

        let runtime = process.for_service(ServiceName::ToolRunner);
        let listener = Listener::bind(&tool_address).await.unwrap();
        let config = Config {
            peers: Peers {
                storage: storage_address,
            },
            workspaces_dir: directory.path().join("workspaces"),
            agent_command: Some(vec![agent()]),
            ..config
        };
        let running = run(config, listener, runtime.clone());
        process
            .tasks
            .spawn("tool-runner", OnEnd::Expected, async move { running.await.unwrap() });

        let channel = client::channel(&tool_address, &tls::ClientConfig::default()).unwrap();
        let user = User {
            id: Uuid::new_v4(),
            is_admin: false,
            organization_ids: Vec::new(),
        };
        Self {
            storage,
            directory,
            user,
            outbound: process.outbound(ServiceName::Orchestrator),
            tools: ToolServiceClient::new(channel.clone()),
            contexts: ContextServiceClient::new(channel.clone()),
            context,
            admin: WorkspaceAdminServiceClient::new(channel.clone()),
            git: GitServiceClient::new(channel.clone()),
            bridge: McpBridgeServiceClient::new(channel.clone()),
            bridge_outbound: process.outbound(ServiceName::ProviderGateway),
            mcp: McpAdminServiceClient::new(channel),
            runtime,
        }
    }

    /// Stops the tool-runner and gives back what outlives it.
    pub async fn stop(self) -> (Storage, TempDir) {
        self.runtime.shutdown.drain();
        let ended = self.runtime.tasks.finish(TIME).await;
        ended.unwrap();
        (self.storage, self.directory)
    }

    /// What an operator sees.
    pub fn metrics(&self) -> String {
        self.runtime.registry.render()
    }

    pub fn home(&self, chat_id: &str) -> PathBuf {
        let id = self.storage.workspaces.lock().unwrap()[chat_id].id.clone();
        self.directory.path().join("workspaces").join(id)
    }

    pub async fn call(&self, chat_id: &str, call_id: &str, tool: &str, arguments: Value) -> Result<Answer, Status> {
        self.call_with(chat_id, call_id, tool, arguments, McpScope::default())
            .await
    }

    /// A call in a chat with MCP servers.
    pub async fn call_with(
        &self,
        chat_id: &str,
        call_id: &str,
        tool: &str,
        arguments: Value,
        scope: McpScope,
    ) -> Result<Answer, Status> {
        let message = CallToolRequest {
            mcp: Some(scope),
            ..request(chat_id, call_id, tool, arguments.to_string())
        };
        self.send(message).await
    }

    /// A call whose arguments are this text.
    pub async fn call_text(&self, chat_id: &str, call_id: &str, tool: &str, arguments: &str) -> Answer {
        self.send(request(chat_id, call_id, tool, arguments.to_owned()))
            .await
            .unwrap()
    }

    async fn call_planning(&self, chat_id: &str, tool: &str, arguments: Value) -> Answer {
        let call_id = Uuid::new_v4().to_string();
        let message = CallToolRequest {
            is_plan_turn: true,
            ..request(chat_id, &call_id, tool, arguments.to_string())
        };
        self.send(message).await.unwrap()
    }

    /// A call of a planning turn whose result is no error.
    pub async fn plan(&self, chat_id: &str, tool: &str, arguments: Value) -> Value {
        let answer = self.call_planning(chat_id, tool, arguments).await;
        assert!(!answer.outcome.is_error, "{answer:?}");
        answer.value()
    }

    /// A call of a planning turn whose result is an error; its text.
    pub async fn plan_error(&self, chat_id: &str, tool: &str, arguments: Value) -> String {
        let answer = self.call_planning(chat_id, tool, arguments).await;
        assert!(answer.outcome.is_error, "{answer:?}");
        answer.value().as_str().unwrap().to_owned()
    }

    /// Leaves a call as a crash between its effect and the record of it would.
    pub fn forget_result(&self, chat_id: &str, call_id: &str) {
        let mut calls = self.storage.calls.lock().unwrap();
        let call = calls.get_mut(&(chat_id.to_owned(), call_id.to_owned())).unwrap();
        call.set_state(ToolCallState::Started);
        call.result_json.clear();
    }

    async fn send(&self, message: CallToolRequest) -> Result<Answer, Status> {
        let mut live = String::new();
        match end(self.begin(message).await?, &mut live).await? {
            Event::Outcome(outcome) => Ok(Answer { live, outcome }),
            other => panic!("no outcome, but {other:?}"),
        }
    }

    async fn begin(&self, message: CallToolRequest) -> Result<Streaming<CallToolResponse>, Status> {
        let request = self.outbound.request(Some(&self.user), TIME, message);
        Ok(self.tools.clone().call_tool(request).await?.into_inner())
    }

    /// A call that is begun, or joined, when this returns.
    pub async fn open(&self, chat_id: &str, call_id: &str, tool: &str, arguments: &str) -> Streaming<CallToolResponse> {
        let message = request(chat_id, call_id, tool, arguments.to_owned());
        self.begin(message).await.unwrap()
    }

    /// What a person is asked before the call runs.
    pub async fn asked(&self, chat_id: &str, call_id: &str, tool: &str, arguments: Value) -> ApprovalRequest {
        self.asked_with(chat_id, call_id, tool, arguments, McpScope::default())
            .await
    }

    /// The same in a chat with MCP servers.
    pub async fn asked_with(
        &self,
        chat_id: &str,
        call_id: &str,
        tool: &str,
        arguments: Value,
        scope: McpScope,
    ) -> ApprovalRequest {
        let message = CallToolRequest {
            mcp: Some(scope),
            ..request(chat_id, call_id, tool, arguments.to_string())
        };
        approval(self.begin(message).await.unwrap()).await
    }

    /// A call with an id of its own whose result is no error.
    pub async fn ok(&self, chat_id: &str, tool: &str, arguments: Value) -> Value {
        let answer = self
            .call(chat_id, &Uuid::new_v4().to_string(), tool, arguments)
            .await
            .unwrap();
        assert!(!answer.outcome.is_error, "{answer:?}");
        answer.value()
    }

    /// A call whose result is an error; its text.
    pub async fn error(&self, chat_id: &str, tool: &str, arguments: Value) -> String {
        let answer = self
            .call(chat_id, &Uuid::new_v4().to_string(), tool, arguments)
            .await
            .unwrap();
        assert!(answer.outcome.is_error, "{answer:?}");
        answer.value().as_str().unwrap().to_owned()
    }

    /// What confines workspaces here.
    pub async fn mechanisms(&self) -> Vec<ConfinementMechanism> {
        let request = self
            .outbound
            .request(Some(&self.user), TIME, GetConfinementRequest::default());
        let answer = self.admin.clone().get_confinement(request).await.unwrap();
        answer.into_inner().mechanisms
    }

    pub async fn cancel(&self, chat_id: &str, call_id: &str) -> bool {
        let message = CancelToolCallRequest {
            chat_id: chat_id.to_owned(),
            tool_call_id: call_id.to_owned(),
        };
        let request = self.outbound.request(Some(&self.user), TIME, message);
        self.tools
            .clone()
            .cancel_tool_call(request)
            .await
            .unwrap()
            .into_inner()
            .was_running
    }
}
