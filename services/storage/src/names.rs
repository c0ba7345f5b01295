//! Names that people give things and that appear in addresses: words with single separators between them.

/// Whether a name of at most `max` bytes is words of such bytes, joined by single separators.
pub(crate) fn is_words(name: &str, max: usize, separators: &[char], is_letter: impl Fn(u8) -> bool) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(&is_letter);
    name.len() <= max && name.split(separators).all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_by_single_separators() {
        let is_fine = |name: &str| is_words(name, 8, &['-', '_'], |byte| byte.is_ascii_alphanumeric());
        for name in ["a", "a-b", "A_b-1", "12345678"] {
            assert!(is_fine(name), "{name}");
        }
        for name in ["", "-", "a-", "_a", "a--b", "a b", "ä", "123456789"] {
            assert!(!is_fine(name), "{name}");
        }
    }
}
