//! A chat's workspace with a connected agent, started when it is first needed and stopped when it is not needed any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tandem_chassis::identity::User;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{EnsureChatWorkspaceRequest, SetWorkspaceStatusRequest, Workspace, WorkspaceStatus};
use tandem_proto::tool::v1::ConfinementMechanism;
use tandem_proto::workspace::v1::ListProcesses;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tonic::Code;

use crate::agents::{Agents, Connection};
use crate::backend::{Local, Running};
use crate::clients::{Clients, PAUSES, persist};
use crate::metrics::Metrics;

/// Time for an agent to start and dial in.
const START_TIME: Duration = Duration::from_secs(10);

/// Time for an agent that is alive to dial in again after its link broke.
const RECONNECT_TIME: Duration = Duration::from_secs(5);

/// How often idle agents are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// Time for an agent to say what runs.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Time for all agents to end when the service does.
const STOP_TIME: Duration = Duration::from_secs(3);

/// Bytes of an agent's token.
const TOKEN_BYTES: usize = 32;

/// The built-in template, whose workspaces are directories of this machine.
const LOCAL_TEMPLATE: &str = "local";

/// Why a call has no workspace, in words for the model.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Storage refused or did not answer.
    #[error("the chat's workspace is not available: {0}")]
    Storage(String),
    #[error("workspaces of the template {0:?} cannot be started here")]
    Template(String),
    #[error("the workspace has been deleted")]
    Deleted,
    #[error("the workspace could not be started: {0}")]
    Start(String),
    #[error("Tandem is stopping; the call did not start")]
    Stopping,
    #[error("interrupted before it started")]
    Interrupted,
}

/// A workspace that can be worked in.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) workspace_id: String,
    pub(crate) connection: Connection,
}

/// All workspaces of this tool-runner. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workspaces(Arc<Shared>);

