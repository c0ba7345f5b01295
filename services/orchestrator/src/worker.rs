//! This replica's turns: claiming chats, keeping their leases, passing stops on, handing everything back when it drains.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tandem_chassis::Runtime;
use tandem_chassis::clock::Clock;
use tandem_chassis::identity::User;
use tandem_chassis::lifecycle::{OnEnd, Shutdown, Tasks};
use tandem_proto::common::v1::ChatStatus;
use tandem_proto::storage::v1::{ClaimChatsRequest, ClaimedChat, Lease, ReleaseChatRequest, RenewLeasesRequest};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::clients::{Clients, Held, STORAGE_DEADLINE};
use crate::config::Config;
use crate::due::Due;
use crate::metrics::Metrics;
use crate::room::{Hub, Room};
use crate::title::{OfTurn, Titles};
use crate::turn::{Cause, Progress, Turn};

/// Chats claimed by one request.
const CLAIM_BATCH: usize = 32;

/// After a hint about one of our own chats, the time our own commit's answer gets to explain it.
const HINT_PATIENCE: Duration = Duration::from_millis(30);

/// Runs the turns of one replica. Cheap to clone; clones share the turns.
#[derive(Clone)]
pub(crate) struct Worker(Arc<Parts>);

struct Parts {
    replica_id: String,
    config: Config,
    clients: Clients,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    tasks: Tasks,
    metrics: Metrics,
    titles: Titles,
    due: Arc<Due>,
    running: Mutex<HashMap<String, Running>>,
    /// Told when the last turn has ended, and when no other can begin.
    idle: Notify,
}

/// A turn this replica runs.
struct Running {
    epoch: i64,
    /// The version the claim made.
    claimed_at: i64,
    cause: watch::Sender<Option<Cause>>,
}

impl Worker {
    pub(crate) fn new(
        config: &Config,
        clients: &Clients,
        hub: &Arc<Hub>,
        runtime: &Runtime,
        metrics: &Metrics,
        titles: &Titles,
    ) -> Self {
        Self(Arc::new(Parts {
            // Random for each process: leases of an earlier life are not ours.
            replica_id: Uuid::now_v7().to_string(),
            config: config.clone(),
            clients: clients.clone(),
            hub: Arc::clone(hub),
            clock: Arc::clone(&runtime.clock),
            shutdown: runtime.shutdown.clone(),
            tasks: runtime.tasks.clone(),
            metrics: metrics.clone(),
            titles: titles.clone(),
            due: Arc::default(),
            running: Mutex::default(),
            idle: Notify::new(),
        }))
    }

    /// Starts claiming and renewing.
    pub(crate) fn start(&self) {
        let claims = self.clone();
        self.0
            .tasks
            .spawn("claim chats", OnEnd::Fatal, async move { claims.claim_loop().await });
        let renewals = self.clone();
        self.0
            .tasks
            .spawn("renew leases", OnEnd::Fatal, async move { renewals.renew_loop().await });
    }

    /// There may be work: storage is asked for it.
    pub(crate) fn search(&self) {
        self.0.due.search();
    }

    /// This chat was due at this version.
    pub(crate) fn hear(&self, chat_id: &str, version: i64) {
        self.0.due.hear(chat_id, version);
    }

    /// A command asked this epoch's turn to stop. Another epoch's turn is not concerned.
    pub(crate) fn interrupt(&self, chat_id: &str, epoch: i64) {
        self.signal(chat_id, epoch, Cause::Interrupted);
    }

    /// Heard that a chat of ours may have changed under us: asks what became of its lease.
    pub(crate) fn look_at(&self, chat_id: &str, version: i64) {
        if !self.lock().contains_key(chat_id) {
            return;
        }
        let (worker, chat_id) = (self.clone(), chat_id.to_owned());
        self.0.tasks.spawn("look at chat", OnEnd::Expected, async move {
            tokio::time::sleep(HINT_PATIENCE).await;
            if worker.0.hub.enter(&chat_id).explained() >= version {
                return;
            }
            let lease = worker
                .lock()
                .get(&chat_id)
                .map(|running| lease_of(&chat_id, running.epoch));
            if let Some(lease) = lease {
                worker.renew(vec![lease]).await;
            }
        });
    }

    async fn claim_loop(&self) {
        let draining = self.0.shutdown.draining();
        tokio::pin!(draining);
        let mut is_search = true;
        while !self.0.shutdown.is_draining() {
            let heard = self.0.due.take();
            let chats = self.not_claimed_since(heard.chats);
            for chats in chats.chunks(CLAIM_BATCH) {
                // Without room for another turn they wait for the search.
                self.claim(chats.to_vec()).await;
            }
            if is_search || heard.is_search {
                is_search = self.claim(Vec::new()).await;
                if is_search {
                    continue;
                }
            }
            tokio::select! {
                biased;
                () = &mut draining => break,
                () = self.0.due.news() => {}
                () = tokio::time::sleep(self.0.config.lease.poll_interval) => is_search = true,
            }
        }
        // No claim can follow, so what runs now is all there is to hand back.
        for (chat_id, epoch) in self.epochs() {
            self.signal(&chat_id, epoch, Cause::Draining);
        }
        self.0.idle.notify_one();
    }

