//! The vendors' own tool for using a computer: which models have one.
//!
//! Each vendor has its own words for clicks and keys, which travel as they are between the model and whoever moves the mouse. Calls and
//! results in a history are like those of any tool; what a protocol makes of its own vendor's is its affair.

use tandem_chat_core::error::ErrorKind;

use crate::{Failure, Model, Protocol, anthropic, bedrock, call::Request, responses};

/// Refuses a request that offers a computer to a model without that tool, before anything is sent.
///
/// # Errors
/// What to do instead.
pub(crate) fn check(protocol: Protocol, request: &Request, model: &Model) -> Result<(), Failure> {
    if request.computer().is_none() || is_used(protocol, model) {
        return Ok(());
    }
    let text = format!(
        "the model {} cannot be offered a computer; choose one with a tool for it (Claude from version 3.7 on by Anthropic or Bedrock; \
         computer-use-preview, or GPT from version 5.4 on, by OpenAI's Responses), or leave the tool `computer` out",
        model.model
    );
    Err(Failure::known(ErrorKind::Config, text))
}

/// Whether a model that is asked by that protocol has the tool.
fn is_used(protocol: Protocol, model: &Model) -> bool {
    match protocol {
        Protocol::Messages => anthropic::uses_computers(&model.model),
        Protocol::Bedrock => {
            !bedrock::address::is_compatible(&model.provider.base_url) && anthropic::uses_computers(&model.model)
        }
        Protocol::Responses => responses::uses_computers(model),
        Protocol::ChatCompletions | Protocol::Gemini | Protocol::Demo => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Kind,
        test_support::{self, tool},
    };

    #[test]
    fn a_model_without_the_tool_is_refused_with_what_to_do() {
        let unused = "http://127.0.0.1:9/v1";
        let compatible = "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1";
        let by_chat = json!({"wire_api": "chat_completions"});
        let by_hand = json!({"wire_api": "responses", "computer_tool": "computer"});
        for (kind, name, base_url, own, has_one) in [
            (Kind::Anthropic, "claude-opus-4-6", unused, json!({}), true),
            (Kind::Anthropic, "claude-3-5-haiku-latest", unused, json!({}), false),
            (Kind::Bedrock, "anthropic.claude-sonnet-4-6", unused, json!({}), true),
            (
                Kind::Bedrock,
                "anthropic.claude-sonnet-4-6",
                compatible,
                json!({}),
                false,
            ),
            (Kind::OpenAi, "gpt-5.4", unused, json!({}), true),
            (Kind::OpenAi, "gpt-5.4", unused, by_chat, false),
            (Kind::OpenAi, "computer-use-preview", unused, json!({}), true),
            (Kind::OpenAi, "gpt-5.2", unused, json!({}), false),
            (Kind::Azure, "our-deployment", unused, by_hand, true),
            (Kind::OpenAiCompat, "gpt-5.4", unused, json!({}), false),
            (Kind::OpenRouter, "anthropic/claude-opus-4.6", unused, json!({}), false),
            (Kind::Google, "gemini-3-pro-preview", unused, json!({}), false),
            (Kind::Demo, "tandem-demo", unused, json!({}), false),
        ] {
            let mut model = Model {
                model: name.to_owned(),
                ..test_support::model(kind, json!({"provider_options": {"openai": own}}))
            };
            let mut provider = crate::Provider::clone(&model.provider);
            provider.base_url = base_url.parse().unwrap();
            model.provider = provider.into();
            let offering = test_support::request(Vec::new(), vec![tool("execute"), test_support::computer()]);
            let plain = test_support::request(Vec::new(), vec![tool("computer")]);
            let protocol = Protocol::of(&model);
            let checked = check(protocol, &offering, &model);
            assert_eq!(checked.is_ok(), has_one, "{name} {base_url}");
            if let Err(failure) = checked {
                let (kind, is_passing) = test_support::kind_of(&failure, "test");
                assert_eq!((kind, is_passing), (ErrorKind::Config, false));
                assert!(failure.text.contains(name) && failure.text.contains("leave the tool"));
            }
            assert_eq!(check(protocol, &plain, &model), Ok(()), "a tool of ours of that name");
        }
    }
}
