//! The life of workspaces as users and models ask for it: both go through here, so that both mean the same.

use std::time::Duration;

use tandem_chassis::idempotency;
use tandem_chassis::identity::User;
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{
    BuildStatus, CreateWorkspaceBuildRequest, CreateWorkspaceRequest, GetWorkspaceRequest, Workspace, WorkspaceBuild,
};
use tonic::{Request, Response, Status};

use super::{Error, Workspaces};
use crate::clients::{PAUSES, persist};

/// Longest wait for a build.
pub(crate) const BUILD_TIME: Duration = Duration::from_secs(10 * 60);

/// How often a build that somebody else runs is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Time an agent has to connect after a start.
const AGENT_TIME: Duration = Duration::from_secs(2 * 60);

/// The key of the request that is carried out, if it has one.
pub(crate) type Mark = Option<idempotency::Attempt>;

/// The request to storage, with that key.
pub(crate) fn marked<T>(mut request: Request<T>, mark: Mark) -> Request<T> {
    if let Some(mark) = mark {
        mark.attach(&mut request);
    }
    request
}

/// What became of a wish to start, stop or delete a workspace.
pub(crate) struct Begun {
    pub(crate) workspace: Workspace,
    /// It was so already.
    pub(crate) is_unchanged: bool,
    /// Its template requires the active version, which it has now.
    pub(crate) is_updated: bool,
}

impl Workspaces {
    /// Makes a workspace and begins to start it; with it, whether the chat it was to be made for had it already.
    ///
    /// # Errors
    /// Storage's.
    pub(crate) async fn create(
        &self,
        user: &User,
        message: CreateWorkspaceRequest,
        mark: Mark,
    ) -> Result<Response<(Workspace, bool)>, Status> {
        let request = marked(self.0.clients.request(user, message), mark);
        let made = self.0.clients.workspaces.clone().create_workspace(request).await?;
        let is_replayed = idempotency::is_replayed(&made);
        let made = made.into_inner();
        let workspace = given(made.workspace)?;
        self.begin(&workspace);
        Ok(idempotency::answer((workspace, made.is_existing), is_replayed))
    }

    /// Begins to start, stop or delete a workspace.
    ///
    /// # Errors
    /// Storage's.
    pub(crate) async fn build(
        &self,
        user: &User,
        message: CreateWorkspaceBuildRequest,
        mark: Mark,
    ) -> Result<Response<Begun>, Status> {
        let request = marked(self.0.clients.request(user, message), mark);
        let made = self
            .0
            .clients
            .workspaces
            .clone()
            .create_workspace_build(request)
            .await?;
        let is_replayed = idempotency::is_replayed(&made);
        let made = made.into_inner();
        let workspace = given(made.workspace)?;
        self.begin(&workspace);
        let begun = Begun {
            workspace,
            is_unchanged: made.is_unchanged,
            is_updated: made.is_updated,
        };
        Ok(idempotency::answer(begun, is_replayed))
    }

    /// Runs the workspace's open build here, if nobody else does. One that is not begun now is found by the next look for work.
    fn begin(&self, workspace: &Workspace) {
        let Some(build) = workspace.latest_build.as_ref().filter(|build| is_open(build)) else {
            return;
        };
        let (workspaces, id) = (self.clone(), build.id.clone());
        self.0.tasks.spawn("run a build", OnEnd::Expected, async move {
            workspaces.run_build(&id).await;
        });
    }

    /// The workspace after the build it is in; itself when it is in none.
    ///
    /// # Errors
    /// The wait takes too long, or storage does not answer.
    pub(crate) async fn settled(&self, workspace: &Workspace) -> Result<Workspace, Error> {
        let Some(build) = workspace.latest_build.as_ref().filter(|build| is_open(build)) else {
            return Ok(workspace.clone());
        };
        let mut ended = self.0.ended_builds.subscribe();
        self.begin(workspace);
        let waiting = async {
            loop {
                // Whichever comes first; both mean a look.
                let _ = tokio::time::timeout(LOOK_INTERVAL, ended.changed()).await;
                match self.read(&workspace.id).await {
                    Ok(now) => {
                        let latest = now.latest_build.as_ref();
                        if latest.is_none_or(|latest| latest.id != build.id || !is_open(latest)) {
                            return Ok(now);
                        }
                    }
                    // It was deleted, which is an end too.
                    Err(status) if status.code() == tonic::Code::NotFound => return Err(Error::NoAgent),
                    Err(status) => return Err(Error::Storage(super::shown(status))),
                }
            }
        };
        tokio::time::timeout(BUILD_TIME, waiting)
            .await
            .unwrap_or(Err(Error::TimedOut))
    }

    async fn read(&self, workspace_id: &str) -> Result<Workspace, Status> {
        let answer = persist(&PAUSES, || {
            let request = self.0.clients.own_request(GetWorkspaceRequest {
                workspace_id: workspace_id.to_owned(),
            });
            let mut workspaces = self.0.clients.workspaces.clone();
            async move { workspaces.get_workspace(request).await }
        });
        given(answer.await?.into_inner().workspace)
    }

    /// Whether a started workspace's agent can be reached.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn is_ready(&self, user: &User, chat_id: &str) -> Result<(), Error> {
        tokio::time::timeout(AGENT_TIME, self.ready(user, chat_id))
            .await
            .unwrap_or(Err(Error::TimedOut))
            .map(|_| ())
    }
}

/// Whether a build has not ended yet.
pub(crate) fn is_open(build: &WorkspaceBuild) -> bool {
    match build.status() {
        BuildStatus::Pending | BuildStatus::Running | BuildStatus::Canceling => true,
        BuildStatus::Unspecified | BuildStatus::Succeeded | BuildStatus::Failed | BuildStatus::Canceled => false,
    }
}

fn given(workspace: Option<Workspace>) -> Result<Workspace, Status> {
    workspace.ok_or_else(|| Fault::internal("NO_WORKSPACE", "storage answered without a workspace").into())
}
