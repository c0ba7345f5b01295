//! What the protocols make of a request and of an answer, for tests of the opposite direction.

use std::sync::Arc;

use serde_json::{Map, Value};
use tandem_chat_core::id::{ModelConfigId, ProviderId};
use url::Url;
use uuid::Uuid;

use crate::{
    Delta, Failure, Kind, Model, Protocol, Provider, anthropic,
    body::{Answer, Parser},
    call::Request,
    openai, responses,
};

/// A model of that kind, with those call options.
///
/// # Panics
/// When `options` is no object.
pub fn model(kind: Kind, options: Value) -> Model {
    let Value::Object(options) = options else {
        panic!("options are an object");
    };
    Model {
        id: ModelConfigId::new(Uuid::nil()),
        model: "test-model".to_owned(),
        context_limit: Some(8192),
        options,
        provider: Arc::new(Provider {
            id: ProviderId::new(Uuid::nil()),
            kind,
            name: "test".to_owned(),
            base_url: Url::parse("http://127.0.0.1:9/v1").expect("an address"),
        }),
    }
}

/// A request as a protocol writes it.
///
/// # Errors
/// What the protocol refuses.
///
/// # Panics
/// For protocols nobody speaks to us.
pub fn written(protocol: Protocol, request: &Request, model: &Model) -> Result<Map<String, Value>, Failure> {
    match protocol {
        Protocol::ChatCompletions => openai::body(request, model),
        Protocol::Responses => responses::body(request, model),
        Protocol::Messages => anthropic::body(request, model),
        other => panic!("nobody writes to us as {other:?}"),
    }
}

/// What a protocol understands of an answer to a request.
///
/// # Panics
/// For protocols nobody speaks to us.
pub fn understood(protocol: Protocol, request: &Request, model: &Model, answer: &[u8]) -> Understood {
    match protocol {
        Protocol::ChatCompletions => parse(openai::parser(request), &[answer]),
        Protocol::Responses => parse(responses::parser(request, model), &[answer]),
        Protocol::Messages => parse(anthropic::parser(request, model), &[answer]),
        other => panic!("nobody reads us as {other:?}"),
    }
}

/// What was understood of an answer, and why it broke off if it did.
pub type Understood = (Vec<Delta>, Option<Failure>);

/// Reads an answer that arrives in pieces, as far as a reader of the connection would.
pub(crate) fn parse<A: Answer>(mut parser: Parser<A>, pieces: &[&[u8]]) -> Understood {
    let mut deltas = Vec::new();
    for piece in pieces {
        if let Err(failure) = parser.push(piece, &mut deltas) {
            return (deltas, Some(failure));
        }
        if parser.is_done() {
            break;
        }
    }
    let failure = parser.finish(&mut deltas).err();
    (deltas, failure)
}
