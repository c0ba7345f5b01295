//! A storage that keeps the journal, one workspace a chat and MCP servers in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tandem_chassis::idempotency::Attempt;
use tandem_chat_core::approval::{ApprovalMode, Gate};
use tandem_chat_core::wire;
use tandem_proto::common::v1::FileMetadata;
use tandem_proto::storage::v1::file_service_server::FileService;
use tandem_proto::storage::v1::git_service_server::GitService;
use tandem_proto::storage::v1::mcp_service_server::McpService;
use tandem_proto::storage::v1::tool_call_service_server::ToolCallService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Calls by chat and id, workspaces by chat, servers and tokens. Clones share everything.
#[derive(Clone, Default)]
pub struct Storage {
    pub calls: Arc<Mutex<HashMap<(String, String), ToolCall>>>,
    /// Of all chats.
    pub mode: Arc<Mutex<ApprovalMode>>,
    /// A person's word, by chat and call.
    pub decisions: Arc<Mutex<HashMap<(String, String), ToolCallDecision>>>,
    /// Where given, each question whether a call may begin takes one permit from here, and waits for it.
    pub beginning: Option<Arc<tokio::sync::Semaphore>>,
    pub workspaces: Arc<Mutex<HashMap<String, Workspace>>>,
    /// What workspaces are, and the builds that have ended.
    pub spec: Arc<Mutex<TemplateSpec>>,
    pub ended: Arc<Mutex<Vec<FinishWorkspaceBuildRequest>>>,
    /// Workspaces that were used, each time.
    pub uses: Arc<Mutex<Vec<String>>>,
    /// The only token by which agents that nobody here started are let in.
    pub agent_token_hash: Arc<Mutex<Vec<u8>>>,
    /// It is taken back as soon as an agent has shown it.
    pub is_agent_token_fleeting: Arc<Mutex<bool>>,
    pub servers: Arc<Mutex<Vec<McpServer>>>,
    pub tokens: Arc<Mutex<Vec<McpToken>>>,
    /// How many more tokens are refused.
    pub token_failures: Arc<Mutex<u32>>,
    /// By server and name.
    pub pins: Arc<Mutex<BTreeMap<(String, String), McpToolPin>>>,
    /// With their workspaces.
    pub approvals: Arc<Mutex<Vec<(String, WorkspaceMcpApproval)>>>,
    /// Names of tools that chats have found, with their chats.
    pub found: Arc<Mutex<Vec<(String, String)>>>,
    pub heads: Arc<Mutex<Vec<RecordGitHeadRequest>>>,
    pub credentials: Arc<Mutex<Vec<GitCredential>>>,
    /// By idempotency key: the id, and what was asked.
    pub files: Arc<Mutex<HashMap<String, (String, CreateFileRequest)>>>,
}

impl Storage {
    /// Why a call may not begin.
    fn kept_back(&self, request: &BeginToolCallRequest, decision: Option<&ToolCallDecision>) -> Option<ToolCallState> {
        let risk = wire::tool_risk_from_wire(request.risk());
        match (self.mode.lock().unwrap().gate(risk), decision) {
            (Gate::Open, _) => None,
            (Gate::Closed, _) => Some(ToolCallState::Refused),
            (Gate::Asks, Some(decision)) if !decision.is_approved => Some(ToolCallState::Declined),
            (Gate::Asks, Some(decision)) if decision.digest == request.input_digest => None,
            (Gate::Asks, _) => Some(ToolCallState::AwaitsApproval),
        }
    }

    /// A person says of a call whether it may run.
    pub fn decide(&self, chat_id: &str, decision: ToolCallDecision) {
        let key = (chat_id.to_owned(), decision.tool_call_id.clone());
        self.decisions.lock().unwrap().insert(key, decision);
    }

    fn pins_of(&self, server_id: &str) -> Vec<McpToolPin> {
        let pins = self.pins.lock().unwrap();
        let of = pins.iter().filter(|((server, _), _)| server == server_id);
        of.map(|(_, pin)| pin.clone()).collect()
    }
}

#[tonic::async_trait]
impl FileService for Storage {
    async fn create_file(&self, request: Request<CreateFileRequest>) -> Result<Response<CreateFileResponse>, Status> {
        let attempt = Attempt::of(&request)?.ok_or_else(|| Status::invalid_argument("no idempotency key"))?;
        let mut files = self.files.lock().unwrap();
        let (id, asked) = files
            .entry(attempt.key().to_owned())
            .or_insert_with(|| (Uuid::new_v4().to_string(), request.into_inner()));
        let file = FileMetadata {
            id: id.clone(),
            name: asked.name.clone(),
            media_type: asked.media_type.clone(),
            ..FileMetadata::default()
        };
        Ok(Response::new(CreateFileResponse { file: Some(file) }))
    }

