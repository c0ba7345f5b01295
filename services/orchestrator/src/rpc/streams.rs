//! Streams: each is a reader that is asked for more when the caller has room for it. No queue stands between.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tandem_chassis::identity::{Caller, ServiceName};
use tandem_chassis::status::Fault;
use tandem_chat_core::cursor::Cursor;
use tandem_proto::common::v1::PreviewReset;
use tandem_proto::orchestrator::v1::chat_stream_service_server::ChatStreamService;
use tandem_proto::orchestrator::v1::{
    LogEntry, LogPosition, ReadTurnLogRequest, ReadTurnLogResponse, StreamChatRequest, StreamChatResponse,
    WatchChatsRequest, WatchChatsResponse, log_entry,
};
use tonic::{Request, Response, Status};

use crate::clients::Clients;
use crate::log::{Entry, Event, Position};
use crate::metrics::Metrics;
use crate::reader::{MAX_BATCH, Reader, Start};
use crate::room::Hub;
use crate::watch::Watcher;

/// Serves [`ChatStreamService`].
pub(crate) struct Streams {
    clients: Clients,
    hub: Arc<Hub>,
    metrics: Metrics,
}

impl Streams {
    pub(crate) fn new(clients: Clients, hub: Arc<Hub>, metrics: Metrics) -> Self {
        Self { clients, hub, metrics }
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
        let reader = Reader::open(message.chat_id, user, self.clients.clone(), room, start).await?;
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
        let after = message.after.map(|after| Position {
            step: u32::try_from(after.step).unwrap_or(0),
            attempt: u32::try_from(after.attempt).unwrap_or(0),
            index: u64::try_from(after.index).unwrap_or(0),
        });
        let ticks = room.follow();
        let state = (room, ticks, after, message.epoch);
        let entries = futures::stream::try_unfold(state, |(room, mut ticks, mut after, epoch)| async move {
            loop {
                ticks.mark_unchanged();
                // The peer orders entries against versions itself, so nothing is held back here.
                let read = room
                    .log(epoch)
                    .map(|log| log.read(after, i64::MAX, MAX_BATCH))
                    .unwrap_or_default();
                if let Some(last) = read.last() {
                    after = Some(last.position);
                    let entries = read.into_iter().map(entry_to_wire).collect();
                    return Ok(Some((ReadTurnLogResponse { entries }, (room, ticks, after, epoch))));
                }
                if room.is_over(epoch) || ticks.changed().await.is_err() {
                    return Ok(None);
                }
            }
        });
        Ok(Response::new(Box::pin(entries)))
    }
}

fn entry_to_wire(entry: Entry) -> LogEntry {
    let position = LogPosition {
        step: i32::try_from(entry.position.step).unwrap_or(i32::MAX),
        attempt: i32::try_from(entry.position.attempt).unwrap_or(i32::MAX),
        index: i64::try_from(entry.position.index).unwrap_or(i64::MAX),
    };
    let entry = match entry.event {
        Event::Part(part) => log_entry::Entry::Part(part),
        Event::Retry(retry) => log_entry::Entry::Retry(retry),
        Event::Reset => log_entry::Entry::Reset(PreviewReset {}),
    };
    LogEntry {
        position: Some(position),
        entry: Some(entry),
    }
}
