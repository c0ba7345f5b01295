//! `WorkspaceAdminService`: workspaces as users manage them, and what confines them. Who may see which is storage's to say.

use secrecy::ExposeSecret;
use tandem_chassis::idempotency;
use tandem_chassis::identity::{Caller, User};
use tandem_chassis::transport::Address;
use tandem_proto::storage::v1::{self as storage, BuildReason, TemplateBackend};
use tandem_proto::tool::v1::workspace_admin_service_server::WorkspaceAdminService;
use tandem_proto::tool::v1::{
    BuildWorkspaceRequest, BuildWorkspaceResponse, CreateWorkspaceRequest, CreateWorkspaceResponse,
    GetConfinementRequest, GetConfinementResponse, GetWorkspaceRequest, GetWorkspaceResponse, IssueAgentTokenRequest,
    IssueAgentTokenResponse, ListWorkspaceBuildsRequest, ListWorkspaceBuildsResponse, ListWorkspacesRequest,
    ListWorkspacesResponse, UpdateWorkspaceRequest, UpdateWorkspaceResponse, WorkspaceView,
};
use tonic::{Request, Response, Status};

use crate::clients::Clients;
use crate::workspace::Workspaces;
use crate::workspace::life::marked;
use crate::workspace::token;

pub(crate) struct WorkspaceRpc {
    clients: Clients,
    workspaces: Workspaces,
    /// Where agents of other machines dial in.
    agents_url: Address,
}

impl WorkspaceRpc {
    pub(crate) fn new(clients: Clients, workspaces: Workspaces, agents_url: Address) -> Self {
        Self {
            clients,
            workspaces,
            agents_url,
        }
    }

    fn view(&self, workspace: Option<storage::Workspace>) -> Option<WorkspaceView> {
        let workspace = workspace?;
        let is_agent_connected = self.workspaces.is_connected(&workspace.id);
        Some(WorkspaceView {
            workspace: Some(workspace),
            is_agent_connected,
        })
    }

    async fn read(&self, user: &User, workspace_id: String) -> Result<Option<storage::Workspace>, Status> {
        let request = self
            .clients
            .request(user, storage::GetWorkspaceRequest { workspace_id });
        let answer = self.clients.workspaces.clone().get_workspace(request).await?;
        Ok(answer.into_inner().workspace)
    }
}

fn user<T>(request: &Request<T>) -> Result<User, Status> {
    Ok(Caller::of(request)?.user()?.clone())
}

#[tonic::async_trait]
impl WorkspaceAdminService for WorkspaceRpc {
    async fn list_workspaces(
        &self,
        request: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let user = user(&request)?;
        let ListWorkspacesRequest { query, limit, offset } = request.into_inner();
        let message = storage::ListWorkspacesRequest { limit, offset, query };
        let request = self.clients.request(&user, message);
        let answer = self
            .clients
            .workspaces
            .clone()
            .list_workspaces(request)
            .await?
            .into_inner();
        let workspaces = answer
            .workspaces
            .into_iter()
            .filter_map(|workspace| self.view(Some(workspace)));
        Ok(Response::new(ListWorkspacesResponse {
            workspaces: workspaces.collect(),
            total_count: answer.total_count,
        }))
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let user = user(&request)?;
        let workspace = self.read(&user, request.into_inner().workspace_id).await?;
        Ok(Response::new(GetWorkspaceResponse {
            workspace: self.view(workspace),
        }))
    }

    async fn create_workspace(
        &self,
        request: Request<CreateWorkspaceRequest>,
    ) -> Result<Response<CreateWorkspaceResponse>, Status> {
        let user = user(&request)?;
        let mark = idempotency::Attempt::of(&request)?;
        let asked = request.into_inner();
        let message = storage::CreateWorkspaceRequest {
            template_id: asked.template_id,
            name: asked.name,
            parameters: asked.parameters,
            preset_id: asked.preset_id,
            ttl_ms: asked.ttl_ms,
            chat_id: String::new(),
        };
        let made = self.workspaces.create(&user, message, mark).await?;
        let is_replayed = idempotency::is_replayed(&made);
        let answer = CreateWorkspaceResponse {
            workspace: self.view(Some(made.into_inner().0)),
        };
        Ok(idempotency::answer(answer, is_replayed))
    }

