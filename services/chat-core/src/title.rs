//! Titles: what a chat is called before a model names it, and what a person may call it.
//!
//! Owns the fallback and the rules. Asking a model for a title is orchestrator's.

use crate::error::bounded;
use crate::part::{Part, text_of};

/// The longest title a person may give, in characters.
pub const MAX_MANUAL_CHARS: usize = 200;
/// The longest title made up by Tandem, in characters.
pub const MAX_AUTOMATIC_CHARS: usize = 80;
/// The title of a chat whose first message has no words.
pub const EMPTY: &str = "New Chat";

const FALLBACK_WORDS: usize = 6;

const MIN_GENERATED_WORDS: usize = 2;
const MAX_GENERATED_WORDS: usize = 8;

/// Lines of an answer that may still be one phrase with something around it.
const MAX_LINES: usize = 3;

/// What models like to put before a phrase.
const LABELS: [&str; 3] = ["title", "label", "summary"];

/// The title of a chat until something better is known: the first six words of its first message, at most
/// [`MAX_AUTOMATIC_CHARS`] characters, with `…` if words were left out.
pub fn fallback(parts: &[Part]) -> String {
    let text = text_of(parts).replace(char::is_control, " ");
    let mut words = text.split_whitespace();
    let first: Vec<&str> = words.by_ref().take(FALLBACK_WORDS).collect();
    if first.is_empty() {
        return EMPTY.to_owned();
    }
    let mut title = first.join(" ");
    if words.next().is_some() {
        title.push('…');
    }
    bounded(&title, MAX_AUTOMATIC_CHARS)
}

/// Whether a title is still the one given at creation, so that a model's may replace it.
pub fn is_fallback(title: &str, first_message: &[Part]) -> bool {
    title.is_empty() || title == fallback(first_message)
}

/// A title given by a person, trimmed.
///
/// # Errors
/// [`Invalid`] names the rule that is broken.
pub fn validate(title: &str) -> Result<String, Invalid> {
    let title = title.trim();
    if title.is_empty() {
        return Err(Invalid::Empty);
    }
    if title.chars().count() > MAX_MANUAL_CHARS {
        return Err(Invalid::TooLong);
    }
    if title.contains(char::is_control) {
        return Err(Invalid::ControlCharacter);
    }
    Ok(title.to_owned())
}

/// The title in what a model said when it was asked for one: 2 to 8 words, at most [`MAX_AUTOMATIC_CHARS`] characters, without what models
/// like to put around it. `None` for anything that is no title, such as an answer to the message itself.
pub fn generated(said: &str) -> Option<String> {
    let title = phrase(said)?;
    let words = title.split(' ').count();
    let is_short_enough = words <= MAX_GENERATED_WORDS && title.chars().count() <= MAX_AUTOMATIC_CHARS;
    let is_long_enough = words >= MIN_GENERATED_WORDS || is_unspaced(&title);
    (is_short_enough && is_long_enough).then_some(title)
}

/// The one line a model was asked for, without blanks, quotes, marks of Markdown and the stop around it.
pub(crate) fn phrase(said: &str) -> Option<String> {
    // Some models think aloud in their answer.
    let said = said.rsplit_once("</think>").map_or(said, |(_, behind)| behind);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_LINES {
        return None;
    }
    // "Here is a title:" announces one.
    let line = lines.into_iter().find(|line| !line.ends_with(':'))?;
    let line = line.replace(char::is_control, " ");
    let line = undressed(&line);
    let line = match line.split_once(':') {
        Some((label, rest)) if LABELS.iter().any(|known| undressed(label).eq_ignore_ascii_case(known)) => {
            undressed(rest)
        }
        _ => line,
    };
    let phrase = line.split_whitespace().collect::<Vec<_>>().join(" ");
    (!phrase.is_empty()).then_some(phrase)
}

