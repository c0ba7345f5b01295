//! Tools of configured servers as they are put into requests that programs send through the bridge. Such a request belongs to a user
//! and to no chat.

use std::sync::Arc;

use tandem_chassis::identity::User;
use tandem_chat_core::tool_policy::TurnKind;
use tandem_proto::tool::v1::BridgeTool;
use tonic::Status;

use super::server::Server;
use super::{Asked, CallError, Converted, Mcp, Offered, Place, Scope};

/// Put before names, so that none is a program's own.
const PREFIX: &str = "bmcp_";

/// Longest name every vendor takes, in characters.
const MAX_CHARS: usize = 64;

/// Tools in one request, and the bytes they take.
const MAX_TOOLS: usize = 256;
const MAX_BYTES: usize = 1024 * 1024;

impl Mcp {
    /// The tools of the servers a user's chats use unless told otherwise, by name.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn bridge_tools(&self, user: &User) -> Result<Vec<BridgeTool>, Status> {
        let mut tools = Vec::new();
        let mut bytes = 0;
        for (server, offered) in self.bridged(user).await? {
            for tool in offered {
                let definition = tool.definition;
                bytes += definition.description.len() + definition.input_schema_json.len();
                if tools.len() >= MAX_TOOLS || bytes > MAX_BYTES {
                    tracing::warn!("MCP servers offer more tools than a request takes");
                    break;
                }
                tools.push(BridgeTool {
                    name: bridged_name(&definition.name),
                    description: definition.description,
                    input_schema_json: definition.input_schema_json,
                    server_url: shown_url(&server),
                    server_name: server.slug.clone(),
                    tool_name: definition.name,
                });
            }
        }
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        tools.dedup_by(|later, earlier| later.name == earlier.name);
        Ok(tools)
    }

    /// Runs such a tool for a user. `None`: there is none of that name.
    ///
    /// # Errors
    /// What to tell the model; storage's own.
    pub(crate) async fn bridge_call(
        &self,
        user: &User,
        name: &str,
        call: Asked,
    ) -> Result<Option<Result<Converted, CallError>>, Status> {
        let scope = self.bridge_scope().await?;
        for (server, offered) in self.bridged(user).await? {
            let names = offered.into_iter().map(|tool| tool.definition.name);
            if let Some(own) = names.into_iter().find(|own| bridged_name(own) == name) {
                return Ok(Some(self.run(&server, bridge_place(user, &scope), &own, call).await));
            }
        }
        Ok(None)
    }

    async fn bridged(&self, user: &User) -> Result<Vec<(Arc<Server>, Vec<Offered>)>, Status> {
        let scope = self.bridge_scope().await?;
        let place = bridge_place(user, &scope);
        let servers = self.used(place).await?;
        let asked = servers.into_iter().map(|server| async move {
            let offered = self.offered_by(&server, place).await;
            (server, offered)
        });
        Ok(futures::future::join_all(asked).await)
    }

    /// The servers that chats use unless told otherwise.
    async fn bridge_scope(&self) -> Result<Scope, Status> {
        let all = self.catalog.servers().await?;
        let ids = all.iter().filter(|server| server.is_default).map(|server| server.id);
        Ok(Scope {
            server_ids: ids.collect(),
            ..Scope::default()
        })
    }
}

fn bridge_place<'a>(user: &'a User, scope: &'a Scope) -> Place<'a> {
    Place {
        user,
        chat_id: "",
        kind: TurnKind::Root,
        scope,
    }
}

fn bridged_name(offered: &str) -> String {
    let single = offered.replacen("__", "_", 1);
    PREFIX.chars().chain(single.chars()).take(MAX_CHARS).collect()
}

/// The address without what may be secret about it.
fn shown_url(server: &Server) -> String {
    let mut url = server.url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_server_and_the_tool_and_are_no_programs_own() {
        assert_eq!(bridged_name("files__read__all"), "bmcp_files_read__all");
        assert_eq!(bridged_name(&"x".repeat(64)).len(), MAX_CHARS);
    }
}
