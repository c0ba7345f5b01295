//! Calls that can be broken off while their request is still on its way. Dropping a call is not enough for that: the connection goes on
//! reading the request's stream, and the other side waits for the rest of it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body, transport::Channel};
use tower::Service;

/// Goes along with a request, in its extensions: once it is cancelled, the request ends with an error at the other side.
#[derive(Clone)]
pub struct BreakOff(pub CancellationToken);

/// A channel whose requests heed [`BreakOff`]. Cheap to clone.
#[derive(Clone)]
pub struct Breakable(Channel);

impl Breakable {
    /// Calls over `channel`.
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Breakable {
    type Response = <Channel as Service<http::Request<Body>>>::Response;
    type Error = <Channel as Service<http::Request<Body>>>::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let body = match head.extensions.remove::<BreakOff>() {
            Some(BreakOff(token)) => Body::new(Breaking {
                body,
                is_broken: Box::pin(token.clone().cancelled_owned()),
                token,
            }),
            None => body,
        };
        self.0.call(http::Request::from_parts(head, body))
    }
}

/// A request's stream until it is broken off.
struct Breaking {
    body: Body,
    token: CancellationToken,
    is_broken: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl hyper::body::Body for Breaking {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.token.is_cancelled() {
            if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            if self.is_broken.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Some(Err(Status::cancelled("the request was broken off"))))
    }
}
