//! Parts, to and from the contracts.

use serde_json::{Map, Value};
use tandem_proto::common::v1 as wire;
use tandem_proto::common::v1::part::Kind;

use super::{InvalidWire, time_from_wire, time_to_wire};
use crate::id::ToolCallId;
use crate::part::{
    ContextFilePart, FilePart, FileReferencePart, Part, ProviderMetadata, ReasoningPart, SkillPart, SourcePart,
    TextPart, ToolCallPart, ToolResultPart,
};

/// Parts as the contracts write them, in order.
pub fn parts_to_wire(parts: &[Part]) -> Vec<wire::Part> {
    parts.iter().map(part_to_wire).collect()
}

/// Parts from a contract, in order.
///
/// # Errors
/// [`InvalidWire`] names the first part that is none, as `parts[i].…`.
pub fn parts_from_wire(parts: &[wire::Part]) -> Result<Vec<Part>, InvalidWire> {
    let numbered = parts.iter().enumerate();
    numbered
        .map(|(index, part)| part_from_wire(part).map_err(|error| error.within(&format!("parts[{index}]"))))
        .collect()
}

/// A part as the contracts write it.
pub fn part_to_wire(part: &Part) -> wire::Part {
    let (kind, metadata) = match part {
        Part::Text(text) => (
            Kind::Text(wire::TextPart {
                text: text.text.clone(),
            }),
            Some(&text.provider_metadata),
        ),
        Part::Reasoning(reasoning) => {
            let written = wire::ReasoningPart {
                text: reasoning.text.clone(),
                signature: reasoning.signature.clone(),
                created_at: reasoning.created_at.map(time_to_wire),
                completed_at: reasoning.completed_at.map(time_to_wire),
            };
            (Kind::Reasoning(written), Some(&reasoning.provider_metadata))
        }
        Part::ToolCall(call) => {
            let written = wire::ToolCallPart {
                tool_call_id: call.tool_call_id.to_string(),
                tool_name: call.tool_name.clone(),
                arguments_json: Value::Object(call.arguments()).to_string(),
                provider_executed: call.provider_executed,
                mcp_server_config_id: text_of_id(call.mcp_server_config_id),
                created_at: call.created_at.map(time_to_wire),
            };
            (Kind::ToolCall(written), Some(&call.provider_metadata))
        }
        Part::ToolResult(result) => {
            let written = wire::ToolResultPart {
                tool_call_id: result.tool_call_id.to_string(),
                tool_name: result.tool_name.clone(),
                result_json: result.result.to_string(),
                is_error: result.is_error,
                is_media: result.is_media,
                provider_executed: result.provider_executed,
                mcp_server_config_id: text_of_id(result.mcp_server_config_id),
                created_at: result.created_at.map(time_to_wire),
            };
            (Kind::ToolResult(written), Some(&result.provider_metadata))
        }
        Part::Source(source) => {
            let written = wire::SourcePart {
                source_id: source.source_id.clone(),
                url: source.url.clone(),
                title: source.title.clone(),
            };
            (Kind::Source(written), Some(&source.provider_metadata))
        }
        Part::File(file) => {
            let written = wire::FilePart {
                media_type: file.media_type.clone(),
                name: file.name.clone(),
                file_id: text_of_id(file.file_id),
                data: file.data.clone(),
            };
            (Kind::File(written), None)
        }
        Part::FileReference(reference) => {
            let written = wire::FileReferencePart {
                file_name: reference.file_name.clone(),
                start_line: reference.start_line,
                end_line: reference.end_line,
                content: reference.content.clone(),
            };
            (Kind::FileReference(written), None)
        }
        Part::ContextFile(file) => {
            let written = wire::ContextFilePart {
                path: file.path.clone(),
                content: file.content.clone(),
                is_truncated: file.is_truncated,
                agent_id: text_of_id(file.agent_id),
                os: file.os.clone(),
                directory: file.directory.clone(),
            };
            (Kind::ContextFile(written), None)
        }
        Part::Skill(skill) => {
            let written = wire::SkillPart {
                name: skill.name.clone(),
                description: skill.description.clone(),
                directory: skill.directory.clone(),
                meta_file: skill.meta_file.clone(),
            };
            (Kind::Skill(written), None)
        }
    };
    let provider_metadata_json = match metadata {
        Some(metadata) if !metadata.is_empty() => Value::Object(metadata.clone()).to_string(),
        Some(_) | None => String::new(),
    };
    wire::Part {
        kind: Some(kind),
        provider_metadata_json,
    }
}