    async fn update_workspace(
        &self,
        request: Request<UpdateWorkspaceRequest>,
    ) -> Result<Response<UpdateWorkspaceResponse>, Status> {
        let user = user(&request)?;
        let mark = idempotency::Attempt::of(&request)?;
        let asked = request.into_inner();
        let message = storage::UpdateWorkspaceRequest {
            workspace_id: asked.workspace_id,
            name: asked.name,
            ttl_ms: asked.ttl_ms,
        };
        let request = marked(self.clients.request(&user, message), mark);
        let updated = self.clients.workspaces.clone().update_workspace(request).await?;
        let is_replayed = idempotency::is_replayed(&updated);
        let answer = UpdateWorkspaceResponse {
            workspace: self.view(updated.into_inner().workspace),
        };
        Ok(idempotency::answer(answer, is_replayed))
    }

    async fn build_workspace(
        &self,
        request: Request<BuildWorkspaceRequest>,
    ) -> Result<Response<BuildWorkspaceResponse>, Status> {
        let user = user(&request)?;
        let mark = idempotency::Attempt::of(&request)?;
        let asked = request.into_inner();
        let message = storage::CreateWorkspaceBuildRequest {
            transition: asked.transition,
            workspace_id: asked.workspace_id,
            parameters: asked.parameters,
            reason: BuildReason::User.into(),
        };
        let begun = self.workspaces.build(&user, message, mark).await?;
        let is_replayed = idempotency::is_replayed(&begun);
        let begun = begun.into_inner();
        let answer = BuildWorkspaceResponse {
            workspace: self.view(Some(begun.workspace)),
            is_unchanged: begun.is_unchanged,
        };
        Ok(idempotency::answer(answer, is_replayed))
    }

    async fn list_workspace_builds(
        &self,
        request: Request<ListWorkspaceBuildsRequest>,
    ) -> Result<Response<ListWorkspaceBuildsResponse>, Status> {
        let user = user(&request)?;
        let ListWorkspaceBuildsRequest { workspace_id, limit } = request.into_inner();
        let message = storage::ListWorkspaceBuildsRequest { workspace_id, limit };
        let request = self.clients.request(&user, message);
        let answer = self.clients.workspaces.clone().list_workspace_builds(request).await?;
        Ok(Response::new(ListWorkspaceBuildsResponse {
            builds: answer.into_inner().builds,
        }))
    }

    async fn issue_agent_token(
        &self,
        request: Request<IssueAgentTokenRequest>,
    ) -> Result<Response<IssueAgentTokenResponse>, Status> {
        let user = user(&request)?;
        let mark = idempotency::Attempt::of(&request)?;
        let workspace_id = request.into_inner().workspace_id;
        let token = token::new(&workspace_id)?;
        let message = storage::SetAgentTokenRequest {
            workspace_id: workspace_id.clone(),
            token_hash: token::hash(&token),
        };
        let request = marked(self.clients.request(&user, message), mark);
        self.clients.workspaces.clone().set_agent_token(request).await?;
        // Whoever came with the token before is sent away.
        self.workspaces.forget_agent(&workspace_id);
        let token = token.expose_secret();
        Ok(Response::new(IssueAgentTokenResponse {
            url: self.agents_url.to_string(),
            command: format!("tandem agent --url {} --token {token}", self.agents_url),
            token: token.to_owned(),
        }))
    }

    async fn get_confinement(
        &self,
        request: Request<GetConfinementRequest>,
    ) -> Result<Response<GetConfinementResponse>, Status> {
        let user = user(&request)?;
        let workspace_id = request.into_inner().workspace_id;
        let mut mechanisms = self.workspaces.mechanisms();
        if !workspace_id.is_empty() {
            let workspace = self.read(&user, workspace_id).await?.unwrap_or_default();
            if workspace.backend() != TemplateBackend::Local {
                mechanisms.clear();
            }
        }
        Ok(Response::new(GetConfinementResponse { mechanisms }))
    }
}
