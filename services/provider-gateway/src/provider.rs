//! The vendors: which there are, and the one shape in which their answers come back.
//!
//! Nothing specific to a vendor leaves its module. Adding a protocol is one module, its arms in [`Protocol`] and [`Protocols::open`],
//! and one line of [`Kind::protocol`]. What protocols share: [`http`] (the exchange), `body` and `sse` (the form of answers),
//! `tool_call`, `options`, and `words` (parts told in words).

use std::{sync::Arc, time::Duration};

use ::http::HeaderMap;
use futures::stream::BoxStream;
use tandem_chat_core::{
    classify::Cause,
    error::ErrorKind,
    message::Usage,
    part::{Part, ReasoningPart},
};
use url::Url;

use crate::{
    catalog::Model,
    completion::{FinishReason, Request, ToolCallDelta},
    secret::ApiKey,
};

mod anthropic;
mod azure;
mod bedrock;
mod body;
pub mod demo;
mod google;
pub(crate) mod http;
mod openai;
mod options;
pub(crate) mod output;
mod responses;
mod sse;
#[cfg(test)]
mod test_support;
mod tool_call;
#[cfg(test)]
pub(crate) mod vendor_side;
mod words;

pub use bedrock::Environment as AwsEnvironment;

/// What a provider row can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Anthropic.
    Anthropic,
    /// Azure OpenAI.
    Azure,
    /// AWS Bedrock.
    Bedrock,
    /// Google.
    Google,
    /// OpenAI.
    OpenAi,
    /// Any server that speaks Chat Completions.
    OpenAiCompat,
    /// OpenRouter.
    OpenRouter,
    /// Vercel AI Gateway.
    Vercel,
    /// GitHub Copilot, for programs that bring their user's own credential.
    Copilot,
    /// The built-in demo model.
    Demo,
}

/// The name of a provider of OpenAI's kind that is asked with people's own subscriptions.
const CHATGPT: &str = "chatgpt";

/// A protocol this version speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenAI Chat Completions.
    ChatCompletions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Google Gemini.
    Gemini,
    /// Anthropic Messages through AWS.
    Bedrock,
    /// The script inside this service.
    Demo,
}

impl Kind {
    /// Every kind, in the order in which people see them.
    pub const ALL: [Self; 10] = [
        Self::Anthropic,
        Self::Azure,
        Self::Bedrock,
        Self::Google,
        Self::OpenAi,
        Self::OpenAiCompat,
        Self::OpenRouter,
        Self::Vercel,
        Self::Copilot,
        Self::Demo,
    ];

