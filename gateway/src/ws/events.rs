//! One reader of server-sent events: the same view as on a socket, for programs that have no WebSocket. The event's id
//! is its cursor, so a browser's `EventSource` continues by itself.

use std::{collections::VecDeque, convert::Infallible, pin::Pin, time::Duration};

use axum::{
    Extension,
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use time::{UtcOffset, format_description::StaticFormatDescription, macros::format_description};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{Reader, Session, feed::Source, server_time, socket::PING_INTERVAL};
use crate::{auth::open_streams::Guard, http::Lasting};

/// Tells buffering proxies to pass every event on at once.
const NO_BUFFERING: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// Dates as HTTP writes them.
const DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Time a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

struct State<S: Source, G> {
    session: Box<Session<S, G>>,
    waiting: VecDeque<Event>,
    beats: Interval,
    credential: Guard,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    reader: Reader,
}

/// Answers with the view's events until the reader leaves.
pub fn respond<S: Source, G: Send + 'static>(session: Box<Session<S, G>>) -> Response {
    let mut waiting = VecDeque::from([Event::default().retry(RETRY)]);
    let app = &session.app;
    let date = app.clock.now().to_offset(UtcOffset::UTC).format(DATE).ok();
    let date = date.and_then(|date| HeaderValue::from_str(&date).ok());
    if session.has_heartbeat {
        waiting.push_back(Event::default().data(session.feed.source().heartbeat_data(server_time(app))));
    }
    let state = Box::new(State {
        reader: Reader::new(app, S::VIEW),
        draining: Box::pin(app.shutdown.draining()),
        beats: every(PING_INTERVAL),
        credential: app.open_streams.open(session.who.credential_id()),
        waiting,
        session,
    });
    let events = stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((Ok::<_, Infallible>(event), state))
    });
    let answer = Sse::new(events).keep_alive(KeepAlive::new().interval(PING_INTERVAL));
    let mut response = (Extension(Lasting), [NO_BUFFERING], answer).into_response();
    response.headers_mut().extend(date.map(|date| (header::DATE, date)));
    response
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl<S: Source, G> State<S, G> {
    async fn next(&mut self) -> Option<Event> {
        let Session {
            app,
            feed,
            has_heartbeat,
            ..
        } = &mut *self.session;
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = &mut self.draining => return None,
                batch = feed.next() => {
                    let batch = batch.ok()?;
                    self.waiting.extend(feed.source().events(batch).into_iter().map(event));
                    self.reader.sent_frame();
                }
                _ = self.beats.tick(), if *has_heartbeat => {
                    let beat = feed.source().heartbeat_data(server_time(app));
                    self.waiting.push_back(Event::default().data(beat));
                }
                () = self.credential.ended() => return None,
            }
        }
    }
}

fn event((id, data): (Option<String>, String)) -> Event {
    let event = Event::default().data(data);
    match id {
        // An id with a line end would forge another field.
        Some(id) if !id.contains(['\n', '\r', '\0']) => event.id(id),
        Some(_) | None => event,
    }
}
