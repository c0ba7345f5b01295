//! `WorkspaceService`: where agents work, whose that is, and what happens to it. Owners see theirs, administrators all.

use sqlx::PgConnection;
use tandem_chassis::identity::{Caller, ServiceName, User};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::workspace_service_server::WorkspaceService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::db::workspaces::{self, Filter};
use crate::db::{Pool, chats, workspace_builds};
use crate::error::{Error, chat_not_found};
use crate::hints::Hints;
use crate::idempotency::{Attempt, Tx, respond};

mod builds;
mod create;

const DEFAULT_LISTED: i32 = 50;
const MAX_LISTED: i32 = 1_000;
const MAX_QUERY_BYTES: usize = 256;

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// Serves [`WorkspaceService`].
pub(crate) struct Workspaces {
    pool: Pool,
    hints: Hints,
}

impl Workspaces {
    pub(crate) fn new(pool: Pool, hints: Hints) -> Self {
        Self { pool, hints }
    }

    async fn list(&self, user: &User, request: ListWorkspacesRequest) -> Result<ListWorkspacesResponse, Error> {
        let limit = convert::limit(request.limit, DEFAULT_LISTED, MAX_LISTED)?;
        let offset = convert::offset(request.offset)?;
        let filter = filter(user, &request.query)?;
        let mut conn = self.pool.acquire().await?;
        let rows = workspaces::list(&mut conn, &filter, i64::from(limit), offset).await?;
        let total = workspaces::count(&mut conn, &filter).await?;
        let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.latest_build_id).collect();
        let builds = workspace_builds::find(&mut conn, &ids).await?;
        let workspaces = rows.iter().map(|row| {
            let latest = builds.iter().find(|build| Some(build.id) == row.latest_build_id);
            row.to_wire(latest)
        });
        Ok(ListWorkspacesResponse {
            workspaces: convert::that_fit(workspaces),
            total_count: i32::try_from(total).unwrap_or(i32::MAX),
        })
    }

    async fn update(
        &self,
        attempt: Option<&Attempt>,
        user: &User,
        request: UpdateWorkspaceRequest,
    ) -> Result<UpdateWorkspaceResponse, Error> {
        let id = convert::id(&request.workspace_id, "workspace_id")?;
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        let row = workspaces::lock(&mut tx, id, user_filter(user))
            .await?
            .ok_or_else(not_found)?;
        let name = request.name.unwrap_or_else(|| row.name.clone());
        if name != row.name && !create::is_name(&name) {
            return Err(create::invalid_name());
        }
        let ttl_ms = request.ttl_ms.unwrap_or(row.ttl_ms);
        create::check_ttl(ttl_ms)?;
        let updated = workspaces::update(&mut tx, id, &name, ttl_ms).await;
        updated.map_err(|error| create::name_taken(error, &name))?;
        let answer = UpdateWorkspaceResponse {
            workspace: Some(read(&mut tx, id).await?),
        };
        tx.answer(&answer).await?;
        Ok(answer)
    }

    /// * `user`: the owner, for a host of theirs; `None`: tool-runner, for a pod it makes.
    async fn set_token(
        &self,
        attempt: Option<&Attempt>,
        user: Option<Uuid>,
        request: SetAgentTokenRequest,
    ) -> Result<Workspace, Error> {
        let id = convert::id(&request.workspace_id, "workspace_id")?;
        if request.token_hash.len() != HASH_BYTES {
            return Err(convert::one("token_hash", "must have 32 bytes"));
        }
        let mut tx = Tx::begin(&self.pool, attempt).await?;
        // Administrators too: who holds the token is the owner's host.
        let row = workspaces::lock(&mut tx, id, user).await?.ok_or_else(not_found)?;
        match (user, row.backend.as_deref()) {
            (Some(_), Some("external")) | (None, Some("kubernetes")) => {}
            (Some(_), _) => {
                let text = "Only workspaces of external templates have agents that their users start.";
                return Err(Fault::wrong_state("NOT_EXTERNAL", text).into());
            }
            (None, _) => return Err(Fault::wrong_state("NO_POD", "The workspace is no pod.").into()),
        }
        workspaces::set_token(&mut tx, id, &request.token_hash).await?;
        let workspace = read(&mut tx, id).await?;
        // The token itself is shown once, so the answer is not kept.
        tx.commit().await?;
        Ok(workspace)
    }

    async fn authenticate(&self, request: AuthenticateAgentRequest) -> Result<(), Error> {
        let unknown = || Fault::unauthenticated("AGENT_UNKNOWN", "No such agent is expected.");
        let id = convert::id(&request.workspace_id, "workspace_id").map_err(|_| unknown())?;
        let hash = workspaces::token_hash(&mut *self.pool.acquire().await?, id).await?;
        // Hashes of random secrets give nothing away by the time it takes to compare them.
        let is_known = hash.is_some_and(|hash| hash == request.token_hash);
        if is_known { Ok(()) } else { Err(unknown().into()) }
    }

    async fn of_chat(&self, user: Uuid, chat: Uuid) -> Result<Option<Workspace>, Error> {
        let mut conn = self.pool.acquire().await?;
        let row = chats::find(&mut conn, chat, user).await?.ok_or_else(chat_not_found)?;
        let Some(id) = row.workspace_id else {
            return Ok(None);
        };
        match workspaces::find(&mut conn, id, Some(user)).await? {
            Some(row) => wire(&mut conn, &row).await.map(Some),
            None => Ok(None),
        }
    }
}

