//! `McpService`: MCP servers and users' tokens for them.

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_chat_core::wire::time_from_wire;
use tandem_proto::storage::v1::mcp_service_server::McpService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::{Pool, mcp, sqlstate};
use crate::error::Error;
use crate::idempotency::{Attempt, Tx, respond};

mod accepted;

/// Servers there may be.
const MAX_SERVERS: i64 = 200;

/// Largest ciphertext, in bytes.
const MAX_SEALED_BYTES: usize = 64 * 1024;

/// Longest text of a field that has no bound of its own, in bytes.
const MAX_TEXT_BYTES: usize = 4 * 1024;

const MAX_TOOL_NAMES: usize = 256;
const MAX_TOOL_NAME_BYTES: usize = 256;

/// Serves [`McpService`].
pub(crate) struct Mcp {
    pool: Pool,
}

impl Mcp {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    async fn create(&self, attempt: Option<&Attempt>, server: McpServer) -> Result<CreateMcpServerResponse, Error> {
        let row = proven(server)?;
        let id = row.id;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        if mcp::lock_and_count(&mut tx).await? >= MAX_SERVERS {
            let text = format!("There are {MAX_SERVERS} MCP servers already, which is as many as there may be.");
            return Err(Fault::wrong_state("TOO_MANY_MCP_SERVERS", text).into());
        }
        mcp::insert(&mut tx, &row)
            .await
            .map_err(|error| slug_taken(error, &row.slug))?;
        let stored = mcp::find(&mut tx, id, true).await?.ok_or_else(not_found)?;
        let answer = CreateMcpServerResponse {
            server: Some(without_ciphertext(stored.into_wire())),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn update(&self, attempt: Option<&Attempt>, server: McpServer) -> Result<UpdateMcpServerResponse, Error> {
        let row = proven(server)?;
        let id = row.id;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        let before = mcp::find(&mut tx, id, true).await?.ok_or_else(not_found)?;
        let updated = mcp::update(&mut tx, &row)
            .await
            .map_err(|error| slug_taken(error, &row.slug))?;
        if !updated {
            let text = "The MCP server was changed meanwhile. Read it again.";
            return Err(Fault::conflict("MCP_SERVER_CHANGED", text).into());
        }
        // Tokens are good for the place that gave them, and must not be shown to another.
        if before.auth_type != row.auth_type
            || before.url != row.url
            || before.oauth2_token_url != row.oauth2_token_url
            || before.oauth2_client_id != row.oauth2_client_id
        {
            mcp::delete_tokens(&mut tx, id).await?;
        }
        let stored = mcp::find(&mut tx, id, true).await?.ok_or_else(not_found)?;
        let answer = UpdateMcpServerResponse {
            server: Some(without_ciphertext(stored.into_wire())),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    async fn put_token(&self, user: Uuid, token: McpToken) -> Result<McpToken, Error> {
        if token.sealed.is_empty() || token.sealed.len() > MAX_SEALED_BYTES {
            return Err(convert::one("token.sealed", "must have 1 byte to 64 KiB"));
        }
        let row = mcp::TokenRow {
            server_id: convert::id(&token.server_id, "token.server_id")?,
            sealed: token.sealed,
            expires_at: token.expires_at.as_ref().and_then(time_from_wire),
            has_refresh_token: token.has_refresh_token,
            failure: token.failure,
            revision: token.revision,
        };
        let mut tx = self.pool.begin().await?;
        // Deleted or disabled meanwhile: there is nothing the token is for.
        mcp::find(&mut tx, row.server_id, false).await?.ok_or_else(not_found)?;
        let stored = mcp::put_token(&mut tx, user, &row).await?.ok_or_else(|| {
            Error::from(Fault::conflict(
                "MCP_TOKEN_CHANGED",
                "The token was changed meanwhile. Read it again.",
            ))
        })?;
        tx.commit().await?;
        Ok(stored.into_wire())
    }
}

#[tonic::async_trait]
impl McpService for Mcp {
    async fn create_mcp_server(
        &self,
        request: Request<CreateMcpServerRequest>,
    ) -> Result<Response<CreateMcpServerResponse>, Status> {
        let attempt = Attempt::of(&request, administrator(&request)?, "create_mcp_server")?;
        let server = given(request.into_inner().server)?;
        respond(self.create(attempt.as_ref(), server).await)
    }

    async fn get_mcp_server(
        &self,
        request: Request<GetMcpServerRequest>,
    ) -> Result<Response<GetMcpServerResponse>, Status> {
        let sees_all = sees_all(&request)?;
        let get = async {
            let id = convert::id(&request.get_ref().server_id, "server_id")?;
            let row = mcp::find(&mut *self.pool.acquire().await?, id, sees_all).await?;
            row.ok_or_else(not_found)
        };
        Ok(Response::new(GetMcpServerResponse {
            server: Some(get.await?.into_wire()),
        }))
    }

    async fn list_mcp_servers(
        &self,
        request: Request<ListMcpServersRequest>,
    ) -> Result<Response<ListMcpServersResponse>, Status> {
        let sees_all = sees_all(&request)?;
        let list = async {
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(mcp::list(&mut conn, sees_all, MAX_SERVERS).await?)
        };
        let servers = list.await?.into_iter().map(mcp::Row::into_wire).collect();
        Ok(Response::new(ListMcpServersResponse { servers }))
    }

    async fn update_mcp_server(
        &self,
        request: Request<UpdateMcpServerRequest>,
    ) -> Result<Response<UpdateMcpServerResponse>, Status> {
        let attempt = Attempt::of(&request, administrator(&request)?, "update_mcp_server")?;
        let server = given(request.into_inner().server)?;
        respond(self.update(attempt.as_ref(), server).await)
    }

    async fn delete_mcp_server(
        &self,
        request: Request<DeleteMcpServerRequest>,
    ) -> Result<Response<DeleteMcpServerResponse>, Status> {
        administrator(&request)?;
        let delete = async {
            let id = convert::id(&request.get_ref().server_id, "server_id")?;
            let is_deleted = mcp::delete(&mut *self.pool.acquire().await?, id).await?;
            if is_deleted { Ok(()) } else { Err(not_found()) }
        };
        delete.await?;
        Ok(Response::new(DeleteMcpServerResponse {}))
    }

    async fn list_mcp_tokens(
        &self,
        request: Request<ListMcpTokensRequest>,
    ) -> Result<Response<ListMcpTokensResponse>, Status> {
        let user = runner_for(&request)?;
        let list = async { Ok::<_, Error>(mcp::tokens(&mut *self.pool.acquire().await?, user).await?) };
        let tokens = list.await?.into_iter().map(mcp::TokenRow::into_wire).collect();
        Ok(Response::new(ListMcpTokensResponse { tokens }))
    }

    async fn put_mcp_token(
        &self,
        request: Request<PutMcpTokenRequest>,
    ) -> Result<Response<PutMcpTokenResponse>, Status> {
        let user = runner_for(&request)?;
        let token = request.into_inner().token;
        let token = token.ok_or_else(|| convert::one("token", "must be set"))?;
        Ok(Response::new(PutMcpTokenResponse {
            token: Some(self.put_token(user, token).await?),
        }))
    }

    async fn delete_mcp_token(
        &self,
        request: Request<DeleteMcpTokenRequest>,
    ) -> Result<Response<DeleteMcpTokenResponse>, Status> {
        let user = runner_for(&request)?;
        let delete = async {
            let server = convert::id(&request.get_ref().server_id, "server_id")?;
            Ok::<_, Error>(mcp::delete_token(&mut *self.pool.acquire().await?, user, server).await?)
        };
        delete.await?;
        Ok(Response::new(DeleteMcpTokenResponse {}))
    }

    async fn list_mcp_tool_pins(
        &self,
        request: Request<ListMcpToolPinsRequest>,
    ) -> Result<Response<ListMcpToolPinsResponse>, Status> {
        Caller::of(&request)?.require_service(&[ServiceName::ToolRunner])?;
        let pins = self.pins(&request.get_ref().server_id).await?;
        Ok(Response::new(ListMcpToolPinsResponse { pins }))
    }

    async fn put_mcp_tool_pins(
        &self,
        request: Request<PutMcpToolPinsRequest>,
    ) -> Result<Response<PutMcpToolPinsResponse>, Status> {
        Caller::of(&request)?.require_service(&[ServiceName::ToolRunner])?;
        let approver = match request.get_ref().is_approval {
            true => Some(administrator(&request)?),
            false => None,
        };
        let message = request.into_inner();
        let pins = self.put_pins(&message.server_id, message.pins, approver).await?;
        Ok(Response::new(PutMcpToolPinsResponse { pins }))
    }

    async fn list_workspace_mcp_approvals(
        &self,
        request: Request<ListWorkspaceMcpApprovalsRequest>,
    ) -> Result<Response<ListWorkspaceMcpApprovalsResponse>, Status> {
        let user = runner_for(&request)?;
        let approvals = self.approvals(user, &request.get_ref().workspace_id).await?;
        Ok(Response::new(ListWorkspaceMcpApprovalsResponse { approvals }))
    }

    async fn put_workspace_mcp_approval(
        &self,
        request: Request<PutWorkspaceMcpApprovalRequest>,
    ) -> Result<Response<PutWorkspaceMcpApprovalResponse>, Status> {
        let user = runner_for(&request)?;
        let message = request.into_inner();
        let approval = message
            .approval
            .ok_or_else(|| convert::one("approval", "must be set"))?;
        self.approve(user, &message.workspace_id, approval).await?;
        Ok(Response::new(PutWorkspaceMcpApprovalResponse {}))
    }

    async fn delete_workspace_mcp_approval(
        &self,
        request: Request<DeleteWorkspaceMcpApprovalRequest>,
    ) -> Result<Response<DeleteWorkspaceMcpApprovalResponse>, Status> {
        let user = runner_for(&request)?;
        let message = request.into_inner();
        self.take_back(user, &message.workspace_id, &message.digest).await?;
        Ok(Response::new(DeleteWorkspaceMcpApprovalResponse {}))
    }

    async fn list_found_mcp_tools(
        &self,
        request: Request<ListFoundMcpToolsRequest>,
    ) -> Result<Response<ListFoundMcpToolsResponse>, Status> {
        let user = runner_for(&request)?;
        let names = self.found(user, &request.get_ref().chat_id).await?;
        Ok(Response::new(ListFoundMcpToolsResponse { names }))
    }

    async fn put_found_mcp_tools(
        &self,
        request: Request<PutFoundMcpToolsRequest>,
    ) -> Result<Response<PutFoundMcpToolsResponse>, Status> {
        let user = runner_for(&request)?;
        let message = request.into_inner();
        self.put_found(user, &message.chat_id, message.names).await?;
        Ok(Response::new(PutFoundMcpToolsResponse {}))
    }
}

/// Tool-runner, in the name of an administrator.
fn administrator<T>(request: &Request<T>) -> Result<Uuid, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ToolRunner])?;
    Ok(caller.admin()?.id)
}

/// Tool-runner, in the name of a user.
fn runner_for<T>(request: &Request<T>) -> Result<Uuid, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ToolRunner])?;
    Ok(caller.user()?.id)
}

