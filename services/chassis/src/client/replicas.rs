//! The replicas behind a service's addresses, one by one: for calls that must come back to the replica that answered the
//! first of them. Calls that any replica answers use [`super::channel`].

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tonic::transport::Channel;

use super::{Error, channel};
use crate::{tls, transport::Address};

/// How long a name's addresses count as current. A replica that came since is chosen this much later.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// Time a name server has. What it said before stands when it does not answer.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a replica that could not be reached is passed over while there are others.
const REST: Duration = Duration::from_secs(10);

/// Connections kept. The one used longest ago goes first; its open streams go on.
const MAX_CHANNELS: usize = 64;

/// A service that may have many replicas. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Replicas(Arc<Shared>);

struct Shared {
    /// As configured; a host name may stand for many replicas.
    addresses: Vec<Address>,
    tls: tls::ClientConfig,
    state: Mutex<State>,
    /// One caller asks the name server; the others wait for the answer.
    resolving: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// One address for each replica, in a stable order.
    known: Vec<Address>,
    resolved_at: Option<Instant>,
    /// Which comes next.
    turn: usize,
    resting: HashMap<Address, Instant>,
    channels: HashMap<Address, Kept>,
}

struct Kept {
    channel: Channel,
    used_at: Instant,
}

impl Replicas {
    /// Those behind `addresses`, of which there must be one at least. Nothing is resolved or connected yet.
    ///
    /// # Errors
    /// An address that cannot be used, or unreadable certificates.
    pub fn new(addresses: Vec<Address>, tls: tls::ClientConfig) -> Result<Self, Error> {
        if addresses.is_empty() {
            return Err(Error::NoAddress);
        }
        for address in &addresses {
            channel(address, &tls)?;
        }
        Ok(Self(Arc::new(Shared {
            addresses,
            tls,
            state: Mutex::default(),
            resolving: tokio::sync::Mutex::default(),
        })))
    }

    /// The replica whose turn it is: each in its turn, those that could not be reached a moment ago last. Waits for the name server the first
    /// time only; after that it is asked in the background, and what it said before stands until it answers.
    pub async fn choose(&self) -> Address {
        if self.lock().known.is_empty() {
            self.resolve(RESOLVE_INTERVAL).await;
        } else {
            self.refresh();
        }
        let mut state = self.lock();
        let now = Instant::now();
        state.resting.retain(|_, until| *until > now);
        let turn = state.turn;
        state.turn = turn.wrapping_add(1);
        let count = state.known.len();
        let order = (0..count).map(|step| &state.known[(turn + step) % count]);
        let chosen = order.clone().find(|address| !state.resting.contains_key(*address));
        // A name that was never resolved stands for itself: connecting to it says what is wrong.
        chosen.or(order.clone().next()).unwrap_or(&self.0.addresses[0]).clone()
    }

    /// The connection to one replica, made at its first call.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn at(&self, address: &Address) -> Result<Channel, Error> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(kept) = state.channels.get_mut(address) {
            kept.used_at = now;
            return Ok(kept.channel.clone());
        }
        let channel = channel(address, &self.tls_of(address))?;
        if state.channels.len() >= MAX_CHANNELS
            && let Some(oldest) = oldest(&state.channels)
        {
            state.channels.remove(&oldest);
        }
        let kept = Kept {
            channel: channel.clone(),
            used_at: now,
        };
        state.channels.insert(address.clone(), kept);
        Ok(channel)
    }

    /// A replica could not be reached: others are chosen for a while, if there are any.
    pub fn rest(&self, address: &Address) {
        self.lock().resting.insert(address.clone(), Instant::now() + REST);
    }

    /// Whether a replica is one of the service's no more, as far as its names tell now.
    pub async fn is_gone(&self, address: &Address) -> bool {
        self.resolve(Duration::ZERO).await;
        let state = self.lock();
        !state.known.is_empty() && !state.known.contains(address)
    }

    /// Asks for the names' addresses in the background if they are old and nobody asks already.
    fn refresh(&self) {
        if self.is_current(RESOLVE_INTERVAL) || self.0.resolving.try_lock().is_err() {
            return;
        }
        let replicas = self.clone();
        tokio::spawn(async move { replicas.resolve(RESOLVE_INTERVAL).await });
    }

    fn is_current(&self, age: Duration) -> bool {
        self.lock().resolved_at.is_some_and(|at| at.elapsed() < age)
    }

    /// Asks for the names' addresses unless that was done less than `age` ago.
    async fn resolve(&self, age: Duration) {
        if self.is_current(age) {
            return;
        }
        let asked_at = Instant::now();
        let _resolving = self.0.resolving.lock().await;
        if self.is_current(age) || self.lock().resolved_at.is_some_and(|at| at > asked_at) {
            return;
        }
        let mut known = BTreeMap::new();
        let mut is_complete = true;
        for address in &self.0.addresses {
            match resolve(address).await {
                Ok(found) => known.extend(found.into_iter().map(|address| (address.to_string(), address))),
                Err(error) => {
                    is_complete = false;
                    tracing::warn!(%address, %error, "could not look a service's replicas up");
                }
            }
        }
        let mut state = self.lock();
        state.resolved_at = Some(Instant::now());
        // Half an answer forgets nobody.
        if is_complete || state.known.is_empty() {
            state.known = known.into_values().collect();
        }
    }

    /// A certificate is for the name, not for the replica's number behind it.
    fn tls_of(&self, address: &Address) -> tls::ClientConfig {
        let mut tls = self.0.tls.clone();
        if tls.domain.is_none() && is_number(address) {
            let named = self.0.addresses.iter().filter(|address| !is_number(address));
            tls.domain = named
                .filter_map(Address::host_port)
                .map(|(host, _)| host.to_owned())
                .next();
        }
        tls
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn oldest(channels: &HashMap<Address, Kept>) -> Option<Address> {
    let oldest = channels.iter().min_by_key(|(_, kept)| kept.used_at);
    oldest.map(|(address, _)| address.clone())
}

/// Whether the address needs no name server.
fn is_number(address: &Address) -> bool {
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.host_port().is_none_or(|(host, _)| bare(host).is_ok())
}

/// One address for each replica behind `address`.
async fn resolve(address: &Address) -> std::io::Result<Vec<Address>> {
    let Some((host, port)) = address.host_port().filter(|_| !is_number(address)) else {
        return Ok(vec![address.clone()]);
    };
    let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await??;
    let (four, six): (Vec<_>, Vec<_>) = found.map(|found| found.ip()).partition(IpAddr::is_ipv4);
    let found = if four.len() >= six.len() { four } else { six };
    // One replica keeps its name, under which it is found again when its number changes. It may have a number of each kind.
    if found.len() <= 1 {
        return Ok(vec![address.clone()]);
    }
    let addresses = found.into_iter().map(|found| {
        let host = match found {
            IpAddr::V4(found) => found.to_string(),
            IpAddr::V6(found) => format!("[{found}]"),
        };
        match address {
            Address::Https { .. } => Address::Https { host, port },
            _ => Address::Http { host, port },
        }
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests;
