//! Whole requests and answers, and the way there and back through the protocols of the vendors.

use serde_json::{Value, json};
use tandem_chat_core::{
    id::{CompletionId, ModelConfigId, ToolCallId},
    message::{Message, Role},
    part::{FilePart, Part, ReasoningPart, ToolCallPart, ToolResultPart},
};
use tandem_protocols::{
    Kind, Model, Protocol,
    call::{Purpose, Request, Tool, ToolChoice},
    vendor_side,
};
use uuid::Uuid;

use super::*;
use crate::bridge::dialect::Dialect;

mod answer;
mod custom_tools;
mod elsewhere;
mod frames;
mod history;
mod hostile;
mod lawful;
mod refused;
mod table;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

/// The protocol that writes what a dialect reads.
fn protocol(dialect: Dialect) -> Protocol {
    match dialect {
        Dialect::ChatCompletions => Protocol::ChatCompletions,
        Dialect::Responses => Protocol::Responses,
        Dialect::Messages => Protocol::Messages,
    }
}

/// A model that is asked in that dialect.
fn model(dialect: Dialect, options: Value) -> Model {
    let (kind, name) = match dialect {
        Dialect::ChatCompletions => (Kind::OpenAi, "some-model"),
        Dialect::Responses => (Kind::OpenAi, "gpt-5"),
        Dialect::Messages => (Kind::Anthropic, "claude-opus-4-6"),
    };
    Model {
        model: name.to_owned(),
        context_limit: Some(100_000),
        ..vendor_side::model(kind, options)
    }
}

fn request(messages: Vec<Message>, tools: Vec<Tool>) -> Request {
    Request {
        id: CompletionId::new(Uuid::nil()),
        model_config_id: ModelConfigId::new(Uuid::nil()),
        messages,
        tools,
        tool_choice: ToolChoice::Auto,
        max_output_tokens: None,
        chat_id: None,
        purpose: Purpose::default(),
        continues: None,
        output: None,
    }
}

fn understood(dialect: Dialect, body: &Value) -> Asked {
    read(dialect, body.to_string().as_bytes()).unwrap_or_else(|refused| panic!("{refused}: {body}"))
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: format!("Does {name}."),
        input_schema: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
        computer: None,
    }
}

fn tool_call(id: &str, name: &str, args: Value) -> ToolCallPart {
    ToolCallPart {
        tool_call_id: ToolCallId::new(id).unwrap(),
        tool_name: name.to_owned(),
        args,
        provider_executed: false,
        mcp_server_config_id: None,
        created_at: None,
        provider_metadata: Default::default(),
    }
}

fn call(id: &str, name: &str, args: Value) -> Part {
    Part::ToolCall(tool_call(id, name, args))
}

fn tool_result(id: &str, name: &str, result: Value) -> ToolResultPart {
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

fn returned(id: &str, name: &str, result: Value) -> Message {
    Message::new(Role::Tool, vec![Part::ToolResult(tool_result(id, name, result))])
}

fn file(media_type: &str, name: &str, data: &[u8]) -> Part {
    Part::File(FilePart {
        media_type: media_type.to_owned(),
        name: name.to_owned(),
        file_id: None,
        data: data.to_vec(),
    })
}

fn reasoning(text: &str, signature: &str, metadata: Value) -> ReasoningPart {
    ReasoningPart {
        text: text.to_owned(),
        signature: signature.to_owned(),
        provider_metadata: metadata.as_object().cloned().unwrap_or_default(),
        ..ReasoningPart::default()
    }
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}
