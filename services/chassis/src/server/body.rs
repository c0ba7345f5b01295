//! A response body that keeps the stack's promises until its last frame.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, body::Body};

use super::metrics::Measure;
use crate::status::Fault;

/// Wraps a handler's body. Ends it early with trailers when time is up, the process stops, or the stream panics.
pub(super) struct GuardedBody {
    inner: Option<Body>,
    /// Completes with the reason to end the stream early.
    cut: BoxFuture<'static, Fault>,
    span: tracing::Span,
    measure: Measure,
    _permit: OwnedSemaphorePermit,
}

impl GuardedBody {
    pub(super) fn new(
        inner: Body,
        cut: BoxFuture<'static, Fault>,
        span: tracing::Span,
        measure: Measure,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            inner: Some(inner),
            cut,
            span,
            measure,
            _permit: permit,
        }
    }

    /// Drops the handler's stream and ends with `status`.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.inner = None;
        self.measure.finish(status.code());
        Frame::trailers(trailers(status))
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let span = this.span.clone();
        let _entered = span.enter();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx)));
        match polled {
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let code = Status::from_header_map(trailers).map_or(tonic::Code::Unknown, |status| status.code());
                    this.measure.finish(code);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(Poll::Ready(Some(Err(status)))) => {
                this.measure.finish(status.code());
                Poll::Ready(Some(Err(status)))
            }
            Ok(Poll::Ready(None)) => {
                this.measure.finish(tonic::Code::Ok);
                Poll::Ready(None)
            }
            Ok(Poll::Pending) => match this.cut.as_mut().poll(cx) {
                Poll::Ready(fault) => Poll::Ready(Some(Ok(this.end(&fault.into())))),
                Poll::Pending => Poll::Pending,
            },
            Err(payload) => {
                let status = super::stack::panic_fault(&*payload).into();
                Poll::Ready(Some(Ok(this.end(&status))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // A cut adds a frame, so only the lower bound could be promised, and nobody needs it.
        SizeHint::default()
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if status.add_header(&mut headers).is_err() {
        // Only a message with bytes no header can carry fails; the code alone always fits.
        headers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
    }
    headers
}
