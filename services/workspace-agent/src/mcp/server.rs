//! One server that runs: a child process in a group of its own, or an address. Dropping it ends it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value};
use tandem_chassis::outbound::{self, Outbound};
use tandem_mcp::model::CallToolResult;
use tandem_mcp::{Ended, Failure, Http, Pipes, Session, Sse};
use tandem_proto::workspace::v1::WorkspaceMcpTool;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use url::Url;

use super::config::{Target, expanded};
use super::tools::{Listed, Tools};
use crate::process::environment;

/// The name by which servers know us.
const CLIENT: &str = "tandem-workspace-agent";

/// Time to begin, and time for a list of tools.
const CONNECT_TIME: Duration = Duration::from_secs(30);
const LIST_TIME: Duration = Duration::from_secs(30);

/// Time for a tool.
const CALL_TIME: Duration = Duration::from_secs(60);

/// Of what a process complains about, how much is kept for the case that it does not start.
const MAX_COMPLAINT_BYTES: usize = 256;

/// A connected server.
pub(super) struct Server {
    session: Session,
    tools: Mutex<Arc<Tools>>,
    _process: Option<Process>,
}

/// A child and everything in its group.
struct Process {
    group: Pid,
    has_ended: Arc<AtomicBool>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended.load(Ordering::SeqCst) {
            // It may have ended just now.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

impl Server {
    /// Starts or connects to a server, and lists its tools.
    ///
    /// # Errors
    /// Why it is of no use, for people. Nothing is left of it then.
    pub(super) async fn start(target: &Target, home: &Path) -> Result<Self, String> {
        let (session, process) = match target {
            Target::Stdio {
                command,
                arguments,
                variables,
            } => {
                let own = environment(home, "", &HashMap::new());
                let asked = variables
                    .iter()
                    .map(|(name, value)| (name.clone(), expanded(value, &own)));
                let variables = environment(home, "", &asked.collect());
                let (session, process) = over_pipes(command, arguments, variables, home).await?;
                (session, Some(process))
            }
            Target::Http { url, headers, is_sse } => (over_http(url, headers, *is_sse).await?, None),
        };
        let server = Self {
            session,
            tools: Mutex::default(),
            _process: process,
        };
        server.refresh().await.map_err(words)?;
        Ok(server)
    }

    /// Whether it can be used no more.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_over()
    }

    /// Asks what it offers now.
    ///
    /// # Errors
    /// [`Failure`]; what it offered before stays.
    pub(super) async fn refresh(&self) -> Result<(), Failure> {
        let mut tools = Tools::default();
        let is_more = self.session.tools(LIST_TIME, |page| tools.add(page)).await?;
        tools.is_cut |= is_more;
        *self.tools.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(tools);
        Ok(())
    }

    fn tools(&self) -> Arc<Tools> {
        Arc::clone(&self.tools.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it offers such a tool.
    pub(super) fn has(&self, tool: &str) -> bool {
        self.tools().all.iter().any(|listed| listed.name == tool)
    }

    /// Its tools, under its name in the workspace.
    pub(super) fn offered(&self, server: &str) -> Vec<WorkspaceMcpTool> {
        let offered = |tool: &Listed| WorkspaceMcpTool {
            server_name: server.to_owned(),
            name: format!("{server}__{}", tool.name),
            description: tool.description.clone(),
            input_schema_json: tool.input_schema_json.clone(),
        };
        self.tools().all.iter().map(offered).collect()
    }

    /// Whether tools are missing, for people; empty when none is.
    pub(super) fn left_out(&self) -> String {
        match self.tools().is_cut {
            true => "some of its tools are left out: they are too many or too large".to_owned(),
            false => String::new(),
        }
    }

    /// Runs a tool by its own name.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        tool_call_id: &str,
    ) -> Result<CallToolResult, Failure> {
        self.session.call(tool, arguments, tool_call_id, CALL_TIME).await
    }
}

async fn over_pipes(
    command: &str,
    arguments: &[String],
    variables: HashMap<String, String>,
    home: &Path,
) -> Result<(Session, Process), String> {
    let started = Command::new(command)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = started.map_err(|error| format!("it could not be started: {error}"))?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (Some(group), Some(input), Some(output)) = (group, child.stdin.take(), child.stdout.take()) else {
        return Err("it could not be started".to_owned());
    };
    let complaint = Arc::new(Mutex::new(String::new()));
    if let Some(errors) = child.stderr.take() {
        tokio::spawn(listen(errors, Arc::clone(&complaint)));
    }
    let process = Process {
        group,
        has_ended: Arc::new(AtomicBool::new(false)),
    };
    tokio::spawn(reap(child, group, Arc::clone(&process.has_ended)));
    let ended = Ended::default();
    let pipes = Pipes::new(BufReader::new(output), input, ended.clone());
    match Session::begin(pipes, CLIENT, CONNECT_TIME, ended).await {
        Ok(session) => Ok((session, process)),
        Err(failure) => {
            let complaint = complaint.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let said = match complaint.trim() {
                "" => String::new(),
                words => format!("; it said: {words}"),
            };
            Err(format!("{}{said}", words(failure)))
        }
    }
}

/// Waits for the child, then ends what it left behind in its group.
async fn reap(mut child: Child, group: Pid, has_ended: Arc<AtomicBool>) {
    // Whoever else collects ended processes may have been first.
    let _ = child.wait().await;
    let _ = kill_process_group(group, Signal::KILL);
    has_ended.store(true, Ordering::SeqCst);
}

/// Reads what a process complains about, so that it never waits for somebody to do so, and keeps the beginning.
async fn listen(mut errors: ChildStderr, complaint: Arc<Mutex<String>>) {
    let mut buffer = [0; 1024];
    loop {
        let count = match errors.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let mut kept = complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_COMPLAINT_BYTES.saturating_sub(kept.len()).min(count);
        kept.push_str(&String::from_utf8_lossy(buffer.get(..room).unwrap_or_default()));
    }
}

async fn over_http(
    url: &str,
    headers: &std::collections::BTreeMap<String, String>,
    is_sse: bool,
) -> Result<Session, String> {
    let url = Url::parse(url).map_err(|_| "its url is not valid".to_owned())?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = || format!("its header {name:?} is not valid");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    // What the workspace's own processes may reach, a server they name may be reached by.
    let outbound = Outbound::new(&outbound::Config::default()).map_err(|_| "TLS cannot be set up".to_owned())?;
    let http = Http::new(outbound, map);
    let begun = if is_sse {
        let begin = async {
            let ended = Ended::default();
            let connection = Sse::open(http, &url, ended.clone()).await?;
            Session::begin(connection, CLIENT, CONNECT_TIME, ended).await
        };
        tokio::time::timeout(CONNECT_TIME, begin)
            .await
            .unwrap_or(Err(Failure::Timeout(CONNECT_TIME)))
    } else {
        Session::over_http(http, &url, CLIENT, CONNECT_TIME).await
    };
    begun.map_err(words)
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Timeout(limit) => format!("it did not answer within {} s", limit.as_secs_f32()),
        Failure::Refused(text) | Failure::NoAnswer(text) => text,
    }
}
