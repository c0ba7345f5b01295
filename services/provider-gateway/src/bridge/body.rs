//! The bodies of answers: known at once, or as they come.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use tokio::time::timeout;

use super::{
    refusal::{Reason, Refusal},
    relay::Flow,
};

/// Longest request body read.
pub const MAX_REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// An answer's body. Dropping it drops what it comes from.
pub struct Body(Inner);

enum Inner {
    Full(Option<Bytes>),
    Relayed(Box<Flow>),
    Told(BoxStream<'static, Bytes>),
    Passed(BoxStream<'static, Result<Bytes, Broken>>),
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
}

impl Body {
    /// A body handed on as it is; one that is silent for too long is broken.
    pub(super) fn passed(
        pieces: impl Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
        silence: Duration,
    ) -> Self {
        let next = move |pieces: Option<_>| async move {
            let mut pieces = pieces?;
            match timeout(silence, StreamExt::next(&mut pieces)).await {
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
                Ok(None) => None,
                Ok(Some(Err(_))) | Err(_) => Some((Err(Broken), None)),
            }
        };
        Self(Inner::Passed(Box::pin(futures::stream::unfold(Some(pieces), next))))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Relayed(flow) => flow.poll(cx).map(|next| next.map(|piece| piece.map(Frame::data))),
            Inner::Passed(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|piece| piece.map(Frame::data))),
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

/// A request's body, once all of it has come. One piece is taken as it is.
///
/// # Errors
/// [`Reason::TooLarge`], or [`Reason::Invalid`] if it breaks off.
pub(super) async fn collect<B>(body: B) -> Result<Bytes, Refusal>
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
