//! The typed pieces of a message, in the JSON form in which they are stored (content version 1).
//!
//! Owns every part kind and what of it clients may see. It does not own U+0000, which the database cannot hold (`stored`), nor the
//! REST shape with its empty keys, nor vendor formats.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::id::{AgentId, FileId, McpServerId, ToolCallId};

/// Vendor data that must travel back with a part (signatures, item ids). Opaque outside provider-gateway.
pub type ProviderMetadata = Map<String, Value>;

/// The tool whose made-up call and result show people where the model's memory was replaced by a summary, or cleared.
pub const SUMMARY_TOOL: &str = "chat_summarized";

/// One typed piece of a message.
///
/// Stored as one JSON object whose `type` names the kind; unknown fields are ignored on reading, absent ones take their default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Part {
    /// Words of the user or of the model.
    Text(TextPart),
    /// The model's thinking.
    Reasoning(ReasoningPart),
    /// The model asks for a tool.
    ToolCall(ToolCallPart),
    /// What came of a tool call.
    ToolResult(ToolResultPart),
    /// A citation.
    Source(SourcePart),
    /// An attachment.
    File(FilePart),
    /// Lines of a file the user points at.
    FileReference(FileReferencePart),
    /// An instruction file read from a workspace.
    ContextFile(ContextFilePart),
    /// A skill offered to the model.
    Skill(SkillPart),
}

/// Words of the user or of the model; may contain U+0000.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextPart {
    /// The words.
    #[serde(default)]
    pub text: String,
    /// Vendor data; empty when there is none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub provider_metadata: ProviderMetadata,
}

/// The model's thinking, where the vendor shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReasoningPart {
    /// What it thought, or the vendor's summary of it; may be empty when only the signature counts.
    #[serde(default)]
    pub text: String,
    /// Needed by the vendor to accept the part again; empty when it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// When thinking began.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
    /// When it ended, or was cut off.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub completed_at: Option<OffsetDateTime>,
    /// Vendor data; empty when there is none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub provider_metadata: ProviderMetadata,
}

/// A request by the model to run a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCallPart {
    /// Names the call within the chat.
    pub tool_call_id: ToolCallId,
    /// The tool as the model knows it.
    pub tool_name: String,
    /// A JSON object; see [`ToolCallPart::arguments`].
    #[serde(default)]
    pub args: Value,
    /// Run by the vendor itself; its result stands in the same message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provider_executed: bool,
    /// The MCP server that owns the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_server_config_id: Option<McpServerId>,
    /// When the model had finished asking.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
    /// Vendor data; empty when there is none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub provider_metadata: ProviderMetadata,
}

/// The recorded outcome of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResultPart {
    /// The call it answers.
    pub tool_call_id: ToolCallId,
    /// The tool that ran.
    pub tool_name: String,
    /// Any JSON value.
    #[serde(default)]
    pub result: Value,
    /// The call failed; `result` says how.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
    /// `result` is `{data, mime_type, text}` with base64 data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_media: bool,
    /// Run by the vendor itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provider_executed: bool,
    /// The MCP server that owns the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_server_config_id: Option<McpServerId>,
    /// When the tool had finished, or was given up.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
    /// Vendor data; empty when there is none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub provider_metadata: ProviderMetadata,
}

/// A citation of a web search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourcePart {
    /// The vendor's name for it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_id: String,
    /// Where it can be read.
    #[serde(default)]
    pub url: String,
    /// May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Vendor data; empty when there is none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub provider_metadata: ProviderMetadata,
}

/// An attachment. Stored messages name a file; prompts carry its bytes as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilePart {
    /// For example `image/png`.
    #[serde(default)]
    pub media_type: String,
    /// May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The stored file; `None` only when `data` is all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<FileId>,
    /// The bytes, at most 10 MiB; base64 in JSON.
    #[serde(default, with = "base64_bytes", skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<u8>,
}

