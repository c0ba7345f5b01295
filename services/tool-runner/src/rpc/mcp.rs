//! `McpAdminService`: servers as administrators configure them, and the accounts users connect.

use std::sync::Arc;

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

use crate::clients::Clients;
use crate::mcp::oauth::{self, discovery};
use crate::mcp::sealed::{self, Field};
use crate::mcp::server::{self, Auth, Server};
use crate::mcp::{Connection, Mcp};

/// Longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 16 * 1024;

/// Headers of one server.
const MAX_HEADERS: usize = 32;

pub(crate) struct McpRpc {
    clients: Clients,
    mcp: Mcp,
    outbound: Outbound,
}

impl McpRpc {
    pub(crate) fn new(clients: Clients, mcp: Mcp, outbound: Outbound) -> Self {
        Self { clients, mcp, outbound }
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

    /// Fills in what the server tells about its accounts, where the administrator has told nothing.
    async fn discover(&self, row: &mut McpServer, secrets: &mut McpSecrets, access_url: &str) -> Result<(), Status> {
        let is_untold =
            row.oauth2_client_id.is_empty() && row.oauth2_auth_url.is_empty() && row.oauth2_token_url.is_empty();
        if row.auth_type() != McpAuthType::Oauth2 || !is_untold {
            return Ok(());
        }
        let id = Uuid::try_parse(&row.id).map_err(|_| invalid("id", "must be a uuid"))?;
        let url =
            oauth::endpoint(&row.url).ok_or_else(|| invalid("url", "must be an absolute http or https address"))?;
        let redirect_uri = oauth::redirect_uri(access_url, id).map_err(|problem| invalid("access_url", &problem))?;
        let client = discovery::register(&self.outbound, &url, &redirect_uri)
            .await
            .map_err(|problem| {
                let text = format!("OAuth 2 could not be set up by itself: {problem}.");
                Status::from(Fault::invalid("MCP_DISCOVERY_FAILED", text))
            })?;
        row.oauth2_client_id = client.client_id;
        row.oauth2_auth_url = client.auth_url;
        row.oauth2_token_url = client.token_url;
        row.oauth2_revocation_url = client.revocation_url;
        if row.oauth2_scopes.is_empty() {
            row.oauth2_scopes = client.scopes;
        }
        if !client.client_secret.is_empty() {
            secrets.oauth2_client_secret = Some(client.client_secret);
        }
        Ok(())
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
        row.id = Uuid::now_v7().to_string();
        without_secrets(&mut row);
        keep_only_own(&mut row);
        self.discover(&mut row, &mut secrets, &request.access_url).await?;
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
        let (health, listing) = match self.mcp.open(row) {
            Ok(server) => self.mcp.probe(&server, &user).await,
            Err(problem) => (self.mcp.unusable(problem), Arc::default()),
        };
        let shown = listing.all().filter(|(_, tool)| tool.is_allowed || user.is_admin);
        let tools = shown.map(|(offered_name, tool)| McpTool {
            name: tool.name.clone(),
            offered_name: offered_name.clone(),
            description: tool.description.clone(),
            input_schema_json: tool.schema_json.clone(),
            estimated_tokens: tool.estimated_tokens(),
            is_allowed: tool.is_allowed,
        });
        let mut health = health.to_wire();
        if !user.is_admin {
            // It can name hosts.
            health.error.clear();
        }
        Ok(Response::new(ListMcpToolsResponse {
            health: Some(health),
            tools: tools.collect(),
        }))
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

/// Only storage fills these in.
fn without_secrets(row: &mut McpServer) {
    row.revision = 0;
    row.sealed_oauth2_secret.clear();
    row.sealed_api_key.clear();
    row.sealed_custom_headers.clear();
}

/// Removes what belongs to other kinds of authentication.
fn keep_only_own(row: &mut McpServer) {
    let auth_type = row.auth_type();
    if auth_type != McpAuthType::Oauth2 {
        row.sealed_oauth2_secret.clear();
        for text in [
            &mut row.oauth2_client_id,
            &mut row.oauth2_auth_url,
            &mut row.oauth2_token_url,
            &mut row.oauth2_scopes,
            &mut row.oauth2_revocation_url,
        ] {
            text.clear();
        }
    }
    if auth_type != McpAuthType::ApiKey {
        row.api_key_header.clear();
        row.sealed_api_key.clear();
    }
    if auth_type != McpAuthType::CustomHeaders {
        row.sealed_custom_headers.clear();
    }
}

fn apply(row: &mut McpServer, changes: McpServerChanges) {
    fn set<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    set(&mut row.display_name, changes.display_name);
    set(&mut row.slug, changes.slug);
    set(&mut row.description, changes.description);
    set(&mut row.icon_url, changes.icon_url);
    set(&mut row.url, changes.url);
    set(&mut row.transport, changes.transport);
    set(&mut row.auth_type, changes.auth_type);
    set(&mut row.availability, changes.availability);
    set(&mut row.is_enabled, changes.is_enabled);
    set(&mut row.has_model_intent, changes.has_model_intent);
    set(&mut row.is_allowed_in_plan_mode, changes.is_allowed_in_plan_mode);
    set(&mut row.forwards_identity, changes.forwards_identity);
    set(&mut row.tool_allow_list, changes.tool_allow_list.map(|list| list.names));
    set(&mut row.tool_deny_list, changes.tool_deny_list.map(|list| list.names));
    set(&mut row.oauth2_client_id, changes.oauth2_client_id);
    set(&mut row.oauth2_auth_url, changes.oauth2_auth_url);
    // Found out together with the token address; of another place it would be told that place's secrets.
    if changes
        .oauth2_token_url
        .as_ref()
        .is_some_and(|to| is_other_origin(to, &row.oauth2_token_url))
    {
        row.oauth2_revocation_url.clear();
    }
    set(&mut row.oauth2_token_url, changes.oauth2_token_url);
    set(&mut row.oauth2_scopes, changes.oauth2_scopes);
    set(&mut row.api_key_header, changes.api_key_header);
}

/// Secrets are not sent to another place than the one they were typed for, unless they are typed again: whoever may change an address
/// could else have them sent to a place of their own.
fn moves_no_secret(row: &McpServer, changes: &McpServerChanges, secrets: &McpSecrets) -> Result<(), Status> {
    let moves = |to: &Option<String>, from: &str| to.as_ref().is_some_and(|to| is_other_origin(to, from));
    let has_headers = (row.has_api_key && secrets.api_key.is_none())
        || (row.has_custom_headers && secrets.custom_headers_json.is_none());
    if has_headers && moves(&changes.url, &row.url) {
        return Err(invalid(
            "url",
            "is another place: enter the API key or the headers again",
        ));
    }
    let has_client_secret = row.has_oauth2_secret && secrets.oauth2_client_secret.is_none();
    if has_client_secret && moves(&changes.oauth2_token_url, &row.oauth2_token_url) {
        return Err(invalid(
            "oauth2_token_url",
            "is another place: enter the client secret again",
        ));
    }
    Ok(())
}

fn is_other_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() != other.origin(),
        _ => true,
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

/// The request to storage, with the key of the request it is for.
fn marked<T>(mut request: Request<T>, mark: Option<idempotency::Attempt>) -> Request<T> {
    if let Some(mark) = mark {
        mark.attach(&mut request);
    }
    request
}
