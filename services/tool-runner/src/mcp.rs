//! Tools of MCP servers that administrators have configured: which of them a chat is offered, and running one.
//!
//! Nothing a server does fails a turn: a server that is away, slow or broken offers nothing, and a call that goes wrong is a result.
//! Calls are journalled like all others; one whose owner is gone is never sent again, because nobody can know what became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use rmcp::model::CallToolResult;
use serde::Deserialize;
use serde_json::{Map, Value};
use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chassis::outbound::Outbound;
use tandem_chassis::seal::keyring::Keyring;
use tandem_chat_core::tool_policy::{ForeignTool, TurnKind};
use tandem_proto::common::v1::ToolDefinition;
use tandem_proto::storage::v1::McpServer;
use tandem_proto::tool::v1::{McpOutcome, McpScope};
use time::OffsetDateTime;
use tonic::Status;
use uuid::Uuid;

mod catalog;
mod health;
mod http;
mod intent;
mod listing;
mod name;
pub(crate) mod oauth;
mod result;
pub(crate) mod sealed;
pub(crate) mod server;
mod session;
mod tokens;

pub(crate) use health::Health;
pub(crate) use listing::Listing;
pub(crate) use result::{Converted, is_media};
pub(crate) use tokens::{Connection, Tokens};

use crate::clients::Clients;
use crate::metrics::Metrics;
use catalog::Catalog;
use http::Http;
use server::{Identity, Server, Token};
use session::{Failure, Session};

/// Servers of one chat; more are passed over.
const MAX_SERVERS: usize = 32;

/// Tools of MCP servers in one turn, and the bytes they take; more are left out.
const MAX_OFFERED: usize = 256;
const MAX_OFFERED_BYTES: usize = 1024 * 1024;

/// Sessions of this replica.
const MAX_SESSIONS: u64 = 2_048;

/// A session nobody has used for this long is ended.
const IDLE_SESSION: Duration = Duration::from_secs(300);

/// How often ended sessions are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// A server that takes longer than this is named in the log.
const SLOW: Duration = Duration::from_secs(5);

/// How servers are asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time to begin a session and to list its tools.
    #[serde(with = "tandem_chassis::config::duration")]
    pub connect_timeout: Duration,
    /// Time for a tool.
    #[serde(with = "tandem_chassis::config::duration")]
    pub call_timeout: Duration,
    /// How long servers as read from storage count as current. Own changes are seen at once.
    #[serde(with = "tandem_chassis::config::duration")]
    pub cache_ttl: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            cache_ttl: Duration::from_secs(10),
        }
    }
}

/// What the tools of a chat's MCP servers have to do with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    server_ids: Vec<Uuid>,
    root_chat_id: String,
    workspace_id: String,
}

impl From<McpScope> for Scope {
    fn from(scope: McpScope) -> Self {
        let ids = scope.server_ids.iter().take(MAX_SERVERS);
        Self {
            server_ids: ids.filter_map(|id| Uuid::try_parse(id).ok()).collect(),
            root_chat_id: scope.root_chat_id,
            workspace_id: scope.workspace_id,
        }
    }
}

/// For whom and where tools are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) user: &'a User,
    pub(crate) chat_id: &'a str,
    pub(crate) kind: TurnKind,
    pub(crate) scope: &'a Scope,
}

impl Place<'_> {
    fn identity(&self) -> Identity {
        let root = &self.scope.root_chat_id;
        Identity {
            owner_id: self.user.id.to_string(),
            chat_id: self.chat_id.to_owned(),
            root_chat_id: if root.is_empty() {
                self.chat_id.to_owned()
            } else {
                root.clone()
            },
            workspace_id: self.scope.workspace_id.clone(),
        }
    }

    fn uses(&self, server: &Server) -> bool {
        let is_named = self.scope.server_ids.contains(&server.id);
        let tool = ForeignTool::ExternalMcp {
            is_allowed_in_plan: server.is_allowed_in_plan,
            // A chat that explores was given the servers of its parent when it was made.
            is_in_snapshot: is_named,
        };
        server.is_enabled && (server.is_forced || is_named) && self.kind.allows_foreign(tool)
    }
}

/// A tool as a chat is offered it.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) definition: ToolDefinition,
    pub(crate) server_id: Uuid,
}

/// What there is to know of a session: all of it the same, or it is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    server_id: Uuid,
    server_revision: i64,
    token_revision: i64,
    user_id: Uuid,
    chat_id: String,
    workspace_id: String,
}

/// One session, or the place where it is begun: by one of those who want it, while the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Session>>>>;

