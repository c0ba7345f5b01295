//! MCP servers that the workspace names in `.mcp.json`: which there are, and the tools of those that a person has approved.
//!
//! Nothing is started and nothing is connected to unless the caller says that this very definition was approved. The file is read
//! anew whenever somebody asks, so that what was changed or removed in it is ended then.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tandem_mcp::Failure as McpFailure;
use tandem_proto::workspace::v1::{
    CallMcpTool, CallMcpToolResult, ListMcpTools, ListMcpToolsResult, OperationErrorKind, WorkspaceMcpServer,
    WorkspaceMcpState, WorkspaceMcpTool,
};
use tokio::sync::{Mutex, watch};

mod config;
mod server;
mod tools;

use crate::error::Failure;
use crate::files::Root;
use config::Definition;
use server::Server;

/// Time for servers that are being started when somebody asks; what is not ready then is said so.
const PATIENCE: Duration = Duration::from_secs(4);

/// A server that failed is not tried again for this long, unless somebody asks for it.
const REST: Duration = Duration::from_secs(30);

/// Tools in one answer, and the bytes they take.
const MAX_TOOLS: usize = 512;
const MAX_TOOLS_BYTES: usize = 2 * 1024 * 1024;

/// Largest result of a tool, in bytes of JSON.
const MAX_RESULT_BYTES: usize = 8 * 1024 * 1024;

/// Longest text about a failure, in bytes.
const MAX_ERROR_BYTES: usize = 480;

/// The workspace's servers.
pub(crate) struct Manager {
    files: Arc<Root>,
    /// By name. The lock is held while it is decided what runs, never while a server is waited for.
    known: Mutex<BTreeMap<String, Entry>>,
}

/// A server that was approved.
struct Entry {
    digest: Vec<u8>,
    state: watch::Receiver<State>,
    /// Ends the attempt, and with it the server.
    attempt: tokio::task::AbortHandle,
}

/// How an approved server stands.
#[derive(Clone)]
enum State {
    Starting,
    Connected(Arc<Server>),
    Failed { error: String, at: Instant },
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.attempt.abort();
    }
}

impl Manager {
    /// Nothing runs yet.
    pub(crate) fn new(files: Arc<Root>) -> Arc<Self> {
        Arc::new(Self {
            files,
            known: Mutex::default(),
        })
    }

    /// What the file names and what the approved servers offer. Ends what is not in the file, or not approved, any more.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn list(&self, request: ListMcpTools) -> Result<ListMcpToolsResult, Failure> {
        let files = Arc::clone(&self.files);
        let read = tokio::task::spawn_blocking(move || config::read(&files)).await;
        let definitions = read.unwrap_or_else(|_| Err(Failure::limit("the agent is stopping")))?;
        let approved: HashSet<Vec<u8>> = request.approved_digests.into_iter().take(config::MAX_SERVERS).collect();
        let waited = self.bring_about(&definitions, &approved, request.is_refresh).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut states: BTreeMap<String, State> = BTreeMap::new();
        for (name, mut state) in waited {
            let settled = state.wait_for(|state| !matches!(state, State::Starting));
            // What is borrowed of the channel must not be held over the next wait.
            let settled = match tokio::time::timeout_at(deadline, settled).await {
                Ok(Ok(settled)) => settled.clone(),
                // It is still at it, or was ended meanwhile.
                Ok(Err(_)) | Err(_) => State::Starting,
            };
            if request.is_refresh
                && let State::Connected(server) = &settled
            {
                // What it said before counts when it does not answer.
                let _ = tokio::time::timeout_at(deadline, server.refresh()).await;
            }
            states.insert(name, settled);
        }
        Ok(answer(&definitions, &approved, &states))
    }

    /// Starts what is approved and ends what is not, and tells the states to wait for.
    async fn bring_about(
        &self,
        definitions: &[Definition],
        approved: &HashSet<Vec<u8>>,
        is_refresh: bool,
    ) -> Vec<(String, watch::Receiver<State>)> {
        let mut known = self.known.lock().await;
        let wanted: BTreeMap<&str, &Definition> = definitions
            .iter()
            .filter(|definition| definition.target.is_ok() && approved.contains(&definition.digest))
            .map(|definition| (definition.name.as_str(), definition))
            .collect();
        known.retain(|name, entry| {
            let is_same = wanted
                .get(name.as_str())
                .is_some_and(|definition| definition.digest == entry.digest);
            is_same && !is_over(&entry.state.borrow(), is_refresh)
        });
        for (name, definition) in &wanted {
            if !known.contains_key(*name) {
                known.insert((*name).to_owned(), self.start(definition));
            }
        }
        known
            .iter()
            .map(|(name, entry)| (name.clone(), entry.state.clone()))
            .collect()
    }

    fn start(&self, definition: &Definition) -> Entry {
        let (sender, state) = watch::channel(State::Starting);
        let home = self.files.home().to_owned();
        let target = definition.target.clone();
        let attempt = tokio::spawn(async move {
            let started = match target {
                Ok(target) => Server::start(&target, &home).await,
                Err(problem) => Err(problem),
            };
            let next = match started {
                Ok(server) => State::Connected(Arc::new(server)),
                Err(error) => State::Failed {
                    error: cut(&error),
                    at: Instant::now(),
                },
            };
            // The state is the server's owner: whoever ends the attempt ends the server.
            sender.send_replace(next);
            std::future::pending::<()>().await;
        });
        Entry {
            digest: definition.digest.clone(),
            state,
            attempt: attempt.abort_handle(),
        }
    }

    /// Runs a tool of a server that runs.
    ///
    /// # Errors
    /// NOT_FOUND when there is no such server or tool here; INVALID when the server has not acted; otherwise it may have.
    pub(crate) async fn call(&self, request: CallMcpTool) -> Result<CallMcpToolResult, Failure> {
        let missing = || {
            let shown: String = request.name.chars().take(64).collect();
            Failure::new(OperationErrorKind::NotFound, format!("there is no tool {shown:?}"))
        };
        let (name, tool) = request.name.split_once("__").ok_or_else(missing)?;
        let known = self.known.lock().await;
        let mut entry = known.get(name).ok_or_else(missing)?.state.clone();
        drop(known);
        let State::Connected(server) = entry.borrow().clone() else {
            return Err(missing());
        };
        if !server.has(tool) {
            return Err(missing());
        }
        let arguments: Map<String, Value> = serde_json::from_str(&request.arguments_json)
            .map_err(|_| Failure::invalid("the arguments must be a JSON object"))?;
        let called = tokio::select! {
            called = server.call(tool, arguments, &request.tool_call_id) => called,
            () = ended(&mut entry) => {
                let text = "the server was ended: it is not approved, or not named so, any more";
                Err(McpFailure::NoAnswer(text.to_owned()))
            }
        };
        let result = called.map_err(failure)?;
        let result_json = serde_json::to_string(&result).map_err(|_| Failure::limit("the result cannot be written"))?;
        if result_json.len() > MAX_RESULT_BYTES {
            let message = format!("the server's answer is larger than {MAX_RESULT_BYTES} bytes");
            return Err(Failure::new(OperationErrorKind::TooLarge, message));
        }
        Ok(CallMcpToolResult { result_json })
    }
}

