//! Users' tokens for servers that ask for an account: kept sealed in storage, opened for a request, renewed before they expire.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chassis::outbound::Outbound;
use tandem_chassis::seal::keyring::Keyring;
use tandem_chat_core::wire::{time_from_wire, time_to_wire};
use tandem_proto::storage::v1::{DeleteMcpTokenRequest, ListMcpTokensRequest, McpToken, PutMcpTokenRequest};
use time::OffsetDateTime;
use tonic::{Code, Status};
use uuid::Uuid;

use super::oauth::{self, Grant, Refusal};
use super::sealed;
use super::server::{Auth, Server, Token};
use crate::clients::{Clients, PATIENT_PAUSES, PAUSES, persist};

/// A token is renewed when it has less than this to live.
const EXPIRES_SOON: Duration = Duration::from_secs(10);

/// Renewals at once that are told apart; a renewal that is forgotten may be made twice, of which storage keeps the first.
const MAX_RENEWALS: u64 = 10_000;

/// Longest reason kept of a token that is of no use any more, in bytes.
const MAX_REASON_BYTES: usize = 400;

/// Tokens of users. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tokens {
    clients: Clients,
    keyring: Arc<Keyring>,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    /// One renewal at a time for each user and server.
    renewals: Cache<(Uuid, Uuid), Arc<tokio::sync::Mutex<()>>>,
}

/// What is sealed of a token.
#[derive(Deserialize, Serialize)]
struct Content {
    access_token: String,
    refresh_token: String,
    token_type: String,
}

/// Whether a user is connected to a server, as far as the row says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) is_connected: bool,
    /// Why the user has to connect again.
    pub(crate) reconnect_reason: String,
}

impl Tokens {
    pub(super) fn new(clients: Clients, keyring: Arc<Keyring>, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self {
            clients,
            keyring,
            outbound,
            clock,
            renewals: Cache::builder().max_capacity(MAX_RENEWALS).build(),
        }
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The user's token for a server, renewed when it is about to expire. `None` where there is none, or none that can be read: the
    /// server is asked all the same, and says what it wants.
    pub(super) async fn current(&self, server: &Arc<Server>, user: &User) -> Option<Token> {
        if !matches!(server.auth, Auth::OAuth2(_)) {
            return None;
        }
        let row = self.row(server.id, user).await?;
        let row = if self.is_expiring(&row) && row.has_refresh_token && row.failure.is_empty() {
            self.renew(server, user).await?
        } else {
            row
        };
        if self.is_expired(&row) {
            tracing::warn!(slug = server.slug, "the user's token for an MCP server has expired");
        }
        let content = self.open(server.id, user, &row)?;
        Some(Token {
            token_type: content.token_type,
            access_token: content.access_token.into(),
            revision: row.revision,
        })
    }

    /// Whether the user is connected to each of these servers, in their order. Tokens that have expired are renewed to find out.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn connections(
        &self,
        servers: &[Option<Arc<Server>>],
        user: &User,
    ) -> Result<Vec<Connection>, Status> {
        let asks = |server: &Option<Arc<Server>>| server.as_ref().is_some_and(|it| matches!(it.auth, Auth::OAuth2(_)));
        let rows = match servers.iter().any(asks) {
            true => self.rows(user).await?,
            false => Vec::new(),
        };
        let connections = servers.iter().map(|server| {
            let rows = &rows;
            async move {
                let Some(server) = server.as_ref().filter(|server| matches!(server.auth, Auth::OAuth2(_))) else {
                    return Connection {
                        is_connected: true,
                        ..Connection::default()
                    };
                };
                let id = server.id.to_string();
                let Some(row) = rows.iter().find(|row| row.server_id == id).cloned() else {
                    return Connection::default();
                };
                let row = match self.is_expired(&row) && row.has_refresh_token && row.failure.is_empty() {
                    true => self.renew(server, user).await.unwrap_or(row),
                    false => row,
                };
                Connection {
                    is_connected: row.failure.is_empty() && !self.is_expired(&row),
                    reconnect_reason: row.failure,
                }
            }
        });
        Ok(futures::future::join_all(connections).await)
    }

