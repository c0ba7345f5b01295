//! What a provider can be, and what follows from that.

use ::http::HeaderMap;
use url::Url;

use crate::{ApiKey, Failure, Protocol, azure, http};

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

    /// The address of `path` at a kind that speaks OpenAI's protocols.
    pub(crate) fn openai_url(self, base_url: &Url, path: &str) -> Url {
        match self {
            Self::Azure => azure::below(base_url, path),
            _ => http::endpoint(base_url, path),
        }
    }

    /// The headers with which a key is shown to a kind that speaks OpenAI's protocols.
    ///
    /// # Errors
    /// A key with characters no header can carry.
    pub(crate) fn openai_headers(self, key: Option<&ApiKey>) -> Result<HeaderMap, Failure> {
        match (self, key) {
            (Self::Azure, Some(key)) => azure::headers(key),
            (_, Some(key)) => http::bearer(key),
            (_, None) => Ok(HeaderMap::new()),
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
