//! Between the contract's messages and this service's own values. Generated types go no further in than here.

use std::collections::HashSet;

use prost::Message as _;
use serde_json::Value;
use tandem_chassis::{MAX_MESSAGE_BYTES, status::Fault};
use tandem_chat_core::{
    message::Message,
    part::Part,
    wire::{chat_error_to_wire, error_kind_to_wire, part_to_wire, parts_from_wire, role_from_wire, usage_to_wire},
};
use tandem_proto::{
    common::v1::{ComputerDisplay, ToolCallDelta, ToolDefinition},
    provider::v1::{self as wire, completion_event},
};
use tandem_protocols::call::{COMPUTER, Display, Earlier, FinishReason, Purpose, Request, Tool, ToolChoice};

use crate::{completion::Event, spend::Payer};

/// Tools in one request.
const MAX_TOOLS: usize = 512;

/// Longest name of a tool.
const MAX_TOOL_NAME_BYTES: usize = 64;

/// Longest name of a vendor's response.
const MAX_RESPONSE_ID_BYTES: usize = 512;

fn invalid(field: impl Into<String>, description: impl Into<String>) -> Fault {
    let (field, description) = (field.into(), description.into());
    Fault::invalid("INVALID_REQUEST", format!("{field} {description}")).violation(field, description)
}

/// An id given as text.
///
/// # Errors
/// A violation that names the field.
pub(super) fn id<Id: std::str::FromStr>(text: &str, field: &str) -> Result<Id, Fault> {
    text.parse().map_err(|_| invalid(field, "must be a uuid"))
}

/// A request of the contract, proven.
///
/// # Errors
/// A violation that names the first field that is wrong.
pub(super) fn request(request: wire::CompleteRequest) -> Result<Request, Fault> {
    if request.encoded_len() > MAX_MESSAGE_BYTES {
        return Err(invalid(
            "messages",
            format!("must be at most {MAX_MESSAGE_BYTES} bytes"),
        ));
    }
    if request.messages.is_empty() {
        return Err(invalid("messages", "must not be empty"));
    }
    let max_output_tokens = match request.max_output_tokens {
        0 => None,
        count => Some(u32::try_from(count).map_err(|_| invalid("max_output_tokens", "must be from 0 to 4294967295"))?),
    };
    let tool_choice = match request.tool_choice() {
        wire::ToolChoice::Unspecified | wire::ToolChoice::Auto => ToolChoice::Auto,
        wire::ToolChoice::None => ToolChoice::None,
    };
    let purpose = match request.purpose() {
        wire::CompletionPurpose::Unspecified => Purpose::Answer,
        wire::CompletionPurpose::Title => Purpose::Title,
        wire::CompletionPurpose::TurnSummary => Purpose::TurnSummary,
    };
    let chat_id = match request.chat_id.as_str() {
        "" => None,
        text => Some(id(text, "chat_id")?),
    };
    Ok(Request {
        id: id(&request.completion_id, "completion_id")?,
        model_config_id: id(&request.model_config_id, "model_config_id")?,
        messages: messages(&request.messages)?,
        tools: tools(request.tools)?,
        tool_choice,
        max_output_tokens,
        chat_id,
        purpose,
        continues: request.continues.and_then(earlier),
        output: None,
    })
}

/// The response to go on from; `None` if it cannot be one, since everything is sent then.
fn earlier(earlier: wire::EarlierResponse) -> Option<Earlier> {
    let response_id = Some(earlier.provider_response_id);
    Some(Earlier {
        response_id: response_id.filter(|id| !id.is_empty() && id.len() <= MAX_RESPONSE_ID_BYTES)?,
        model_config_id: earlier.model_config_id.parse().ok()?,
    })
}

/// Who pays for it; nobody, where the caller names no owner.
///
/// # Errors
/// A violation that names the field.
pub(super) fn payer(request: &wire::CompleteRequest) -> Result<Option<Payer>, Fault> {
    if request.owner_id.is_empty() {
        return Ok(None);
    }
    let root_chat = match request.root_chat_id.as_str() {
        "" => None,
        text => Some(id(text, "root_chat_id")?),
    };
    Ok(Some(Payer {
        owner: id(&request.owner_id, "owner_id")?,
        root_chat,
        brings_key: false,
    }))
}

fn messages(messages: &[wire::PromptMessage]) -> Result<Vec<Message>, Fault> {
    let message = |(place, message): (usize, &wire::PromptMessage)| {
        let field = format!("messages[{place}]");
        let role = role_from_wire(message.role).ok_or_else(|| invalid(format!("{field}.role"), "must be set"))?;
        let parts = parts_from_wire(&message.parts).map_err(|error| {
            let error = error.within(&field);
            invalid(error.field, error.problem)
        })?;
        Ok(Message::new(role, parts))
    };
    messages.iter().enumerate().map(message).collect()
}

