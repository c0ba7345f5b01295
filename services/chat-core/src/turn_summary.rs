//! What the list of chats says of a chat's last turn: a few words.
//!
//! Owns the fixed words and the rules for those a model writes. When the words change is storage's business, asking a model orchestrator's.

use crate::title;

/// The longest summary, in characters.
pub const MAX_CHARS: usize = 60;

/// The turn ended as it should, and nothing better is known of it.
pub const FINISHED: &str = "Finished";
/// The turn ended and the next message in the queue began another.
pub const NEXT_MESSAGE: &str = "Working on the next message";
/// The turn waits for the client's own tools.
pub const REQUIRES_ACTION: &str = "Waiting for a tool's result";

const MIN_WORDS: usize = 2;
const MAX_WORDS: usize = 5;

/// The summary in what a model said when it was asked for one: 2 to 5 words. `None` for anything else.
pub fn generated(said: &str) -> Option<String> {
    let phrase = title::phrase(said)?;
    let words = phrase.split(' ').count();
    ((MIN_WORDS..=MAX_WORDS).contains(&words) && is_valid(&phrase)).then_some(phrase)
}

/// Whether it can be stored: one line of visible text, 1 to [`MAX_CHARS`] characters, no blanks around it.
pub fn is_valid(summary: &str) -> bool {
    !summary.is_empty()
        && summary.trim() == summary
        && summary.chars().count() <= MAX_CHARS
        && !summary.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_two_to_five_words() {
        assert_eq!(
            generated("\"Fixed the login test.\"").as_deref(),
            Some("Fixed the login test")
        );
        for said in [
            "",
            "Done",
            "I have fixed the login test for you",
            "Überlebensgroßbuchstabenverschlüsselungsmaschinenbaumeisterei eingerichtet",
        ] {
            assert_eq!(generated(said), None, "{said:?}");
        }
    }

    #[test]
    fn the_fixed_words_are_valid() {
        assert!([FINISHED, NEXT_MESSAGE, REQUIRES_ACTION].into_iter().all(is_valid));
    }
}
