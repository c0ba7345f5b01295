//! `GitService`: where chats work in git, what forges say of it, and users' credentials.

use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_chat_core::chat::Command;
use tandem_chat_core::wire::time_from_wire;
use tandem_proto::common::v1::WatchKind;
use tandem_proto::storage::v1::git_service_server::GitService;
use tandem_proto::storage::v1::*;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::authz;
use crate::change::{Open, Payload};
use crate::db::{Pool, chats, diff_statuses, git_credentials, users, workspaces};
use crate::error::{Error, chat_not_found};
use crate::hints::Hints;

const MAX_BRANCH_BYTES: usize = 1_024;
const MAX_ORIGIN_BYTES: usize = 2_048;
const MAX_CLAIMS: i32 = 50;
const MAX_STALE_SECONDS: i32 = 86_400;
const MAX_URL_BYTES: usize = 4_096;
const MAX_TEXT_BYTES: usize = 4_096;

/// Credentials of one user.
const MAX_CREDENTIALS: i64 = 100;
const MAX_HOST_BYTES: usize = 260;
const MAX_USERNAME_BYTES: usize = 256;
const MAX_SEALED_BYTES: usize = 16 * 1024;

/// Serves [`GitService`].
pub(crate) struct Git {
    pool: Pool,
    hints: Hints,
}

impl Git {
    pub(crate) fn new(pool: Pool, hints: Hints) -> Self {
        Self { pool, hints }
    }

