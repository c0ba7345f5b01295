//! MCP servers as people configure and see them. Secrets go in and never come out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1::{McpAuthType, McpAvailability, McpServer, McpTransport};
use tandem_proto::tool::v1 as proto;
use utoipa::ToSchema;

use super::{Raw, or_default, some_text, time};
use crate::problem::Problem;

pub mod workspace;

const TRANSPORT: &str = "MCP_TRANSPORT_";
const AUTH_TYPE: &str = "MCP_AUTH_TYPE_";
const AVAILABILITY: &str = "MCP_AVAILABILITY_";

/// A server whose tools chats can use. Without administrator's rights addresses and headers are left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct MCPServerConfig {
    #[schema(format = Uuid)]
    pub id: String,
    pub display_name: String,
    /// Begins the names of the server's tools: `<slug>__<tool>`.
    pub slug: String,
    pub description: String,
    pub icon_url: String,
    /// `streamable_http` or `sse`; empty without administrator's rights.
    pub transport: String,
    pub url: String,
    /// `none`, `oauth2`, `api_key`, `custom_headers` or `user_oidc`.
    pub auth_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2_client_id: Option<String>,
    pub has_oauth2_secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2_auth_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2_token_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2_scopes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_header: Option<String>,
    pub has_api_key: bool,
    pub has_custom_headers: bool,
    pub tool_allow_list: Vec<String>,
    pub tool_deny_list: Vec<String>,
    /// `force_on`: every chat uses it; `default_on` and `default_off`: chats that name it do.
    pub availability: String,
    pub enabled: bool,
    /// Each call says what it is for.
    pub model_intent: bool,
    pub allow_in_plan_mode: bool,
    /// Calls name the owner, the chat and the workspace in headers.
    pub forward_coder_headers: bool,
    /// A tool whose description or schema has changed is not offered until an administrator accepts it.
    pub pinned: bool,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// The caller has a usable token; true for every server that asks for none.
    pub auth_connected: bool,
    /// Why the caller has to connect again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_reason: Option<String>,
    /// How the last connection went, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<MCPServerHealth>,
}

/// How a connection to a server went.
#[derive(Debug, Serialize, ToSchema)]
pub struct MCPServerHealth {
    /// `connected`, `timeout`, `error` or `no_tools`.
    pub outcome: String,
    pub duration_ms: u64,
    pub tool_count: i32,
    /// What went wrong, or which tools were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the tools chats may use take of a model's context, roughly.
    pub estimated_tokens: i64,
    /// Tools that are not offered because their definitions have changed.
    pub changed_tool_count: i32,
    #[schema(format = DateTime)]
    pub checked_at: String,
}

/// What a server offers, asked just now.
#[derive(Debug, Serialize, ToSchema)]
pub struct MCPServerTools {
    pub health: MCPServerHealth,
    /// What all tools that chats may use take of a model's context, roughly.
    pub estimated_tokens: i64,
    pub tools: Vec<MCPTool>,
}

/// A tool of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct MCPTool {
    /// As the server names it.
    pub name: String,
    /// As models are offered it.
    pub offered_name: String,
    pub description: String,
    #[schema(required)]
    pub input_schema: Option<Raw>,
    pub estimated_tokens: i64,
    /// The lists of the server let it pass.
    pub allowed: bool,
    /// What is accepted of it, as hex: SHA-256 of description and schema.
    pub digest: String,
    /// It is no longer what was accepted, and therefore not offered.
    pub changed: bool,
    /// What was accepted, for tools that have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<MCPToolDefinition>,
}

/// What a tool was when it was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct MCPToolDefinition {
    pub description: String,
    #[schema(required)]
    pub input_schema: Option<Raw>,
}

/// Tools to accept as they are now.
#[derive(Deserialize, ToSchema)]
pub struct ApproveMCPToolsRequest {
    /// 1 to 128.
    #[serde(default, deserialize_with = "or_default")]
    pub tools: Vec<MCPToolApproval>,
}

/// A tool, as whoever accepts it has seen it.
#[derive(Deserialize, ToSchema)]
pub struct MCPToolApproval {
    pub name: String,
    /// As in `MCPTool.digest`. Another one now: 409, and nothing is accepted.
    pub digest: String,
}

