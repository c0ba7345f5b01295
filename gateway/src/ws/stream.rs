//! One chat live: a snapshot, then what follows. Opening and leaving it mark the chat as read.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::{extract::State, response::Response};
use serde::Serialize;
use tandem_chassis::{identity::User, status::Fault};
use tandem_proto::{
    orchestrator::v1::{StreamChatRequest, StreamChatResponse},
    storage::v1::MarkChatReadRequest,
};
use tonic::Streaming;

use super::{
    Door,
    feed::{Feed, Source},
    frame, has_heartbeat,
};
use crate::{
    auth::Principal,
    clients::{Answer, Clients},
    metrics::View,
    problem::Problem,
    rest::{Path, id, query::Query, wire::event::ChatStreamEvent},
    service::App,
};

/// Events of a full batch: a snapshot goes on in the next one.
const FULL_BATCH: usize = 256;

/// Where a chat's events come from.
struct Chat {
    clients: Clients,
    user: User,
    chat_id: String,
    after_message_id: i64,
    /// The end of the snapshot is still to be marked with an empty queue.
    must_tell_empty_queue: AtomicBool,
}

/// What is told of a chat.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Event(Box<ChatStreamEvent>),
    /// Older clients read an empty queue as a missing key; those that ask for heartbeats read it as it is.
    EmptyQueue {
        #[serde(rename = "type")]
        kind: &'static str,
        chat_id: String,
        queued_messages: [(); 0],
    },
}

impl Chat {
    fn told(&self, batch: StreamChatResponse) -> Vec<Told> {
        let is_full = batch.events.len() >= FULL_BATCH;
        let events = batch.events.into_iter().filter_map(ChatStreamEvent::from_proto);
        let mut told: Vec<Told> = events.map(Box::new).map(Told::Event).collect();
        let has_queue = told
            .iter()
            .any(|told| matches!(told, Told::Event(event) if event.kind == "queue_update"));
        if has_queue {
            self.must_tell_empty_queue.store(false, Ordering::Relaxed);
        } else if !is_full && self.must_tell_empty_queue.swap(false, Ordering::Relaxed) {
            told.push(Told::EmptyQueue {
                kind: "queue_update",
                chat_id: self.chat_id.clone(),
                queued_messages: [],
            });
        }
        told
    }
}

impl Source for Chat {
    type Batch = StreamChatResponse;

    const VIEW: View = View::Chat;
    const HAS_SNAPSHOT: bool = true;

    async fn open(&self, cursor: &str) -> Result<Streaming<StreamChatResponse>, Fault> {
        let message = StreamChatRequest {
            chat_id: self.chat_id.clone(),
            after_message_id: self.after_message_id,
            after_cursor: cursor.to_owned(),
        };
        let request = self.clients.open(&self.user, message);
        self.clients.streams.clone().stream_chat(request).await.answer()
    }

    fn cursor(batch: &StreamChatResponse) -> Option<String> {
        let mut cursors = batch.events.iter().rev().map(|event| &event.cursor);
        cursors.find(|cursor| !cursor.is_empty()).cloned()
    }

    fn frames(&self, batch: StreamChatResponse) -> Vec<String> {
        frame::arrays(self.told(batch))
    }

    fn events(&self, batch: StreamChatResponse) -> Vec<(Option<String>, String)> {
        let event = |told: Told| match &told {
            Told::Event(event) => (event.cursor.clone(), frame::data(&told)),
            Told::EmptyQueue { .. } => (None, frame::data(&told)),
        };
        self.told(batch).into_iter().map(event).collect()
    }

    fn heartbeat_frame(&self, server_time: String) -> String {
        let beat = ChatStreamEvent::heartbeat(self.chat_id.clone(), server_time);
        frame::arrays([beat]).pop().unwrap_or_default()
    }

    fn heartbeat_data(&self, server_time: String) -> String {
        frame::data(&ChatStreamEvent::heartbeat(self.chat_id.clone(), server_time))
    }
}

/// Marks the chat as read when the reader comes and when they leave.
struct Presence {
    app: App,
    user: User,
    chat_id: String,
}

impl Presence {
    fn new(app: App, user: User, chat_id: String) -> Self {
        let presence = Self { app, user, chat_id };
        presence.mark_read();
        presence
    }

    /// In the background and at best effort: no reader waits for it, and a lost mark is made up for by the next.
    fn mark_read(&self) {
        let (app, user) = (self.app.clone(), self.user.clone());
        let chat_id = self.chat_id.clone();
        let marking = async move {
            let request = app.clients.ask(&user, MarkChatReadRequest { chat_id });
            if let Err(status) = app.clients.chats.clone().mark_chat_read(request).await {
                tracing::debug!(error = status.message(), "could not mark a chat as read");
            }
        };
        // There is no runtime any more when the whole process is on its way out.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.app.sockets.track_future(marking));
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.mark_read();
    }
}

/// A chat live: its status, its messages, the parts of the answer in progress and its queue; then everything that
/// changes.
#[utoipa::path(get, path = "/chats/{chat}/stream", tag = "live", params(
    ("chat" = Uuid, Path),
    ("after_id" = Option<i64>, Query, description = "Messages up to this one are left out of the snapshot"),
    ("after_cursor" = Option<String>, Query, description = "Continue behind this event, without a snapshot"),
    ("heartbeat" = Option<i32>, Query, description = "1: a `heartbeat` event at the start and every 15 s, and a \
        `queue_update` at the end of the snapshot even when the queue is empty"),
), responses(
    (status = 101, description = "A WebSocket; each text frame is an array of `ChatStreamEvent`"),
    (status = 200, body = ChatStreamEvent, content_type = "text/event-stream"),
))]
pub async fn stream_chat(
    State(app): State<App>,
    who: Principal,
    Path(chat): Path<String>,
    query: Query,
    door: Door,
) -> Result<Response, Problem> {
    let chat_id = id("chat", &chat)?.to_string();
    let has_heartbeat = has_heartbeat(&query)?;
    let cursor = door.cursor(&query)?;
    let source = Chat {
        clients: app.clients.clone(),
        user: who.user().clone(),
        chat_id: chat_id.clone(),
        after_message_id: query.number("after_id", 0)?.unwrap_or_default(),
        // Behind a cursor the reader knows its queue.
        must_tell_empty_queue: AtomicBool::new(has_heartbeat && cursor.is_empty()),
    };
    let feed = Feed::open(source, cursor).await?;
    let presence = Presence::new(app.clone(), who.user().clone(), chat_id);
    Ok(door.open(app, who, feed, has_heartbeat, presence))
}