    async fn get_file(&self, _: Request<GetFileRequest>) -> Result<Response<GetFileResponse>, Status> {
        Err(Status::unimplemented("files are looked at directly"))
    }
}

#[tonic::async_trait]
impl McpService for Storage {
    async fn create_mcp_server(
        &self,
        request: Request<CreateMcpServerRequest>,
    ) -> Result<Response<CreateMcpServerResponse>, Status> {
        let mut server = request.into_inner().server.unwrap();
        server.revision = 1;
        mark(&mut server);
        self.servers.lock().unwrap().push(server.clone());
        Ok(Response::new(CreateMcpServerResponse {
            server: Some(without_ciphertext(server)),
        }))
    }

    async fn get_mcp_server(
        &self,
        request: Request<GetMcpServerRequest>,
    ) -> Result<Response<GetMcpServerResponse>, Status> {
        let id = request.into_inner().server_id;
        let servers = self.servers.lock().unwrap();
        let server = servers.iter().find(|server| server.id == id).cloned();
        let server = server.ok_or_else(|| Status::not_found("server"))?;
        Ok(Response::new(GetMcpServerResponse { server: Some(server) }))
    }

    async fn list_mcp_servers(
        &self,
        _: Request<ListMcpServersRequest>,
    ) -> Result<Response<ListMcpServersResponse>, Status> {
        let servers = self.servers.lock().unwrap().clone();
        Ok(Response::new(ListMcpServersResponse { servers }))
    }

    async fn update_mcp_server(
        &self,
        request: Request<UpdateMcpServerRequest>,
    ) -> Result<Response<UpdateMcpServerResponse>, Status> {
        let mut server = request.into_inner().server.unwrap();
        let mut servers = self.servers.lock().unwrap();
        let stored = servers.iter_mut().find(|stored| stored.id == server.id);
        let stored = stored.ok_or_else(|| Status::not_found("server"))?;
        server.revision += 1;
        mark(&mut server);
        *stored = server.clone();
        Ok(Response::new(UpdateMcpServerResponse {
            server: Some(without_ciphertext(server)),
        }))
    }

    async fn delete_mcp_server(
        &self,
        request: Request<DeleteMcpServerRequest>,
    ) -> Result<Response<DeleteMcpServerResponse>, Status> {
        let id = request.into_inner().server_id;
        self.servers.lock().unwrap().retain(|server| server.id != id);
        Ok(Response::new(DeleteMcpServerResponse {}))
    }

    async fn list_mcp_tokens(
        &self,
        _: Request<ListMcpTokensRequest>,
    ) -> Result<Response<ListMcpTokensResponse>, Status> {
        let tokens = self.tokens.lock().unwrap().clone();
        Ok(Response::new(ListMcpTokensResponse { tokens }))
    }

