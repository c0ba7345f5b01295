//! Labels: small key-value marks by which programs find chats again.
//!
//! Owns their limits. Filtering by label is storage's.

use std::collections::BTreeMap;

use crate::violation::Violation;

/// Labels a chat may carry.
pub const MAX_COUNT: usize = 50;
/// The longest key.
pub const MAX_KEY_BYTES: usize = 64;
/// The longest value.
pub const MAX_VALUE_BYTES: usize = 256;

/// Checks all labels of a chat and reports every rule broken, at most one per label.
///
/// # Errors
/// One [`Violation`] per bad label, with the path `labels.<key>`, or one for `labels` if there are too many.
pub fn validate(labels: &BTreeMap<String, String>) -> Result<(), Vec<Violation>> {
    if labels.len() > MAX_COUNT {
        return Err(vec![Violation::new(
            "labels",
            format!("must have at most {MAX_COUNT} entries"),
        )]);
    }
    let violations: Vec<Violation> = labels.iter().filter_map(|(key, value)| violation(key, value)).collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn violation(key: &str, value: &str) -> Option<Violation> {
    if !is_key(key) {
        let shown: String = key.chars().filter(|c| !c.is_control()).take(MAX_KEY_BYTES).collect();
        let rule = format!(
            "must have a key of 1 to {MAX_KEY_BYTES} characters that starts with a letter or digit and has only letters, \
             digits and . _ / - in it"
        );
        return Some(Violation::new(format!("labels.{shown}"), rule));
    }
    if value.is_empty() || value.len() > MAX_VALUE_BYTES {
        return Some(Violation::new(
            format!("labels.{key}"),
            format!("must have 1 to {MAX_VALUE_BYTES} bytes"),
        ));
    }
    if value.contains(char::is_control) {
        return Some(Violation::new(
            format!("labels.{key}"),
            "must not contain control characters",
        ));
    }
    None
}

fn is_key(key: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    key.len() <= MAX_KEY_BYTES
        && key.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && key.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str) -> Result<(), Vec<Violation>> {
        validate(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn ordinary_labels_are_accepted() {
        assert_eq!(check("github.com/repo_1", "own er/ü"), Ok(()));
        assert_eq!(check(&"k".repeat(64), &"v".repeat(256)), Ok(()));
        assert_eq!(validate(&BTreeMap::new()), Ok(()));
    }

    #[test]
    fn each_broken_rule_names_the_label() {
        for (key, value) in [("", "v"), ("-x", "v"), ("a b", "v"), ("ä", "v"), ("k\n", "v")] {
            assert_eq!(check(key, value).unwrap_err().len(), 1, "{key:?}");
        }
        assert!(check(&"k".repeat(65), "v").is_err());
        assert_eq!(
            check("k", "").unwrap_err()[0].to_string(),
            "labels.k must have 1 to 256 bytes"
        );
        assert!(check("k", &"v".repeat(257)).is_err());
        assert!(check("k", "a\0").is_err());
    }

    #[test]
    fn the_fifty_first_label_is_too_many() {
        let labels = |count: usize| {
            (0..count)
                .map(|n| (format!("k{n}"), "v".to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(validate(&labels(50)), Ok(()));
        assert_eq!(
            validate(&labels(51)).unwrap_err(),
            [Violation::new("labels", "must have at most 50 entries")]
        );
    }
}