impl ApproveMCPToolsRequest {
    /// The request as the service that owns servers takes it.
    ///
    /// # Errors
    /// 400 for a digest that is none.
    pub fn into_wire(self, server_id: String) -> Result<proto::ApproveMcpToolsRequest, Problem> {
        let tools = self.tools.into_iter().map(|tool| {
            Ok(proto::McpToolApproval {
                name: tool.name,
                digest: digest(&tool.digest)?,
            })
        });
        Ok(proto::ApproveMcpToolsRequest {
            server_id,
            tools: tools.collect::<Result<Vec<_>, Problem>>()?,
        })
    }
}

/// A digest as it stands in addresses and bodies.
///
/// # Errors
/// 400 for anything but 64 hex digits.
pub fn digest(text: &str) -> Result<Vec<u8>, Problem> {
    let bytes = hex::decode(text).ok().filter(|bytes| bytes.len() == 32);
    bytes.ok_or_else(|| Problem::field("digest", "must be 64 hex digits"))
}

#[derive(Deserialize, ToSchema)]
pub struct CreateMCPServerConfigRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub slug: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub icon_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub transport: String,
    #[serde(default, deserialize_with = "or_default")]
    pub url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub auth_type: String,
    /// With both addresses and a client id, or with none of the three: then they are found out and a client is registered.
    #[serde(default, deserialize_with = "or_default")]
    pub oauth2_client_id: String,
    pub oauth2_client_secret: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub oauth2_auth_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub oauth2_token_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub oauth2_scopes: String,
    #[serde(default, deserialize_with = "or_default")]
    pub api_key_header: String,
    pub api_key_value: Option<String>,
    pub custom_headers: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub tool_allow_list: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub tool_deny_list: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub availability: String,
    #[serde(default, deserialize_with = "or_default")]
    pub enabled: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub model_intent: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub allow_in_plan_mode: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub forward_coder_headers: bool,
    /// True unless given.
    pub pinned: Option<bool>,
}

/// Members left out stay. Another `auth_type` removes the secrets of the one before.
#[derive(Deserialize, ToSchema)]
pub struct UpdateMCPServerConfigRequest {
    pub display_name: Option<String>,
    pub slug: Option<String>,
    pub description: Option<String>,
    pub icon_url: Option<String>,
    pub transport: Option<String>,
    pub url: Option<String>,
    pub auth_type: Option<String>,
    pub oauth2_client_id: Option<String>,
    pub oauth2_client_secret: Option<String>,
    pub oauth2_auth_url: Option<String>,
    pub oauth2_token_url: Option<String>,
    pub oauth2_scopes: Option<String>,
    pub api_key_header: Option<String>,
    pub api_key_value: Option<String>,
    pub custom_headers: Option<BTreeMap<String, String>>,
    pub tool_allow_list: Option<Vec<String>>,
    pub tool_deny_list: Option<Vec<String>>,
    pub availability: Option<String>,
    pub enabled: Option<bool>,
    pub model_intent: Option<bool>,
    pub allow_in_plan_mode: Option<bool>,
    pub forward_coder_headers: Option<bool>,
    pub pinned: Option<bool>,
}

impl CreateMCPServerConfigRequest {
    /// The request as the service that owns servers takes it; `access_url` is where browsers come back to.
    ///
    /// # Errors
    /// 400 for words that are none of those there are.
    pub fn into_wire(self, access_url: String) -> Result<proto::CreateMcpServerRequest, Problem> {
        let server = McpServer {
            transport: transport(&self.transport)?,
            auth_type: auth_type(&self.auth_type)?,
            availability: availability(&self.availability)?,
            is_pinned: self.pinned.unwrap_or(true),
            display_name: self.display_name,
            slug: self.slug,
            description: self.description,
            icon_url: self.icon_url,
            url: self.url,
            is_enabled: self.enabled,
            has_model_intent: self.model_intent,
            is_allowed_in_plan_mode: self.allow_in_plan_mode,
            forwards_identity: self.forward_coder_headers,
            tool_allow_list: self.tool_allow_list,
            tool_deny_list: self.tool_deny_list,
            oauth2_client_id: self.oauth2_client_id,
            oauth2_auth_url: self.oauth2_auth_url,
            oauth2_token_url: self.oauth2_token_url,
            oauth2_scopes: self.oauth2_scopes,
            api_key_header: self.api_key_header,
            ..McpServer::default()
        };
        let secrets = secrets(
            self.oauth2_client_secret,
            self.api_key_value,
            self.custom_headers.as_ref(),
        );
        Ok(proto::CreateMcpServerRequest {
            server: Some(server),
            secrets: Some(secrets),
            access_url,
        })
    }
}

