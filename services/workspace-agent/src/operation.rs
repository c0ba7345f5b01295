//! One operation to its answer.

use std::sync::Arc;
use std::time::Duration;

use tandem_proto::workspace::v1::operation::Operation as Kind;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{LinkRequest, Operation, SignalProcessResult, WaitProcess, WriteFileResult};
use tokio::sync::mpsc;

use crate::error::Failure;
use crate::files::{self, Root};
use crate::process::{self, Manager, Outlet};

/// Time for an operation whose caller names none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// What operations work on.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) files: Arc<Root>,
    pub(crate) processes: Arc<Manager>,
}

impl Workspace {
    /// Does what is asked. Output of a followed process goes to `link` meanwhile.
    pub(crate) async fn run(&self, operation: Operation, link: &mpsc::Sender<LinkRequest>) -> Answer {
        let deadline = operation
            .deadline
            .and_then(|deadline| Duration::try_from(deadline).ok())
            .unwrap_or(DEFAULT_DEADLINE);
        let done = tokio::time::timeout(deadline, self.dispatch(operation, link)).await;
        let late = || Err(Failure::limit("the operation took too long"));
        done.unwrap_or_else(|_| late())
            .unwrap_or_else(|failure| Answer::Error(failure.into()))
    }

    async fn dispatch(&self, operation: Operation, link: &mpsc::Sender<LinkRequest>) -> Result<Answer, Failure> {
        let Operation {
            id, chat_id, operation, ..
        } = operation;
        match operation {
            Some(Kind::ReadFile(request)) => self
                .blocking(move |root| files::read(root, &request))
                .await
                .map(Answer::ReadFile),
            Some(Kind::WriteFile(request)) => {
                self.blocking(move |root| files::write(root, &request)).await?;
                Ok(Answer::WriteFile(WriteFileResult {}))
            }
            Some(Kind::EditFiles(request)) => self
                .blocking(move |root| files::edit_files(root, &request))
                .await
                .map(Answer::EditFiles),
            Some(Kind::ListDirectory(request)) => self
                .blocking(move |root| files::list(root, &request))
                .await
                .map(Answer::ListDirectory),
            Some(Kind::StartProcess(request)) => self.processes.start(&chat_id, request).map(Answer::StartProcess),
            Some(Kind::WaitProcess(request)) => self.wait(id, &chat_id, &request, link).await,
            Some(Kind::ListProcesses(_)) => Ok(Answer::ListProcesses(self.processes.list(&chat_id))),
            Some(Kind::SignalProcess(request)) => {
                self.processes.signal(&chat_id, &request)?;
                Ok(Answer::SignalProcess(SignalProcessResult {}))
            }
            None => Err(Failure::invalid("this agent does not know the operation")),
        }
    }

    async fn wait(
        &self,
        operation_id: u64,
        chat_id: &str,
        request: &WaitProcess,
        link: &mpsc::Sender<LinkRequest>,
    ) -> Result<Answer, Failure> {
        let process = self.processes.find(chat_id, &request.process_id)?;
        let timeout = request
            .timeout
            .and_then(|timeout| Duration::try_from(timeout).ok())
            .unwrap_or_default();
        let outlet = request.is_following.then_some(Outlet { operation_id, link });
        Ok(Answer::Process(process::wait(&process, timeout, outlet).await))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let root = Arc::clone(&self.files);
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.unwrap_or_else(|_| Err(Failure::limit("the agent is stopping")))
    }
}