/// All servers, sessions and tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mcp {
    config: Config,
    catalog: Catalog,
    pub(crate) tokens: Tokens,
    outbound: Outbound,
    sessions: Cache<Key, Slot>,
    health: Arc<Mutex<HashMap<Uuid, Health>>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Mcp {
    pub(crate) fn new(
        config: Config,
        clients: Clients,
        keyring: Arc<Keyring>,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let catalog = Catalog::new(clients.clone(), Arc::clone(&keyring), config.cache_ttl);
        let tokens = Tokens::new(clients, keyring, outbound.clone(), Arc::clone(&clock));
        let sessions = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .time_to_idle(IDLE_SESSION)
            .build();
        Self {
            config,
            catalog,
            tokens,
            outbound,
            sessions,
            health: Arc::default(),
            clock,
            metrics,
        }
    }

    /// Ends sessions nobody uses, for ever.
    pub(crate) async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            self.sessions.run_pending_tasks().await;
        }
    }

    /// Ends all sessions.
    pub(crate) async fn stop(&self) {
        self.sessions.invalidate_all();
        self.sessions.run_pending_tasks().await;
    }

    /// Servers were changed here.
    pub(crate) async fn changed(&self) {
        self.catalog.forget().await;
    }

    /// How the last connection to a server went.
    pub(crate) fn health(&self, server: Uuid) -> Option<Health> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.get(&server).cloned()
    }

    /// The tools of the servers a chat uses, by name. Servers that cannot be used now offer nothing.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn offer(&self, place: Place<'_>) -> Result<Vec<Offered>, Status> {
        let servers = self.used(place).await?;
        let asked = servers.iter().map(|server| async move {
            let listed = self.list(server, place).await;
            (server, listed)
        });
        let mut offered: Vec<(String, Uuid, ToolDefinition)> = Vec::new();
        for (server, listed) in futures::future::join_all(asked).await {
            let Ok(listing) = listed else { continue };
            offered.extend(listing.allowed().map(|(name, tool)| {
                let definition = ToolDefinition {
                    name: name.clone(),
                    description: tool.description.clone(),
                    input_schema_json: tool.schema_json.clone(),
                };
                (name.clone(), server.id, definition)
            }));
        }
        offered.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        offered.dedup_by(|later, earlier| later.0 == earlier.0);
        Ok(within_bounds(offered))
    }

    /// Runs a tool of a server. `None`: the name is of no server the chat uses.
    ///
    /// # Errors
    /// What to tell the model; whether the tool may have taken effect.
    pub(crate) async fn call(
        &self,
        place: Place<'_>,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Option<Result<result::Converted, CallError>> {
        let slug = name::slug(name)?;
        let servers = match self.used(place).await {
            Ok(servers) => servers,
            Err(_) => return Some(Err(CallError::unsent("The MCP servers cannot be looked up just now."))),
        };
        let server = servers.iter().find(|server| server.slug == slug)?;
        Some(self.run(server, place, name, arguments).await)
    }

    async fn run(
        &self,
        server: &Arc<Server>,
        place: Place<'_>,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<result::Converted, CallError> {
        let session = self
            .session(server, place)
            .await
            .map_err(|failure| CallError::unsent(failure.describe(&server.slug)))?;
        let listing = session.listing();
        let Some(tool) = listing.get(name) else {
            let text = format!("The MCP server {} offers no tool named {name:?}.", server.slug);
            return Err(CallError::unsent(text));
        };
        let arguments = match server.has_model_intent {
            true => intent::unwrap(arguments),
            false => arguments,
        };
        let started = std::time::Instant::now();
        let answer: Result<CallToolResult, Failure> =
            session.call(&tool.name, arguments, self.config.call_timeout).await;
        self.metrics.mcp_called(answer.is_ok(), started.elapsed());
        match answer {
            Ok(answer) => Ok(result::convert(answer)),
            Err(failure) => Err(CallError {
                text: failure.describe(&server.slug),
                is_unknown: !matches!(failure, Failure::Refused(_)),
            }),
        }
    }

    /// Connects to a server as a user, now, and says what it offers.
    pub(crate) async fn probe(&self, server: &Arc<Server>, user: &User) -> (Health, Arc<Listing>) {
        let scope = Scope::default();
        let place = Place {
            user,
            chat_id: "",
            kind: TurnKind::Root,
            scope: &scope,
        };
        let token = self.tokens.current(server, user).await;
        let started = std::time::Instant::now();
        let begun = self.begin(server, place, token).await;
        let listed = begun.map(|session| session.listing());
        let health = self.learn(server, &listed, started.elapsed());
        (health, listed.unwrap_or_default())
    }

    /// A server with its secrets opened, whether or not it is enabled.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn open(&self, row: McpServer) -> Result<Arc<Server>, String> {
        Server::open(row, self.tokens.keyring()).map(Arc::new)
    }

    /// How it looks when a server cannot even be asked.
    pub(crate) fn unusable(&self, problem: String) -> Health {
        Health::of(&Err(Failure::Refused(problem)), Duration::ZERO, self.now())
    }

    /// The servers a chat uses, those that every chat uses first.
    async fn used(&self, place: Place<'_>) -> Result<Vec<Arc<Server>>, Status> {
        let all = self.catalog.servers().await?;
        let mut used: Vec<Arc<Server>> = all.iter().filter(|server| place.uses(server)).cloned().collect();
        used.sort_by_key(|server| !server.is_forced);
        used.truncate(MAX_SERVERS);
        Ok(used)
    }

    /// What a server offers now, in the chat's own session.
    async fn list(&self, server: &Arc<Server>, place: Place<'_>) -> Result<Arc<Listing>, Failure> {
        let limit = self.config.connect_timeout;
        let started = std::time::Instant::now();
        let listed = tokio::time::timeout(limit, self.listed_in_session(server, place)).await;
        let listed = listed.unwrap_or(Err(Failure::Timeout(limit)));
        let elapsed = started.elapsed();
        if elapsed >= SLOW {
            tracing::warn!(
                slug = server.slug,
                elapsed_ms = elapsed.as_millis(),
                "MCP server is slow"
            );
        }
        self.learn(server, &listed, elapsed);
        listed
    }

    async fn listed_in_session(&self, server: &Arc<Server>, place: Place<'_>) -> Result<Arc<Listing>, Failure> {
        let token = self.tokens.current(server, place.user).await;
        let slot = self.slot(server, place, token.as_ref()).await;
        let mut held = slot.lock().await;
        if let Some(session) = held.as_ref().filter(|session| !session.is_over()) {
            // Servers may change what they offer at any time; a session that cannot say it any more is begun anew.
            if let Ok(listing) = session.list(self.config.connect_timeout / 2).await {
                return Ok(listing);
            }
        }
        *held = None;
        let session = Arc::new(self.begin(server, place, token).await?);
        *held = Some(Arc::clone(&session));
        Ok(session.listing())
    }

    /// The chat's session with a server; begun when there is none.
    async fn session(&self, server: &Arc<Server>, place: Place<'_>) -> Result<Arc<Session>, Failure> {
        let limit = self.config.connect_timeout;
        let open = async {
            let token = self.tokens.current(server, place.user).await;
            let slot = self.slot(server, place, token.as_ref()).await;
            let mut held = slot.lock().await;
            if let Some(session) = held.as_ref().filter(|session| !session.is_over()) {
                return Ok(Arc::clone(session));
            }
            let session = Arc::new(self.begin(server, place, token).await?);
            *held = Some(Arc::clone(&session));
            Ok(session)
        };
        tokio::time::timeout(limit, open)
            .await
            .unwrap_or(Err(Failure::Timeout(limit)))
    }

    async fn slot(&self, server: &Server, place: Place<'_>, token: Option<&Token>) -> Slot {
        let identity = place.identity();
        let key = Key {
            server_id: server.id,
            server_revision: server.revision,
            token_revision: token.map_or(0, |token| token.revision),
            user_id: place.user.id,
            chat_id: identity.chat_id,
            workspace_id: identity.workspace_id,
        };
        self.sessions.get_with(key, async { Slot::default() }).await
    }

    async fn begin(&self, server: &Arc<Server>, place: Place<'_>, token: Option<Token>) -> Result<Session, Failure> {
        let headers = server
            .headers(&place.identity(), token.as_ref())
            .map_err(Failure::Refused)?;
        let http = Http::new(self.outbound.clone(), headers);
        Session::begin(Arc::clone(server), token, http, self.config.connect_timeout).await
    }

    /// Remembers how a connection went.
    fn learn(&self, server: &Server, listed: &Result<Arc<Listing>, Failure>, duration: Duration) -> Health {
        let health = Health::of(listed, duration, self.now());
        if !matches!(health.outcome, McpOutcome::Connected) {
            tracing::warn!(slug = server.slug, outcome = ?health.outcome, error = health.error, "MCP server offers nothing");
        } else if !health.error.is_empty() {
            tracing::info!(
                slug = server.slug,
                note = health.error,
                "tools of an MCP server were left out"
            );
        }
        self.metrics.mcp_connected(health.outcome);
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(server.id, health.clone());
        health
    }

    fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

/// Why a call has no result of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallError {
    /// For the model.
    pub(crate) text: String,
    /// The tool may have taken effect.
    pub(crate) is_unknown: bool,
}

impl CallError {
    fn unsent(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_unknown: false,
        }
    }
}

fn within_bounds(offered: Vec<(String, Uuid, ToolDefinition)>) -> Vec<Offered> {
    let all = offered.len();
    let mut bytes = 0;
    let mut kept = Vec::new();
    for (_, server_id, definition) in offered {
        bytes += definition.name.len() + definition.description.len() + definition.input_schema_json.len();
        if kept.len() >= MAX_OFFERED || bytes > MAX_OFFERED_BYTES {
            let left_out = all - kept.len();
            tracing::warn!(left_out, "MCP servers offer more tools than a turn takes");
            break;
        }
        kept.push(Offered { definition, server_id });
    }
    kept
}
