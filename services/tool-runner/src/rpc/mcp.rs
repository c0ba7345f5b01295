//! `McpAdminService`: servers as administrators configure them, and the accounts users connect.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use tandem_chassis::idempotency;
use tandem_chassis::identity::{Caller, User};
use tandem_chassis::outbound::Outbound;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1 as storage;
use tandem_proto::storage::v1::{McpAuthType, McpServer};
use tandem_proto::tool::v1::mcp_admin_service_server::McpAdminService;
use tandem_proto::tool::v1::*;
use tonic::{Request, Response, Status};
use url::Url;
use uuid::Uuid;

mod accepted;
mod row;
mod workspace;

use crate::clients::Clients;
use crate::mcp::oauth::{self, discovery};
use crate::mcp::sealed::{self, Field};
use crate::mcp::server::{self, Auth, Server};
use crate::mcp::{Connection, Mcp};
use row::{apply, keep_only_own, moves_no_secret, without_secrets};

/// Longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 16 * 1024;

/// Headers of one server.
const MAX_HEADERS: usize = 32;

/// Registrations that are remembered, and how long: an attempt that is repeated must not register another client.
const MAX_REGISTRATIONS: u64 = 256;
const REGISTRATION_LIFE: Duration = Duration::from_secs(3_600);

pub(crate) struct McpRpc {
    clients: Clients,
    mcp: Mcp,
    outbound: Outbound,
    /// By user, key and fingerprint of the request.
    registrations: Cache<(Uuid, String, String), Arc<Registration>>,
}

/// A client that was registered for a server that is not stored yet.
struct Registration {
    /// Browsers come back to an address that has it.
    server_id: Uuid,
    client: discovery::Client,
}

impl McpRpc {
    pub(crate) fn new(clients: Clients, mcp: Mcp, outbound: Outbound) -> Self {
        let registrations = Cache::builder()
            .max_capacity(MAX_REGISTRATIONS)
            .time_to_live(REGISTRATION_LIFE)
            .build();
        Self {
            clients,
            mcp,
            outbound,
            registrations,
        }
    }

    async fn row(&self, user: &User, server_id: String) -> Result<McpServer, Status> {
        let request = self.clients.request(user, storage::GetMcpServerRequest { server_id });
        let answer = self.clients.mcp.clone().get_mcp_server(request).await?.into_inner();
        answer
            .server
            .ok_or_else(|| Status::internal("storage answered without a server"))
    }

    async fn views(&self, user: &User, rows: Vec<McpServer>) -> Result<Vec<McpServerView>, Status> {
        let opened: Vec<Option<Arc<Server>>> = rows.iter().map(|row| self.mcp.open(row.clone()).ok()).collect();
        let connections = self.mcp.tokens.connections(&opened, user).await?;
        let views = rows.into_iter().zip(opened).zip(connections);
        let views = views.map(|((row, opened), mut connection)| {
            // Its secrets cannot be opened, and neither can anybody's token be used.
            connection.is_connected &= opened.is_some() || row.auth_type() != McpAuthType::Oauth2;
            self.view(user, row, connection)
        });
        Ok(views.collect())
    }

    fn view(&self, user: &User, mut row: McpServer, connection: Connection) -> McpServerView {
        row.sealed_oauth2_secret.clear();
        row.sealed_api_key.clear();
        row.sealed_custom_headers.clear();
        let health = Uuid::try_parse(&row.id).ok().and_then(|id| self.mcp.health(id));
        if !user.is_admin {
            row.url.clear();
            row.transport = storage::McpTransport::Unspecified.into();
            for text in [
                &mut row.oauth2_client_id,
                &mut row.oauth2_auth_url,
                &mut row.oauth2_token_url,
                &mut row.oauth2_scopes,
                &mut row.oauth2_revocation_url,
                &mut row.api_key_header,
            ] {
                text.clear();
            }
        }
        McpServerView {
            server: Some(row),
            is_connected: connection.is_connected,
            reconnect_reason: connection.reconnect_reason,
            health: health.filter(|_| user.is_admin).map(|health| health.to_wire()),
        }
    }

