//! Workspaces: the one a chat works in with its connected agent, and their life: made, started, stopped, deleted.
//!
//! What a workspace is and whether it runs is storage's to say. Here are the agents of this machine, and the links of all others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tandem_chassis::identity::User;
use tandem_chassis::lifecycle::Tasks;
use tandem_chassis::status::Fault;
use tandem_kubernetes::Cluster;
use tandem_proto::storage::v1::{
    EnsureChatWorkspaceRequest, EnsureChatWorkspaceResponse, RecordWorkspaceUseRequest, TemplateBackend, TemplateSpec,
    Workspace, WorkspaceStatus,
};
use tandem_proto::tool::v1::ConfinementMechanism;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use uuid::Uuid;

use crate::agents::{Agents, Connection};
use crate::backend::{Local, Running};
use crate::clients::{Clients, PAUSES, persist};
use crate::metrics::Metrics;

mod dial;
pub(crate) mod environment;
pub(crate) mod life;
mod local;
pub(crate) mod token;

/// How often a use is told to storage at most.
const TOUCH_INTERVAL: Duration = Duration::from_secs(30);

/// How often a call looks anew when its chat's workspace changes under it.
const MAX_LOOKS: usize = 3;

/// Why a call has no workspace, in words for the model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// Storage refused or did not answer.
    #[error("{0}")]
    Storage(String),
    #[error("The workspace has no running agent; most likely it is stopped. Use start_workspace to start it.")]
    NoAgent,
    #[error("The workspace could not be started or stopped: {0} Use start_workspace to try again.")]
    Failed(String),
    #[error(
        "Connecting to the workspace took too long. It may be reachable at the next attempt: try once more, and tell the user if that fails too."
    )]
    TimedOut,
    #[error(
        "The workspace is on a host of the user's own, and its agent has not connected yet. The user must start it there with `tandem agent`; \
        start_workspace does not help."
    )]
    ExternalNever,
    #[error(
        "The workspace is on a host of the user's own, which is offline now. The user must reconnect it there with `tandem agent`; \
        start_workspace does not help."
    )]
    ExternalGone,
    #[error(
        "The workspace's pod is gone or broken: {0} Call stop_workspace, then start_workspace. Files in its home directory are kept; \
        whatever ran there has ended."
    )]
    Pod(String),
    #[error("The workspace's agent has been away for long. Call stop_workspace, then start_workspace.")]
    Away,
    #[error("The chat's workspace changed while it was being connected to. Try again.")]
    Changed,
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
pub(crate) struct Workspaces(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) clients: Clients,
    pub(crate) agents: Agents,
    pub(crate) local: Local,
    /// Where pods live; `None`: this deployment has none.
    pub(crate) cluster: Option<Cluster>,
    /// Whose builds are ours.
    pub(crate) runner_id: Uuid,
    pub(crate) tasks: Tasks,
    /// Cancelled when this tool-runner stops: what it is doing is another's to do again.
    pub(crate) closing: CancellationToken,
    /// Counts the builds that ended here, so that nobody who waits for one has to ask all the time.
    pub(crate) ended_builds: watch::Sender<u64>,
    idle_timeout: Duration,
    metrics: Metrics,
    has_stopped: AtomicBool,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// One workspace's agent. The lock is held over a start, so that there is one at a time.
struct Slot {
    running: tokio::sync::Mutex<Option<Running>>,
    used_at: Mutex<Instant>,
    /// When storage was told.
    told_at: Mutex<Option<Instant>>,
}

/// What storage says of a chat's workspace.
enum Look {
    /// It runs, or should.
    Up(Box<Workspace>, TemplateSpec),
    /// It is being changed; that may be waited for.
    Busy(Box<Workspace>),
}

