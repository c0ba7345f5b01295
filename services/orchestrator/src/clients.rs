//! The services this one calls, and the shapes of its calls: deadlines, and what is worth a second try.

use std::future::Future;
use std::time::Duration;

use tandem_chassis::client::{self, Outbound};
use tandem_chassis::tls;
use tandem_chassis::transport::Address;
use tandem_chassis::with_message_limits;
use tandem_proto::storage::v1::chat_context_service_client::ChatContextServiceClient;
use tandem_proto::storage::v1::chat_service_client::ChatServiceClient;
use tandem_proto::storage::v1::feed_service_client::FeedServiceClient;
use tandem_proto::storage::v1::file_service_client::FileServiceClient;
use tandem_proto::storage::v1::settings_service_client::SettingsServiceClient;
use tandem_proto::storage::v1::title_service_client::TitleServiceClient;
use tandem_proto::storage::v1::turn_service_client::TurnServiceClient;
use tandem_proto::tool::v1::context_service_client::ContextServiceClient;
use tandem_proto::tool::v1::tool_service_client::ToolServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::config::Peers;

mod completions;

pub(crate) use completions::{Completions, Held};

/// Time for one short call to storage.
pub(crate) const STORAGE_DEADLINE: Duration = Duration::from_secs(10);

/// Pauses before repeating a call that a service could not answer just now. Repeated calls are fenced, so that a repetition of one
/// that did happen is refused rather than doubled.
const RETRY_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_millis(2_000),
];

/// One client for each service called. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) outbound: Outbound,
    pub(crate) chats: ChatServiceClient<Channel>,
    pub(crate) turns: TurnServiceClient<Channel>,
    pub(crate) feed: FeedServiceClient<Channel>,
    pub(crate) files: FileServiceClient<Channel>,
    pub(crate) settings: SettingsServiceClient<Channel>,
    pub(crate) titles: TitleServiceClient<Channel>,
    pub(crate) completions: Completions,
    pub(crate) tools: ToolServiceClient<Channel>,
    /// What workspaces tell the model.
    pub(crate) workspace_contexts: ContextServiceClient<Channel>,
    /// What of it is stored.
    pub(crate) contexts: ChatContextServiceClient<Channel>,
}

impl Clients {
    /// Clients that connect at their first call.
    ///
    /// # Errors
    /// An address that cannot be used, or unreadable certificates.
    pub(crate) fn new(peers: &Peers, tls: &tls::ClientConfig, outbound: Outbound) -> Result<Self, client::Error> {
        let channel = |address: &Address| client::channel(address, tls);
        let storage = channel(&peers.storage)?;
        let tool_runner = channel(&peers.tool_runner)?;
        Ok(Self {
            outbound,
            chats: with_message_limits!(ChatServiceClient::new(storage.clone())),
            turns: with_message_limits!(TurnServiceClient::new(storage.clone())),
            feed: with_message_limits!(FeedServiceClient::new(storage.clone())),
            files: with_message_limits!(FileServiceClient::new(storage.clone())),
            settings: with_message_limits!(SettingsServiceClient::new(storage.clone())),
            contexts: with_message_limits!(ChatContextServiceClient::new(storage.clone())),
            titles: with_message_limits!(TitleServiceClient::new(storage)),
            completions: Completions::new(&peers.provider_gateway, tls)?,
            workspace_contexts: with_message_limits!(ContextServiceClient::new(tool_runner.clone())),
            tools: with_message_limits!(ToolServiceClient::new(tool_runner)),
        })
    }
}

/// Makes a call, and again after a pause while the service is not to be reached.
///
/// # Errors
/// The last answer.
pub(crate) async fn persist<T, F>(mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    for pause in RETRY_PAUSES {
        match call().await {
            Err(status) if status.code() == Code::Unavailable => {
                tracing::debug!(error = %status.message(), ?pause, "service not to be reached, trying again");
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
    call().await
}
