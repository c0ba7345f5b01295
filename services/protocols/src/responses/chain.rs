//! Going on from a response that the vendor keeps: only what came after it is sent, with its id.
//!
//! Pure: no IO. Owns when that says the same as the whole conversation, and what a vendor says that has forgotten the response.

use serde_json::Value;
use tandem_chat_core::{
    classify::{self, Cause},
    message::{Message, Role},
    part::Part,
};

use super::convert::thinking::is_id;
use crate::{
    Failure, Model,
    call::{Earlier, Request},
};

/// How the vendor begins ids of responses.
const ID_PREFIX: &str = "resp_";

/// The field that names the response.
const FIELD: &str = "previous_response_id";

/// What a request sends of its conversation when it goes on from a response.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chained {
    /// The vendor's name for the response.
    pub(super) id: String,
    /// All instructions, since the vendor keeps none that hold for the next response, and what users have said since.
    pub(super) messages: Vec<Message>,
}

/// What is sent in the place of the whole conversation; `None` where everything has to be.
///
/// The response must be the present model's own, the last thing said before users spoke again, and must wait for nothing: where it
/// called tools of ours, the model has not seen what they returned.
pub(super) fn of(request: &Request, model: &Model) -> Option<Chained> {
    let Earlier {
        response_id,
        model_config_id,
    } = request.continues.as_ref()?;
    if *model_config_id != model.id || !is_id(response_id, ID_PREFIX) {
        return None;
    }
    let messages = &request.messages;
    let is_said_since = |message: &&Message| message.role == Role::User;
    let count = messages.iter().rev().take_while(is_said_since).count();
    let (before, since) = messages.split_at(messages.len() - count);
    let answer = before.last().filter(|message| message.role == Role::Assistant)?;
    if answer.parts.iter().any(is_local_call) || !since.iter().any(contributes) {
        return None;
    }
    let instructions = before.iter().filter(|message| message.role == Role::System);
    Some(Chained {
        id: response_id.clone(),
        messages: instructions.chain(since).cloned().collect(),
    })
}

fn is_local_call(part: &Part) -> bool {
    matches!(part, Part::ToolCall(call) if !call.provider_executed)
}

/// Whether a message of a user says anything.
fn contributes(message: &Message) -> bool {
    message.parts.iter().any(|part| match part {
        Part::Text(text) => !text.text.trim().is_empty(),
        Part::Reasoning(reasoning) => !reasoning.text.trim().is_empty(),
        Part::ContextFile(file) => !file.content.trim().is_empty(),
        Part::File(_) | Part::FileReference(_) => true,
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Source(_) | Part::Skill(_) => false,
    })
}

