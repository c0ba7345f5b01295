//! An answer that is handed on without being understood, on its way from a vendor to a client.
//!
//! Owns its bounds: a silence, and a time for all of it, which also ends when nobody asks for the next piece. A stream of events that
//! takes too long or breaks off ends with an error event, anything else as broken.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    body::Broken,
    dialect::Dialect,
    refusal::{Reason, Refusal},
};
use crate::config::Guards;

type Pieces = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// An answer being handed on. Dropping it drops the vendor's connection.
pub struct Passed {
    /// `None` after the end, and when its time is over.
    upstream: Arc<Mutex<Option<Pieces>>>,
    /// Looks whether anything has come, now and then: it is not set anew for each piece.
    alarm: Pin<Box<Sleep>>,
    /// Ends it in time.
    watch: AbortHandle,
    silence: Duration,
    total: Duration,
    last_piece_at: Instant,
    ends_at: Instant,
    /// How an error is told within it; `None` where it cannot be.
    dialect: Option<Dialect>,
    is_over: bool,
}

impl Passed {
    /// An answer that has begun.
    ///
    /// * `dialect`: whose events it has; `None` unless it is a stream of them.
    pub(super) fn new(
        pieces: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
        guards: &Guards,
        dialect: Option<Dialect>,
    ) -> Self {
        let now = Instant::now();
        let ends_at = now + guards.total;
        let upstream: Arc<Mutex<Option<Pieces>>> = Arc::new(Mutex::new(Some(Box::pin(pieces))));
        // It keeps nothing alive.
        let watched = Arc::downgrade(&upstream);
        let watch = tokio::spawn(async move {
            sleep_until(ends_at).await;
            if let Some(upstream) = watched.upgrade() {
                *lock(&upstream) = None;
            }
        });
        Self {
            upstream,
            alarm: Box::pin(sleep_until(ends_at.min(now + guards.silence))),
            watch: watch.abort_handle(),
            silence: guards.silence,
            total: guards.total,
            last_piece_at: now,
            ends_at,
            dialect,
            is_over: false,
        }
    }

    /// The next piece for the client.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = lock(&self.upstream)
            .as_mut()
            .map(|pieces| pieces.as_mut().poll_next(cx));
        let Some(next) = next else {
            return Poll::Ready(Some(self.too_long()));
        };
        match next {
            Poll::Ready(Some(Ok(piece))) => {
                self.last_piece_at = Instant::now();
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(_))) => {
                let refusal = Refusal::new(Reason::Upstream, Broken.to_string());
                Poll::Ready(Some(self.broken(&refusal)))
            }
            Poll::Ready(None) => {
                self.is_over = true;
                *lock(&self.upstream) = None;
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_alarm(cx).map(Some),
        }
    }

    /// Ready when the vendor has taken too long.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Broken>> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            let silent_until = self.last_piece_at + self.silence;
            if self.ends_at <= now {
                return Poll::Ready(self.too_long());
            }
            if silent_until <= now {
                let seconds = self.silence.as_secs();
                let text = format!("No part of the answer came for {seconds} seconds.");
                return Poll::Ready(self.broken(&Refusal::new(Reason::TooSlow, text)));
            }
            self.alarm.as_mut().reset(silent_until.min(self.ends_at));
        }
    }

    fn too_long(&mut self) -> Result<Bytes, Broken> {
        let text = format!("The answer took longer than {} seconds.", self.total.as_secs());
        self.broken(&Refusal::new(Reason::TooSlow, text))
    }

    /// Its last piece: nothing follows an error.
    fn broken(&mut self, refusal: &Refusal) -> Result<Bytes, Broken> {
        self.is_over = true;
        *lock(&self.upstream) = None;
        let dialect = self.dialect.ok_or(Broken)?;
        // Half a line in front of it would spoil the event.
        Ok(Bytes::from([b"\n\n", &refusal.event(dialect)[..]].concat()))
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

fn lock(upstream: &Mutex<Option<Pieces>>) -> MutexGuard<'_, Option<Pieces>> {
    upstream.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};

    use super::*;

    fn guards(silence: Duration, total: Duration) -> Guards {
        Guards {
            silence,
            total,
            ..Guards::default()
        }
    }

    fn endless() -> impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static {
        stream::repeat_with(|| Ok(Bytes::from_static(b"data: {}\n\n"))).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        })
    }

    /// All pieces, and whether it is whole.
    async fn all(mut passed: Passed) -> (Vec<u8>, bool) {
        let mut seen = Vec::new();
        loop {
            match std::future::poll_fn(|cx| passed.poll(cx)).await {
                Some(Ok(piece)) => seen.extend_from_slice(&piece),
                Some(Err(Broken)) => return (seen, false),
                None => return (seen, true),
            }
        }
    }

    #[tokio::test]
    async fn a_stream_without_end_ends_in_time_with_an_error_of_its_dialect() {
        let bounds = guards(Duration::from_secs(60), Duration::from_millis(30));
        let passed = Passed::new(endless(), &bounds, Some(Dialect::Responses));
        let (seen, _) = tokio::time::timeout(Duration::from_secs(20), all(passed))
            .await
            .unwrap();
        let text = String::from_utf8(seen).unwrap();
        let (before, last) = text.trim_end().rsplit_once("\n\n").unwrap();
        assert!(before.starts_with("data: {}"));
        assert!(
            last.starts_with("event: error\ndata: {") && last.contains("\"code\":\"timeout\""),
            "{last}"
        );
    }

    #[tokio::test]
    async fn what_is_no_stream_ends_as_broken() {
        for (silence, total) in [(60_000, 30), (30, 60_000)] {
            let bounds = guards(Duration::from_millis(silence), Duration::from_millis(total));
            let begun = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
            let passed = Passed::new(begun, &bounds, None);
            let seen = tokio::time::timeout(Duration::from_secs(20), all(passed))
                .await
                .unwrap();
            assert_eq!(seen, (b"{".to_vec(), false));
        }
    }

    #[tokio::test]
    async fn its_time_ends_also_when_nobody_reads_on() {
        let (alive, mut gone) = tokio::sync::mpsc::channel::<Infallible>(1);
        let pieces = endless().map(move |piece| {
            let _held = &alive;
            piece
        });
        let bounds = guards(Duration::from_secs(60), Duration::from_millis(30));
        let passed = Passed::new(pieces, &bounds, Some(Dialect::Messages));
        let dropped = tokio::time::timeout(Duration::from_secs(20), gone.recv()).await;
        assert_eq!(dropped, Ok(None), "the vendor's side is given up");
        let (seen, _) = all(passed).await;
        assert!(
            seen.starts_with(b"\n\nevent: error\n"),
            "{}",
            String::from_utf8_lossy(&seen)
        );
    }

    #[tokio::test]
    async fn a_whole_answer_goes_by_as_it_is() {
        let pieces = stream::iter(["a", "b"].map(|piece| Ok(Bytes::from(piece))));
        let passed = Passed::new(pieces, &Guards::default(), Some(Dialect::Responses));
        assert_eq!(all(passed).await, (b"ab".to_vec(), true));
    }
}
