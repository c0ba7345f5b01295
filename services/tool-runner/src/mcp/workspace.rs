//! Tools of MCP servers that a workspace names itself. They run beside the workspace's other processes, by its agent; nothing of it is
//! started or connected to before the workspace's owner has approved that very definition.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use prost::Message as _;
use serde_json::Value;
use tandem_chassis::identity::User;
use tandem_proto::common::v1::ToolDefinition;
use tandem_proto::storage::v1::{ListWorkspaceMcpApprovalsRequest, WorkspaceMcpApproval};
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{
    CallMcpTool, ListMcpTools, ListMcpToolsResult, OperationErrorKind, WorkspaceMcpTool,
};
use tonic::Status;

use super::{Asked, CallError, Place, name, result};
use crate::agents::{Agents, Connection, Refusal};
use crate::clients::{Clients, PAUSES, persist};

/// Time for an agent to say what there is; what it said before counts otherwise.
const LIST_TIME: Duration = Duration::from_secs(5);

/// More than a tool has, which the agent bounds.
const CALL_GRACE: Duration = Duration::from_secs(5);

/// Workspaces whose approvals are remembered.
const MAX_WORKSPACES: u64 = 2_048;

/// Bytes of what is remembered of all workspaces' servers: agents on users' hosts may say much.
const MAX_SAID_BYTES: u64 = 64 * 1024 * 1024;

/// How long it is remembered what a workspace offered.
const STALE: Duration = Duration::from_secs(3_600);

/// Put before the name of a server that an administrator's server has too.
const OWN: &str = "workspace-";

/// What agents said of their servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct WorkspaceServers {
    clients: Clients,
    agents: Agents,
    approvals: Cache<String, Arc<Vec<WorkspaceMcpApproval>>>,
    said: Said,
    call_time: Duration,
}

/// What each workspace's agent said last, as long as all of it together is not too much.
#[derive(Clone)]
struct Said(Cache<String, Arc<ListMcpToolsResult>>);