    async fn put_mcp_token(
        &self,
        request: Request<PutMcpTokenRequest>,
    ) -> Result<Response<PutMcpTokenResponse>, Status> {
        let mut failures = self.token_failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(Status::unavailable("storage is away"));
        }
        let mut token = request.into_inner().token.unwrap();
        let mut tokens = self.tokens.lock().unwrap();
        let stored = tokens.iter().position(|stored| stored.server_id == token.server_id);
        let revision = stored.map_or(0, |place| tokens.remove(place).revision);
        if token.revision != 0 && token.revision != revision {
            return Err(Status::aborted("MCP_TOKEN_CHANGED"));
        }
        token.revision = revision + 1;
        tokens.push(token.clone());
        Ok(Response::new(PutMcpTokenResponse { token: Some(token) }))
    }

    async fn delete_mcp_token(
        &self,
        request: Request<DeleteMcpTokenRequest>,
    ) -> Result<Response<DeleteMcpTokenResponse>, Status> {
        let id = request.into_inner().server_id;
        self.tokens.lock().unwrap().retain(|token| token.server_id != id);
        Ok(Response::new(DeleteMcpTokenResponse {}))
    }

    async fn list_mcp_tool_pins(
        &self,
        request: Request<ListMcpToolPinsRequest>,
    ) -> Result<Response<ListMcpToolPinsResponse>, Status> {
        let pins = self.pins_of(&request.into_inner().server_id);
        Ok(Response::new(ListMcpToolPinsResponse { pins }))
    }

    async fn put_mcp_tool_pins(
        &self,
        request: Request<PutMcpToolPinsRequest>,
    ) -> Result<Response<PutMcpToolPinsResponse>, Status> {
        let request = request.into_inner();
        for pin in request.pins {
            let key = (request.server_id.clone(), pin.name.clone());
            let mut pins = self.pins.lock().unwrap();
            if request.is_approval {
                pins.insert(key, pin);
            } else {
                pins.entry(key).or_insert(pin);
            }
        }
        let pins = self.pins_of(&request.server_id);
        Ok(Response::new(PutMcpToolPinsResponse { pins }))
    }

    async fn list_workspace_mcp_approvals(
        &self,
        request: Request<ListWorkspaceMcpApprovalsRequest>,
    ) -> Result<Response<ListWorkspaceMcpApprovalsResponse>, Status> {
        let id = request.into_inner().workspace_id;
        let all = self.approvals.lock().unwrap();
        let of = all.iter().filter(|(workspace, _)| *workspace == id);
        Ok(Response::new(ListWorkspaceMcpApprovalsResponse {
            approvals: of.map(|(_, approval)| approval.clone()).collect(),
        }))
    }

    async fn put_workspace_mcp_approval(
        &self,
        request: Request<PutWorkspaceMcpApprovalRequest>,
    ) -> Result<Response<PutWorkspaceMcpApprovalResponse>, Status> {
        let request = request.into_inner();
        let approval = (request.workspace_id, request.approval.unwrap());
        self.approvals.lock().unwrap().push(approval);
        Ok(Response::new(PutWorkspaceMcpApprovalResponse {}))
    }

    async fn delete_workspace_mcp_approval(
        &self,
        request: Request<DeleteWorkspaceMcpApprovalRequest>,
    ) -> Result<Response<DeleteWorkspaceMcpApprovalResponse>, Status> {
        let request = request.into_inner();
        let mut all = self.approvals.lock().unwrap();
        all.retain(|(workspace, approval)| *workspace != request.workspace_id || approval.digest != request.digest);
        Ok(Response::new(DeleteWorkspaceMcpApprovalResponse {}))
    }

    async fn list_found_mcp_tools(
        &self,
        request: Request<ListFoundMcpToolsRequest>,
    ) -> Result<Response<ListFoundMcpToolsResponse>, Status> {
        let id = request.into_inner().chat_id;
        let all = self.found.lock().unwrap();
        let of = all.iter().filter(|(chat, _)| *chat == id);
        Ok(Response::new(ListFoundMcpToolsResponse {
            names: of.map(|(_, name)| name.clone()).collect(),
        }))
    }

    async fn put_found_mcp_tools(
        &self,
        request: Request<PutFoundMcpToolsRequest>,
    ) -> Result<Response<PutFoundMcpToolsResponse>, Status> {
        let request = request.into_inner();
        let names = request.names.into_iter();
        let found = names.map(|name| (request.chat_id.clone(), name));
        self.found.lock().unwrap().extend(found);
        Ok(Response::new(PutFoundMcpToolsResponse {}))
    }
}

fn mark(server: &mut McpServer) {
    server.has_oauth2_secret = !server.sealed_oauth2_secret.is_empty();
    server.has_api_key = !server.sealed_api_key.is_empty();
    server.has_custom_headers = !server.sealed_custom_headers.is_empty();
}

fn without_ciphertext(mut server: McpServer) -> McpServer {
    server.sealed_oauth2_secret.clear();
    server.sealed_api_key.clear();
    server.sealed_custom_headers.clear();
    server
}

#[tonic::async_trait]
impl ToolCallService for Storage {
    async fn begin_tool_call(
        &self,
        request: Request<BeginToolCallRequest>,
    ) -> Result<Response<BeginToolCallResponse>, Status> {
        let request = request.into_inner();
        if let Some(permits) = &self.beginning {
            permits.acquire().await.unwrap().forget();
        }
        if request.epoch < 0 {
            return Err(Status::aborted("STALE_EPOCH"));
        }
        let key = (request.chat_id.clone(), request.tool_call_id.clone());
        let mut calls = self.calls.lock().unwrap();
        if let Some(known) = calls.get(&key) {
            if known.input_digest != request.input_digest {
                return Err(Status::aborted("INPUT_MISMATCH"));
            }
            return Ok(Response::new(BeginToolCallResponse {
                call: Some(known.clone()),
            }));
        }
        let mut call = ToolCall {
            tool_call_id: request.tool_call_id.clone(),
            chat_id: request.chat_id.clone(),
            tool_name: request.tool_name.clone(),
            input_digest: request.input_digest.clone(),
            state: ToolCallState::Started.into(),
            ..ToolCall::default()
        };
        let decision = self.decisions.lock().unwrap().get(&key).cloned();
        if let Some(state) = self.kept_back(&request, decision.as_ref()) {
            call.set_state(state);
            call.decline_reason = decision.map(|decision| decision.reason).unwrap_or_default();
            return Ok(Response::new(BeginToolCallResponse { call: Some(call) }));
        }
        calls.insert(key, call.clone());
        let starting = ToolCall {
            state: ToolCallState::Starting.into(),
            ..call
        };
        Ok(Response::new(BeginToolCallResponse { call: Some(starting) }))
    }

