//! Tools of MCP servers: those that administrators have configured and those that workspaces name themselves. Which of them a chat is
//! offered, and running one.
//!
//! Nothing a server does fails a turn: a server that is away, slow or broken offers nothing, and a call that goes wrong is a result.
//! Calls are journalled like all others; one whose owner is gone is never sent again, because nobody can know what became of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};
use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chassis::outbound::Outbound;
use tandem_chassis::seal::keyring::Keyring;
use tandem_chat_core::tool_policy::{ForeignTool, TurnKind};
use tandem_mcp::Failure;
use tandem_proto::common::v1::ToolDefinition;
use tandem_proto::storage::v1::{ListFoundMcpToolsRequest, McpServer, PutFoundMcpToolsRequest};
use tandem_proto::tool::v1::McpScope;
use tandem_proto::workspace::v1::WorkspaceMcpTool;
use tonic::Status;
use uuid::Uuid;

mod bridge;
mod catalog;
mod connect;
mod found;
mod health;
mod intent;
mod listing;
mod name;
pub(crate) mod oauth;
mod pins;
mod result;
pub(crate) mod sealed;
pub(crate) mod server;
mod session;
mod tokens;
mod workspace;

pub(crate) use found::FIND_TOOLS;
pub(crate) use health::Health;
pub(crate) use listing::{Listing, estimated_tokens};
pub(crate) use result::{Converted, is_media};
pub(crate) use tokens::{Connection, Tokens};

use crate::agents::{self, Agents};
use crate::clients::{Clients, PAUSES, persist};
use crate::metrics::Metrics;
use catalog::Catalog;
use connect::Rest;
use pins::Pins;
use server::{Identity, Server};
use session::Session;
use workspace::WorkspaceServers;

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
    /// How long a server that did not answer in time is not asked again.
    #[serde(with = "tandem_chassis::config::duration")]
    pub rest: Duration,
    /// Percent of what a model can be told that tools of MCP servers may take; beyond it they are searched for instead.
    pub max_context_percent: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            cache_ttl: Duration::from_secs(10),
            rest: Duration::from_secs(30),
            max_context_percent: 10,
        }
    }
}

/// What the tools of a chat's MCP servers have to do with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    server_ids: Vec<Uuid>,
    pub(crate) root_chat_id: String,
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