/// Whether a vendor says that it cannot go on from the response. The whole conversation is then worth a try, at once.
pub(super) fn is_broken(failure: &Failure) -> bool {
    if failure.cause != Cause::Reported || !matches!(failure.status, None | Some(400 | 404)) {
        return false;
    }
    let said: Value = serde_json::from_str(&failure.text).unwrap_or_default();
    let error = said.get("error").filter(|error| error.is_object()).unwrap_or(&said);
    let is_about_it = error.get("param").and_then(Value::as_str) == Some(FIELD);
    let reported = classify::Failure {
        status: failure.status,
        text: &failure.text,
        provider: None,
        retry_after: failure.retry_after,
        cause: failure.cause,
    };
    is_about_it || classify::classify(&reported).is_chain_broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tandem_chat_core::{
        error::ErrorKind,
        id::ModelConfigId,
        part::{ReasoningPart, ToolResultPart},
    };
    use uuid::Uuid;

    use super::*;
    use crate::{
        Kind, test_support as catalog,
        test_support::{self, call, file, result},
    };

    fn model() -> Model {
        Model {
            model: "gpt-5.2".to_owned(),
            ..catalog::model(Kind::OpenAi, json!({}))
        }
    }

    fn said(role: Role, text: &str) -> Message {
        Message::new(role, vec![Part::text(text)])
    }

    fn asked(messages: Vec<Message>) -> Request {
        Request {
            continues: Some(Earlier {
                response_id: "resp_1".to_owned(),
                model_config_id: model().id,
            }),
            ..test_support::request(messages, Vec::new())
        }
    }

    fn conversation(answer: Vec<Part>, since: Vec<Message>) -> Vec<Message> {
        let mut messages = vec![
            said(Role::System, "Be terse."),
            said(Role::User, "One"),
            Message::new(Role::Assistant, answer),
        ];
        messages.extend(since);
        messages
    }

    #[test]
    fn only_instructions_and_what_users_said_since_are_sent() {
        let since = vec![
            said(Role::User, "Two"),
            said(Role::User, " "),
            said(Role::User, "Three"),
        ];
        let chained = of(&asked(conversation(vec![Part::text("1")], since.clone())), &model()).unwrap();
        assert_eq!(chained.id, "resp_1");
        let expected: Vec<Message> = [vec![said(Role::System, "Be terse.")], since].concat();
        assert_eq!(chained.messages, expected);
    }

    #[test]
    fn a_search_that_the_vendor_ran_waits_for_nothing() {
        let Part::ToolCall(made) = call("ws_1", "web_search", json!({})) else {
            unreachable!("it is a call")
        };
        let found = ToolResultPart {
            provider_executed: true,
            ..result("ws_1", "web_search", json!({}))
        };
        let searched = vec![
            Part::ToolCall(tandem_chat_core::part::ToolCallPart {
                provider_executed: true,
                ..made
            }),
            Part::ToolResult(found),
            Part::text("It is so."),
        ];
        let request = asked(conversation(searched, vec![said(Role::User, "Two")]));
        assert!(of(&request, &model()).is_some());
    }

    #[test]
    fn everything_is_sent_where_less_would_say_something_else() {
        let answer = || vec![Part::text("1")];
        let user = || vec![said(Role::User, "Two")];
        let base = || asked(conversation(answer(), user()));
        assert!(of(&base(), &model()).is_some());
        let returned = Message::new(Role::Tool, vec![Part::ToolResult(result("c1", "execute", json!("x")))]);
        let called = || vec![call("c1", "execute", json!({}))];
        let skill = Part::Skill(Default::default());
        let continues = |response_id: &str, model_config_id: ModelConfigId| Request {
            continues: Some(Earlier {
                response_id: response_id.to_owned(),
                model_config_id,
            }),
            ..base()
        };
        for (why, request) in [
            (
                "nothing is known to be kept",
                Request {
                    continues: None,
                    ..base()
                },
            ),
            ("another model's", continues("resp_1", ModelConfigId::new(Uuid::max()))),
            ("no id of the vendor's", continues("chatcmpl-1", model().id)),
            ("an empty id", continues("resp_", model().id)),
            ("an id with a path", continues("resp_1/../2", model().id)),
            (
                "tool results at the end",
                asked(conversation(called(), vec![returned.clone()])),
            ),
            (
                "results that the model has not seen",
                asked(conversation(called(), [vec![returned], user()].concat())),
            ),
            ("a call without a result", asked(conversation(called(), user()))),
            ("nothing said since", asked(conversation(answer(), Vec::new()))),
            (
                "only a skill since",
                asked(conversation(answer(), vec![Message::new(Role::User, vec![skill])])),
            ),
            (
                "only blanks since",
                asked(conversation(answer(), vec![said(Role::User, " \n")])),
            ),
            ("no answer at all", asked(user())),
            (
                "instructions since",
                asked(conversation(
                    answer(),
                    [vec![said(Role::System, "New.")], user()].concat(),
                )),
            ),
        ] {
            assert_eq!(of(&request, &model()), None, "{why}");
        }
    }

    #[test]
    fn files_and_thoughts_say_something_too() {
        let thought = Part::Reasoning(ReasoningPart {
            text: "Hm.".to_owned(),
            ..ReasoningPart::default()
        });
        for part in [file("text/plain", "a.txt", b"a"), thought] {
            let request = asked(conversation(
                vec![Part::text("1")],
                vec![Message::new(Role::User, vec![part])],
            ));
            assert!(of(&request, &model()).is_some());
        }
    }

    #[test]
    fn a_vendor_that_has_forgotten_the_response_is_understood() {
        let failure = |status: Option<u16>, text: &str| Failure {
            status,
            ..Failure::new(Cause::Reported, text)
        };
        let forgotten = r#"{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#;
        let event = r#"{"type":"error","code":"previous_response_not_found","message":"Previous response with id 'resp_1' not found.","param":"previous_response_id"}"#;
        let not_kept = r#"{"error":{"message":"Previous response cannot be used for this organization due to Zero Data Retention.","param":"previous_response_id"}}"#;
        let plain = "Previous response with id 'resp_1' not found.";
        for (status, text) in [
            (Some(400), forgotten),
            (Some(404), forgotten),
            (None, event),
            (Some(400), not_kept),
            (Some(400), plain),
        ] {
            assert!(is_broken(&failure(status, text)), "{text}");
        }
        for (status, text) in [
            (Some(500), forgotten),
            (Some(400), r#"{"error":{"message":"Invalid 'input'.","param":"input"}}"#),
            (Some(404), "not found"),
        ] {
            assert!(!is_broken(&failure(status, text)), "{text}");
        }
        assert!(!is_broken(&Failure::known(ErrorKind::Config, plain)), "our own words");
    }
}
