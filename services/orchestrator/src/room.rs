//! Where a chat's readers and its worker meet on this replica: the newest version heard of, the live log, recent changes.
//!
//! A room exists while somebody holds it. It carries no authority: what it hears only makes readers look at storage or at the log.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tandem_chassis::identity::User;
use tandem_proto::storage::v1::{ChatChange, ListChatChangesRequest, LiveTurn};
use tokio::sync::watch;
use tonic::Status;

use crate::clients::Clients;
use crate::log::Log;
use crate::relay::Relay;

/// Changes a room keeps for readers that are close behind.
const MAX_CACHED_CHANGES: usize = 256;

/// Bytes of those changes.
const MAX_CACHED_BYTES: usize = 4 * 1024 * 1024;

/// Relays of one turn that may tear. None is begun after that: readers then see its answers when they are durable.
const MAX_TEARS: u32 = 3;

/// How long readers wait for the answer to a write of this replica before they ask storage what it changed.
const OWN_ANSWER_LIMIT: Duration = Duration::from_millis(100);

const CHANGES_DEADLINE: Duration = Duration::from_secs(5);

/// All rooms of this replica, and who waits for news of a user's chats.
pub(crate) struct Hub {
    rooms: Mutex<HashMap<String, Weak<Room>>>,
    owners: Mutex<HashMap<String, watch::Sender<u64>>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            rooms: Mutex::default(),
            owners: Mutex::default(),
        }
    }

    /// The chat's room, opened if nobody is in it.
    pub(crate) fn enter(&self, chat_id: &str) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.get(chat_id).and_then(Weak::upgrade) {
            return room;
        }
        if rooms.len() >= 1024 && rooms.len().is_power_of_two() {
            rooms.retain(|_, room| room.strong_count() > 0);
        }
        let room = Arc::new(Room::new(chat_id));
        rooms.insert(chat_id.to_owned(), Arc::downgrade(&room));
        room
    }

    /// A change this replica has just made, for the readers it has.
    pub(crate) fn learn(&self, change: Option<ChatChange>) {
        let Some(change) = change else { return };
        if let Some(room) = self.find(&change.chat_id) {
            room.learn(change);
        }
    }

    /// The chat's room, if anybody is in it.
    pub(crate) fn find(&self, chat_id: &str) -> Option<Arc<Room>> {
        lock(&self.rooms).get(chat_id).and_then(Weak::upgrade)
    }

    /// The chat has at least this version.
    pub(crate) fn hint(&self, chat_id: &str, version: i64) {
        if let Some(room) = self.find(chat_id) {
            room.observe(version);
        }
    }

    /// There may be news in this user's feed.
    pub(crate) fn hint_owner(&self, owner_id: &str) {
        if let Some(owner) = lock(&self.owners).get(owner_id) {
            owner.send_modify(|count| *count += 1);
        }
    }

    /// The chats somebody reads here.
    pub(crate) fn read_chats(&self) -> Vec<String> {
        let rooms = lock(&self.rooms);
        let read = rooms
            .iter()
            .filter(|(_, room)| room.upgrade().is_some_and(|room| room.ticks.receiver_count() > 0));
        read.map(|(chat_id, _)| chat_id.clone()).collect()
    }

    /// Hints may have been lost: everybody looks for himself.
    pub(crate) fn alarm(&self) {
        let rooms: Vec<_> = lock(&self.rooms).values().filter_map(Weak::upgrade).collect();
        for room in rooms {
            room.alarm();
        }
        for owner in lock(&self.owners).values() {
            owner.send_modify(|count| *count += 1);
        }
    }

    /// Ticks whenever one of this user's chats may have changed.
    pub(crate) fn follow_owner(&self, owner_id: &str) -> watch::Receiver<u64> {
        let mut owners = lock(&self.owners);
        owners.retain(|_, sender| sender.receiver_count() > 0);
        owners
            .entry(owner_id.to_owned())
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe()
    }
}

