//! Bodies: those of requests are read whole, those of answers are known at once or go by as they come.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, stream::BoxStream};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::timeout;

use super::{
    passed::Passed,
    refusal::{Reason, Refusal},
    relay::Flow,
};

/// Longest request body read.
pub const MAX_REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// Time for all of a request's body to come.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(120);

/// What the bodies of all requests may hold that have not been answered yet.
const MAX_HELD_BYTES: usize = 512 * 1024 * 1024;

/// What each of them counts for at least, which bounds how many there are.
const MIN_ROOM_BYTES: usize = 16 * 1024;

/// An answer's body. Dropping it drops what it comes from.
pub struct Body(Inner);

enum Inner {
    Full(Option<Bytes>),
    Relayed(Box<Flow>),
    Told(BoxStream<'static, Bytes>),
    Passed(Box<Passed>),
}

/// The body cannot be continued. Whoever reads it must see that it is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vendor's answer broke off")]
pub struct Broken;

impl Body {
    /// A body that is known.
    pub fn full(bytes: Bytes) -> Self {
        Self(Inner::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A body on its way from a vendor.
    pub(super) fn relayed(flow: Flow) -> Self {
        Self(Inner::Relayed(Box::new(flow)))
    }

    /// A body that is told as it becomes known.
    pub(super) fn told(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Inner::Told(Box::pin(stream)))
    }

    /// A body handed on without being understood.
    pub(super) fn passed(passed: Passed) -> Self {
        Self(Inner::Passed(Box::new(passed)))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Relayed(flow) => flow.poll(cx).map(|next| next.map(|piece| piece.map(Frame::data))),
            Inner::Passed(passed) => passed.poll(cx).map(|next| next.map(|piece| piece.map(Frame::data))),
            Inner::Told(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.is_none(),
            Inner::Relayed(_) | Inner::Told(_) | Inner::Passed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Relayed(_) | Inner::Told(_) | Inner::Passed(_) => SizeHint::default(),
        }
    }
}

/// How much of requests is held at once.
pub(super) struct Bodies {
    held: Arc<AtomicUsize>,
    max: usize,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            held: Arc::default(),
            max: MAX_HELD_BYTES,
        }
    }
}

/// A request's body, once all of it has come. Its room is given back when it is dropped.
pub(super) struct Collected {
    /// The body.
    pub(super) bytes: Bytes,
    _room: Room,
}

/// Room that a body takes.
struct Room {
    held: Arc<AtomicUsize>,
    taken: usize,
}

impl Room {
    /// # Errors
    /// There is not so much left.
    fn grow(&mut self, bytes: usize, max: usize) -> Result<(), Refusal> {
        self.taken += bytes;
        if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes > max {
            let text = "Too many requests are being read at once; try again.";
            return Err(Refusal::new(Reason::Unavailable, text).after(Duration::from_secs(1)));
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Bodies {
    /// A request's body, once all of it has come. One piece is taken as it is.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::SlowBody`], [`Reason::Invalid`] if it breaks off, [`Reason::Unavailable`] if there is no room.
    pub(super) async fn collect<B>(&self, body: B) -> Result<Collected, Refusal>
    where
        B: HttpBody<Data = Bytes>,
    {
        self.collect_within(BODY_TIMEOUT, body).await
    }

    async fn collect_within<B>(&self, limit: Duration, body: B) -> Result<Collected, Refusal>
    where
        B: HttpBody<Data = Bytes>,
    {
        let mut room = Room {
            held: Arc::clone(&self.held),
            taken: 0,
        };
        room.grow(MIN_ROOM_BYTES, self.max)?;
        let reading = read(body, |bytes| room.grow(bytes, self.max));
        let bytes = timeout(limit, reading).await.unwrap_or_else(|_| {
            let text = format!("The request body did not come within {} seconds.", limit.as_secs());
            Err(Refusal::new(Reason::SlowBody, text))
        })?;
        Ok(Collected { bytes, _room: room })
    }
}

/// * `grow`: told of each piece before it is kept.
async fn read<B>(body: B, mut grow: impl FnMut(usize) -> Result<(), Refusal>) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let hint = body.size_hint().lower();
    if hint > MAX_REQUEST_BYTES as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| Refusal::new(Reason::Invalid, "The request body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        grow(data.len())?;
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                let expected = usize::try_from(hint).unwrap_or(0).max(first.len() + data.len());
                all.reserve(expected.min(MAX_REQUEST_BYTES));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
        if first.len().max(all.len()) > MAX_REQUEST_BYTES {
            return Err(too_large());
        }
    }
    Ok(if all.is_empty() { first } else { Bytes::from(all) })
}

fn too_large() -> Refusal {
    let text = format!("The request is longer than {MAX_REQUEST_BYTES} bytes.");
    Refusal::new(Reason::TooLarge, text)
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};

    use super::*;

    struct Pieces(BoxStream<'static, Bytes>);

    impl Pieces {
        fn of(pieces: Vec<Bytes>) -> Self {
            Self(stream::iter(pieces).boxed())
        }
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Broken;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
            let next = self.0.as_mut().poll_next(cx);
            next.map(|next| next.map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn reason<T>(read: Result<T, Refusal>) -> Option<Reason> {
        read.err().map(|refusal| refusal.reason)
    }

    #[tokio::test]
    async fn a_body_that_trickles_has_a_time_for_all_of_it() {
        let bodies = Bodies::default();
        let trickle = |count| {
            let pieces = stream::iter(0..count).then(|_| async {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Bytes::from_static(b" ")
            });
            Pieces(pieces.boxed())
        };
        let slow = bodies
            .collect_within(Duration::from_millis(60), trickle(usize::MAX))
            .await;
        assert_eq!(reason(slow), Some(Reason::SlowBody));
        let whole = bodies.collect(trickle(5)).await.ok().unwrap();
        assert_eq!(whole.bytes, "     ");
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_it_may_be_and_not_longer() {
        let piece = Bytes::from(vec![0; MAX_REQUEST_BYTES / 2]);
        let bodies = Bodies::default();
        let two = vec![piece.clone(), piece.clone()];
        assert_eq!(
            bodies.collect(Pieces::of(two.clone())).await.ok().unwrap().bytes.len(),
            MAX_REQUEST_BYTES
        );
        let more = [two, vec![Bytes::from_static(b" ")]].concat();
        assert_eq!(reason(bodies.collect(Pieces::of(more)).await), Some(Reason::TooLarge));
        assert_eq!(bodies.held.load(Ordering::Relaxed), 0, "all room is given back");
    }

    #[tokio::test]
    async fn bodies_have_room_together_until_it_is_full_and_again_when_one_is_gone() {
        let bodies = Bodies {
            max: 2 * (MIN_ROOM_BYTES + 10),
            ..Bodies::default()
        };
        let collect = |bytes: usize| bodies.collect(Pieces::of(vec![Bytes::from(vec![0; bytes])]));
        let first = collect(10).await.ok().unwrap();
        assert_eq!(reason(collect(11).await), Some(Reason::Unavailable));
        let second = collect(10).await.ok().unwrap();
        assert_eq!(
            reason(collect(0).await),
            Some(Reason::Unavailable),
            "an empty one takes room too"
        );
        drop(first);
        assert!(collect(10).await.is_ok());
        drop(second);
        assert_eq!(bodies.held.load(Ordering::Relaxed), 0);
    }
}