fn tools(tools: Vec<ToolDefinition>) -> Result<Vec<Tool>, Fault> {
    if tools.len() > MAX_TOOLS {
        return Err(invalid("tools", format!("must be at most {MAX_TOOLS}")));
    }
    let mut names = HashSet::new();
    let tool = |(place, tool): (usize, ToolDefinition)| {
        let field = |name: &str| format!("tools[{place}].{name}");
        let is_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if tool.name.is_empty() || tool.name.len() > MAX_TOOL_NAME_BYTES || !tool.name.chars().all(is_name_char) {
            return Err(invalid(
                field("name"),
                "must be 1 to 64 characters of a-z, A-Z, 0-9, _ and -",
            ));
        }
        if !names.insert(tool.name.clone()) {
            return Err(invalid(field("name"), "must be unique"));
        }
        if let Some(display) = tool.computer {
            return computer(tool, display, field);
        }
        let input_schema: Value = serde_json::from_str(&tool.input_schema_json)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| invalid(field("input_schema_json"), "must be a JSON object"))?;
        Ok(Tool {
            name: tool.name,
            description: tool.description,
            input_schema,
            computer: None,
        })
    };
    tools.into_iter().enumerate().map(tool).collect()
}

/// The vendor's own tool for using a computer. The vendor has its words and what its calls look like.
fn computer(tool: ToolDefinition, display: ComputerDisplay, field: impl Fn(&str) -> String) -> Result<Tool, Fault> {
    if tool.name != COMPUTER {
        return Err(invalid(field("name"), "must be `computer` for a tool with a display"));
    }
    for (name, text) in [
        ("description", &tool.description),
        ("input_schema_json", &tool.input_schema_json),
    ] {
        if !text.is_empty() {
            return Err(invalid(field(name), "must be empty for a tool with a display"));
        }
    }
    let side = |name: &str, px: i32| {
        let px = u32::try_from(px).ok().filter(|px| (1..=Display::MAX_PX).contains(px));
        px.ok_or_else(|| {
            let limit = Display::MAX_PX;
            invalid(field(&format!("computer.{name}")), format!("must be from 1 to {limit}"))
        })
    };
    Ok(Tool {
        computer: Some(Display {
            width_px: side("display_width_px", display.display_width_px)?,
            height_px: side("display_height_px", display.display_height_px)?,
        }),
        name: tool.name,
        description: String::new(),
        input_schema: Value::Null,
    })
}

/// An event as the contract writes it.
pub(super) fn event(index: u64, event: &Event) -> wire::CompletionEvent {
    use completion_event::Event as Wire;
    let event = match event {
        Event::Started(started) => Wire::Started(wire::CompletionStarted {
            provider_type: started.provider_type.clone(),
            model: started.model.clone(),
            model_config_id: started.model_config_id.to_string(),
            fell_back_from_model_config_id: started.fallback.map(|it| it.from.to_string()).unwrap_or_default(),
            fallback_reason: started.fallback.map_or(0, |it| error_kind_to_wire(it.reason).into()),
        }),
        Event::TextDelta(text) => Wire::TextDelta(text.clone()),
        Event::ReasoningDelta(text) => Wire::ReasoningDelta(text.clone()),
        Event::ReasoningDone(part) => Wire::ReasoningDone(part_to_wire(&Part::Reasoning((**part).clone()))),
        Event::ToolCallDelta(delta) => Wire::ToolCallDelta(ToolCallDelta {
            tool_call_id: delta.tool_call_id.to_string(),
            tool_name: delta.tool_name.clone(),
            arguments_delta: delta.arguments.clone(),
        }),
        Event::Part(part) => Wire::Part(part_to_wire(part)),
        Event::Finished(finished) => Wire::Finished(wire::CompletionFinished {
            reason: finish_reason(finished.reason).into(),
            usage: usage_to_wire(&finished.usage),
            provider_response_id: finished.response_id.clone(),
            cost_micros: finished.cost_usd_micros,
        }),
        Event::Failed(failed) => Wire::Failed(wire::CompletionFailed {
            error: Some(chat_error_to_wire(&failed.error)),
            // Bounded to a day where it is read.
            retry_after: prost_types::Duration::try_from(failed.retry_after)
                .ok()
                .filter(|_| !failed.retry_after.is_zero()),
            is_cancelled: failed.is_cancelled,
            is_context_exceeded: failed.is_context_exceeded,
        }),
    };
    wire::CompletionEvent {
        index: i64::try_from(index).unwrap_or(i64::MAX),
        event: Some(event),
    }
}