/// Waits until a server is wanted no more: whoever ends the attempt drops what tells its state.
async fn ended(state: &mut watch::Receiver<State>) {
    while state.changed().await.is_ok() {}
}

/// Whether a server is of no use any more and has to be started anew.
fn is_over(state: &State, is_refresh: bool) -> bool {
    match state {
        State::Starting => false,
        State::Connected(server) => server.is_over(),
        State::Failed { at, .. } => is_refresh || at.elapsed() >= REST,
    }
}

fn failure(failure: McpFailure) -> Failure {
    match failure {
        McpFailure::Refused(text) => Failure::invalid(cut(&text)),
        McpFailure::NoAnswer(text) => Failure::new(OperationErrorKind::Io, cut(&text)),
        McpFailure::Timeout(limit) => {
            let text = format!("the server did not answer within {} s", limit.as_secs_f32());
            Failure::new(OperationErrorKind::Limit, text)
        }
    }
}

fn answer(
    definitions: &[Definition],
    approved: &HashSet<Vec<u8>>,
    states: &BTreeMap<String, State>,
) -> ListMcpToolsResult {
    let mut result = ListMcpToolsResult::default();
    let mut tools: Vec<WorkspaceMcpTool> = Vec::new();
    for definition in definitions {
        let state = states
            .get(&definition.name)
            .filter(|_| approved.contains(&definition.digest));
        let (state, error) = match (&definition.target, state) {
            (Err(problem), _) => (WorkspaceMcpState::Invalid, problem.clone()),
            (Ok(_), None) => (WorkspaceMcpState::AwaitingApproval, String::new()),
            (Ok(_), Some(State::Starting)) => (WorkspaceMcpState::Failed, "it is still starting".to_owned()),
            (Ok(_), Some(State::Failed { error, .. })) => (WorkspaceMcpState::Failed, error.clone()),
            (Ok(_), Some(State::Connected(server))) => {
                tools.extend(server.offered(&definition.name));
                (WorkspaceMcpState::Connected, server.left_out())
            }
        };
        result.servers.push(WorkspaceMcpServer {
            name: definition.name.clone(),
            transport: definition.transport().to_owned(),
            shown: definition.shown.clone(),
            digest: definition.digest.clone(),
            state: state.into(),
            error,
        });
    }
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    let mut bytes = 0;
    tools.truncate(MAX_TOOLS);
    tools.retain(|tool| {
        bytes += tool.description.len() + tool.input_schema_json.len();
        bytes <= MAX_TOOLS_BYTES
    });
    result.tools = tools;
    result
}

/// At most [`MAX_ERROR_BYTES`] of a text.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_ERROR_BYTES))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests;
