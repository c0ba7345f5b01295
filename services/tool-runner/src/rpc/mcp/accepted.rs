//! What a server offers, beside what was accepted of it.

use std::collections::HashSet;
use std::sync::Arc;

use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::McpServer;
use tandem_proto::tool::v1::{ApproveMcpToolsRequest, McpHealth, McpTool};
use tonic::Status;

use super::{McpRpc, invalid};

/// Tools accepted in one request.
const MAX_APPROVED: usize = 128;

impl McpRpc {
    /// Connects to a server as a user and says what it offers. Users see less than administrators.
    pub(super) async fn tools_of(&self, user: &User, row: McpServer) -> Result<(McpHealth, Vec<McpTool>), Status> {
        let server = match self.mcp.open(row) {
            Ok(server) => server,
            Err(problem) => {
                let mut health = self.mcp.unusable(problem).to_wire();
                if !user.is_admin {
                    health.error.clear();
                }
                return Ok((health, Vec::new()));
            }
        };
        let (mut health, listing) = self.mcp.probe(&server, user).await;
        let changed = self.mcp.unaccepted(&server, &listing).await?;
        health.changed_tool_count = changed.len();
        let accepted = match changed.is_empty() {
            true => Arc::default(),
            false => self.mcp.pins.known(server.id).await?,
        };
        let shown = listing.all().filter(|(_, tool)| {
            let is_usable = tool.is_allowed && !changed.contains(&tool.name);
            is_usable || user.is_admin
        });
        let tools = shown.map(|(offered_name, tool)| {
            let is_changed = changed.contains(&tool.name);
            let before = accepted.get(&tool.name).filter(|_| is_changed);
            McpTool {
                name: tool.name.clone(),
                offered_name: offered_name.clone(),
                description: tool.description.clone(),
                input_schema_json: tool.schema_json().to_owned(),
                estimated_tokens: tool.estimated_tokens(),
                is_allowed: tool.is_allowed,
                digest: tool.digest(),
                is_changed,
                accepted_description: before.map(|pin| pin.description.clone()).unwrap_or_default(),
                accepted_input_schema_json: before.map(|pin| pin.input_schema_json.clone()).unwrap_or_default(),
            }
        });
        let tools = tools.collect();
        let mut health = health.to_wire();
        if !user.is_admin {
            // It can name hosts.
            health.error.clear();
        }
        Ok((health, tools))
    }

    /// Accepts tools as an administrator has seen them.
    pub(super) async fn approve_tools(
        &self,
        user: &User,
        message: ApproveMcpToolsRequest,
    ) -> Result<(McpHealth, Vec<McpTool>), Status> {
        let names: HashSet<&str> = message.tools.iter().map(|tool| tool.name.as_str()).collect();
        if names.is_empty() || names.len() != message.tools.len() || names.len() > MAX_APPROVED {
            return Err(invalid("tools", "must be 1 to 128 different tools"));
        }
        let row = self.row(user, message.server_id).await?;
        let server = self.mcp.open(row.clone()).map_err(|problem| {
            let text = format!("The MCP server cannot be used: {problem}.");
            Status::from(Fault::wrong_state("MCP_SERVER_UNUSABLE", text))
        })?;
        let (_, listing) = self.mcp.probe(&server, user).await;
        self.mcp.pins.approve(user, server.id, &listing, &message.tools).await?;
        self.tools_of(user, row).await
    }
}
