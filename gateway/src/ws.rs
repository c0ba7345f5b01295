//! Live views: a chat's stream and the feed of a user's chats, as WebSockets or as server-sent events. Every view is a
//! cursor over what the orchestrator sends; nothing is kept here but the last cursor, with which a broken upstream is
//! taken up again while the reader's connection stays.

use axum::{
    extract::{FromRequestParts, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use time::format_description::well_known::Rfc3339;

use crate::{auth::Principal, metrics, problem::Problem, rest::query::Query, service::App};

pub mod events;
pub mod feed;
pub mod frame;
pub mod git;
pub mod socket;
pub mod stream;
pub mod watch;

use feed::{Feed, Source};

/// Longest cursor, in bytes.
const MAX_CURSOR_BYTES: usize = 128;

/// Largest message a reader may send. Most may send none; this bounds what is read before they are closed.
const MAX_CLIENT_MESSAGE_BYTES: usize = 4 * 1024;

/// Of a socket's buffers, in bytes. Readers send only pongs, and what they are sent leaves at once.
const READ_BUFFER_BYTES: usize = 1024;
const WRITE_BUFFER_BYTES: usize = 0;

/// Whether a request asks for a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Whether a request asks for server-sent events.
pub fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}

/// How the reader wants to be told.
pub enum Door {
    Socket(WebSocketUpgrade),
    Events {
        /// What the browser's own reconnection says it has.
        last_event_id: Option<String>,
    },
}

impl<S: Send + Sync> FromRequestParts<S> for Door {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if is_upgrade(&parts.headers) {
            return WebSocketUpgrade::from_request_parts(parts, state)
                .await
                .map(Self::Socket)
                .map_err(|rejection| {
                    Problem::invalid("BAD_UPGRADE", "The WebSocket handshake is not valid.")
                        .detail(rejection.body_text())
                });
        }
        if accepts_event_stream(&parts.headers) {
            let last_event_id = parts
                .headers
                .get("last-event-id")
                .and_then(|value| value.to_str().ok())
                .filter(|value| !value.is_empty())
                .map(str::to_owned);
            return Ok(Self::Events { last_event_id });
        }
        Err(Problem::invalid("UPGRADE_REQUIRED", "This route is a live view.")
            .detail("Open it as a WebSocket, or accept text/event-stream.")
            .with_status(StatusCode::UPGRADE_REQUIRED))
    }
}

impl Door {
    /// Where to continue: the cursor of the query, or the one of a reconnecting event source.
    ///
    /// # Errors
    /// 400 for text no cursor can be.
    pub fn cursor(&self, query: &Query) -> Result<String, Problem> {
        let reconnecting = match self {
            Self::Events { last_event_id } => last_event_id.as_deref(),
            Self::Socket(_) => None,
        };
        let cursor = reconnecting.or(query.one("after_cursor")?).unwrap_or_default();
        if cursor.len() > MAX_CURSOR_BYTES || !cursor.chars().all(|letter| letter.is_ascii_graphic()) {
            return Err(Problem::field("after_cursor", "must be a cursor of this stream"));
        }
        Ok(cursor.to_owned())
    }

    /// Lets the reader in. `guard` is dropped when they have left.
    pub fn open<S: Source>(
        self,
        app: App,
        who: Principal,
        feed: Feed<S>,
        has_heartbeat: bool,
        guard: impl Send + Sync + 'static,
    ) -> Response {
        let session = Box::new(Session {
            app,
            who,
            feed,
            has_heartbeat,
            _guard: guard,
        });
        match self {
            Self::Socket(upgrade) => {
                let sockets = session.app.sockets.clone();
                upgrade
                    .max_message_size(MAX_CLIENT_MESSAGE_BYTES)
                    .max_frame_size(MAX_CLIENT_MESSAGE_BYTES)
                    .read_buffer_size(READ_BUFFER_BYTES)
                    .write_buffer_size(WRITE_BUFFER_BYTES)
                    .on_upgrade(move |socket| sockets.track_future(socket::run(socket, session)))
            }
            Self::Events { .. } => events::respond(session),
        }
    }
}

/// One reader and what they read. Boxed where it is made: thousands sit idle, and each future it is moved through would make room
/// for it again.
pub struct Session<S: Source, G> {
    app: App,
    who: Principal,
    feed: Feed<S>,
    has_heartbeat: bool,
    /// Dropped when they have left.
    _guard: G,
}

/// Whether the reader asks for signs of life it can see.
///
/// # Errors
/// 400.
fn has_heartbeat(query: &Query) -> Result<bool, Problem> {
    match query.one("heartbeat")? {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(Problem::field("heartbeat", "must be 0 or 1")),
    }
}

/// The clock as heartbeats show it.
fn server_time(app: &App) -> String {
    app.clock.now().format(&Rfc3339).unwrap_or_default()
}

/// Counts a reader as long as it lives.
struct Reader {
    metrics: metrics::Metrics,
    label: metrics::ViewLabel,
}

impl Reader {
    fn new(app: &App, view: metrics::View) -> Self {
        let label = metrics::ViewLabel { view };
        let metrics = app.metrics.clone();
        metrics.readers.get_or_create(&label).inc();
        Self { metrics, label }
    }

    fn sent_frame(&self) {
        self.metrics.frames.get_or_create(&self.label).inc();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.metrics.readers.get_or_create(&self.label).dec();
    }
}
