//! `GitService`: repositories as they stand, pull requests' diffs, and users' credentials.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use secrecy::{ExposeSecret, SecretString};
use tandem_chassis::identity::{Caller, User};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1 as storage;
use tandem_proto::tool::v1::git_service_server::GitService;
use tandem_proto::tool::v1::*;
use tandem_proto::workspace::v1::RefreshGit;
use tandem_proto::workspace::v1::operation::Operation;
use tonic::{Request, Response, Status};

use crate::agents::Connection;
use crate::git::{self, ForgeFailure, Git, Reader};

/// Time for an agent to take a request to look again.
const REFRESH_TIME: Duration = Duration::from_secs(5);

/// How often it is made sure that a reader may still read.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Longest user name, in bytes.
const MAX_USERNAME_BYTES: usize = 256;

pub(crate) struct GitRpc {
    git: Git,
}

impl GitRpc {
    pub(crate) fn new(git: Git) -> Self {
        Self { git }
    }
}

/// A chat whose repositories can be looked at.
struct Place {
    workspace_id: String,
    connection: Connection,
}

/// The chat as its reader may see it.
async fn chat(git: &Git, user: &User, chat_id: &str) -> Result<storage::GetChatGitResponse, Status> {
    let message = storage::GetChatGitRequest {
        chat_id: chat_id.to_owned(),
    };
    let request = git.clients.request(user, message);
    Ok(git.clients.git.clone().get_chat_git(request).await?.into_inner())
}

/// The chat's agent, if the user may have it look.
async fn place(git: &Git, user: &User, chat_id: &str) -> Result<Place, Status> {
    let chat = chat(git, user, chat_id).await?;
    if chat.workspace_id.is_empty() {
        return Err(Fault::wrong_state("CHAT_HAS_NO_WORKSPACE", "The chat has no workspace.").into());
    }
    if !chat.is_workspace_readable {
        let text = "The chat's workspace is not there, or not yours.";
        return Err(Fault::wrong_state("WORKSPACE_NOT_READABLE", text).into());
    }
    let Some(connection) = git.agents.connected(&chat.workspace_id) else {
        let text = "Agent state is \"disconnected\".";
        return Err(Fault::wrong_state("AGENT_NOT_CONNECTED", text).into());
    };
    Ok(Place {
        workspace_id: chat.workspace_id,
        connection,
    })
}

/// One reader of a chat's repositories.
struct Reading {
    git: Git,
    user: User,
    chat_id: String,
    workspace_id: String,
    reader: Reader,
    checks: tokio::time::Interval,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<WatchGitResponse, Status>> {
        loop {
            tokio::select! {
                news = self.reader.next() => return news.map(Ok),
                _ = self.checks.tick() => match chat(&self.git, &self.user, &self.chat_id).await {
                    Ok(chat) if chat.is_workspace_readable && chat.workspace_id == self.workspace_id => {}
                    Ok(_) => return None,
                    Err(status) if status.code() == tonic::Code::NotFound => return Some(Err(status)),
                    // A storage that is not there takes nobody's right away.
                    Err(_) => {}
                },
            }
        }
    }
}

#[tonic::async_trait]
impl GitService for GitRpc {
    type WatchGitStream = Pin<Box<dyn Stream<Item = Result<WatchGitResponse, Status>> + Send>>;

    async fn watch_git(&self, request: Request<WatchGitRequest>) -> Result<Response<Self::WatchGitStream>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let chat_id = request.into_inner().chat_id;
        let place = place(&self.git, &user, &chat_id).await?;
        let reader = self.git.watches.read(&chat_id, &place.workspace_id, place.connection);
        let mut checks = tokio::time::interval_at(tokio::time::Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let reading = Reading {
            git: self.git.clone(),
            user,
            chat_id,
            workspace_id: place.workspace_id,
            reader,
            checks,
        };
        let stream = futures::stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            let news = reading.next().await?;
            let next = news.is_ok().then_some(reading);
            Some((news, next))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn refresh_git(&self, request: Request<RefreshGitRequest>) -> Result<Response<RefreshGitResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let chat_id = request.into_inner().chat_id;
        let place = place(&self.git, &user, &chat_id).await?;
        let operation = Operation::RefreshGit(RefreshGit {});
        let asked = place.connection.call(&chat_id, operation, REFRESH_TIME, None).await;
        asked.map_err(|refusal| Fault::unavailable("AGENT_REFUSED", refusal.to_string()))?;
        let mark = storage::MarkDiffStatusStaleRequest { chat_id };
        let request = self.git.clients.own_request(mark);
        self.git.clients.git.clone().mark_diff_status_stale(request).await?;
        Ok(Response::new(RefreshGitResponse {}))
    }

