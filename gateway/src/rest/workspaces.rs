//! Workspaces: owners see and manage theirs, administrators all.

use axum::{extract::State, http::StatusCode};
use tandem_proto::storage::v1::WorkspaceTransition;
use tandem_proto::tool::v1 as proto;

use super::{
    Path, id,
    query::Query,
    wire::{
        id_text,
        workspace::{
            CreateWorkspaceRequest, StartWorkspaceRequest, UpdateWorkspaceRequest, Workspace, WorkspaceAgentToken,
            WorkspaceBuild, WorkspaceConfinement, WorkspaceList,
        },
    },
};
use crate::{
    auth::Principal,
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

pub mod settings;

/// The caller's workspaces, administrators' all, newest first.
#[utoipa::path(get, path = "/workspaces", tag = "workspaces",
    params(("q" = Option<String>, Query, description = "Part of the name, and `owner:me`, `owner:NAME`, `template:NAME`, `status:STATUS`"),
        ("limit" = Option<i32>, Query, description = "At most 1,000, 50 unless given; large workspaces make shorter pages"), ("offset" = Option<i32>, Query)),
    responses((status = 200, body = WorkspaceList)))]
pub async fn list(State(app): State<App>, who: Principal, query: Query) -> Result<Reply<WorkspaceList>, Problem> {
    let message = proto::ListWorkspacesRequest {
        query: query.one("q")?.unwrap_or_default().to_owned(),
        limit: query.number("limit", 1)?.unwrap_or_default(),
        offset: query.number("offset", 0)?.unwrap_or_default(),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app.clients.workspaces.clone().list_workspaces(request).await.answer()?;
    Ok(Reply::ok(WorkspaceList {
        workspaces: listed.workspaces.into_iter().map(Workspace::from).collect(),
        count: listed.total_count,
    }))
}

/// Makes a workspace of a template and begins to start it. 409 `INSUFFICIENT_QUOTA` when as many run as may.
#[utoipa::path(post, path = "/workspaces", tag = "workspaces", request_body = CreateWorkspaceRequest,
    responses((status = 201, body = Workspace)))]
pub async fn create(
    State(app): State<App>,
    who: Principal,
    Body(body): Body<CreateWorkspaceRequest>,
) -> Result<Reply<Workspace>, Problem> {
    let message = proto::CreateWorkspaceRequest {
        template_id: body.template_id.to_string(),
        name: body.name,
        parameters: body.parameters.into_iter().collect(),
        preset_id: id_text(body.preset_id),
        ttl_ms: body.ttl_ms,
    };
    let request = app.clients.ask(who.user(), message);
    let created = app
        .clients
        .workspaces
        .clone()
        .create_workspace(request)
        .await
        .answer()?;
    let workspace = promised(created.workspace, "CreateWorkspaceResponse.workspace")?;
    Ok(Reply::created(workspace.into()))
}

/// One workspace.
#[utoipa::path(get, path = "/workspaces/{workspace}", tag = "workspaces", params(("workspace" = Uuid, Path)),
    responses((status = 200, body = Workspace)))]
pub async fn get(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
) -> Result<Reply<Workspace>, Problem> {
    let workspace_id = id("workspace", &workspace)?.to_string();
    let request = app.clients.ask(who.user(), proto::GetWorkspaceRequest { workspace_id });
    let found = app.clients.workspaces.clone().get_workspace(request).await.answer()?;
    Ok(Reply::ok(
        promised(found.workspace, "GetWorkspaceResponse.workspace")?.into(),
    ))
}

/// Changes the given fields.
#[utoipa::path(patch, path = "/workspaces/{workspace}", tag = "workspaces", params(("workspace" = Uuid, Path)),
    request_body = UpdateWorkspaceRequest, responses((status = 200, body = Workspace)))]
pub async fn update(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
    Body(body): Body<UpdateWorkspaceRequest>,
) -> Result<Reply<Workspace>, Problem> {
    let message = proto::UpdateWorkspaceRequest {
        workspace_id: id("workspace", &workspace)?.to_string(),
        name: body.name,
        ttl_ms: body.ttl_ms,
    };
    let request = app.clients.ask(who.user(), message);
    let updated = app
        .clients
        .workspaces
        .clone()
        .update_workspace(request)
        .await
        .answer()?;
    let workspace = promised(updated.workspace, "UpdateWorkspaceResponse.workspace")?;
    Ok(Reply::ok(workspace.into()))
}

/// Begins to stop a workspace and to delete it with its files.
#[utoipa::path(delete, path = "/workspaces/{workspace}", tag = "workspaces", params(("workspace" = Uuid, Path)),
    responses((status = 202, body = Workspace)))]
