//! What stands in place of matched lines: the replacement's words in the file's white space.

use std::borrow::Cow;
use std::ops::Range;

use super::indent::{Unit, Units};
use super::lines::{Ending, Line};

/// A replacement, ready for any lines its search matches.
pub(super) struct Splice<'a> {
    searched: &'a [Line<'a>],
    replaced: &'a [Line<'a>],
    endings: Endings,
    /// Lines at the beginning and at the end that search and replacement have in common.
    prefix: usize,
    suffix: usize,
    unit: Option<Unit>,
}

/// How new lines end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endings {
    /// How most lines of the file end.
    pub(super) dominant: Ending,
    /// How every new line ends, where the replacement's own endings say nothing else.
    pub(super) forced: Option<Ending>,
}

/// Where a line of the replacement takes its white space from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// Index of the searched line, and of the matched one.
    line: usize,
    /// The line is new: nothing in the search corresponds to it.
    is_inserted: bool,
}

/// A new line. Its indentation may be made for it.
pub(super) struct Spliced<'a> {
    lead: Cow<'a, str>,
    line: Line<'a>,
}

impl Spliced<'_> {
    pub(super) fn as_line(&self) -> Line<'_> {
        Line {
            lead: &self.lead,
            ..self.line
        }
    }
}

impl<'a> Splice<'a> {
    pub(super) fn new(searched: &'a [Line<'a>], replaced: &'a [Line<'a>], endings: Endings) -> Self {
        let is_same = |(one, other): &(&Line<'_>, &Line<'_>)| one.body == other.body;
        let prefix = searched.iter().zip(replaced).take_while(is_same).count();
        let rest = searched.len().min(replaced.len()) - prefix;
        let backwards = searched.iter().rev().zip(replaced.iter().rev());
        let suffix = backwards.take(rest).take_while(is_same).count();
        Self {
            searched,
            replaced,
            endings,
            prefix,
            suffix,
            unit: Unit::of(searched.iter().chain(replaced)),
        }
    }

    /// The lines that take the place of `matched`, which is as long as the search; `after` is the rest of the file.
    pub(super) fn lines<'b>(
        &'b self,
        matched: &'b [Line<'b>],
        after: &'b [Line<'b>],
    ) -> impl Iterator<Item = Spliced<'b>> {
        let is_at_end = after.iter().all(Line::is_nothing);
        let place = Place {
            splice: self,
            matched,
            is_at_end,
            lacks_final_newline: is_at_end && matched.last().is_some_and(|line| !line.ending.is_newline()),
            units: Units {
                search: self.unit,
                file: Unit::of(matched),
            },
        };
        (0..self.replaced.len()).map(move |index| place.line(index))
    }

    /// The searched lines that are not in common.
    fn middle(&self) -> Range<usize> {
        self.prefix..self.searched.len() - self.suffix
    }

    fn slot(&self, index: usize) -> Slot {
        let first_of_suffix = self.replaced.len() - self.suffix;
        let kept = |line| Slot {
            line,
            is_inserted: false,
        };
        if index < self.prefix {
            return kept(index);
        }
        if index >= first_of_suffix {
            return kept(self.searched.len() - (self.replaced.len() - index));
        }
        if index < self.middle().end {
            return kept(index);
        }
        let before = self.prefix.checked_sub(1);
        let behind = (self.suffix > 0).then(|| self.searched.len() - self.suffix);
        let line = match (before, behind) {
            (Some(before), Some(behind)) => {
                let lead = self.replaced[index].lead;
                let is_like_behind = lead == self.replaced[first_of_suffix].lead;
                if !is_like_behind && lead == self.replaced[before].lead {
                    before
                } else {
                    behind
                }
            }
            (None, Some(behind)) => behind,
            (Some(before), None) => before,
            (None, None) => index.min(self.searched.len() - 1),
        };
        Slot {
            line,
            is_inserted: true,
        }
    }
}

/// One match.
struct Place<'a> {
    splice: &'a Splice<'a>,
    matched: &'a [Line<'a>],
    /// Nothing follows.
    is_at_end: bool,
    /// The match ends the file, which has no final newline.
    lacks_final_newline: bool,
    units: Units,
}

impl<'a> Place<'a> {
    fn line(&self, index: usize) -> Spliced<'a> {
        let new = self.splice.replaced[index];
        let slot = self.splice.slot(index);
        let (searched, matched) = (self.splice.searched[slot.line], self.matched[slot.line]);
        let (lead, trail) = if new.body.is_empty() {
            (Cow::Borrowed(new.lead), new.trail)
        } else {
            let lead = if slot.is_inserted {
                let made = self.units.translate(matched.lead, searched.lead, new.lead);
                made.map_or(Cow::Borrowed(matched.lead), Cow::Owned)
            } else if searched.lead == new.lead {
                Cow::Borrowed(matched.lead)
            } else {
                Cow::Borrowed(new.lead)
            };
            let has_same_trail = searched.trail == new.trail;
            (lead, if has_same_trail { matched.trail } else { new.trail })
        };
        let ending = self.ending(index, slot, &searched, &matched, &new);
        Spliced {
            lead,
            line: Line { trail, ending, ..new },
        }
    }

    fn ending(&self, index: usize, slot: Slot, searched: &Line<'_>, matched: &Line<'_>, new: &Line<'_>) -> Ending {
        let count = self.splice.replaced.len();
        let Endings { dominant, forced } = self.splice.endings;
        let is_last = index + 1 == count;
        let is_open_end = is_last && self.lacks_final_newline;
        // A single line says nothing about how lines end; the file does.
        let own = if count == 1 && new.ending.is_newline() {
            dominant
        } else {
            new.ending
        };
        let ending = if slot.is_inserted {
            if is_open_end { Ending::None } else { own }
        } else if searched.ending.is_newline() != new.ending.is_newline() {
            own
        } else if matched.ending.is_newline() || is_last {
            matched.ending
        } else {
            own
        };
        match forced {
            Some(forced) if !is_open_end => forced,
            // It would swallow the line behind it.
            _ if is_last && !ending.is_newline() && !self.is_at_end => dominant,
            _ => ending,
        }
    }
}