    async fn one_view(&self, user: &User, row: McpServer) -> Result<McpServerView, Status> {
        let mut views = self.views(user, vec![row]).await?;
        views.pop().ok_or_else(|| Status::internal("a view is missing"))
    }

    /// Seals what was typed into the row.
    fn seal(&self, row: &mut McpServer, secrets: McpSecrets) -> Result<(), Status> {
        let id = Uuid::try_parse(&row.id).map_err(|_| invalid("id", "must be a uuid"))?;
        let seal = |field, text: Option<String>, name: &str, place: &mut Vec<u8>| {
            let Some(text) = text.map(SecretString::from) else {
                return Ok(());
            };
            let text = text.expose_secret();
            if text.len() > MAX_SECRET_BYTES {
                return Err(invalid(name, "must have at most 16 KiB"));
            }
            *place = match text.is_empty() {
                true => Vec::new(),
                false => sealed::seal(self.mcp.tokens.keyring(), id, field, text).map_err(unsealable)?,
            };
            Ok(())
        };
        if let Some(text) = secrets.custom_headers_json.as_ref().filter(|text| !text.is_empty()) {
            let headers = server::headers(text).map_err(|problem| invalid("custom_headers", &problem))?;
            if headers.len() > MAX_HEADERS {
                return Err(invalid("custom_headers", "must have at most 32 headers"));
            }
        }
        seal(
            Field::OAuth2Secret,
            secrets.oauth2_client_secret,
            "oauth2_client_secret",
            &mut row.sealed_oauth2_secret,
        )?;
        seal(Field::ApiKey, secrets.api_key, "api_key_value", &mut row.sealed_api_key)?;
        seal(
            Field::CustomHeaders,
            secrets.custom_headers_json,
            "custom_headers",
            &mut row.sealed_custom_headers,
        )
    }