    async fn chat_git(&self, user: Uuid, request: GetChatGitRequest) -> Result<GetChatGitResponse, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let mut tx = self.pool.begin().await?;
        let row = chats::find(&mut tx, chat, user).await?.ok_or_else(chat_not_found)?;
        let workspace = match row.workspace_id {
            Some(id) => workspaces::find(&mut tx, id, Some(user)).await?,
            None => None,
        };
        tx.commit().await?;
        Ok(GetChatGitResponse {
            owner_id: row.owner_id.to_string(),
            workspace_id: row.workspace_id.map(|id| id.to_string()).unwrap_or_default(),
            is_workspace_readable: workspace.is_some(),
            diff_status: row.diff_status.as_ref().map(|status| status.0.to_wire()),
        })
    }

    async fn record_head(&self, request: RecordGitHeadRequest) -> Result<bool, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let workspace = convert::id(&request.workspace_id, "workspace_id")?;
        let (branch, origin) = (&request.branch, &request.remote_origin);
        convert::bounded("branch", branch, MAX_BRANCH_BYTES)?;
        convert::bounded("remote_origin", origin, MAX_ORIGIN_BYTES)?;
        let seen_at = request.observed_at.as_ref().and_then(time_from_wire);
        let seen_at = seen_at.ok_or_else(|| convert::one("observed_at", "must be given"))?;
        let mut open = Open::for_worker(&self.pool, chat).await?;
        if open.row.workspace_id != Some(workspace) {
            return Ok(false);
        }
        // Nothing is seen in the future: a clock that is ahead would else keep true sightings out.
        let seen_at = seen_at.min(open.row.now);
        let known = diff_statuses::find(open.conn(), chat).await?;
        if known.as_ref().is_some_and(|known| known.observed_at >= seen_at) {
            return Ok(false);
        }
        let is_same = |known: &diff_statuses::Row| known.git_branch == *branch && known.git_remote_origin == *origin;
        let is_news = match &known {
            Some(known) => !is_same(known),
            None => !branch.is_empty() || !origin.is_empty(),
        };
        if is_news {
            diff_statuses::move_to(open.conn(), chat, branch, origin, seen_at).await?;
            changed(&mut open).await?;
        } else if known.is_some() {
            diff_statuses::see_again(open.conn(), chat, seen_at).await?;
        }
        open.commit(&self.hints).await?;
        Ok(is_news)
    }

    async fn put_status(&self, request: PutDiffStatusRequest) -> Result<bool, Error> {
        let chat = convert::id(&request.chat_id, "chat_id")?;
        let seconds = request.stale_after_seconds;
        if !(1..=MAX_STALE_SECONDS).contains(&seconds) {
            return Err(convert::one("stale_after_seconds", "must be 1 to 86,400"));
        }
        let mut open = Open::for_worker(&self.pool, chat).await?;
        let known = diff_statuses::find(open.conn(), chat).await?;
        let is_asked = |known: &diff_statuses::Row| {
            known.git_branch == request.branch && known.git_remote_origin == request.remote_origin
        };
        let Some(known) = known.filter(is_asked) else {
            return Ok(false);
        };
        let Some(status) = request.status else {
            diff_statuses::put_back(open.conn(), chat, seconds).await?;
            open.commit(&self.hints).await?;
            return Ok(false);
        };
        convert::bounded("status.url", &status.url, MAX_URL_BYTES)?;
        convert::bounded("status.pull_request_title", &status.pull_request_title, MAX_TEXT_BYTES)?;
        let fresh = known.with(status);
        diff_statuses::refresh(open.conn(), chat, &fresh, seconds).await?;
        let is_news = fresh != known;
        if is_news {
            changed(&mut open).await?;
        }
        open.commit(&self.hints).await?;
        Ok(is_news)
    }

    async fn put_credential(&self, user: Uuid, credential: GitCredential) -> Result<GitCredential, Error> {
        let (host, username) = (&credential.host, &credential.username);
        if host.is_empty() {
            return Err(convert::one("credential.host", "must be given"));
        }
        convert::bounded("credential.host", host, MAX_HOST_BYTES)?;
        convert::bounded("credential.username", username, MAX_USERNAME_BYTES)?;
        if credential.sealed.is_empty() || credential.sealed.len() > MAX_SEALED_BYTES {
            return Err(convert::one("credential.sealed", "must have 1 byte to 16 KiB"));
        }
        let mut tx = self.pool.begin().await?;
        // Counted and stored by one at a time.
        users::lock(&mut tx, user).await?;
        let most = MAX_CREDENTIALS;
        let stored = git_credentials::put(&mut tx, user, host, username, &credential.sealed, most).await?;
        let stored = stored.ok_or_else(|| {
            let text = format!("You have credentials for {most} hosts already, which is as many as there may be.");
            Error::from(Fault::wrong_state("TOO_MANY_GIT_CREDENTIALS", text))
        })?;
        diff_statuses::mark_host_stale(&mut tx, user, host).await?;
        tx.commit().await?;
        Ok(without_ciphertext(stored))
    }

    async fn find_credential(
        &self,
        user: Option<Uuid>,
        request: FindGitCredentialRequest,
    ) -> Result<GitCredential, Error> {
        let mut conn = self.pool.acquire().await?;
        let found = match user {
            Some(user) => git_credentials::find(&mut conn, user, &request.host).await?,
            None => {
                let chat = convert::id(&request.chat_id, "chat_id")?;
                let workspace = convert::optional_id(&request.workspace_id, "workspace_id")?;
                git_credentials::find_for_chat(&mut conn, chat, workspace, &request.host).await?
            }
        };
        let missing = || Fault::not_found("GIT_CREDENTIAL_NOT_FOUND", "There is no credential for this host.");
        Ok(found.ok_or_else(|| Error::from(missing()))?.into_wire())
    }
}

/// The chat shows something else now; neither its course nor its place in the list moves.
async fn changed(open: &mut Open) -> Result<(), Error> {
    let command = Command::UpdateMetadata { is_pinning: false };
    open.apply(&[command], Payload::default()).await?;
    open.watch(WatchKind::DiffStatusChange);
    Ok(())
}

fn without_ciphertext(row: git_credentials::Row) -> GitCredential {
    GitCredential {
        sealed: Vec::new(),
        ..row.into_wire()
    }
}

/// Lets only tool-runner pass: it alone looks at repositories and holds secrets.
fn runner<T>(request: &Request<T>) -> Result<(), Status> {
    Caller::of(request)?
        .require_service(&[ServiceName::ToolRunner])
        .map(|_| ())
}

