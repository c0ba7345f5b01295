//! The side of the link that agents dial.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use sha2::{Digest, Sha256};
use tandem_chassis::lifecycle::{OnEnd, Tasks};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{AgentChange, AuthenticateAgentRequest, RecordWorkspaceUseRequest};
use tandem_proto::workspace::v1::agent_link_service_server::AgentLinkService;
use tandem_proto::workspace::v1::link_request::Message as Incoming;
use tandem_proto::workspace::v1::link_response::Message as Outgoing;
use tandem_proto::workspace::v1::{Hello, LinkRequest, LinkResponse, Ping, Welcome};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use super::git::GitNewsOf;
use super::{Agents, Connection};
use crate::clients::{Clients, PAUSES, persist};
use crate::context::Commands;
use crate::metrics::Metrics;

/// Messages waiting to be sent to one agent.
const QUEUE: usize = 256;

/// Time for an agent to say hello.
const HELLO_TIME: Duration = Duration::from_secs(10);

/// A link silent for this long is given up by either side, and how often it is kept from being silent.
const IDLE: Duration = Duration::from_secs(60);
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Commands of one agent that are under way; an agent that asks more is not answered.
const MAX_ASKED: usize = 64;

/// How often storage is asked again about an agent it has let in: its token may be taken back while the link lives, perhaps through
/// another replica.
const TOKEN_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Lets agents in by their workspace's token.
#[derive(Clone)]
pub(crate) struct LinkRpc {
    agents: Agents,
    clients: Clients,
    tasks: Tasks,
    closing: CancellationToken,
    metrics: Metrics,
}

impl LinkRpc {
    /// `closing` ends all links.
    pub(crate) fn new(
        agents: Agents,
        clients: Clients,
        tasks: Tasks,
        closing: CancellationToken,
        metrics: Metrics,
    ) -> Self {
        Self {
            agents,
            clients,
            tasks,
            closing,
            metrics,
        }
    }

    /// Lets in agents that we started, and those whose token storage knows. The latter come with what to ask storage from time to time.
    async fn admit(&self, hello: &Hello, connection: &Connection) -> Result<Option<AuthenticateAgentRequest>, Status> {
        let (workspace_id, token) = (&hello.workspace_id, &hello.token);
        if self.agents.admit(workspace_id, token, connection) {
            return Ok(None);
        }
        let proof = AuthenticateAgentRequest {
            workspace_id: workspace_id.clone(),
            token_hash: Sha256::digest(token.as_bytes()).to_vec(),
        };
        match authenticate(&self.clients, &proof).await {
            Ok(()) if self.agents.admit_external(workspace_id, connection) => Ok(Some(proof)),
            // The agent is to come again.
            Err(status) if is_away(&status) => Err(status),
            Ok(()) | Err(_) => Err(refused("no such agent is expected")),
        }
    }
}

async fn authenticate(clients: &Clients, proof: &AuthenticateAgentRequest) -> Result<(), Status> {
    let request = clients.own_request(proof.clone());
    clients.workspaces.clone().authenticate_agent(request).await.map(|_| ())
}

/// A storage that is not there says nothing about an agent.
fn is_away(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}

/// Ends when storage knows the token no more. It is asked at once for the first time: a token that was taken back between storage's first
/// word and the agent's place among the connected found nobody to send away.
async fn until_revoked<F>(interval: Duration, check: impl Fn() -> F)
where
    F: Future<Output = Result<(), Status>>,
{
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match check().await {
            Ok(()) => {}
            Err(status)
                if matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied | Code::NotFound
                ) =>
            {
                return;
            }
            Err(status) => tracing::debug!(code = ?status.code(), "an agent's token cannot be looked at again now"),
        }
    }
}

/// Tells storage that an agent came or went. What cannot be told is corrected by the next change.
async fn record(clients: &Clients, workspace_id: &str, change: AgentChange) {
    let told = persist(&PAUSES, || {
        let request = clients.own_request(RecordWorkspaceUseRequest {
            workspace_id: workspace_id.to_owned(),
            change: change.into(),
        });
        let mut workspaces = clients.workspaces.clone();
        async move { workspaces.record_workspace_use(request).await }
    });
    if let Err(status) = told.await {
        tracing::debug!(code = ?status.code(), error = status.message(), "an agent's coming or going cannot be recorded");
    }
}