/// A part from a contract.
///
/// # Errors
/// [`InvalidWire`] names the field: no kind, text that is no JSON where JSON is due, an id that is none.
pub fn part_from_wire(part: &wire::Part) -> Result<Part, InvalidWire> {
    let provider_metadata = metadata(&part.provider_metadata_json)?;
    let kind = part
        .kind
        .as_ref()
        .ok_or_else(|| InvalidWire::new("kind", "must be set"))?;
    Ok(match kind {
        Kind::Text(text) => Part::Text(TextPart {
            text: text.text.clone(),
            provider_metadata,
        }),
        Kind::Reasoning(reasoning) => Part::Reasoning(ReasoningPart {
            text: reasoning.text.clone(),
            signature: reasoning.signature.clone(),
            created_at: reasoning.created_at.as_ref().and_then(time_from_wire),
            completed_at: reasoning.completed_at.as_ref().and_then(time_from_wire),
            provider_metadata,
        }),
        Kind::ToolCall(call) => Part::ToolCall(ToolCallPart {
            tool_call_id: tool_call_id(&call.tool_call_id, "tool_call.tool_call_id")?,
            tool_name: call.tool_name.clone(),
            args: json(&call.arguments_json, "tool_call.arguments_json")?,
            provider_executed: call.provider_executed,
            mcp_server_config_id: optional_id(&call.mcp_server_config_id, "tool_call.mcp_server_config_id")?,
            created_at: call.created_at.as_ref().and_then(time_from_wire),
            provider_metadata,
        }),
        Kind::ToolResult(result) => Part::ToolResult(ToolResultPart {
            tool_call_id: tool_call_id(&result.tool_call_id, "tool_result.tool_call_id")?,
            tool_name: result.tool_name.clone(),
            result: json(&result.result_json, "tool_result.result_json")?,
            is_error: result.is_error,
            is_media: result.is_media,
            provider_executed: result.provider_executed,
            mcp_server_config_id: optional_id(&result.mcp_server_config_id, "tool_result.mcp_server_config_id")?,
            created_at: result.created_at.as_ref().and_then(time_from_wire),
            provider_metadata,
        }),
        Kind::Source(source) => Part::Source(SourcePart {
            source_id: source.source_id.clone(),
            url: source.url.clone(),
            title: source.title.clone(),
            provider_metadata,
        }),
        Kind::File(file) => Part::File(FilePart {
            media_type: file.media_type.clone(),
            name: file.name.clone(),
            file_id: optional_id(&file.file_id, "file.file_id")?,
            data: file.data.clone(),
        }),
        Kind::FileReference(reference) => Part::FileReference(FileReferencePart {
            file_name: reference.file_name.clone(),
            start_line: reference.start_line,
            end_line: reference.end_line,
            content: reference.content.clone(),
        }),
        Kind::ContextFile(file) => Part::ContextFile(ContextFilePart {
            path: file.path.clone(),
            is_truncated: file.is_truncated,
            agent_id: optional_id(&file.agent_id, "context_file.agent_id")?,
            content: file.content.clone(),
            os: file.os.clone(),
            directory: file.directory.clone(),
        }),
        Kind::Skill(skill) => Part::Skill(SkillPart {
            name: skill.name.clone(),
            description: skill.description.clone(),
            directory: skill.directory.clone(),
            meta_file: skill.meta_file.clone(),
        }),
    })
}

fn text_of_id<Id: ToString>(id: Option<Id>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn optional_id<Id: std::str::FromStr>(text: &str, field: &str) -> Result<Option<Id>, InvalidWire> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| InvalidWire::new(field, "must be a uuid"))
}

fn tool_call_id(text: &str, field: &str) -> Result<ToolCallId, InvalidWire> {
    ToolCallId::new(text).map_err(|_| InvalidWire::new(field, "must be 1 to 256 bytes"))
}

fn json(text: &str, field: &str) -> Result<Value, InvalidWire> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|_| InvalidWire::new(field, "must be JSON"))
}

fn metadata(text: &str) -> Result<ProviderMetadata, InvalidWire> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|_| InvalidWire::new("provider_metadata_json", "must be a JSON object"))
}