    async fn update_tool_call(
        &self,
        request: Request<UpdateToolCallRequest>,
    ) -> Result<Response<UpdateToolCallResponse>, Status> {
        let request = request.into_inner();
        let mut calls = self.calls.lock().unwrap();
        if let Some(call) = calls.get_mut(&(request.chat_id, request.tool_call_id)) {
            call.resume_token = request.resume_token;
            call.workspace_id = request.workspace_id;
        }
        Ok(Response::new(UpdateToolCallResponse {}))
    }

    async fn finish_tool_call(
        &self,
        request: Request<FinishToolCallRequest>,
    ) -> Result<Response<FinishToolCallResponse>, Status> {
        let request = request.into_inner();
        let mut calls = self.calls.lock().unwrap();
        let call = calls.get_mut(&(request.chat_id.clone(), request.tool_call_id.clone()));
        let call = call.ok_or_else(|| Status::not_found("call"))?;
        if call.state() == ToolCallState::Started {
            call.state = request.state;
            call.result_json = request.result_json;
            call.is_error = request.is_error;
        }
        Ok(Response::new(FinishToolCallResponse {
            call: Some(call.clone()),
        }))
    }

    async fn get_tool_call(
        &self,
        request: Request<GetToolCallRequest>,
    ) -> Result<Response<GetToolCallResponse>, Status> {
        let request = request.into_inner();
        let call = self
            .calls
            .lock()
            .unwrap()
            .get(&(request.chat_id, request.tool_call_id))
            .cloned();
        Ok(Response::new(GetToolCallResponse { call }))
    }
}

#[tonic::async_trait]
impl GitService for Storage {
    async fn get_chat_git(&self, request: Request<GetChatGitRequest>) -> Result<Response<GetChatGitResponse>, Status> {
        let workspaces = self.workspaces.lock().unwrap();
        let workspace = workspaces.get(&request.into_inner().chat_id);
        Ok(Response::new(GetChatGitResponse {
            workspace_id: workspace.map(|workspace| workspace.id.clone()).unwrap_or_default(),
            is_workspace_readable: workspace.is_some(),
            ..GetChatGitResponse::default()
        }))
    }

    async fn record_git_head(
        &self,
        request: Request<RecordGitHeadRequest>,
    ) -> Result<Response<RecordGitHeadResponse>, Status> {
        self.heads.lock().unwrap().push(request.into_inner());
        Ok(Response::new(RecordGitHeadResponse { is_applied: true }))
    }

    async fn mark_diff_status_stale(
        &self,
        _: Request<MarkDiffStatusStaleRequest>,
    ) -> Result<Response<MarkDiffStatusStaleResponse>, Status> {
        Ok(Response::new(MarkDiffStatusStaleResponse {}))
    }

    async fn claim_diff_statuses(
        &self,
        _: Request<ClaimDiffStatusesRequest>,
    ) -> Result<Response<ClaimDiffStatusesResponse>, Status> {
        Ok(Response::new(ClaimDiffStatusesResponse::default()))
    }

    async fn put_diff_status(
        &self,
        _: Request<PutDiffStatusRequest>,
    ) -> Result<Response<PutDiffStatusResponse>, Status> {
        Ok(Response::new(PutDiffStatusResponse::default()))
    }

    async fn list_git_credentials(
        &self,
        _: Request<ListGitCredentialsRequest>,
    ) -> Result<Response<ListGitCredentialsResponse>, Status> {
        let credentials = self.credentials.lock().unwrap().clone();
        Ok(Response::new(ListGitCredentialsResponse { credentials }))
    }

    async fn put_git_credential(
        &self,
        request: Request<PutGitCredentialRequest>,
    ) -> Result<Response<PutGitCredentialResponse>, Status> {
        let credential = request.into_inner().credential.unwrap();
        self.credentials.lock().unwrap().push(credential.clone());
        Ok(Response::new(PutGitCredentialResponse {
            credential: Some(credential),
        }))
    }

    async fn delete_git_credential(
        &self,
        request: Request<DeleteGitCredentialRequest>,
    ) -> Result<Response<DeleteGitCredentialResponse>, Status> {
        let host = request.into_inner().host;
        self.credentials
            .lock()
            .unwrap()
            .retain(|credential| credential.host != host);
        Ok(Response::new(DeleteGitCredentialResponse {}))
    }

    async fn find_git_credential(
        &self,
        request: Request<FindGitCredentialRequest>,
    ) -> Result<Response<FindGitCredentialResponse>, Status> {
        let host = request.into_inner().host;
        let credentials = self.credentials.lock().unwrap();
        let found = credentials.iter().find(|credential| credential.host == host).cloned();
        let credential = Some(found.ok_or_else(|| Status::not_found("credential"))?);
        Ok(Response::new(FindGitCredentialResponse { credential }))
    }
}
