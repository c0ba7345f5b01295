//! A configured server, with its secrets opened: what may be asked of it, and by which headers it learns who asks.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tandem_chassis::seal::keyring::Keyring;
use tandem_proto::storage::v1::{McpAuthType, McpAvailability, McpServer};
use url::Url;
use uuid::Uuid;

use super::result::cut;
use super::sealed::{self, Field};

/// Secrets of this length and more are taken out of texts.
const MIN_REDACTED_BYTES: usize = 8;

const REDACTED: &str = "[REDACTED]";

/// Longest text about a failure, in bytes.
const MAX_FAILURE_BYTES: usize = 512;

/// Headers that are the transport's own.
const RESERVED: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A server chats can use.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) id: Uuid,
    pub(crate) slug: String,
    /// Changes so far: what was learnt of another revision is of no use.
    pub(crate) revision: i64,
    pub(crate) url: Url,
    pub(crate) auth: Auth,
    /// Every chat uses it.
    pub(crate) is_forced: bool,
    /// Chats use it unless told otherwise.
    pub(crate) is_default: bool,
    pub(crate) is_enabled: bool,
    pub(crate) has_model_intent: bool,
    pub(crate) is_allowed_in_plan: bool,
    forwards_identity: bool,
    allowed: Vec<String>,
    denied: Vec<String>,
    /// The row it was made of, without ciphertext.
    pub(crate) row: McpServer,
}

/// How the server learns who calls.
pub(crate) enum Auth {
    /// Not at all. Also for the sign-in token of a user: nobody signs in here with one that could be passed on.
    None,
    /// The same headers for everybody.
    Headers(Vec<(HeaderName, SecretString)>),
    /// A token of each user; the secret is that of the client, where it has one.
    OAuth2(Option<SecretString>),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Headers(_) => "Headers(redacted)",
            Self::OAuth2(_) => "OAuth2(redacted)",
        })
    }
}

/// For whom and for what a server is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) owner_id: String,
    pub(crate) chat_id: String,
    pub(crate) root_chat_id: String,
    pub(crate) workspace_id: String,
}

impl Server {
    /// Opens a row.
    ///
    /// # Errors
    /// Why it cannot be used, for administrators.
    pub(crate) fn open(mut row: McpServer, keyring: &Keyring) -> Result<Self, String> {
        let id = Uuid::try_parse(&row.id).map_err(|_| "its id is not valid".to_owned())?;
        let open = |field, envelope: &[u8]| {
            sealed::open(keyring, id, field, envelope).map_err(|error| format!("its secrets cannot be opened: {error}"))
        };
        let auth = match row.auth_type() {
            McpAuthType::None | McpAuthType::UserOidc => Auth::None,
            McpAuthType::Oauth2 => Auth::OAuth2(open(Field::OAuth2Secret, &row.sealed_oauth2_secret)?),
            McpAuthType::ApiKey => {
                let value = open(Field::ApiKey, &row.sealed_api_key)?.ok_or("its API key is missing")?;
                Auth::Headers(vec![(header_name(&row.api_key_header)?, value)])
            }
            McpAuthType::CustomHeaders => {
                let text = open(Field::CustomHeaders, &row.sealed_custom_headers)?.ok_or("its headers are missing")?;
                Auth::Headers(headers(text.expose_secret())?)
            }
            McpAuthType::Unspecified => return Err("its kind of authentication is not known".to_owned()),
        };
        let url = Url::parse(&row.url).map_err(|_| "its address is not valid".to_owned())?;
        row.sealed_oauth2_secret.clear();
        row.sealed_api_key.clear();
        row.sealed_custom_headers.clear();
        Ok(Self {
            id,
            slug: row.slug.clone(),
            revision: row.revision,
            url,
            auth,
            is_forced: row.availability() == McpAvailability::ForceOn,
            is_default: row.availability() == McpAvailability::DefaultOn,
            is_enabled: row.is_enabled,
            has_model_intent: row.has_model_intent,
            is_allowed_in_plan: row.is_allowed_in_plan_mode,
            forwards_identity: row.forwards_identity,
            allowed: row.tool_allow_list.clone(),
            denied: row.tool_deny_list.clone(),
            row,
        })
    }