/// One chat on this replica.
pub(crate) struct Room {
    chat_id: String,
    ticks: watch::Sender<u64>,
    /// Writes of this replica that are not answered yet.
    writes: AtomicUsize,
    state: Mutex<State>,
    /// One reader asks storage for changes; the others then find them in the room.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The newest version heard of.
    version: i64,
    /// The newest version this replica's own turn has made.
    explained: i64,
    log: Option<Arc<Log>>,
    /// The newest turn heard of, on whatever replica.
    turn: LiveTurn,
    /// What brings that turn's log here, while readers hold it.
    relay: Weak<Relay>,
    /// Relays of that turn that tore.
    tears: u32,
    /// Recent changes by version; there may be gaps.
    changes: BTreeMap<i64, Arc<ChatChange>>,
    changes_bytes: usize,
}

impl State {
    /// Keeps a change for readers that are close behind; the oldest make room.
    fn keep(&mut self, change: Arc<ChatChange>) {
        let size = prost::Message::encoded_len(change.as_ref());
        if let Entry::Vacant(place) = self.changes.entry(change.version) {
            place.insert(change);
            self.changes_bytes += size;
        }
        while self.changes.len() > MAX_CACHED_CHANGES || self.changes_bytes > MAX_CACHED_BYTES {
            let Some((_, oldest)) = self.changes.pop_first() else {
                break;
            };
            self.changes_bytes -= prost::Message::encoded_len(oldest.as_ref());
        }
    }
}

/// A write that is not answered yet.
pub(crate) struct Writing(Arc<Room>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writes.fetch_sub(1, Ordering::SeqCst);
        self.0.tick();
    }
}

/// Changes behind a version.
pub(crate) enum Changes {
    /// In order and without gaps; empty when there is nothing new.
    Next(Vec<Arc<ChatChange>>),
    /// They are no longer kept; take a snapshot.
    Expired,
}

