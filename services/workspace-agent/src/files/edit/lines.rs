//! Text as lines: leading white space, body, trailing white space, ending.

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Lf,
    CrLf,
    None,
}

impl Ending {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::None => "",
        }
    }

    pub(super) fn is_newline(self) -> bool {
        self != Self::None
    }
}

/// One line. White space is space and tab alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) lead: &'a str,
    pub(super) body: &'a str,
    pub(super) trail: &'a str,
    pub(super) ending: Ending,
}

/// What comes after the last newline of a text that ends with one.
const NOTHING: Line<'_> = Line {
    lead: "",
    body: "",
    trail: "",
    ending: Ending::None,
};

impl Line<'_> {
    pub(super) fn is_nothing(&self) -> bool {
        *self == NOTHING
    }
}

/// The lines of a search or a replacement; a final newline begins no further line.
pub(super) fn split(text: &str) -> Vec<Line<'_>> {
    text.split_inclusive('\n').map(parse).collect()
}

/// The lines of a file. After a final newline comes one more, with nothing in it, where a search can find a blank line.
pub(super) fn split_content(text: &str) -> Vec<Line<'_>> {
    let mut lines = split(text);
    if text.is_empty() || text.ends_with('\n') {
        lines.push(NOTHING);
    }
    lines
}

fn parse(line: &str) -> Line<'_> {
    let (text, ending) = match (line.strip_suffix("\r\n"), line.strip_suffix('\n')) {
        (Some(text), _) => (text, Ending::CrLf),
        (None, Some(text)) => (text, Ending::Lf),
        (None, None) => (line, Ending::None),
    };
    let is_space = [' ', '\t'];
    let without_lead = text.trim_start_matches(is_space);
    let body = without_lead.trim_end_matches(is_space);
    let lead = &text[..text.len() - without_lead.len()];
    let trail = &without_lead[body.len()..];
    Line {
        lead,
        body,
        trail,
        ending,
    }
}

/// The one ending shared by all lines of `text`, an unterminated last line aside; `None` for one line or mixed endings.
pub(super) fn internal_ending(text: &str) -> Option<Ending> {
    let lines = split(text);
    if lines.len() < 2 {
        return None;
    }
    let mut endings = lines
        .iter()
        .map(|line| line.ending)
        .filter(|ending| ending.is_newline());
    let first = endings.next()?;
    endings.all(|ending| ending == first).then_some(first)
}

/// What most lines of `text` end with; LF for a tie.
pub(super) fn dominant_ending(text: &str) -> Ending {
    let crlf = text.matches("\r\n").count();
    let lf = text.matches('\n').count() - crlf;
    if crlf > lf { Ending::CrLf } else { Ending::Lf }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_falls_into_four_parts() {
        let lines = split(" \ta b\t \r\n  \n\nx");
        let parts: Vec<_> = lines
            .iter()
            .map(|line| (line.lead, line.body, line.trail, line.ending))
            .collect();
        let expected = [
            (" \t", "a b", "\t ", Ending::CrLf),
            ("  ", "", "", Ending::Lf),
            ("", "", "", Ending::Lf),
            ("", "x", "", Ending::None),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_file_has_one_line_more_than_newlines() {
        for (text, count) in [("", 1), ("a", 1), ("a\n", 2), ("a\nb", 2), ("\n\n", 3)] {
            assert_eq!(split_content(text).len(), count, "{text:?}");
        }
        assert_eq!(split("").len(), 0);
        assert_eq!(split("a\n").len(), 1);
    }

    #[test]
    fn one_line_or_mixed_lines_share_no_ending() {
        let cases = [
            ("", None),
            ("a\n", None),
            ("a\r\nb", Some(Ending::CrLf)),
            ("a\nb\n", Some(Ending::Lf)),
            ("a\nb\r\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(internal_ending(text), expected, "{text:?}");
        }
    }
}
