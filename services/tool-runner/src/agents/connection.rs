//! One agent's connection: operations go out with a number, answers come back in any order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tandem_proto::workspace::v1::link_response::Message;
use tandem_proto::workspace::v1::operation::Operation as Kind;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{
    CancelOperation, GitCredentialAnswer, Hello, LinkResponse, Operation, OperationError, ProcessChunk, Reply,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::git::GitDesk;

/// Operations one agent can be asked at once.
const MAX_PENDING: usize = 512;

/// The agent gives up this much later than the caller, so that its answer is not raced.
const AGENT_GRACE: Duration = Duration::from_secs(5);

/// Why an operation has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Whether it happened is not known.
    #[error("the connection to the workspace broke")]
    Broken,
    /// Whether it happened is not known.
    #[error("the workspace did not answer in time")]
    Late,
    #[error("the workspace is busy; try again later")]
    Busy,
    /// The agent's own words, for the model.
    #[error("{}", .0.message)]
    Failed(OperationError),
}

/// A connected agent. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Shared>);

struct Shared {
    outgoing: mpsc::Sender<Result<LinkResponse, Status>>,
    pending: Mutex<HashMap<u64, Pending>>,
    next_id: AtomicU64,
    closed: CancellationToken,
    home: String,
    git: GitDesk,
    /// What the workspace's template gives every process.
    environment: Mutex<HashMap<String, String>>,
}

struct Pending {
    answer: oneshot::Sender<Answer>,
    output: Option<mpsc::Sender<ProcessChunk>>,
}

impl Connection {
    pub(super) fn new(hello: &Hello, outgoing: mpsc::Sender<Result<LinkResponse, Status>>) -> Self {
        Self(Arc::new(Shared {
            outgoing,
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            closed: CancellationToken::new(),
            home: hello.home.clone(),
            git: GitDesk::default(),
            environment: Mutex::default(),
        }))
    }

    /// Absolute path of the working directory.
    pub(crate) fn home(&self) -> &str {
        &self.0.home
    }

    /// From now on every process that is started has these variables, unless its call says otherwise.
    pub(crate) fn set_environment(&self, environment: HashMap<String, String>) {
        *self.0.environment.lock().unwrap_or_else(PoisonError::into_inner) = environment;
    }

    /// Adds what every process has.
    fn completed(&self, mut operation: Kind) -> Kind {
        if let Kind::StartProcess(start) = &mut operation {
            let environment = self.0.environment.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, value) in environment.iter() {
                start.environment.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        operation
    }

    /// Who listens to what the agent says about git.
    pub(crate) fn git(&self) -> &GitDesk {
        &self.0.git
    }

    /// Answers a git process. Git fails where the answer does not arrive.
    pub(crate) fn answer_git(&self, answer: GitCredentialAnswer) {
        self.try_send(Message::GitCredentialAnswer(answer));
    }

    /// Whether anything is asked of the agent now. Who only looks at repositories keeps nobody busy.
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().len() > self.git().listening()
    }

    /// Whether operations can still go out. The transport lets go of the sending half before the reading half sees the end.
    pub(super) fn is_open(&self) -> bool {
        !self.0.closed.is_cancelled() && !self.0.outgoing.is_closed()
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn close(&self) {
        self.0.closed.cancel();
        self.lock().clear();
    }

    pub(super) async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Asks the agent for an operation. Dropping the future cancels a wait; an effect that happened stays.
    ///
    /// # Errors
    /// The agent refused it, or did not answer.
    pub(crate) async fn call(
        &self,
        chat_id: &str,
        operation: Kind,
        deadline: Duration,
        output: Option<mpsc::Sender<ProcessChunk>>,
    ) -> Result<Answer, Refusal> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut pending = self.lock();
            if pending.len() >= MAX_PENDING {
                return Err(Refusal::Busy);
            }
            if self.0.closed.is_cancelled() {
                return Err(Refusal::Broken);
            }
            pending.insert(id, Pending { answer: sender, output });
        }
        let asked = Asked { connection: self, id };
        let message = Operation {
            id,
            chat_id: chat_id.to_owned(),
            deadline: prost_types::Duration::try_from(deadline + AGENT_GRACE).ok(),
            ancestor_chat_ids: self.git().ancestors(chat_id),
            operation: Some(self.completed(operation)),
        };
        let exchange = async {
            self.send(Message::Operation(message)).await?;
            answer.await.map_err(|_| Refusal::Broken)
        };
        let answer = tokio::time::timeout(deadline, exchange)
            .await
            .map_err(|_| Refusal::Late)??;
        drop(asked);
        match answer {
            Answer::Error(error) => Err(Refusal::Failed(error)),
            answer => Ok(answer),
        }
    }

    async fn send(&self, message: Message) -> Result<(), Refusal> {
        let message = LinkResponse { message: Some(message) };
        self.0.outgoing.send(Ok(message)).await.map_err(|_| Refusal::Broken)
    }

    /// Sends without waiting; `false` when the queue is full or the connection gone.
    pub(super) fn try_send(&self, message: Message) -> bool {
        self.0
            .outgoing
            .try_send(Ok(LinkResponse { message: Some(message) }))
            .is_ok()
    }

    pub(super) fn answered(&self, reply: Reply) {
        let pending = self.lock().remove(&reply.operation_id);
        if let (Some(pending), Some(answer)) = (pending, reply.result) {
            // The caller may have gone.
            let _ = pending.answer.send(answer);
        }
    }

    pub(super) fn printed(&self, chunk: ProcessChunk) {
        let pending = self.lock();
        if let Some(output) = pending
            .get(&chunk.operation_id)
            .and_then(|pending| pending.output.as_ref())
        {
            // Live output is a courtesy; the result has what counts. A full queue must not hold up other operations.
            let _ = output.try_send(chunk);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Pending>> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation that is waited for; tells the agent when nobody waits any more.
struct Asked<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.connection.lock().remove(&self.id).is_some() {
            self.connection
                .try_send(Message::Cancel(CancelOperation { id: self.id }));
        }
    }
}