impl Workspaces {
    pub(crate) fn new(
        clients: Clients,
        agents: Agents,
        local: Local,
        cluster: Option<Cluster>,
        tasks: Tasks,
        idle_timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Shared {
            clients,
            agents,
            local,
            cluster,
            runner_id: Uuid::now_v7(),
            tasks,
            closing: CancellationToken::new(),
            ended_builds: watch::Sender::new(0),
            idle_timeout,
            metrics,
            has_stopped: AtomicBool::new(false),
            slots: Mutex::default(),
            turns: Mutex::default(),
        }))
    }

    /// The chat's workspace, made if the deployment allows that, and with its agent.
    ///
    /// # Errors
    /// Any [`Error`]; nothing was done in the workspace then.
    pub(crate) async fn ready(&self, user: &User, chat_id: &str) -> Result<Ready, Error> {
        for _ in 0..MAX_LOOKS {
            let (workspace, spec) = match self.look(user, chat_id).await? {
                Look::Up(workspace, spec) => (workspace, spec),
                Look::Busy(workspace) => {
                    self.settled(&workspace).await?;
                    continue;
                }
            };
            let slot = self.slot(&workspace.id);
            slot.touch();
            let connection = match self.0.agents.connected(&workspace.id) {
                Some(connection) => connection,
                None => match workspace.backend() {
                    TemplateBackend::Local | TemplateBackend::Unspecified => self.connect(&workspace.id, &slot).await?,
                    TemplateBackend::External | TemplateBackend::Kubernetes => {
                        match self.dial(user, chat_id, &workspace).await? {
                            Some(connection) => connection,
                            None => continue,
                        }
                    }
                },
            };
            connection.set_environment(environment::of(&spec, &workspace));
            self.tell_use(&workspace.id, &slot);
            return Ok(Ready {
                workspace_id: workspace.id,
                connection,
            });
        }
        Err(Error::Changed)
    }

    /// The chat's workspace as storage has it; one that cannot be worked in is an error.
    async fn look(&self, user: &User, chat_id: &str) -> Result<Look, Error> {
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
        let EnsureChatWorkspaceResponse { workspace, spec, .. } = answer.into_inner();
        let workspace = workspace.ok_or_else(|| Error::Storage("the chat has no workspace".to_owned()))?;
        match workspace.status() {
            WorkspaceStatus::Running => Ok(Look::Up(Box::new(workspace), spec.unwrap_or_default())),
            WorkspaceStatus::Starting | WorkspaceStatus::Stopping | WorkspaceStatus::Deleting => {
                Ok(Look::Busy(Box::new(workspace)))
            }
            WorkspaceStatus::Failed => Err(Error::Failed(workspace.status_message)),
            WorkspaceStatus::Stopped | WorkspaceStatus::Deleted | WorkspaceStatus::Unspecified => Err(Error::NoAgent),
        }
    }

    /// The workspace's agent, if it is connected to this tool-runner. Starts nothing.
    pub(crate) fn connected(&self, workspace_id: &str) -> Option<Connection> {
        self.0.agents.connected(workspace_id)
    }

    /// A lock for what makes, starts and stops a chat's workspace: calls of one step come at once.
    pub(crate) fn one_at_a_time(&self, chat_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(chat_id.to_owned()).or_default())
    }

    /// Whether the workspace's agent is connected to this tool-runner.
    pub(crate) fn is_connected(&self, workspace_id: &str) -> bool {
        self.0.agents.connected(workspace_id).is_some()
    }

    /// Sends the workspace's agent away and waits for another one.
    pub(crate) fn forget_agent(&self, workspace_id: &str) {
        self.0.agents.forget(workspace_id);
    }

    /// Sends the agent of a workspace away that runs no more, and keeps nothing of it. Not for agents of this machine, which must be ended.
    pub(crate) fn forget_stopped(&self, workspace_id: &str) {
        self.0.agents.forget(workspace_id);
        self.lock().remove(workspace_id);
    }

    /// An agent that storage knows may come, and is waited for.
    pub(crate) fn await_agent(&self, workspace_id: &str) {
        self.0.agents.await_external(workspace_id);
    }

    /// Waits for such an agent.
    pub(crate) async fn wait_for_agent(&self, workspace_id: &str, limit: Duration) -> Option<Connection> {
        self.0.agents.wait(workspace_id, limit).await
    }

    /// What confines local workspaces here.
    pub(crate) fn mechanisms(&self) -> Vec<ConfinementMechanism> {
        self.0.local.mechanisms()
    }

    /// Tells storage that a workspace is used, now and then, and without anybody waiting for it.
    fn tell_use(&self, workspace_id: &str, slot: &Slot) {
        {
            let mut told_at = slot.told_at.lock().unwrap_or_else(PoisonError::into_inner);
            if told_at.is_some_and(|told_at| told_at.elapsed() < TOUCH_INTERVAL) {
                return;
            }
            *told_at = Some(Instant::now());
        }
        let clients = self.0.clients.clone();
        let request = clients.own_request(RecordWorkspaceUseRequest {
            workspace_id: workspace_id.to_owned(),
            ..RecordWorkspaceUseRequest::default()
        });
        let telling = async move {
            if let Err(status) = clients.workspaces.clone().record_workspace_use(request).await {
                tracing::debug!(code = ?status.code(), error = status.message(), "a use cannot be recorded");
            }
        };
        self.0
            .tasks
            .spawn("record a use", tandem_chassis::lifecycle::OnEnd::Expected, telling);
    }

    fn slot(&self, workspace_id: &str) -> Arc<Slot> {
        let mut slots = self.lock();
        let fresh = || {
            Arc::new(Slot {
                running: tokio::sync::Mutex::new(None),
                used_at: Mutex::new(Instant::now()),
                told_at: Mutex::new(None),
            })
        };
        Arc::clone(slots.entry(workspace_id.to_owned()).or_insert_with(fresh))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.0.has_stopped.load(Ordering::SeqCst)
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
        _ => "the chat's workspace is not available: storage did not answer".to_owned(),
    }
}
