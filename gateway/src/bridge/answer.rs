//! An answer on its way back, piece by piece: the bridge is asked for the next one when the client has taken this one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures::Stream;
use hyper::body::Frame;
use tandem_chassis::{hop, status::Fault};
use tandem_proto::provider::v1::{ForwardResponse, ResponseHead, forward_response::Piece};
use tokio_util::sync::DropGuard;
use tonic::Streaming;

/// The answer that begins with `first` and goes on with `rest`. Dropping it ends the exchange, which `going_on` tells the other side.
///
/// # Errors
/// What comes first is no head.
pub fn respond(
    first: Option<ForwardResponse>,
    rest: Streaming<ForwardResponse>,
    going_on: DropGuard,
) -> Result<Response, Fault> {
    let broken = |what| Fault::internal("CONTRACT_BROKEN", what);
    let Some(Piece::Head(head)) = first.and_then(|first| first.piece) else {
        return Err(broken("the bridge answered without a head"));
    };
    let status = u16::try_from(head.status).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(Body::new(Answer {
        rest,
        _going_on: going_on,
    }));
    *response.status_mut() = status.ok_or_else(|| broken("the bridge answered without a status"))?;
    *response.headers_mut() = headers(head);
    Ok(response)
}

fn headers(head: ResponseHead) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for header in head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(&header.value);
        if let (Ok(name), Ok(value)) = (name, value)
            // What belongs to the connection on the other side, or would be a cookie of our own.
            && !hop::is_hop_by_hop(&name)
            && name != header::SET_COOKIE
        {
            headers.append(name, value);
        }
    }
    headers
}

struct Answer {
    rest: Streaming<ForwardResponse>,
    /// Tells the other side when this is dropped.
    _going_on: DropGuard,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // An error breaks the client's connection off, so that half an answer does not look like a whole one.
        let broken_off = || Poll::Ready(Some(Err(io::Error::other("the bridge broke off"))));
        loop {
            match ready!(Pin::new(&mut self.rest).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(next)) => match next.piece {
                    Some(Piece::Body(body)) if !body.is_empty() => {
                        return Poll::Ready(Some(Ok(Frame::data(body.into()))));
                    }
                    Some(Piece::Body(_)) | None => {}
                    Some(Piece::Head(_)) => {
                        Fault::internal("CONTRACT_BROKEN", "the bridge sent a second head").log();
                        return broken_off();
                    }
                },
                Some(Err(status)) => {
                    tracing::warn!(fault = ?Fault::from(status), "an answer broke off");
                    return broken_off();
                }
            }
        }
    }
}
