//! A request on its way to the bridge: its head, then its body piece by piece, as fast as the other side takes it.
//!
//! A body that is too long, breaks off or stops coming is never ended here, because its beginning would pass for the whole: whoever waits
//! for the answer learns of the trouble, and breaks the call off.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures::Stream;
use hyper::body::Body as _;
use tandem_proto::provider::v1::{ForwardRequest, RequestHead, forward_request::Piece};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

/// Largest piece, in bytes.
const MAX_PIECE_BYTES: usize = 256 * 1024;

/// What is read of a body that is too long, and thrown away: a client that is still sending would not read why it is refused.
const MAX_DISCARDED_BYTES: u64 = 32 * 1024 * 1024;

/// Why a body does not come whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    TooLarge,
    /// The client left, or what it sent is no HTTP.
    Cut,
    /// Nothing came for too long.
    Slow,
}

/// The request as the bridge reads it.
pub struct Pieces {
    head: Option<RequestHead>,
    body: Body,
    /// The rest of what came at once.
    rest: Bytes,
    state: State,
    /// The longest wait for what comes next.
    patience: Duration,
    /// Made at the first wait; most bodies are there already.
    wait: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    trouble: Option<oneshot::Sender<Trouble>>,
    /// Cancelled for trouble that nobody waits to hear of.
    going_on: CancellationToken,
}

enum State {
    /// So many bytes may still come.
    Reading(u64),
    /// It is too long; so many bytes are thrown away yet.
    Discarding(u64),
    Ended,
    /// There is trouble. Nothing comes any more, not even the end.
    Stuck,
}

impl Pieces {
    /// `head` and `body` of at most `max_bytes`, of which something must come every `patience`. The receiver learns of trouble, if
    /// any; once it is gone, `going_on` is cancelled instead.
    pub fn new(
        head: RequestHead,
        body: Body,
        max_bytes: u64,
        patience: Duration,
        going_on: CancellationToken,
    ) -> (Self, oneshot::Receiver<Trouble>) {
        let (sender, receiver) = oneshot::channel();
        let pieces = Self {
            head: Some(head),
            body,
            rest: Bytes::new(),
            state: State::Reading(max_bytes),
            patience,
            wait: None,
            is_waiting: false,
            trouble: Some(sender),
            going_on,
        };
        (pieces, receiver)
    }

    fn stick(&mut self, trouble: Trouble) -> Poll<Option<ForwardRequest>> {
        self.state = State::Stuck;
        let is_told = self.trouble.take().is_some_and(|sender| sender.send(trouble).is_ok());
        if !is_told {
            // The answer has begun already: it ends too.
            self.going_on.cancel();
        }
        Poll::Pending
    }

    /// What comes next of the body; `Err` when nothing came for too long.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Trouble>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => {
                    self.is_waiting = false;
                    match frame {
                        None => return Poll::Ready(Ok(None)),
                        Some(Err(_)) => return Poll::Ready(Err(Trouble::Cut)),
                        // Trailers belong to the connection, and nobody signs bodies here.
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
                            Ok(_) | Err(_) => {}
                        },
                    }
                }
                Poll::Pending => {
                    let deadline = Instant::now() + self.patience;
                    let wait = self
                        .wait
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                    if !self.is_waiting {
                        self.is_waiting = true;
                        wait.as_mut().reset(deadline);
                    }
                    ready!(wait.as_mut().poll(cx));
                    return Poll::Ready(Err(Trouble::Slow));
                }
            }
        }
    }
}

