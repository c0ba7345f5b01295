//! Servers that workspaces name themselves, and the word of their owners.

use std::collections::HashMap;

use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{
    DeleteWorkspaceMcpApprovalRequest, PutWorkspaceMcpApprovalRequest, WorkspaceMcpApproval,
};
use tandem_proto::tool::v1::{ListWorkspaceMcpServersResponse, WorkspaceMcpServerView};
use tandem_proto::workspace::v1::ListMcpToolsResult;
use tonic::Status;

use super::McpRpc;
use crate::clients::{PAUSES, persist};
use crate::mcp::estimated_tokens;

impl McpRpc {
    /// The servers of a user's workspace, as its agent knows them now.
    pub(super) async fn workspace_servers(
        &self,
        user: &User,
        workspace_id: &str,
    ) -> Result<ListWorkspaceMcpServersResponse, Status> {
        let said = self.mcp.workspaces.ask(user, workspace_id, true).await?;
        let approvals = self.mcp.workspaces.approvals(user, workspace_id).await?;
        Ok(match said {
            Some(said) => view(&said, &approvals),
            None => ListWorkspaceMcpServersResponse::default(),
        })
    }

    /// Approves a definition that the workspace's file has now, and starts that server.
    pub(super) async fn approve_server(
        &self,
        user: &User,
        workspace_id: &str,
        digest: &[u8],
    ) -> Result<ListWorkspaceMcpServersResponse, Status> {
        let said = self.mcp.workspaces.ask(user, workspace_id, true).await?;
        let said = said.ok_or_else(|| {
            let text = "The workspace is not running, so what its file says cannot be looked up.";
            Status::from(Fault::wrong_state("WORKSPACE_NOT_RUNNING", text))
        })?;
        let server = said.servers.iter().find(|server| server.digest == digest);
        let server = server.ok_or_else(|| {
            let text = "The workspace's file has no such definition now. Look at it again.";
            Status::from(Fault::not_found("WORKSPACE_MCP_SERVER_NOT_FOUND", text))
        })?;
        let approval = WorkspaceMcpApproval {
            digest: digest.to_vec(),
            name: server.name.clone(),
            shown: server.shown.clone(),
            created_at: None,
        };
        persist(&PAUSES, || {
            let message = PutWorkspaceMcpApprovalRequest {
                workspace_id: workspace_id.to_owned(),
                approval: Some(approval.clone()),
            };
            let request = self.clients.request(user, message);
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.put_workspace_mcp_approval(request).await }
        })
        .await?;
        self.mcp.workspaces.changed(user, workspace_id).await;
        self.workspace_servers(user, workspace_id).await
    }

    /// Takes an approval back; the agent ends the server when it hears of it.
    pub(super) async fn revoke_server(&self, user: &User, workspace_id: &str, digest: &[u8]) -> Result<(), Status> {
        persist(&PAUSES, || {
            let message = DeleteWorkspaceMcpApprovalRequest {
                workspace_id: workspace_id.to_owned(),
                digest: digest.to_vec(),
            };
            let request = self.clients.request(user, message);
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.delete_workspace_mcp_approval(request).await }
        })
        .await?;
        self.mcp.workspaces.changed(user, workspace_id).await;
        self.mcp.workspaces.ask(user, workspace_id, false).await.map(|_| ())
    }
}

fn view(said: &ListMcpToolsResult, approvals: &[WorkspaceMcpApproval]) -> ListWorkspaceMcpServersResponse {
    let mut bytes: HashMap<&str, usize> = HashMap::new();
    for tool in &said.tools {
        *bytes.entry(tool.server_name.as_str()).or_default() += tool.description.len() + tool.input_schema_json.len();
    }
    let servers = said.servers.iter().map(|server| {
        let is_approved = approvals.iter().any(|approval| approval.digest == server.digest);
        let before = approvals
            .iter()
            .find(|approval| !is_approved && approval.name == server.name);
        WorkspaceMcpServerView {
            is_approved,
            approved_shown: before.map(|approval| approval.shown.clone()).unwrap_or_default(),
            estimated_tokens: estimated_tokens(bytes.get(server.name.as_str()).copied().unwrap_or_default()),
            server: Some(server.clone()),
        }
    });
    ListWorkspaceMcpServersResponse {
        is_running: true,
        servers: servers.collect(),
        tools: said.tools.clone(),
    }
}