fn undressed(text: &str) -> &str {
    let is_dress = |letter: char| {
        letter.is_whitespace()
            || matches!(
                letter,
                '"' | '\'' | '`' | '*' | '#' | '_' | '“' | '”' | '„' | '‘' | '’' | '«' | '»'
            )
    };
    text.trim_matches(is_dress)
        .trim_end_matches('.')
        .trim_end_matches(is_dress)
}

/// Whether this is in a script that puts no blanks between words.
fn is_unspaced(text: &str) -> bool {
    text.chars()
        .filter(|letter| letter.is_alphabetic())
        .all(|letter| letter >= '\u{e00}')
        && text.chars().filter(|letter| letter.is_alphabetic()).count() >= MIN_GENERATED_WORDS
}

/// Why a title is refused; reads on from the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing but blanks.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_MANUAL_CHARS`] characters.
    #[error("must have at most {MAX_MANUAL_CHARS} characters")]
    TooLong,
    /// A title is one line of visible text.
    #[error("must not contain control characters")]
    ControlCharacter,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fallback_is_the_first_six_words() {
        let title = |text: &str| fallback(&[Part::text(text)]);
        assert_eq!(title(" Fix  the\nlogin "), "Fix the login");
        assert_eq!(title("one two three four five six"), "one two three four five six");
        assert_eq!(
            title("one two three four five six seven"),
            "one two three four five six…"
        );
        assert_eq!(title("nul\0inside"), "nul inside");
        assert_eq!(title(" \t"), EMPTY);
        assert_eq!(fallback(&[]), EMPTY);
    }

    #[test]
    fn a_title_still_made_up_may_be_replaced() {
        let first = [Part::text("Fix the login")];
        assert!(is_fallback("Fix the login", &first));
        assert!(is_fallback("", &first));
        assert!(!is_fallback("Login", &first));
    }

    #[test]
    fn a_manual_title_is_one_line_of_at_most_200_characters() {
        assert_eq!(validate("  Plan B "), Ok("Plan B".to_owned()));
        assert_eq!(validate(" \n"), Err(Invalid::Empty));
        assert_eq!(validate(&"ä".repeat(200)), Ok("ä".repeat(200)));
        assert_eq!(validate(&"ä".repeat(201)), Err(Invalid::TooLong));
        assert_eq!(validate("a\0b"), Err(Invalid::ControlCharacter));
    }

    #[test]
    fn a_generated_title_is_undressed() {
        for (said, title) in [
            ("Fix the login test", "Fix the login test"),
            ("  \"Fix the  login test.\"\n", "Fix the login test"),
            ("**Title: `main.rs` does not compile**", "main.rs` does not compile"),
            ("Title: \"Parse a.toml: two ways\"", "Parse a.toml: two ways"),
            ("# Löschen geht nicht", "Löschen geht nicht"),
            ("Here is a title:\n\nPlan the move", "Plan the move"),
            (
                "<think>A title.\nShort.\nVery.\nYes.</think>\n\nPlan the move",
                "Plan the move",
            ),
            ("修复登录测试", "修复登录测试"),
        ] {
            assert_eq!(generated(said).as_deref(), Some(title), "{said:?}");
        }
    }

    #[test]
    fn what_is_no_title_is_none() {
        for said in [
            "",
            " \n ",
            "\"\"",
            "Title:",
            "Hello",
            "Sure, I can help you with that, what do you need today?",
            "First\nSecond\nThird\nFourth",
            "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft founded yesterday",
        ] {
            assert_eq!(generated(said), None, "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn every_generated_title_is_a_valid_one(said in any::<String>()) {
            if let Some(title) = generated(&said) {
                prop_assert!(title.chars().count() <= MAX_AUTOMATIC_CHARS);
                prop_assert_eq!(validate(&title), Ok(title));
            }
        }

        #[test]
        fn every_fallback_is_a_valid_title(text in any::<String>()) {
            let title = fallback(&[Part::text(text)]);
            prop_assert!(title.chars().count() <= MAX_AUTOMATIC_CHARS);
            prop_assert_eq!(validate(&title), Ok(title));
        }
    }
}
