//! What the protocols make of a request and of an answer, for tests of the opposite direction.

use serde_json::{Map, Value};

use super::{Delta, Failure, Protocol, anthropic, openai, responses, test_support};
use crate::{catalog::Model, completion::Request};

/// A request as a protocol writes it.
pub(crate) fn written(protocol: Protocol, request: &Request, model: &Model) -> Result<Map<String, Value>, Failure> {
    match protocol {
        Protocol::ChatCompletions => openai::body(request, model),
        Protocol::Responses => responses::body(request, model),
        Protocol::Messages => anthropic::body(request, model),
        other => panic!("nobody writes to us as {other:?}"),
    }
}

/// What a protocol understands of an answer to a request.
pub(crate) fn understood(
    protocol: Protocol,
    request: &Request,
    model: &Model,
    answer: &[u8],
) -> (Vec<Delta>, Option<Failure>) {
    match protocol {
        Protocol::ChatCompletions => test_support::parse(openai::parser(request), &[answer]),
        Protocol::Responses => test_support::parse(responses::parser(request, model), &[answer]),
        Protocol::Messages => test_support::parse(anthropic::parser(request, model), &[answer]),
        other => panic!("nobody reads us as {other:?}"),
    }
}