    /// Chats heard to be due, without those that this replica has claimed since.
    fn not_claimed_since(&self, heard: HashMap<String, i64>) -> Vec<String> {
        let running = self.lock();
        let is_due = |(chat_id, version): &(String, i64)| {
            running.get(chat_id).is_none_or(|running| running.claimed_at < *version)
        };
        heard.into_iter().filter(is_due).map(|(chat_id, _)| chat_id).collect()
    }

    /// Claims one batch, of these chats or of whatever is due; says whether more may be due at once.
    async fn claim(&self, chat_ids: Vec<String>) -> bool {
        let room = self.0.config.turns.max_running.saturating_sub(self.lock().len());
        let limit = room.min(CLAIM_BATCH);
        if limit == 0 {
            return false;
        }
        let rooms = chat_ids.iter().filter_map(|chat_id| self.0.hub.find(chat_id));
        let _writing: Vec<_> = rooms.map(|room| room.writing()).collect();
        let message = ClaimChatsRequest {
            replica_id: self.0.replica_id.clone(),
            limit: i32::try_from(limit).unwrap_or(i32::MAX),
            ttl: prost_types::Duration::try_from(self.0.config.lease.ttl).ok(),
            replica_address: self
                .0
                .config
                .advertised_address
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            chat_ids: chat_ids.into_iter().take(limit).collect(),
            begins_steps: true,
            provider_gateway_address: self.0.clients.completions.choose().await,
        };
        let request = self.0.clients.outbound.request(None, STORAGE_DEADLINE, message);
        match self.0.clients.turns.clone().claim_chats(request).await {
            Ok(answer) => {
                let chats = answer.into_inner().chats;
                let is_full = chats.len() == limit;
                for claimed in chats {
                    self.run(claimed);
                }
                is_full
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), error = status.message(), "could not claim chats");
                false
            }
        }
    }

    fn run(&self, claimed: ClaimedChat) {
        let (Some(lease), Some(chat)) = (claimed.lease, claimed.chat) else {
            tracing::error!("a claim without lease or chat");
            return;
        };
        let Some(owner) = owner_of(&chat) else {
            tracing::error!(chat_id = chat.id, "a claimed chat without an owner");
            return;
        };
        let (sender, cause) = watch::channel(None);
        if chat.status == i32::from(ChatStatus::Interrupting) {
            sender.send_replace(Some(Cause::Interrupted));
        }
        let room = self.0.hub.enter(&chat.id);
        // Law 6: the log is open before anybody on this replica hears that the chat runs.
        let log = room.open_log(lease.epoch, chat.version);
        if let Some(change) = claimed.change {
            room.learn(change);
        }
        room.explain(chat.version);
        let earlier = self.lock().insert(
            chat.id.clone(),
            Running {
                epoch: lease.epoch,
                claimed_at: chat.version,
                cause: sender,
            },
        );
        if let Some(earlier) = earlier {
            earlier.cause.send_replace(Some(Cause::Lost));
        }
        self.0.metrics.running(self.lock().len());
        let turn = Turn {
            clients: self.0.clients.clone(),
            room,
            log,
            clock: Arc::clone(&self.0.clock),
            metrics: self.0.metrics.clone(),
            limits: self.0.config.turns.clone(),
            due: Arc::clone(&self.0.due),
            titles: OfTurn::new(&self.0.titles, &chat, &owner),
            mcp_servers: HashMap::new(),
            context_limit: 0,
            progress: Progress::default(),
            begun: None,
            held: Held::default(),
            epoch: lease.epoch,
            owner,
            cause,
            chat,
        };
        let done = Done {
            worker: self.clone(),
            chat_id: turn.chat.id.clone(),
            epoch: lease.epoch,
        };
        if self.0.shutdown.is_draining() {
            self.signal(&done.chat_id, done.epoch, Cause::Draining);
        }
        self.0.tasks.spawn("turn", OnEnd::Expected, async move {
            // Leaves the list however the turn ends; a lease that was not given back expires and the chat is claimed again.
            let _done = done;
            let crash = Crash::of(&turn);
            if AssertUnwindSafe(turn.run()).catch_unwind().await.is_err() {
                crash.report().await;
            }
        });
    }

    async fn renew_loop(&self) {
        let mut ticks = tokio::time::interval(self.0.config.lease.renew_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // While draining there is nothing to wait for once nothing runs.
            let idle = async {
                self.0.shutdown.draining().await;
                self.0.idle.notified().await;
            };
            tokio::select! {
                biased;
                () = self.0.shutdown.stopped() => return,
                () = idle => {}
                _ = ticks.tick() => {}
            }
            let leases: Vec<Lease> = self
                .epochs()
                .into_iter()
                .map(|(chat_id, epoch)| lease_of(&chat_id, epoch))
                .collect();
            if !leases.is_empty() {
                self.renew(leases).await;
            } else if self.0.shutdown.is_draining() {
                return;
            }
        }
    }

    /// Extends leases; turns whose lease is gone, or that were asked to stop, hear of it. A failed call means nothing.
    async fn renew(&self, leases: Vec<Lease>) {
        let message = RenewLeasesRequest {
            replica_id: self.0.replica_id.clone(),
            leases: leases.clone(),
            ttl: prost_types::Duration::try_from(self.0.config.lease.ttl).ok(),
        };
        let request = self.0.clients.outbound.request(None, STORAGE_DEADLINE, message);
        let answer = match self.0.clients.turns.clone().renew_leases(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                tracing::warn!(code = ?status.code(), error = status.message(), "could not renew leases");
                return;
            }
        };
        let mut lost: HashMap<String, i64> = leases.into_iter().map(|lease| (lease.chat_id, lease.epoch)).collect();
        for renewed in answer.leases {
            let Some(lease) = renewed.lease else { continue };
            if renewed.is_interrupting {
                self.interrupt(&lease.chat_id, lease.epoch);
            }
            lost.remove(&lease.chat_id);
        }
        for (chat_id, epoch) in lost {
            self.signal(&chat_id, epoch, Cause::Lost);
        }
    }

    fn signal(&self, chat_id: &str, epoch: i64, cause: Cause) {
        let running = self.lock();
        let Some(running) = running.get(chat_id).filter(|running| running.epoch == epoch) else {
            return;
        };
        running.cause.send_if_modified(|known| {
            // The first cause stands, but a lost lease beats all: nothing may be written then.
            let is_news = known.is_none() || (cause == Cause::Lost && *known != Some(Cause::Lost));
            if is_news {
                *known = Some(cause);
            }
            is_news
        });
    }

    fn epochs(&self) -> Vec<(String, i64)> {
        self.lock()
            .iter()
            .map(|(chat_id, running)| (chat_id.clone(), running.epoch))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is needed to hand a chat back whose turn has panicked.
struct Crash {
    clients: Clients,
    room: Arc<Room>,
    due: Arc<Due>,
    chat_id: String,
    epoch: i64,
}

impl Crash {
    fn of(turn: &Turn) -> Self {
        Self {
            clients: turn.clients.clone(),
            room: Arc::clone(&turn.room),
            due: Arc::clone(&turn.due),
            chat_id: turn.chat.id.clone(),
            epoch: turn.epoch,
        }
    }

    /// The runtime has logged the panic itself. The chat goes back at once: storage counts, and sets it aside if it keeps happening.
    async fn report(self) {
        let message = ReleaseChatRequest {
            chat_id: self.chat_id.clone(),
            epoch: self.epoch,
            has_crashed: true,
        };
        let request = self.clients.outbound.request(None, STORAGE_DEADLINE, message);
        match self.clients.turns.clone().release_chat(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                tracing::error!(
                    chat_id = self.chat_id,
                    is_quarantined = answer.is_quarantined,
                    "turn crashed"
                );
                self.room.explain(answer.version);
                self.due.hear(&self.chat_id, answer.version);
            }
            Err(status) => {
                tracing::error!(chat_id = self.chat_id, code = ?status.code(), "turn crashed, and could not be handed back");
            }
        }
    }
}

/// Takes a turn off the list when it ends, however it ends.
struct Done {
    worker: Worker,
    chat_id: String,
    epoch: i64,
}

impl Drop for Done {
    fn drop(&mut self) {
        let count = {
            let mut running = self.worker.lock();
            if running
                .get(&self.chat_id)
                .is_some_and(|running| running.epoch == self.epoch)
            {
                running.remove(&self.chat_id);
            }
            running.len()
        };
        self.worker.0.metrics.running(count);
        if count == 0 {
            self.worker.0.idle.notify_one();
        }
    }
}

fn lease_of(chat_id: &str, epoch: i64) -> Lease {
    Lease {
        chat_id: chat_id.to_owned(),
        epoch,
        expires_at: None,
    }
}

/// The identity tools and files are used with: the chat's owner, as a plain member of the chat's organisation.
fn owner_of(chat: &tandem_proto::common::v1::Chat) -> Option<User> {
    Some(User {
        id: chat.owner_id.parse().ok()?,
        is_admin: false,
        organization_ids: vec![chat.organization_id.parse().ok()?],
    })
}
