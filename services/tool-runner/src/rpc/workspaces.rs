//! `WorkspaceAdminService`: a user's workspaces, and what confines them.

use tandem_chassis::identity::{Caller, User};
use tandem_proto::storage::v1 as storage;
use tandem_proto::tool::v1::workspace_admin_service_server::WorkspaceAdminService;
use tandem_proto::tool::v1::{
    GetConfinementRequest, GetConfinementResponse, GetWorkspaceRequest, GetWorkspaceResponse, ListWorkspacesRequest,
    ListWorkspacesResponse, WorkspaceView,
};
use tonic::{Request, Response, Status};

use crate::clients::Clients;
use crate::workspace::Workspaces;

pub(crate) struct WorkspaceRpc {
    clients: Clients,
    workspaces: Workspaces,
}

impl WorkspaceRpc {
    pub(crate) fn new(clients: Clients, workspaces: Workspaces) -> Self {
        Self { clients, workspaces }
    }

    fn view(&self, workspace: storage::Workspace) -> WorkspaceView {
        let is_agent_connected = self.workspaces.is_connected(&workspace.id);
        WorkspaceView {
            workspace: Some(workspace),
            is_agent_connected,
        }
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
        let request = self.clients.request(&user, storage::ListWorkspacesRequest { limit: 0 });
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
            .map(|workspace| self.view(workspace))
            .collect();
        Ok(Response::new(ListWorkspacesResponse { workspaces }))
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let user = user(&request)?;
        let workspace_id = request.into_inner().workspace_id;
        let request = self
            .clients
            .request(&user, storage::GetWorkspaceRequest { workspace_id });
        let answer = self
            .clients
            .workspaces
            .clone()
            .get_workspace(request)
            .await?
            .into_inner();
        let workspace = answer.workspace.map(|workspace| self.view(workspace));
        Ok(Response::new(GetWorkspaceResponse { workspace }))
    }

    async fn get_confinement(
        &self,
        request: Request<GetConfinementRequest>,
    ) -> Result<Response<GetConfinementResponse>, Status> {
        user(&request)?;
        Ok(Response::new(GetConfinementResponse {
            mechanisms: self.workspaces.mechanisms(),
        }))
    }
}
