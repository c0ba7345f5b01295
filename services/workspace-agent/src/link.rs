//! The link to tool-runner: dial, say hello, answer operations in any order, dial again when it breaks.
//!
//! Processes outlive links: whoever comes back finds them under their ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tandem_chassis::backoff::Backoff;
use tandem_chassis::{client, with_message_limits};
use tandem_proto::workspace::v1::agent_link_service_client::AgentLinkServiceClient;
use tandem_proto::workspace::v1::link_request::Message as Outgoing;
use tandem_proto::workspace::v1::link_response::Message as Incoming;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{Hello, LinkRequest, LinkResponse, Operation, Pong, Reply};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::context::Context;
use crate::error::{Error, Failure};
use crate::files::Root;
use crate::git::Desk;
use crate::operation::Workspace;
use crate::process::Manager;
use crate::setup::Setup;

/// Messages waiting to be sent. A full queue slows the operations that fill it.
const QUEUE: usize = 64;

/// Operations at once; more are refused.
const MAX_OPERATIONS: usize = 1_024;

/// Pauses between dials.
const PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(5);
const MAX_HOST_PAUSE: Duration = Duration::from_secs(15);

/// A link silent for this long is given up, unless the welcome says otherwise.
const IDLE: Duration = Duration::from_secs(60);

/// Time for the link to be accepted.
const OPEN_TIME: Duration = Duration::from_secs(10);

/// Keeps the link up. Ends only when it is refused for good.
///
/// # Errors
/// The address cannot be used, or the link refuses this agent.
pub(crate) async fn keep(
    setup: &Setup,
    confinement: Vec<String>,
    files: Arc<Root>,
    processes: Arc<Manager>,
    context: Arc<Context>,
    git: Desk,
) -> Result<(), Error> {
    let channel = client::channel(&setup.link, &setup.tls)?;
    let home = files.home().to_string_lossy().into_owned();
    let workspace = Workspace {
        mcp: crate::mcp::Manager::new(Arc::clone(&files)),
        files,
        processes,
        context,
        git,
    };
    // Whoever is away for long need not hurry back.
    let longest = if setup.is_users_host { MAX_HOST_PAUSE } else { MAX_PAUSE };
    let mut backoff = Backoff::new(PAUSE, longest);
    loop {
        let hello = Hello {
            workspace_id: setup.workspace_id.clone(),
            token: setup.token.expose_secret().to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            os: std::env::consts::OS.to_owned(),
            home: home.clone(),
            confinement: confinement.clone(),
        };
        let mut was_welcome = false;
        let ended = serve(&workspace, channel.clone(), hello, &mut was_welcome).await;
        if was_welcome {
            backoff.reset();
        }
        match ended {
            Err(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
                if !setup.is_users_host {
                    return Err(Error::Refused);
                }
                tracing::warn!("refused: the workspace is stopped, or has a newer token; dialling again");
            }
            Err(status) => {
                tracing::debug!(code = ?status.code(), error = status.message(), "link broke, dialling again")
            }
            Ok(()) => tracing::debug!("link ended, dialling again"),
        }
        backoff.wait().await;
    }
}

/// One link, from dialling to its end.
async fn serve(workspace: &Workspace, channel: Channel, hello: Hello, was_welcome: &mut bool) -> Result<(), Status> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let hello = LinkRequest {
        message: Some(Outgoing::Hello(hello)),
    };
    sender
        .send(hello)
        .await
        .map_err(|_| Status::unavailable("link is closed"))?;
    let mut client = with_message_limits!(AgentLinkServiceClient::new(channel));
    let opening = tokio::time::timeout(OPEN_TIME, client.link(ReceiverStream::new(receiver))).await;
    let mut incoming = opening
        .map_err(|_| Status::deadline_exceeded("link was not accepted in time"))??
        .into_inner();
    let mut session = Session {
        workspace,
        sender,
        running: JoinSet::new(),
        by_id: HashMap::new(),
    };
    // Ends with the link.
    let mut telling = JoinSet::new();
    let mut idle = IDLE;
    loop {
        tokio::select! {
            message = tokio::time::timeout(idle, incoming.message()) => {
                let message = message.map_err(|_| Status::deadline_exceeded("link is silent"))??;
                let Some(LinkResponse { message }) = message else {
                    return Ok(());
                };
                match message {
                    Some(Incoming::Welcome(welcome)) => {
                        *was_welcome = true;
                        tracing::info!("connected");
                        workspace.context.desk.attach(session.sender.clone());
                        workspace.git.questions.use_link(&session.sender);
                        let (repositories, sender) = (workspace.git.repositories.clone(), session.sender.clone());
                        telling.abort_all();
                        telling.spawn(async move { repositories.tell(&sender).await });
                        idle = welcome.idle_timeout.and_then(|idle| Duration::try_from(idle).ok()).unwrap_or(IDLE);
                    }
                    Some(Incoming::Operation(operation)) => session.begin(operation).await,
                    Some(Incoming::Cancel(cancel)) => session.cancel(cancel.id),
                    Some(Incoming::ContextCommandResult(result)) => workspace.context.desk.answered(result),
                    Some(Incoming::GitCredentialAnswer(answer)) => workspace.git.questions.answered(answer),
                    Some(Incoming::Ping(_)) => session.send(Outgoing::Pong(Pong {})).await,
                    None => {}
                }
            }
            Some(ended) = session.running.join_next(), if !session.running.is_empty() => {
                if let Ok(id) = ended {
                    session.by_id.remove(&id);
                }
            }
        }
    }
}

/// What goes on over one link. Dropping it ends waits; effects that began run to their end.
struct Session<'a> {
    workspace: &'a Workspace,
    sender: mpsc::Sender<LinkRequest>,
    running: JoinSet<u64>,
    by_id: HashMap<u64, AbortHandle>,
}

impl Session<'_> {
    async fn begin(&mut self, operation: Operation) {
        let id = operation.id;
        if self.running.len() >= MAX_OPERATIONS {
            let failure = Failure::limit("the workspace is busy; try again later");
            return self.send(reply(id, Answer::Error(failure.into()))).await;
        }
        let workspace = self.workspace.clone();
        let sender = self.sender.clone();
        let handle = self.running.spawn(async move {
            let answer = workspace.run(operation, &sender).await;
            // A broken link is noticed by its reader.
            let _ = sender
                .send(LinkRequest {
                    message: Some(reply(id, answer)),
                })
                .await;
            id
        });
        self.by_id.insert(id, handle);
    }

    fn cancel(&mut self, id: u64) {
        if let Some(handle) = self.by_id.remove(&id) {
            handle.abort();
        }
    }

    async fn send(&self, message: Outgoing) {
        let _ = self.sender.send(LinkRequest { message: Some(message) }).await;
    }
}

fn reply(operation_id: u64, result: Answer) -> Outgoing {
    Outgoing::Reply(Reply {
        operation_id,
        result: Some(result),
    })
}