/// A workspace as this transaction sees it.
async fn read(conn: &mut PgConnection, id: Uuid) -> Result<Workspace, Error> {
    let row = workspaces::find(&mut *conn, id, None).await?.ok_or_else(not_found)?;
    wire(conn, &row).await
}

async fn wire(conn: &mut PgConnection, row: &workspaces::Row) -> Result<Workspace, Error> {
    let latest: Vec<Uuid> = row.latest_build_id.into_iter().collect();
    let latest = workspace_builds::find(conn, &latest).await?.pop();
    Ok(row.to_wire(latest.as_ref()))
}

#[tonic::async_trait]
impl WorkspaceService for Workspaces {
    async fn ensure_chat_workspace(
        &self,
        request: Request<EnsureChatWorkspaceRequest>,
    ) -> Result<Response<EnsureChatWorkspaceResponse>, Status> {
        let user = runner_for(&request)?.id;
        let chat = convert::id(&request.into_inner().chat_id, "chat_id")?;
        Ok(Response::new(self.ensure(user, chat).await?))
    }

    async fn find_chat_workspace(
        &self,
        request: Request<FindChatWorkspaceRequest>,
    ) -> Result<Response<FindChatWorkspaceResponse>, Status> {
        let user = runner_for(&request)?.id;
        let chat = convert::id(&request.into_inner().chat_id, "chat_id")?;
        let workspace = self.of_chat(user, chat).await?;
        Ok(Response::new(FindChatWorkspaceResponse { workspace }))
    }

    async fn create_workspace(
        &self,
        request: Request<CreateWorkspaceRequest>,
    ) -> Result<Response<CreateWorkspaceResponse>, Status> {
        let user = runner_for(&request)?;
        let attempt = Attempt::of(&request, user.id, "create_workspace")?;
        respond(self.create(attempt.as_ref(), &user, request.into_inner()).await)
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let caller = Caller::of(&request)?;
        let user = match &caller.user {
            Some(user) => user_filter(user),
            None => {
                caller.require_service(&[ServiceName::ToolRunner])?;
                None
            }
        };
        let get = async {
            let id = convert::id(&request.get_ref().workspace_id, "workspace_id")?;
            let mut conn = self.pool.acquire().await?;
            let row = workspaces::find(&mut conn, id, user).await?.ok_or_else(not_found)?;
            wire(&mut conn, &row).await
        };
        Ok(Response::new(GetWorkspaceResponse {
            workspace: Some(get.await?),
        }))
    }

    async fn list_workspaces(
        &self,
        request: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        Ok(Response::new(self.list(&user, request.into_inner()).await?))
    }

    async fn update_workspace(
        &self,
        request: Request<UpdateWorkspaceRequest>,
    ) -> Result<Response<UpdateWorkspaceResponse>, Status> {
        let user = runner_for(&request)?;
        let attempt = Attempt::of(&request, user.id, "update_workspace")?;
        respond(self.update(attempt.as_ref(), &user, request.into_inner()).await)
    }

    async fn create_workspace_build(
        &self,
        request: Request<CreateWorkspaceBuildRequest>,
    ) -> Result<Response<CreateWorkspaceBuildResponse>, Status> {
        let user = runner_for(&request)?;
        let attempt = Attempt::of(&request, user.id, "create_workspace_build")?;
        respond(self.build(attempt.as_ref(), &user, request.into_inner()).await)
    }

