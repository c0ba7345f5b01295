//! A TCP proxy between two parts of the system that misbehaves on command, the way networks do.
//!
//! It understands no protocol. Bytes held back are delivered after the network has healed, as TCP would.

mod pump;
mod socket;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use self::{
    pump::{Budget, Counts, Way},
    socket::Socket,
};

/// Connections carried at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 4096;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// FIN to both sides.
    Close,
    /// RST to both sides.
    Reset,
}

/// What one direction is like now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weather {
    /// Added to the way of every byte; the rate stays as it is.
    delay: Duration,
    /// Nothing arrives.
    held: bool,
}

/// What the network is like now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Climate {
    to_server: Weather,
    to_client: Weather,
    /// New connections are reset at once.
    refusing: bool,
    /// Connections with a lower number get nothing through any more.
    stranded: u64,
    /// Raised to end the connections that are open.
    ended: u64,
    ending: Option<Ending>,
}

impl Climate {
    fn of(&self, direction: Direction) -> Weather {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }

    /// Whether nothing of this direction arrives on the connection with this number.
    fn holds(&self, direction: Direction, connection: u64) -> bool {
        self.of(direction).held || connection < self.stranded
    }

    fn of_mut(&mut self, direction: Direction) -> &mut Weather {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// Connections that are to be cut after some bytes.
#[derive(Debug, Clone, Copy)]
struct Cut {
    direction: Direction,
    after_bytes: u64,
    ending: Ending,
    /// Connections left to which this applies; `None` for all.
    connections: Option<u32>,
}

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections carried so far, refused ones not counted.
    pub connections: u64,
    pub bytes_to_server: u64,
    pub bytes_to_client: u64,
    /// Bytes that came while their way was lost.
    pub held_to_server: u64,
    pub held_to_client: u64,
    /// Connections that the client, or the server, was the one to end; both for some.
    pub ended_by_client: u64,
    pub ended_by_server: u64,
    /// Connections ended by a cut.
    pub cuts: u64,
}

/// Where the server is.
enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Upstream {
    async fn connect(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(address) => Socket::Tcp(TcpStream::connect(address).await?),
            Self::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        })
    }
}

struct Shared {
    upstream: Upstream,
    climate: watch::Sender<Climate>,
    cut: Mutex<Option<Cut>>,
    connections: AtomicU64,
    to_server: Counts,
    to_client: Counts,
    cuts: AtomicU64,
}

/// A running proxy and its levers. Dropping it closes the port and every connection.
pub struct ChaosProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ChaosProxy {
    /// Starts a proxy to `upstream` on a free port of 127.0.0.1. It is calm at first.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        Self::start_to(Upstream::Tcp(upstream)).await
    }

    /// Starts a proxy to a server on a Unix socket; clients reach it by TCP all the same.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start_to_unix(upstream: PathBuf) -> anyhow::Result<Self> {
        Self::start_to(Upstream::Unix(upstream)).await
    }

    async fn start_to(upstream: Upstream) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("chaos proxy finds no free port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            climate: watch::Sender::new(Climate::default()),
            cut: Mutex::new(None),
            connections: AtomicU64::new(0),
            to_server: Counts::default(),
            to_client: Counts::default(),
            cuts: AtomicU64::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays every byte of this direction from now on; zero ends it.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|climate| climate.of_mut(direction).delay = delay);
    }

    /// One way is lost: nothing of this direction arrives until [`Self::heal`].
    pub fn hold(&self, direction: Direction) {
        self.change(|climate| climate.of_mut(direction).held = true);
    }

    /// Both ways are lost, without a sign to either side, until [`Self::heal`].
    pub fn blackhole(&self) {
        self.hold(Direction::ToServer);
        self.hold(Direction::ToClient);
    }

    /// What is open now is lost for good, both ways and without a sign, as when a machine on the way forgets it. New connections are
    /// well.
    pub fn strand(&self) {
        let stranded = self.shared.connections.load(Ordering::Acquire);
        self.change(|climate| climate.stranded = stranded);
    }

    /// Resets new connections at once; open ones live on.
    pub fn refuse(&self) {
        self.change(|climate| climate.refusing = true);
    }

    /// Cuts each of the next `connections` new connections (`None`: all) after so many bytes of a direction,
    /// counted from its start. Replaces an earlier rule.
    pub fn cut_after(&self, direction: Direction, after_bytes: u64, ending: Ending, connections: Option<u32>) {
        *self.cut() = Some(Cut {
            direction,
            after_bytes,
            ending,
            connections,
        });
    }

    /// Ends every open connection.
    pub fn end_all(&self, ending: Ending) {
        self.change(|climate| {
            climate.ended += 1;
            climate.ending = Some(ending);
        });
    }

    /// Calm again: no delay, no holding, no refusing, no cutting. What was held is delivered.
    pub fn heal(&self) {
        *self.cut() = None;
        self.change(|climate| {
            climate.to_server = Weather::default();
            climate.to_client = Weather::default();
            climate.refusing = false;
        });
    }

    /// What went through so far. A drill asserts with it that its fault fired.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Traffic {
            connections: read(&self.shared.connections),
            bytes_to_server: read(&self.shared.to_server.bytes),
            bytes_to_client: read(&self.shared.to_client.bytes),
            held_to_server: read(&self.shared.to_server.held),
            held_to_client: read(&self.shared.to_client.held),
            ended_by_client: read(&self.shared.to_server.ends),
            ended_by_server: read(&self.shared.to_client.ends),
            cuts: read(&self.shared.cuts),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Climate)) {
        self.shared.climate.send_modify(change);
    }

    fn cut(&self) -> MutexGuard<'_, Option<Cut>> {
        self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((client, _)) => {
                    connections.spawn(carry(client, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
        }
    }
}