    /// What an address, a header and a kind of authentication must be, before anything is stored.
    fn check(&self, row: &McpServer) -> Result<(), Status> {
        let policy = self.outbound.policy();
        let address = |name: &str, text: &str| -> Result<Url, Status> {
            let url =
                oauth::endpoint(text).ok_or_else(|| invalid(name, "must be an absolute http or https address"))?;
            policy
                .check_url(&url)
                .map_err(|refused| invalid(name, &refused.to_string()))?;
            Ok(url)
        };
        let url = address("url", &row.url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("url", "must not hold a user name or a password"));
        }
        if !row.icon_url.is_empty() && !row.icon_url.starts_with('/') && oauth::endpoint(&row.icon_url).is_none() {
            return Err(invalid(
                "icon_url",
                "must be an http or https address, or begin with a slash",
            ));
        }
        match row.auth_type() {
            McpAuthType::None | McpAuthType::UserOidc => {}
            McpAuthType::ApiKey => {
                server::header_name(&row.api_key_header).map_err(|problem| invalid("api_key_header", &problem))?;
                if row.sealed_api_key.is_empty() {
                    return Err(invalid("api_key_value", "must be set"));
                }
            }
            McpAuthType::CustomHeaders => {
                if row.sealed_custom_headers.is_empty() {
                    return Err(invalid("custom_headers", "must have at least one header"));
                }
            }
            McpAuthType::Oauth2 => {
                if row.oauth2_client_id.is_empty() {
                    return Err(invalid("oauth2_client_id", "must be set together with both addresses"));
                }
                address("oauth2_auth_url", &row.oauth2_auth_url)?;
                address("oauth2_token_url", &row.oauth2_token_url)?;
            }
            McpAuthType::Unspecified => return Err(invalid("auth_type", "must be set")),
        }
        // Whatever else is wrong with it would only be noticed at its first use.
        self.mcp
            .open(row.clone())
            .map(|_| ())
            .map_err(|problem| invalid("auth_type", &problem))
    }

    /// Finds out what the server tells about its accounts and registers a client, where the administrator has told nothing; once,
    /// however often the request is repeated.
    async fn register(
        &self,
        row: &McpServer,
        access_url: &str,
        user: &User,
        mark: Option<&idempotency::Attempt>,
    ) -> Result<Option<Arc<Registration>>, Status> {
        let is_untold =
            row.oauth2_client_id.is_empty() && row.oauth2_auth_url.is_empty() && row.oauth2_token_url.is_empty();
        if row.auth_type() != McpAuthType::Oauth2 || !is_untold {
            return Ok(None);
        }
        let url =
            oauth::endpoint(&row.url).ok_or_else(|| invalid("url", "must be an absolute http or https address"))?;
        let register = async {
            let server_id = Uuid::now_v7();
            let redirect_uri =
                oauth::redirect_uri(access_url, server_id).map_err(|problem| invalid("access_url", &problem))?;
            let client = discovery::register(&self.outbound, &url, &redirect_uri).await;
            let client = client.map_err(|problem| {
                let text = format!("OAuth 2 could not be set up by itself: {problem}.");
                Status::from(Fault::invalid("MCP_DISCOVERY_FAILED", text))
            })?;
            Ok::<_, Status>(Arc::new(Registration { server_id, client }))
        };
        let Some(mark) = mark else {
            return register.await.map(Some);
        };
        let key = (user.id, mark.key().to_owned(), mark.fingerprint().to_owned());
        let registered = self.registrations.try_get_with(key, register).await;
        registered
            .map(Some)
            .map_err(|status: Arc<Status>| Status::clone(&status))
    }

    /// The server with that id, if it is one to connect accounts to.
    async fn oauth2_server(&self, user: &User, server_id: String) -> Result<Arc<Server>, Status> {
        let row = self.row(user, server_id).await?;
        let server = self.mcp.open(row).map_err(|problem| {
            let text = format!("The MCP server cannot be used: {problem}.");
            Status::from(Fault::wrong_state("MCP_SERVER_UNUSABLE", text))
        })?;
        if !matches!(server.auth, Auth::OAuth2(_)) {
            let text = "The MCP server asks for no account.";
            return Err(Fault::wrong_state("MCP_NOT_OAUTH2", text).into());
        }
        if !server.is_enabled {
            return Err(Fault::wrong_state("MCP_SERVER_DISABLED", "The MCP server is disabled.").into());
        }
        Ok(server)
    }
}

#[tonic::async_trait]
impl McpAdminService for McpRpc {
    async fn list_mcp_servers(
        &self,
        request: Request<ListMcpServersRequest>,
    ) -> Result<Response<ListMcpServersResponse>, Status> {
        let user = Caller::of(&request)?.user()?;
        let asked = self.clients.request(user, storage::ListMcpServersRequest {});
        let answer = self.clients.mcp.clone().list_mcp_servers(asked).await?.into_inner();
        let servers = self.views(user, answer.servers).await?;
        Ok(Response::new(ListMcpServersResponse { servers }))
    }

