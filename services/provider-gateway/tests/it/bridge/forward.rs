//! The front for gateways.

use serde_json::json;
use tandem_proto::provider::v1::{ForwardRequest, Header, RequestHead, forward_request::Piece, forward_response};
use tonic::{Code, Request, Status};

use super::{Bridged, KEYS, chat, completion, streamed, upstream::Reply};

fn head(path: &str) -> RequestHead {
    RequestHead {
        method: "POST".to_owned(),
        path_and_query: path.to_owned(),
        headers: vec![Header {
            name: "user-agent".to_owned(),
            value: b"codex/1".to_vec(),
        }],
        is_byok: false,
        credential_id: "session-1".to_owned(),
        username: "ada".to_owned(),
    }
}

fn pieces(head: RequestHead, body: &[u8]) -> Vec<ForwardRequest> {
    let piece = |piece| ForwardRequest { piece: Some(piece) };
    let body = body.chunks(10).map(|bytes| piece(Piece::Body(bytes.to_vec())));
    [piece(Piece::Head(head))].into_iter().chain(body).collect()
}

/// Status and body.
async fn forwarded(bridged: &Bridged, pieces: Vec<ForwardRequest>) -> Result<(i32, String), Status> {
    let request: Request<_> = bridged.world.as_member(futures::stream::iter(pieces));
    let mut answer = bridged.world.bridge.clone().forward(request).await?.into_inner();
    let (mut status, mut body) = (0, Vec::new());
    while let Some(message) = answer.message().await? {
        match message.piece.unwrap() {
            forward_response::Piece::Head(head) => status = head.status,
            forward_response::Piece::Body(bytes) => body.extend(bytes),
        }
    }
    Ok((status, String::from_utf8(body).unwrap()))
}

#[tokio::test]
async fn an_exchange_travels_whole_both_ways() {
    let bridged = Bridged::start("openai").await;
    bridged.upstream.reply(Reply::json(&completion()).cut(7));
    let body = chat("m-1").to_string();
    let answer = forwarded(&bridged, pieces(head("/openai/v1/chat/completions"), body.as_bytes()))
        .await
        .unwrap();
    assert_eq!(answer, (200, completion().to_string()));
    let asked = bridged.upstream.last();
    assert_eq!(
        (asked.json(), asked.header("authorization")),
        (chat("m-1"), format!("Bearer {}", KEYS[0]).as_str())
    );
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    assert_eq!(
        (
            recorded.starts[0].credential_id.as_str(),
            recorded.starts[0].client.as_str()
        ),
        ("session-1", "Codex")
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_an_http_answer() {
    let bridged = Bridged::start("openai").await;
    let (status, body) = forwarded(&bridged, pieces(head("/openai/v1/chat/completions"), b"{"))
        .await
        .unwrap();
    assert_eq!(status, 400);
    assert!(body.contains("invalid_request_error"), "{body}");
    let (status, _) = forwarded(&bridged, pieces(head("/api/v2/users"), b"")).await.unwrap();
    assert_eq!(status, 404);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_of_the_call() {
    let bridged = Bridged::start("openai").await;
    bridged
        .upstream
        .reply(Reply::new(200, "application/json", "{\"half\":").broken());
    let body = chat("m-1").to_string();
    let broken = forwarded(&bridged, pieces(head("/openai/v1/chat/completions"), body.as_bytes())).await;
    assert_eq!(broken.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn only_gateways_forward_and_only_for_users() {
    let bridged = Bridged::start("openai").await;
    let body = streamed(json!({})).to_string();
    let asked = || futures::stream::iter(pieces(head("/openai/v1/chat/completions"), body.as_bytes()));
    let mut bridge = bridged.world.bridge.clone();
    let refused = bridge.forward(bridged.world.as_orchestrator(asked())).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let headless = futures::stream::iter(pieces(head("/x"), b"x").into_iter().skip(1).collect::<Vec<_>>());
    let refused = bridge.forward(bridged.world.as_member(headless)).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}