    /// The name in rows and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Azure => "azure",
            Self::Bedrock => "bedrock",
            Self::Google => "google",
            Self::OpenAi => "openai",
            Self::OpenAiCompat => "openai-compat",
            Self::OpenRouter => "openrouter",
            Self::Vercel => "vercel",
            Self::Copilot => "copilot",
            Self::Demo => "demo",
        }
    }

    /// The name for people.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Anthropic => "Anthropic",
            Self::Azure => "Azure OpenAI",
            Self::Bedrock => "AWS Bedrock",
            Self::Google => "Google",
            Self::OpenAi => "OpenAI",
            Self::OpenAiCompat => "OpenAI Compatible",
            Self::OpenRouter => "OpenRouter",
            Self::Vercel => "Vercel AI Gateway",
            Self::Copilot => "GitHub Copilot",
            Self::Demo => "Tandem demo model",
        }
    }

    /// The kind of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// How it is spoken to, unless its models differ in that; see [`Protocol::of`].
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Anthropic => Protocol::Messages,
            Self::Google => Protocol::Gemini,
            Self::Bedrock => Protocol::Bedrock,
            Self::Azure | Self::OpenAi | Self::OpenAiCompat | Self::OpenRouter | Self::Vercel | Self::Copilot => {
                Protocol::ChatCompletions
            }
            Self::Demo => Protocol::Demo,
        }
    }

    /// Where a provider of that name is if nobody says; `None` if somebody must say.
    pub fn default_base_url(self, name: &str) -> Option<&'static str> {
        match self {
            Self::OpenAi if name == CHATGPT => Some("https://chatgpt.com/backend-api/codex"),
            Self::Copilot => Some(match name {
                "copilot-business" => "https://api.business.githubcopilot.com",
                "copilot-enterprise" => "https://api.enterprise.githubcopilot.com",
                _ => "https://api.individual.githubcopilot.com",
            }),
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Bedrock => Some("https://bedrock-runtime.us-east-1.amazonaws.com"),
            Self::Google => Some("https://generativelanguage.googleapis.com/v1beta"),
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::OpenRouter => Some("https://openrouter.ai/api/v1"),
            Self::Vercel => Some("https://ai-gateway.vercel.sh/v1"),
            // Stands in for the address it does not have; never called.
            Self::Demo => Some("http://demo.invalid"),
            Self::Azure | Self::OpenAiCompat => None,
        }
    }

    /// Whether it answers nobody without a key. AWS also knows the credentials of machines.
    pub fn needs_key(self) -> bool {
        match self {
            Self::Anthropic
            | Self::Azure
            | Self::Google
            | Self::OpenAi
            | Self::OpenRouter
            | Self::Vercel
            | Self::Copilot => true,
            Self::Bedrock | Self::OpenAiCompat | Self::Demo => false,
        }
    }

    /// Whether a provider of that name is only asked in the name of a user who brings their own credential of it with each request:
    /// it has no keys, and no chat can use it.
    pub fn is_users_own(self, name: &str) -> bool {
        match self {
            Self::Copilot => true,
            Self::OpenAi => name == CHATGPT,
            Self::Anthropic
            | Self::Azure
            | Self::Bedrock
            | Self::Google
            | Self::OpenAiCompat
            | Self::OpenRouter
            | Self::Vercel
            | Self::Demo => false,
        }
    }
}

impl Kind {
    /// The address of `path` at a kind that speaks OpenAI's protocols.
    fn openai_url(self, base_url: &Url, path: &str) -> Url {
        match self {
            Self::Azure => azure::below(base_url, path),
            _ => http::endpoint(base_url, path),
        }
    }

    /// The headers with which a key is shown to a kind that speaks OpenAI's protocols.
    ///
    /// # Errors
    /// A key with characters no header can carry.
    fn openai_headers(self, key: Option<&ApiKey>) -> Result<HeaderMap, Failure> {
        match (self, key) {
            (Self::Azure, Some(key)) => azure::headers(key),
            (_, Some(key)) => http::bearer(key),
            (_, None) => Ok(HeaderMap::new()),
        }
    }
}

impl Protocol {
    /// How a model is asked.
    pub fn of(model: &Model) -> Self {
        match model.provider.kind {
            Kind::OpenAi | Kind::Azure => responses::choose(model),
            kind => kind.protocol(),
        }
    }

    /// What people call it.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Responses => "OpenAI-compatible",
            Self::Messages => "Anthropic-compatible",
            Self::Gemini => "Gemini",
            Self::Bedrock => "Bedrock",
            Self::Demo => "demo",
        }
    }

    /// Where models are listed below a base address.
    pub(crate) fn models_url(self, kind: Kind, base_url: &Url) -> Url {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Demo => kind.openai_url(base_url, "models"),
            Self::Messages => anthropic::address::below(base_url, "models"),
            Self::Gemini => google::address::models(base_url),
            Self::Bedrock if bedrock::address::is_compatible(base_url) => kind.openai_url(base_url, "models"),
            Self::Bedrock => bedrock::address::models(base_url),
        }
    }

    /// The address of `path` below the version of a protocol that is spoken over HTTP as it is; `None` for the others.
    pub(crate) fn url(self, kind: Kind, base_url: &Url, path: &str) -> Option<Url> {
        match self {
            Self::ChatCompletions | Self::Responses => Some(kind.openai_url(base_url, path)),
            Self::Messages => Some(anthropic::address::below(base_url, path)),
            Self::Gemini | Self::Bedrock | Self::Demo => None,
        }
    }

    /// The headers with which a key is shown.
    ///
    /// # Errors
    /// A key with characters no header can carry.
    pub(crate) fn headers(self, kind: Kind, base_url: &Url, key: Option<&ApiKey>) -> Result<HeaderMap, Failure> {
        match self {
            Self::Messages => anthropic::address::headers(base_url, key),
            Self::Gemini => google::address::headers(base_url, key),
            Self::ChatCompletions | Self::Responses | Self::Bedrock => kind.openai_headers(key),
            Self::Demo => Ok(HeaderMap::new()),
        }
    }
}

