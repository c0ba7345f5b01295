//! One operation to its answer.

use std::sync::Arc;
use std::time::Duration;

use tandem_proto::workspace::v1::operation::Operation as Kind;
use tandem_proto::workspace::v1::reply::Result as Answer;
use tandem_proto::workspace::v1::{
    LinkRequest, Operation, RefreshGitResult, SignalProcessResult, StartProcess, StartProcessResult, WaitProcess,
    WatchGitResult, WriteFileResult,
};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::error::Failure;
use crate::files::{self, Root};
use crate::git::{Desk, Work};
use crate::mcp;
use crate::process::{self, Manager, Outlet};

/// Time for an operation whose caller names none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// What operations work on.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) files: Arc<Root>,
    pub(crate) processes: Arc<Manager>,
    pub(crate) context: Arc<Context>,
    pub(crate) git: Desk,
    pub(crate) mcp: Arc<mcp::Manager>,
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
            id,
            chat_id,
            operation,
            ancestor_chat_ids,
            ..
        } = operation;
        let work = Work {
            chat_id: chat_id.clone(),
            ancestors: ancestor_chat_ids,
        };
        match operation {
            Some(Kind::ReadFile(request)) => self
                .blocking(move |root| files::read(root, &request))
                .await
                .map(Answer::ReadFile),
            Some(Kind::ReadBytes(request)) => self
                .blocking(move |root| files::read_bytes(root, &request))
                .await
                .map(Answer::ReadBytes),
            Some(Kind::WriteFile(request)) => {
                let path = request.path.clone();
                self.blocking(move |root| files::write(root, &request)).await?;
                self.git.repositories.wrote(&work, &path);
                Ok(Answer::WriteFile(WriteFileResult {}))
            }
            Some(Kind::EditFiles(request)) => {
                let edited = self.blocking(move |root| files::edit_files(root, &request)).await?;
                for file in &edited.files {
                    self.git.repositories.wrote(&work, &file.path);
                }
                Ok(Answer::EditFiles(edited))
            }
            Some(Kind::ListDirectory(request)) => self
                .blocking(move |root| files::list(root, &request))
                .await
                .map(Answer::ListDirectory),
            Some(Kind::StartProcess(request)) => self.start(work, request).map(Answer::StartProcess),
            Some(Kind::WaitProcess(request)) => self.wait(id, &chat_id, &request, link).await,
            Some(Kind::ListProcesses(_)) => Ok(Answer::ListProcesses(self.processes.list(&chat_id))),
            Some(Kind::SignalProcess(request)) => {
                self.processes.signal(&chat_id, &request)?;
                Ok(Answer::SignalProcess(SignalProcessResult {}))
            }
            Some(Kind::DiscoverContext(_)) => self
                .with_context(|context, root| Ok(context.discover(root)))
                .await
                .map(Answer::DiscoverContext),
            Some(Kind::ReadSkill(request)) => self
                .with_context(move |context, root| context.read_skill(root, &request))
                .await
                .map(Answer::ReadSkill),
            Some(Kind::ReadSkillFile(request)) => self
                .with_context(move |context, root| context.read_skill_file(root, &request))
                .await
                .map(Answer::ReadSkillFile),
            Some(Kind::WatchGit(_)) => {
                self.git.repositories.watch(id, &chat_id, link).await;
                Ok(Answer::WatchGit(WatchGitResult {}))
            }
            Some(Kind::RefreshGit(_)) => {
                self.git.repositories.refresh(&chat_id);
                Ok(Answer::RefreshGit(RefreshGitResult {}))
            }
            Some(Kind::ListMcpTools(request)) => self.mcp.list(request).await.map(Answer::ListMcpTools),
            Some(Kind::CallMcpTool(request)) => self.mcp.call(request).await.map(Answer::CallMcpTool),
            None => Err(Failure::invalid("this agent does not know the operation")),
        }
    }

    /// Starts a process. Its directory is where the chat has worked once it has ended.
    fn start(&self, work: Work, mut request: StartProcess) -> Result<StartProcessResult, Failure> {
        for (name, value) in self.git.variables.iter() {
            request.environment.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let started = self.processes.start(&work.chat_id, request)?;
        if !started.is_existing {
            let process = self.processes.find(&work.chat_id, &started.process_id)?;
            let repositories = self.git.repositories.clone();
            tokio::spawn(async move {
                process.ended().await;
                repositories.ran(&work, process.directory(), process.started_at());
            });
        }
        Ok(started)
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
        let outlet = request.is_following.then_some(Outlet {
            operation_id,
            link,
            from_position: request.from_position,
        });
        Ok(Answer::Process(process::wait(&process, timeout, outlet).await))
    }

    async fn with_context<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Context, &Root) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let context = Arc::clone(&self.context);
        self.blocking(move |root| work(&context, root)).await
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
