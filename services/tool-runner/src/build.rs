//! Running builds: what starts, stops and deletes a workspace. A build is claimed with a lease; whoever holds it shows its log and keeps
//! the lease until it ends. A build that lost its runner is run again by another, so each step may be repeated.

use std::time::Duration;

use tandem_chassis::lifecycle::OnEnd;
use tandem_kubernetes::{LONGEST_END, LONGEST_START};
use tandem_proto::storage::v1::{
    BuildStatus, ClaimWorkspaceBuildRequest, ClaimWorkspaceBuildResponse, FinishWorkspaceBuildRequest,
    RenewWorkspaceBuildRequest, StartupOutcome, TemplateBackend, TemplateSpec, Workspace, WorkspaceBuild,
    WorkspaceTransition,
};
use tonic::Code;

use crate::clients::{PATIENT_PAUSES, PAUSES, persist};
use crate::workspace::Workspaces;

mod log;
mod pod;
mod startup;

use log::Log;

/// How often work is looked for that nobody told us of: lost builds, and workspaces that are idle.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How often a lease is renewed and the log shown; a third of what the lease lasts.
const RENEWAL: Duration = Duration::from_secs(6);

/// Time for the whole of a build: more than its parts may take together, each of which says better what took so long.
const BUILD_TIME: Duration = Duration::from_secs(45 * 60);

/// What a build asks of storage and of the cluster, each several times if need be.
const ASKING_TIME: Duration = Duration::from_secs(10 * 60);

// The longest build ends an earlier pod, starts one and runs its script.
const _: () = assert!(
    LONGEST_END.as_secs() + LONGEST_START.as_secs() + startup::LONGEST.as_secs() + ASKING_TIME.as_secs()
        < BUILD_TIME.as_secs()
);

/// Builds that run at once because of one look.
const MAX_CLAIMED: usize = 16;

/// A claimed build and what it is about.
struct Job {
    build: WorkspaceBuild,
    workspace: Workspace,
    spec: TemplateSpec,
    log: Log,
}