    /// Exchanges the code a browser has brought back.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) async fn exchange(
        &self,
        server: &Server,
        access_url: &str,
        code: &str,
        verifier: &str,
    ) -> Result<Grant, Refusal> {
        oauth::exchange(&self.outbound, server, access_url, code, verifier, self.clock.now()).await
    }

    /// Stores what a server has granted, in place of whatever was there.
    ///
    /// # Errors
    /// Storage's own; the key that seals is missing.
    pub(crate) async fn store(&self, server: &Server, user: &User, grant: &Grant) -> Result<(), Status> {
        let token = self.sealed(server.id, user, grant, 0)?;
        self.put(user, token, &PAUSES).await.map(|_| ())
    }

    /// Forgets the user's token for a server, and returns what a server would need to revoke it.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn forget(&self, server: Uuid, user: &User) -> Result<Option<SecretString>, Status> {
        let row = self.row(server, user).await;
        let content = row.and_then(|row| self.open(server, user, &row));
        let message = DeleteMcpTokenRequest {
            server_id: server.to_string(),
        };
        let request = self.clients.request(user, message);
        self.clients.mcp.clone().delete_mcp_token(request).await?;
        Ok(content.map(|content| match content.refresh_token.is_empty() {
            true => content.access_token.into(),
            false => content.refresh_token.into(),
        }))
    }

    /// Renews a token. It goes on when nobody waits any more: the server may have taken the old token back already.
    async fn renew(&self, server: &Arc<Server>, user: &User) -> Option<McpToken> {
        let (tokens, server, user) = (self.clone(), Arc::clone(server), user.clone());
        let renewal = tokio::spawn(async move { tokens.renew_once(&server, &user).await });
        renewal.await.ok().flatten()
    }

    /// Renews a token, unless somebody has done so meanwhile. A renewal that fails leaves the old token.
    async fn renew_once(&self, server: &Server, user: &User) -> Option<McpToken> {
        let lock = self
            .renewals
            .get_with((server.id, user.id), async { Arc::default() })
            .await;
        let _only = lock.lock().await;
        let row = self.row(server.id, user).await?;
        if !self.is_expiring(&row) || !row.has_refresh_token || !row.failure.is_empty() {
            return Some(row);
        }
        let content = self.open(server.id, user, &row)?;
        let refresh_token: SecretString = content.refresh_token.into();
        let renewed = oauth::refresh(&self.outbound, server, &refresh_token, self.clock.now()).await;
        let next = match renewed {
            Ok(mut grant) => {
                if grant.refresh_token.is_none() {
                    grant.refresh_token = Some(refresh_token);
                }
                self.sealed(server.id, user, &grant, row.revision).ok()?
            }
            Err(Refusal { is_final: true, text }) => {
                tracing::info!(
                    slug = server.slug,
                    reason = text,
                    "a user has to connect to an MCP server again"
                );
                McpToken {
                    failure: super::result::cut(text, MAX_REASON_BYTES - 64),
                    ..row.clone()
                }
            }
            Err(Refusal { text, .. }) => {
                tracing::warn!(
                    slug = server.slug,
                    reason = text,
                    "a token for an MCP server could not be renewed"
                );
                return Some(row);
            }
        };
        // The old token may be of no use any more: if this one is lost, the user has to connect again.
        match self.put(user, next.clone(), &PATIENT_PAUSES).await {
            Ok(stored) => Some(stored),
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                let error = status.message();
                tracing::error!(
                    slug = server.slug,
                    error,
                    "a renewed token for an MCP server could not be stored"
                );
                Some(next)
            }
            // Another replica was first; what is stored now is the truth.
            Err(_) => self.row(server.id, user).await,
        }
    }

    async fn row(&self, server: Uuid, user: &User) -> Option<McpToken> {
        let id = server.to_string();
        match self.rows(user).await {
            Ok(rows) => rows.into_iter().find(|row| row.server_id == id),
            Err(status) => {
                tracing::warn!(error = status.message(), "tokens for MCP servers cannot be read");
                None
            }
        }
    }

    async fn rows(&self, user: &User) -> Result<Vec<McpToken>, Status> {
        let answer = persist(&PAUSES, || {
            let request = self.clients.request(user, ListMcpTokensRequest {});
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.list_mcp_tokens(request).await }
        })
        .await?;
        Ok(answer.into_inner().tokens)
    }

    async fn put(&self, user: &User, token: McpToken, pauses: &[Duration]) -> Result<McpToken, Status> {
        let answer = persist(pauses, || {
            let message = PutMcpTokenRequest {
                token: Some(token.clone()),
            };
            let request = self.clients.request(user, message);
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.put_mcp_token(request).await }
        })
        .await?;
        let stored = answer.into_inner().token;
        stored.ok_or_else(|| Status::internal("storage answered without a token"))
    }

    fn sealed(&self, server: Uuid, user: &User, grant: &Grant, revision: i64) -> Result<McpToken, Status> {
        let refresh_token = grant.refresh_token.as_ref().map(ExposeSecret::expose_secret);
        let content = Content {
            access_token: grant.access_token.expose_secret().to_owned(),
            refresh_token: refresh_token.unwrap_or_default().to_owned(),
            token_type: grant.token_type.clone(),
        };
        let text = SecretString::from(serde_json::to_string(&content).unwrap_or_default());
        let sealed = sealed::seal_token(&self.keyring, server, user.id, text.expose_secret())
            .map_err(|error| Status::failed_precondition(format!("the token cannot be sealed: {error}")))?;
        Ok(McpToken {
            server_id: server.to_string(),
            sealed,
            expires_at: grant.expires_at.map(time_to_wire),
            has_refresh_token: refresh_token.is_some(),
            failure: String::new(),
            revision,
        })
    }

    fn open(&self, server: Uuid, user: &User, row: &McpToken) -> Option<Content> {
        let opened = sealed::open_token(&self.keyring, server, user.id, &row.sealed);
        match opened {
            Ok(text) => serde_json::from_str(text.expose_secret()).ok(),
            Err(error) => {
                tracing::warn!(%error, "a user's token for an MCP server cannot be opened");
                None
            }
        }
    }

    fn is_expired(&self, row: &McpToken) -> bool {
        expires_at(row).is_some_and(|at| at <= self.clock.now())
    }

    fn is_expiring(&self, row: &McpToken) -> bool {
        expires_at(row).is_some_and(|at| at <= self.clock.now() + EXPIRES_SOON)
    }
}

fn expires_at(row: &McpToken) -> Option<OffsetDateTime> {
    row.expires_at.as_ref().and_then(time_from_wire)
}
