//! What processes ask of tool-runner, over whichever link is up, and its answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tandem_proto::workspace::v1::context_command::Command;
use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::{ContextCommand, ContextCommandResult, LinkRequest};
use tokio::sync::{mpsc, oneshot};

use crate::error::Failure;

/// Commands without an answer, at most.
const MAX_WAITING: usize = 16;

/// Time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// Commands under way.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    next_id: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<mpsc::Sender<LinkRequest>>,
    waiting: HashMap<u64, oneshot::Sender<ContextCommandResult>>,
}

impl Desk {
    /// From now on commands go out here. What was asked over the link before has no answer.
    pub(crate) fn attach(&self, link: mpsc::Sender<LinkRequest>) {
        let mut state = self.lock();
        state.waiting.clear();
        state.link = Some(link);
    }

    /// Tool-runner has answered.
    pub(crate) fn answered(&self, result: ContextCommandResult) {
        if let Some(asker) = self.lock().waiting.remove(&result.id) {
            // Whoever asked may have gone.
            let _ = asker.send(result);
        }
    }

    /// Asks tool-runner.
    ///
    /// # Errors
    /// Words for a person: it refused, did not answer, or is not to be reached.
    pub(super) async fn ask(&self, chat_id: String, command: Command) -> Result<ContextCommandResult, Failure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (asker, answer) = oneshot::channel();
        let link = {
            let mut state = self.lock();
            state.waiting.retain(|_, asker| !asker.is_closed());
            if state.waiting.len() >= MAX_WAITING {
                return Err(Failure::limit("too many processes ask at once; try again later"));
            }
            let link = state.link.clone().ok_or_else(unreachable)?;
            state.waiting.insert(id, asker);
            link
        };
        let message = Message::ContextCommand(ContextCommand {
            id,
            chat_id,
            command: Some(command),
        });
        let exchange = async {
            let message = LinkRequest { message: Some(message) };
            link.send(message).await.map_err(|_| unreachable())?;
            answer.await.map_err(|_| unreachable())
        };
        let answer = tokio::time::timeout(ANSWER_TIME, exchange).await;
        let result = answer.unwrap_or_else(|_| Err(unreachable()))?;
        match result.error.is_empty() {
            true => Ok(result),
            false => Err(Failure::invalid(result.error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable() -> Failure {
    Failure::limit("Tandem is not to be reached just now; whether it heard this is unknown")
}