impl Stream for Pieces {
    type Item = ForwardRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ForwardRequest>> {
        let this = &mut *self;
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(ForwardRequest {
                piece: Some(Piece::Head(head)),
            }));
        }
        loop {
            if !this.rest.is_empty() {
                let next = this.rest.split_to(this.rest.len().min(MAX_PIECE_BYTES));
                return Poll::Ready(Some(ForwardRequest {
                    piece: Some(Piece::Body(next.into())),
                }));
            }
            let left = match this.state {
                State::Reading(left) | State::Discarding(left) => left,
                State::Ended => return Poll::Ready(None),
                State::Stuck => return Poll::Pending,
            };
            let is_discarding = matches!(this.state, State::Discarding(_));
            let data = match ready!(this.poll_data(cx)) {
                Ok(Some(data)) => data,
                Ok(None) if is_discarding => return this.stick(Trouble::TooLarge),
                Ok(None) => {
                    this.state = State::Ended;
                    return Poll::Ready(None);
                }
                Err(_) if is_discarding => return this.stick(Trouble::TooLarge),
                Err(trouble) => return this.stick(trouble),
            };
            this.state = match (is_discarding, left.checked_sub(data.len() as u64)) {
                (false, Some(left)) => {
                    this.rest = data;
                    State::Reading(left)
                }
                (false, None) => State::Discarding(MAX_DISCARDED_BYTES),
                (true, Some(left)) => State::Discarding(left),
                (true, None) => return this.stick(Trouble::TooLarge),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::{FutureExt, StreamExt, stream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    fn pieces(chunks: Vec<Result<Bytes, std::io::Error>>, max: u64) -> (Pieces, oneshot::Receiver<Trouble>) {
        Pieces::new(
            RequestHead::default(),
            Body::from_stream(stream::iter(chunks)),
            max,
            PATIENCE,
            CancellationToken::new(),
        )
    }

    fn size(piece: &ForwardRequest) -> Option<usize> {
        match piece.piece.as_ref()? {
            Piece::Head(_) => None,
            Piece::Body(body) => Some(body.len()),
        }
    }

    #[tokio::test]
    async fn a_body_comes_in_pieces_behind_its_head() {
        let chunks = vec![
            Ok(Bytes::from(vec![1; 600 * 1024])),
            Ok(Bytes::new()),
            Ok(Bytes::from_static(b"end")),
        ];
        let (pieces, trouble) = pieces(chunks, 1 << 20);
        let sizes: Vec<_> = pieces.map(|piece| size(&piece)).collect().await;
        let kib = 1024;
        assert_eq!(sizes, [None, Some(256 * kib), Some(256 * kib), Some(88 * kib), Some(3)]);
        assert!(trouble.await.is_err(), "there was none");
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_never_ends() {
        let chunk = || Ok(Bytes::from_static(&[0; 1000]));
        let (mut pieces, mut trouble) = pieces((0..10).map(|_| chunk()).collect(), 2_500);
        let mut all = 0;
        while let Some(next) = pieces.next().now_or_never() {
            all += next.as_ref().and_then(size).unwrap_or(0);
        }
        assert_eq!(all, 2_000);
        assert_eq!(trouble.try_recv(), Ok(Trouble::TooLarge));
        let exact = (0..10).map(|_| chunk()).collect();
        let (pieces, trouble) = super::tests::pieces(exact, 10_000);
        assert_eq!(pieces.count().await, 11);
        assert!(trouble.await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_thrown_away_to_its_end_or_to_a_bound() {
        const PIECE: usize = 1024 * 1024;
        let bound = usize::try_from(MAX_DISCARDED_BYTES).unwrap() / PIECE;
        // Behind the one that fits and the one that does not.
        for (more, expected) in [(bound, bound), (bound + 1, bound + 1), (bound + 9, bound + 1)] {
            let read = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&read);
            let chunk = Bytes::from(vec![0; PIECE]);
            let chunks = stream::iter((0..2 + more).map(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(chunk.clone())
            }));
            let body = Body::from_stream(chunks);
            let max = u64::try_from(PIECE).unwrap();
            let (mut pieces, mut trouble) =
                Pieces::new(RequestHead::default(), body, max, PATIENCE, CancellationToken::new());
            while pieces.next().now_or_never().is_some() {}
            assert_eq!(trouble.try_recv(), Ok(Trouble::TooLarge), "{more}");
            assert_eq!(read.load(Ordering::Relaxed), 2 + expected, "{more}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_never_ends() {
        let broken = vec![Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))];
        let (mut pieces, trouble) = pieces(broken, 100);
        assert!(pieces.next().await.is_some());
        assert_eq!(pieces.next().await.as_ref().and_then(size), Some(1));
        assert!(pieces.next().now_or_never().is_none());
        assert_eq!(trouble.await, Ok(Trouble::Cut));
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_is_given_up() {
        let chunks = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]).chain(stream::pending());
        let body = Body::from_stream(chunks);
        let (pieces, trouble) = Pieces::new(RequestHead::default(), body, 100, SHORT, CancellationToken::new());
        let started = Instant::now();
        tokio::select! {
            count = pieces.count() => panic!("ended after {count}"),
            trouble = trouble => assert_eq!(trouble, Ok(Trouble::Slow)),
        }
        assert!(started.elapsed() >= SHORT);
    }
}