    async fn get_mcp_server(
        &self,
        request: Request<GetMcpServerRequest>,
    ) -> Result<Response<GetMcpServerResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let row = self.row(&user, request.into_inner().server_id).await?;
        Ok(Response::new(GetMcpServerResponse {
            server: Some(self.one_view(&user, row).await?),
        }))
    }

    async fn create_mcp_server(
        &self,
        request: Request<CreateMcpServerRequest>,
    ) -> Result<Response<CreateMcpServerResponse>, Status> {
        let user = Caller::of(&request)?.admin()?.clone();
        let mark = idempotency::Attempt::of(&request)?;
        let request = request.into_inner();
        let mut row = request.server.ok_or_else(|| invalid("server", "must be set"))?;
        let mut secrets = request.secrets.unwrap_or_default();
        without_secrets(&mut row);
        keep_only_own(&mut row);
        let registered = self.register(&row, &request.access_url, &user, mark.as_ref()).await?;
        row.id = registered
            .as_ref()
            .map_or_else(Uuid::now_v7, |registered| registered.server_id)
            .to_string();
        if let Some(registered) = registered {
            fill_in(&mut row, &mut secrets, &registered.client);
        }
        self.seal(&mut row, secrets)?;
        keep_only_own(&mut row);
        self.check(&row)?;
        let message = storage::CreateMcpServerRequest { server: Some(row) };
        let asked = marked(self.clients.request(&user, message), mark);
        let answer = self.clients.mcp.clone().create_mcp_server(asked).await?;
        let is_replayed = idempotency::is_replayed(&answer);
        self.mcp.changed().await;
        let row = answer.into_inner().server.unwrap_or_default();
        let server = Some(self.one_view(&user, row).await?);
        Ok(idempotency::answer(CreateMcpServerResponse { server }, is_replayed))
    }

    async fn update_mcp_server(
        &self,
        request: Request<UpdateMcpServerRequest>,
    ) -> Result<Response<UpdateMcpServerResponse>, Status> {
        let user = Caller::of(&request)?.admin()?.clone();
        let mark = idempotency::Attempt::of(&request)?;
        let request = request.into_inner();
        let mut row = self.row(&user, request.server_id).await?;
        let changes = request.changes.unwrap_or_default();
        let secrets = request.secrets.unwrap_or_default();
        moves_no_secret(&row, &changes, &secrets)?;
        apply(&mut row, changes);
        self.seal(&mut row, secrets)?;
        keep_only_own(&mut row);
        self.check(&row)?;
        let message = storage::UpdateMcpServerRequest { server: Some(row) };
        let asked = marked(self.clients.request(&user, message), mark);
        let answer = self.clients.mcp.clone().update_mcp_server(asked).await?;
        let is_replayed = idempotency::is_replayed(&answer);
        self.mcp.changed().await;
        let row = answer.into_inner().server.unwrap_or_default();
        let server = Some(self.one_view(&user, row).await?);
        Ok(idempotency::answer(UpdateMcpServerResponse { server }, is_replayed))
    }

    async fn delete_mcp_server(
        &self,
        request: Request<DeleteMcpServerRequest>,
    ) -> Result<Response<DeleteMcpServerResponse>, Status> {
        let user = Caller::of(&request)?.admin()?.clone();
        let server_id = request.into_inner().server_id;
        let asked = self
            .clients
            .request(&user, storage::DeleteMcpServerRequest { server_id });
        self.clients.mcp.clone().delete_mcp_server(asked).await?;
        self.mcp.changed().await;
        Ok(Response::new(DeleteMcpServerResponse {}))
    }

    async fn list_mcp_tools(
        &self,
        request: Request<ListMcpToolsRequest>,
    ) -> Result<Response<ListMcpToolsResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let row = self.row(&user, request.into_inner().server_id).await?;
        let (health, tools) = self.tools_of(&user, row).await?;
        Ok(Response::new(ListMcpToolsResponse {
            health: Some(health),
            tools,
        }))
    }

    async fn approve_mcp_tools(
        &self,
        request: Request<ApproveMcpToolsRequest>,
    ) -> Result<Response<ApproveMcpToolsResponse>, Status> {
        let user = Caller::of(&request)?.admin()?.clone();
        let message = request.into_inner();
        let (health, tools) = self.approve_tools(&user, message).await?;
        Ok(Response::new(ApproveMcpToolsResponse {
            health: Some(health),
            tools,
        }))
    }

    async fn list_workspace_mcp_servers(
        &self,
        request: Request<ListWorkspaceMcpServersRequest>,
    ) -> Result<Response<ListWorkspaceMcpServersResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let workspace_id = request.into_inner().workspace_id;
        let listed = self.workspace_servers(&user, &workspace_id).await?;
        Ok(Response::new(listed))
    }

    async fn approve_workspace_mcp_server(
        &self,
        request: Request<ApproveWorkspaceMcpServerRequest>,
    ) -> Result<Response<ApproveWorkspaceMcpServerResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let message = request.into_inner();
        let listed = self
            .approve_server(&user, &message.workspace_id, &message.digest)
            .await?;
        Ok(Response::new(ApproveWorkspaceMcpServerResponse {
            listed: Some(listed),
        }))
    }

    async fn revoke_workspace_mcp_server(
        &self,
        request: Request<RevokeWorkspaceMcpServerRequest>,
    ) -> Result<Response<RevokeWorkspaceMcpServerResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let message = request.into_inner();
        self.revoke_server(&user, &message.workspace_id, &message.digest)
            .await?;
        Ok(Response::new(RevokeWorkspaceMcpServerResponse {}))
    }

    async fn begin_mcp_o_auth2(
        &self,
        request: Request<BeginMcpOAuth2Request>,
    ) -> Result<Response<BeginMcpOAuth2Response>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let request = request.into_inner();
        let server = self.oauth2_server(&user, request.server_id).await?;
        let begun = oauth::begin(&server, &request.access_url)
            .map_err(|problem| Fault::wrong_state("MCP_SERVER_UNUSABLE", problem))?;
        Ok(Response::new(BeginMcpOAuth2Response {
            authorization_url: begun.url.into(),
            state: begun.state,
            verifier: begun.verifier.expose_secret().to_owned(),
        }))
    }

    async fn finish_mcp_o_auth2(
        &self,
        request: Request<FinishMcpOAuth2Request>,
    ) -> Result<Response<FinishMcpOAuth2Response>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let request = request.into_inner();
        let server = self.oauth2_server(&user, request.server_id).await?;
        if request.code.is_empty() || request.verifier.is_empty() {
            return Err(invalid("code", "must be set"));
        }
        let granted = self
            .mcp
            .tokens
            .exchange(&server, &request.access_url, &request.code, &request.verifier)
            .await;
        let grant = granted.map_err(|refusal| {
            let text = format!("The MCP server's authorization server refused: {}.", refusal.text);
            Status::from(Fault::unavailable("MCP_EXCHANGE_FAILED", text))
        })?;
        self.mcp.tokens.store(&server, &user, &grant).await?;
        Ok(Response::new(FinishMcpOAuth2Response {}))
    }

    async fn disconnect_mcp_o_auth2(
        &self,
        request: Request<DisconnectMcpOAuth2Request>,
    ) -> Result<Response<DisconnectMcpOAuth2Response>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let row = self.row(&user, request.into_inner().server_id).await?;
        let id = Uuid::try_parse(&row.id).map_err(|_| invalid("id", "must be a uuid"))?;
        let token = self.mcp.tokens.forget(id, &user).await?;
        if let (Some(token), Ok(server)) = (token, self.mcp.open(row)) {
            oauth::revoke(&self.outbound, &server, &token).await;
        }
        Ok(Response::new(DisconnectMcpOAuth2Response {}))
    }
}