    /// Whether the lists let a tool pass, by the server's own name for it. An allow list decides alone.
    pub(crate) fn allows(&self, tool: &str) -> bool {
        if self.allowed.is_empty() {
            !self.denied.iter().any(|name| name == tool)
        } else {
            self.allowed.iter().any(|name| name == tool)
        }
    }

    /// The headers of every request: who asks, where the server is to know it, and what proves it. The proof wins.
    ///
    /// # Errors
    /// A secret that no header can hold.
    pub(crate) fn headers(&self, identity: &Identity, token: Option<&Token>) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        if self.forwards_identity {
            let subchat = if identity.chat_id == identity.root_chat_id {
                ""
            } else {
                identity.chat_id.as_str()
            };
            for (name, value) in [
                ("x-coder-owner-id", identity.owner_id.as_str()),
                ("x-coder-chat-id", identity.root_chat_id.as_str()),
                ("x-coder-subchat-id", subchat),
                ("x-coder-workspace-id", identity.workspace_id.as_str()),
            ] {
                if !value.is_empty()
                    && let Ok(value) = HeaderValue::from_str(value)
                {
                    map.insert(HeaderName::from_static(name), value);
                }
            }
        }
        if let Auth::Headers(headers) = &self.auth {
            for (name, value) in headers {
                map.insert(name.clone(), secret_value(value.expose_secret())?);
            }
        }
        if let Some(token) = token {
            map.insert(AUTHORIZATION, secret_value(token.header().expose_secret())?);
        }
        Ok(map)
    }

    /// A text about this server without what is secret about it, at most 512 bytes.
    pub(crate) fn redact(&self, text: &str, token: Option<&Token>) -> String {
        let mut secrets: Vec<&str> = match &self.auth {
            Auth::None => Vec::new(),
            Auth::Headers(headers) => headers.iter().map(|(_, value)| value.expose_secret()).collect(),
            Auth::OAuth2(secret) => secret.iter().map(ExposeSecret::expose_secret).collect(),
        };
        secrets.extend(token.map(|token| token.access_token.expose_secret()));
        secrets.extend(self.url.query());
        secrets.extend(self.url.password());
        let mut text = text.to_owned();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= MIN_REDACTED_BYTES) {
            text = text.replace(secret, REDACTED);
            // Without the word before it.
            if let Some((_, bare)) = secret.split_once(' ')
                && bare.len() >= MIN_REDACTED_BYTES
            {
                text = text.replace(bare, REDACTED);
            }
        }
        cut(text, MAX_FAILURE_BYTES - 64)
    }
}

/// A user's token, opened.
pub(crate) struct Token {
    /// Empty: `Bearer`.
    pub(crate) token_type: String,
    pub(crate) access_token: SecretString,
    pub(crate) revision: i64,
}

impl Token {
    fn header(&self) -> SecretString {
        let kind = match self.token_type.as_str() {
            "" => "Bearer",
            kind if kind.eq_ignore_ascii_case("bearer") => "Bearer",
            kind => kind,
        };
        format!("{kind} {}", self.access_token.expose_secret()).into()
    }
}

/// Headers as an administrator has typed them: a JSON object with at least one header.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn headers(json: &str) -> Result<Vec<(HeaderName, SecretString)>, String> {
    let fields: std::collections::BTreeMap<String, SecretString> =
        serde_json::from_str(json).map_err(|_| "the headers must be a JSON object of texts".to_owned())?;
    if fields.is_empty() {
        return Err("there must be at least one header".to_owned());
    }
    let mut headers = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        secret_value(value.expose_secret())?;
        headers.push((header_name(&name)?, value));
    }
    Ok(headers)
}

/// The name of a header an administrator may set.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn header_name(name: &str) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(name).map_err(|_| "the name of the header is not valid".to_owned())?;
    if RESERVED.contains(&name.as_str()) {
        return Err(format!("the header {name} cannot be set"));
    }
    Ok(name)
}

fn secret_value(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "the value of a header is not valid".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