/// Lines of a file a user points at, for example in a diff.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileReferencePart {
    /// The file's path or name.
    #[serde(default)]
    pub file_name: String,
    /// The first line, from 1; 0 when no lines are meant.
    #[serde(default)]
    pub start_line: i32,
    /// The last line, included; 0 when no lines are meant.
    #[serde(default)]
    pub end_line: i32,
    /// The lines themselves; may be empty.
    #[serde(default)]
    pub content: String,
}

/// An instruction file read from a workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContextFilePart {
    /// The file's path in the workspace.
    #[serde(rename = "context_file_path", default)]
    pub path: String,
    /// Whether `content` was cut.
    #[serde(
        rename = "context_file_truncated",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_truncated: bool,
    /// The agent that read it.
    #[serde(rename = "context_file_agent_id", default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The text. Never shown to clients.
    #[serde(rename = "context_file_content", default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// The workspace's operating system. Never shown to clients.
    #[serde(rename = "context_file_os", default, skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// The workspace's working directory. Never shown to clients.
    #[serde(rename = "context_file_directory", default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
}

/// A skill offered to the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SkillPart {
    /// The skill's name.
    #[serde(rename = "skill_name", default)]
    pub name: String,
    /// What it is good for; may be empty.
    #[serde(rename = "skill_description", default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where it lives in the workspace. Never shown to clients.
    #[serde(rename = "skill_dir", default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// The context file that names it. Never shown to clients.
    #[serde(
        rename = "context_file_skill_meta_file",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub meta_file: String,
}

impl Part {
    /// A text part without vendor data.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPart {
            text: text.into(),
            ..TextPart::default()
        })
    }
}

impl ToolCallPart {
    /// The arguments as a JSON object; empty where the model sent something else.
    pub fn arguments(&self) -> Map<String, Value> {
        self.args.as_object().cloned().unwrap_or_default()
    }
}

impl ToolResultPart {
    /// An error result nobody computed, for a call that will not get another one.
    pub fn synthetic_error(call: &ToolCallPart, text: &str, now: Option<OffsetDateTime>) -> Self {
        Self {
            tool_call_id: call.tool_call_id.clone(),
            tool_name: call.tool_name.clone(),
            result: Value::from(text),
            is_error: true,
            is_media: false,
            provider_executed: false,
            mcp_server_config_id: call.mcp_server_config_id,
            created_at: now,
            provider_metadata: ProviderMetadata::new(),
        }
    }
}

/// The words of a message: its text parts, trimmed, joined by a blank line. Empty if there are none.
pub fn text_of(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.text.trim()),
            Part::Reasoning(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Source(_)
            | Part::File(_)
            | Part::FileReference(_)
            | Part::ContextFile(_)
            | Part::Skill(_) => None,
        })
        .filter(|text| !text.is_empty())
        .collect();
    texts.join("\n\n")
}

/// Removes what clients must not see: vendor data, injected contents and paths, and bytes of files that have an id.
pub fn strip_internal(parts: &mut [Part]) {
    for part in parts {
        match part {
            Part::Text(text) => text.provider_metadata.clear(),
            Part::Reasoning(reasoning) => reasoning.provider_metadata.clear(),
            Part::ToolCall(call) => call.provider_metadata.clear(),
            Part::ToolResult(result) => result.provider_metadata.clear(),
            Part::Source(source) => source.provider_metadata.clear(),
            Part::File(file) => {
                if file.file_id.is_some() {
                    file.data.clear();
                }
            }
            Part::FileReference(_) => {}
            Part::ContextFile(context) => {
                context.content.clear();
                context.os.clear();
                context.directory.clear();
            }
            Part::Skill(skill) => {
                skill.directory.clear();
                skill.meta_file.clear();
            }
        }
    }
}

/// Bytes as standard base64 text.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map_err(|_| de::Error::custom("not standard base64"))
    }
}

#[cfg(test)]
mod tests;
