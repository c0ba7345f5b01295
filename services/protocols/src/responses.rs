//! OpenAI Responses, as the vendor and Azure speak it.
//!
//! [`family`] decides which models are asked this way, [`options`] and [`convert`] make the request, [`client`] sends it, [`stream`]
//! understands the answer; [`wire`] has the vendor's shapes. A turn that follows a response which the vendor keeps goes on from it
//! ([`chain`]); where the vendor has forgotten it, and in every other request, the whole conversation is sent. Background responses,
//! conversations kept at the vendor and its other tools are not used.

mod chain;
mod client;
mod convert;
mod family;
mod options;
mod stream;
mod wire;

use serde_json::Value;

pub(super) use client::open;
#[cfg(any(test, feature = "test-support"))]
pub(super) use client::{body, parser};

use super::{Kind, Protocol};
use crate::{Model, options::own};

/// The key under which parts carry what only this vendor understands.
const METADATA: &str = "openai";

/// The one tool that the vendor runs itself and that is used.
const WEB_SEARCH: &str = "web_search";

/// The option with which an administrator chooses between this protocol and Chat Completions.
const WIRE_API: &str = "wire_api";

/// Who made a part: what of it can be proved, only that one can prove.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    /// The provider's id.
    provider: String,
    /// The vendor's model.
    model: String,
}

impl Origin {
    fn of(model: &Model) -> Self {
        Self {
            provider: model.provider.id.to_string(),
            model: model.model.clone(),
        }
    }
}

/// How a model of OpenAI or Azure is asked: as its option `wire_api` says, else by this protocol if its name is known to work with it.
/// An option of no meaning leads here too, where it is refused by name.
pub(super) fn choose(model: &Model) -> Protocol {
    debug_assert!(matches!(model.provider.kind, Kind::OpenAi | Kind::Azure));
    let wanted = own(&model.options, METADATA).and_then(|own| own.get(WIRE_API));
    match wanted {
        None | Some(Value::Null) if family::Family::of(&model.model).is_known => Protocol::Responses,
        None | Some(Value::Null) => Protocol::ChatCompletions,
        Some(Value::String(text)) if text.trim().eq_ignore_ascii_case("chat_completions") => Protocol::ChatCompletions,
        Some(_) => Protocol::Responses,
    }
}

/// Whether a model has a tool for using a computer. Where an option is wrong, the request is refused by the option's name.
pub(super) fn uses_computers(model: &Model) -> bool {
    !matches!(options::computer(model), Ok(None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support;

    #[test]
    fn the_name_decides_unless_the_administrator_has() {
        let chosen = |name: &str, wanted: Value| {
            choose(&Model {
                model: name.to_owned(),
                ..test_support::model(
                    Kind::OpenAi,
                    json!({"provider_options": {"openai": {"wire_api": wanted}}}),
                )
            })
        };
        assert_eq!(chosen("gpt-5", Value::Null), Protocol::Responses);
        assert_eq!(chosen("fake-model", Value::Null), Protocol::ChatCompletions);
        assert_eq!(chosen("fake-model", json!("responses")), Protocol::Responses);
        assert_eq!(chosen("gpt-5", json!(" Chat_Completions ")), Protocol::ChatCompletions);
        assert_eq!(
            chosen("fake-model", json!("soap")),
            Protocol::Responses,
            "where it is refused"
        );
    }
}
