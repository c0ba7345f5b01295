//! The ways in which programs ask for answers here.

pub use tandem_chat_core::refusal::Family;

use tandem_protocols::{Kind, Protocol};

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
                Kind::OpenAi | Kind::Azure | Kind::OpenAiCompat | Kind::OpenRouter | Kind::Vercel | Kind::Copilot,
            ) => Some(Protocol::ChatCompletions),
            (Self::Responses, Kind::OpenAi | Kind::Azure | Kind::Copilot) => Some(Protocol::Responses),
            (Self::Messages, Kind::Anthropic | Kind::Copilot) => Some(Protocol::Messages),
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

/// Which paths a provider is asked by, where the path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As at OpenAI.
    OpenAi,
    /// As at Anthropic.
    Anthropic,
    /// As at GitHub Copilot: both, most of it without a version.
    Copilot,
}

impl Layout {
    /// That of a provider of that kind.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Anthropic | Kind::Bedrock => Self::Anthropic,
            Kind::Copilot => Self::Copilot,
            Kind::Azure
            | Kind::Google
            | Kind::OpenAi
            | Kind::OpenAiCompat
            | Kind::OpenRouter
            | Kind::Vercel
            | Kind::Demo => Self::OpenAi,
        }
    }

    /// Whose errors and lists its clients expect.
    pub fn family(self) -> Family {
        match self {
            Self::OpenAi | Self::Copilot => Family::OpenAi,
            Self::Anthropic => Family::Anthropic,
        }
    }
}

impl From<Family> for Layout {
    fn from(family: Family) -> Self {
        match family {
            Family::OpenAi => Self::OpenAi,
            Family::Anthropic => Self::Anthropic,
        }
    }
}
