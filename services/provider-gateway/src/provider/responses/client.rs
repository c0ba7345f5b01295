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
