//! Parts and requests for tests of protocols.

use serde_json::{Value, json};
use tandem_chat_core::{
    id::{CompletionId, ModelConfigId, ToolCallId},
    message::Message,
    part::{FilePart, Part, ToolCallPart, ToolResultPart},
};
use uuid::Uuid;

use crate::completion::{Purpose, Request, Tool, ToolChoice};

pub(super) fn call(id: &str, name: &str, args: Value) -> Part {
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

pub(super) fn result(id: &str, name: &str, result: Value) -> ToolResultPart {
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

pub(super) fn file(media_type: &str, name: &str, data: &[u8]) -> Part {
    Part::File(FilePart {
        media_type: media_type.to_owned(),
        name: name.to_owned(),
        file_id: None,
        data: data.to_vec(),
    })
}

pub(super) fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: format!("Does {name}."),
        input_schema: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
    }
}

pub(super) fn request(messages: Vec<Message>, tools: Vec<Tool>) -> Request {
    Request {
        id: CompletionId::new(Uuid::nil()),
        model_config_id: ModelConfigId::new(Uuid::nil()),
        messages,
        tools,
        tool_choice: ToolChoice::Auto,
        max_output_tokens: Some(512),
        chat_id: None,
        purpose: Purpose::default(),
    }
}
