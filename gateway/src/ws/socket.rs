//! One reader on a WebSocket. The server speaks, the reader only answers pings; whoever stays silent, falls behind for
//! too long, speaks, or is no longer signed in is sent away.

use std::{pin::pin, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use tandem_chassis::status::{Code, Fault};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::{
    Reader, Session,
    feed::{Feed, Source},
    server_time,
};
use crate::service::App;

/// Between two pings. A reader that has not answered one by the next is gone, and noticed within 10 s.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Time a frame has to leave.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Time a reader has to answer the closing frame.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Tells a client to connect again elsewhere (RFC 6455 registry).
const SERVICE_RESTART: u16 = 1012;

/// Why a reader's connection is over.
#[derive(Debug)]
enum End {
    /// They left, or cannot be reached.
    Gone,
    /// They did not answer a ping.
    Silent,
    /// They sent something that nobody listens to.
    Spoke,
    /// Their token was revoked.
    SignedOut,
    /// This server stops.
    Draining,
    /// There is nothing to read any more.
    Upstream(Fault),
}

/// Serves the reader until one of the ends.
pub async fn run<S: Source, G: Send>(mut socket: WebSocket, mut session: Box<Session<S, G>>) {
    let reader = Reader::new(&session.app, S::VIEW);
    let end = serve(&mut socket, &mut session, &reader).await;
    tracing::debug!(?end, "a reader's connection is over");
    let (code, reason) = match &end {
        // Nobody is there to read why.
        End::Gone | End::Silent => return,
        End::Spoke => (close_code::POLICY, "this socket is read-only"),
        End::SignedOut => (close_code::POLICY, "signed out"),
        End::Draining => (close_code::AWAY, "server is going away"),
        End::Upstream(fault) => match fault.code {
            Code::Unavailable | Code::Deadline | Code::Cancelled => (SERVICE_RESTART, "connect again"),
            Code::NotFound | Code::Forbidden | Code::Unauthenticated => (close_code::POLICY, "not found"),
            _ => (close_code::ERROR, "the stream failed"),
        },
    };
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let closing = async {
        // Past this the connection is dropped anyway.
        let is_sent = socket.send(Message::Close(Some(frame))).await.is_ok();
        while is_sent && matches!(socket.recv().await, Some(Ok(_))) {}
    };
    let _ = timeout(CLOSE_LIMIT, closing).await;
}

async fn serve<S: Source, G: Send>(socket: &mut WebSocket, session: &mut Session<S, G>, reader: &Reader) -> End {
    let Session {
        app,
        who,
        feed,
        has_heartbeat,
        ..
    } = session;
    let has_heartbeat = *has_heartbeat;
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let credential = app.open_streams.open(who.credential_id());
    let mut draining = pin!(app.shutdown.draining());
    let mut is_pong_due = false;
    if has_heartbeat && !beat(socket, app, feed).await {
        return End::Gone;
    }
    loop {
        tokio::select! {
            () = &mut draining => return End::Draining,
            received = socket.recv() => match received {
                None | Some(Err(_) | Ok(Message::Close(_))) => return End::Gone,
                Some(Ok(Message::Pong(_))) => is_pong_due = false,
                // The library has queued the answer; reading on sends it.
                Some(Ok(Message::Ping(_))) => {}
                // Boxed: a silent reader holds no room for it.
                Some(Ok(Message::Text(text))) => match Box::pin(feed.source().heard(&text)).await {
                    Some(frames) => {
                        for frame in frames {
                            if !send(socket, Message::Text(frame.into())).await {
                                return End::Gone;
                            }
                        }
                    }
                    None => return End::Spoke,
                },
                Some(Ok(Message::Binary(_))) => return End::Spoke,
            },
            batch = feed.next() => match batch {
                Ok(batch) => {
                    for frame in feed.source().frames(batch) {
                        if !send(socket, Message::Text(frame.into())).await {
                            return End::Gone;
                        }
                        reader.sent_frame();
                    }
                }
                Err(fault) => return End::Upstream(fault),
            },
            _ = pings.tick() => {
                if is_pong_due {
                    return End::Silent;
                }
                is_pong_due = true;
                if !send(socket, Message::Ping(Bytes::new())).await {
                    return End::Gone;
                }
                if has_heartbeat && !beat(socket, app, feed).await {
                    return End::Gone;
                }
            }
            () = credential.ended() => return End::SignedOut,
        }
    }
}

async fn beat<S: Source>(socket: &mut WebSocket, app: &App, feed: &Feed<S>) -> bool {
    let frame = feed.source().heartbeat_frame(server_time(app));
    send(socket, Message::Text(frame.into())).await
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(WRITE_LIMIT, socket.send(message)).await, Ok(Ok(())))
}