fn invalid(field: &str, problem: &str) -> Status {
    let fault = Fault::invalid("INVALID_MCP_SERVER", format!("{field}: {problem}"));
    fault.violation(field, problem).into()
}

fn unsealable(error: tandem_chassis::seal::envelope::Error) -> Status {
    let text = "No key-encryption key is configured in tool-runner (kek), so secrets of MCP servers cannot be stored.";
    match error {
        tandem_chassis::seal::envelope::Error::NoKek => Fault::wrong_state("NO_KEK", text).into(),
        other => Fault::internal("SEAL", other).into(),
    }
}

/// Takes over what was found out.
fn fill_in(row: &mut McpServer, secrets: &mut McpSecrets, client: &discovery::Client) {
    row.oauth2_client_id.clone_from(&client.client_id);
    row.oauth2_auth_url.clone_from(&client.auth_url);
    row.oauth2_token_url.clone_from(&client.token_url);
    row.oauth2_revocation_url.clone_from(&client.revocation_url);
    if row.oauth2_scopes.is_empty() {
        row.oauth2_scopes.clone_from(&client.scopes);
    }
    let secret = client.client_secret.expose_secret();
    if !secret.is_empty() {
        secrets.oauth2_client_secret = Some(secret.to_owned());
    }
}

/// The request to storage, with the key of the request it is for.
fn marked<T>(mut request: Request<T>, mark: Option<idempotency::Attempt>) -> Request<T> {
    if let Some(mark) = mark {
        mark.attach(&mut request);
    }
    request
}
