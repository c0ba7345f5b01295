//! The part of the stub storage that keeps workspaces and runs their builds through the tool-runner.

use tandem_proto::storage::v1::workspace_service_server::WorkspaceService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::stub::Storage;

impl Storage {
    /// Changes a workspace; `None` when there is none.
    fn change<T>(&self, id: &str, change: impl FnOnce(&mut Workspace) -> T) -> Option<T> {
        let mut workspaces = self.workspaces.lock().unwrap();
        workspaces.values_mut().find(|workspace| workspace.id == id).map(change)
    }

    fn begin(workspace: &mut Workspace, transition: WorkspaceTransition) {
        let number = workspace.latest_build.as_ref().map_or(1, |build| build.number + 1);
        workspace.status = match transition {
            WorkspaceTransition::Start => WorkspaceStatus::Starting.into(),
            _ => WorkspaceStatus::Stopping.into(),
        };
        workspace.latest_build = Some(WorkspaceBuild {
            id: Uuid::new_v4().to_string(),
            workspace_id: workspace.id.clone(),
            number,
            transition: transition.into(),
            status: BuildStatus::Pending.into(),
            ..WorkspaceBuild::default()
        });
    }
}

fn not_found() -> Status {
    Status::not_found("workspace")
}

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("no test needs it"))
}

#[tonic::async_trait]
impl WorkspaceService for Storage {
    async fn ensure_chat_workspace(
        &self,
        request: Request<EnsureChatWorkspaceRequest>,
    ) -> Result<Response<EnsureChatWorkspaceResponse>, Status> {
        let chat_id = request.into_inner().chat_id;
        let mut workspaces = self.workspaces.lock().unwrap();
        let workspace = workspaces.entry(chat_id).or_insert_with(|| Workspace {
            id: Uuid::new_v4().to_string(),
            template_name: "local".to_owned(),
            backend: TemplateBackend::Local.into(),
            status: WorkspaceStatus::Running.into(),
            ..Workspace::default()
        });
        Ok(Response::new(EnsureChatWorkspaceResponse {
            workspace: Some(workspace.clone()),
            is_created: false,
            spec: Some(self.spec.lock().unwrap().clone()),
        }))
    }

    async fn find_chat_workspace(
        &self,
        request: Request<FindChatWorkspaceRequest>,
    ) -> Result<Response<FindChatWorkspaceResponse>, Status> {
        let chat_id = request.into_inner().chat_id;
        let workspace = self.workspaces.lock().unwrap().get(&chat_id).cloned();
        Ok(Response::new(FindChatWorkspaceResponse { workspace }))
    }

    async fn create_workspace(
        &self,
        request: Request<CreateWorkspaceRequest>,
    ) -> Result<Response<CreateWorkspaceResponse>, Status> {
        let request = request.into_inner();
        let mut workspace = Workspace {
            id: Uuid::new_v4().to_string(),
            name: "made".to_owned(),
            owner_username: "mia".to_owned(),
            template_name: "local".to_owned(),
            backend: self.spec.lock().unwrap().backend,
            parameters: request.parameters,
            ..Workspace::default()
        };
        Self::begin(&mut workspace, WorkspaceTransition::Start);
        let mut workspaces = self.workspaces.lock().unwrap();
        workspaces.insert(request.chat_id, workspace.clone());
        let workspace = Some(workspace);
        Ok(Response::new(CreateWorkspaceResponse {
            workspace,
            is_existing: false,
        }))
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let workspace = self.change(&request.into_inner().workspace_id, |workspace| workspace.clone());
        Ok(Response::new(GetWorkspaceResponse {
            workspace: Some(workspace.ok_or_else(not_found)?),
        }))
    }

    async fn list_workspaces(
        &self,
        _: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let workspaces: Vec<Workspace> = self.workspaces.lock().unwrap().values().cloned().collect();
        Ok(Response::new(ListWorkspacesResponse {
            total_count: i32::try_from(workspaces.len()).unwrap(),
            workspaces,
        }))
    }

    async fn update_workspace(
        &self,
        _: Request<UpdateWorkspaceRequest>,
    ) -> Result<Response<UpdateWorkspaceResponse>, Status> {
        unused()
    }

    async fn create_workspace_build(
        &self,
        request: Request<CreateWorkspaceBuildRequest>,
    ) -> Result<Response<CreateWorkspaceBuildResponse>, Status> {
        let request = request.into_inner();
        let transition = request.transition();
        let built = self.change(&request.workspace_id, |workspace| {
            let is_so = match transition {
                WorkspaceTransition::Start => workspace.status() == WorkspaceStatus::Running,
                _ => workspace.status() == WorkspaceStatus::Stopped,
            };
            if !is_so {
                Self::begin(workspace, transition);
            }
            (workspace.clone(), is_so)
        });
        let (workspace, is_unchanged) = built.ok_or_else(not_found)?;
        Ok(Response::new(CreateWorkspaceBuildResponse {
            workspace: Some(workspace),
            is_unchanged,
            is_updated: false,
        }))
    }

