//! What a message says, by whom and for whom.
//!
//! Owns roles, visibility and token counts. Ids, authors and times are columns of storage's row and the wire's business.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::part::Part;

/// One entry of a conversation, reduced to what prompts and titles need.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Who gets to see it.
    pub visibility: Visibility,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message for user and model alike.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            visibility: Visibility::Both,
            parts,
        }
    }
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// A person or program.
    User,
    /// The model.
    Assistant,
    /// Results of tool calls.
    Tool,
}

/// Who gets to see a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// User and model.
    #[default]
    Both,
    /// The user only; never part of a prompt.
    User,
    /// The model only; never shown.
    Model,
}

impl Visibility {
    /// Whether the message belongs in a prompt.
    pub fn is_for_model(self) -> bool {
        match self {
            Self::Both | Self::Model => true,
            Self::User => false,
        }
    }

    /// Whether the message is shown to clients.
    pub fn is_for_user(self) -> bool {
        match self {
            Self::Both | Self::User => true,
            Self::Model => false,
        }
    }

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::User => "user",
            Self::Model => "model",
        }
    }
}

impl Role {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tokens of one step. `None` was not reported, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt that no cache served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<i64>,
    /// Tokens of the answer, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<i64>,
    /// The vendor's own sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<i64>,
    /// Tokens of the reasoning alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<i64>,
    /// Tokens written to the vendor's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_tokens: Option<i64>,
    /// Tokens read from the vendor's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<i64>,
    /// The model's context window at that step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_limit: Option<i64>,
}

impl Usage {
    /// Whether nothing was reported at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_rows_never_reach_a_prompt_and_hidden_rows_never_reach_a_client() {
        assert!(!Visibility::User.is_for_model());
        assert!(!Visibility::Model.is_for_user());
        assert!(Visibility::Both.is_for_model() && Visibility::Both.is_for_user());
    }

    #[test]
    fn usage_leaves_out_what_was_not_reported() {
        let usage = Usage {
            input_tokens: Some(0),
            ..Usage::default()
        };
        assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"input_tokens":0}"#);
        assert!(!usage.is_empty());
    }
}