/// One call of a model.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub request: Arc<Request>,
    /// Of which model.
    pub model: Arc<Model>,
    /// With which key, if any.
    pub key: Option<ApiKey>,
}

/// One increment of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Appends to the open text.
    Text(String),
    /// Appends to the open reasoning.
    Reasoning(String),
    /// The open reasoning is complete.
    ReasoningDone(ReasoningPart),
    /// Opens a tool call or appends to its arguments.
    ToolCall(ToolCallDelta),
    /// A complete tool call, source or file.
    Part(Part),
    /// The end; nothing follows.
    Finish(Finish),
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Why.
    pub reason: FinishReason,
    /// What the vendor measured.
    pub usage: Usage,
    /// The vendor's name for the response; may be empty.
    pub response_id: String,
}

/// Why a vendor's answer did not come, or broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The vendor's HTTP status, if it answered with one that says something.
    pub status: Option<u16>,
    /// Its body, or what happened. May hold secrets: redact it before anybody sees it.
    pub text: String,
    /// The vendor's wish; zero if it has none.
    pub retry_after: Duration,
    /// What is known by type.
    pub cause: Cause,
    /// There was no connection at all.
    pub is_connect: bool,
}

impl Failure {
    /// A failure known by its cause.
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self {
            status: None,
            text: text.into(),
            retry_after: Duration::ZERO,
            cause,
            is_connect: false,
        }
    }

    /// A failure whose kind is plain where it happens.
    pub fn known(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::new(Cause::Known(kind), text)
    }
}

/// The increments of one answer, until [`Delta::Finish`] or a failure. Dropping them drops the connection.
pub type Deltas = BoxStream<'static, Result<Delta, Failure>>;

/// Everything this version can speak to.
#[derive(Clone, Debug)]
pub struct Protocols {
    /// What all protocols of vendors go through.
    pub http: http::Http,
    /// What this machine has of AWS.
    pub aws: AwsEnvironment,
    /// The demo model.
    pub demo: demo::Model,
}

impl Protocols {
    /// Sends a call; returns when the vendor has accepted it.
    ///
    /// # Errors
    /// [`Failure`]: nothing was answered.
    pub async fn open(&self, protocol: Protocol, call: Call) -> Result<Deltas, Failure> {
        match protocol {
            Protocol::ChatCompletions => openai::open(&self.http, call).await,
            Protocol::Responses => responses::open(&self.http, call).await,
            Protocol::Messages => anthropic::open(&self.http, call).await,
            Protocol::Gemini => google::open(&self.http, call).await,
            Protocol::Bedrock => bedrock::open(&self.http, &self.aws, call).await,
            Protocol::Demo => Ok(self.demo.open(&call)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::find(kind.as_str()), Some(kind));
            assert!(
                kind.default_base_url("main")
                    .is_none_or(|url| url::Url::parse(url).is_ok())
            );
        }
        assert_eq!(Kind::find("cohere"), None);
    }

    #[test]
    fn some_are_found_by_their_name_and_asked_with_users_own_credentials() {
        for (kind, name, is_users_own, at) in [
            (Kind::OpenAi, "chatgpt", true, "https://chatgpt.com/backend-api/codex"),
            (Kind::OpenAi, "chatgpt-2", false, "https://api.openai.com/v1"),
            (
                Kind::Copilot,
                "copilot",
                true,
                "https://api.individual.githubcopilot.com",
            ),
            (
                Kind::Copilot,
                "copilot-business",
                true,
                "https://api.business.githubcopilot.com",
            ),
            (
                Kind::Copilot,
                "copilot-enterprise",
                true,
                "https://api.enterprise.githubcopilot.com",
            ),
            (Kind::OpenRouter, "chatgpt", false, "https://openrouter.ai/api/v1"),
        ] {
            assert_eq!(
                (kind.is_users_own(name), kind.default_base_url(name)),
                (is_users_own, Some(at)),
                "{name}"
            );
        }
    }
}
