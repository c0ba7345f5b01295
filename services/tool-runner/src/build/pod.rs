//! Builds of workspaces that are pods: what the cluster is asked for, and waiting for the agent inside. An attempt finds what an earlier one
//! of the same build has made and goes on from there.

use std::time::Duration;

use secrecy::SecretString;
use tandem_kubernetes::{Cluster, Place, State};
use tandem_proto::storage::v1::{AuthenticateAgentRequest, SetAgentTokenRequest};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Job, sentence};
use crate::agents::Connection;
use crate::clients::{PAUSES, persist};
use crate::workspace::{Workspaces, token};

/// How often the cluster is asked how a pod is, while its agent is waited for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is told where no cluster was set.
const NO_CLUSTER: &str =
    "This deployment has no Kubernetes backend: an administrator must set kubernetes.enabled for the tool-runner.";

impl Workspaces {
    fn cluster(&self) -> Result<&Cluster, String> {
        self.0.cluster.as_ref().ok_or_else(|| NO_CLUSTER.to_owned())
    }

    /// Makes the pod and waits for its agent. A pod whose agent does not come is ended again; its home stays.
    pub(super) async fn start_pod(&self, job: &Job) -> Result<Connection, String> {
        let cluster = self.cluster()?;
        let outcome = self.raise(cluster, job).await;
        if outcome.is_err() {
            self.abandon_pod(job).await;
        }
        outcome
    }

    /// Ends the pod of a start that failed: nobody would count or stop it, and it would go on at its owner's expense. Its home stays.
    pub(super) async fn abandon_pod(&self, job: &Job) {
        let id = &job.workspace.id;
        self.forget_stopped(id);
        let Some(cluster) = &self.0.cluster else { return };
        if let Err(error) = cluster.end_pod(id).await {
            job.log
                .line(&format!("What is left of the pod could not be ended: {error}."));
        }
    }

    async fn raise(&self, cluster: &Cluster, job: &Job) -> Result<Connection, String> {
        let shown = |error: tandem_kubernetes::Error| sentence(&error);
        let place = place(job);
        let id = &job.workspace.id;
        if cluster.make_home(&place).await.map_err(shown)? {
            job.log.line("Made a volume for the workspace's home.");
        }
        let is_made = cluster.has_pod_of(&place).await.map_err(shown)?;
        if !is_made {
            // An earlier build's, if it was never ended.
            self.forget_agent(id);
            cluster.end_pod(id).await.map_err(shown)?;
        }
        let fresh = token::new(id).map_err(|error| error.message().to_owned())?;
        let kept = cluster.keep_token(&place, fresh).await.map_err(shown)?;
        self.let_in(id, &kept)
            .await
            .map_err(|status| format!("Storage does not take the agent's token: {}.", status.message()))?;
        if !is_made {
            cluster.make_pod(&place).await.map_err(shown)?;
        }
        job.log.line(&format!(
            "The pod is made in namespace {}; waiting for its agent.",
            cluster.namespace()
        ));
        self.wait_for_pod(cluster, job).await
    }

    /// Waits until the agent is connected, the pod is seen not to come up, or the time is over.
    async fn wait_for_pod(&self, cluster: &Cluster, job: &Job) -> Result<Connection, String> {
        let id = &job.workspace.id;
        let deadline = Instant::now() + cluster.start_timeout();
        let mut last = String::new();
        let mut was_up = false;
        while Instant::now() < deadline {
            self.await_agent(id);
            if let Some(connection) = self.wait_for_agent(id, LOOK_INTERVAL).await {
                job.log.line("The agent is connected.");
                return Ok(connection);
            }
            match cluster.state(id).await {
                Ok(State::Waiting(why)) => {
                    if !why.is_empty() && why != last {
                        job.log.line(&why);
                        last = why;
                    }
                }
                Ok(State::Running) if !was_up => {
                    was_up = true;
                    "The pod runs, but its agent has not connected.".clone_into(&mut last);
                    job.log.line("The pod runs.");
                }
                Ok(State::Running) => {}
                Ok(State::Broken(why)) => return Err(why),
                Ok(State::Gone) => return Err("The pod was deleted by somebody else.".to_owned()),
                // The pod may come up all the same.
                Err(error) => tracing::debug!(workspace_id = id, %error, "a pod cannot be looked at"),
            }
        }
        Err(format!(
            "The pod's agent did not connect within {} s. {last}",
            cluster.start_timeout().as_secs()
        )
        .trim_end()
        .to_owned())
    }

    /// Has storage let in agents with this token. One that is let in already keeps what is known of it.
    async fn let_in(&self, workspace_id: &str, secret: &SecretString) -> Result<(), Status> {
        let hash = token::hash(secret);
        let known = persist(&PAUSES, || {
            let request = self.0.clients.own_request(AuthenticateAgentRequest {
                workspace_id: workspace_id.to_owned(),
                token_hash: hash.clone(),
            });
            let mut workspaces = self.0.clients.workspaces.clone();
            async move { workspaces.authenticate_agent(request).await }
        });
        match known.await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == Code::Unauthenticated => {}
            Err(status) => return Err(status),
        }
        let set = persist(&PAUSES, || {
            let request = self.0.clients.own_request(SetAgentTokenRequest {
                workspace_id: workspace_id.to_owned(),
                token_hash: hash.clone(),
            });
            let mut workspaces = self.0.clients.workspaces.clone();
            async move { workspaces.set_agent_token(request).await }
        });
        set.await.map(drop)
    }

    /// Ends the pod with all that runs in it.
    pub(super) async fn stop_pod(&self, job: &Job) -> Result<(), String> {
        let cluster = self.cluster()?;
        job.log
            .line("Ending the pod and all that runs in it; its home is kept.");
        let id = &job.workspace.id;
        let ended = cluster.end_pod(id).await;
        self.forget_stopped(id);
        ended.map_err(|error| sentence(&error))?;
        cluster.delete_tokens(id).await.map_err(|error| sentence(&error))
    }

    /// Ends the pod and deletes its home.
    pub(super) async fn delete_pod(&self, job: &Job) -> Result<(), String> {
        self.stop_pod(job).await?;
        job.log.line("Deleting its home.");
        let deleted = self.cluster()?.delete_home(&job.workspace.id).await;
        deleted.map_err(|error| sentence(&error))
    }
}

fn place(job: &Job) -> Place {
    let pod = job.spec.kubernetes.clone().unwrap_or_default();
    Place {
        workspace_id: job.workspace.id.clone(),
        owner_id: job.workspace.owner_id.clone(),
        organization_id: job.workspace.organization_id.clone(),
        build_id: job.build.id.clone(),
        image: pod.image,
        cpu: pod.cpu,
        memory: pod.memory,
        home_size: pod.home_size,
    }
}
