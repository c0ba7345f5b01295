//! The one place that builds and connects the parts.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tandem_chassis::Runtime;
use tandem_chassis::identity::ServiceName;
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::server::Server;
use tandem_chassis::transport::Listener;
use tandem_chassis::with_message_limits;
use tandem_chat_core::approval::ApprovalMode;
use tandem_proto::storage::v1::chat_context_service_server::ChatContextServiceServer;
use tandem_proto::storage::v1::chat_service_server::ChatServiceServer;
use tandem_proto::storage::v1::feed_service_server::FeedServiceServer;
use tandem_proto::storage::v1::file_service_server::FileServiceServer;
use tandem_proto::storage::v1::git_service_server::GitServiceServer;
use tandem_proto::storage::v1::interception_service_server::InterceptionServiceServer;
use tandem_proto::storage::v1::mcp_service_server::McpServiceServer;
use tandem_proto::storage::v1::personal_skill_service_server::PersonalSkillServiceServer;
use tandem_proto::storage::v1::provider_key_service_server::ProviderKeyServiceServer;
use tandem_proto::storage::v1::settings_service_server::SettingsServiceServer;
use tandem_proto::storage::v1::template_service_server::TemplateServiceServer;
use tandem_proto::storage::v1::title_service_server::TitleServiceServer;
use tandem_proto::storage::v1::tool_call_service_server::ToolCallServiceServer;
use tandem_proto::storage::v1::turn_service_server::TurnServiceServer;
use tandem_proto::storage::v1::usage_service_server::UsageServiceServer;
use tandem_proto::storage::v1::user_service_server::UserServiceServer;
use tandem_proto::storage::v1::workspace_service_server::WorkspaceServiceServer;
use uuid::Uuid;

use crate::config::Config;
use crate::db::{Pool, approvals, in_time};
use crate::hints::{self, Hints};
use crate::rpc::{
    Chats, Contexts, Feed, Files, Git, Interceptions, Mcp, PersonalSkills, ProviderKeys, Settings, Templates, Titles,
    ToolCalls, Turns, Usage, Users, Workspaces,
};

/// How often old change records are dropped, and how many at once.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);
const PRUNE_BATCH: i64 = 10_000;

/// The same for usage records, the first time at the start; and the pause between two pieces, so that nobody waits for it.
const USAGE_PRUNE_INTERVAL: Duration = Duration::from_secs(3600);
const USAGE_PRUNE_BATCH: u64 = 5_000;
const USAGE_PRUNE_PAUSE: Duration = Duration::from_millis(200);

/// Chats whose approval mode is raised at once, and the pause after a failure.
const RAISE_BATCH: i64 = 1_000;
const RAISE_PAUSE: Duration = Duration::from_secs(10);

/// Why storage could not start or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Neither an address nor a server of our own.
    #[error("no database is configured: set DATABASE_URL")]
    NoDatabase,
    /// The address is no PostgreSQL address, or nobody answers there.
    #[error("could not connect to PostgreSQL")]
    Connect(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The server may acknowledge commits it can lose.
    #[error(
        "PostgreSQL runs with {setting} = off and may lose acknowledged messages at a power failure; switch it on, or set allow_unsafe_postgres"
    )]
    UnsafePostgres {
        /// The setting.
        setting: &'static str,
    },
    /// The server could not start or ended.
    #[error("the server could not run")]
    Server(#[from] tandem_chassis::server::Error),
}

