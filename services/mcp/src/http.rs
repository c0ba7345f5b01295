//! The HTTP under a session: judged addresses, our headers, and no answer longer than we want to hold.
//!
//! Whatever goes wrong with a request is told to the one who made it, as the protocol's own error with a code of ours that says
//! whether the server may have acted on it. Nothing is resumed and nothing is listened for besides answers.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use rmcp::ErrorData;
use rmcp::model::{ClientJsonRpcMessage, ErrorCode, RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use tandem_chassis::outbound::{self, Outbound, Refused};
use url::Url;

use crate::{body, values};

/// Largest answer, in bytes, whatever it consists of.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Of the text of a failure, how much is read.
const MAX_FAILURE_BYTES: usize = 4 * 1024;

/// The server has not seen the request.
pub(crate) const NOT_SENT: ErrorCode = ErrorCode(-31_900);
/// The server refused the request, and has not acted on it.
pub(crate) const REFUSED: ErrorCode = ErrorCode(-31_901);
/// The server may have acted on the request; its answer cannot be had.
pub(crate) const NO_ANSWER: ErrorCode = ErrorCode(-31_902);

const SESSION_HEADER: &str = "mcp-session-id";
const EVENT_STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";
const ACCEPTED: &str = "application/json, text/event-stream";

/// The client of one session. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    outbound: Outbound,
    /// Those of every request; they win over the protocol's.
    headers: Arc<HeaderMap>,
}

/// Why a message that is no request was not delivered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub(crate) String);

type Error = StreamableHttpError<Undelivered>;

/// Why there is no answer.
pub(crate) struct Failure {
    code: ErrorCode,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    pub(crate) fn too_large() -> Self {
        let text = format!("the server's answer is larger than {MAX_ANSWER_BYTES} bytes");
        Self::new(NO_ANSWER, text)
    }

    /// The same to those who know no codes.
    pub(crate) fn plain(self) -> crate::Failure {
        if self.code == NO_ANSWER {
            crate::Failure::NoAnswer(self.text)
        } else {
            crate::Failure::Refused(self.text)
        }
    }

    fn of(error: reqwest::Error) -> Self {
        if let Some(refused) = outbound::find_source::<Refused>(&error) {
            return Self::new(NOT_SENT, refused.to_string());
        }
        let code = if error.is_connect() || error.is_builder() {
            NOT_SENT
        } else {
            NO_ANSWER
        };
        // The address can hold a secret.
        Self::new(code, outbound::chain(&error.without_url()))
    }

    /// The same as an answer to the request with that id.
    pub(crate) fn message(self, id: RequestId) -> ServerJsonRpcMessage {
        ServerJsonRpcMessage::error(ErrorData::new(self.code, self.text, None), Some(id))
    }

    /// As an answer where there is somebody who waits for one, as an error of the transport otherwise.
    fn answer(self, id: Option<RequestId>) -> Result<StreamableHttpPostResponse, Error> {
        match id {
            Some(id) => Ok(StreamableHttpPostResponse::Json(self.message(id), None)),
            None => Err(StreamableHttpError::Client(Undelivered(self.text))),
        }
    }
}