#[tonic::async_trait]
impl AgentLinkService for LinkRpc {
    type LinkStream = ReceiverStream<Result<LinkResponse, Status>>;

    async fn link(&self, request: Request<Streaming<LinkRequest>>) -> Result<Response<Self::LinkStream>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIME, incoming.message()).await;
        let first = first.map_err(|_| refused("an agent must say hello first"))??;
        let Some(Incoming::Hello(hello)) = first.and_then(|first| first.message) else {
            return Err(refused("an agent must say hello first"));
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let connection = Connection::new(&hello, sender);
        let welcome = Welcome {
            idle_timeout: prost_types::Duration::try_from(IDLE).ok(),
        };
        connection.try_send(Outgoing::Welcome(welcome));
        let proof = self.admit(&hello, &connection).await?;
        let workspace_id = hello.workspace_id;
        tracing::info!(workspace_id, version = hello.agent_version, confinement = ?hello.confinement, "agent connected");
        let (agents, closing) = (self.agents.clone(), self.closing.clone());
        let commands = Commands::new(self.clients.clone(), workspace_id.clone());
        let counted = self.metrics.agent_connected();
        let clients = self.clients.clone();
        self.tasks.spawn("agent link", OnEnd::Expected, async move {
            let living = async {
                record(&clients, &workspace_id, AgentChange::Connected).await;
                std::future::pending::<()>().await;
            };
            let revoked = async {
                match &proof {
                    Some(proof) => until_revoked(TOKEN_CHECK_INTERVAL, || authenticate(&clients, proof)).await,
                    None => std::future::pending().await,
                }
                tracing::info!(workspace_id, "an agent's token is no longer valid");
            };
            tokio::select! {
                () = closing.cancelled() => {}
                () = connection.closed() => {}
                () = read(incoming, &connection, &commands, agents.git_news_of(&workspace_id)) => {}
                () = living => {}
                () = revoked => {}
            }
            agents.left(&workspace_id, &connection);
            connection.close();
            drop(counted);
            if agents.connected(&workspace_id).is_none() {
                record(&clients, &workspace_id, AgentChange::Disconnected).await;
            }
            tracing::info!(workspace_id, "agent disconnected");
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Reads what the agent says until it stops.
async fn read(mut incoming: Streaming<LinkRequest>, connection: &Connection, commands: &Commands, git: GitNewsOf<'_>) {
    let mut asked = FuturesUnordered::new();
    let mut pings = tokio::time::interval(PING_INTERVAL);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            message = incoming.message() => {
                heard = tokio::time::Instant::now();
                match message {
                    Ok(Some(LinkRequest { message: Some(Incoming::Reply(reply)) })) => connection.answered(reply),
                    Ok(Some(LinkRequest { message: Some(Incoming::Chunk(chunk)) })) => connection.printed(chunk),
                    Ok(Some(LinkRequest { message: Some(Incoming::ContextCommand(command)) })) if asked.len() < MAX_ASKED => {
                        asked.push(commands.run(command));
                    }
                    Ok(Some(LinkRequest { message: Some(Incoming::GitChanges(changes)) })) => git.changed(connection, changes),
                    Ok(Some(LinkRequest { message: Some(Incoming::GitCredentialQuestion(question)) })) => {
                        git.asked(connection, question);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
            }
            Some(result) = asked.next() => {
                // An agent that does not take its answers ends by the next ping.
                connection.try_send(Outgoing::ContextCommandResult(result));
            }
            _ = pings.tick() => {
                if heard.elapsed() > IDLE || !connection.try_send(Outgoing::Ping(Ping {})) {
                    return;
                }
            }
        }
    }
}

fn refused(message: &'static str) -> Status {
    Fault::unauthenticated("AGENT_UNKNOWN", message).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_token_is_asked_about_until_storage_refuses_it() {
        let asked = AtomicUsize::new(0);
        let said = [
            Ok(()),
            Err(Status::unavailable("away")),
            Err(Status::internal("broken")),
            Ok(()),
            Err(Status::unauthenticated("taken back")),
            Ok(()),
        ];
        let check = || std::future::ready(said[asked.fetch_add(1, Ordering::Relaxed)].clone());
        until_revoked(Duration::from_millis(1), check).await;
        assert_eq!(
            asked.into_inner(),
            5,
            "what is not storage's word about the token ends nothing"
        );
    }
}
