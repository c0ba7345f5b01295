//! Live parts of turns that run on another replica: one relay for each chat whose readers here need it, shared by all of them.
//!
//! A relay reads the owner's log entry by entry into a mirror with the same places, so that readers, cursors and versions work here as
//! they do there. Durable changes never travel this way. A relay carries no authority: losing it costs readers time, not truth, since
//! every part it carries is contained in a message or withdrawn by a change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tandem_chassis::backoff::Backoff;
use tandem_chassis::client::{self, Outbound};
use tandem_chassis::tls;
use tandem_chassis::transport::Address;
use tandem_chassis::with_message_limits;
use tandem_proto::orchestrator::v1::chat_stream_service_client::ChatStreamServiceClient;
use tandem_proto::orchestrator::v1::{ReadTurnLogRequest, ReadTurnLogResponse};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;

use crate::log::{Entry, Log, Position, Torn};
use crate::metrics::{Metrics, RelayGuard};
use crate::room::Room;

/// Time for the owner to accept a relay.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);

/// Pauses before asking the owner again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Attempts after which nobody waits for an owner any more. They go on all the same.
const AWAY_AFTER: u32 = 3;

/// Relays of this replica, and the way to the replicas they lead to.
pub(crate) struct Relays {
    /// Where this replica is reached itself: its own turns need no relay.
    own: Option<Address>,
    outbound: Outbound,
    tls: tls::ClientConfig,
    metrics: Metrics,
    /// One connection for each replica some relay leads to.
    peers: Mutex<HashMap<Address, Weak<Peer>>>,
}

/// A replica that runs turns.
struct Peer {
    streams: ChatStreamServiceClient<Channel>,
}

impl Relays {
    pub(crate) fn new(own: Option<Address>, tls: tls::ClientConfig, outbound: Outbound, metrics: Metrics) -> Self {
        Self {
            own,
            outbound,
            tls,
            metrics,
            peers: Mutex::default(),
        }
    }

    /// The relay for the turn of this epoch, begun if there is none; `None` where the turn needs none or cannot be reached.
    pub(crate) fn join(&self, room: &Arc<Room>, epoch: i64) -> Option<Arc<Relay>> {
        room.relay(epoch, |address| self.begin(room, epoch, address))
    }

    fn begin(&self, room: &Arc<Room>, epoch: i64, address: &str) -> Option<Arc<Relay>> {
        let address: Address = match address.parse() {
            Ok(address) => address,
            Err(error) => {
                tracing::warn!(%error, "a replica advertises what is no address");
                return None;
            }
        };
        if self.own.as_ref() == Some(&address) {
            return None;
        }
        let peer = match self.peer(&address) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(%address, %error, "a replica's address cannot be used");
                return None;
            }
        };
        tracing::debug!(chat_id = room.chat_id(), epoch, %address, "reading a turn of another replica");
        let state = Arc::new(State::new(epoch));
        let leg = Leg {
            room: Arc::clone(room),
            state: Arc::clone(&state),
            peer,
            outbound: self.outbound.clone(),
            metrics: self.metrics.clone(),
        };
        Some(Arc::new(Relay {
            state,
            task: tokio::spawn(leg.run()),
            _guard: self.metrics.relay(),
        }))
    }

    /// The connection to a replica, kept for as long as a relay uses it.
    fn peer(&self, address: &Address) -> Result<Arc<Peer>, client::Error> {
        let mut peers = self.lock();
        if let Some(peer) = peers.get(address).and_then(Weak::upgrade) {
            return Ok(peer);
        }
        let channel = client::channel(address, &self.tls)?;
        let peer = Arc::new(Peer {
            streams: with_message_limits!(ChatStreamServiceClient::new(channel)),
        });
        peers.retain(|_, peer| peer.strong_count() > 0);
        peers.insert(address.clone(), Arc::downgrade(&peer));
        Ok(peer)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Weak<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a relay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On its way to the owner, for the first time or after a break, or reading what is there already.
    CatchingUp,
    /// The mirror has all the owner has; more comes as it is said.
    Live,
    /// The owner is reached, but has no such log.
    NotOpen,
    /// The owner could not be reached or has nothing more; tried again.
    Away,
    /// The mirror cannot go on.
    Torn,
}

/// One turn's log, mirrored for as long as somebody holds the relay.
pub(crate) struct Relay {
    state: Arc<State>,
    task: JoinHandle<()>,
    _guard: RelayGuard,
}

impl Relay {
    /// The turn it belongs to.
    pub(crate) fn epoch(&self) -> i64 {
        self.state.log.epoch()
    }