#[tonic::async_trait]
impl GitService for Git {
    async fn get_chat_git(&self, request: Request<GetChatGitRequest>) -> Result<Response<GetChatGitResponse>, Status> {
        let user = authz::user(&request)?;
        Ok(Response::new(self.chat_git(user, request.into_inner()).await?))
    }

    async fn record_git_head(
        &self,
        request: Request<RecordGitHeadRequest>,
    ) -> Result<Response<RecordGitHeadResponse>, Status> {
        runner(&request)?;
        let is_applied = self.record_head(request.into_inner()).await?;
        Ok(Response::new(RecordGitHeadResponse { is_applied }))
    }

    async fn mark_diff_status_stale(
        &self,
        request: Request<MarkDiffStatusStaleRequest>,
    ) -> Result<Response<MarkDiffStatusStaleResponse>, Status> {
        runner(&request)?;
        let mark = async {
            let chat = convert::id(&request.get_ref().chat_id, "chat_id")?;
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(diff_statuses::mark_stale(&mut conn, chat).await?)
        };
        mark.await?;
        Ok(Response::new(MarkDiffStatusStaleResponse {}))
    }

    async fn claim_diff_statuses(
        &self,
        request: Request<ClaimDiffStatusesRequest>,
    ) -> Result<Response<ClaimDiffStatusesResponse>, Status> {
        runner(&request)?;
        let limit = request.into_inner().limit.clamp(1, MAX_CLAIMS);
        let claim = async {
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(diff_statuses::claim(&mut conn, i64::from(limit)).await?)
        };
        let claims = claim.await?.into_iter().map(|claim| DiffStatusClaim {
            chat_id: claim.chat_id.to_string(),
            owner_id: claim.owner_id.to_string(),
            branch: claim.git_branch,
            remote_origin: claim.git_remote_origin,
            is_recently_marked: claim.is_recently_marked,
        });
        Ok(Response::new(ClaimDiffStatusesResponse {
            claims: claims.collect(),
        }))
    }

    async fn put_diff_status(
        &self,
        request: Request<PutDiffStatusRequest>,
    ) -> Result<Response<PutDiffStatusResponse>, Status> {
        runner(&request)?;
        let is_applied = self.put_status(request.into_inner()).await?;
        Ok(Response::new(PutDiffStatusResponse { is_applied }))
    }

    async fn list_git_credentials(
        &self,
        request: Request<ListGitCredentialsRequest>,
    ) -> Result<Response<ListGitCredentialsResponse>, Status> {
        let user = authz::user(&request)?;
        let list = async {
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(git_credentials::list(&mut conn, user, MAX_CREDENTIALS).await?)
        };
        let credentials = list.await?.into_iter().map(without_ciphertext).collect();
        Ok(Response::new(ListGitCredentialsResponse { credentials }))
    }

    async fn put_git_credential(
        &self,
        request: Request<PutGitCredentialRequest>,
    ) -> Result<Response<PutGitCredentialResponse>, Status> {
        runner(&request)?;
        let user = authz::user(&request)?;
        let given = request.into_inner().credential;
        let given = given.ok_or_else(|| convert::one("credential", "must be given"))?;
        let credential = self.put_credential(user, given).await?;
        Ok(Response::new(PutGitCredentialResponse {
            credential: Some(credential),
        }))
    }

    async fn delete_git_credential(
        &self,
        request: Request<DeleteGitCredentialRequest>,
    ) -> Result<Response<DeleteGitCredentialResponse>, Status> {
        let user = authz::user(&request)?;
        let delete = async {
            let mut conn = self.pool.acquire().await?;
            Ok::<_, Error>(git_credentials::delete(&mut conn, user, &request.get_ref().host).await?)
        };
        delete.await?;
        Ok(Response::new(DeleteGitCredentialResponse {}))
    }

    async fn find_git_credential(
        &self,
        request: Request<FindGitCredentialRequest>,
    ) -> Result<Response<FindGitCredentialResponse>, Status> {
        runner(&request)?;
        let user = Caller::of(&request)?.user.as_ref().map(|user| user.id);
        let credential = self.find_credential(user, request.into_inner()).await?;
        Ok(Response::new(FindGitCredentialResponse {
            credential: Some(credential),
        }))
    }
}
