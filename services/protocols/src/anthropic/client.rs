//! Asks for a message: body, address and credentials. The exchange itself is [`crate::http`]'s.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::{Map, Value};
use tandem_chat_core::error::ErrorKind;
use url::Url;

use super::{
    address, convert,
    pause::{self, Paused, Record},
    stream::Parser,
};
use crate::{
    Call, Deltas, Failure, Model, body,
    call::Request,
    http::{self, Http},
    tool_call::used_call_ids,
};

/// Largest request the vendor reads.
const MAX_REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(crate) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Call { request, model, key } = call;
    let written = written(&request, &model)?;
    let mut headers = address::headers(&model.provider.base_url, key.as_ref())?;
    if let Some(beta) = super::beta(&request, &model.model) {
        headers.insert(
            HeaderName::from_static("anthropic-beta"),
            HeaderValue::from_static(beta),
        );
    }
    let asking = Asking {
        http: http.clone(),
        url: address::below(&model.provider.base_url, "messages"),
        headers,
        request,
        model,
    };
    if !pause::is_possible(&written) {
        return asking.send(&written, None)?.await;
    }
    let body = object(&written)?;
    let paused = Paused::default();
    let first = asking.send(&body, Some(Record::new(paused.clone())))?.await?;
    let recording = paused.clone();
    let ask: pause::Ask = Box::new(
        move |body| match asking.send(body, Some(Record::new(recording.clone()))) {
            Ok(sending) => sending,
            Err(failure) => Box::pin(async move { Err(failure) }),
        },
    );
    Ok(pause::resumed(first, paused, body, ask))
}

/// Everything that one answer is asked with, once or, where the vendor interrupts it, several times.
struct Asking {
    http: Http,
    url: Url,
    headers: HeaderMap,
    request: Arc<Request>,
    model: Arc<Model>,
}

impl Asking {
    /// Sends a body; what it returns is done when the vendor has accepted it.
    ///
    /// # Errors
    /// It is longer than the vendor reads.
    fn send(
        &self,
        body: &impl Serialize,
        record: Option<Record>,
    ) -> Result<BoxFuture<'static, Result<Deltas, Failure>>, Failure> {
        let body = http::json_within(MAX_REQUEST_BYTES, body)?;
        let used = used_call_ids(&self.request.messages);
        let parser = Parser::new(&self.model.model, self.request.id, used, record);
        let (http, url, headers) = (self.http.clone(), self.url.clone(), self.headers.clone());
        Ok(Box::pin(async move { http.post(url, headers, body, parser).await }))
    }
}

/// A request of this protocol, for vendors that speak it in another frame.
///
/// # Errors
/// [`Failure`]: it cannot be made.
pub(crate) fn body(request: &Request, model: &Model) -> Result<Map<String, Value>, Failure> {
    object(&written(request, model)?)
}

fn object(request: &super::wire::Request) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(request) {
        Ok(Value::Object(body)) => Ok(body),
        // A request is an object; said instead of assumed.
        _ => Err(Failure::known(
            ErrorKind::Generic,
            "the request cannot be written as JSON",
        )),
    }
}

/// What understands an answer to a request of this protocol.
pub(crate) fn parser(request: &Request, model: &Model) -> body::Parser<impl body::Answer + use<>> {
    Parser::new(&model.model, request.id, used_call_ids(&request.messages), None)
}

fn written(request: &Request, model: &Model) -> Result<super::wire::Request, Failure> {
    convert::request(request, model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))
}