    /// What has come so far.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.state.log
    }

    /// Whether the mirror has a hole: whoever showed it has to begin anew.
    pub(crate) fn is_torn(&self) -> bool {
        self.stage() == Stage::Torn
    }

    /// Whether what the owner has logged up to `position` is likely to be here soon, but is not yet.
    pub(crate) fn is_behind(&self, position: Position) -> bool {
        matches!(self.stage(), Stage::CatchingUp | Stage::Live) && self.state.log.position() < position
    }

    /// Waits until what the owner has at this moment is here, or it is clear that nothing comes, for at most `limit`.
    pub(crate) async fn caught_up(&self, limit: Duration) {
        let mut stages = self.state.stage.subscribe();
        // Both other outcomes, patience at its end and a relay that is over, leave what there is.
        let _ = tokio::time::timeout(limit, stages.wait_for(|stage| *stage != Stage::CatchingUp)).await;
    }

    fn stage(&self) -> Stage {
        *self.state.stage.borrow()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the relay and its task share.
struct State {
    log: Arc<Log>,
    stage: watch::Sender<Stage>,
}

impl State {
    fn new(epoch: i64) -> Self {
        Self {
            log: Arc::new(Log::mirror(epoch)),
            stage: watch::Sender::new(Stage::CatchingUp),
        }
    }

    /// Takes an answer of the owner over into the mirror.
    fn take(&self, answer: ReadTurnLogResponse) -> Result<(), Torn> {
        if let Some(dropped) = answer.dropped {
            self.log.pass_over(Position::from_wire(dropped));
        }
        for entry in answer.entries.into_iter().filter_map(Entry::from_wire) {
            self.log.append(entry)?;
        }
        self.stage.send_replace(match (answer.is_open, answer.has_more) {
            (false, _) => Stage::NotOpen,
            (true, true) => Stage::CatchingUp,
            (true, false) => Stage::Live,
        });
        Ok(())
    }

    /// Where the owner is to go on; `None` for the beginning.
    fn place(&self) -> Option<Position> {
        Some(self.log.position()).filter(|place| *place != Position::default())
    }
}

/// Why reading came to an end.
enum End {
    /// The connection broke or the owner refused.
    Broken(Status),
    /// What came does not fit what is here.
    Torn(Torn),
}

/// The way from the owner to the mirror.
struct Leg {
    room: Arc<Room>,
    state: Arc<State>,
    peer: Arc<Peer>,
    outbound: Outbound,
    metrics: Metrics,
}

impl Leg {
    /// Reads until the relay is dropped or torn, asking again behind the last entry whenever the owner was lost.
    async fn run(self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let end = self.read(&mut backoff).await;
            let (chat_id, epoch) = (self.room.chat_id(), self.state.log.epoch());
            self.metrics.relay_broke();
            let stage = match end {
                Ok(()) => {
                    tracing::debug!(chat_id, epoch, "the turn is over on its replica");
                    Stage::Away
                }
                Err(End::Broken(status)) => {
                    tracing::debug!(chat_id, epoch, code = ?status.code(), error = status.message(), "relay broke");
                    // A connection that broke is most likely mended at once.
                    if backoff.attempts() < AWAY_AFTER {
                        Stage::CatchingUp
                    } else {
                        Stage::Away
                    }
                }
                Err(End::Torn(torn)) => {
                    tracing::error!(chat_id, epoch, %torn, "relay given up, its readers begin anew");
                    self.room.tear(epoch);
                    return self.enter(Stage::Torn);
                }
            };
            self.enter(stage);
            backoff.wait().await;
        }
    }

    async fn read(&self, backoff: &mut Backoff) -> Result<(), End> {
        let message = ReadTurnLogRequest {
            chat_id: self.room.chat_id().to_owned(),
            epoch: self.state.log.epoch(),
            after: self.state.place().map(Position::to_wire),
        };
        let request = self.outbound.open_stream(None, OPEN_DEADLINE, message);
        let mut streams = self.peer.streams.clone();
        let mut answers = streams.read_turn_log(request).await.map_err(End::Broken)?.into_inner();
        while let Some(answer) = answers.message().await.map_err(End::Broken)? {
            if answer.is_open {
                backoff.reset();
            }
            self.state.take(answer).map_err(End::Torn)?;
            self.room.tick();
        }
        Ok(())
    }

    /// Readers that wait for what will not come now hear of it.
    fn enter(&self, stage: Stage) {
        self.state.stage.send_replace(stage);
        self.room.tick();
    }
}

#[cfg(test)]
mod tests;
