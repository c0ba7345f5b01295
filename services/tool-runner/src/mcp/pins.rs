//! Definitions of tools as they were accepted. A tool whose description or schema has become another is not offered until an
//! administrator accepts it: who had it accepted once could otherwise make it say anything later.
//!
//! What is seen for the first time is accepted as it is. Administrators can switch this off for servers whose definitions depend on
//! who asks.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{ListMcpToolPinsRequest, McpToolPin, PutMcpToolPinsRequest};
use tandem_proto::tool::v1::McpToolApproval;
use tonic::Status;
use uuid::Uuid;

use super::listing::{Listed, Listing};
use super::server::Server;
use crate::clients::{Clients, PAUSES, persist};

/// Servers whose definitions are remembered here.
const MAX_SERVERS: u64 = 256;

/// Definitions recorded in one request.
const MAX_AT_ONCE: usize = 128;

/// By the server's own names.
type Known = Arc<BTreeMap<String, McpToolPin>>;

/// What was accepted, as storage has it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pins {
    clients: Clients,
    known: Cache<Uuid, Known>,
}

impl Pins {
    /// Definitions that count as current for `ttl`.
    pub(super) fn new(clients: Clients, ttl: Duration) -> Self {
        let known = Cache::builder().max_capacity(MAX_SERVERS).time_to_live(ttl).build();
        Self { clients, known }
    }

    /// The tools, by the server's own names, that are not what was accepted. What was never seen before is recorded.
    ///
    /// # Errors
    /// Storage's own: nothing may be offered then.
    pub(super) async fn changed(&self, server: &Server, listing: &Listing) -> Result<HashSet<String>, Status> {
        if !server.row.is_pinned {
            return Ok(HashSet::new());
        }
        let mut known = self.known(server.id).await?;
        let unseen = unseen(listing, &known);
        for some in unseen.chunks(MAX_AT_ONCE) {
            known = self.put(None, server.id, some.to_vec(), false).await?;
        }
        let tools = listing.allowed().map(|(_, tool)| tool);
        let changed = tools.filter(|tool| known.get(&tool.name).is_none_or(|pin| pin.digest != tool.digest()));
        Ok(changed.map(|tool| tool.name.clone()).collect())
    }

    /// What was accepted of a server's tools.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn known(&self, server: Uuid) -> Result<Known, Status> {
        let read = self.known.try_get_with(server, async {
            let message = ListMcpToolPinsRequest {
                server_id: server.to_string(),
            };
            let answer = persist(&PAUSES, || {
                let request = self.clients.own_request(message.clone());
                let mut mcp = self.clients.mcp.clone();
                async move { mcp.list_mcp_tool_pins(request).await }
            });
            answer.await.map(|answer| by_name(answer.into_inner().pins))
        });
        read.await.map_err(|status: Arc<Status>| Status::clone(&status))
    }

    /// Accepts tools as an administrator has seen them.
    ///
    /// # Errors
    /// One of them is not, any more, what was seen; storage's own.
    pub(crate) async fn approve(
        &self,
        user: &User,
        server: Uuid,
        listing: &Listing,
        seen: &[McpToolApproval],
    ) -> Result<(), Status> {
        let mut pins = Vec::with_capacity(seen.len());
        for approval in seen {
            let tool = listing
                .all()
                .map(|(_, tool)| tool)
                .find(|tool| tool.name == approval.name);
            let Some(tool) = tool.filter(|tool| tool.digest() == approval.digest) else {
                let shown: String = approval.name.chars().take(64).collect();
                let text = format!("The tool {shown:?} is no longer what was shown. Look at it again.");
                return Err(Fault::conflict("MCP_TOOL_CHANGED", text).into());
            };
            pins.push(pin(tool));
        }
        for some in pins.chunks(MAX_AT_ONCE) {
            self.put(Some(user), server, some.to_vec(), true).await?;
        }
        Ok(())
    }

    async fn put(
        &self,
        user: Option<&User>,
        server: Uuid,
        pins: Vec<McpToolPin>,
        is_approval: bool,
    ) -> Result<Known, Status> {
        let message = PutMcpToolPinsRequest {
            server_id: server.to_string(),
            pins,
            is_approval,
        };
        let answer = persist(&PAUSES, || {
            let request = match user {
                Some(user) => self.clients.request(user, message.clone()),
                None => self.clients.own_request(message.clone()),
            };
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.put_mcp_tool_pins(request).await }
        })
        .await?;
        let known = by_name(answer.into_inner().pins);
        self.known.insert(server, Arc::clone(&known)).await;
        Ok(known)
    }
}

/// The tools chats may use of which nothing is recorded.
fn unseen(listing: &Listing, known: &Known) -> Vec<McpToolPin> {
    let tools = listing.allowed().map(|(_, tool)| tool);
    tools.filter(|tool| !known.contains_key(&tool.name)).map(pin).collect()
}

fn by_name(pins: Vec<McpToolPin>) -> Known {
    Arc::new(pins.into_iter().map(|pin| (pin.name.clone(), pin)).collect())
}

fn pin(tool: &Listed) -> McpToolPin {
    McpToolPin {
        name: tool.name.clone(),
        digest: tool.digest(),
        description: tool.description.clone(),
        input_schema_json: tool.own_schema_json.clone(),
        approved_by: String::new(),
    }
}
