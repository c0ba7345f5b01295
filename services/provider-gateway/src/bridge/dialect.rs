//! The ways in which programs ask for answers here.

use crate::provider::{Kind, Protocol};

/// How a request and its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI Chat Completions.
    ChatCompletions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

/// Whose errors and lists a client expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI, and everybody who imitates it.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

impl Dialect {
    /// Every dialect; the place of each is [`Dialect::index`].
    pub const ALL: [Self; 3] = [Self::ChatCompletions, Self::Responses, Self::Messages];

    /// Its place in [`Dialect::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::ChatCompletions => 0,
            Self::Responses => 1,
            Self::Messages => 2,
        }
    }

    /// The family it belongs to.
    pub fn family(self) -> Family {
        match self {
            Self::ChatCompletions | Self::Responses => Family::OpenAi,
            Self::Messages => Family::Anthropic,
        }
    }

    /// The path below the version, which is also its name in metrics.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// The protocol by which a provider of that kind takes requests of this dialect as they are; `None` if it does not.
    pub fn native(self, kind: Kind) -> Option<Protocol> {
        match (self, kind) {
            (
                Self::ChatCompletions,
                Kind::OpenAi | Kind::Azure | Kind::OpenAiCompat | Kind::OpenRouter | Kind::Vercel,
            ) => Some(Protocol::ChatCompletions),
            (Self::Responses, Kind::OpenAi | Kind::Azure) => Some(Protocol::Responses),
            (Self::Messages, Kind::Anthropic) => Some(Protocol::Messages),
            (Self::ChatCompletions, Kind::Anthropic | Kind::Bedrock | Kind::Google | Kind::Demo)
            | (
                Self::Responses,
                Kind::Anthropic
                | Kind::Bedrock
                | Kind::Google
                | Kind::OpenAiCompat
                | Kind::OpenRouter
                | Kind::Vercel
                | Kind::Demo,
            )
            | (
                Self::Messages,
                Kind::Azure
                | Kind::Bedrock
                | Kind::Google
                | Kind::OpenAi
                | Kind::OpenAiCompat
                | Kind::OpenRouter
                | Kind::Vercel
                | Kind::Demo,
            ) => None,
        }
    }
}

impl Family {
    /// What a provider of that kind is spoken to with, where the path names the provider.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Anthropic | Kind::Bedrock => Self::Anthropic,
            Kind::Azure
            | Kind::Google
            | Kind::OpenAi
            | Kind::OpenAiCompat
            | Kind::OpenRouter
            | Kind::Vercel
            | Kind::Demo => Self::OpenAi,
        }
    }
}
