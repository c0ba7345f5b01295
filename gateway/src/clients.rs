//! The services behind the gateway: one channel each, and requests that carry the caller. What a call means is the
//! routes' business; only reads come again when their connection breaks.

use std::time::Duration;

use tandem_chassis::{
    client::{self, Outbound},
    identity::User,
    status::Fault,
    with_message_limits,
};
use tandem_proto::{
    orchestrator::v1::{
        chat_command_service_client::ChatCommandServiceClient, chat_stream_service_client::ChatStreamServiceClient,
    },
    provider::v1::{
        bridge_service_client::BridgeServiceClient, provider_admin_service_client::ProviderAdminServiceClient,
    },
    storage::v1::{
        chat_service_client::ChatServiceClient, file_service_client::FileServiceClient,
        interception_service_client::InterceptionServiceClient,
        personal_skill_service_client::PersonalSkillServiceClient, settings_service_client::SettingsServiceClient,
        template_service_client::TemplateServiceClient, usage_service_client::UsageServiceClient,
        user_service_client::UserServiceClient,
    },
    tool::v1::{
        git_service_client::GitServiceClient, mcp_admin_service_client::McpAdminServiceClient,
        workspace_admin_service_client::WorkspaceAdminServiceClient,
    },
};
use tonic::{Request, Response, Status, transport::Channel};

use crate::{again::Repeating, bridge::call::Breakable, config::Config, idempotency};

/// Time a call has, its answer included.
pub const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Time a stream has to open.
pub const OPENING_DEADLINE: Duration = Duration::from_secs(10);

/// Time a request has that has an MCP server, or where its users sign in, asked.
pub const MCP_DEADLINE: Duration = Duration::from_secs(55);

/// Time a request has that has a forge asked, more than once.
pub const FORGE_DEADLINE: Duration = Duration::from_secs(55);

/// Time a live check of a provider has; the vendor may be slow.
pub const PROVIDER_TEST_DEADLINE: Duration = Duration::from_secs(55);

/// Channels to every service. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    outbound: Outbound,
    /// Channels by the service's name, for health.
    channels: [(&'static str, Channel); 4],
    pub chats: ChatServiceClient<Repeating>,
    pub files: FileServiceClient<Repeating>,
    pub settings: SettingsServiceClient<Repeating>,
    pub skills: PersonalSkillServiceClient<Repeating>,
    pub usage: UsageServiceClient<Repeating>,
    pub users: UserServiceClient<Repeating>,
    pub commands: ChatCommandServiceClient<Repeating>,
    pub streams: ChatStreamServiceClient<Repeating>,
    pub providers: ProviderAdminServiceClient<Channel>,
    pub bridge: BridgeServiceClient<Breakable>,
    pub interceptions: InterceptionServiceClient<Repeating>,
    pub git: GitServiceClient<Channel>,
    pub mcp: McpAdminServiceClient<Channel>,
    pub templates: TemplateServiceClient<Repeating>,
    pub workspaces: WorkspaceAdminServiceClient<Repeating>,
}

impl Clients {
    /// Channels that connect at first use.
    ///
    /// # Errors
    /// Unreadable certificates.
    pub fn new(config: &Config, outbound: Outbound) -> Result<Self, client::Error> {
        let open = |address| client::channel(address, &config.peer_tls);
        let storage = open(&config.peers.storage)?;
        let orchestrator = open(&config.peers.orchestrator)?;
        let (stored, orchestrated) = (Repeating::new(storage.clone()), Repeating::new(orchestrator.clone()));
        let provider_gateway = open(&config.peers.provider_gateway)?;
        let tool_runner = open(&config.peers.tool_runner)?;
        Ok(Self {
            outbound,
            chats: with_message_limits!(ChatServiceClient::new(stored.clone())),
            files: with_message_limits!(FileServiceClient::new(stored.clone())),
            settings: with_message_limits!(SettingsServiceClient::new(stored.clone())),
            skills: with_message_limits!(PersonalSkillServiceClient::new(stored.clone())),
            usage: with_message_limits!(UsageServiceClient::new(stored.clone())),
            users: with_message_limits!(UserServiceClient::new(stored.clone())),
            commands: with_message_limits!(ChatCommandServiceClient::new(orchestrated.clone())),
            streams: with_message_limits!(ChatStreamServiceClient::new(orchestrated.clone())),
            providers: with_message_limits!(ProviderAdminServiceClient::new(provider_gateway.clone())),
            bridge: with_message_limits!(BridgeServiceClient::new(Breakable::new(provider_gateway.clone()))),
            interceptions: with_message_limits!(InterceptionServiceClient::new(stored.clone())),
            git: with_message_limits!(GitServiceClient::new(tool_runner.clone())),
            mcp: with_message_limits!(McpAdminServiceClient::new(tool_runner.clone())),
            templates: with_message_limits!(TemplateServiceClient::new(stored.clone())),
            workspaces: with_message_limits!(WorkspaceAdminServiceClient::new(Repeating::new(tool_runner.clone()))),
            channels: [
                ("storage", storage),
                ("orchestrator", orchestrator),
                ("provider-gateway", provider_gateway),
                ("tool-runner", tool_runner),
            ],
        })
    }

    /// Every peer with its name.
    pub fn channels(&self) -> &[(&'static str, Channel); 4] {
        &self.channels
    }

    /// A request in the name of `user`.
    pub fn ask<T>(&self, user: &User, message: T) -> Request<T> {
        self.ask_within(user, CALL_DEADLINE, message)
    }

    /// A request of the gateway itself, before a user is known.
    pub fn ask_as_service<T>(&self, message: T) -> Request<T> {
        self.marked(self.outbound.request(None, CALL_DEADLINE, message))
    }

    /// Like [`Clients::ask`] with another deadline.
    pub fn ask_within<T>(&self, user: &User, deadline: Duration, message: T) -> Request<T> {
        self.marked(self.outbound.request(Some(user), deadline, message))
    }

    /// The call, with the key of the request it is for.
    fn marked<T>(&self, mut request: Request<T>) -> Request<T> {
        idempotency::mark(&self.outbound, &mut request);
        request
    }

    /// A request for a stream that lives until either side leaves.
    pub fn open<T>(&self, user: &User, message: T) -> Request<T> {
        self.open_within(user, OPENING_DEADLINE, message)
    }

    /// Like [`Clients::open`] with another time to open.
    pub fn open_within<T>(&self, user: &User, opening: Duration, message: T) -> Request<T> {
        self.outbound.open_stream(Some(user), opening, message)
    }
}

/// Unwraps what a client returns.
pub trait Answer<T> {
    /// The message, or the service's error.
    ///
    /// # Errors
    /// Whatever the service said, or that it could not be reached.
    fn answer(self) -> Result<T, Fault>;
}

impl<T> Answer<T> for Result<Response<T>, Status> {
    fn answer(self) -> Result<T, Fault> {
        let answer = self.map_err(Fault::from)?;
        idempotency::heard(&answer);
        Ok(answer.into_inner())
    }
}

/// A field the contract promises.
///
/// # Errors
/// `Internal`: the service broke its contract.
pub fn promised<T>(field: Option<T>, name: &'static str) -> Result<T, Fault> {
    field.ok_or_else(|| Fault::internal("CONTRACT_BROKEN", format_args!("a service left out {name}")))
}