impl Workspaces {
    /// Runs builds that nobody runs, until the future is dropped.
    pub(crate) async fn run_builds(&self) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for _ in 0..MAX_CLAIMED {
                let Some(job) = self.claim("").await else { break };
                let workspaces = self.clone();
                self.0
                    .tasks
                    .spawn("run a build", OnEnd::Expected, async move { workspaces.run(job).await });
            }
        }
    }

    /// Runs this build if nobody does, to its end.
    pub(crate) async fn run_build(&self, build_id: &str) {
        if let Some(job) = self.claim(build_id).await {
            self.run(job).await;
        }
    }

    async fn claim(&self, build_id: &str) -> Option<Job> {
        let request = self.0.clients.own_request(ClaimWorkspaceBuildRequest {
            runner_id: self.0.runner_id.to_string(),
            build_id: build_id.to_owned(),
        });
        let claimed = self.0.clients.workspaces.clone().claim_workspace_build(request).await;
        let claimed = match claimed {
            Ok(claimed) => claimed.into_inner(),
            Err(status) => {
                tracing::debug!(code = ?status.code(), error = status.message(), "no build can be claimed");
                return None;
            }
        };
        let ClaimWorkspaceBuildResponse {
            build: Some(build),
            workspace: Some(workspace),
            spec,
        } = claimed
        else {
            return None;
        };
        Some(Job {
            build,
            workspace,
            spec: spec.unwrap_or_default(),
            log: Log::default(),
        })
    }

    async fn run(&self, job: Job) {
        let (id, transition) = (&job.build.id, job.build.transition());
        tracing::info!(
            build_id = id,
            workspace_id = job.workspace.id,
            ?transition,
            attempt = job.build.attempt,
            "build begins"
        );
        // Tidying up is within the lease too: nobody else begins with the same pod meanwhile.
        let work = async {
            match tokio::time::timeout(BUILD_TIME, self.carry_out(&job)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    if transition == WorkspaceTransition::Start && job.spec.backend() == TemplateBackend::Kubernetes {
                        self.abandon_pod(&job).await;
                    }
                    Err("It took too long.".to_owned())
                }
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = self.0.closing.cancelled() => {
                tracing::info!(build_id = id, "stopping; the build is left to whoever comes next");
                return;
            }
            () = self.keep(&job) => {
                tracing::warn!(build_id = id, "the build is another runner's now");
                return;
            }
        };
        let (status, error, startup) = match outcome {
            Ok(startup) => (BuildStatus::Succeeded, String::new(), startup),
            Err(error) => (BuildStatus::Failed, error, StartupOutcome::Unspecified),
        };
        tracing::info!(build_id = id, ?status, error, "build ended");
        let message = FinishWorkspaceBuildRequest {
            build_id: id.clone(),
            runner_id: self.0.runner_id.to_string(),
            attempt: job.build.attempt,
            status: status.into(),
            error,
            error_code: String::new(),
            startup: startup.into(),
            log: job.log.text(),
        };
        let finished = persist(&PATIENT_PAUSES, || {
            let request = self.0.clients.own_request(message.clone());
            let mut workspaces = self.0.clients.workspaces.clone();
            async move { workspaces.finish_workspace_build(request).await }
        });
        if let Err(status) = finished.await {
            tracing::warn!(build_id = id, code = ?status.code(), error = status.message(), "a build's end cannot be recorded");
        }
        self.0.ended_builds.send_modify(|count| *count += 1);
    }

    /// Keeps the lease; ends when it is somebody else's.
    async fn keep(&self, job: &Job) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            let message = RenewWorkspaceBuildRequest {
                build_id: job.build.id.clone(),
                runner_id: self.0.runner_id.to_string(),
                attempt: job.build.attempt,
                log: job.log.text(),
            };
            let renewed = persist(&PAUSES, || {
                let request = self.0.clients.own_request(message.clone());
                let mut workspaces = self.0.clients.workspaces.clone();
                async move { workspaces.renew_workspace_build(request).await }
            });
            if let Err(status) = renewed.await
                && status.code() == Code::Aborted
            {
                return;
            }
        }
    }

    /// Does what the build is for. Everything here can be done twice.
    async fn carry_out(&self, job: &Job) -> Result<StartupOutcome, String> {
        let id = &job.workspace.id;
        match (job.build.transition(), job.spec.backend()) {
            (WorkspaceTransition::Start, TemplateBackend::Local) => {
                job.log.line("Starting the workspace's agent on this machine.");
                let connection = self.start_local(id).await.map_err(|error| sentence(&error))?;
                job.log.line("The agent is connected.");
                Ok(startup::run(&connection, job).await)
            }
            (WorkspaceTransition::Start, TemplateBackend::External) => {
                job.log
                    .line("The workspace is ready for the agent that its user starts with `tandem agent`.");
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Start, TemplateBackend::Kubernetes) => {
                let connection = self.start_pod(job).await?;
                Ok(startup::run(&connection, job).await)
            }
            (WorkspaceTransition::Stop, TemplateBackend::Kubernetes) => {
                self.stop_pod(job).await?;
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Delete, TemplateBackend::Kubernetes) => {
                self.delete_pod(job).await?;
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Stop, TemplateBackend::External) => {
                job.log
                    .line("Sending the workspace's agent away. What it started ends with `tandem agent` on its host.");
                self.forget_stopped(id);
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Stop, _) => {
                self.end_agent(job).await;
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Delete, TemplateBackend::Local) => {
                self.end_agent(job).await;
                job.log.line("Deleting its files.");
                let removed = self.0.local.remove(id).await;
                removed.map_err(|error| format!("Its files could not be deleted: {error}."))?;
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Delete, _) => {
                self.end_agent(job).await;
                Ok(StartupOutcome::Unspecified)
            }
            (WorkspaceTransition::Start, TemplateBackend::Unspecified) | (WorkspaceTransition::Unspecified, _) => {
                Err("This deployment cannot run it.".to_owned())
            }
        }
    }

    async fn end_agent(&self, job: &Job) {
        job.log.line("Stopping the workspace's agent and all it started.");
        self.stop_local(&job.workspace.id).await;
        // Of another machine's agents there is only the link.
        self.0.agents.forget(&job.workspace.id);
    }
}

/// An error as it is shown to people.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string())
        .unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
