//! Asks for a Chat Completion: body, address and credentials. The exchange itself is [`crate::http`]'s.

use tandem_chat_core::error::ErrorKind;

use super::{cache, convert, stream::Parser};
use crate::{
    Call, Deltas, Failure,
    http::{self, Http},
    tool_call::used_call_ids,
};

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(crate) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Call { request, model, key } = call;
    let request_body =
        convert::request(&request, &model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
    let provider = &model.provider;
    let url = provider.kind.openai_url(&provider.base_url, "chat/completions");
    let headers = provider.kind.openai_headers(key.as_ref())?;
    let parser = Parser::new(request.id, used_call_ids(&request.messages));
    let body = if cache::is_wanted(provider.kind, &model.model) {
        cache::marked(&request_body)?
    } else {
        http::json(&request_body)?
    };
    http.post(url, headers, body, parser).await
}

/// The body that [`open`] sends.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn body(
    request: &crate::call::Request,
    model: &crate::Model,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let request =
        convert::request(request, model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
    Ok(serde_json::to_value(request).unwrap().as_object().unwrap().clone())
}

/// What understands the answer that [`open`] gets.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn parser(request: &crate::call::Request) -> crate::body::Parser<impl crate::body::Answer + use<>> {
    Parser::new(request.id, used_call_ids(&request.messages))
}
