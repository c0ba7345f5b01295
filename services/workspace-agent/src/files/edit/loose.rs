//! The second try at a replacement: whole lines that differ from the search in line endings and trailing white space alone.
//!
//! Such a search was copied from what a tool showed, which hides both. Indentation is meant, and must match.

use super::lines::{self, Ending, Line};
use super::replacement::Problem;

/// `content` with the lines of `search` replaced by those of `replace`.
pub(super) fn apply(content: &str, search: &str, replace: &str, replaces_all: bool) -> Result<String, Problem> {
    let lines = lines::split(content);
    let searched = lines::split(search);
    let replaced = lines::split(replace);
    let matches = find(&lines, &searched);
    match matches.len() {
        0 => return Err(Problem::NotFound),
        1 => {}
        _ if replaces_all => {}
        count => return Err(Problem::Ambiguous { count }),
    }
    let newline = lines::dominant_ending(content);
    let mut out = String::with_capacity(content.len() + replace.len());
    let mut next = 0;
    for start in matches {
        lines[next..start]
            .iter()
            .for_each(|line| push(&mut out, line, line.ending));
        next = start + searched.len();
        let splice = Splice {
            matched: &lines[start..next],
            searched: &searched,
            replaced: &replaced,
            newline,
            is_at_end: next == lines.len(),
        };
        splice.push(&mut out);
    }
    lines[next..].iter().for_each(|line| push(&mut out, line, line.ending));
    Ok(out)
}

/// Where `searched` begins in `lines`, left to right and without overlap.
fn find(lines: &[Line<'_>], searched: &[Line<'_>]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut start = 0;
    while start + searched.len() <= lines.len() {
        if lines[start..]
            .iter()
            .zip(searched)
            .all(|(line, wanted)| is_alike(line, wanted))
        {
            found.push(start);
            start += searched.len();
        } else {
            start += 1;
        }
    }
    found
}

fn is_alike(line: &Line<'_>, wanted: &Line<'_>) -> bool {
    // A blank line has no indentation worth comparing.
    let has_same_text = line.body == wanted.body && (line.body.is_empty() || line.lead == wanted.lead);
    has_same_text && (is_newline(line.ending) || !is_newline(wanted.ending) || line.ending == wanted.ending)
}

fn is_newline(ending: Ending) -> bool {
    ending != Ending::None
}

/// One match and what takes its place.
struct Splice<'a> {
    matched: &'a [Line<'a>],
    searched: &'a [Line<'a>],
    replaced: &'a [Line<'a>],
    newline: Ending,
    is_at_end: bool,
}

impl Splice<'_> {
    fn push(&self, out: &mut String) {
        let last = self.replaced.len().saturating_sub(1);
        for (index, line) in self.replaced.iter().enumerate() {
            // A line that was not to be changed stays as it is, trailing white space included.
            let is_kept = self
                .searched
                .get(index)
                .is_some_and(|searched| has_same_text(searched, line));
            let shown = if is_kept {
                self.matched.get(index).unwrap_or(line)
            } else {
                line
            };
            push(
                out,
                shown,
                if index < last {
                    self.newline
                } else {
                    self.last_ending(line)
                },
            );
        }
    }

    /// The ending of the last line: that of the match if search and replacement end alike.
    fn last_ending(&self, line: &Line<'_>) -> Ending {
        let (Some(matched), Some(searched)) = (self.matched.last(), self.searched.last()) else {
            return line.ending;
        };
        if is_newline(searched.ending) == is_newline(line.ending) {
            matched.ending
        } else if is_newline(line.ending) || !self.is_at_end {
            self.newline
        } else {
            Ending::None
        }
    }
}

fn has_same_text(a: &Line<'_>, b: &Line<'_>) -> bool {
    (a.lead, a.body, a.trail) == (b.lead, b.body, b.trail)
}

fn push(out: &mut String, line: &Line<'_>, ending: Ending) {
    for part in [line.lead, line.body, line.trail, ending.as_str()] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::super::replacement::{Problem, apply};

    #[test]
    fn line_endings_and_trailing_space_need_not_match() {
        let cases = [
            // A CRLF file, searched as it was shown.
            ("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n"),
            ("a\r\nb\r\nc\r\n", "a\nb", "x", "x\r\nc\r\n"),
            ("a\r\nb\r\nc\r\n", "b\nc", "b\nx\nc", "a\r\nb\r\nx\r\nc\r\n"),
            // Trailing white space, in the file and in the search.
            ("a  \nb\t\nc\n", "a\nb\n", "a\nx\n", "a  \nx\nc\n"),
            ("a\nb\n", "a \nb \n", "x\n", "x\n"),
            // Blank lines with white space in them.
            ("a\n    \nb\n", "a\n\nb\n", "a\nb\n", "a\nb\n"),
            // Whole lines removed.
            ("a \nb \nc\n", "a\nb\n", "", "c\n"),
            // The end of a file without a final newline.
            ("a \nb", "a\nb", "x\ny", "x\ny"),
            // A last line that would otherwise swallow the next.
            ("a \nb\nc\n", "a\nb\n", "x", "x\nc\n"),
        ];
        for (content, search, replace, expected) in cases {
            assert_eq!(
                apply(content, search, replace, false).as_deref(),
                Ok(expected),
                "{content:?} {search:?}"
            );
        }
    }

    #[test]
    fn indentation_and_parts_of_lines_must_match() {
        let cases = [
            ("  a \n  b\n", "a\nb\n"),
            ("\ta \n", "    a\nb"),
            ("xa \nb\n", "a\nb\n"),
            ("a \nbx\n", "a\nb"),
        ];
        for (content, search) in cases {
            assert_eq!(
                apply(content, search, "y", false),
                Err(Problem::NotFound),
                "{content:?}"
            );
        }
    }

    #[test]
    fn more_than_one_match_is_refused_unless_all_are_meant() {
        let content = "a \nb\na\t\nb\n";
        assert_eq!(
            apply(content, "a\nb\n", "x\n", false),
            Err(Problem::Ambiguous { count: 2 })
        );
        assert_eq!(apply(content, "a\nb\n", "x\n", true).as_deref(), Ok("x\nx\n"));
    }
}
