//! The one place that builds and connects the parts.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tandem_chassis::Runtime;
use tandem_chassis::identity::ServiceName;
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::outbound::Outbound;
use tandem_chassis::seal::keyring::Keyring;
use tandem_chassis::server::{self, Server};
use tandem_chassis::transport::{Address, Listener};
use tandem_chassis::{tls, with_message_limits};
use tandem_kubernetes::Cluster;
use tandem_proto::tool::v1::context_service_server::ContextServiceServer;
use tandem_proto::tool::v1::git_service_server::GitServiceServer;
use tandem_proto::tool::v1::mcp_admin_service_server::McpAdminServiceServer;
use tandem_proto::tool::v1::mcp_bridge_service_server::McpBridgeServiceServer;
use tandem_proto::tool::v1::tool_service_server::ToolServiceServer;
use tandem_proto::tool::v1::workspace_admin_service_server::WorkspaceAdminServiceServer;
use tandem_proto::workspace::v1::agent_link_service_server::AgentLinkServiceServer;
use tokio_util::sync::CancellationToken;

use crate::agents::{Agents, LinkRpc};
use crate::backend::{Local, passage};
use crate::call::{Registry, Shared};
use crate::clients::Clients;
use crate::config::Config;
use crate::context::ContextRpc;
use crate::error::Error;
use crate::git::Git;
use crate::mcp::Mcp;
use crate::metrics::Metrics;
use crate::rpc::{BridgeRpc, GitRpc, McpRpc, ToolRpc, WorkspaceRpc};
use crate::workspace::Workspaces;

/// Links at once, those of agents that have not said hello yet included.
const MAX_LINKS: usize = 4_096;

/// Runs a tool-runner on `listener` until the runtime drains and the running calls have ended; then it stops all agents.
///
/// # Errors
/// [`Error`] when it cannot start or a server fails.
pub async fn run(config: Config, listener: Listener, runtime: Runtime) -> Result<(), Error> {
    let metrics = Metrics::new(&runtime.registry);
    let clients = Clients::new(
        &config.peers,
        &config.peer_tls,
        runtime.outbound(ServiceName::ToolRunner),
    )?;
    let agents = Agents::default();
    let link = listen_for_agents(&config.link_address()).await?;
    let public = match &config.agent.listen {
        Some(address) => Some(listen_for_hosts(address, config.agent.tls.as_ref()).await?),
        None => None,
    };
    let agents_url = config.agent.url.clone();
    let agents_url = agents_url.unwrap_or_else(|| public.as_ref().unwrap_or(&link).address().clone());
    let local = Local::new(&config, link.address().clone(), runtime.tasks.clone()).await?;
    let cluster = match config.kubernetes.enabled {
        true => Some(Cluster::new(&config.kubernetes, &agents_url).await?),
        false => None,
    };
    let workspaces = Workspaces::new(
        clients.clone(),
        agents.clone(),
        local,
        cluster,
        runtime.tasks.clone(),
        config.idle_timeout,
        metrics.clone(),
    );

    let closing = CancellationToken::new();
    let links = LinkRpc::new(
        agents.clone(),
        clients.clone(),
        runtime.tasks.clone(),
        closing.clone(),
        metrics.clone(),
    );
    serve_links(&runtime, link, links.clone(), &closing);
    if let Some(public) = public {
        serve_links(&runtime, public, links, &closing);
    }
    let (building, builds_end) = (workspaces.clone(), runtime.shutdown.draining());
    runtime.tasks.spawn("run builds", OnEnd::Expected, async move {
        tokio::select! {
            () = builds_end => {}
            () = building.run_builds() => {}
        }
    });
    let (sweeping, sweep_end) = (workspaces.clone(), closing.clone());
    runtime.tasks.spawn("stop idle agents", OnEnd::Expected, async move {
        tokio::select! {
            () = sweep_end.cancelled() => {}
            () = sweeping.sweep() => {}
        }
    });
    let outbound = Outbound::new(&config.outbound)?;
    let keyring = Arc::new(Keyring::load(config.keys())?);
    let git = Git::new(
        &config.git,
        clients.clone(),
        agents.clone(),
        Arc::clone(&keyring),
        outbound.clone(),
        Arc::clone(&runtime.clock),
        &metrics,
    );
    let (looking, look_end) = (git.clone(), closing.clone());
    runtime
        .tasks
        .spawn("look after repositories", OnEnd::Expected, async move {
            tokio::select! {
                () = look_end.cancelled() => {}
                () = looking.run() => {}
            }
        });
    let mcp = Mcp::new(
        config.mcp.clone(),
        clients.clone(),
        agents.clone(),
        keyring,
        outbound.clone(),
        Arc::clone(&runtime.clock),
        metrics.clone(),
    );
    let (sweeping, sweep_end) = (mcp.clone(), closing.clone());
    runtime
        .tasks
        .spawn("end idle MCP sessions", OnEnd::Expected, async move {
            tokio::select! {
                () = sweep_end.cancelled() => {}
                () = sweeping.sweep() => {}
            }
        });
    let shared = Shared {
        clients: clients.clone(),
        workspaces: workspaces.clone(),
        mcp: mcp.clone(),
        tasks: runtime.tasks.clone(),
        clock: Arc::clone(&runtime.clock),
        metrics,
    };
    let calls = Registry::new(Arc::new(shared));
    runtime.health.set_serving(true);

    let served = Server::new(ServiceName::ToolRunner, &runtime)
        .add_service(with_message_limits!(ToolServiceServer::new(ToolRpc::new(
            calls,
            mcp.clone()
        ))))
        .add_service(with_message_limits!(ContextServiceServer::new(ContextRpc::new(
            agents.clone()
        ))))
        .add_service(with_message_limits!(WorkspaceAdminServiceServer::new(
            WorkspaceRpc::new(clients.clone(), workspaces.clone(), agents_url)
        )))
        .add_service(with_message_limits!(GitServiceServer::new(GitRpc::new(git))))
        .add_service(with_message_limits!(McpBridgeServiceServer::new(BridgeRpc::new(
            mcp.clone()
        ))))
        .add_service(with_message_limits!(McpAdminServiceServer::new(McpRpc::new(
            clients,
            mcp.clone(),
            outbound
        ))))
        .reflection(tandem_proto::FILE_DESCRIPTOR_SET)
        .serve(listener, runtime.shutdown.draining())
        .await;
    runtime.health.set_serving(false);
    mcp.stop().await;
    workspaces.stop().await;
    closing.cancel();
    served?;
    Ok(())
}

