//! What is secret here: provider keys in clear, and how they are sealed, shown and kept out of texts.
//!
//! Owns every conversion between a key in clear and anything else. It stores nothing: ciphertexts live in storage's rows.

pub mod envelope;
pub mod keyring;
mod redact;

pub use redact::redact;

/// Shortest key of which the last characters are shown.
const MIN_CHARS_TO_SHOW_TAIL: usize = 12;

/// How many characters of a key are shown.
const TAIL_CHARS: usize = 4;

/// What people see of a key, so that they recognise it: `sk-…abcd`. Short keys show nothing.
pub fn mask(key: &str) -> String {
    let count = key.chars().count();
    if count < MIN_CHARS_TO_SHOW_TAIL {
        return "…".to_owned();
    }
    let prefix = if key.starts_with("sk-") { "sk-" } else { "" };
    let tail: String = key.chars().skip(count - TAIL_CHARS).collect();
    format!("{prefix}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_four_characters_of_long_keys_only() {
        assert_eq!(mask("sk-proj-0123456789f3Qa"), "sk-…f3Qa");
        assert_eq!(mask("0123456789ab"), "…89ab");
        assert_eq!(mask("sk-12345678"), "…");
        assert_eq!(mask("ääääääääääääbcde"), "…bcde");
    }
}