impl Http {
    /// A client whose requests all carry `headers`.
    pub fn new(outbound: Outbound, headers: HeaderMap) -> Self {
        Self {
            outbound,
            headers: Arc::new(headers),
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        uri: &str,
        session: Option<&str>,
        protocol: HashMap<HeaderName, HeaderValue>,
        body: Option<Vec<u8>>,
    ) -> Result<reqwest::Response, Failure> {
        let url = Url::parse(uri).map_err(|_| Failure::new(NOT_SENT, "the server's address is not valid"))?;
        let mut headers = HeaderMap::with_capacity(protocol.len() + self.headers.len() + 3);
        headers.extend(protocol);
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        if let Some(value) = session.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(HeaderName::from_static(SESSION_HEADER), value);
        }
        for (name, value) in self.headers.iter() {
            headers.insert(name.clone(), value.clone());
        }
        let mut request = self
            .outbound
            .request(method, url)
            .map_err(|refused| Failure::new(NOT_SENT, refused.to_string()))?;
        if let Some(body) = body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            request = request.body(body);
        }
        request.headers(headers).send().await.map_err(Failure::of)
    }

    async fn post(
        &self,
        uri: &str,
        message: &ClientJsonRpcMessage,
        session: Option<&str>,
        protocol: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let id = match message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let body = serde_json::to_vec(message)?;
        let response = match self.send(Method::POST, uri, session, protocol, Some(body)).await {
            Ok(response) => response,
            Err(failure) => return failure.answer(id),
        };
        let status = response.status();
        if status == StatusCode::NOT_FOUND && session.is_some() {
            // Begun anew, once, by the transport: a server that does not know the session has not acted.
            return Err(StreamableHttpError::SessionExpired);
        }
        if !status.is_success() {
            return refusal(response).await.answer(id);
        }
        let Some(id) = id else {
            return Ok(StreamableHttpPostResponse::Accepted);
        };
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let session = header(SESSION_HEADER).map(str::to_owned);
        let content_type = header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
        if content_type.starts_with(EVENT_STREAM) {
            return Ok(StreamableHttpPostResponse::Sse(events(response, id), session));
        }
        if !content_type.starts_with(JSON) {
            let text = "the server's answer is neither JSON nor a stream of events";
            return Failure::new(NO_ANSWER, text).answer(Some(id));
        }
        match body::whole(response, MAX_ANSWER_BYTES).await {
            Ok(body) if values::are_too_many(&body) => Failure::new(NO_ANSWER, values::too_many()).answer(Some(id)),
            Ok(body) => match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
                Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
                Err(_) => Failure::new(NO_ANSWER, "the server's answer does not follow the protocol").answer(Some(id)),
            },
            Err(body::Error::TooLarge { .. }) => Failure::too_large().answer(Some(id)),
            Err(body::Error::Broken(error)) => Failure::of(error).answer(Some(id)),
        }
    }
}

impl StreamableHttpClient for Http {
    type Error = Undelivered;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.post(&uri, &message, session_id.as_deref(), custom_headers).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        self.send(Method::DELETE, &uri, Some(&session_id), custom_headers, None)
            .await
            .map(|_| ())
            .map_err(|failure| StreamableHttpError::Client(Undelivered(failure.text)))
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        _session_id: Option<Arc<str>>,
        _last_event_id: Option<String>,
        _auth_header: Option<String>,
        _custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Error> {
        // Servers could send through it what nobody has asked for. Tools are listed anew for each turn instead.
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }
}

/// What an answer that is no success says.
pub(crate) async fn refusal(response: reqwest::Response) -> Failure {
    let status = response.status();
    let start = body::start(response, MAX_FAILURE_BYTES).await;
    let words = String::from_utf8_lossy(&start);
    let words = match serde_json::from_slice::<ServerJsonRpcMessage>(&start) {
        Ok(ServerJsonRpcMessage::Error(error)) => error.error.message.into_owned(),
        _ => words.trim().to_owned(),
    };
    let code = if status.is_server_error() { NO_ANSWER } else { REFUSED };
    if status.is_redirection() {
        return Failure::new(
            REFUSED,
            format!("the server answered {status}, and redirects are not followed"),
        );
    }
    let text = match words.is_empty() {
        true => format!("the server answered {status}"),
        false => format!("the server answered {status}: {words}"),
    };
    Failure::new(code, text)
}

/// The events of an answer. Whatever ends them, the last one answers the request; who has its answer already passes over it.
fn events(response: reqwest::Response, id: RequestId) -> BoxStream<'static, Result<Sse, SseError>> {
    let bounded = response.bytes_stream().scan(0, |length, chunk| {
        let chunk = match chunk {
            Ok(chunk) => {
                *length += chunk.len();
                if *length > MAX_ANSWER_BYTES {
                    Err(Ended(Failure::too_large().text))
                } else {
                    Ok(chunk)
                }
            }
            Err(error) => Err(Ended(Failure::of(error).text)),
        };
        futures::future::ready(Some(chunk))
    });
    let events = SseStream::from_bytes_stream(bounded).boxed();
    let state = Some((events, id));
    stream::unfold(state, |state| async move {
        let (mut events, id) = state?;
        let has_too_many = |event: &Sse| {
            let data = event.data.as_deref().unwrap_or_default();
            values::are_too_many(data.as_bytes())
        };
        let text = match events.next().await {
            Some(Ok(event)) if has_too_many(&event) => values::too_many(),
            Some(Ok(event)) => return Some((Ok(event), Some((events, id)))),
            Some(Err(error)) => outbound::chain(&error),
            None => "the server ended the stream without an answer".to_owned(),
        };
        let message = Failure::new(NO_ANSWER, text).message(id);
        let data = serde_json::to_string(&message).unwrap_or_default();
        Some((Ok(Sse::default().data(data)), None))
    })
    .boxed()
}

/// Why a stream of events is not read on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Ended(String);
