//! Reads that come again: a call to a service on behalf of a `GET` is made once more when the connection broke before the answer began, as
//! it does whenever a service is replaced. Nothing else is repeated here: whether a write may come again is for its sender to say.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::Request, http::Method, middleware::Next, response::Response};
use futures::{
    FutureExt,
    future::{BoxFuture, poll_fn},
};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tonic::{
    body::Body,
    transport::{Channel, Error},
};
use tower::Service;

/// A connection that took longer to break has used up the caller's patience.
const MAX_AGE: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// Set while a read is answered. Services are called from the task itself, never from one it spawns.
    static IS_READ: ();
}

/// The layer: marks reads.
pub async fn layer(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        IS_READ.scope((), next.run(request)).await
    } else {
        next.run(request).await
    }
}

/// A channel that repeats calls of reads. Cheap to clone.
#[derive(Clone)]
pub struct Repeating(Channel);

impl Repeating {
    /// Calls over `channel`.
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Repeating {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if IS_READ.try_with(|()| ()).is_err() {
            return self.0.call(request).boxed();
        }
        // The one that is ready makes the call; its clone makes the other, if there is one.
        let channel = self.0.clone();
        let ready = std::mem::replace(&mut self.0, channel.clone());
        twice(ready, channel, request).boxed()
    }
}

async fn twice(
    mut first: Channel,
    mut second: Channel,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Error> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    // One message of ours, in memory already.
    let body = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(status) => return Ok(status.into_http()),
    };
    let copy = || http::Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
    match first.call(copy()).await {
        Err(error) if started.elapsed() < MAX_AGE => {
            tracing::debug!(%error, method = head.uri.path(), "the connection broke, asking once more");
            poll_fn(|cx| second.poll_ready(cx)).await?;
            second.call(copy()).await
        }
        ended => ended,
    }
}
