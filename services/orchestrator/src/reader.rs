//! One reader of one chat: turns committed changes and the live log into one ordered sequence of events, each with a cursor.
//!
//! The order is: durable changes by version; between two versions, the live entries that follow the first. A message takes the
//! place of its step's live parts, so those that were not sent yet go out before it. A reader holds a position and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tandem_chassis::fault;
use tandem_chassis::identity::User;
use tandem_chat_core::cursor::{Cursor, Place};
use tandem_chat_core::id::{Epoch, Version};
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::stream_event::Event as Wire;
use tandem_proto::common::v1::{
    ActionRequiredEvent, Chat, ChatMessage, ChatStatus, HistoryReset, Part, PreviewReset, QueueEvent, Role,
    StatusEvent, StreamEvent,
};
use tandem_proto::storage::v1::{
    ChatChange, GetChatRequest, GetChatSnapshotRequest, GetChatSnapshotResponse, StepPosition,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use crate::clients::{Clients, STORAGE_DEADLINE};
use crate::log::{Entry, Event, Log, Position};
use crate::relay::{Relay, Relays};
use crate::room::{Changes, Room};

/// Events handed out at once.
pub(crate) const MAX_BATCH: usize = 256;

/// Bytes of a batch; one event alone may be larger.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// How long a message waits for those of its live parts that are on their way from another replica. Without them it is shown whole.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(1);

/// Where a reader wants to begin.
pub(crate) enum Start {
    /// With a snapshot holding messages behind this id.
    Snapshot { after_message_id: i64 },
    /// Behind a place it has reached before.
    Cursor(Cursor),
}

/// A reader's position in a chat.
pub(crate) struct Reader {
    chat_id: String,
    user: User,
    clients: Clients,
    room: Arc<Room>,
    ticks: watch::Receiver<u64>,
    relays: Arc<Relays>,
    /// Brings the live log here while the turn runs on another replica.
    relay: Option<Arc<Relay>>,
    /// Everything up to this version was handed out.
    version: i64,
    /// The epoch whose log is live, while the chat runs.
    epoch: Option<i64>,
    /// The live entries handed out in this turn.
    position: Option<Position>,
    /// A snapshot was handed out and nothing of the live log yet: attempts withdrawn meanwhile are not worth showing.
    is_fresh: bool,
    /// Events of the next change that were handed out before the reader came back.
    skip: u32,
    /// Changes not applied yet, at most one page.
    changes: VecDeque<Next>,
    /// When the first of them is applied whatever is still on its way.
    patience: Option<Instant>,
    /// Events not handed out yet, at most one snapshot or one page of changes.
    ready: VecDeque<StreamEvent>,
}

/// A change to be applied.
struct Next {
    change: Arc<ChatChange>,
    /// It carries the queue.
    has_queue: bool,
}

impl Reader {
    /// Lets a reader in and prepares its first events. The room is entered before storage is asked, so nothing falls between.
    ///
    /// # Errors
    /// `NOT_FOUND` for a chat the user may not see.
    pub(crate) async fn open(
        chat_id: String,
        user: User,
        clients: Clients,
        room: Arc<Room>,
        relays: Arc<Relays>,
        start: Start,
    ) -> Result<Self, Status> {
        let ticks = room.follow();
        let mut reader = Self {
            chat_id,
            user,
            clients,
            room,
            ticks,
            relays,
            relay: None,
            version: 0,
            epoch: None,
            position: None,
            is_fresh: false,
            skip: 0,
            changes: VecDeque::new(),
            patience: None,
            ready: VecDeque::new(),
        };
        match start {
            Start::Snapshot { after_message_id } => {
                let snapshot = reader.take_snapshot(after_message_id).await?;
                reader.show_snapshot(snapshot);
            }
            Start::Cursor(cursor) => reader.resume(cursor).await?,
        }
        if fault::is_off("cursor") {
            reader.position = None;
        }
        Ok(reader)
    }

    /// The next events, 1 to [`MAX_BATCH`] and of about [`MAX_BATCH_BYTES`]. Waits for as long as nothing happens; dropping the future loses nothing.
    ///
    /// # Errors
    /// What storage answered; the reader can be asked again.
    pub(crate) async fn next(&mut self) -> Result<Vec<StreamEvent>, Status> {
        loop {
            self.ticks.mark_unchanged();
            if self.ready.is_empty() && self.relay.as_ref().is_some_and(|relay| relay.is_torn()) {
                Box::pin(self.start_over()).await?;
            }
            if self.ready.is_empty() && self.changes.is_empty() && self.room.version() > self.version {
                // Boxed, like all that is rare: a silent reader holds no room for it.
                Box::pin(self.read_changes()).await?;
            }
            if self.ready.is_empty() {
                self.apply_changes();
            }
            if self.ready.is_empty() {
                self.read_log();
            }
            if !self.ready.is_empty() {
                let rest = self.ready.split_off(batch_len(&self.ready));
                return Ok(std::mem::replace(&mut self.ready, rest).into());
            }
            // Whoever keeps the room's version up to date wakes the reader, also where a hint was lost.
            let is_open = match self.patience {
                Some(end) => tokio::time::timeout_at(end, self.ticks.changed())
                    .await
                    .unwrap_or(Ok(())),
                None => self.ticks.changed().await,
            };
            is_open.map_err(|_| Status::unavailable("the chat's room was closed"))?;
        }
    }

    async fn take_snapshot(&mut self, after_message_id: i64) -> Result<GetChatSnapshotResponse, Status> {
        let message = GetChatSnapshotRequest {
            chat_id: self.chat_id.clone(),
            after_message_id,
        };
        let request = self
            .clients
            .outbound
            .request(Some(&self.user), STORAGE_DEADLINE, message);
        let mut snapshot = self
            .clients
            .chats
            .clone()
            .get_chat_snapshot(request)
            .await?
            .into_inner();
        self.room.observe_turn(snapshot.live_turn.take());
        let chat = snapshot
            .chat
            .as_ref()
            .ok_or_else(|| Status::internal("snapshot without a chat"))?;
        if let Some(epoch) = live_epoch(chat) {
            self.find_log(epoch);
            if let Some(relay) = &self.relay {
                relay.caught_up(CATCH_UP_LIMIT).await;
            }
        }
        Ok(snapshot)
    }

    fn show_snapshot(&mut self, snapshot: GetChatSnapshotResponse) {
        let chat = snapshot.chat.unwrap_or_default();
        self.version = chat.version;
        self.room.observe(chat.version);
        self.epoch = live_epoch(&chat);
        self.position = snapshot.sealed.as_ref().map(position_of);
        self.changes.clear();
        self.patience = None;
        self.skip = 0;

        // Until the last event of the snapshot is out, coming back means taking it again.
        let begin = Cursor::START;
        self.emit(begin, Wire::Status(StatusEvent { status: chat.status }));
        // Messages before live parts: whoever drops the parts shown when an answer arrives must not drop those that follow it.
        for message in snapshot.messages {
            self.emit(begin, Wire::Message(message));
        }
        self.is_fresh = true;
        if let Some(log) = self.log() {
            let entries = log.read(self.live_start(&log), self.version, usize::MAX);
            self.show_live(entries, Some(begin));
        }
        if !snapshot.queue.is_empty() {
            self.emit(
                begin,
                Wire::QueueUpdate(QueueEvent {
                    messages: snapshot.queue,
                }),
            );
        }
        if let Some(error) = chat.last_error.filter(|_| chat.status == i32::from(ChatStatus::Error)) {
            self.emit(begin, Wire::Error(error));
        }
        if !chat.pending_tool_calls.is_empty() {
            self.emit(
                begin,
                Wire::ActionRequired(ActionRequiredEvent {
                    tool_calls: chat.pending_tool_calls,
                }),
            );
        }
        self.finish_emitting();
    }

    async fn resume(&mut self, cursor: Cursor) -> Result<(), Status> {
        let message = GetChatRequest {
            chat_id: self.chat_id.clone(),
        };
        let request = self
            .clients
            .outbound
            .request(Some(&self.user), STORAGE_DEADLINE, message);
        let answer = self.clients.chats.clone().get_chat(request).await?.into_inner();
        self.room.observe_turn(answer.live_turn);
        let chat = answer.chat.ok_or_else(|| Status::internal("answer without a chat"))?;

        let is_usable = cursor != Cursor::START && cursor.version.0 <= chat.version;
        if !is_usable {
            return self.start_over().await;
        }
        self.version = cursor.version.0;
        self.skip = cursor.seen;
        self.room.observe(chat.version);
        if let Some(place) = cursor.live {
            self.epoch = Some(place.epoch.0);
            self.position = Some(Position {
                step: place.step,
                attempt: place.attempt,
                index: place.index,
            });
        } else if self.version == chat.version {
            self.epoch = live_epoch(&chat);
        }
        Ok(())
    }

    /// What was shown can no longer be continued: it is withdrawn, and a snapshot follows.
    async fn start_over(&mut self) -> Result<(), Status> {
        // What tore is let go first, so that the snapshot finds a whole log.
        self.relay = self.relay.take().filter(|relay| !relay.is_torn());
        let snapshot = self.take_snapshot(0).await?;
        self.emit(Cursor::START, Wire::PreviewReset(PreviewReset {}));
        self.emit(Cursor::START, Wire::HistoryReset(HistoryReset { from_message_id: 0 }));
        self.show_snapshot(snapshot);
        Ok(())
    }

    async fn read_changes(&mut self) -> Result<(), Status> {
        match self.room.changes_after(self.version, &self.clients, &self.user).await? {
            Changes::Expired => self.start_over().await?,
            Changes::Next(changes) => {
                // Only the last change of the queue carries it; the ones before have nothing to show.
                let queue_version = changes
                    .iter()
                    .rev()
                    .find(|change| change.is_queue_changed)
                    .map(|change| change.version);
                self.changes = changes
                    .into_iter()
                    .map(|change| Next {
                        has_queue: queue_version == Some(change.version),
                        change,
                    })
                    .collect();
            }
        }
        Ok(())
    }

    /// Applies changes in order, up to one whose live parts are still on their way.
    fn apply_changes(&mut self) {
        while let Some(next) = self.changes.pop_front() {
            if self.must_wait(&next.change) {
                self.changes.push_front(next);
                return;
            }
            self.patience = None;
            self.apply(&next.change, next.has_queue);
        }
    }

    /// Whether the live parts that this change replaces are about to arrive from another replica.
    fn must_wait(&mut self, change: &ChatChange) -> bool {
        let Some(sealed) = &change.sealed else { return false };
        let until = position_of(sealed);
        let relay = self.relay.as_ref().filter(|relay| relay.epoch() == sealed.epoch);
        if self.position >= Some(until) || !relay.is_some_and(|relay| relay.is_behind(until)) {
            return false;
        }
        let now = Instant::now();
        now < *self.patience.get_or_insert(now + CATCH_UP_LIMIT)
    }

    fn apply(&mut self, change: &ChatChange, has_queue: bool) {
        if let Some(sealed) = &change.sealed {
            self.catch_up(sealed);
        }
        let before = self.cursor();
        let skip = std::mem::take(&mut self.skip);
        // Each event has a number in its change, also those left out now, so that a reader can come back between two of them.
        for (number, event) in (1..).zip(events_of(change, has_queue)) {
            if let Some(event) = event.filter(|_| number > skip) {
                self.emit(before.within_next(number), event);
            }
        }
        // A turn begins with a message, or when a chat at rest is asked to go on (another try, a compaction).
        let is_speech = |message: &&ChatMessage| message.role == i32::from(Role::User) && !is_context(message);
        let has_message = change.messages.iter().any(|message| is_speech(&message));
        let has_new_turn = has_message || (is_at_rest(change.previous_status) && !is_at_rest(change.status));
        self.version = change.version;
        self.epoch = is_live(change.status).then_some(change.epoch);
        if self.epoch.is_none() {
            self.relay = None;
        }
        if has_new_turn {
            self.position = None;
        }
        self.finish_emitting();
    }

    /// Hands out what is left of the live parts that a message is about to replace.
    fn catch_up(&mut self, sealed: &StepPosition) {
        let until = position_of(sealed);
        let mirror = || self.relay.as_ref().filter(|relay| relay.epoch() == sealed.epoch);
        let log = self
            .room
            .log(sealed.epoch)
            .or_else(|| mirror().map(|relay| Arc::clone(relay.log())));
        if let Some(log) = log {
            let entries = log.read_until(self.live_start(&log), until);
            self.show_live(entries, None);
        }
        self.position = self.position.max(Some(until));
    }

    fn read_log(&mut self) {
        let Some(log) = self.log() else { return };
        let entries = log.read(self.live_start(&log), self.version, MAX_BATCH);
        self.show_live(entries, None);
    }

    fn log(&mut self) -> Option<Arc<Log>> {
        self.find_log(self.epoch?)
    }

    /// The log of this epoch, or its mirror while the turn runs on another replica.
    fn find_log(&mut self, epoch: i64) -> Option<Arc<Log>> {
        if let Some(log) = self.room.log(epoch) {
            self.relay = None;
            return Some(log);
        }
        if self.relay.as_ref().is_none_or(|relay| relay.epoch() != epoch) {
            self.relay = self.relays.join(&self.room, epoch);
        }
        self.relay.as_ref().map(|relay| Arc::clone(relay.log()))
    }

    /// Behind what place the log is read on.
    fn live_start(&self, log: &Log) -> Option<Position> {
        if self.is_fresh {
            log.snapshot_start(self.position, self.version)
        } else {
            self.position
        }
    }

    /// Hands out entries of the log, with one cursor for all or each with its own.
    fn show_live(&mut self, entries: Vec<Entry>, cursor: Option<Cursor>) {
        if entries.is_empty() {
            return;
        }
        // Who has been shown nothing has nothing withdrawn.
        let with_reset = !std::mem::take(&mut self.is_fresh) && !fault::is_off("reset");
        for entry in entries {
            self.position = Some(entry.position);
            let cursor = cursor.unwrap_or_else(|| self.cursor());
            self.emit_live(cursor, entry, with_reset);
        }
    }

    fn emit_live(&mut self, cursor: Cursor, entry: Entry, with_reset: bool) {
        match entry.event {
            Event::Part(part) => self.emit(cursor, Wire::MessagePart(part)),
            Event::Reset if with_reset => self.emit(cursor, Wire::PreviewReset(PreviewReset {})),
            Event::Reset => {}
            Event::Retry(retry) => {
                if with_reset {
                    self.emit(cursor, Wire::PreviewReset(PreviewReset {}));
                }
                self.emit(cursor, Wire::Retry(retry));
            }
        }
    }

    fn emit(&mut self, cursor: Cursor, event: Wire) {
        self.ready.push_back(StreamEvent {
            chat_id: self.chat_id.clone(),
            cursor: cursor.to_string(),
            event: Some(event),
        });
    }

    /// The last event emitted completes what came with it: coming back behind it continues here.
    fn finish_emitting(&mut self) {
        let cursor = self.cursor();
        if let Some(last) = self.ready.back_mut() {
            last.cursor = cursor.to_string();
        }
    }

    fn cursor(&self) -> Cursor {
        let version = Version(self.version);
        match (self.epoch, self.position) {
            (Some(epoch), Some(Position { step, attempt, index })) => Cursor::live(
                version,
                Place {
                    epoch: Epoch(epoch),
                    step,
                    attempt,
                    index,
                },
            ),
            (Some(_) | None, _) => Cursor::durable(version),
        }
    }
}

/// Whether a message is no more than what the model is told of its workspace: no turn begins with it.
fn is_context(message: &ChatMessage) -> bool {
    let is_told = |part: &Part| matches!(part.kind, Some(Kind::ContextFile(_) | Kind::Skill(_)));
    !message.parts.is_empty() && message.parts.iter().all(is_told)
}

/// What a change means to readers, in order: withdrawals, messages, queue, error, status, calls to be answered.
fn events_of(change: &ChatChange, has_queue: bool) -> Vec<Option<Wire>> {
    let from_message_id = change.history_reset_from_id;
    let tool_calls = change.action_required.clone();
    let mut events = vec![
        change.is_preview_reset.then_some(Wire::PreviewReset(PreviewReset {})),
        (from_message_id > 0).then_some(Wire::HistoryReset(HistoryReset { from_message_id })),
    ];
    events.extend(
        change
            .messages
            .iter()
            .map(|message| Some(Wire::Message(message.clone()))),
    );
    events.extend([
        has_queue.then(|| {
            Wire::QueueUpdate(QueueEvent {
                messages: change.queue.clone(),
            })
        }),
        change.error.clone().map(Wire::Error),
        (change.status != change.previous_status).then_some(Wire::Status(StatusEvent { status: change.status })),
        (!tool_calls.is_empty()).then_some(Wire::ActionRequired(ActionRequiredEvent { tool_calls })),
    ]);
    events
}

/// How many of these events are handed out together: at least one.
fn batch_len(ready: &VecDeque<StreamEvent>) -> usize {
    let mut bytes = 0;
    let fits = |event: &&StreamEvent| {
        let is_first = bytes == 0;
        bytes += prost::Message::encoded_len(*event);
        is_first || bytes <= MAX_BATCH_BYTES
    };
    ready.iter().take(MAX_BATCH).take_while(fits).count()
}

fn position_of(sealed: &StepPosition) -> Position {
    Position {
        step: u32::try_from(sealed.step).unwrap_or(0),
        attempt: u32::try_from(sealed.attempt).unwrap_or(0),
        index: u64::try_from(sealed.part_count).unwrap_or(0),
    }
}

/// The epoch of a chat's live log, if it has one.
fn live_epoch(chat: &Chat) -> Option<i64> {
    is_live(chat.status).then_some(chat.epoch)
}

/// Whether no turn is under way.
fn is_at_rest(status: i32) -> bool {
    status == i32::from(ChatStatus::Waiting) || status == i32::from(ChatStatus::Error)
}

/// Whether a turn with this status has a live log.
fn is_live(status: i32) -> bool {
    status == i32::from(ChatStatus::Running) || status == i32::from(ChatStatus::Interrupting)
}
