//! An answer on its way from a vendor to a client.
//!
//! The bytes go by as they come. It listens to them, ends what takes too long, and closes the exchange whichever side goes first. Its time
//! in all ends also when nobody asks for the next piece: a client that stops reading keeps neither the vendor nor its place there.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::Body as _;
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    admission::Slot,
    bridge::{
        Parts,
        body::Broken,
        refusal::{Reason, Refusal},
        sniff::Sniffer,
        tab::Tab,
        vendor::unanswered,
    },
    config::Guards,
};

/// An answer being handed on. Dropping it drops the vendor's connection.
pub struct Flow {
    running: Arc<Mutex<Running>>,
    /// Looks whether anything has come, now and then: it is not set anew for each piece.
    alarm: Pin<Box<Sleep>>,
    /// Ends it in time.
    watch: AbortHandle,
}

struct Running {
    tab: Tab,
    sniffer: Sniffer,
    first: Option<Bytes>,
    /// `None` after the end.
    upstream: Option<Upstream>,
    /// It has ended while nobody asked for more, who does not know yet.
    untold: Option<Refusal>,
    guards: Guards,
    last_piece_at: Instant,
    ends_at: Instant,
}

/// The vendor's side. Its place there is given up with it.
struct Upstream {
    body: reqwest::Body,
    _slot: Slot,
}

impl Flow {
    /// An answer that has begun.
    pub(super) fn new(
        parts: &Parts,
        tab: Tab,
        sniffer: Sniffer,
        first: Option<Bytes>,
        upstream: reqwest::Body,
        slot: Slot,
    ) -> Self {
        let now = Instant::now();
        let guards = parts.guards.clone();
        let alarm = Box::pin(sleep_until(now + guards.silence.min(guards.total)));
        let ends_at = now + guards.total;
        let running = Arc::new(Mutex::new(Running {
            tab,
            sniffer,
            first,
            upstream: Some(Upstream {
                body: upstream,
                _slot: slot,
            }),
            untold: None,
            guards,
            last_piece_at: now,
            ends_at,
        }));
        // It keeps nothing alive.
        let watched = Arc::downgrade(&running);
        let watch = tokio::spawn(async move {
            sleep_until(ends_at).await;
            if let Some(running) = watched.upgrade() {
                lock(&running).end_unread();
            }
        });
        Self {
            running,
            alarm,
            watch: watch.abort_handle(),
        }
    }

    /// The next piece for the client.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        lock(&self.running).poll(self.alarm.as_mut(), cx)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.watch.abort();
        lock(&self.running).left();
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    fn poll(&mut self, mut alarm: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let piece = match self.first.take() {
                Some(first) => first,
                None => match ready!(self.poll_upstream(alarm.as_mut(), cx)) {
                    Some(Ok(piece)) => piece,
                    Some(Err(refusal)) => return Poll::Ready(self.broken(&refusal)),
                    None => return Poll::Ready(self.ended()),
                },
            };
            let out = self.sniffer.push(piece);
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out)));
            }
        }
    }

    fn poll_upstream(&mut self, alarm: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        if let Some(refusal) = self.untold.take() {
            return Poll::Ready(Some(Err(refusal)));
        }
        let Some(upstream) = &mut self.upstream else {
            return Poll::Ready(None);
        };
        loop {
            match Pin::new(&mut upstream.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    self.last_piece_at = Instant::now();
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(Some(Err(error))) => {
                    let unanswered = unanswered(&self.tab.model.provider, error);
                    return Poll::Ready(Some(Err(unanswered.refusal)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return self.poll_alarm(alarm, cx).map(|refusal| Some(Err(refusal))),
            }
        }
    }

    /// Ready when the vendor has taken too long.
    fn poll_alarm(&self, mut alarm: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Refusal> {
        loop {
            ready!(alarm.as_mut().poll(cx));
            let now = Instant::now();
            let silent_until = self.last_piece_at + self.guards.silence;
            if self.ends_at <= now {
                return Poll::Ready(self.too_long());
            }
            if silent_until <= now {
                let text = format!(
                    "No part of the answer came for {} seconds.",
                    self.guards.silence.as_secs()
                );
                return Poll::Ready(Refusal::new(Reason::TooSlow, text));
            }
            alarm.as_mut().reset(silent_until.min(self.ends_at));
        }
    }

    fn too_long(&self) -> Refusal {
        let text = format!("The answer took longer than {} seconds.", self.guards.total.as_secs());
        Refusal::new(Reason::TooSlow, text)
    }

    /// Its time is over, and whoever reads it has not asked since.
    fn end_unread(&mut self) {
        if self.upstream.take().is_some() {
            self.untold = Some(self.too_long());
            // What came of it was paid for; the end of it nobody gets.
            let _ = self.sniffer.finish();
            self.close(false);
        }
    }

    /// The vendor's connection broke, or took too long: a stream tells so in its own words, anything else ends as broken.
    fn broken(&mut self, refusal: &Refusal) -> Option<Result<Bytes, Broken>> {
        self.upstream = None;
        let held = self.sniffer.finish();
        let is_complete = self.sniffer.heard().is_complete;
        self.close(is_complete);
        tracing::info!(
            provider = self.tab.model.provider.name,
            model = self.tab.model.model,
            reason = refusal.reason.as_str(),
            "a bridged answer broke off"
        );
        if is_complete {
            // Everything had been said.
            return (!held.is_empty()).then_some(Ok(held));
        }
        if self.sniffer.is_stream() {
            // Half a line in front of it would spoil the event.
            let event = refusal.event(self.tab.dialect);
            return Some(Ok(Bytes::from([&held[..], b"\n\n", &event].concat())));
        }
        Some(Err(Broken))
    }

    fn ended(&mut self) -> Option<Result<Bytes, Broken>> {
        self.upstream.take()?;
        let held = self.sniffer.finish();
        let is_complete = !self.sniffer.heard().has_failed;
        self.close(is_complete);
        (!held.is_empty()).then_some(Ok(held))
    }

    /// Nobody reads on: the client has gone, or has all that was announced and asks for no end of it. What has been said counts.
    fn left(&mut self) {
        if self.upstream.take().is_some() {
            // What is held back would have gone out with the end.
            let _ = self.sniffer.finish();
            let is_complete = self.sniffer.heard().is_complete;
            self.close(is_complete);
        }
    }

    /// Ends the exchange; only the first time counts.
    fn close(&mut self, is_complete: bool) {
        self.tab.close(self.sniffer.heard(), is_complete);
    }
}
