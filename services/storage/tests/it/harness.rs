//! A running storage with a database of its own, and clients that speak as any service for any user.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tandem_chassis::client;
use tandem_chassis::identity::{ServiceName, ServiceSecret, User};
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::transport::{Address, Listener};
use tandem_chassis::{Runtime, tls};
use tandem_proto::storage::v1::chat_context_service_client::ChatContextServiceClient;
use tandem_proto::storage::v1::chat_service_client::ChatServiceClient;
use tandem_proto::storage::v1::feed_service_client::FeedServiceClient;
use tandem_proto::storage::v1::file_service_client::FileServiceClient;
use tandem_proto::storage::v1::git_service_client::GitServiceClient;
use tandem_proto::storage::v1::interception_service_client::InterceptionServiceClient;
use tandem_proto::storage::v1::mcp_service_client::McpServiceClient;
use tandem_proto::storage::v1::personal_skill_service_client::PersonalSkillServiceClient;
use tandem_proto::storage::v1::provider_key_service_client::ProviderKeyServiceClient;
use tandem_proto::storage::v1::settings_service_client::SettingsServiceClient;
use tandem_proto::storage::v1::template_service_client::TemplateServiceClient;
use tandem_proto::storage::v1::title_service_client::TitleServiceClient;
use tandem_proto::storage::v1::tool_call_service_client::ToolCallServiceClient;
use tandem_proto::storage::v1::turn_service_client::TurnServiceClient;
use tandem_proto::storage::v1::usage_service_client::UsageServiceClient;
use tandem_proto::storage::v1::user_service_client::UserServiceClient;
use tandem_proto::storage::v1::workspace_service_client::WorkspaceServiceClient;
use tandem_proto::storage::v1::{BootstrapRequest, CreateUserRequest, ListUsersRequest};
use tandem_storage::Config;
use tandem_storage::postgres::testing;
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

pub const TIME: Duration = Duration::from_secs(30);

/// The token every harness' administrator owns.
pub const TOKEN: &str = "bootstrap-token-of-the-tests";

pub struct Harness {
    pub pool: PgPool,
    pub database: PgConnectOptions,
    pub chats: ChatServiceClient<Channel>,
    pub contexts: ChatContextServiceClient<Channel>,
    pub skills: PersonalSkillServiceClient<Channel>,
    pub turns: TurnServiceClient<Channel>,
    pub feed: FeedServiceClient<Channel>,
    pub users: UserServiceClient<Channel>,
    pub settings: SettingsServiceClient<Channel>,
    pub keys: ProviderKeyServiceClient<Channel>,
    pub files: FileServiceClient<Channel>,
    pub git: GitServiceClient<Channel>,
    pub mcp: McpServiceClient<Channel>,
    pub interceptions: InterceptionServiceClient<Channel>,
    pub titles: TitleServiceClient<Channel>,
    pub usage: UsageServiceClient<Channel>,
    pub tools: ToolCallServiceClient<Channel>,
    pub templates: TemplateServiceClient<Channel>,
    pub workspaces: WorkspaceServiceClient<Channel>,
    process: Runtime,
}

impl Harness {
    pub async fn start() -> Self {
        Self::start_on(testing::database().await, |_| ()).await
    }

    /// On a database that may have another storage already, and with another configuration.
    pub async fn start_on(database: PgConnectOptions, change: impl FnOnce(&mut Config)) -> Self {
        let pool = PgPool::connect_with(database.clone()).await.unwrap();
        let process = Runtime::new(ServiceSecret::generate().unwrap());
        let address = Address::Memory(format!("storage-{}", Uuid::new_v4()));
        let listener = Listener::bind(&address).await.unwrap();
        let mut config = Config {
            allow_unsafe_postgres: true,
            ..Config::default()
        };
        change(&mut config);
        let running = tandem_storage::run(
            config,
            Some(database.clone()),
            listener,
            process.for_service(ServiceName::Storage),
        );
        process
            .tasks
            .spawn("storage", OnEnd::Expected, async move { running.await.unwrap() });
        let channel = client::channel(&address, &tls::ClientConfig::default()).unwrap();
        Self {
            pool,
            database,
            chats: ChatServiceClient::new(channel.clone()),
            contexts: tandem_chassis::with_message_limits!(ChatContextServiceClient::new(channel.clone())),
            skills: PersonalSkillServiceClient::new(channel.clone()),
            turns: TurnServiceClient::new(channel.clone()),
            feed: FeedServiceClient::new(channel.clone()),
            users: UserServiceClient::new(channel.clone()),
            settings: SettingsServiceClient::new(channel.clone()),
            keys: ProviderKeyServiceClient::new(channel.clone()),
            files: FileServiceClient::new(channel.clone()),
            git: GitServiceClient::new(channel.clone()),
            mcp: McpServiceClient::new(channel.clone()),
            interceptions: tandem_chassis::with_message_limits!(InterceptionServiceClient::new(channel.clone())),
            titles: TitleServiceClient::new(channel.clone()),
            usage: UsageServiceClient::new(channel.clone()),
            tools: ToolCallServiceClient::new(channel.clone()),
            templates: tandem_chassis::with_message_limits!(TemplateServiceClient::new(channel.clone())),
            workspaces: tandem_chassis::with_message_limits!(WorkspaceServiceClient::new(channel)),
            process,
        }
    }

    /// A request of this service in its own name.
    pub fn of<T>(&self, service: ServiceName, message: T) -> Request<T> {
        self.process.outbound(service).request(None, TIME, message)
    }

    /// A request of this service for a user.
    pub fn by<T>(&self, service: ServiceName, user: &User, message: T) -> Request<T> {
        self.process.outbound(service).request(Some(user), TIME, message)
    }

    /// A request of the gateway for a user.
    pub fn as_user<T>(&self, user: &User, message: T) -> Request<T> {
        self.by(ServiceName::Gateway, user, message)
    }

    /// The first start, with a token; gives the administrator.
    pub async fn bootstrap(&self) -> User {
        let message = BootstrapRequest {
            api_token: TOKEN.to_owned(),
            setup_code_hash: Vec::new(),
        };
        let done = self
            .users
            .clone()
            .bootstrap(self.of(ServiceName::Gateway, message))
            .await
            .unwrap()
            .into_inner();
        assert!(done.is_created);
        self.found("admin").await
    }

    /// A new user who is nothing special.
    pub async fn member(&self, admin: &User, username: &str) -> User {
        let message = CreateUserRequest {
            username: username.to_owned(),
            ..CreateUserRequest::default()
        };
        self.users
            .clone()
            .create_user(self.as_user(admin, message))
            .await
            .unwrap();
        self.found(username).await
    }

    async fn found(&self, username: &str) -> User {
        let anybody = User {
            id: Uuid::nil(),
            is_admin: true,
            organization_ids: Vec::new(),
        };
        let message = ListUsersRequest {
            search: username.to_owned(),
            ..ListUsersRequest::default()
        };
        let listed = self
            .users
            .clone()
            .list_users(self.as_user(&anybody, message))
            .await
            .unwrap()
            .into_inner();
        let user = listed.users.iter().find(|user| user.username == username).unwrap();
        User {
            id: user.id.parse().unwrap(),
            is_admin: user.is_admin,
            organization_ids: user.organization_ids.iter().map(|id| id.parse().unwrap()).collect(),
        }
    }
}

/// The reason a call was refused for.
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    tandem_chassis::status::Fault::from(answer.unwrap_err())
        .reason
        .into_owned()
}