impl Room {
    fn new(chat_id: &str) -> Self {
        Self {
            chat_id: chat_id.to_owned(),
            ticks: watch::Sender::new(0),
            writes: AtomicUsize::new(0),
            state: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// The chat it belongs to.
    pub(crate) fn chat_id(&self) -> &str {
        &self.chat_id
    }

    /// Ticks whenever there may be something new to read.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Tells readers that the log has grown.
    pub(crate) fn tick(&self) {
        self.ticks.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Heard that the chat has at least this version.
    pub(crate) fn observe(&self, version: i64) {
        let is_news = {
            let mut state = self.lock();
            let is_news = version > state.version;
            state.version = state.version.max(version);
            is_news
        };
        if is_news {
            self.tick();
        }
    }

    /// A change to this version was made by the turn on this replica: news for readers, but nothing the turn has to look into.
    pub(crate) fn explain(&self, version: i64) {
        {
            let mut state = self.lock();
            state.explained = state.explained.max(version);
        }
        self.observe(version);
    }

    /// Announces a write until the guard is dropped: its answer will tell readers here what it changed, so that they need not ask.
    pub(crate) fn writing(self: &Arc<Self>) -> Writing {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Writing(Arc::clone(self))
    }

    /// A change this replica has just made, as storage answered it: readers find it here and need not ask.
    pub(crate) fn learn(&self, change: ChatChange) {
        let version = change.version;
        self.lock().keep(Arc::new(change));
        self.observe(version);
    }

    /// The newest version this replica's own turn has made.
    pub(crate) fn explained(&self) -> i64 {
        self.lock().explained
    }

    /// Whether a later epoch's log has taken the place of this one's.
    pub(crate) fn is_over(&self, epoch: i64) -> bool {
        self.lock().log.as_ref().is_some_and(|log| log.epoch() > epoch)
    }

    /// Heard that hints were lost: readers ask storage whatever they have seen.
    pub(crate) fn alarm(&self) {
        self.lock().version += 1;
        self.tick();
    }

    /// The newest version heard of; 0 before the first news.
    pub(crate) fn version(&self) -> i64 {
        self.lock().version
    }

    /// Opens the live log of an epoch; readers find it from now on.
    pub(crate) fn open_log(&self, epoch: i64, version: i64) -> Arc<Log> {
        let log = Arc::new(Log::new(epoch, version));
        {
            let mut state = self.lock();
            if state.log.as_ref().is_none_or(|open| open.epoch() < epoch) {
                state.log = Some(Arc::clone(&log));
            }
        }
        // Peers may be waiting for it.
        self.tick();
        log
    }

    /// Heard from storage where the chat's turn runs.
    pub(crate) fn observe_turn(&self, turn: Option<LiveTurn>) {
        let Some(turn) = turn else { return };
        let mut state = self.lock();
        if turn.epoch > state.turn.epoch {
            state.turn = turn;
            state.tears = 0;
        }
    }

    /// The relay for the turn of this epoch: the one there is, or what `begin` makes of the turn's address. `None` where no other replica
    /// is known to run that turn.
    pub(crate) fn relay(&self, epoch: i64, begin: impl FnOnce(&str) -> Option<Arc<Relay>>) -> Option<Arc<Relay>> {
        let mut state = self.lock();
        if state.turn.epoch != epoch || state.turn.replica_address.is_empty() {
            return None;
        }
        let open = state.relay.upgrade();
        if let Some(relay) = open.filter(|relay| relay.epoch() == epoch && !relay.is_torn()) {
            return Some(relay);
        }
        if state.tears >= MAX_TEARS {
            return None;
        }
        let relay = begin(&state.turn.replica_address)?;
        state.relay = Arc::downgrade(&relay);
        Some(relay)
    }

    /// A relay of this epoch's turn tore.
    pub(crate) fn tear(&self, epoch: i64) {
        let mut state = self.lock();
        if state.turn.epoch == epoch {
            state.tears += 1;
        }
    }

    /// The live log of this epoch, if it is open here.
    pub(crate) fn log(&self, epoch: i64) -> Option<Arc<Log>> {
        self.lock()
            .log
            .as_ref()
            .filter(|log| log.epoch() == epoch)
            .map(Arc::clone)
    }

    /// Changes behind `version`, from the room or from storage. `user` must have been let in before.
    ///
    /// # Errors
    /// What storage answered; nothing was lost and asking again is safe.
    pub(crate) async fn changes_after(&self, version: i64, clients: &Clients, user: &User) -> Result<Changes, Status> {
        if let Some(changes) = self.own_after(version).await {
            return Ok(Changes::Next(changes));
        }
        let _asking = self.asking.lock().await;
        if let Some(changes) = self.cached_after(version) {
            return Ok(Changes::Next(changes));
        }
        let heard = self.version();
        let message = ListChatChangesRequest {
            chat_id: self.chat_id.clone(),
            after_version: version,
            limit: 0,
        };
        let request = clients.outbound.request(Some(user), CHANGES_DEADLINE, message);
        let answer = clients.chats.clone().list_chat_changes(request).await?.into_inner();
        self.observe_turn(answer.live_turn);
        if answer.is_expired {
            return Ok(Changes::Expired);
        }
        let changes: Vec<_> = answer.changes.into_iter().map(Arc::new).collect();
        self.remember(version, heard, &changes, answer.has_more);
        Ok(Changes::Next(changes))
    }

    /// Cached changes behind `version`, or the answer to a write that is under way.
    async fn own_after(&self, version: i64) -> Option<Vec<Arc<ChatChange>>> {
        let mut ticks = self.follow();
        let deadline = tokio::time::Instant::now() + OWN_ANSWER_LIMIT;
        loop {
            let cached = self.cached_after(version);
            if cached.is_some() || self.writes.load(Ordering::SeqCst) == 0 {
                return cached;
            }
            tokio::time::timeout_at(deadline, ticks.changed()).await.ok()?.ok()?;
        }
    }

    /// Cached changes that follow `version` without a gap; `None` when the room cannot tell.
    fn cached_after(&self, version: i64) -> Option<Vec<Arc<ChatChange>>> {
        let state = self.lock();
        let following = state.changes.range(version + 1..).zip(version + 1..);
        let next: Vec<_> = following
            .take_while(|((version, _), expected)| *version == expected)
            .map(|((_, change), _)| Arc::clone(change))
            .collect();
        (!next.is_empty()).then_some(next)
    }

    fn remember(&self, after: i64, heard: i64, changes: &[Arc<ChatChange>], has_more: bool) {
        let mut state = self.lock();
        // A false alarm raised the version above what exists; it is taken back so that readers rest. What was heard while storage
        // answered stands: it may be news that the answer does not know.
        if state.version == heard && !has_more {
            state.version = changes.last().map_or(after, |last| last.version);
        }
        for change in changes {
            state.keep(Arc::clone(change));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: i64) -> Arc<ChatChange> {
        Arc::new(ChatChange {
            version,
            ..ChatChange::default()
        })
    }

    #[test]
    fn a_false_alarm_is_taken_back() {
        let room = Room::new("chat");
        room.observe(5);
        room.alarm();
        let heard = room.version();
        room.remember(5, heard, &[], false);
        assert_eq!(room.version(), 5);
    }

    #[test]
    fn news_heard_while_storage_answered_is_kept() {
        let room = Room::new("chat");
        room.alarm();
        let heard = room.version();
        room.observe(6);
        room.remember(5, heard, &[], false);
        assert_eq!(
            room.version(),
            6,
            "the answer did not know of version 6; a reader must still look for it"
        );
    }

    #[test]
    fn readers_close_behind_are_served_from_the_room() {
        let room = Room::new("chat");
        room.remember(0, 0, &[change(1), change(2), change(3)], false);
        let versions = |after| {
            room.cached_after(after)
                .map(|changes| changes.iter().map(|c| c.version).collect::<Vec<_>>())
        };
        assert_eq!(versions(1), Some(vec![2, 3]));
        assert_eq!(versions(3), None, "the room cannot know whether there is more");
    }

    #[test]
    fn a_gap_in_what_is_remembered_is_never_served() {
        let room = Room::new("chat");
        room.remember(0, 0, &[change(1), change(2)], false);
        room.learn(ChatChange::clone(&change(5)));
        let versions = |after| {
            room.cached_after(after)
                .map(|changes| changes.iter().map(|c| c.version).collect::<Vec<_>>())
        };
        assert_eq!(versions(0), Some(vec![1, 2]));
        assert_eq!(versions(2), None);
        assert_eq!(versions(4), Some(vec![5]));
        assert_eq!(room.version(), 5, "readers look for what lies between");
    }

    #[test]
    fn answers_that_overtake_each_other_are_put_in_order() {
        let room = Room::new("chat");
        room.learn(ChatChange::clone(&change(4)));
        room.learn(ChatChange::clone(&change(3)));
        let next = room.cached_after(2).unwrap();
        assert_eq!(next.iter().map(|change| change.version).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_room_lives_as_long_as_somebody_is_in_it() {
        let hub = Hub::new();
        let room = hub.enter("chat");
        hub.hint("chat", 7);
        assert_eq!(room.version(), 7);
        assert!(Arc::ptr_eq(&room, &hub.enter("chat")));
        drop(room);
        assert_eq!(hub.enter("chat").version(), 0, "an empty room is forgotten");
    }

    #[test]
    fn the_newest_turn_is_the_one_that_is_relayed() {
        let room = Room::new("chat");
        let turn = |epoch, address: &str| {
            Some(LiveTurn {
                epoch,
                replica_address: address.to_owned(),
            })
        };
        room.observe_turn(turn(4, "http://b"));
        room.observe_turn(turn(3, "http://a"));
        room.observe_turn(None);
        let asked = |epoch| {
            let mut asked = None;
            room.relay(epoch, |address| {
                asked = Some(address.to_owned());
                None
            });
            asked
        };
        assert_eq!(asked(3), None);
        assert_eq!(asked(4).as_deref(), Some("http://b"));
    }

    #[test]
    fn a_turn_whose_relays_keep_tearing_is_relayed_no_more() {
        let room = Room::new("chat");
        room.observe_turn(Some(LiveTurn {
            epoch: 4,
            replica_address: "http://b".to_owned(),
        }));
        let begins = || {
            let mut begins = false;
            room.relay(4, |_| {
                begins = true;
                None
            });
            begins
        };
        for _ in 0..MAX_TEARS {
            assert!(begins());
            room.tear(4);
        }
        assert!(!begins());
    }
}
