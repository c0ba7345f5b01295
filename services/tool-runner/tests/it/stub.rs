//! A storage that keeps the journal, one workspace a chat and MCP servers in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tandem_proto::storage::v1::mcp_service_server::McpService;
use tandem_proto::storage::v1::tool_call_service_server::ToolCallService;
use tandem_proto::storage::v1::workspace_service_server::WorkspaceService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Calls by chat and id, workspaces by chat, servers and tokens. Clones share everything.
#[derive(Clone, Default)]
pub struct Storage {
    pub calls: Arc<Mutex<HashMap<(String, String), ToolCall>>>,
    pub workspaces: Arc<Mutex<HashMap<String, Workspace>>>,
    pub servers: Arc<Mutex<Vec<McpServer>>>,
    pub tokens: Arc<Mutex<Vec<McpToken>>>,
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
        let call = ToolCall {
            tool_call_id: request.tool_call_id,
            chat_id: request.chat_id,
            tool_name: request.tool_name,
            input_digest: request.input_digest,
            state: ToolCallState::Started.into(),
            ..ToolCall::default()
        };
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
impl WorkspaceService for Storage {
    async fn ensure_chat_workspace(
        &self,
        request: Request<EnsureChatWorkspaceRequest>,
    ) -> Result<Response<EnsureChatWorkspaceResponse>, Status> {
        let chat_id = request.into_inner().chat_id;
        let mut workspaces = self.workspaces.lock().unwrap();
        let workspace = workspaces.entry(chat_id).or_insert_with(|| Workspace {
            id: Uuid::new_v4().to_string(),
            template_name: "local".to_owned(),
            ..Workspace::default()
        });
        Ok(Response::new(EnsureChatWorkspaceResponse {
            workspace: Some(workspace.clone()),
            is_created: false,
        }))
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let id = request.into_inner().workspace_id;
        let workspace = self
            .workspaces
            .lock()
            .unwrap()
            .values()
            .find(|workspace| workspace.id == id)
            .cloned();
        Ok(Response::new(GetWorkspaceResponse { workspace }))
    }

    async fn list_workspaces(
        &self,
        _: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let workspaces = self.workspaces.lock().unwrap().values().cloned().collect();
        Ok(Response::new(ListWorkspacesResponse { workspaces }))
    }

    async fn set_workspace_status(
        &self,
        request: Request<SetWorkspaceStatusRequest>,
    ) -> Result<Response<SetWorkspaceStatusResponse>, Status> {
        let request = request.into_inner();
        let mut workspaces = self.workspaces.lock().unwrap();
        let workspace = workspaces
            .values_mut()
            .find(|workspace| workspace.id == request.workspace_id);
        let workspace = workspace.ok_or_else(|| Status::not_found("workspace"))?;
        workspace.status = request.status;
        workspace.status_message = request.status_message;
        Ok(Response::new(SetWorkspaceStatusResponse {
            workspace: Some(workspace.clone()),
        }))
    }
}
