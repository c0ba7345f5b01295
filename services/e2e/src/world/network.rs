//! A network between the rooms, for separate processes: every call from one to another goes through a proxy that can misbehave.

use std::path::Path;

use super::{Builder, Database, Service, World};
use crate::chaos_proxy::{ChaosProxy, Traffic};

/// A way from one room to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Calls of the first to the second.
    Between(Service, Service),
    /// Storage's connections to PostgreSQL.
    ToDatabase,
}

/// All ways of one world. With several replicas those of the first; the others call directly.
pub struct Network {
    wires: Vec<(Wire, ChaosProxy)>,
}

impl Wire {
    /// Every way between services that turns take, callers in the order of [`Service::ALL`].
    ///
    /// provider-gateway asks tool-runner for programs over the bridge alone, and only where an operator wants it (ADR 14).
    pub fn between_services() -> impl Iterator<Item = Self> {
        Service::ALL
            .into_iter()
            .flat_map(|from| from.peers().iter().map(move |to| Self::Between(from, *to)))
            .filter(|wire| *wire != Self::Between(Service::ProviderGateway, Service::ToolRunner))
    }
}

impl Network {
    /// Starts a proxy for each way. Services are found by their sockets in `sockets`, PostgreSQL by its own;
    /// `is_everywhere`: between services too.
    pub(super) async fn start(sockets: &Path, database: Option<&Path>, is_everywhere: bool) -> anyhow::Result<Self> {
        let mut wires = Vec::new();
        for wire in Wire::between_services().filter(|_| is_everywhere) {
            if let Wire::Between(_, to) = wire {
                let socket = sockets.join(format!("{}.sock", to.instance(0)));
                wires.push((wire, ChaosProxy::start_to_unix(socket).await?));
            }
        }
        if let Some(socket) = database {
            wires.push((Wire::ToDatabase, ChaosProxy::start_to_unix(socket.to_owned()).await?));
        }
        Ok(Self { wires })
    }

    /// The levers of one way.
    ///
    /// # Panics
    /// When this world has no such way.
    pub fn wire(&self, wire: Wire) -> &ChaosProxy {
        self.find(wire).expect("the world was built with this way")
    }

    /// Every way with its levers.
    pub fn wires(&self) -> impl Iterator<Item = (Wire, &ChaosProxy)> {
        self.wires.iter().map(|(wire, proxy)| (*wire, proxy))
    }

    /// What went over one way so far.
    ///
    /// # Panics
    /// As [`Self::wire`].
    pub fn traffic(&self, wire: Wire) -> Traffic {
        self.wire(wire).traffic()
    }

    /// Where `from` is to call `to`.
    pub(super) fn address(&self, from: Service, to: Service) -> Option<String> {
        let proxy = self.find(Wire::Between(from, to))?;
        Some(format!("http://{}", proxy.address()))
    }

    /// Where storage is to find PostgreSQL.
    pub(super) fn database_url(&self) -> Option<String> {
        let proxy = self.find(Wire::ToDatabase)?;
        Some(format!("postgres://tandem@{}/tandem?sslmode=disable", proxy.address()))
    }

    fn find(&self, wire: Wire) -> Option<&ChaosProxy> {
        let mut wires = self.wires.iter();
        wires.find_map(|(known, proxy)| (*known == wire).then_some(proxy))
    }
}

impl Builder {
    /// A network that can misbehave between all services, see [`World::network`]. Separate processes.
    pub fn network(mut self) -> Self {
        self.has_network = true;
        self.separate_processes()
    }

    /// A PostgreSQL that can die and come back, and a network before it: [`World::database`], [`Wire::ToDatabase`].
    pub fn database(mut self) -> Self {
        self.has_database = true;
        self
    }
}

impl World {
    /// The ways between the rooms.
    ///
    /// # Panics
    /// When the world was built without.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the world was built with a network")
    }

    /// The PostgreSQL beside the system.
    ///
    /// # Panics
    /// When the world was built without.
    pub fn database(&mut self) -> &mut Database {
        self.database.as_mut().expect("the world was built with a database")
    }

    /// Runs one statement in that PostgreSQL, see [`Database::sql`].
    ///
    /// # Panics
    /// When the world was built without.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let database = self.database.as_ref().expect("the world was built with a database");
        database.sql(statement).await
    }

    /// The same as something to keep: a session that stays while the world is used.
    ///
    /// # Panics
    /// When the world was built without.
    pub fn session(&self, statements: String) -> impl Future<Output = anyhow::Result<String>> + Send + use<> {
        let database = self.database.as_ref().expect("the world was built with a database");
        database.session(statements)
    }
}
