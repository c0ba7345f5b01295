//! Asks for a Chat Completion: body, address and credentials. The exchange itself is [`crate::provider::http`]'s.

use ::http::HeaderMap;
use tandem_chat_core::error::ErrorKind;

use super::{convert, stream::Parser};
use crate::provider::{
    Call, Deltas, Failure,
    http::{self, Http},
    tool_call::used_call_ids,
};

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(in crate::provider) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Call { request, model, key } = call;
    let body =
        convert::request(&request, &model).map_err(|invalid| Failure::known(ErrorKind::Config, invalid.to_string()))?;
    let url = http::endpoint(&model.provider.base_url, "chat/completions");
    let headers = match &key {
        Some(key) => http::bearer(key)?,
        None => HeaderMap::new(),
    };
    let parser = Parser::new(request.id, used_call_ids(&request.messages));
    http.post(url, headers, http::json(&body)?, parser).await
}