impl Said {
    fn new(max_bytes: u64) -> Self {
        let weigh = |workspace_id: &String, said: &Arc<ListMcpToolsResult>| {
            u32::try_from(workspace_id.len() + said.encoded_len()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .time_to_live(STALE)
            .build();
        Self(cache)
    }
}

impl WorkspaceServers {
    /// Approvals count as current for `ttl`; a tool has `call_time`.
    pub(super) fn new(clients: Clients, agents: Agents, ttl: Duration, call_time: Duration) -> Self {
        Self {
            clients,
            agents,
            approvals: Cache::builder().max_capacity(MAX_WORKSPACES).time_to_live(ttl).build(),
            said: Said::new(MAX_SAID_BYTES),
            call_time,
        }
    }

    /// What the workspace's owner has approved, newest first.
    ///
    /// # Errors
    /// Storage's own: also that the workspace is not the user's.
    pub(crate) async fn approvals(
        &self,
        user: &User,
        workspace_id: &str,
    ) -> Result<Arc<Vec<WorkspaceMcpApproval>>, Status> {
        // By whoever asks: what one may see is not for others.
        let key = format!("{}/{workspace_id}", user.id);
        let read = self.approvals.try_get_with(key, async {
            let answer = persist(&PAUSES, || {
                let message = ListWorkspaceMcpApprovalsRequest {
                    workspace_id: workspace_id.to_owned(),
                };
                let request = self.clients.request(user, message);
                let mut mcp = self.clients.mcp.clone();
                async move { mcp.list_workspace_mcp_approvals(request).await }
            });
            answer.await.map(|answer| Arc::new(answer.into_inner().approvals))
        });
        read.await.map_err(|status: Arc<Status>| Status::clone(&status))
    }

    /// Approvals were changed here.
    pub(crate) async fn changed(&self, user: &User, workspace_id: &str) {
        self.approvals.invalidate(&format!("{}/{workspace_id}", user.id)).await;
    }

    /// What the workspace's servers are and offer now; `None` where no agent is connected or it does not answer. Starts no workspace.
    ///
    /// # Errors
    /// As [`WorkspaceServers::approvals`].
    pub(crate) async fn ask(
        &self,
        user: &User,
        workspace_id: &str,
        is_refresh: bool,
    ) -> Result<Option<Arc<ListMcpToolsResult>>, Status> {
        let approvals = self.approvals(user, workspace_id).await?;
        let Some(connection) = self.agents.connected(workspace_id) else {
            return Ok(None);
        };
        let operation = Operation::ListMcpTools(ListMcpTools {
            approved_digests: approvals.iter().map(|approval| approval.digest.clone()).collect(),
            is_refresh,
        });
        match connection.call("", operation, LIST_TIME, None).await {
            Ok(Answer::ListMcpTools(said)) => {
                let said = Arc::new(said);
                self.said.0.insert(workspace_id.to_owned(), Arc::clone(&said)).await;
                Ok(Some(said))
            }
            Ok(_) => Ok(None),
            Err(refusal) => {
                tracing::info!(workspace_id, error = %refusal, "MCP servers of a workspace cannot be listed");
                Ok(None)
            }
        }
    }

    /// The tools of a workspace by the name under which they are offered. Where its agent cannot be asked, those it told of last.
    /// `taken`: slugs of servers that administrators have configured.
    pub(super) async fn tools(
        &self,
        user: &User,
        workspace_id: &str,
        taken: &HashSet<String>,
    ) -> BTreeMap<String, WorkspaceMcpTool> {
        let asked = self.ask(user, workspace_id, false).await;
        let said = match asked {
            Ok(Some(said)) => said,
            Ok(None) => match self.said.0.get(workspace_id).await {
                Some(said) => said,
                None => return BTreeMap::new(),
            },
            Err(status) => {
                tracing::warn!(
                    workspace_id,
                    error = status.message(),
                    "approvals of MCP servers cannot be read"
                );
                return BTreeMap::new();
            }
        };
        let Ok(approvals) = self.approvals(user, workspace_id).await else {
            return BTreeMap::new();
        };
        // What is remembered may be older than an approval that was taken back.
        let approved: HashSet<&[u8]> = approvals.iter().map(|approval| approval.digest.as_slice()).collect();
        let servers: HashSet<&str> = said
            .servers
            .iter()
            .filter(|server| approved.contains(server.digest.as_slice()))
            .map(|server| server.name.as_str())
            .collect();
        let tools = said
            .tools
            .iter()
            .filter(|tool| servers.contains(tool.server_name.as_str()));
        named(tools.cloned(), taken)
    }

    /// Runs a tool in the workspace that `connection` leads to.
    ///
    /// # Errors
    /// What to tell the model; whether the tool may have taken effect.
    pub(super) async fn call(
        &self,
        connection: &Connection,
        place: Place<'_>,
        tool: &WorkspaceMcpTool,
        call: Asked,
    ) -> Result<result::Converted, CallError> {
        let operation = Operation::CallMcpTool(CallMcpTool {
            name: tool.name.clone(),
            arguments_json: Value::Object(call.arguments).to_string(),
            tool_call_id: call.tool_call_id,
        });
        let deadline = self.call_time + CALL_GRACE;
        let mut said = connection.call(place.chat_id, operation.clone(), deadline, None).await;
        if let Err(Refusal::Failed(error)) = &said
            && error.kind() == OperationErrorKind::NotFound
        {
            // An agent that was started just now has not heard yet what is approved.
            let heard = self.ask(place.user, &place.scope.workspace_id, false).await;
            if matches!(heard, Ok(Some(_))) {
                said = connection.call(place.chat_id, operation, deadline, None).await;
            }
        }
        let said = said.map_err(|refusal| CallError {
            text: format!("The MCP server {} did not run the tool: {refusal}", tool.server_name),
            is_unknown: may_have_acted(&refusal),
        })?;
        let answer = match said {
            Answer::CallMcpTool(answer) => serde_json::from_str(&answer.result_json).ok(),
            _ => None,
        };
        answer.map(result::convert).ok_or_else(|| CallError {
            text: "The workspace answered something unexpected.".to_owned(),
            is_unknown: true,
        })
    }
}

fn may_have_acted(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Busy => false,
        Refusal::Broken | Refusal::Late => true,
        Refusal::Failed(error) => !matches!(
            error.kind(),
            OperationErrorKind::Invalid | OperationErrorKind::NotFound | OperationErrorKind::Permission
        ),
    }
}

/// Names in the characters every vendor takes, none of which leads to a server of the administrators.
fn named(tools: impl Iterator<Item = WorkspaceMcpTool>, taken: &HashSet<String>) -> BTreeMap<String, WorkspaceMcpTool> {
    let mut named = BTreeMap::new();
    for tool in tools {
        let own = tool
            .name
            .strip_prefix(&tool.server_name)
            .and_then(|rest| rest.strip_prefix("__"));
        let Some(own) = own.map(str::to_owned) else {
            continue;
        };
        let mut server = tool.server_name.clone();
        let is_taken = |server: &str| {
            let offered = name::offered(server, &own);
            name::slug(&offered).is_none_or(|slug| taken.contains(slug))
        };
        if is_taken(&server) {
            server = format!("{OWN}{server}");
            if is_taken(&server) {
                continue;
            }
        }
        let mut offered = name::offered(&server, &own);
        if named.contains_key(&offered) {
            offered = name::told_apart(&server, &own);
        }
        named.entry(offered).or_insert(tool);
    }
    named
}

/// What models are told of a tool.
pub(super) fn definition(offered: &str, tool: &WorkspaceMcpTool) -> ToolDefinition {
    ToolDefinition {
        name: offered.to_owned(),
        description: tool.description.clone(),
        input_schema_json: tool.input_schema_json.clone(),
        computer: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(server: &str, name: &str) -> WorkspaceMcpTool {
        WorkspaceMcpTool {
            server_name: server.to_owned(),
            name: format!("{server}__{name}"),
            ..WorkspaceMcpTool::default()
        }
    }

    #[test]
    fn no_server_of_a_workspace_takes_the_place_of_an_administrators() {
        let taken = HashSet::from(["github".to_owned(), "a".to_owned()]);
        let tools = [
            tool("files", "read"),
            tool("github", "push"),
            tool("a._b", "c"),
            tool("x.y", "z"),
            tool("x_y", "z"),
        ];
        let named = named(tools.into_iter(), &taken);
        let names: Vec<(&str, &str)> = named
            .iter()
            .map(|(name, tool)| (name.as_str(), tool.name.as_str()))
            .collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert!(names.contains(&("files__read", "files__read")));
        assert!(names.contains(&("workspace-github__push", "github__push")));
        assert!(
            names.iter().all(|(name, _)| !taken.contains(name::slug(name).unwrap())),
            "{names:?}"
        );
    }

    #[tokio::test]
    async fn what_workspaces_say_is_remembered_within_a_number_of_bytes() {
        let said = Said::new(10_000);
        let of_size = |bytes: usize| {
            let tool = WorkspaceMcpTool {
                description: "x".repeat(bytes),
                ..tool("files", "read")
            };
            Arc::new(ListMcpToolsResult {
                tools: vec![tool],
                ..ListMcpToolsResult::default()
            })
        };
        said.0.insert("little".to_owned(), of_size(1_000)).await;
        said.0.run_pending_tasks().await;
        assert!(said.0.contains_key("little"));
        for index in 0..100 {
            said.0.insert(format!("large {index}"), of_size(3_000)).await;
        }
        said.0.insert("larger than all".to_owned(), of_size(20_000)).await;
        said.0.run_pending_tasks().await;
        assert!(said.0.weighted_size() <= 10_000, "{}", said.0.weighted_size());
        assert!(said.0.entry_count() <= 3, "{}", said.0.entry_count());
    }

    #[test]
    fn only_refusals_from_before_the_call_say_that_nothing_was_done() {
        let failed = |kind: OperationErrorKind| {
            Refusal::Failed(tandem_proto::workspace::v1::OperationError {
                kind: kind.into(),
                message: String::new(),
            })
        };
        assert!(!may_have_acted(&Refusal::Busy) && !may_have_acted(&failed(OperationErrorKind::NotFound)));
        for refusal in [Refusal::Broken, Refusal::Late, failed(OperationErrorKind::Io)] {
            assert!(may_have_acted(&refusal), "{refusal:?}");
        }
    }
}
