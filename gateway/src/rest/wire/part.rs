//! One piece of a message. All kinds share one flat shape: a client switches on `type` and ignores the rest.

use serde::Serialize;
use tandem_proto::common::v1 as proto;
use tandem_proto::common::v1::{live_part::Content, part::Kind};
use utoipa::ToSchema;

use super::{Raw, base64, command, is_false, some_text, some_time};

/// A piece of a message.
///
/// The first ten keys, and the three that may be null, are there whatever the type; all others are left out when empty.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct ChatMessagePart {
    /// `text`, `reasoning`, `tool-call`, `tool-result`, `source`, `file`, `file-reference`, `context-file` or `skill`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub text: String,
    pub url: String,
    pub media_type: String,
    pub file_name: String,
    pub start_line: i32,
    pub end_line: i32,
    pub content: String,
    pub context_file_path: String,
    pub skill_name: String,
    #[schema(required)]
    pub mcp_server_config_id: Option<String>,
    #[schema(required)]
    pub file_id: Option<String>,
    #[schema(required)]
    pub context_file_agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool_call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool_name: Option<String>,
    /// The arguments of a whole call; any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Raw>,
    /// The next piece of the arguments' JSON text; in live parts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub args_delta: Option<String>,
    /// `[program]` or `[program, first argument]` of each command of an `execute` call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parsed_commands: Vec<Vec<String>>,
    /// The result of a call; any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Raw>,
    /// The next piece of a running tool's output; in live parts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result_delta: Option<String>,
    /// Discard the output shown so far; in live parts only.
    #[serde(skip_serializing_if = "is_false")]
    pub result_reset: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub is_error: bool,
    /// The result is `{data, mime_type, text}` with base64 data.
    #[serde(skip_serializing_if = "is_false")]
    pub is_media: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub provider_executed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Base64; only where there is no `file_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub data: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub context_file_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skill_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub completed_at: Option<String>,
}

impl ChatMessagePart {
    fn of(kind: &'static str) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// A stored or finished part; `None` for one of a kind this gateway does not know.
    pub fn from_part(part: proto::Part) -> Option<Self> {
        // What vendors need back (`provider_metadata_json`) and what only the model reads is left behind here.
        Some(match part.kind? {
            Kind::Text(part) => Self {
                text: part.text,
                ..Self::of("text")
            },
            Kind::Reasoning(part) => Self {
                text: part.text,
                signature: some_text(part.signature),
                created_at: some_time(part.created_at.as_ref()),
                completed_at: some_time(part.completed_at.as_ref()),
                ..Self::of("reasoning")
            },
            Kind::ToolCall(part) => tool_call(part),
            Kind::ToolResult(part) => Self {
                tool_call_id: some_text(part.tool_call_id),
                tool_name: some_text(part.tool_name),
                result: Raw::new(&part.result_json),
                is_error: part.is_error,
                is_media: part.is_media,
                provider_executed: part.provider_executed,
                mcp_server_config_id: some_text(part.mcp_server_config_id),
                created_at: some_time(part.created_at.as_ref()),
                ..Self::of("tool-result")
            },
            Kind::Source(part) => Self {
                source_id: some_text(part.source_id),
                url: part.url,
                title: some_text(part.title),
                ..Self::of("source")
            },
            Kind::File(part) => Self {
                media_type: part.media_type,
                name: some_text(part.name),
                data: (part.file_id.is_empty() && !part.data.is_empty()).then(|| base64(&part.data)),
                file_id: some_text(part.file_id),
                ..Self::of("file")
            },
            Kind::FileReference(part) => Self {
                file_name: part.file_name,
                start_line: part.start_line,
                end_line: part.end_line,
                content: part.content,
                ..Self::of("file-reference")
            },
            Kind::ContextFile(part) => Self {
                context_file_path: part.path,
                context_file_truncated: part.is_truncated,
                context_file_agent_id: some_text(part.agent_id),
                ..Self::of("context-file")
            },
            Kind::Skill(part) => Self {
                skill_name: part.name,
                skill_description: some_text(part.description),
                ..Self::of("skill")
            },
        })
    }

    /// An increment of a running turn.
    pub fn from_live(content: Content) -> Option<Self> {
        Some(match content {
            Content::TextDelta(text) => Self {
                text,
                ..Self::of("text")
            },
            Content::ReasoningDelta(text) => Self {
                text,
                ..Self::of("reasoning")
            },
            Content::ToolCallDelta(delta) => Self {
                tool_call_id: some_text(delta.tool_call_id),
                tool_name: some_text(delta.tool_name),
                args_delta: some_text(delta.arguments_delta),
                ..Self::of("tool-call")
            },
            Content::ToolResultDelta(delta) => Self {
                tool_call_id: some_text(delta.tool_call_id),
                tool_name: some_text(delta.tool_name),
                result_delta: some_text(delta.output_delta),
                result_reset: delta.is_reset,
                ..Self::of("tool-result")
            },
            Content::Part(part) => return Self::from_part(part),
        })
    }
}

fn tool_call(part: proto::ToolCallPart) -> ChatMessagePart {
    let parsed_commands = match part.tool_name.as_str() {
        "execute" => command_of(&part.arguments_json)
            .map(|line| command::parse(&line))
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    ChatMessagePart {
        tool_call_id: some_text(part.tool_call_id),
        tool_name: some_text(part.tool_name),
        args: Raw::new(&part.arguments_json),
        parsed_commands,
        mcp_server_config_id: some_text(part.mcp_server_config_id),
        provider_executed: part.provider_executed,
        created_at: some_time(part.created_at.as_ref()),
        ..ChatMessagePart::of("tool-call")
    }
}

fn command_of(arguments: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Execute {
        command: String,
    }
    serde_json::from_str::<Execute>(arguments)
        .ok()
        .map(|execute| execute.command)
}

/// All parts of a message.
pub fn parts(parts: Vec<proto::Part>) -> Vec<ChatMessagePart> {
    parts.into_iter().filter_map(ChatMessagePart::from_part).collect()
}

/// A role's word; empty for none.
pub fn role(role: i32) -> &'static str {
    match proto::Role::try_from(role) {
        Ok(proto::Role::System) => "system",
        Ok(proto::Role::User) => "user",
        Ok(proto::Role::Assistant) => "assistant",
        Ok(proto::Role::Tool) => "tool",
        Ok(proto::Role::Unspecified) | Err(_) => "",
    }
}