impl UpdateMCPServerConfigRequest {
    /// The request as the service that owns servers takes it.
    ///
    /// # Errors
    /// 400 for words that are none of those there are.
    pub fn into_wire(self, server_id: String) -> Result<proto::UpdateMcpServerRequest, Problem> {
        let names = |names| proto::McpToolNames { names };
        let changes = proto::McpServerChanges {
            transport: self.transport.as_deref().map(transport).transpose()?,
            auth_type: self.auth_type.as_deref().map(auth_type).transpose()?,
            availability: self.availability.as_deref().map(availability).transpose()?,
            is_pinned: self.pinned,
            display_name: self.display_name,
            slug: self.slug,
            description: self.description,
            icon_url: self.icon_url,
            url: self.url,
            is_enabled: self.enabled,
            has_model_intent: self.model_intent,
            is_allowed_in_plan_mode: self.allow_in_plan_mode,
            forwards_identity: self.forward_coder_headers,
            tool_allow_list: self.tool_allow_list.map(names),
            tool_deny_list: self.tool_deny_list.map(names),
            oauth2_client_id: self.oauth2_client_id,
            oauth2_auth_url: self.oauth2_auth_url,
            oauth2_token_url: self.oauth2_token_url,
            oauth2_scopes: self.oauth2_scopes,
            api_key_header: self.api_key_header,
        };
        let secrets = secrets(
            self.oauth2_client_secret,
            self.api_key_value,
            self.custom_headers.as_ref(),
        );
        Ok(proto::UpdateMcpServerRequest {
            server_id,
            changes: Some(changes),
            secrets: Some(secrets),
        })
    }
}

fn secrets(
    oauth2_client_secret: Option<String>,
    api_key: Option<String>,
    custom_headers: Option<&BTreeMap<String, String>>,
) -> proto::McpSecrets {
    let json = |headers: &BTreeMap<String, String>| match headers.is_empty() {
        true => String::new(),
        false => serde_json::to_string(headers).unwrap_or_default(),
    };
    proto::McpSecrets {
        oauth2_client_secret,
        api_key,
        custom_headers_json: custom_headers.map(json),
    }
}

fn transport(text: &str) -> Result<i32, Problem> {
    let known = named(text, TRANSPORT, McpTransport::from_str_name);
    let known = known.filter(|known| *known != McpTransport::Unspecified);
    known
        .map(Into::into)
        .ok_or_else(|| Problem::field("transport", "must be one of streamable_http, sse"))
}

fn auth_type(text: &str) -> Result<i32, Problem> {
    let known = named(text, AUTH_TYPE, McpAuthType::from_str_name);
    let known = known.filter(|known| *known != McpAuthType::Unspecified);
    let rule = "must be one of none, oauth2, api_key, custom_headers, user_oidc";
    known.map(Into::into).ok_or_else(|| Problem::field("auth_type", rule))
}

fn availability(text: &str) -> Result<i32, Problem> {
    let known = named(text, AVAILABILITY, McpAvailability::from_str_name);
    let known = known.filter(|known| *known != McpAvailability::Unspecified);
    let rule = "must be one of force_on, default_on, default_off";
    known
        .map(Into::into)
        .ok_or_else(|| Problem::field("availability", rule))
}

/// The value of a word: words are the contract's names without `prefix`, in small letters.
fn named<T>(text: &str, prefix: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let is_small = !text.chars().any(|c| c.is_ascii_uppercase());
    is_small
        .then(|| find(&format!("{prefix}{}", text.to_ascii_uppercase())))
        .flatten()
}

/// The word of a value; empty where none is given.
fn word(name: &str, prefix: &str) -> String {
    let word = name.strip_prefix(prefix).unwrap_or_default().to_ascii_lowercase();
    if word == "unspecified" { String::new() } else { word }
}