    async fn list_workspace_builds(
        &self,
        _: Request<ListWorkspaceBuildsRequest>,
    ) -> Result<Response<ListWorkspaceBuildsResponse>, Status> {
        unused()
    }

    async fn claim_workspace_build(
        &self,
        _: Request<ClaimWorkspaceBuildRequest>,
    ) -> Result<Response<ClaimWorkspaceBuildResponse>, Status> {
        let mut workspaces = self.workspaces.lock().unwrap();
        let pending = workspaces.values_mut().find_map(|workspace| {
            let build = workspace.latest_build.as_mut()?;
            if build.status() != BuildStatus::Pending {
                return None;
            }
            build.status = BuildStatus::Running.into();
            build.attempt += 1;
            Some((build.clone(), workspace.clone()))
        });
        let Some((build, workspace)) = pending else {
            return Ok(Response::new(ClaimWorkspaceBuildResponse::default()));
        };
        Ok(Response::new(ClaimWorkspaceBuildResponse {
            build: Some(build),
            workspace: Some(workspace),
            spec: Some(self.spec.lock().unwrap().clone()),
        }))
    }

    async fn renew_workspace_build(
        &self,
        _: Request<RenewWorkspaceBuildRequest>,
    ) -> Result<Response<RenewWorkspaceBuildResponse>, Status> {
        Ok(Response::new(RenewWorkspaceBuildResponse {}))
    }

    async fn finish_workspace_build(
        &self,
        request: Request<FinishWorkspaceBuildRequest>,
    ) -> Result<Response<FinishWorkspaceBuildResponse>, Status> {
        let request = request.into_inner();
        let mut workspaces = self.workspaces.lock().unwrap();
        let workspace = workspaces.values_mut().find_map(|workspace| {
            let build = workspace.latest_build.as_mut()?;
            if build.id != request.build_id {
                return None;
            }
            build.status = request.status;
            build.error = request.error.clone();
            build.startup = request.startup;
            workspace.status = match (request.status(), build.transition()) {
                (BuildStatus::Succeeded, WorkspaceTransition::Start) => WorkspaceStatus::Running.into(),
                (BuildStatus::Succeeded, _) => WorkspaceStatus::Stopped.into(),
                _ => WorkspaceStatus::Failed.into(),
            };
            workspace.status_message = request.error.clone();
            Some(workspace.clone())
        });
        self.ended.lock().unwrap().push(request);
        Ok(Response::new(FinishWorkspaceBuildResponse { workspace }))
    }

    async fn record_workspace_use(
        &self,
        request: Request<RecordWorkspaceUseRequest>,
    ) -> Result<Response<RecordWorkspaceUseResponse>, Status> {
        let request = request.into_inner();
        if request.change() == AgentChange::Unspecified {
            self.uses.lock().unwrap().push(request.workspace_id.clone());
        }
        self.change(&request.workspace_id, |workspace| {
            let agent = workspace.agent.get_or_insert_default();
            match request.change() {
                AgentChange::Unspecified => {}
                AgentChange::Connected => {
                    agent.is_connected = true;
                    agent.first_connected_at = Some(prost_types::Timestamp::default());
                }
                AgentChange::Disconnected => agent.is_connected = false,
            }
        });
        Ok(Response::new(RecordWorkspaceUseResponse {}))
    }

    async fn set_agent_token(
        &self,
        request: Request<SetAgentTokenRequest>,
    ) -> Result<Response<SetAgentTokenResponse>, Status> {
        let request = request.into_inner();
        *self.agent_token_hash.lock().unwrap() = request.token_hash;
        let workspace = self.change(&request.workspace_id, |workspace| workspace.clone());
        Ok(Response::new(SetAgentTokenResponse { workspace }))
    }

    async fn authenticate_agent(
        &self,
        request: Request<AuthenticateAgentRequest>,
    ) -> Result<Response<AuthenticateAgentResponse>, Status> {
        let request = request.into_inner();
        let status = self.change(&request.workspace_id, |workspace| workspace.status());
        let is_up = status == Some(WorkspaceStatus::Running);
        let mut hash = self.agent_token_hash.lock().unwrap();
        if is_up && request.token_hash == *hash {
            if *self.is_agent_token_fleeting.lock().unwrap() {
                hash.clear();
            }
            return Ok(Response::new(AuthenticateAgentResponse {}));
        }
        Err(Status::unauthenticated("agent"))
    }
}