/// Lets agents dial in. They must reach it while calls end, so it outlives draining.
fn serve_links(runtime: &Runtime, listener: Listener, links: LinkRpc, closing: &CancellationToken) {
    let server = Server::new(ServiceName::ToolRunner, runtime)
        .add_service(with_message_limits!(AgentLinkServiceServer::new(links)))
        .exempt("/tandem.workspace.v1.AgentLinkService/")
        .limits(server::Limits {
            max_in_flight: MAX_LINKS,
            ..server::Limits::default()
        })
        .serve(listener, closing.clone().cancelled_owned());
    runtime.tasks.spawn("agent links", OnEnd::Fatal, async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "link server ended");
        }
    });
}

/// Binds what agents on hosts of users' own dial.
async fn listen_for_hosts(address: &Address, tls: Option<&tls::ServerConfig>) -> Result<Listener, Error> {
    let failed = |source| Error::Link {
        address: address.to_string(),
        source,
    };
    Listener::bind_certified(address, tls).await.map_err(failed)
}

/// Binds the link. A socket is opened to all users of this machine, because workspaces run as users of their own; whoever dials must
/// know a workspace's token.
async fn listen_for_agents(address: &Address) -> Result<Listener, Error> {
    let failed = |source| Error::Link {
        address: address.to_string(),
        source,
    };
    let Address::Unix(path) = address else {
        if matches!(address, Address::Memory(_)) {
            return Err(failed(std::io::Error::other(
                "agents are other processes and cannot use memory addresses",
            )));
        }
        return Listener::bind(address).await.map_err(failed);
    };
    if let Some(directory) = path.parent() {
        passage::make(directory).map_err(failed)?;
        passage::open(directory).map_err(failed)?;
    }
    let listener = Listener::bind(address).await.map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}
