//! What a model can, read off its name: how it thinks, how much it says, which settings it takes.
//!
//! Owns guesses about names. Names it does not know are taken for models that take everything the older ones take.

/// How a model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// Not at all.
    Never,
    /// Within a budget of tokens.
    Budget,
    /// Within a budget, or as it sees fit.
    Either,
    /// Only as it sees fit. Such models also refuse settings of sampling, and show their thinking only when asked.
    Adaptive,
}

/// A model, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) thinks: Thinks,
    /// Tokens of an answer if nobody says.
    pub(super) max_tokens: u64,
    /// Whether it can be held to a JSON Schema.
    pub(super) enforces_schemas: bool,
    /// Whether a request may leave it no choice but to call a tool. The vendor refuses that for the newest ones.
    pub(super) can_be_made_to_call: bool,
    /// The tool with which it uses a computer.
    pub(super) computer: Option<Computer>,
}

/// A version of the vendor's tool for using a computer. Each model takes one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Computer {
    OfJanuary2025,
    /// Looks closer at a part of the display.
    OfNovember2025,
}

impl Computer {
    /// The type of the tool.
    pub(super) fn tool(self) -> &'static str {
        match self {
            Self::OfJanuary2025 => "computer_20250124",
            Self::OfNovember2025 => "computer_20251124",
        }
    }

    /// What a request must say that it uses, since the tool is in trial.
    pub(super) fn beta(self) -> &'static str {
        match self {
            Self::OfJanuary2025 => "computer-use-2025-01-24",
            Self::OfNovember2025 => "computer-use-2025-11-24",
        }
    }

    /// Of version 4.5, Opus alone takes the newer one.
    fn of_version(major: Option<u32>, minor: u32, is_opus: bool) -> Option<Self> {
        match (major, minor) {
            (Some(4), 5) if is_opus => Some(Self::OfNovember2025),
            (Some(4), 6..) | (Some(5..), _) => Some(Self::OfNovember2025),
            (Some(3), 7..) | (Some(4), _) | (None, _) => Some(Self::OfJanuary2025),
            (Some(0..=3), _) => None,
        }
    }
}

/// Tokens that every current model can say.
const MAX_TOKENS: u64 = 32_000;

/// Families that came after the numbers.
const ADAPTIVE_NAMES: [&str; 2] = ["mythos", "fable"];

impl Family {
    /// The family of a model's name, with or without a vendor before it and a date behind it.
    pub(super) fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let words: Vec<&str> = name
            .split_once("claude")
            .map(|(_, rest)| rest.split(['-', '.', '@', ':', '_']).filter(|word| !word.is_empty()))
            .map(Iterator::collect)
            .unwrap_or_default();
        // Names used to have the number first (claude-3-5-sonnet) and have it last now (claude-opus-4-6).
        let mut numbers = words.iter().skip_while(|word| version(word).is_none());
        let major = numbers.next().and_then(|word| version(word));
        // Behind a `v` it is AWS's count of its own versions (claude-sonnet-5-v1).
        let minor = numbers.next().filter(|word| !word.starts_with('v'));
        let minor = minor.and_then(|word| version(word)).unwrap_or(0);
        let is_adaptive = words.iter().any(|word| ADAPTIVE_NAMES.contains(word));
        let family = if is_adaptive {
            Self::new(Thinks::Adaptive, MAX_TOKENS, true)
        } else {
            Self::of_version(major, minor)
        };
        let computer = match is_adaptive {
            true => Some(Computer::OfNovember2025),
            false => Computer::of_version(major, minor, words.contains(&"opus")),
        };
        Self {
            can_be_made_to_call: !matches!((major, minor), (Some(5), 1..) | (Some(6..), _)),
            computer,
            ..family
        }
    }

    fn of_version(major: Option<u32>, minor: u32) -> Self {
        let enforces = matches!((major, minor), (Some(4), 5..) | (Some(5..), _));
        match (major, minor) {
            (Some(0..=2), _) | (Some(3), 0) => Self::new(Thinks::Never, 4096, enforces),
            (Some(3), 1..=6) => Self::new(Thinks::Never, 8192, enforces),
            (Some(4), 6) => Self::new(Thinks::Either, MAX_TOKENS, enforces),
            (Some(4), 7..) | (Some(5..), _) => Self::new(Thinks::Adaptive, MAX_TOKENS, enforces),
            (Some(3 | 4), _) | (None, _) => Self::new(Thinks::Budget, MAX_TOKENS, enforces),
        }
    }

    fn new(thinks: Thinks, max_tokens: u64, enforces_schemas: bool) -> Self {
        Self {
            thinks,
            max_tokens,
            enforces_schemas,
            can_be_made_to_call: true,
            computer: None,
        }
    }
}

