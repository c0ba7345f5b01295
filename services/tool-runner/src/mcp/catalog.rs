//! The configured servers as this replica knows them: read from storage once in a while, their secrets opened once.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tandem_chassis::seal::keyring::Keyring;
use tandem_proto::storage::v1::ListMcpServersRequest;
use tonic::Status;

use super::server::Server;
use crate::clients::{Clients, PAUSES, persist};

/// All servers that can be used. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Catalog {
    clients: Clients,
    keyring: Arc<Keyring>,
    servers: Cache<(), Arc<Vec<Arc<Server>>>>,
}

impl Catalog {
    /// A catalogue that counts as current for `ttl`.
    pub(crate) fn new(clients: Clients, keyring: Arc<Keyring>, ttl: Duration) -> Self {
        Self {
            clients,
            keyring,
            servers: Cache::builder().max_capacity(1).time_to_live(ttl).build(),
        }
    }

    /// All servers, by slug, disabled ones included. Those that cannot be used are left out and named in the log.
    ///
    /// # Errors
    /// Storage's own.
    pub(crate) async fn servers(&self) -> Result<Arc<Vec<Arc<Server>>>, Status> {
        let read = self.servers.try_get_with((), self.read()).await;
        read.map_err(|status| Status::clone(&status))
    }

    /// What was read is old: something was changed here.
    pub(crate) async fn forget(&self) {
        self.servers.invalidate(&()).await;
    }

    async fn read(&self) -> Result<Arc<Vec<Arc<Server>>>, Status> {
        let answer = persist(&PAUSES, || {
            let request = self.clients.own_request(ListMcpServersRequest {});
            let mut mcp = self.clients.mcp.clone();
            async move { mcp.list_mcp_servers(request).await }
        })
        .await?;
        let mut servers = Vec::new();
        for row in answer.into_inner().servers {
            let slug = row.slug.clone();
            match Server::open(row, &self.keyring) {
                Ok(server) => servers.push(Arc::new(server)),
                Err(problem) => tracing::warn!(slug, problem, "MCP server cannot be used"),
            }
        }
        Ok(Arc::new(servers))
    }
}