    async fn list_workspace_builds(
        &self,
        request: Request<ListWorkspaceBuildsRequest>,
    ) -> Result<Response<ListWorkspaceBuildsResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        Ok(Response::new(self.builds(&user, request.into_inner()).await?))
    }

    async fn claim_workspace_build(
        &self,
        request: Request<ClaimWorkspaceBuildRequest>,
    ) -> Result<Response<ClaimWorkspaceBuildResponse>, Status> {
        runner(&request)?;
        Ok(Response::new(self.claim(request.into_inner()).await?))
    }

    async fn renew_workspace_build(
        &self,
        request: Request<RenewWorkspaceBuildRequest>,
    ) -> Result<Response<RenewWorkspaceBuildResponse>, Status> {
        runner(&request)?;
        self.renew(request.into_inner()).await?;
        Ok(Response::new(RenewWorkspaceBuildResponse {}))
    }

    async fn finish_workspace_build(
        &self,
        request: Request<FinishWorkspaceBuildRequest>,
    ) -> Result<Response<FinishWorkspaceBuildResponse>, Status> {
        runner(&request)?;
        let workspace = Some(self.finish(request.into_inner()).await?);
        Ok(Response::new(FinishWorkspaceBuildResponse { workspace }))
    }

    async fn record_workspace_use(
        &self,
        request: Request<RecordWorkspaceUseRequest>,
    ) -> Result<Response<RecordWorkspaceUseResponse>, Status> {
        runner(&request)?;
        let message = request.into_inner();
        let is_connected = match message.change() {
            AgentChange::Unspecified => None,
            AgentChange::Connected => Some(true),
            AgentChange::Disconnected => Some(false),
        };
        let record = async {
            let id = convert::id(&message.workspace_id, "workspace_id")?;
            let is_there = workspaces::touch(&mut *self.pool.acquire().await?, id, is_connected).await?;
            if is_there { Ok(()) } else { Err(not_found()) }
        };
        record.await?;
        Ok(Response::new(RecordWorkspaceUseResponse {}))
    }

    async fn set_agent_token(
        &self,
        request: Request<SetAgentTokenRequest>,
    ) -> Result<Response<SetAgentTokenResponse>, Status> {
        runner(&request)?;
        let user = Caller::of(&request)?.user().ok().map(|user| user.id);
        let attempt = match user {
            Some(user) => Attempt::of(&request, user, "set_agent_token")?,
            None => None,
        };
        let workspace = Some(self.set_token(attempt.as_ref(), user, request.into_inner()).await?);
        Ok(Response::new(SetAgentTokenResponse { workspace }))
    }

    async fn authenticate_agent(
        &self,
        request: Request<AuthenticateAgentRequest>,
    ) -> Result<Response<AuthenticateAgentResponse>, Status> {
        runner(&request)?;
        self.authenticate(request.into_inner()).await?;
        Ok(Response::new(AuthenticateAgentResponse {}))
    }
}

/// Tool-runner, in the name of a user.
fn runner_for<T>(request: &Request<T>) -> Result<User, Status> {
    let caller = Caller::of(request)?;
    caller.require_service(&[ServiceName::ToolRunner])?;
    Ok(caller.user()?.clone())
}

/// Tool-runner itself.
fn runner<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?.require_service(&[ServiceName::ToolRunner])?;
    Ok(())
}

/// Whose workspaces a user sees; `None`: everybody's.
fn user_filter(user: &User) -> Option<Uuid> {
    (!user.is_admin).then_some(user.id)
}

/// What a search means.
fn filter(user: &User, query: &str) -> Result<Filter, Error> {
    convert::bounded("q", query, MAX_QUERY_BYTES)?;
    let mut filter = Filter {
        owner: user_filter(user),
        ..Filter::default()
    };
    let mut words = Vec::new();
    for word in query.split_whitespace() {
        match word.split_once(':') {
            Some(("owner", "me")) => filter.owner = Some(user.id),
            Some(("owner", name)) => filter.owner_username = name.to_owned(),
            Some(("template", name)) => filter.template = name.to_owned(),
            Some(("status", status)) => {
                let is_status = |known: &WorkspaceStatus| workspaces::status_name(*known) == Some(status);
                if !workspaces::STATUSES.iter().any(is_status) {
                    return Err(convert::one("q", "names no status; it is for example status:running"));
                }
                filter.status = status.to_owned();
            }
            Some((key, _)) => {
                let rule = format!("knows owner, template and status, not {key:?}");
                return Err(convert::one("q", &rule));
            }
            None => words.push(word),
        }
    }
    filter.text = words.join(" ");
    Ok(filter)
}

pub(super) fn not_found() -> Error {
    Fault::not_found("WORKSPACE_NOT_FOUND", "There is no such workspace.").into()
}
