//! MCP servers that a workspace names itself. Nothing of them is started before the workspace's owner approves it here.

use axum::{extract::State, http::StatusCode};
use tandem_proto::tool::v1 as proto;

use super::super::{
    Path, id,
    wire::mcp::{digest, workspace::WorkspaceMCPServers},
};
use crate::{
    auth::Principal,
    clients::{Answer, MCP_DEADLINE, promised},
    json::Reply,
    problem::Problem,
    service::App,
};

/// The servers the workspace's file names, and the tools of those that are connected. Starts no workspace.
#[utoipa::path(get, path = "/mcp/workspaces/{workspace}/servers", tag = "mcp", params(("workspace" = Uuid, Path)),
    responses((status = 200, body = WorkspaceMCPServers)))]
pub async fn list(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
) -> Result<Reply<WorkspaceMCPServers>, Problem> {
    let workspace_id = id("workspace", &workspace)?.to_string();
    let message = proto::ListWorkspaceMcpServersRequest { workspace_id };
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let listed = app
        .clients
        .mcp
        .clone()
        .list_workspace_mcp_servers(request)
        .await
        .answer()?;
    Ok(Reply::ok(listed.into()))
}

/// Approves a definition as it was shown, and starts that server. 404 when the file has no such definition any more.
#[utoipa::path(post, path = "/mcp/workspaces/{workspace}/servers/{digest}/approve", tag = "mcp",
    params(("workspace" = Uuid, Path), ("digest" = String, Path)), responses((status = 200, body = WorkspaceMCPServers)))]
pub async fn approve(
    State(app): State<App>,
    who: Principal,
    Path((workspace, shown)): Path<(String, String)>,
) -> Result<Reply<WorkspaceMCPServers>, Problem> {
    let message = proto::ApproveWorkspaceMcpServerRequest {
        workspace_id: id("workspace", &workspace)?.to_string(),
        digest: digest(&shown)?,
    };
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let approved = app
        .clients
        .mcp
        .clone()
        .approve_workspace_mcp_server(request)
        .await
        .answer()?;
    let listed = promised(approved.listed, "ApproveWorkspaceMcpServerResponse.listed")?;
    Ok(Reply::ok(listed.into()))
}

/// Takes an approval back and ends the server.
#[utoipa::path(delete, path = "/mcp/workspaces/{workspace}/servers/{digest}", tag = "mcp",
    params(("workspace" = Uuid, Path), ("digest" = String, Path)), responses((status = 204)))]
pub async fn revoke(
    State(app): State<App>,
    who: Principal,
    Path((workspace, shown)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let message = proto::RevokeWorkspaceMcpServerRequest {
        workspace_id: id("workspace", &workspace)?.to_string(),
        digest: digest(&shown)?,
    };
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    app.clients
        .mcp
        .clone()
        .revoke_workspace_mcp_server(request)
        .await
        .answer()?;
    Ok(StatusCode::NO_CONTENT)
}