/// Runs storage on `listener` until the runtime stops. `database` wins over the configured address.
///
/// # Errors
/// [`RunError`] when it cannot start or its server fails.
pub async fn run(
    config: Config,
    database: Option<PgConnectOptions>,
    listener: Listener,
    runtime: Runtime,
) -> Result<(), RunError> {
    let retention = Duration::from_secs(u64::from(config.change_retention_days) * 86_400);
    let pool = connect(&config, database).await?;
    sqlx::migrate!("../../migrations").run(pool.library()).await?;
    let process = Uuid::now_v7();
    let (hints, outgoing) = Hints::new();

    runtime.tasks.spawn("pass hints on", OnEnd::Expected, {
        let (pool, stopped) = (pool.clone(), runtime.shutdown.stopped());
        async move {
            tokio::select! { () = stopped => {} () = hints::pass_on(outgoing, pool, process) => {} }
        }
    });
    runtime.tasks.spawn("listen for hints", OnEnd::Expected, {
        let (hints, pool, draining) = (hints.clone(), pool.clone(), runtime.shutdown.draining());
        async move {
            tokio::select! { () = draining => {} () = hints::listen(hints, pool, process) => {} }
        }
    });
    runtime.tasks.spawn("expire actions", OnEnd::Expected, {
        let (pool, hints, draining) = (pool.clone(), hints.clone(), runtime.shutdown.draining());
        async move {
            tokio::select! { () = draining => {} () = crate::actions::expire(pool, hints) => {} }
        }
    });
    runtime.tasks.spawn("prune changes", OnEnd::Expected, {
        let (pool, draining) = (pool.clone(), runtime.shutdown.draining());
        let days = i32::from(config.change_retention_days);
        async move {
            tokio::select! { () = draining => {} () = prune(pool, days) => {} }
        }
    });
    if config.usage_retention_days > 0 {
        runtime.tasks.spawn("prune usage records", OnEnd::Expected, {
            let (pool, draining) = (pool.clone(), runtime.shutdown.draining());
            let days = i32::from(config.usage_retention_days);
            async move {
                tokio::select! { () = draining => {} () = prune_usage(pool, days) => {} }
            }
        });
    }
    if config.approvals.minimum > ApprovalMode::Never {
        runtime.tasks.spawn("raise approval modes", OnEnd::Expected, {
            let (pool, draining) = (pool.clone(), runtime.shutdown.draining());
            let minimum = config.approvals.minimum;
            async move {
                tokio::select! { () = draining => {} () = raise(pool, minimum) => {} }
            }
        });
    }
    runtime.tasks.spawn("purge idempotency keys", OnEnd::Expected, {
        let (pool, draining) = (pool.clone(), runtime.shutdown.draining());
        async move {
            tokio::select! { () = draining => {} () = crate::idempotency::purge(pool) => {} }
        }
    });

    runtime.tasks.spawn("watch the database", OnEnd::Expected, {
        let (pool, check) = (pool.clone(), runtime.health.check("database"));
        let draining = runtime.shutdown.draining();
        async move {
            tokio::select! { () = draining => {} () = crate::pulse::watch(pool, check) => {} }
        }
    });

    runtime.health.set_serving(true);
    let served = Server::new(ServiceName::Storage, &runtime)
        .add_service(with_message_limits!(ChatServiceServer::new(Chats::new(
            pool.clone(),
            hints.clone(),
            config.approvals.minimum
        ))))
        .add_service(with_message_limits!(TurnServiceServer::new(Turns::new(
            pool.clone(),
            hints.clone(),
            config.action_limit,
            config.approvals.limit
        ))))
        .add_service(with_message_limits!(TitleServiceServer::new(Titles::new(
            pool.clone(),
            hints.clone()
        ))))
        .add_service(with_message_limits!(ChatContextServiceServer::new(Contexts::new(
            pool.clone(),
            hints.clone()
        ))))
        .add_service(with_message_limits!(PersonalSkillServiceServer::new(
            PersonalSkills::new(pool.clone())
        )))
        .add_service(with_message_limits!(FeedServiceServer::new(Feed::new(
            pool.clone(),
            hints.clone(),
            retention
        ))))
        .add_service(with_message_limits!(UserServiceServer::new(Users::new(pool.clone()))))
        .add_service(with_message_limits!(UsageServiceServer::new(Usage::new(pool.clone()))))
        .add_service(with_message_limits!(SettingsServiceServer::new(Settings::new(
            pool.clone()
        ))))
        .add_service(with_message_limits!(ProviderKeyServiceServer::new(ProviderKeys::new(
            pool.clone()
        ))))
        .add_service(with_message_limits!(FileServiceServer::new(Files::new(pool.clone()))))
        .add_service(with_message_limits!(GitServiceServer::new(Git::new(
            pool.clone(),
            hints.clone()
        ))))
        .add_service(with_message_limits!(InterceptionServiceServer::new(
            Interceptions::new(pool.clone())
        )))
        .add_service(with_message_limits!(McpServiceServer::new(Mcp::new(pool.clone()))))
        .add_service(with_message_limits!(ToolCallServiceServer::new(ToolCalls::new(
            pool.clone(),
            config.approvals.minimum
        ))))
        .add_service(with_message_limits!(TemplateServiceServer::new(Templates::new(
            pool.clone()
        ))))
        .add_service(with_message_limits!(WorkspaceServiceServer::new(Workspaces::new(
            pool.clone(),
            hints
        ))))
        .subscriptions("/tandem.storage.v1.FeedService/SubscribeHints")
        .reflection(tandem_proto::FILE_DESCRIPTOR_SET)
        .serve(listener, runtime.shutdown.draining())
        .await;
    runtime.health.set_serving(false);
    pool.close().await;
    served?;
    Ok(())
}

