//! What is wrong with one field of a request, in a form that every door can pass on.
//!
//! Owns the pair of path and text. Rules are in `input`, `label`, `title`; codes are the doors' business.

use std::fmt;

/// One field that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path as the caller wrote it, such as `content[0].text`.
    pub field: String,
    /// The rule, as a sentence part that can follow the path: `must not be empty`.
    pub rule: String,
}

impl Violation {
    /// Says that `field` breaks `rule`.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}
