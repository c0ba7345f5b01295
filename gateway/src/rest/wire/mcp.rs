//! MCP servers as people configure and see them. Secrets go in and never come out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1::{McpAuthType, McpAvailability, McpServer, McpTransport};
use tandem_proto::tool::v1 as proto;
use utoipa::ToSchema;

use super::{Raw, or_default, some_text, time};
use crate::problem::Problem;

const TRANSPORTS: [(&str, McpTransport); 1] = [("streamable_http", McpTransport::StreamableHttp)];

const AUTH_TYPES: [(&str, McpAuthType); 5] = [
    ("none", McpAuthType::None),
    ("oauth2", McpAuthType::Oauth2),
    ("api_key", McpAuthType::ApiKey),
    ("custom_headers", McpAuthType::CustomHeaders),
    ("user_oidc", McpAuthType::UserOidc),
];

const AVAILABILITIES: [(&str, McpAvailability); 3] = [
    ("force_on", McpAvailability::ForceOn),
    ("default_on", McpAvailability::DefaultOn),
    ("default_off", McpAvailability::DefaultOff),
];

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
    /// `streamable_http`; empty without administrator's rights.
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
    /// Chats may use it.
    pub allowed: bool,
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
}

impl CreateMCPServerConfigRequest {
    /// The request as the service that owns servers takes it; `access_url` is where browsers come back to.
    ///
    /// # Errors
    /// 400 for words that are none of those there are.
    pub fn into_wire(self, access_url: String) -> Result<proto::CreateMcpServerRequest, Problem> {
        let server = McpServer {
            transport: transport(&self.transport)?,
            auth_type: value("auth_type", &AUTH_TYPES, &self.auth_type)?.into(),
            availability: value("availability", &AVAILABILITIES, &self.availability)?.into(),
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
        let auth_type = self.auth_type.as_deref();
        let availability = self.availability.as_deref();
        let changes = proto::McpServerChanges {
            transport: self.transport.as_deref().map(transport).transpose()?,
            auth_type: auth_type
                .map(|word| value("auth_type", &AUTH_TYPES, word).map(Into::into))
                .transpose()?,
            availability: availability
                .map(|word| value("availability", &AVAILABILITIES, word).map(Into::into))
                .transpose()?,
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

fn transport(word: &str) -> Result<i32, Problem> {
    if word == "sse" {
        let text = "sse is not spoken here; servers that know it know streamable_http, under another address";
        return Err(Problem::field("transport", text));
    }
    value("transport", &TRANSPORTS, word).map(Into::into)
}

fn value<T: Copy>(field: &str, table: &[(&'static str, T)], word: &str) -> Result<T, Problem> {
    let known = table.iter().find(|(known, _)| *known == word);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
        Problem::field(field, format!("must be one of {}", words.join(", ")))
    })
}

fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> String {
    let known = table.iter().find(|(_, known)| known == value);
    known.map(|(word, _)| (*word).to_owned()).unwrap_or_default()
}

impl From<proto::McpServerView> for MCPServerConfig {
    fn from(view: proto::McpServerView) -> Self {
        let server = view.server.unwrap_or_default();
        Self {
            transport: word(&TRANSPORTS, &server.transport()),
            auth_type: word(&AUTH_TYPES, &server.auth_type()),
            availability: word(&AVAILABILITIES, &server.availability()),
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
            checked_at: time(health.checked_at.as_ref()),
        }
    }
}

impl From<proto::ListMcpToolsResponse> for MCPServerTools {
    fn from(answer: proto::ListMcpToolsResponse) -> Self {
        let tools: Vec<MCPTool> = answer.tools.into_iter().map(MCPTool::from).collect();
        Self {
            health: answer.health.unwrap_or_default().into(),
            estimated_tokens: tools
                .iter()
                .filter(|tool| tool.allowed)
                .map(|tool| tool.estimated_tokens)
                .sum(),
            tools,
        }
    }
}

impl From<proto::McpTool> for MCPTool {
    fn from(tool: proto::McpTool) -> Self {
        Self {
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
