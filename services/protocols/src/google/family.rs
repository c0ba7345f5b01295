//! What a model can, read off its name.
//!
//! Owns guesses about names. Of names it does not know it assumes the least.

/// How hard a model thinks, from least to most, as administrators say it.
const SCALE: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// A model, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// Zero if the name has none.
    major: u32,
    minor: u32,
    is_flash: bool,
    is_pro: bool,
    is_image: bool,
}

impl Family {
    /// The family of a model's name, with or without a folder before it.
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let rest = name.strip_prefix("gemini-").unwrap_or_default();
        let words: Vec<&str> = rest.split('-').collect();
        let version = words.first().copied().unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        Self {
            major: major.parse().unwrap_or(0),
            minor: minor.parse().unwrap_or(0),
            is_flash: words.contains(&"flash"),
            is_pro: words.contains(&"pro"),
            is_image: words.contains(&"image"),
        }
    }

    /// Whether it is of the third generation or later: it thinks by levels, wants its signatures back, sees pictures in results, and
    /// searches beside tools of ours.
    pub(super) fn is_third(self) -> bool {
        self.major >= 3
    }

    /// Whether it answers with pictures, and takes its own back.
    pub(super) fn makes_pictures(self) -> bool {
        self.is_image
    }

    /// The level it knows for a wanted one: the next higher it has, else its highest. `None` if it knows no levels.
    ///
    /// * `wanted`: a word of the common scale; see [`is_level`].
    pub(super) fn level(self, wanted: &str) -> Option<&'static str> {
        if !self.is_third() {
            return None;
        }
        let known: &[&str] = match self {
            Self {
                is_image: true,
                is_flash: true,
                ..
            } => &["minimal", "high"],
            Self { is_image: true, .. } => &["high"],
            Self { is_flash: true, .. } => &["minimal", "low", "medium", "high"],
            Self {
                is_pro: true,
                major: 3,
                minor: 0,
                ..
            } => &["low", "high"],
            Self { is_pro: true, .. } => &["low", "medium", "high"],
            Self { .. } => &["low", "high"],
        };
        let rank = rank(wanted)?;
        let next = known.iter().find(|level| self::rank(level) >= Some(rank));
        next.or(known.last()).copied()
    }
}

/// Whether a word is one of the common scale.
pub(super) fn is_level(word: &str) -> bool {
    rank(word).is_some()
}

fn rank(word: &str) -> Option<usize> {
    SCALE.iter().position(|level| *level == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_rounded_up_to_one_the_model_knows() {
        let levels = |model: &str| SCALE.map(|wanted| Family::of(model).level(wanted).unwrap_or("-"));
        let flash = ["minimal", "minimal", "low", "medium", "high", "high", "high"];
        let two = ["low", "low", "low", "high", "high", "high", "high"];
        let three = ["low", "low", "low", "medium", "high", "high", "high"];
        for (model, expected) in [
            ("gemini-3-flash-preview", flash),
            ("models/gemini-3.1-flash-lite", flash),
            ("gemini-3-pro-preview", two),
            ("gemini-3.1-pro-preview", three),
            ("gemini-4-pro", three),
            ("gemini-3-ultra", two),
            ("gemini-3-pro-image-preview", ["high"; 7]),
            (
                "gemini-3.1-flash-image",
                ["minimal", "minimal", "high", "high", "high", "high", "high"],
            ),
            ("gemini-2.5-pro", ["-"; 7]),
            ("gemini-flash-latest", ["-"; 7]),
            ("gemma-3-27b-it", ["-"; 7]),
            ("", ["-"; 7]),
        ] {
            assert_eq!(levels(model), expected, "{model}");
        }
        assert_eq!(Family::of("gemini-3-pro").level("hard"), None);
    }
}