/// Tool-runner; whether it may know of disabled servers: in its own name and in that of administrators.
fn sees_all<T>(request: &Request<T>) -> Result<bool, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ToolRunner])?;
    Ok(caller.user.as_ref().is_none_or(|user| user.is_admin))
}

fn given(server: Option<McpServer>) -> Result<McpServer, Error> {
    server.ok_or_else(|| convert::one("server", "must be set"))
}

/// What the table would refuse, refused with the field's name.
fn proven(server: McpServer) -> Result<mcp::Row, Error> {
    let id = convert::id(&server.id, "id")?;
    if server.display_name.trim().is_empty() || server.display_name.len() > 128 {
        return Err(convert::one("display_name", "must have 1 to 128 bytes"));
    }
    if !is_slug(&server.slug) {
        return Err(convert::one(
            "slug",
            "must be lower-case letters and digits joined by single hyphens or underscores, at most 40 characters",
        ));
    }
    if server.url.is_empty() {
        return Err(convert::one("url", "must be set"));
    }
    for (field, text, max) in [
        ("description", &server.description, MAX_TEXT_BYTES),
        ("icon_url", &server.icon_url, 2_048),
        ("url", &server.url, 2_048),
        ("oauth2_client_id", &server.oauth2_client_id, 2_048),
        ("oauth2_auth_url", &server.oauth2_auth_url, 2_048),
        ("oauth2_token_url", &server.oauth2_token_url, 2_048),
        ("oauth2_scopes", &server.oauth2_scopes, 2_048),
        ("oauth2_revocation_url", &server.oauth2_revocation_url, 2_048),
        ("api_key_header", &server.api_key_header, 256),
    ] {
        if text.len() > max {
            return Err(convert::one(field, &format!("must have at most {max} bytes")));
        }
    }
    for (field, names) in [
        ("tool_allow_list", &server.tool_allow_list),
        ("tool_deny_list", &server.tool_deny_list),
    ] {
        let is_fine = |name: &String| (1..=MAX_TOOL_NAME_BYTES).contains(&name.len());
        if names.len() > MAX_TOOL_NAMES || !names.iter().all(is_fine) {
            return Err(convert::one(field, "must have at most 256 names of 1 to 256 bytes"));
        }
    }
    for sealed in [
        &server.sealed_oauth2_secret,
        &server.sealed_api_key,
        &server.sealed_custom_headers,
    ] {
        if sealed.len() > MAX_SEALED_BYTES {
            return Err(convert::one("secrets", "are too large"));
        }
    }
    mcp::Row::of_wire(id, server).map_err(|field| convert::one(field, "must be set"))
}

fn is_slug(slug: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    slug.len() <= 40 && slug.split(['-', '_']).all(is_word)
}

/// A server as an answer that is kept: ciphertext stays in its own row, and goes with it.
fn without_ciphertext(mut server: McpServer) -> McpServer {
    server.sealed_oauth2_secret.clear();
    server.sealed_api_key.clear();
    server.sealed_custom_headers.clear();
    server
}

fn slug_taken(error: sqlx::Error, slug: &str) -> Error {
    if sqlstate::violates(&error, "mcp_servers_slug") {
        let text = format!("An MCP server with the slug {slug:?} exists already.");
        return Fault::exists("MCP_SLUG_TAKEN", text).into();
    }
    error.into()
}

fn not_found() -> Error {
    Fault::not_found("MCP_SERVER_NOT_FOUND", "There is no such MCP server.").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_have_no_double_separators() {
        for good in ["github", "my-server_2", "a", "0"] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "a__b", "-a", "a-", "A", "ä", "a b", &"a".repeat(41)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