impl Scope {
    /// Empty when no workspace is bound.
    pub(crate) fn workspace_id(&self) -> &str {
        &self.workspace_id
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

    /// The workspace whose own servers the turn may use.
    fn workspace(&self) -> Option<&str> {
        let id = self.scope.workspace_id.as_str();
        (!id.is_empty() && self.kind.allows_foreign(ForeignTool::WorkspaceMcp)).then_some(id)
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
    /// Where it is a configured server's.
    pub(crate) server_id: Option<Uuid>,
}

/// Whose tool a name is.
pub(crate) enum Owner {
    /// A configured server's.
    Server(Arc<Server>),
    /// One that the workspace names itself; running it needs the workspace's agent.
    Workspace(WorkspaceMcpTool),
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
    pub(crate) pins: Pins,
    pub(crate) workspaces: WorkspaceServers,
    clients: Clients,
    outbound: Outbound,
    sessions: Cache<Key, Slot>,
    health: Arc<Mutex<HashMap<Uuid, Health>>>,
    resting: Arc<Mutex<HashMap<Uuid, Rest>>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Mcp {
    pub(crate) fn new(
        config: Config,
        clients: Clients,
        agents: Agents,
        keyring: Arc<Keyring>,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let catalog = Catalog::new(clients.clone(), Arc::clone(&keyring), config.cache_ttl);
        let tokens = Tokens::new(clients.clone(), keyring, outbound.clone(), Arc::clone(&clock));
        let workspaces = WorkspaceServers::new(clients.clone(), agents, config.cache_ttl, config.call_timeout);
        let sessions = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .time_to_idle(IDLE_SESSION)
            .build();
        Self {
            pins: Pins::new(clients.clone(), config.cache_ttl),
            config,
            catalog,
            tokens,
            workspaces,
            clients,
            outbound,
            sessions,
            health: Arc::default(),
            resting: Arc::default(),
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

    /// The tools a chat is offered: those of configured servers by name, then those of its workspace by name. Where they take more of
    /// `context_tokens` than they may, the tool that finds them stands in their place. Servers that cannot be used now offer nothing.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn offer(&self, place: Place<'_>, context_tokens: i64) -> Result<Vec<Offered>, Status> {
        let all = self.all(place).await?;
        if !found::is_too_much(&all, context_tokens, self.config.max_context_percent) {
            return Ok(all);
        }
        let names = persist(&PAUSES, || {
            let message = ListFoundMcpToolsRequest {
                chat_id: place.chat_id.to_owned(),
            };
            let request = self.clients.request(place.user, message);
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.list_found_mcp_tools(request).await }
        })
        .await?;
        let found: HashSet<String> = names.into_inner().names.into_iter().collect();
        Ok(found::instead(all, &found))
    }

    /// Finds tools by what a model has asked for, and remembers that the chat has found them.
    ///
    /// # Errors
    /// What to tell the model.
    pub(crate) async fn find(&self, place: Place<'_>, arguments: &Map<String, Value>) -> Result<Value, String> {
        let away = || "The MCP servers cannot be looked up just now.".to_owned();
        let all = self.all(place).await.map_err(|_| away())?;
        let found = found::search(&all, arguments)?;
        if !found.is_empty() {
            let names: Vec<String> = found.iter().map(|tool| tool.definition.name.clone()).collect();
            let stored = persist(&PAUSES, || {
                let message = PutFoundMcpToolsRequest {
                    chat_id: place.chat_id.to_owned(),
                    names: names.clone(),
                };
                let request = self.clients.request(place.user, message);
                let mut mcp = self.clients.mcp.clone();
                async move { mcp.put_found_mcp_tools(request).await }
            });
            stored.await.map_err(|_| away())?;
        }
        Ok(found::answer(&found, all.len()))
    }

    async fn all(&self, place: Place<'_>) -> Result<Vec<Offered>, Status> {
        let servers = self.used(place).await?;
        let own = async {
            match place.workspace() {
                Some(workspace) => self.workspace_tools(place, workspace).await,
                None => Ok(Vec::new()),
            }
        };
        let asked = servers
            .into_iter()
            .map(|server| async move { self.offered_by(&server, place).await });
        let (of_servers, of_workspace) = tokio::join!(futures::future::join_all(asked), own);
        let mut bounds = Bounds::default();
        // In the order of the servers, so that one with a small name takes no room from one that every chat uses.
        let mut offered: Vec<Offered> = of_servers
            .into_iter()
            .flatten()
            .filter(|tool| bounds.take(tool))
            .collect();
        offered.sort_by(|one, other| one.definition.name.cmp(&other.definition.name));
        offered.dedup_by(|later, earlier| later.definition.name == earlier.definition.name);
        offered.extend(of_workspace?.into_iter().filter(|tool| bounds.take(tool)));
        bounds.warn();
        Ok(offered)
    }

    /// What one configured server offers a chat.
    async fn offered_by(&self, server: &Arc<Server>, place: Place<'_>) -> Vec<Offered> {
        let Ok(listing) = self.list(server, place).await else {
            return Vec::new();
        };
        let changed = match self.unaccepted(server, &listing).await {
            Ok(changed) => changed,
            Err(status) => {
                let error = status.message();
                tracing::warn!(
                    slug = server.slug,
                    error,
                    "accepted definitions of an MCP server cannot be read"
                );
                return Vec::new();
            }
        };
        let tools = listing.allowed().filter(|(_, tool)| !changed.contains(&tool.name));
        let definition = |(name, tool): (&String, &listing::Listed)| ToolDefinition {
            name: name.clone(),
            description: tool.description.clone(),
            input_schema_json: tool.schema_json().to_owned(),
            computer: None,
        };
        tools
            .map(|tool| Offered {
                definition: definition(tool),
                server_id: Some(server.id),
            })
            .collect()
    }

    /// The tools of a server that are not what was accepted, by its own names; told to those who look after it.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn unaccepted(&self, server: &Server, listing: &Listing) -> Result<HashSet<String>, Status> {
        let changed = self.pins.changed(server, listing).await?;
        if !changed.is_empty() {
            tracing::warn!(slug = server.slug, tools = ?changed, "tools of an MCP server have changed and are not offered");
        }
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(health) = health.get_mut(&server.id) {
            health.changed_tool_count = changed.len();
        }
        Ok(changed)
    }

    async fn workspace_tools(&self, place: Place<'_>, workspace: &str) -> Result<Vec<Offered>, Status> {
        let taken = self.slugs().await?;
        let tools = self.workspaces.tools(place.user, workspace, &taken).await;
        let offered = tools.iter().map(|(name, tool)| Offered {
            definition: workspace::definition(name, tool),
            server_id: None,
        });
        Ok(offered.collect())
    }

    async fn slugs(&self) -> Result<HashSet<String>, Status> {
        let all = self.catalog.servers().await?;
        Ok(all.iter().map(|server| server.slug.clone()).collect())
    }

    /// Whose tool the name is, if it is one the chat may use. `None`: of no server there is.
    pub(crate) async fn owner(&self, place: Place<'_>, name: &str) -> Option<Result<Owner, CallError>> {
        let slug = name::slug(name)?;
        let away = || Some(Err(CallError::unsent("The MCP servers cannot be looked up just now.")));
        let (Ok(servers), Ok(taken)) = (self.used(place).await, self.slugs().await) else {
            return away();
        };
        if let Some(server) = servers.iter().find(|server| server.slug == slug) {
            return Some(Ok(Owner::Server(Arc::clone(server))));
        }
        let mut tools = self.workspaces.tools(place.user, place.workspace()?, &taken).await;
        tools.remove(name).map(|tool| Ok(Owner::Workspace(tool)))
    }

    /// Runs a tool that a workspace names itself.
    ///
    /// # Errors
    /// What to tell the model; whether the tool may have taken effect.
    pub(crate) async fn run_in_workspace(
        &self,
        connection: &agents::Connection,
        place: Place<'_>,
        tool: &WorkspaceMcpTool,
        call: Asked,
    ) -> Result<Converted, CallError> {
        let started = std::time::Instant::now();
        let answer = self.workspaces.call(connection, place, tool, call).await;
        self.metrics.mcp_called(answer.is_ok(), started.elapsed());
        answer
    }

    /// Runs a tool of a configured server, by the name under which it is offered.
    ///
    /// # Errors
    /// What to tell the model; whether the tool may have taken effect.
    pub(crate) async fn run(
        &self,
        server: &Arc<Server>,
        place: Place<'_>,
        name: &str,
        call: Asked,
    ) -> Result<Converted, CallError> {
        let session = self
            .session(server, place)
            .await
            .map_err(|failure| CallError::unsent(failure.describe(&server.slug)))?;
        let listing = session.listing();
        let Some(tool) = listing.get(name) else {
            let text = format!("The MCP server {} offers no tool named {name:?}.", server.slug);
            return Err(CallError::unsent(text));
        };
        match self.unaccepted(server, &listing).await {
            Ok(changed) if changed.contains(&tool.name) => {
                let text = format!("{name} has changed and was not accepted by an administrator yet.");
                return Err(CallError::unsent(text));
            }
            Ok(_) => {}
            Err(_) => return Err(CallError::unsent("The MCP servers cannot be looked up just now.")),
        }
        let arguments = match server.has_model_intent {
            true => intent::unwrap(call.arguments),
            false => call.arguments,
        };
        let started = std::time::Instant::now();
        let limit = self.config.call_timeout;
        let answer = session.call(&tool.name, arguments, &call.tool_call_id, limit).await;
        self.metrics.mcp_called(answer.is_ok(), started.elapsed());
        answer.map(result::convert).map_err(|failure| CallError {
            text: failure.describe(&server.slug),
            is_unknown: failure.is_unknown(),
        })
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
        Health::of(&Err(Failure::Refused(problem)), Duration::ZERO, self.clock.now())
    }

    /// The servers a chat uses, those that every chat uses first.
    async fn used(&self, place: Place<'_>) -> Result<Vec<Arc<Server>>, Status> {
        let all = self.catalog.servers().await?;
        let mut used: Vec<Arc<Server>> = all.iter().filter(|server| place.uses(server)).cloned().collect();
        used.sort_by_key(|server| !server.is_forced);
        used.truncate(MAX_SERVERS);
        Ok(used)
    }
}

/// A call as it is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) arguments: Map<String, Value>,
    /// Servers are told it.
    pub(crate) tool_call_id: String,
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

/// How many tools of MCP servers a turn has so far, and the bytes they take.
#[derive(Debug, Default)]
struct Bounds {
    count: usize,
    bytes: usize,
    left_out: usize,
}

impl Bounds {
    /// Whether there is room for one more, which it takes.
    fn take(&mut self, tool: &Offered) -> bool {
        let definition = &tool.definition;
        let bytes = definition.name.len() + definition.description.len() + definition.input_schema_json.len();
        let has_room = self.count < MAX_OFFERED && self.bytes + bytes <= MAX_OFFERED_BYTES;
        if has_room {
            self.count += 1;
            self.bytes += bytes;
        } else {
            self.left_out += 1;
        }
        has_room
    }

    fn warn(&self) {
        if self.left_out > 0 {
            tracing::warn!(self.left_out, "MCP servers offer more tools than a turn takes");
        }
    }
}
