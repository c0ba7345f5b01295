//! `BridgeService`: the front for gateways, which have found out who is calling.
//!
//! Owns the shape in which an HTTP exchange travels over gRPC, and that only gateways use it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderName, HeaderValue};
use hyper::body::{Body as HttpBody, Frame};
use tandem_chassis::{
    identity::{self, ServiceName},
    status::Fault,
};
use tandem_chat_core::id::UserId;
use tandem_proto::provider::v1::{
    ForwardRequest, ForwardResponse, Header, RequestHead, ResponseHead, bridge_service_server::BridgeService,
    forward_request, forward_response,
};
use tonic::{Request, Response, Status, Streaming};

use super::{Bridge, body::Body, caller::Caller};

/// Who may forward.
const CALLERS: [ServiceName; 1] = [ServiceName::Gateway];

/// Largest piece of a body in one message.
const MAX_PIECE_BYTES: usize = 256 * 1024;

type Pieces = Pin<Box<dyn Stream<Item = Result<ForwardResponse, Status>> + Send>>;

/// The handler.
pub struct Forward(Bridge);

impl Forward {
    /// A handler over an engine.
    pub fn new(bridge: Bridge) -> Self {
        Self(bridge)
    }
}

#[tonic::async_trait]
impl BridgeService for Forward {
    type ForwardStream = Pieces;

    async fn forward(&self, request: Request<Streaming<ForwardRequest>>) -> Result<Response<Pieces>, Status> {
        let caller = identity::Caller::of(&request)?;
        caller.require_service(&CALLERS)?;
        let identity = caller.user()?.clone();
        let mut pieces = request.into_inner();
        let Some(ForwardRequest {
            piece: Some(forward_request::Piece::Head(head)),
        }) = pieces.message().await?
        else {
            return Err(invalid("the first message must be the head").into());
        };
        let caller = Caller {
            user: UserId::new(identity.id),
            identity,
            username: head.username.clone(),
            credential_id: head.credential_id.clone(),
            is_byok: head.is_byok,
        };
        let request = exchange(head, pieces)?;
        let (head, body) = self.0.exchange(&Arc::new(caller), request).await.into_parts();
        let header = |(name, value): (&HeaderName, &HeaderValue)| Header {
            name: name.as_str().to_owned(),
            value: value.as_bytes().to_vec(),
        };
        let first = ResponseHead {
            status: i32::from(head.status.as_u16()),
            headers: head.headers.iter().map(header).collect(),
        };
        let first = ForwardResponse {
            piece: Some(forward_response::Piece::Head(first)),
        };
        let all = futures::stream::iter([Ok(first)]).chain(answered(body));
        Ok(Response::new(Box::pin(all)))
    }
}

fn invalid(text: &'static str) -> Fault {
    Fault::invalid("INVALID_REQUEST", text)
}

fn exchange(head: RequestHead, pieces: Streaming<ForwardRequest>) -> Result<http::Request<Asked>, Status> {
    let mut request = http::Request::builder()
        .method(head.method.as_bytes())
        .uri(head.path_and_query);
    for Header { name, value } in head.headers {
        request = request.header(name, value);
    }
    let request = request.body(Asked(pieces));
    request.map_err(|_| invalid("method, path or a header is not that of an HTTP request").into())
}

/// The request's body as it comes.
struct Asked(Streaming<ForwardRequest>);

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.0).poll_next(cx).map(|next| {
            next.map(|message| match message?.piece {
                Some(forward_request::Piece::Body(body)) => Ok(Frame::data(Bytes::from(body))),
                Some(forward_request::Piece::Head(_)) | None => Err(invalid("only the first message is a head").into()),
            })
        })
    }
}

/// The answer's body in messages. One that broke off ends with an error, so that nobody takes it for whole.
fn answered(body: Body) -> impl Stream<Item = Result<ForwardResponse, Status>> + Send {
    let pieces = futures::stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await?;
        Some(match frame {
            Ok(frame) => (Ok(frame.into_data().unwrap_or_default()), Some(body)),
            Err(broken) => (Err(broken), None),
        })
    });
    pieces.flat_map(|piece| {
        futures::stream::iter(match piece {
            Ok(piece) => messages(&piece).map(Ok).collect::<Vec<_>>(),
            Err(broken) => vec![Err(Fault::unavailable("ANSWER_BROKE_OFF", broken.to_string()).into())],
        })
    })
}

fn messages(piece: &Bytes) -> impl Iterator<Item = ForwardResponse> + '_ {
    piece.chunks(MAX_PIECE_BYTES).map(|piece| ForwardResponse {
        piece: Some(forward_response::Piece::Body(piece.to_vec())),
    })
}