/// A number of a version; longer ones are dates.
fn version(word: &str) -> Option<u32> {
    let digits = word.strip_prefix('v').unwrap_or(word);
    (digits.len() <= 2).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_a_model_thinks() {
        for (name, thinks) in [
            ("claude-2.1", Thinks::Never),
            ("claude-instant-1.2", Thinks::Never),
            ("claude-3-opus-20240229", Thinks::Never),
            ("claude-3-5-sonnet-latest", Thinks::Never),
            ("claude-3-7-sonnet-20250219", Thinks::Budget),
            ("claude-sonnet-4-20250514", Thinks::Budget),
            ("claude-opus-4-1", Thinks::Budget),
            ("anthropic/claude-sonnet-4.5", Thinks::Budget),
            ("claude-haiku-4-5@20251001", Thinks::Budget),
            ("claude-opus-4-6", Thinks::Either),
            ("us.anthropic.claude-sonnet-4-6-v1:0", Thinks::Either),
            ("claude-opus-4-7", Thinks::Adaptive),
            ("claude-opus-4-10-20270101", Thinks::Adaptive),
            ("claude-sonnet-5", Thinks::Adaptive),
            ("claude-mythos-preview", Thinks::Adaptive),
            ("some-other-model-9", Thinks::Budget),
            ("", Thinks::Budget),
        ] {
            assert_eq!(Family::of(name).thinks, thinks, "{name}");
        }
    }

    #[test]
    fn names_tell_which_models_can_be_held_to_a_schema() {
        for name in [
            "claude-sonnet-4-5-20250929",
            "claude-opus-4-6",
            "claude-haiku-4.5",
            "claude-sonnet-5",
        ] {
            assert!(Family::of(name).enforces_schemas, "{name}");
        }
        for name in [
            "claude-opus-4-1",
            "claude-sonnet-4-20250514",
            "claude-3-7-sonnet-latest",
            "some-model",
        ] {
            assert!(!Family::of(name).enforces_schemas, "{name}");
        }
    }

    #[test]
    fn names_tell_with_which_tool_a_model_uses_a_computer() {
        let (january, november) = (Some(Computer::OfJanuary2025), Some(Computer::OfNovember2025));
        for (name, computer) in [
            ("claude-2.1", None),
            ("claude-3-5-sonnet-20241022", None),
            ("claude-3-5-haiku-latest", None),
            ("claude-3-7-sonnet-20250219", january),
            ("claude-sonnet-4-20250514", january),
            ("claude-opus-4-1", january),
            ("claude-sonnet-4-5-20250929", january),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", january),
            ("claude-opus-4-5-20251101", november),
            ("anthropic.claude-opus-4-5-20251101-v1:0", november),
            ("claude-sonnet-4-6", november),
            ("claude-opus-4-6", november),
            ("claude-opus-4-7", november),
            ("claude-sonnet-5", november),
            ("claude-mythos-preview", november),
            ("some-model", january),
        ] {
            assert_eq!(Family::of(name).computer, computer, "{name}");
        }
        assert_eq!(Computer::OfJanuary2025.tool(), "computer_20250124");
        assert_eq!(Computer::OfNovember2025.beta(), "computer-use-2025-11-24");
    }

    #[test]
    fn names_tell_which_models_cannot_be_made_to_call_a_tool() {
        for (name, can_be) in [
            ("claude-3-5-sonnet-latest", true),
            ("claude-opus-4-8", true),
            ("claude-sonnet-5", true),
            ("anthropic.claude-sonnet-5-v1:0", true),
            ("claude-fable-5", true),
            ("claude-mythos-preview", true),
            ("some-model", true),
            ("claude-fable-5-1", false),
            ("us.anthropic.claude-mythos-5-1", false),
            ("claude-sonnet-5-5", false),
            ("claude-haiku-6", false),
        ] {
            assert_eq!(Family::of(name).can_be_made_to_call, can_be, "{name}");
        }
    }
}
