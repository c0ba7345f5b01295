//! The protocols: their addresses and headers, and the one place where a call finds its own.

use std::sync::Arc;

use ::http::HeaderMap;
use url::Url;

use crate::{
    ApiKey, AwsEnvironment, Deltas, Failure, Kind, Model, anthropic, bedrock, by_tool, call::Request, computer, demo,
    google, http, openai, responses,
};

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
    pub fn models_url(self, kind: Kind, base_url: &Url) -> Url {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Demo => kind.openai_url(base_url, "models"),
            Self::Messages => anthropic::address::below(base_url, "models"),
            Self::Gemini => google::address::models(base_url),
            Self::Bedrock if bedrock::address::is_compatible(base_url) => kind.openai_url(base_url, "models"),
            Self::Bedrock => bedrock::address::models(base_url),
        }
    }

    /// The address of `path` below the version of a protocol that is spoken over HTTP as it is; `None` for the others.
    pub fn url(self, kind: Kind, base_url: &Url, path: &str) -> Option<Url> {
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
    pub fn headers(self, kind: Kind, base_url: &Url, key: Option<&ApiKey>) -> Result<HeaderMap, Failure> {
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
        computer::check(protocol, &call.request, &call.model)?;
        let (call, form) = by_tool::prepared(protocol, call)?;
        let deltas = match protocol {
            Protocol::ChatCompletions => openai::open(&self.http, call).await,
            Protocol::Responses => responses::open(&self.http, call).await,
            Protocol::Messages => anthropic::open(&self.http, call).await,
            Protocol::Gemini => google::open(&self.http, call).await,
            Protocol::Bedrock => bedrock::open(&self.http, &self.aws, call).await,
            Protocol::Demo => Ok(self.demo.open(&call)),
        }?;
        Ok(match form {
            Some(form) => form.told(deltas),
            None => deltas,
        })
    }
}
