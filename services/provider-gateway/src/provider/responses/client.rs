//! Asks for a response: body, address and credentials. The exchange itself is [`crate::provider::http`]'s.

use tandem_chat_core::error::ErrorKind;

use super::{Origin, convert, stream::Parser};
use crate::provider::{
    Call, Deltas, Failure,
    http::{self, Http},
    tool_call::used_call_ids,
};

/// Largest request the vendor reads.
const MAX_REQUEST_BYTES: usize = 50 * 1024 * 1024;

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(in crate::provider) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Call { request, model, key } = call;
    let body =
        convert::request(&request, &model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
    let body = http::json_within(MAX_REQUEST_BYTES, &body)?;
    let provider = &model.provider;
    let headers = provider.kind.openai_headers(key.as_ref())?;
    let parser = Parser::new(Origin::of(&model), request.id, used_call_ids(&request.messages));
    let url = provider.kind.openai_url(&provider.base_url, "responses");
    http.post(url, headers, body, parser).await
}

/// The body that [`open`] sends.
#[cfg(test)]
pub(in crate::provider) fn body(
    request: &crate::completion::Request,
    model: &crate::catalog::Model,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let request =
        convert::request(request, model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
    Ok(serde_json::to_value(request).unwrap().as_object().unwrap().clone())
}

/// What understands the answer that [`open`] gets.
#[cfg(test)]
pub(in crate::provider) fn parser(
    request: &crate::completion::Request,
    model: &crate::catalog::Model,
) -> crate::provider::body::Parser<impl crate::provider::body::Answer + use<>> {
    Parser::new(Origin::of(model), request.id, used_call_ids(&request.messages))
}
