//! Streams: each is a reader that is asked for more when the caller has room for it. No queue stands between.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_chat_core::cursor::Cursor;
use tandem_proto::orchestrator::v1::chat_stream_service_server::ChatStreamService;
use tandem_proto::orchestrator::v1::{
    ReadTurnLogRequest, ReadTurnLogResponse, StreamChatRequest, StreamChatResponse, WatchChatsRequest,
    WatchChatsResponse,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::clients::Clients;
use crate::log::{Entry, Page, Position};
use crate::metrics::Metrics;
use crate::reader::{MAX_BATCH, Reader, Start};
use crate::relay::Relays;
use crate::room::{Hub, Room};
use crate::watch::Watcher;

/// How long the log of a turn that is over is kept for a peer whose connection broke, so that it can read the rest.
const REJOIN_GRACE: Duration = Duration::from_secs(2);

/// Serves [`ChatStreamService`].
pub(crate) struct Streams {
    clients: Clients,
    hub: Arc<Hub>,
    relays: Arc<Relays>,
    metrics: Metrics,
}

impl Streams {
    pub(crate) fn new(clients: Clients, hub: Arc<Hub>, relays: Relays, metrics: Metrics) -> Self {
        Self {
            clients,
            hub,
            relays: Arc::new(relays),
            metrics,
        }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ChatStreamService for Streams {
    type StreamChatStream = Answers<StreamChatResponse>;
    type WatchChatsStream = Answers<WatchChatsResponse>;
    type ReadTurnLogStream = Answers<ReadTurnLogResponse>;

    async fn stream_chat(
        &self,
        request: Request<StreamChatRequest>,
    ) -> Result<Response<Self::StreamChatStream>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let message = request.into_inner();
        let start = if message.after_cursor.is_empty() {
            Start::Snapshot {
                after_message_id: message.after_message_id,
            }
        } else {
            let cursor: Cursor = message.after_cursor.parse().map_err(|_| {
                Fault::invalid("INVALID_CURSOR", "The cursor is not one this server handed out.")
                    .violation("after_cursor", "must be the cursor of an event")
            })?;
            Start::Cursor(cursor)
        };
        let room = self.hub.enter(&message.chat_id);
        let reader = Reader::open(
            message.chat_id,
            user,
            self.clients.clone(),
            room,
            Arc::clone(&self.relays),
            start,
        )
        .await?;
        let state = (reader, self.metrics.reader());
        let events = futures::stream::try_unfold(state, |(mut reader, guard)| async move {
            let events = reader.next().await?;
            Ok(Some((StreamChatResponse { events }, (reader, guard))))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn watch_chats(
        &self,
        request: Request<WatchChatsRequest>,
    ) -> Result<Response<Self::WatchChatsStream>, Status> {
        let user = Caller::of(&request)?.user()?.clone();
        let after_cursor = request.into_inner().after_cursor;
        let watcher = Watcher::open(user, self.clients.clone(), &self.hub, after_cursor).await?;
        let state = (watcher, self.metrics.reader());
        let events = futures::stream::try_unfold(state, |(mut watcher, guard)| async move {
            let answer = watcher.next().await?;
            Ok(Some((answer, (watcher, guard))))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn read_turn_log(
        &self,
        request: Request<ReadTurnLogRequest>,
    ) -> Result<Response<Self::ReadTurnLogStream>, Status> {
        Caller::of(&request)?.require_service(&[ServiceName::Orchestrator])?;
        let message = request.into_inner();
        let room = self.hub.enter(&message.chat_id);
        let peer = Peer {
            ticks: room.follow(),
            room,
            epoch: message.epoch,
            after: message.after.map(Position::from_wire),
            was_open: None,
        };
        let answers = futures::stream::unfold(peer, |mut peer| async move {
            let answer = peer.next().await?;
            Some((Ok(answer), peer))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Another replica's place in the log of a turn that runs here.
struct Peer {
    room: Arc<Room>,
    ticks: watch::Receiver<u64>,
    epoch: i64,
    after: Option<Position>,
    /// What the last answer said of the log; `None` before the first.
    was_open: Option<bool>,
}

impl Peer {
    /// The next answer; `None` when the turn is over for good. Nothing is held back by version: the peer does that itself.
    async fn next(&mut self) -> Option<ReadTurnLogResponse> {
        loop {
            self.ticks.mark_unchanged();
            let page = self.room.log(self.epoch).map(|log| log.page(self.after, MAX_BATCH));
            let is_open = page.is_some();
            let has_entries = page.as_ref().is_some_and(|page| !page.entries.is_empty());
            if has_entries || self.was_open != Some(is_open) {
                self.was_open = Some(is_open);
                return Some(self.answer(page));
            }
            if self.room.is_over(self.epoch) {
                return None;
            }
            self.ticks.changed().await.ok()?;
        }
    }

    /// What is there, in the contract's shape.
    fn answer(&mut self, page: Option<Page>) -> ReadTurnLogResponse {
        let Some(page) = page else {
            return ReadTurnLogResponse::default();
        };
        self.after = page.entries.last().map_or(self.after, |last| Some(last.position));
        ReadTurnLogResponse {
            entries: page.entries.into_iter().map(Entry::into_wire).collect(),
            is_open: true,
            has_more: page.has_more,
            dropped: page.dropped.map(Position::to_wire),
        }
    }
}

impl Drop for Peer {
    /// Nothing tells a peer that has left from one whose connection broke, so the log waits for either.
    fn drop(&mut self) {
        let is_worth_it = self.room.log(self.epoch).is_some();
        // There is no runtime any more when the whole process is on its way out.
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && is_worth_it
        {
            let room = Arc::clone(&self.room);
            runtime.spawn(async move {
                tokio::time::sleep(REJOIN_GRACE).await;
                drop(room);
            });
        }
    }
}