struct Shared {
    clients: Clients,
    agents: Agents,
    local: Local,
    idle_timeout: Duration,
    metrics: Metrics,
    has_stopped: AtomicBool,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One workspace's agent. The lock is held over a start, so that there is one at a time.
struct Slot {
    running: tokio::sync::Mutex<Option<Running>>,
    used_at: Mutex<Instant>,
}

impl Workspaces {
    pub(crate) fn new(
        clients: Clients,
        agents: Agents,
        local: Local,
        idle_timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Shared {
            clients,
            agents,
            local,
            idle_timeout,
            metrics,
            has_stopped: AtomicBool::new(false),
            slots: Mutex::default(),
        }))
    }

    /// The chat's workspace, made and started if need be.
    ///
    /// # Errors
    /// Any [`Error`]; nothing was done in the workspace then.
    pub(crate) async fn ready(&self, user: &User, chat_id: &str) -> Result<Ready, Error> {
        let clients = &self.0.clients;
        let answer = persist(&PAUSES, || {
            let request = clients.request(
                user,
                EnsureChatWorkspaceRequest {
                    chat_id: chat_id.to_owned(),
                },
            );
            let mut workspaces = clients.workspaces.clone();
            async move { workspaces.ensure_chat_workspace(request).await }
        })
        .await
        .map_err(|status| Error::Storage(shown(status)))?;
        let workspace = answer
            .into_inner()
            .workspace
            .ok_or_else(|| Error::Storage("there is none".to_owned()))?;
        if workspace.status() == WorkspaceStatus::Deleted {
            return Err(Error::Deleted);
        }
        let slot = self.slot(&workspace.id);
        slot.touch();
        let connection = match self.0.agents.connected(&workspace.id) {
            Some(connection) => connection,
            None => self.connect(&workspace, &slot).await?,
        };
        Ok(Ready {
            workspace_id: workspace.id,
            connection,
        })
    }

    /// Whether the workspace's agent is connected to this tool-runner.
    pub(crate) fn is_connected(&self, workspace_id: &str) -> bool {
        self.0.agents.connected(workspace_id).is_some()
    }

    /// What confines workspaces here.
    pub(crate) fn mechanisms(&self) -> Vec<ConfinementMechanism> {
        self.0.local.mechanisms()
    }

    /// Waits for the agent that runs, or starts one.
    async fn connect(&self, workspace: &Workspace, slot: &Slot) -> Result<Connection, Error> {
        let id = &workspace.id;
        let mut running = slot.running.lock().await;
        if let Some(connection) = self.0.agents.connected(id) {
            return Ok(connection);
        }
        if let Some(alive) = running.as_ref().filter(|running| !running.has_ended()) {
            let back = tokio::select! {
                connection = self.0.agents.wait(id, RECONNECT_TIME) => connection,
                () = alive.ended() => None,
            };
            if let Some(connection) = back {
                return Ok(connection);
            }
            tracing::warn!(workspace_id = id, "agent does not come back, starting another");
            alive.stop();
            alive.ended().await;
        }
        if workspace.template_name != LOCAL_TEMPLATE && !workspace.template_name.is_empty() {
            return Err(Error::Template(workspace.template_name.clone()));
        }
        if self.0.has_stopped.load(Ordering::SeqCst) {
            return Err(Error::Stopping);
        }
        let started = self.start(id).await;
        self.0.metrics.agent_started(started.is_ok());
        match started {
            Ok((started, connection)) => {
                *running = Some(started);
                self.record(id, WorkspaceStatus::Running, String::new()).await;
                Ok(connection)
            }
            Err(error) => {
                *running = None;
                self.0.agents.forget(id);
                self.record(id, WorkspaceStatus::Failed, error.to_string()).await;
                Err(error)
            }
        }
    }

    async fn start(&self, workspace_id: &str) -> Result<(Running, Connection), Error> {
        // The id becomes the name of a directory.
        if uuid::Uuid::parse_str(workspace_id).is_err() {
            return Err(Error::Start("its id is not valid".to_owned()));
        }
        let failed = |error: std::io::Error| Error::Start(error.to_string());
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| Error::Start("no source of randomness".to_owned()))?;
        let token = SecretString::from(hex::encode(bytes));
        self.0.agents.expect(workspace_id, token.clone());
        let running = self.0.local.start(workspace_id, &token).await.map_err(failed)?;
        let connection = tokio::select! {
            connection = self.0.agents.wait(workspace_id, START_TIME) => connection,
            () = running.ended() => None,
        };
        match connection {
            Some(connection) => Ok((running, connection)),
            None if running.has_ended() => Err(Error::Start("its agent ended at once".to_owned())),
            None => {
                running.stop();
                Err(Error::Start("its agent did not connect in time".to_owned()))
            }
        }
    }

    /// Tells storage; a status that is not recorded is corrected by the next one.
    async fn record(&self, workspace_id: &str, status: WorkspaceStatus, status_message: String) {
        let workspace_id = workspace_id.to_owned();
        let message = SetWorkspaceStatusRequest {
            workspace_id,
            status: status.into(),
            status_message,
        };
        let request = self.0.clients.own_request(message);
        if let Err(status) = self.0.clients.workspaces.clone().set_workspace_status(request).await {
            tracing::warn!(code = ?status.code(), error = status.message(), "workspace status cannot be recorded");
        }
    }

    /// Stops agents nobody uses, until the future is dropped.
    pub(crate) async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL.min(self.0.idle_timeout.max(Duration::from_millis(100))));
        loop {
            ticks.tick().await;
            let slots: Vec<(String, Arc<Slot>)> = self
                .lock()
                .iter()
                .map(|(id, slot)| (id.clone(), Arc::clone(slot)))
                .collect();
            for (id, slot) in slots {
                if self
                    .0
                    .agents
                    .connected(&id)
                    .is_some_and(|connection| connection.is_busy())
                {
                    slot.touch();
                }
                if slot.idle_for() < self.0.idle_timeout {
                    continue;
                }
                if self.has_processes(&id).await {
                    slot.touch();
                    continue;
                }
                let Ok(mut running) = slot.running.try_lock() else {
                    continue;
                };
                if let Some(running) = running.take() {
                    tracing::info!(workspace_id = id, "workspace is idle, stopping its agent");
                    running.stop();
                    running.ended().await;
                    self.0.agents.forget(&id);
                    self.record(&id, WorkspaceStatus::Stopped, String::new()).await;
                }
            }
        }
    }

    /// Whether anything runs in the workspace, whichever chat started it. An agent that does not say counts as idle.
    async fn has_processes(&self, workspace_id: &str) -> bool {
        let Some(connection) = self.0.agents.connected(workspace_id) else {
            return false;
        };
        // No chat: all of them.
        let operation = Operation::ListProcesses(ListProcesses {});
        match connection.call("", operation, LOOK_TIME, None).await {
            Ok(Answer::ListProcesses(found)) => found.processes.iter().any(|process| process.is_running),
            Ok(_) | Err(_) => false,
        }
    }

    /// Stops all agents.
    pub(crate) async fn stop(&self) {
        self.0.has_stopped.store(true, Ordering::SeqCst);
        let slots: Vec<(String, Arc<Slot>)> = self.lock().drain().collect();
        let stopping = slots.iter().map(async |(id, slot)| {
            if let Some(running) = slot.running.lock().await.take() {
                running.stop();
                running.ended().await;
                self.record(id, WorkspaceStatus::Stopped, String::new()).await;
            }
            self.0.agents.forget(id);
        });
        let all = futures::future::join_all(stopping);
        if tokio::time::timeout(STOP_TIME, all).await.is_err() {
            tracing::warn!("some agents did not end in time");
        }
    }

    fn slot(&self, workspace_id: &str) -> Arc<Slot> {
        let mut slots = self.lock();
        let fresh = || {
            Arc::new(Slot {
                running: tokio::sync::Mutex::new(None),
                used_at: Mutex::new(Instant::now()),
            })
        };
        Arc::clone(slots.entry(workspace_id.to_owned()).or_insert_with(fresh))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn touch(&self) {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_for(&self) -> Duration {
        self.used_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// What the model may read of storage's refusal.
fn shown(status: tonic::Status) -> String {
    match status.code() {
        Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument | Code::ResourceExhausted => {
            Fault::from(status).message
        }
        _ => "storage did not answer".to_owned(),
    }
}
