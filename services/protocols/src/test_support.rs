//! Parts and requests for tests of protocols, and what holds for every protocol's answers.

mod garbage;
mod noise;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tandem_chat_core::{
    classify::{Classified, Failure as Report, classify},
    error::ErrorKind,
    id::{CompletionId, ModelConfigId, ToolCallId},
    message::Message,
    part::{FilePart, Part, ToolCallPart, ToolResultPart},
};
use uuid::Uuid;

pub(crate) use self::{garbage::check_garbage, noise::check_noise};
pub(crate) use crate::vendor_side::{Understood, model, parse};
use crate::{
    Delta, Failure,
    call::{COMPUTER, Display, Purpose, Request, Tool, ToolChoice},
};

/// Of every parser under test: ids it makes up follow from it.
pub(crate) const COMPLETION: CompletionId =
    CompletionId::new(Uuid::from_u128(0x0198_a3a4_5d1c_7f6e_8a57_2f6a_0c9d_4b11));

pub(crate) fn call(id: &str, name: &str, args: Value) -> Part {
    Part::ToolCall(ToolCallPart {
        tool_call_id: ToolCallId::new(id).unwrap(),
        tool_name: name.to_owned(),
        args,
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: Default::default(),
    })
}

pub(crate) fn result(id: &str, name: &str, result: Value) -> ToolResultPart {
    ToolResultPart {
        tool_call_id: ToolCallId::new(id).unwrap(),
        tool_name: name.to_owned(),
        result,
        is_error: false,
        is_media: false,
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: Default::default(),
    }
}

/// A call at a computer of another vendor's, and what it came to: `picture`, or words.
pub(crate) fn seen_elsewhere(id: &str, picture: &[u8], is_shown: bool) -> Vec<Part> {
    let args = json!({"actions": [{"type": "wait"}], "pending_safety_checks": []});
    let Part::ToolCall(made) = call(id, COMPUTER, args) else {
        unreachable!("it is a call")
    };
    let own = json!({"provider": "p", "model": "gpt-5.4", "computer_call": {"id": "cu_1", "status": "completed"}});
    let made = ToolCallPart {
        provider_metadata: [("openai".to_owned(), own)].into_iter().collect(),
        ..made
    };
    let shown = json!({
        "data": STANDARD.encode(picture), "mime_type": "image/png", "text": "", "acknowledged_safety_checks": ["sc_1"],
    });
    let came = ToolResultPart {
        is_media: is_shown,
        is_error: !is_shown,
        ..result(id, COMPUTER, shown)
    };
    vec![Part::ToolCall(made), Part::ToolResult(came)]
}

pub(crate) fn file(media_type: &str, name: &str, data: &[u8]) -> Part {
    Part::File(FilePart {
        media_type: media_type.to_owned(),
        name: name.to_owned(),
        file_id: None,
        data: data.to_vec(),
    })
}

pub(crate) fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: format!("Does {name}."),
        input_schema: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
        computer: None,
    }
}

/// The vendor's tool for using a computer.
pub(crate) fn computer() -> Tool {
    Tool {
        name: COMPUTER.to_owned(),
        description: String::new(),
        input_schema: Value::Null,
        computer: Some(Display {
            width_px: 1600,
            height_px: 900,
        }),
    }
}

/// Each of the choices there are, by number from 0 to 3. The last two take a tool.
pub(crate) fn tool_choice(number: usize, tools: &[Tool]) -> ToolChoice {
    match (number, tools) {
        (2, [_, ..]) => ToolChoice::Required,
        (3, [.., last]) => ToolChoice::Named(last.name.clone()),
        (1, _) => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}

pub(crate) fn request(messages: Vec<Message>, tools: Vec<Tool>) -> Request {
    Request {
        id: CompletionId::new(Uuid::nil()),
        model_config_id: ModelConfigId::new(Uuid::nil()),
        messages,
        tools,
        tool_choice: ToolChoice::Auto,
        max_output_tokens: Some(512),
        chat_id: None,
        purpose: Purpose::default(),
        continues: None,
        output: None,
    }
}

/// The increments of a whole answer.
pub(crate) fn succeeds(parse: impl Fn(&[&[u8]]) -> Understood, text: &str) -> Vec<Delta> {
    let (deltas, failure) = parse(&[text.as_bytes()]);
    assert_eq!(failure, None, "{text}");
    deltas
}

/// Why an answer breaks off.
pub(crate) fn fails(parse: impl Fn(&[&[u8]]) -> Understood, text: &str) -> Failure {
    let (_, failure) = parse(&[text.as_bytes()]);
    failure.unwrap_or_else(|| panic!("succeeds: {text}"))
}

/// A failure as people are told of it.
pub(crate) fn classified(failure: &Failure, provider: &str) -> Classified {
    classify(&Report {
        status: failure.status,
        text: &failure.text,
        provider: Some(provider),
        retry_after: failure.retry_after,
        cause: failure.cause,
    })
}

/// The kind of a failure, and whether it is worth another try.
pub(crate) fn kind_of(failure: &Failure, provider: &str) -> (ErrorKind, bool) {
    let error = classified(failure, provider).error;
    (error.kind, error.retryable)
}

/// An answer says the same wherever it is split on its way, and byte by byte.
pub(crate) fn check_splits(parse: impl Fn(&[&[u8]]) -> Understood, recorded: &str, expected: &[Delta]) {
    let bytes = recorded.as_bytes();
    for place in 0..=bytes.len() {
        let (deltas, failure) = parse(&[&bytes[..place], &bytes[place..]]);
        assert_eq!((failure, deltas.as_slice()), (None, expected), "split at {place}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(parse(&single), (expected.to_vec(), None));
}

/// An answer cut off anywhere is finished, or is worth another try.
///
/// * `end`: where its last event begins; before that it is not finished.
pub(crate) fn check_cuts(parse: impl Fn(&[&[u8]]) -> Understood, provider: &str, recorded: &str, end: usize) {
    let bytes = recorded.as_bytes();
    let mut finished = 0;
    for place in 0..bytes.len() {
        let (deltas, failure) = parse(&[&bytes[..place]]);
        let is_finished = matches!(deltas.last(), Some(Delta::Finish(_)));
        match failure {
            None => assert!(is_finished && place > end, "cut at {place}"),
            Some(failure) => {
                let kind = kind_of(&failure, provider);
                assert_eq!(kind, (ErrorKind::Timeout, true), "cut at {place}: {failure:?}");
                assert!(!is_finished, "cut at {place}");
            }
        }
        finished += usize::from(is_finished);
    }
    assert!(finished > 0, "the last bytes can be cut without harm");
}
