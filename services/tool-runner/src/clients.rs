//! Calls to storage: the journal, the workspaces and the MCP servers.

use std::future::Future;
use std::time::Duration;

use tandem_chassis::client::{self, Outbound};
use tandem_chassis::identity::User;
use tandem_chassis::{tls, with_message_limits};
use tandem_proto::storage::v1::chat_context_service_client::ChatContextServiceClient;
use tandem_proto::storage::v1::file_service_client::FileServiceClient;
use tandem_proto::storage::v1::git_service_client::GitServiceClient;
use tandem_proto::storage::v1::mcp_service_client::McpServiceClient;
use tandem_proto::storage::v1::personal_skill_service_client::PersonalSkillServiceClient;
use tandem_proto::storage::v1::template_service_client::TemplateServiceClient;
use tandem_proto::storage::v1::tool_call_service_client::ToolCallServiceClient;
use tandem_proto::storage::v1::workspace_service_client::WorkspaceServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::config::Peers;

/// Time for one call to storage.
const STORAGE_DEADLINE: Duration = Duration::from_secs(10);

/// Pauses before repeating a call that storage could not answer just now. What is repeated here is recorded once under its id.
pub(crate) const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_millis(2_000),
];

/// The same for what must not be lost: it has happened already, and storage may be restarting.
pub(crate) const PATIENT_PAUSES: [Duration; 8] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(20),
];

/// Clients of storage. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    outbound: Outbound,
    pub(crate) calls: ToolCallServiceClient<Channel>,
    pub(crate) files: FileServiceClient<Channel>,
    pub(crate) contexts: ChatContextServiceClient<Channel>,
    pub(crate) git: GitServiceClient<Channel>,
    pub(crate) mcp: McpServiceClient<Channel>,
    pub(crate) skills: PersonalSkillServiceClient<Channel>,
    pub(crate) templates: TemplateServiceClient<Channel>,
    pub(crate) workspaces: WorkspaceServiceClient<Channel>,
}

impl Clients {
    /// Clients that connect at their first call.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub(crate) fn new(peers: &Peers, tls: &tls::ClientConfig, outbound: Outbound) -> Result<Self, client::Error> {
        let storage = client::channel(&peers.storage, tls)?;
        Ok(Self {
            outbound,
            calls: with_message_limits!(ToolCallServiceClient::new(storage.clone())),
            files: with_message_limits!(FileServiceClient::new(storage.clone())),
            contexts: with_message_limits!(ChatContextServiceClient::new(storage.clone())),
            skills: with_message_limits!(PersonalSkillServiceClient::new(storage.clone())),
            git: with_message_limits!(GitServiceClient::new(storage.clone())),
            mcp: with_message_limits!(McpServiceClient::new(storage.clone())),
            templates: with_message_limits!(TemplateServiceClient::new(storage.clone())),
            workspaces: with_message_limits!(WorkspaceServiceClient::new(storage)),
        })
    }

    /// A request to storage in the name of `user`.
    pub(crate) fn request<T>(&self, user: &User, message: T) -> Request<T> {
        self.outbound.request(Some(user), STORAGE_DEADLINE, message)
    }

    /// A request to storage in our own name.
    pub(crate) fn own_request<T>(&self, message: T) -> Request<T> {
        self.outbound.request(None, STORAGE_DEADLINE, message)
    }
}

/// Makes a call, and again after a pause while storage is not to be reached.
///
/// # Errors
/// The last answer.
pub(crate) async fn persist<T, F>(pauses: &[Duration], mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    for pause in pauses {
        match call().await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                tracing::debug!(
                    error = status.message(),
                    ?pause,
                    "storage not to be reached, trying again"
                );
                tokio::time::sleep(*pause).await;
            }
            other => return other,
        }
    }
    call().await
}
