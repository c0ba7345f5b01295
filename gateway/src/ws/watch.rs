//! All chats of a user, live: what changed, so that a list stays true without asking again.

use axum::{extract::State, response::Response};
use tandem_chassis::{identity::User, status::Fault};
use tandem_proto::orchestrator::v1::{WatchChatsRequest, WatchChatsResponse};
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
    rest::{query::Query, wire::event::ChatWatchEvent},
    service::App,
};

/// Where the feed of a user's chats comes from.
struct Watch {
    clients: Clients,
    user: User,
}

impl Watch {
    fn changes(batch: WatchChatsResponse) -> impl Iterator<Item = ChatWatchEvent> {
        let gap = batch.is_gap.then(|| ChatWatchEvent::gap(batch.next_cursor));
        gap.into_iter()
            .chain(batch.events.into_iter().filter_map(ChatWatchEvent::from_proto))
    }
}

impl Source for Watch {
    type Batch = WatchChatsResponse;

    const VIEW: View = View::Watch;
    const HAS_SNAPSHOT: bool = false;

    async fn open(&self, cursor: &str) -> Result<Streaming<WatchChatsResponse>, Fault> {
        let message = WatchChatsRequest {
            after_cursor: cursor.to_owned(),
        };
        let request = self.clients.open(&self.user, message);
        self.clients.streams.clone().watch_chats(request).await.answer()
    }

    fn cursor(batch: &WatchChatsResponse) -> Option<String> {
        Some(batch.next_cursor.clone()).filter(|cursor| !cursor.is_empty())
    }

    fn frames(&self, batch: WatchChatsResponse) -> Vec<String> {
        Self::changes(batch).map(|event| frame::single(&event)).collect()
    }

    fn events(&self, batch: WatchChatsResponse) -> Vec<(Option<String>, String)> {
        Self::changes(batch)
            .map(|event| (event.cursor.clone(), frame::data(&event)))
            .collect()
    }

    fn heartbeat_frame(&self, server_time: String) -> String {
        frame::single(&ChatWatchEvent::heartbeat(server_time))
    }

    fn heartbeat_data(&self, server_time: String) -> String {
        frame::data(&ChatWatchEvent::heartbeat(server_time))
    }
}

/// Changes in the caller's chats, one event a frame. There is no snapshot: read the list after opening.
#[utoipa::path(get, path = "/chats/watch", tag = "live", params(
    ("after_cursor" = Option<String>, Query, description = "Continue behind this event"),
    ("heartbeat" = Option<i32>, Query, description = "1: a `heartbeat` event at the start and every 15 s"),
), responses(
    (status = 101, description = "A WebSocket; each text frame is a `ChatWatchEvent`"),
    (status = 200, body = ChatWatchEvent, content_type = "text/event-stream"),
))]
pub async fn watch_chats(
    State(app): State<App>,
    who: Principal,
    query: Query,
    door: Door,
) -> Result<Response, Problem> {
    let source = Watch {
        clients: app.clients.clone(),
        user: who.user().clone(),
    };
    let heartbeat = has_heartbeat(&query)?;
    let feed = Feed::open(source, door.cursor(&query)?).await?;
    Ok(door.open(app, who, feed, heartbeat, ()))
}
