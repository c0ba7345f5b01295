//! What a model can, read off its name: whether it is asked by this protocol, and whether it reasons before it answers.
//!
//! Owns guesses about names. A name it does not know is asked by Chat Completions, which every server of this kind speaks; if an
//! administrator has it asked by this protocol all the same, it reasons if there are options for its reasoning.

/// A model, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// The vendor serves it by this protocol.
    pub(super) is_known: bool,
    /// Whether it reasons; `None` if the name does not tell. Models that reason take no settings of sampling, others take none of
    /// reasoning and have nothing encrypted to give.
    pub(super) reasons: Option<bool>,
    /// The tool with which it uses a computer.
    pub(super) computer: Option<Computer>,
}

/// The vendor's tool for using a computer, of which there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Computer {
    /// Asks for several actions at once, and measures the display itself.
    Batches,
    /// Asks for one action at a time, and is told of the display. Needs the vendor to leave out what does not fit its window.
    Preview,
}

impl Computer {
    /// The type of the tool.
    pub(super) fn tool(self) -> &'static str {
        match self {
            Self::Batches => "computer",
            Self::Preview => "computer_use_preview",
        }
    }

    fn of(name: &str) -> Option<Self> {
        if name.strip_prefix(PREVIEW).is_some_and(is_end) {
            return Some(Self::Preview);
        }
        let is_small = WITHOUT_COMPUTER.iter().any(|part| name.contains(part));
        let version = gpt_version(name).filter(|_| !is_small)?;
        (version >= FIRST_WITH_COMPUTER).then_some(Self::Batches)
    }
}

/// Beginnings of names that do not reason. Behind them comes the end, or one of [`BOUNDARIES`].
const PLAIN: [&str; 5] = ["gpt-4o", "gpt-4.1", "gpt-4.5", "chatgpt-4o", "gpt-5-chat"];

/// Beginnings of names that reason, besides `o<digits>` and `gpt-<5 and later>`.
const REASONING: [&str; 3] = ["codex", "computer-use", "gpt-oss"];

/// What of those families speaks other protocols.
const OTHERS: [&str; 6] = ["-audio", "-realtime", "-transcribe", "-tts", "-search", "-image"];

/// The model of the older tool for using a computer.
const PREVIEW: &str = "computer-use-preview";

/// The first GPT with the newer one.
const FIRST_WITH_COMPUTER: (u8, u8) = (5, 4);

/// What of that family has none.
const WITHOUT_COMPUTER: [&str; 2] = ["-nano", "-chat"];

/// What separates the parts of a name.
const BOUNDARIES: [char; 4] = ['-', '.', ':', '@'];

impl Family {
    /// The family of a model's name, with or without a vendor before it, trained further or not.
    pub(super) fn of(model: &str) -> Self {
        let name = model.trim().to_ascii_lowercase();
        let name = name.rsplit('/').next().unwrap_or_default();
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let begins = |prefixes: &[&str]| {
            let mut prefixes = prefixes.iter();
            prefixes.any(|prefix| name.strip_prefix(prefix).is_some_and(is_end))
        };
        let is_other = OTHERS.iter().any(|other| name.contains(other));
        let reasons = if begins(&PLAIN) {
            Some(false)
        } else if begins(&REASONING) || is_numbered(name) {
            Some(true)
        } else {
            None
        };
        Self {
            // Open weights are served by others, few of whom speak this protocol.
            is_known: reasons.is_some() && !is_other && !name.starts_with("gpt-oss"),
            reasons,
            computer: Computer::of(name).filter(|_| !is_other),
        }
    }
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(BOUNDARIES)
}

/// `o3`, `o4-mini`, `gpt-5.2` and what comes after them.
fn is_numbered(name: &str) -> bool {
    let (rest, least) = match (name.strip_prefix('o'), name.strip_prefix("gpt-")) {
        (Some(rest), _) => (rest, 1),
        (None, Some(rest)) => (rest, 5),
        (None, None) => return false,
    };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = rest[..digits].parse::<u8>();
    number.is_ok_and(|number| number >= least) && is_end(&rest[digits..])
}

/// Of `gpt-5.4-mini` 5 and 4; where there is no second number, 0.
fn gpt_version(name: &str) -> Option<(u8, u8)> {
    let mut numbers = name.strip_prefix("gpt-")?.split('-').next()?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().map_or(Ok(0), str::parse).ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_a_model_is_asked_and_whether_it_reasons() {
        for (name, is_known, reasons) in [
            ("gpt-4o", true, Some(false)),
            ("gpt-4o-mini-2024-07-18", true, Some(false)),
            ("openai/gpt-4.1-nano", true, Some(false)),
            ("ft:gpt-4o-mini-2024-07-18:org::abc", true, Some(false)),
            ("chatgpt-4o-latest", true, Some(false)),
            ("gpt-5-chat-latest", true, Some(false)),
            ("gpt-5", true, Some(true)),
            ("GPT-5.2-codex", true, Some(true)),
            ("gpt-10-mini", true, Some(true)),
            ("codex-mini-latest", true, Some(true)),
            ("o1", true, Some(true)),
            ("o4-mini", true, Some(true)),
            ("o3.5", true, Some(true)),
            ("gpt-4o-audio-preview", false, Some(false)),
            ("gpt-4o-search-preview", false, Some(false)),
            ("gpt-oss-120b", false, Some(true)),
            ("gpt-4", false, None),
            ("gpt-3.5-turbo", false, None),
            ("gpt-4omni", false, None),
            ("o3x", false, None),
            ("ollama-x", false, None),
            ("fake-model", false, None),
            ("", false, None),
        ] {
            let family = Family::of(name);
            assert_eq!((family.is_known, family.reasons), (is_known, reasons), "{name}");
        }
    }

    #[test]
    fn names_tell_with_which_tool_a_model_uses_a_computer() {
        for (name, computer) in [
            ("computer-use-preview", Some(Computer::Preview)),
            ("computer-use-preview-2025-03-11", Some(Computer::Preview)),
            ("gpt-5.4", Some(Computer::Batches)),
            ("openai/gpt-5.4-2026-03-05", Some(Computer::Batches)),
            ("gpt-5.4-mini", Some(Computer::Batches)),
            ("gpt-5.10", Some(Computer::Batches)),
            ("gpt-6", Some(Computer::Batches)),
            ("gpt-5.4-nano", None),
            ("gpt-5.5-chat-latest", None),
            ("gpt-5.4-realtime", None),
            ("gpt-5.2", None),
            ("gpt-5", None),
            ("gpt-4o", None),
            ("o4-mini", None),
            ("our-deployment", None),
        ] {
            assert_eq!(Family::of(name).computer, computer, "{name}");
        }
    }
}
