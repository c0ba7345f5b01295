//! Asks for a Chat Completion: body, address and credentials. The exchange itself is [`crate::provider::http`]'s.

use tandem_chat_core::error::ErrorKind;

use super::{cache, convert, stream::Parser};
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
