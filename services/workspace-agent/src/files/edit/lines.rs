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
}

/// One line. White space is space and tab alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) lead: &'a str,
    pub(super) body: &'a str,
    pub(super) trail: &'a str,
    pub(super) ending: Ending,
}

/// The lines of `text`; a final newline begins no further line.
pub(super) fn split(text: &str) -> Vec<Line<'_>> {
    text.split_inclusive('\n').map(parse).collect()
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
        .filter(|ending| *ending != Ending::None);
    let first = endings.next()?;
    endings.all(|ending| ending == first).then_some(first)
}

/// What most lines of `text` end with; LF for a tie.
pub(super) fn dominant_ending(text: &str) -> Ending {
    let crlf = text.matches("\r\n").count();
    let lf = text.matches('\n').count() - crlf;
    if crlf > lf { Ending::CrLf } else { Ending::Lf }
}
