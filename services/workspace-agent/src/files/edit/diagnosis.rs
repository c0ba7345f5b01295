//! What comes nearest to a search that was not found, so that the model can mend it without reading the whole file again.

use super::lines::{self, Line};

/// Longest search that is looked into, in lines.
const MAX_LINES: usize = 200;

/// Most comparisons of two lines.
const MAX_COMPARISONS: usize = 2_000_000;

/// Longest piece of a line that is shown, in characters.
const MAX_SHOWN: usize = 160;

/// A sentence about the place that has most lines of the search; `None` when the search is too long to be looked into, or blank.
pub(super) fn nearest(content: &str, search: &str) -> Option<String> {
    let lines = lines::split_content(content);
    let searched = lines::split(search);
    let is_bounded = searched.len() <= MAX_LINES && lines.len().saturating_mul(searched.len()) <= MAX_COMPARISONS;
    if !is_bounded || searched.iter().all(|line| line.body.is_empty()) {
        return None;
    }
    let (mut best, mut most) = (0, 0);
    for start in 0..lines.len() {
        let count = count_alike(&lines[start..], &searched);
        if count > most {
            (best, most) = (start, count);
        }
    }
    let told = searched.iter().filter(|line| !line.body.is_empty()).count();
    if most == 0 {
        return Some(match nearest_part(&lines, &searched) {
            Some(number) => format!(
                "No whole line of the search was found, but its first line is a part of line {number}, and other text stands around it."
            ),
            None => "No line of the search was found anywhere in the file.".to_owned(),
        });
    }
    let window = &lines[best..lines.len().min(best + searched.len())];
    let last = best + window.len();
    let mut text = format!(
        "The nearest place is lines {} to {last}, which have {most} of the {told} lines.",
        best + 1
    );
    let differing = searched
        .iter()
        .enumerate()
        .find(|(index, line)| window.get(*index).is_none_or(|found| found.body != line.body));
    if let Some((index, wanted)) = differing {
        match window.get(index) {
            Some(found) => text.push_str(&compare(best + index + 1, found.body, wanted.body)),
            None => text.push_str(&format!(
                " The file ends where the search goes on with {}.",
                shown(wanted.body)
            )),
        }
    }
    Some(text)
}

/// Lines of `searched` that stand at their place, blank ones aside.
fn count_alike(lines: &[Line<'_>], searched: &[Line<'_>]) -> usize {
    let pairs = lines.iter().zip(searched);
    pairs
        .filter(|(line, wanted)| !wanted.body.is_empty() && line.body == wanted.body)
        .count()
}

/// The line that holds the search's first line as a part, from 1.
fn nearest_part(lines: &[Line<'_>], searched: &[Line<'_>]) -> Option<usize> {
    let first = searched.iter().find(|line| !line.body.is_empty())?;
    let found = lines.iter().position(|line| line.body.contains(first.body))?;
    Some(found + 1)
}

/// Two lines that should be the same.
fn compare(number: usize, found: &str, wanted: &str) -> String {
    let mut text = format!(
        " Line {number} differs first: the file has {}, the search has {}.",
        shown(found),
        shown(wanted)
    );
    if found.is_ascii() && wanted.is_ascii() {
        return text;
    }
    // Quotes, dashes and accents that look alike.
    let (in_file, in_search) = (found.chars().count(), wanted.chars().count());
    text.push_str(&format!(" They have {in_file} and {in_search} Unicode code points"));
    let differing = found.chars().zip(wanted.chars()).enumerate().find(|(_, (a, b))| a != b);
    match differing {
        Some((index, (a, b))) => text.push_str(&format!(
            " and differ first at code point {}: U+{:04X} in the file, U+{:04X} in the search.",
            index + 1,
            u32::from(a),
            u32::from(b)
        )),
        None => text.push('.'),
    }
    text
}

fn shown(text: &str) -> String {
    let mut piece: String = text.chars().take(MAX_SHOWN).collect();
    if piece.len() < text.len() {
        piece.push_str("...");
    }
    format!("{piece:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "fn main() {\n    let a = 1;\n    let b = 2;\n    show(a, b);\n}\n";

    #[test]
    fn the_nearest_place_and_the_first_difference_are_told() {
        let text = nearest(FILE, "let a = 1;\nlet b = 3;\nshow(a, b);\n").unwrap();
        assert_eq!(
            text,
            "The nearest place is lines 2 to 4, which have 2 of the 3 lines. Line 3 differs first: the file has \"let b = 2;\", the \
             search has \"let b = 3;\"."
        );
    }

    #[test]
    fn characters_that_look_alike_are_told_apart() {
        let text = nearest("say(“hi”)\nend\n", "say(\"hi\")\nend\n").unwrap();
        assert!(text.contains("9 and 9 Unicode code points"), "{text}");
        assert!(
            text.contains("code point 5: U+201C in the file, U+0022 in the search"),
            "{text}"
        );
    }

    #[test]
    fn a_search_that_is_nowhere_says_so() {
        let nowhere = "No line of the search was found anywhere in the file.";
        assert_eq!(nearest(FILE, "nothing\nof this\n").as_deref(), Some(nowhere));
        assert_eq!(nearest("", "x").as_deref(), Some(nowhere));
        let text = nearest(FILE, "show(a\nx").unwrap();
        assert!(text.contains("part of line 4"), "{text}");
    }

    #[test]
    fn a_search_that_goes_beyond_the_end_says_so() {
        let text = nearest("a\nb", "b\nc\n").unwrap();
        assert!(
            text.ends_with("The file ends where the search goes on with \"c\"."),
            "{text}"
        );
    }

    #[test]
    fn long_or_blank_searches_are_not_looked_into() {
        assert_eq!(nearest("a\n", &"x\n".repeat(MAX_LINES + 1)), None);
        assert_eq!(nearest(&"a\n".repeat(100_000), &"x\n".repeat(100)), None);
        assert_eq!(nearest("a\n", " \n\t\n"), None);
    }
}