pub async fn delete(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
) -> Result<(StatusCode, Reply<Workspace>), Problem> {
    build(
        &app,
        &who,
        &workspace,
        WorkspaceTransition::Delete,
        StartWorkspaceRequest::default(),
    )
    .await
}

/// Begins to start a workspace; one that runs stays as it is. 409 `BUILD_IN_PROGRESS` while it is being changed.
///
/// Where its template requires the active version, the start takes it there: 400 names the parameters it has no value for.
#[utoipa::path(post, path = "/workspaces/{workspace}/start", tag = "workspaces", params(("workspace" = Uuid, Path)),
    request_body = StartWorkspaceRequest, responses((status = 202, body = Workspace)))]
pub async fn start(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
    Body(body): Body<StartWorkspaceRequest>,
) -> Result<(StatusCode, Reply<Workspace>), Problem> {
    build(&app, &who, &workspace, WorkspaceTransition::Start, body).await
}

/// Begins to stop a workspace with everything that runs in it; one that is stopped stays as it is.
#[utoipa::path(post, path = "/workspaces/{workspace}/stop", tag = "workspaces", params(("workspace" = Uuid, Path)),
    responses((status = 202, body = Workspace)))]
pub async fn stop(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
) -> Result<(StatusCode, Reply<Workspace>), Problem> {
    build(
        &app,
        &who,
        &workspace,
        WorkspaceTransition::Stop,
        StartWorkspaceRequest::default(),
    )
    .await
}

async fn build(
    app: &App,
    who: &Principal,
    workspace: &str,
    transition: WorkspaceTransition,
    body: StartWorkspaceRequest,
) -> Result<(StatusCode, Reply<Workspace>), Problem> {
    let message = proto::BuildWorkspaceRequest {
        workspace_id: id("workspace", workspace)?.to_string(),
        transition: transition.into(),
        parameters: body.parameters.into_iter().collect(),
    };
    let request = app.clients.ask(who.user(), message);
    let begun = app.clients.workspaces.clone().build_workspace(request).await.answer()?;
    let workspace = promised(begun.workspace, "BuildWorkspaceResponse.workspace")?;
    Ok((StatusCode::ACCEPTED, Reply::ok(workspace.into())))
}

/// A workspace's starts, stops and deletions with their logs, newest first.
#[utoipa::path(get, path = "/workspaces/{workspace}/builds", tag = "workspaces",
    params(("workspace" = Uuid, Path), ("limit" = Option<i32>, Query, description = "At most 100, 20 unless given")),
    responses((status = 200, body = Vec<WorkspaceBuild>)))]
pub async fn builds(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
    query: Query,
) -> Result<Reply<Vec<WorkspaceBuild>>, Problem> {
    let message = proto::ListWorkspaceBuildsRequest {
        workspace_id: id("workspace", &workspace)?.to_string(),
        limit: query.number("limit", 1)?.unwrap_or_default(),
    };
    let request = app.clients.ask(who.user(), message);
    let listed = app
        .clients
        .workspaces
        .clone()
        .list_workspace_builds(request)
        .await
        .answer()?;
    Ok(Reply::ok(listed.builds.into_iter().map(WorkspaceBuild::from).collect()))
}

/// A new token for the agent on the owner's own host, shown this once. An earlier one is revoked, and its agent sent away.
#[utoipa::path(post, path = "/workspaces/{workspace}/agent-token", tag = "workspaces", params(("workspace" = Uuid, Path)),
    responses((status = 201, body = WorkspaceAgentToken)))]
pub async fn agent_token(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
) -> Result<Reply<WorkspaceAgentToken>, Problem> {
    let workspace_id = id("workspace", &workspace)?.to_string();
    let request = app
        .clients
        .ask(who.user(), proto::IssueAgentTokenRequest { workspace_id });
    let issued = app
        .clients
        .workspaces
        .clone()
        .issue_agent_token(request)
        .await
        .answer()?;
    Ok(Reply::created(WorkspaceAgentToken {
        token: issued.token,
        url: issued.url,
        command: issued.command,
    }))
}

/// What confines a workspace on the host it is on; nothing for hosts of users' own.
#[utoipa::path(get, path = "/workspaces/{workspace}/confinement", tag = "workspaces", params(("workspace" = Uuid, Path)),
    responses((status = 200, body = WorkspaceConfinement)))]
pub async fn confinement(
    State(app): State<App>,
    who: Principal,
    Path(workspace): Path<String>,
) -> Result<Reply<WorkspaceConfinement>, Problem> {
    let workspace_id = id("workspace", &workspace)?.to_string();
    let request = app
        .clients
        .ask(who.user(), proto::GetConfinementRequest { workspace_id });
    let found = app.clients.workspaces.clone().get_confinement(request).await.answer()?;
    Ok(Reply::ok(WorkspaceConfinement {
        mechanisms: found.mechanisms.into_iter().map(Into::into).collect(),
    }))
}
