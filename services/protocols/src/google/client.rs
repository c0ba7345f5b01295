//! Asks for an answer: body, address and credentials. The exchange itself is [`crate::http`]'s.

use tandem_chat_core::error::ErrorKind;

use super::{address, convert, error, stream::Parser};
use crate::{
    Call, Deltas, Failure,
    http::{self, Http},
    tool_call::used_call_ids,
};

/// Largest request the vendor reads.
const MAX_REQUEST_BYTES: usize = 100 * 1024 * 1024;

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(crate) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Call { request, model, key } = call;
    let (body, names) =
        convert::request(&request, &model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
    let body = http::json_within(MAX_REQUEST_BYTES, &body)?;
    let base_url = &model.provider.base_url;
    let headers = address::headers(base_url, key.as_ref())?;
    let parser = Parser::new(&model.model, names, request.id, used_call_ids(&request.messages));
    let url = address::stream(base_url, &model.model);
    http.post(url, headers, body, parser).await.map_err(error::understood)
}
