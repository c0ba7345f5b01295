//! MCP servers that a workspace names itself, as its owner sees and approves them.

use serde::Serialize;
use tandem_proto::tool::v1 as proto;
use tandem_proto::workspace::v1::{WorkspaceMcpState, WorkspaceMcpTool};
use utoipa::ToSchema;

use super::super::{Raw, some_text};

/// The servers a workspace names in `.mcp.json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceMCPServers {
    /// False: the workspace does not run, and what its file says is not known.
    pub running: bool,
    pub servers: Vec<WorkspaceMCPServer>,
    /// Tools of the servers that are connected.
    pub tools: Vec<WorkspaceMCPTool>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceMCPServer {
    pub name: String,
    /// `stdio`, `http` or `sse`; empty for entries that cannot be used.
    pub transport: String,
    /// What is approved: the command with the names of its variables, or the address with the names of its headers.
    pub shown: String,
    /// Names this very definition, as hex.
    pub digest: String,
    /// `awaiting_approval`, `connected`, `failed` or `invalid`.
    pub state: String,
    /// Why it failed or is invalid, or that tools were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub approved: bool,
    /// Another definition under this name was approved before: what was approved then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_shown: Option<String>,
    /// What its tools take of a model's context, roughly.
    pub estimated_tokens: i64,
}

/// A tool of such a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceMCPTool {
    pub server_name: String,
    pub name: String,
    pub description: String,
    #[schema(required)]
    pub input_schema: Option<Raw>,
}

impl From<proto::ListWorkspaceMcpServersResponse> for WorkspaceMCPServers {
    fn from(listed: proto::ListWorkspaceMcpServersResponse) -> Self {
        Self {
            running: listed.is_running,
            servers: listed.servers.into_iter().map(WorkspaceMCPServer::from).collect(),
            tools: listed.tools.into_iter().map(WorkspaceMCPTool::from).collect(),
        }
    }
}

impl From<proto::WorkspaceMcpServerView> for WorkspaceMCPServer {
    fn from(view: proto::WorkspaceMcpServerView) -> Self {
        let server = view.server.unwrap_or_default();
        let state = match server.state() {
            WorkspaceMcpState::AwaitingApproval => "awaiting_approval",
            WorkspaceMcpState::Connected => "connected",
            WorkspaceMcpState::Failed => "failed",
            WorkspaceMcpState::Invalid | WorkspaceMcpState::Unspecified => "invalid",
        };
        Self {
            state: state.to_owned(),
            name: server.name,
            transport: server.transport,
            shown: server.shown,
            digest: hex::encode(&server.digest),
            error: some_text(server.error),
            approved: view.is_approved,
            approved_shown: some_text(view.approved_shown),
            estimated_tokens: view.estimated_tokens,
        }
    }
}

impl From<WorkspaceMcpTool> for WorkspaceMCPTool {
    fn from(tool: WorkspaceMcpTool) -> Self {
        Self {
            server_name: tool.server_name,
            name: tool.name,
            description: tool.description,
            input_schema: Raw::new(&tool.input_schema_json),
        }
    }
}
