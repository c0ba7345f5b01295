//! Asks for a response: body, address and credentials. The exchange itself is [`crate::http`]'s.
//!
//! Owns what happens when the vendor has forgotten the response that a request goes on from: the same request with its whole
//! conversation follows at once, before anybody has been told anything.

use futures::{StreamExt as _, stream};
use tandem_chat_core::error::ErrorKind;

use super::{Origin, chain, convert, stream::Parser, wire};
use crate::{
    Call, Deltas, Failure,
    http::{self, Http},
    options::InvalidOption,
    tool_call::used_call_ids,
};

/// Largest request the vendor reads.
const MAX_REQUEST_BYTES: usize = 50 * 1024 * 1024;

/// Sends a call; returns when the vendor has accepted it.
///
/// # Errors
/// [`Failure`]: nothing was answered.
pub(crate) async fn open(http: &Http, call: Call) -> Result<Deltas, Failure> {
    let Some(short) = convert::chained(&call.request, &call.model).map_err(unsendable)? else {
        return whole(http, &call).await;
    };
    match send(http, &call, &short).await {
        Ok(deltas) => {
            let http = http.clone();
            Ok(or_else_whole(deltas, async move {
                forgotten(&call);
                whole(&http, &call).await
            }))
        }
        Err(failure) if chain::is_broken(&failure) => {
            forgotten(&call);
            whole(http, &call).await
        }
        Err(failure) => Err(failure),
    }
}

/// Sends the whole conversation.
async fn whole(http: &Http, call: &Call) -> Result<Deltas, Failure> {
    let request = convert::request(&call.request, &call.model).map_err(unsendable)?;
    send(http, call, &request).await
}

async fn send(http: &Http, call: &Call, request: &wire::Request) -> Result<Deltas, Failure> {
    let Call { model, key, .. } = call;
    let body = http::json_within(MAX_REQUEST_BYTES, request)?;
    let provider = &model.provider;
    let headers = provider.kind.openai_headers(key.as_ref())?;
    let asked = &call.request;
    // Calls of the whole conversation, since the vendor has those that are not sent.
    let used = used_call_ids(&asked.messages);
    let parser = Parser::new(Origin::of(model), request.store, asked.id, used);
    let url = provider.kind.openai_url(&provider.base_url, "responses");
    http.post(url, headers, body, parser).await
}

/// The answer to a request that goes on from a response; or to the `whole` one, if all that comes of the first is that the vendor has
/// forgotten the response.
fn or_else_whole(mut deltas: Deltas, whole: impl Future<Output = Result<Deltas, Failure>> + Send + 'static) -> Deltas {
    let answer = async move {
        match deltas.next().await {
            Some(Err(failure)) if chain::is_broken(&failure) => match whole.await {
                Ok(deltas) => deltas,
                Err(failure) => stream::iter([Err(failure)]).boxed(),
            },
            first => stream::iter(first).chain(deltas).boxed(),
        }
    };
    stream::once(answer).flatten().boxed()
}

fn forgotten(call: &Call) {
    let model = &call.model;
    tracing::info!(
        provider = model.provider.name,
        model = model.model,
        "the vendor has forgotten the response to go on from; the whole conversation is sent"
    );
}

fn unsendable(invalid: InvalidOption) -> Failure {
    Failure::known(ErrorKind::Config, invalid.to_string())
}

/// The body of a request with its whole conversation.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn body(
    request: &crate::call::Request,
    model: &crate::Model,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let request = convert::request(request, model).map_err(unsendable)?;
    Ok(serde_json::to_value(request).unwrap().as_object().unwrap().clone())
}

/// What understands the answer that [`open`] gets.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn parser(
    request: &crate::call::Request,
    model: &crate::Model,
) -> crate::body::Parser<impl crate::body::Answer + use<>> {
    Parser::new(Origin::of(model), true, request.id, used_call_ids(&request.messages))
}