/// Carries one connection to its end.
async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let client = Socket::Tcp(client);
    let mut climate = shared.climate.subscribe();
    if climate.borrow_and_update().refusing {
        end(&[&client], Ending::Reset);
        return;
    }
    let server = match shared.upstream.connect().await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%error, "upstream refuses, so does the proxy");
            end(&[&client], Ending::Reset);
            return;
        }
    };
    let connection = shared.connections.fetch_add(1, Ordering::AcqRel);
    let ending = match carry_between(connection, &client, &server, climate, &shared).await {
        Ok(ending) => ending,
        // One side is gone with an error: the other hears of it in the same way.
        Err(_) => Ending::Reset,
    };
    end(&[&client, &server], ending);
}

async fn carry_between(
    connection: u64,
    client: &Socket,
    server: &Socket,
    climate: watch::Receiver<Climate>,
    shared: &Shared,
) -> io::Result<Ending> {
    client.set_nodelay()?;
    server.set_nodelay()?;
    let cut = next_cut(shared);
    let budget = |direction: Direction| match cut {
        Some(cut) if cut.direction == direction => Budget::Bytes(cut.after_bytes),
        _ => Budget::Endless,
    };
    let pump = |direction: Direction| {
        let (from, to, count) = match direction {
            Direction::ToServer => (client, server, &shared.to_server),
            Direction::ToClient => (server, client, &shared.to_client),
        };
        let way = Way { direction, connection };
        pump::run(from, to, way, climate.clone(), budget(direction), count)
    };
    let ended = climate.borrow().ended;
    let mut watching = climate.clone();
    let both = async { tokio::try_join!(pump(Direction::ToServer), pump(Direction::ToClient)) };
    tokio::select! {
        outcome = both => match outcome {
            Ok(_) => Ok(Ending::Close),
            Err(pump::Stop::Spent) => {
                shared.cuts.fetch_add(1, Ordering::AcqRel);
                Ok(cut.map_or(Ending::Close, |cut| cut.ending))
            }
            Err(pump::Stop::Io(error)) => Err(error),
        },
        changed = watching.wait_for(|climate| climate.ended > ended) => {
            Ok(changed.ok().and_then(|climate| climate.ending).unwrap_or(Ending::Close))
        }
    }
}

/// The cut this connection is subject to.
fn next_cut(shared: &Shared) -> Option<Cut> {
    let mut rule = shared.cut.lock().unwrap_or_else(PoisonError::into_inner);
    let cut = (*rule)?;
    match &mut rule.as_mut()?.connections {
        Some(0) => return None,
        Some(left) => *left -= 1,
        None => {}
    }
    Some(cut)
}

fn end(sockets: &[&Socket], ending: Ending) {
    if ending == Ending::Close {
        return;
    }
    for socket in sockets {
        if let Err(error) = socket.reset_when_dropped() {
            tracing::warn!(%error, "connection closes without a reset");
        }
    }
}