impl From<proto::McpServerView> for MCPServerConfig {
    fn from(view: proto::McpServerView) -> Self {
        let server = view.server.unwrap_or_default();
        Self {
            transport: word(server.transport().as_str_name(), TRANSPORT),
            auth_type: word(server.auth_type().as_str_name(), AUTH_TYPE),
            availability: word(server.availability().as_str_name(), AVAILABILITY),
            created_at: time(server.created_at.as_ref()),
            updated_at: time(server.updated_at.as_ref()),
            id: server.id,
            display_name: server.display_name,
            slug: server.slug,
            description: server.description,
            icon_url: server.icon_url,
            url: server.url,
            oauth2_client_id: some_text(server.oauth2_client_id),
            has_oauth2_secret: server.has_oauth2_secret,
            oauth2_auth_url: some_text(server.oauth2_auth_url),
            oauth2_token_url: some_text(server.oauth2_token_url),
            oauth2_scopes: some_text(server.oauth2_scopes),
            api_key_header: some_text(server.api_key_header),
            has_api_key: server.has_api_key,
            has_custom_headers: server.has_custom_headers,
            tool_allow_list: server.tool_allow_list,
            tool_deny_list: server.tool_deny_list,
            enabled: server.is_enabled,
            model_intent: server.has_model_intent,
            allow_in_plan_mode: server.is_allowed_in_plan_mode,
            forward_coder_headers: server.forwards_identity,
            pinned: server.is_pinned,
            auth_connected: view.is_connected,
            reconnect_reason: some_text(view.reconnect_reason),
            health: view.health.map(MCPServerHealth::from),
        }
    }
}

impl From<proto::McpHealth> for MCPServerHealth {
    fn from(health: proto::McpHealth) -> Self {
        let duration = health.duration.unwrap_or_default();
        let milliseconds = duration.seconds.saturating_mul(1000) + i64::from(duration.nanos) / 1_000_000;
        let outcome = match health.outcome() {
            proto::McpOutcome::Connected => "connected",
            proto::McpOutcome::Timeout => "timeout",
            proto::McpOutcome::NoTools => "no_tools",
            proto::McpOutcome::Error | proto::McpOutcome::Unspecified => "error",
        };
        Self {
            outcome: outcome.to_owned(),
            duration_ms: u64::try_from(milliseconds).unwrap_or(0),
            tool_count: health.tool_count,
            error: some_text(health.error),
            estimated_tokens: health.estimated_tokens,
            changed_tool_count: health.changed_tool_count,
            checked_at: time(health.checked_at.as_ref()),
        }
    }
}

impl From<proto::ListMcpToolsResponse> for MCPServerTools {
    fn from(answer: proto::ListMcpToolsResponse) -> Self {
        Self::of(answer.health, answer.tools)
    }
}

impl From<proto::ApproveMcpToolsResponse> for MCPServerTools {
    fn from(answer: proto::ApproveMcpToolsResponse) -> Self {
        Self::of(answer.health, answer.tools)
    }
}

impl MCPServerTools {
    fn of(health: Option<proto::McpHealth>, tools: Vec<proto::McpTool>) -> Self {
        let tools: Vec<MCPTool> = tools.into_iter().map(MCPTool::from).collect();
        let offered = tools.iter().filter(|tool| tool.allowed && !tool.changed);
        Self {
            health: health.unwrap_or_default().into(),
            estimated_tokens: offered.map(|tool| tool.estimated_tokens).sum(),
            tools,
        }
    }
}

impl From<proto::McpTool> for MCPTool {
    fn from(tool: proto::McpTool) -> Self {
        let accepted = tool.is_changed.then(|| MCPToolDefinition {
            description: tool.accepted_description,
            input_schema: Raw::new(&tool.accepted_input_schema_json),
        });
        Self {
            digest: hex::encode(&tool.digest),
            changed: tool.is_changed,
            accepted,
            name: tool.name,
            offered_name: tool.offered_name,
            description: tool.description,
            input_schema: Raw::new(&tool.input_schema_json),
            estimated_tokens: tool.estimated_tokens,
            allowed: tool.is_allowed,
        }
    }
}

#[cfg(test)]
mod tests;
