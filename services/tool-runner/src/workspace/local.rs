//! Agents of this machine: started when they are needed, stopped when nobody needs them. A workspace whose agent rests goes on running
//! as far as its user can see.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::SecretString;
use tandem_proto::workspace::v1::ListProcesses;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Answer;

use super::{Error, Slot, Workspaces};
use crate::agents::Connection;
use crate::backend::Running;

/// Time for an agent to start and dial in.
const START_TIME: Duration = Duration::from_secs(10);

/// Time for an agent that is alive to dial in again after its link broke.
const RECONNECT_TIME: Duration = Duration::from_secs(5);

/// How often busy and idle agents are looked for; more often where agents are put to rest sooner, within reason.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
const MIN_SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Time for an agent to say what runs.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Time for all agents to end when the service does.
const STOP_TIME: Duration = Duration::from_secs(3);

/// Bytes of an agent's token.
const TOKEN_BYTES: usize = 32;

impl Workspaces {
    /// Starts a workspace's agent unless it runs.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn start_local(&self, workspace_id: &str) -> Result<Connection, Error> {
        let slot = self.slot(workspace_id);
        slot.touch();
        self.connect(workspace_id, &slot).await
    }

    /// Ends a workspace's agent with all it started. There may be none.
    pub(crate) async fn stop_local(&self, workspace_id: &str) {
        let slot = self.lock().remove(workspace_id);
        if let Some(slot) = slot {
            self.end(workspace_id, &slot).await;
        }
    }

    async fn end(&self, workspace_id: &str, slot: &Slot) {
        if let Some(running) = slot.running.lock().await.take() {
            running.stop();
            running.ended().await;
        }
        self.0.agents.forget(workspace_id);
    }

    /// Waits for the agent that runs, or starts one.
    pub(super) async fn connect(&self, id: &str, slot: &Slot) -> Result<Connection, Error> {
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
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        let started = self.start_agent(id).await;
        self.0.metrics.agent_started(started.is_ok());
        match started {
            Ok((started, connection)) => {
                *running = Some(started);
                Ok(connection)
            }
            Err(error) => {
                *running = None;
                self.0.agents.forget(id);
                Err(error)
            }
        }
    }

    async fn start_agent(&self, workspace_id: &str) -> Result<(Running, Connection), Error> {
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

    /// Tells storage which workspaces are busy, and puts agents to rest that nobody uses, until the future is dropped.
    pub(crate) async fn sweep(&self) {
        let interval = SWEEP_INTERVAL.min(self.0.idle_timeout.max(MIN_SWEEP_INTERVAL));
        loop {
            tokio::time::sleep(interval).await;
            // Pods and hosts outlive this service: what they do was begun by calls that an earlier one served.
            for id in self.0.agents.connected_ids() {
                self.slot(&id);
            }
            let slots: Vec<(String, Arc<Slot>)> = self
                .lock()
                .iter()
                .map(|(id, slot)| (id.clone(), Arc::clone(slot)))
                .collect();
            // At once, so that agents which do not answer keep nobody else's use from being told.
            let looks = slots.iter().map(|(id, slot)| self.look_after(id, slot));
            futures::future::join_all(looks).await;
        }
    }

    /// Tells that the workspace is busy, or puts its agent to rest when it is one of ours and idle for long.
    async fn look_after(&self, id: &str, slot: &Slot) {
        let connection = self.0.agents.connected(id);
        let is_busy = connection.is_some_and(|connection| connection.is_busy()) || self.has_processes(id).await;
        if is_busy {
            slot.touch();
            self.tell_use(id, slot);
        }
        if slot.idle_for() < self.0.idle_timeout {
            return;
        }
        let Ok(mut running) = slot.running.try_lock() else {
            return;
        };
        if let Some(running) = running.take() {
            tracing::info!(workspace_id = id, "workspace is idle, stopping its agent");
            running.stop();
            running.ended().await;
            self.0.agents.forget(id);
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

    /// Stops all agents of this machine, and takes no new ones. The workspaces go on running as far as storage knows: their agents start
    /// again where they are needed next.
    pub(crate) async fn stop(&self) {
        self.0.has_stopped.store(true, Ordering::SeqCst);
        self.0.closing.cancel();
        let slots: Vec<(String, Arc<Slot>)> = self.lock().drain().collect();
        let stopping = slots.iter().map(async |(id, slot)| self.end(id, slot).await);
        let all = futures::future::join_all(stopping);
        if tokio::time::timeout(STOP_TIME, all).await.is_err() {
            tracing::warn!("some agents did not end in time");
        }
    }
}
