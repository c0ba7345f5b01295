//! An answer on its way from a vendor to a client.
//!
//! The bytes go by as they come. It listens to them, ends what takes too long, and closes the exchange whichever side goes first.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::Body as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::unanswered;
use crate::{
    admission::Slot,
    bridge::{
        Parts,
        body::Broken,
        refusal::{Reason, Refusal},
        sniff::Sniffer,
        tab::Tab,
    },
    config::Guards,
};

/// An answer being handed on. Dropping it drops the vendor's connection.
pub struct Flow {
    tab: Tab,
    sniffer: Sniffer,
    first: Option<Bytes>,
    /// `None` after the end.
    upstream: Option<reqwest::Body>,
    guards: Guards,
    /// Looks whether anything has come, now and then: it is not set anew for each piece.
    alarm: Pin<Box<Sleep>>,
    last_piece_at: Instant,
    ends_at: Instant,
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
        Self {
            tab,
            sniffer,
            first,
            upstream: Some(upstream),
            alarm: Box::pin(sleep_until(now + guards.silence.min(guards.total))),
            last_piece_at: now,
            ends_at: now + guards.total,
            guards,
            _slot: slot,
        }
    }

    /// The next piece for the client.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let piece = match self.first.take() {
                Some(first) => first,
                None => match ready!(self.poll_upstream(cx)) {
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

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        let Some(upstream) = &mut self.upstream else {
            return Poll::Ready(None);
        };
        loop {
            match Pin::new(&mut *upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    self.last_piece_at = Instant::now();
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(unanswered(&self.tab.model.provider, error).0)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return self.poll_alarm(cx).map(|refusal| Some(Err(refusal))),
            }
        }
    }

    /// Ready when the vendor has taken too long.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            let silent_until = self.last_piece_at + self.guards.silence;
            if self.ends_at <= now {
                let text = format!("The answer took longer than {} seconds.", self.guards.total.as_secs());
                return Poll::Ready(Refusal::new(Reason::TooSlow, text));
            }
            if silent_until <= now {
                let text = format!(
                    "No part of the answer came for {} seconds.",
                    self.guards.silence.as_secs()
                );
                return Poll::Ready(Refusal::new(Reason::TooSlow, text));
            }
            self.alarm.as_mut().reset(silent_until.min(self.ends_at));
        }
    }

    /// The vendor's connection broke, or took too long: a stream tells so in its own words, anything else ends as broken.
    fn broken(&mut self, refusal: &Refusal) -> Option<Result<Bytes, Broken>> {
        self.upstream = None;
        let held = self.sniffer.finish();
        let is_complete = self.sniffer.heard().is_complete;
        self.tab.close(self.sniffer.heard(), is_complete);
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
        let heard = self.sniffer.heard();
        let is_complete = !heard.has_failed;
        self.tab.close(heard, is_complete);
        (!held.is_empty()).then_some(Ok(held))
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // The client has gone; what has been said until now counts. Closed before, it is not closed again.
        self.tab.close(self.sniffer.heard(), false);
    }
}
