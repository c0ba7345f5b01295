//! The side of the link that agents dial.

use std::time::Duration;

use tandem_chassis::lifecycle::{OnEnd, Tasks};
use tandem_chassis::status::Fault;
use tandem_proto::workspace::v1::agent_link_service_server::AgentLinkService;
use tandem_proto::workspace::v1::link_request::Message as Incoming;
use tandem_proto::workspace::v1::link_response::Message as Outgoing;
use tandem_proto::workspace::v1::{LinkRequest, LinkResponse, Ping, Welcome};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{Agents, Connection};
use crate::metrics::Metrics;

/// Messages waiting to be sent to one agent.
const QUEUE: usize = 256;

/// Time for an agent to say hello.
const HELLO_TIME: Duration = Duration::from_secs(10);

/// A link silent for this long is given up by either side, and how often it is kept from being silent.
const IDLE: Duration = Duration::from_secs(60);
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Lets agents in by their workspace's token.
pub(crate) struct LinkRpc {
    agents: Agents,
    tasks: Tasks,
    closing: CancellationToken,
    metrics: Metrics,
}

impl LinkRpc {
    /// `closing` ends all links.
    pub(crate) fn new(agents: Agents, tasks: Tasks, closing: CancellationToken, metrics: Metrics) -> Self {
        Self {
            agents,
            tasks,
            closing,
            metrics,
        }
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
        if !self.agents.admit(&hello.workspace_id, &hello.token, &connection) {
            return Err(refused("no such agent is expected"));
        }
        let workspace_id = hello.workspace_id;
        tracing::info!(workspace_id, version = hello.agent_version, confinement = ?hello.confinement, "agent connected");
        let (agents, closing) = (self.agents.clone(), self.closing.clone());
        let counted = self.metrics.agent_connected();
        self.tasks.spawn("agent link", OnEnd::Expected, async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = connection.closed() => {}
                () = read(incoming, &connection) => {}
            }
            agents.left(&workspace_id, &connection);
            connection.close();
            drop(counted);
            tracing::info!(workspace_id, "agent disconnected");
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Reads what the agent says until it stops.
async fn read(mut incoming: Streaming<LinkRequest>, connection: &Connection) {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            message = incoming.message() => {
                heard = tokio::time::Instant::now();
                match message {
                    Ok(Some(LinkRequest { message: Some(Incoming::Reply(reply)) })) => connection.answered(reply),
                    Ok(Some(LinkRequest { message: Some(Incoming::Chunk(chunk)) })) => connection.printed(chunk),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
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
