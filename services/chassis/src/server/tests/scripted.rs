//! A service that does what the method's name says, and a client for it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, future::BoxFuture, stream};
use tonic::{
    Request, Response, Status, Streaming, body::Body, codegen::http, server::NamedService, transport::Channel,
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::{identity::Caller, status::Fault, telemetry};

type Codec = ProstCodec<String, String>;
type Texts = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

#[derive(Clone)]
pub(super) struct Scripted;

impl NamedService for Scripted {
    const NAME: &'static str = "test.Scripted";
}

impl Service<http::Request<Body>> for Scripted {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let mut grpc = tonic::server::Grpc::new(Codec::default());
        Box::pin(async move {
            Ok(if method.starts_with("Stream") {
                let handler = service_fn(move |request| streamed(method.clone(), request));
                grpc.server_streaming(handler, request).await
            } else {
                let handler = service_fn(move |request| unary(method.clone(), request));
                grpc.unary(handler, request).await
            })
        })
    }
}

async fn unary(method: String, request: Request<String>) -> Result<Response<String>, Status> {
    let answer = match method.as_str() {
        "Echo" => request.into_inner(),
        "WhoAmI" => format!("{:?}", Caller::of(&request)?),
        "TraceId" => telemetry::trace_id(&tracing::Span::current()).unwrap_or_default(),
        "Refuse" => {
            return Err(Fault::not_found("CHAT_NOT_FOUND", "no such chat")
                .with("chat_id", 7)
                .into());
        }
        "Panic" => panic!("on purpose"),
        "Hang" => std::future::pending().await,
        _ => return Err(Status::unimplemented("no such method")),
    };
    Ok(Response::new(answer))
}

async fn streamed(method: String, _request: Request<String>) -> Result<Response<Texts>, Status> {
    let first = stream::iter([Ok("first".to_owned())]);
    let rest: Texts = match method.as_str() {
        "StreamEnd" => Box::pin(stream::empty()),
        "StreamHang" => Box::pin(stream::pending()),
        "StreamPanic" => Box::pin(stream::once(async {
            // Lets the first text leave; one still in the encoder goes down with the stream.
            tokio::task::yield_now().await;
            panic!("on purpose")
        })),
        _ => return Err(Status::unimplemented("no such method")),
    };
    Ok(Response::new(Box::pin(first.chain(rest))))
}

/// Calls a unary method and reads errors as faults.
pub(super) async fn call(channel: &Channel, method: &'static str, request: Request<String>) -> Result<String, Fault> {
    let mut grpc = ready(channel).await?;
    let answer = grpc.unary(request, path(method), Codec::default()).await?;
    Ok(answer.into_inner())
}

/// Opens a streaming method.
pub(super) async fn open(
    channel: &Channel,
    method: &'static str,
    request: Request<String>,
) -> Result<Streaming<String>, Fault> {
    let mut grpc = ready(channel).await?;
    let answer = grpc.server_streaming(request, path(method), Codec::default()).await?;
    Ok(answer.into_inner())
}

async fn ready(channel: &Channel) -> Result<tonic::client::Grpc<Channel>, Fault> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(Box::new(error)))?;
    Ok(grpc)
}

fn path(method: &'static str) -> http::uri::PathAndQuery {
    format!("/test.Scripted/{method}").parse().unwrap()
}
