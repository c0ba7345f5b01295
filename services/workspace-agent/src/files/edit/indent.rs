//! Indentation of a replacement told in the file's own units.

use super::lines::Line;

/// Longest indentation that is made, in bytes; a longer one is not translated.
const MAX_LEAD_BYTES: usize = 1_024;

/// What one level of indentation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Tab,
    /// That many spaces.
    Spaces(usize),
}

impl Unit {
    /// The unit that all indented lines with something on them share; `None` if tabs and spaces are mixed, or nothing is indented.
    pub(super) fn of<'a>(lines: impl IntoIterator<Item = &'a Line<'a>>) -> Option<Self> {
        let mut unit = None;
        for lead in lines
            .into_iter()
            .filter(|line| !line.body.is_empty() && !line.lead.is_empty())
            .map(|line| line.lead)
        {
            let found = if lead.bytes().all(|byte| byte == b'\t') {
                Self::Tab
            } else if lead.bytes().all(|byte| byte == b' ') {
                Self::Spaces(lead.len())
            } else {
                return None;
            };
            unit = match (unit, found) {
                (None, found) => Some(found),
                (Some(Self::Tab), Self::Tab) => Some(Self::Tab),
                (Some(Self::Spaces(one)), Self::Spaces(other)) => Some(Self::Spaces(common_divisor(one, other))),
                (Some(_), _) => return None,
            };
        }
        unit
    }

    /// How often the unit stands in `lead`; `None` if anything else does.
    fn level(self, lead: &str) -> Option<usize> {
        match self {
            Self::Tab => lead.bytes().all(|byte| byte == b'\t').then_some(lead.len()),
            Self::Spaces(width) => {
                let is_exact = lead.bytes().all(|byte| byte == b' ') && lead.len().is_multiple_of(width);
                is_exact.then(|| lead.len() / width)
            }
        }
    }

    fn repeat(self, level: usize) -> Option<String> {
        let (text, width) = match self {
            Self::Tab => ("\t", 1),
            Self::Spaces(width) => (" ", width),
        };
        let length = level.checked_mul(width).filter(|length| *length <= MAX_LEAD_BYTES)?;
        Some(text.repeat(length))
    }
}

/// Units of what the model wrote and of what the file has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    pub(super) search: Option<Unit>,
    pub(super) file: Option<Unit>,
}

impl Units {
    /// The indentation of a new line: as far from the file's line as the replacement's is from the search's.
    ///
    /// * `matched`, `searched`, `replaced`: indentation of the line in the file, of the one that found it, and of the new one.
    /// * returns `None` where the units do not say.
    pub(super) fn translate(self, matched: &str, searched: &str, replaced: &str) -> Option<String> {
        let (search, file) = (self.search?, self.file?);
        let target = (file.level(matched)? + search.level(replaced)?).checked_sub(search.level(searched)?)?;
        file.repeat(target)
    }
}

fn common_divisor(one: usize, other: usize) -> usize {
    if other == 0 {
        one
    } else {
        common_divisor(other, one % other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::split;
    use super::*;

    fn unit(text: &str) -> Option<Unit> {
        Unit::of(&split(text))
    }

    #[test]
    fn the_unit_is_what_all_indented_lines_share() {
        let cases = [
            ("a\n    b\n", Some(Unit::Spaces(4))),
            ("    a\n      b\n", Some(Unit::Spaces(2))),
            ("\ta\n\t\tb\n", Some(Unit::Tab)),
            ("\ta\n  b\n", None),
            ("\t a\n", None),
            ("a\nb\n", None),
            ("  a\n   b\n", Some(Unit::Spaces(1))),
            // Blank lines say nothing.
            ("    a\n\t\n   \n", Some(Unit::Spaces(4))),
        ];
        for (text, expected) in cases {
            assert_eq!(unit(text), expected, "{text:?}");
        }
    }

    #[test]
    fn levels_are_carried_over() {
        let units = |search, file| Units { search, file };
        let (four, two, tab) = (Some(Unit::Spaces(4)), Some(Unit::Spaces(2)), Some(Unit::Tab));
        let cases = [
            (units(four, tab), "\t", 4, 8, Some("\t\t")),
            (units(four, two), "    ", 4, 8, Some("      ")),
            (units(four, four), "    ", 8, 4, Some("")),
            (units(four, four), "", 4, 0, None),
            (units(four, two), "   ", 4, 8, None),
            (units(four, two), "    ", 4, 7, None),
            (units(four, two), "  \t", 4, 8, None),
            (units(None, two), "  ", 0, 4, None),
            (units(four, None), "", 0, 4, None),
            (units(four, Some(Unit::Spaces(400))), "", 0, 16, None),
        ];
        for (units, matched, searched, replaced, expected) in cases {
            let (searched, replaced) = (" ".repeat(searched), " ".repeat(replaced));
            let found = units.translate(matched, &searched, &replaced);
            assert_eq!(found.as_deref(), expected, "{units:?} {matched:?}");
        }
    }
}