async fn connect(config: &Config, database: Option<PgConnectOptions>) -> Result<Pool, RunError> {
    let options = match (database, &config.database_url) {
        (Some(options), _) => options,
        (None, Some(url)) => url.expose().parse().map_err(RunError::Connect)?,
        (None, None) => return Err(RunError::NoDatabase),
    };
    let pool = Pool::connect(options, &config.pool).await.map_err(RunError::Connect)?;
    refuse_unsafe(&pool, config.allow_unsafe_postgres).await?;
    Ok(pool)
}

/// A message that was acknowledged must survive a power failure; a server that cannot promise that is refused, or at least named.
async fn refuse_unsafe(pool: &Pool, is_allowed: bool) -> Result<(), RunError> {
    let mut connection = pool.acquire().await.map_err(RunError::Connect)?;
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value = sqlx::query_scalar!(r#"SELECT current_setting($1) AS "value!""#, setting)
            .fetch_one(&mut *connection)
            .await
            .map_err(RunError::Connect)?;
        if value == "off" && is_allowed {
            tracing::warn!(
                setting,
                "PostgreSQL may lose acknowledged messages at a power failure, which allow_unsafe_postgres allows"
            );
        } else if value == "off" {
            return Err(RunError::UnsafePostgres { setting });
        }
    }
    Ok(())
}

/// Makes every chat show what the operator asks for at least; calls are held to it before that too.
async fn raise(pool: Pool, minimum: ApprovalMode) {
    loop {
        let batch = async { approvals::raise(&mut *pool.acquire().await?, minimum, RAISE_BATCH).await };
        match in_time(batch).await {
            Ok(0) => return,
            Ok(chats) => tracing::info!(chats, %minimum, "chats ask for approvals that did not"),
            Err(error) => {
                tracing::warn!(%error, "could not set the approval mode of chats");
                tokio::time::sleep(RAISE_PAUSE).await;
            }
        }
    }
}

async fn prune(pool: Pool, days: i32) {
    loop {
        tokio::time::sleep(PRUNE_INTERVAL).await;
        let prune = async { crate::db::changes::prune(&mut *pool.acquire().await?, days, PRUNE_BATCH).await };
        match in_time(prune).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "dropped old change records"),
            Err(error) => tracing::warn!(%error, "could not drop old change records"),
        }
    }
}

async fn prune_usage(pool: Pool, days: i32) {
    let limit = i64::try_from(USAGE_PRUNE_BATCH).unwrap_or(i64::MAX);
    loop {
        let prune = async { crate::db::usage::prune(&mut *pool.acquire().await?, days, limit).await };
        let pause = match in_time(prune).await {
            Ok(0) => USAGE_PRUNE_INTERVAL,
            Ok(count) => {
                tracing::info!(count, "dropped old usage records");
                if count < USAGE_PRUNE_BATCH {
                    USAGE_PRUNE_INTERVAL
                } else {
                    USAGE_PRUNE_PAUSE
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not drop old usage records");
                USAGE_PRUNE_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}
