//! MCP servers: administrators configure them, users see those they can use and connect their accounts.

use axum::{extract::State, http::StatusCode};
use tandem_proto::tool::v1 as proto;

use super::{
    Path, id,
    wire::mcp::{
        ApproveMCPToolsRequest, CreateMCPServerConfigRequest, MCPServerConfig, MCPServerTools,
        UpdateMCPServerConfigRequest,
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, MCP_DEADLINE, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

pub mod oauth2;
pub mod workspace;

/// All servers; the enabled ones, without addresses, for those who are no administrators.
#[utoipa::path(get, path = "/mcp/servers", tag = "mcp", responses((status = 200, body = Vec<MCPServerConfig>)))]
pub async fn list(State(app): State<App>, who: Principal) -> Result<Reply<Vec<MCPServerConfig>>, Problem> {
    let request = app
        .clients
        .ask_within(who.user(), MCP_DEADLINE, proto::ListMcpServersRequest {});
    let listed = app.clients.mcp.clone().list_mcp_servers(request).await.answer()?;
    Ok(Reply::ok(
        listed.servers.into_iter().map(MCPServerConfig::from).collect(),
    ))
}

/// Adds a server.
#[utoipa::path(post, path = "/mcp/servers", tag = "mcp", request_body = CreateMCPServerConfigRequest,
    responses((status = 201, body = MCPServerConfig)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateMCPServerConfigRequest>,
) -> Result<Reply<MCPServerConfig>, Problem> {
    who.require_admin()?;
    let message = body.into_wire(app.public_url.to_string())?;
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let created = app.clients.mcp.clone().create_mcp_server(request).await.answer()?;
    let server = promised(created.server, "CreateMcpServerResponse.server")?;
    Ok(Reply::created(server.into()))
}

/// One server.
#[utoipa::path(get, path = "/mcp/servers/{server}", tag = "mcp", params(("server" = Uuid, Path)),
    responses((status = 200, body = MCPServerConfig)))]
pub async fn get(
    State(app): State<App>,
    who: Principal,
    Path(server): Path<String>,
) -> Result<Reply<MCPServerConfig>, Problem> {
    let server_id = id("server", &server)?.to_string();
    let message = proto::GetMcpServerRequest { server_id };
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let found = app.clients.mcp.clone().get_mcp_server(request).await.answer()?;
    Ok(Reply::ok(promised(found.server, "GetMcpServerResponse.server")?.into()))
}

/// Changes the given fields.
#[utoipa::path(patch, path = "/mcp/servers/{server}", tag = "mcp", params(("server" = Uuid, Path)),
    request_body = UpdateMCPServerConfigRequest, responses((status = 200, body = MCPServerConfig)))]
pub async fn update(
    State(app): State<App>,
    who: Principal,
    Path(server): Path<String>,
    Body(body): Body<UpdateMCPServerConfigRequest>,
) -> Result<Reply<MCPServerConfig>, Problem> {
    who.require_admin()?;
    let message = body.into_wire(id("server", &server)?.to_string())?;
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let updated = app.clients.mcp.clone().update_mcp_server(request).await.answer()?;
    let server = promised(updated.server, "UpdateMcpServerResponse.server")?;
    Ok(Reply::ok(server.into()))
}

/// Removes a server, its secrets and all users' tokens for it. Chats that name it go on without.
#[utoipa::path(delete, path = "/mcp/servers/{server}", tag = "mcp", params(("server" = Uuid, Path)),
    responses((status = 204)))]
pub async fn delete(State(app): State<App>, who: Principal, Path(server): Path<String>) -> Result<StatusCode, Problem> {
    who.require_admin()?;
    let server_id = id("server", &server)?.to_string();
    let message = proto::DeleteMcpServerRequest { server_id };
    let request = app.clients.ask(who.user(), message);
    app.clients.mcp.clone().delete_mcp_server(request).await.answer()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Connects to a server as the caller, now, and lists what it offers. A server that does not answer is an answer, not an error.
#[utoipa::path(get, path = "/mcp/servers/{server}/tools", tag = "mcp", params(("server" = Uuid, Path)),
    responses((status = 200, body = MCPServerTools)))]
pub async fn tools(
    State(app): State<App>,
    who: Principal,
    Path(server): Path<String>,
) -> Result<Reply<MCPServerTools>, Problem> {
    let server_id = id("server", &server)?.to_string();
    let message = proto::ListMcpToolsRequest { server_id };
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let listed = app.clients.mcp.clone().list_mcp_tools(request).await.answer()?;
    Ok(Reply::ok(listed.into()))
}

/// Accepts tools whose definitions have changed, as they were shown. 409 when one has changed again meanwhile; nothing is accepted then.
#[utoipa::path(post, path = "/mcp/servers/{server}/tools/approve", tag = "mcp", params(("server" = Uuid, Path)),
    request_body = ApproveMCPToolsRequest, responses((status = 200, body = MCPServerTools)))]
pub async fn approve(
    State(app): State<App>,
    who: Principal,
    Path(server): Path<String>,
    Body(body): Body<ApproveMCPToolsRequest>,
) -> Result<Reply<MCPServerTools>, Problem> {
    who.require_admin()?;
    let message = body.into_wire(id("server", &server)?.to_string())?;
    let request = app.clients.ask_within(who.user(), MCP_DEADLINE, message);
    let approved = app.clients.mcp.clone().approve_mcp_tools(request).await.answer()?;
    Ok(Reply::ok(approved.into()))
}
