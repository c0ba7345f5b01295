//! Asks for a message: body, address and credentials. The exchange itself is [`crate::provider::http`]'s.

use serde_json::{Map, Value};
use tandem_chat_core::error::ErrorKind;

use super::{address, convert, stream::Parser};
use crate::{
    catalog::Model,
    completion::Request,
    provider::{
        Call, Deltas, Failure, body,
        http::{self, Http},
        tool_call::used_call_ids,
    },
};

/// Largest request the vendor reads.
const MAX_REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(in crate::provider) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Call { request, model, key } = call;
    let body = http::json_within(MAX_REQUEST_BYTES, &written(&request, &model)?)?;
    let base_url = &model.provider.base_url;
    let headers = address::headers(base_url, key.as_ref())?;
    let parser = parser(&request, &model);
    http.post(address::below(base_url, "messages"), headers, body, parser)
        .await
}

/// A request of this protocol, for vendors that speak it in another frame.
///
/// # Errors
/// [`Failure`]: it cannot be made.
pub(in crate::provider) fn body(request: &Request, model: &Model) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(written(request, model)?) {
        Ok(Value::Object(body)) => Ok(body),
        // A request is an object; said instead of assumed.
        _ => Err(Failure::known(
            ErrorKind::Generic,
            "the request cannot be written as JSON",
        )),
    }
}

/// What understands an answer to a request of this protocol.
pub(in crate::provider) fn parser(request: &Request, model: &Model) -> body::Parser<impl body::Answer + use<>> {
    Parser::new(&model.model, request.id, used_call_ids(&request.messages))
}

fn written(request: &Request, model: &Model) -> Result<super::wire::Request, Failure> {
    convert::request(request, model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))
}