fn finish_reason(reason: FinishReason) -> wire::FinishReason {
    match reason {
        FinishReason::Stop => wire::FinishReason::Stop,
        FinishReason::Length => wire::FinishReason::Length,
        FinishReason::ToolCalls => wire::FinishReason::ToolCalls,
        FinishReason::ContentFilter => wire::FinishReason::ContentFilter,
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::common::v1::{self as common, part::Kind};
    use uuid::Uuid;

    use super::*;

    fn asked() -> wire::CompleteRequest {
        let text = common::Part {
            kind: Some(Kind::Text(common::TextPart { text: "hi".to_owned() })),
            provider_metadata_json: String::new(),
        };
        wire::CompleteRequest {
            completion_id: Uuid::nil().to_string(),
            model_config_id: Uuid::nil().to_string(),
            messages: vec![wire::PromptMessage {
                role: common::Role::User.into(),
                parts: vec![text],
            }],
            tools: vec![ToolDefinition {
                name: "execute".to_owned(),
                description: String::new(),
                input_schema_json: "{}".to_owned(),
                computer: None,
            }],
            ..wire::CompleteRequest::default()
        }
    }

    fn violation(change: impl FnOnce(&mut wire::CompleteRequest)) -> String {
        let mut asked = asked();
        change(&mut asked);
        request(asked).unwrap_err().violations.remove(0).field
    }

    #[test]
    fn a_good_request_is_taken_as_it_is() {
        let request = request(asked()).unwrap();
        assert_eq!(
            request.messages,
            [Message::new(
                tandem_chat_core::message::Role::User,
                vec![Part::text("hi")]
            )]
        );
        assert_eq!((request.max_output_tokens, request.chat_id), (None, None));
    }

    #[test]
    fn a_response_that_cannot_be_gone_on_from_is_passed_over() {
        let continues = |response_id: &str, model_config_id: &str| {
            let mut asked = asked();
            asked.continues = Some(wire::EarlierResponse {
                provider_response_id: response_id.to_owned(),
                model_config_id: model_config_id.to_owned(),
            });
            request(asked).unwrap().continues
        };
        let model = Uuid::nil().to_string();
        assert!(continues("resp_1", &model).is_some());
        for (response_id, model) in [
            ("", model.as_str()),
            ("resp_1", ""),
            ("resp_1", "x"),
            (&"x".repeat(513), &model),
        ] {
            assert_eq!(continues(response_id, model), None);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(violation(|asked| asked.messages.clear()), "messages");
        assert_eq!(violation(|asked| asked.completion_id = "x".to_owned()), "completion_id");
        assert_eq!(violation(|asked| asked.messages[0].role = 99), "messages[0].role");
        assert_eq!(
            violation(|asked| asked.messages[0].parts[0].kind = None),
            "messages[0].parts[0].kind"
        );
        assert_eq!(
            violation(|asked| asked.tools[0].name = "a b".to_owned()),
            "tools[0].name"
        );
        assert_eq!(
            violation(|asked| asked.tools.push(asked.tools[0].clone())),
            "tools[1].name"
        );
        assert_eq!(
            violation(|asked| asked.tools[0].input_schema_json = "[]".to_owned()),
            "tools[0].input_schema_json"
        );
        assert_eq!(violation(|asked| asked.max_output_tokens = -1), "max_output_tokens");
    }

    fn display(width: i32, height: i32) -> ToolDefinition {
        ToolDefinition {
            name: "computer".to_owned(),
            computer: Some(ComputerDisplay {
                display_width_px: width,
                display_height_px: height,
            }),
            ..ToolDefinition::default()
        }
    }

    #[test]
    fn a_computer_has_a_display_and_nothing_else() {
        let offered = |tool: ToolDefinition| {
            request(wire::CompleteRequest {
                tools: vec![tool],
                ..asked()
            })
        };
        let taken = offered(display(1600, 8192)).unwrap();
        let shown = Display {
            width_px: 1600,
            height_px: 8192,
        };
        assert_eq!(taken.computer(), Some(shown));
        assert_eq!(request(asked()).unwrap().computer(), None);
        let wrong = |tool: ToolDefinition| offered(tool).unwrap_err().violations.remove(0).field;
        assert_eq!(wrong(display(0, 900)), "tools[0].computer.display_width_px");
        assert_eq!(wrong(display(1600, 8193)), "tools[0].computer.display_height_px");
        assert_eq!(wrong(display(1600, -1)), "tools[0].computer.display_height_px");
        let named = |name: &str, description: &str, schema: &str| ToolDefinition {
            name: name.to_owned(),
            description: description.to_owned(),
            input_schema_json: schema.to_owned(),
            ..display(1600, 900)
        };
        assert_eq!(wrong(named("screen", "", "")), "tools[0].name");
        assert_eq!(wrong(named("computer", "A screen.", "")), "tools[0].description");
        assert_eq!(wrong(named("computer", "", "{}")), "tools[0].input_schema_json");
    }
}