    async fn get_diff_contents(
        &self,
        request: Request<GetDiffContentsRequest>,
    ) -> Result<Response<GetDiffContentsResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let chat = chat(&self.git, &user, &request.into_inner().chat_id).await?;
        let Some(known) = chat.diff_status else {
            return Ok(Response::new(GetDiffContentsResponse::default()));
        };
        let number = Some(known.pull_request_number).filter(|number| *number > 0);
        let mut answer = GetDiffContentsResponse {
            pull_request_url: if number.is_some() { known.url } else { String::new() },
            remote_origin: known.git_remote_origin,
            branch: known.git_branch,
            ..GetDiffContentsResponse::default()
        };
        let place = self.git.forges.place(&answer.remote_origin);
        if let Some(place) = place.filter(|_| !answer.branch.is_empty()) {
            answer.provider = place.kind.as_str().to_owned();
            if let Some(credential) = self.git.credentials.of_user(&user, &place.host).await? {
                let diff = self
                    .git
                    .forges
                    .diff(&place, &answer.branch, number, &credential.token)
                    .await;
                answer.diff = match diff {
                    Ok(diff) => diff,
                    // A branch that nobody has pushed yet has no diff there.
                    Err(ForgeFailure::NotFound) => String::new(),
                    Err(failure) => return Err(Fault::unavailable("FORGE_FAILED", failure.to_string()).into()),
                };
            }
        }
        Ok(Response::new(answer))
    }

    async fn list_git_credentials(
        &self,
        request: Request<ListGitCredentialsRequest>,
    ) -> Result<Response<ListGitCredentialsResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let request = self.git.clients.request(&user, storage::ListGitCredentialsRequest {});
        let listed = self.git.clients.git.clone().list_git_credentials(request).await?;
        let credentials = listed.into_inner().credentials.into_iter().map(view).collect();
        Ok(Response::new(ListGitCredentialsResponse { credentials }))
    }

    async fn put_git_credential(
        &self,
        request: Request<PutGitCredentialRequest>,
    ) -> Result<Response<PutGitCredentialResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let message = request.into_inner();
        let token = SecretString::from(message.token);
        let host = host(&message.host)?;
        let text = token.expose_secret();
        if text.is_empty() || text.len() > MAX_TOKEN_BYTES || !text.chars().all(|letter| letter.is_ascii_graphic()) {
            return Err(invalid(
                "token",
                "must have 1 byte to 8 KiB of visible ASCII characters",
            ));
        }
        let username = message.username;
        if username.len() > MAX_USERNAME_BYTES || username.chars().any(char::is_control) {
            return Err(invalid(
                "username",
                "must be at most 256 bytes without control characters",
            ));
        }
        let sealed = self.git.credentials.seal(user.id, &host, text).map_err(|error| match error {
            tandem_chassis::seal::envelope::Error::NoKek => {
                let text = "No key-encryption key is configured in tool-runner (kek), so git credentials cannot be stored.";
                Status::from(Fault::wrong_state("NO_KEK", text))
            }
            other => Fault::internal("SEAL", other).into(),
        })?;
        let message = storage::PutGitCredentialRequest {
            credential: Some(storage::GitCredential {
                host,
                username,
                sealed,
                ..storage::GitCredential::default()
            }),
        };
        let request = self.git.clients.request(&user, message);
        let stored = self
            .git
            .clients
            .git
            .clone()
            .put_git_credential(request)
            .await?
            .into_inner();
        Ok(Response::new(PutGitCredentialResponse {
            credential: stored.credential.map(view),
        }))
    }

    async fn delete_git_credential(
        &self,
        request: Request<DeleteGitCredentialRequest>,
    ) -> Result<Response<DeleteGitCredentialResponse>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let host = host(&request.into_inner().host)?;
        let request = self
            .git
            .clients
            .request(&user, storage::DeleteGitCredentialRequest { host });
        self.git.clients.git.clone().delete_git_credential(request).await?;
        Ok(Response::new(DeleteGitCredentialResponse {}))
    }
}

fn view(credential: storage::GitCredential) -> GitCredentialView {
    GitCredentialView {
        host: credential.host,
        username: credential.username,
        updated_at: credential.updated_at,
    }
}

fn host(text: &str) -> Result<String, Status> {
    git::host(text).ok_or_else(|| {
        invalid(
            "host",
            "must be the name of a host, with its port where that is not 443",
        )
    })
}

fn invalid(field: &str, problem: &str) -> Status {
    let fault = Fault::invalid("INVALID_GIT_CREDENTIAL", format!("{field}: {problem}"));
    fault.violation(field, problem).into()
}
